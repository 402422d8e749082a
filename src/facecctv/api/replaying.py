"""`POST /v1/replay`: is a processed picture what it says it is?"""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Request, Response

from facecctv import __version__, schema
from facecctv.api import documents, replies
from facecctv.api.desk import Desk, Seen
from facecctv.api.effort import check_effort
from facecctv.api.problems import Problem
from facecctv.errors import ImageError, InputError, LimitError, OtherModel, SettingError
from facecctv.evidence.replay import Claim, Replayed, Replayer
from facecctv.evidence.steps import Chain
from facecctv.image import Limits

PICTURES = ("result", "source")
SLOW = 16
"""Times the pixels of the pictures: a step may enlarge the original four times each way."""


def routes(desk: Desk) -> APIRouter:
    """The one route; it is there on every server, as `enhance` is."""
    router = APIRouter(prefix="/v1", tags=["pictures"])

    @router.post(
        "/replay",
        summary="Is a processed picture what it says it is?",
        response_model=Replayed,
        responses={
            200: {"description": "Whether the same picture comes out again."},
            **documents.PICTURE_FAILURES,
        },
        openapi_extra=documents.pictures_body(PICTURES),
    )
    async def replay(request: Request) -> Response:
        """Takes a picture that `enhance` or `colourise` made, here or on the command line, and the
        original. The steps in the picture's own file are done to the original once more.

        `verdict` is `same_bytes`, `same_pixels` or `differs`. 422 with `reason` not-a-result where
        the picture says nothing of how it was made, other-source where it was made from another
        original, and other-model where a model is another one here.
        """

        def work(seen: Sequence[Seen]) -> Response:
            return replies.json_reply(_replayed(desk, *seen))

        return await desk.answer_all(request, work, PICTURES, load=lambda w, h: SLOW * w * h)

    return router


def _replayed(desk: Desk, result: Seen, source: Seen) -> Replayed:
    limits = Limits(desk.limits.max_bytes, desk.limits.max_output_pixels)
    workshop = desk.workshop.during(source.leave.check)
    try:
        claim = Claim.of_picture(result.data, limits, result.picture)
        chain = Chain.of(claim.steps)
    except LimitError as error:
        raise Problem(413, str(error), reason="output-too-large").of("result") from error
    except (InputError, SettingError) as error:
        raise Problem(422, str(error), reason="not-a-result").of("result") from error
    if claim.source_sha256 != source.picture.sha256:
        detail = f"the result was made from another one, of SHA-256 {claim.source_sha256}"
        raise Problem(422, detail, reason="other-source").of("source")
    if len(chain.steps) > desk.limits.max_steps:
        raise Problem(422, f"{desk.limits.max_steps} steps at most").of("result")
    check_effort(chain, source.picture.width, source.picture.height, desk.limits)
    names = schema.printable(result.name), schema.printable(source.name)
    try:
        told, _ = Replayer(workshop.tool, __version__, limits)(
            names[0], claim, (names[1], source.data), source.leave.check
        )
    except OtherModel as error:
        raise Problem(422, str(error), reason="other-model").of("result") from error
    except LimitError as error:
        raise Problem(503, str(error), {"Retry-After": "10"}) from error
    except ImageError as error:
        raise Problem(422, str(error), reason="option") from error
    return told
