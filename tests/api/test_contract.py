"""What OpenAPI promises, held against what is answered to generated requests."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import hypothesis
import schemathesis
from schemathesis import checks

from facecctv.api.app import create_app
from facecctv.api.desk import ServerSettings
from facecctv.api.limits import ServerLimits
from facecctv.api.served import Enrolling, ServedList
from facecctv.build import Workshop
from facecctv.identity.sealing import Secret
from facecctv.identity.watchlist import Watchlist
from facecctv.models.session import Session
from tests.patterned import CALIBRATION
from tests.red_detector import green_bodies, red_detector
from tests.tiny_enhancers import constant_colouriser, mean_embedder, nearest_enhancer
from tests.tiny_estimator import tiny_estimator

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
        "face-attributes": Session(tiny_estimator()),
        "body-detector": Session(green_bodies()),
        "face-embedder": Session(mean_embedder(extra={"calibration": CALIBRATION.to_json()})),
    },
)


EXAMPLES = int(os.environ.get("FACECCTV_EXAMPLES", "10"))
"""Of each route; `make contract` asks for more."""

LIMITS = ServerLimits(requests_per_minute=0, max_bytes=10_000)
FOLDER = TemporaryDirectory(ignore_cleanup_errors=True)


def watchlist():
    """An empty one that clients may change."""
    path, secret = Path(FOLDER.name) / "people.fwl", Secret.passphrase("correct horse")
    about = {"purpose": "theft", "owner": "J. Doe", "embedder": "face-embedder 1.0", "size": 16}
    Watchlist.create(path, secret, **about, cost=2**10)
    return ServedList(path, secret, about["embedder"], enrolling=Enrolling(30))


APP = create_app(WORKSHOP, ServerSettings(limits=LIMITS, watchlist=watchlist()))
CONTRACT = schemathesis.openapi.from_asgi("/openapi.json", APP)


@CONTRACT.parametrize()
@hypothesis.settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(hypothesis.HealthCheck)
)
def test_replies_are_those_that_are_documented(case):
    """Statuses, media types and shapes; and never a 5xx."""
    case.call_and_validate(checks=CHECKS, timeout=120)  # a busy machine is no breach
