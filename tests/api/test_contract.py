"""What OpenAPI promises, held against what is answered to generated requests."""

import os

import hypothesis
import schemathesis
from schemathesis import checks

from facecctv.api.app import create_app
from facecctv.api.desk import ServerSettings
from facecctv.api.limits import ServerLimits
from facecctv.build import Workshop
from facecctv.models.session import Session
from tests.red_detector import red_detector
from tests.tiny_enhancers import constant_colouriser, mean_embedder, nearest_enhancer

CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


WORKSHOP = Workshop(
    Session(red_detector()),
    {
        "enhancer-x2": Session(nearest_enhancer(2)),
        "enhancer-x4": Session(nearest_enhancer(4)),
        "colouriser": Session(constant_colouriser()),
        "face-embedder": Session(mean_embedder()),
    },
)


EXAMPLES = int(os.environ.get("FACECCTV_EXAMPLES", "10"))
"""Of each route; `make contract` asks for more."""

LIMITS = ServerLimits(requests_per_minute=0, max_bytes=10_000)
APP = create_app(WORKSHOP, ServerSettings(limits=LIMITS))
CONTRACT = schemathesis.openapi.from_asgi("/openapi.json", APP)


@CONTRACT.parametrize()
@hypothesis.settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(hypothesis.HealthCheck)
)
def test_replies_are_those_that_are_documented(case):
    """Statuses, media types and shapes; and never a 5xx."""
    case.call_and_validate(checks=CHECKS, timeout=120)  # a busy machine is no breach
