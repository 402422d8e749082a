"""Picture in, picture out: `POST /v1/enhance` and `POST /v1/colourise`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import PurePath
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel

from facecctv import __version__, schema
from facecctv.api import documents, replies
from facecctv.api.desk import Desk, Seen, Workshop
from facecctv.api.effort import check_effort, pixels_of
from facecctv.api.options import PictureFormat
from facecctv.api.problems import Problem
from facecctv.errors import ImageError, LimitError, SettingError
from facecctv.evidence.provenance import CHANGES, Output, Record, embedded, marks, versions
from facecctv.evidence.steps import Chain, Colourise, Enhance, Modelled, Process, Step, Tool
from facecctv.geometry import crop
from facecctv.image import Carried, carried
from facecctv.image.writing import quality_of
from facecctv.types import Drift, Image
from facecctv.vision.colourise import is_grey
from facecctv.vision.drift import NO_RECOGNISER, change_map
from facecctv.vision.filters import Filter

HEADERS = ("X-Step-Classes", "X-Estimated")
"""What a picture's reply says of how it was made."""
LONGEST_CHAIN = 2000


class FaceDrift(BaseModel):
    """One face of the picture that came in, and what became of it."""

    box: schema.Box
    drift: schema.Drift


class Made(BaseModel):
    """A picture that was made, with the record of how."""

    record: Record
    image: str
    """A data URL; the bytes in it are those that `record.output.sha256` is of."""
    change_map: str | None = None
    """A data URL."""
    faces: tuple[FaceDrift, ...] | None = None


@dataclass(frozen=True)
class Making:
    """What to make, and what to hand back."""

    chain: Chain
    word: str
    """What was done, for names of files: NAME-WORD.png."""
    forensic: bool
    change_map: bool
    drift: bool
    format: PictureFormat


Forensic = Annotated[
    bool, Query(description="Refuse steps that show what no camera recorded, such as colour.")
]
ChangeMap = Annotated[
    bool, Query(description="Add what was changed, and where, as a data URL; JSON only.")
]
WithDrift = Annotated[
    bool,
    Query(description="Find the faces and measure whether each stayed the same person; JSON only."),
]
Format = Annotated[PictureFormat, Query(description="Of data URLs.")]


async def _enhancing(
    scale: Annotated[
        Literal["2", "4"] | None, Query(description="Pixels a side for one; 4 by default.")
    ] = None,
    faces_only: Annotated[
        bool | None,
        Query(description="Enhance the faces; enlarge the rest by plain interpolation."),
    ] = None,
    strength: Annotated[
        float | None,
        Query(ge=0, le=1, description="0: plain interpolation; 1, the default: all the network."),
    ] = None,
    luminance: Annotated[
        Literal["auto", "on", "off"] | None,
        Query(description="Enhance only brightness; auto, the default: in grey pictures."),
    ] = None,
    steps: Annotated[
        str | None,
        Query(
            max_length=LONGEST_CHAIN,
            description="These steps instead, in this order (GET /v1/steps lists all).",
            examples=["denoise:h=5,levels:auto,enhance:x4"],
        ),
    ] = None,
    forensic: Forensic = False,
    change_map: ChangeMap = False,
    drift: WithDrift = False,
    format: Format = "png",
) -> Making:
    given = {
        "scale": scale,
        "faces_only": faces_only,
        "strength": strength,
        "luminance": luminance,
    }
    given = {name: value for name, value in given.items() if value is not None}
    if steps is None:
        chain = Chain((Enhance.model_validate(given),))
    elif given:
        raise Problem(
            422, f"{', '.join(given)}: with steps it belongs into the chain", reason="option"
        )
    else:
        try:
            chain = Chain.parse(steps)
        except SettingError as error:
            raise Problem(422, f"steps: {error}", reason="option") from error
    return Making(chain, "enhanced", forensic, change_map, drift, format)


async def _colourising(
    saturation: Annotated[
        float, Query(ge=0, le=4, description="0: grey; 1: as the network says.")
    ] = 1.0,
    force: Annotated[
        bool, Query(description="Also a picture that has colour; it is replaced by an estimate.")
    ] = False,
    forensic: Forensic = False,
    change_map: ChangeMap = False,
    drift: WithDrift = False,
    format: Format = "png",
) -> Making:
    chain = Chain((Colourise(saturation=saturation, force=force),))
    return Making(chain, "colourised", forensic, change_map, drift, format)


EnhancingQuery = Annotated[Making, Depends(_enhancing)]
ColourisingQuery = Annotated[Making, Depends(_colourising)]


def routes(desk: Desk) -> APIRouter:
    """Both exist on every server: filters need no model; what does answers 503 without it."""
    router = APIRouter(prefix="/v1", tags=["pictures"])

    @router.post(
        "/enhance",
        summary="More pixels, less blur and noise; or steps of your own",
        response_model=Made,
        responses=documents.made("The enhanced picture, or JSON with its record."),
        openapi_extra=documents.picture_body(),
    )
    async def enhance(request: Request, making: EnhancingQuery) -> Response:
        """With `Accept: image/png` (or jpeg, webp) the reply is the picture. As JSON it is the
        picture as a data URL with the record of every step, in order. 503 where the model that
        a step needs is not installed.
        """
        return await answer(desk, request, making)

    @router.post(
        "/colourise",
        summary="Estimated colour for a grey picture",
        response_model=Made,
        responses=documents.made("The coloured picture, or JSON with its record."),
        openapi_extra=documents.picture_body(),
    )
    async def colourise(request: Request, making: ColourisingQuery) -> Response:
        """As `enhance`. Colour is always an estimate, and replies say so; a picture that has
        colour already is refused without `force`. 503 where the model is not installed.
        """
        return await answer(desk, request, making)

    return router


async def answer(
    desk: Desk, request: Request, making: Making, always: PictureFormat | None = None
) -> Response:
    """The reply: a picture where `Accept` or `always` names its format, else JSON."""
    format = replies.wanted_picture(request.headers.get("accept", "")) or always
    if len(making.chain.steps) > desk.limits.max_steps:
        raise Problem(422, f"steps: {desk.limits.max_steps} at most", reason="option")
    if making.forensic:
        _refuse(making.chain.steps, [step.step == "generative" for step in making.chain.steps])
    work = partial(_work, desk, making, format)
    return await desk.answer(request, work, load=partial(pixels_of, making.chain))


def _refuse(steps: Sequence[Filter | Modelled | Step], generative: Sequence[bool]) -> None:
    refused = [step.name for step, so in zip(steps, generative, strict=True) if so]
    if refused:
        raise Problem(
            422,
            f"forensic work takes no generative step, and {' and '.join(dict.fromkeys(refused))} "
            "is one: what it shows was not recorded by the camera",
            reason="option",
        )


def _work(desk: Desk, making: Making, format: PictureFormat | None, seen: Seen) -> Response:
    image = seen.picture.image
    check_effort(making.chain, image.shape[1], image.shape[0], desk.limits)
    workshop = desk.workshop.during(seen.leave.check)
    process = Process(making.chain, partial(_tool, workshop, image, making.chain))
    if making.forensic:
        # A model may be generative where most of its kind are not.
        _refuse(process.steps, [step.step_class == "generative" for step in process.steps])
    try:
        result = process(image, seen.leave.check)
    except LimitError as error:
        raise Problem(503, str(error), {"Retry-After": "10"}) from error
    except ImageError as error:
        raise Problem(422, str(error), reason="option") from error
    seen.leave.check()
    kept = carried(seen.data)
    if format is not None:
        quality = quality_of(format)
        words = embedded(seen.picture.sha256, process.steps, __version__, quality)
        data = replies.encoded(result, format, words, kept)
        return Response(data, media_type=f"image/{format}", headers=headers(process.steps))
    return _json(desk, making, seen, process.steps, result, kept)


def headers(steps: Sequence[Step]) -> dict[str, str]:
    """What a picture's reply says of its steps: their classes in order, and what is estimated."""
    classes = ", ".join(step.step_class for step in steps)
    return {HEADERS[0]: classes, HEADERS[1]: ", ".join(marks(steps)) or "nothing"}


def _tool(workshop: Workshop, image: Image, chain: Chain, step: Modelled) -> Tool:
    if not isinstance(step, Colourise) or step.force:
        return workshop.tool(step)
    tool = workshop.tool(step.model_copy(update={"force": True}))
    before = chain.steps[: chain.steps.index(step)]
    if not any(isinstance(each, Filter) for each in before):
        # Nothing before it takes colour away, so there is no need to do it first.
        _check_grey(image)
    return Tool(partial(_if_grey, tool.run), tool.origin)


def _if_grey(colourise: Callable[[Image], Image], image: Image) -> Image:
    _check_grey(image)
    return colourise(image)


def _check_grey(image: Image) -> None:
    if not is_grey(image):
        detail = "the picture has colour already; force replaces it by an estimate"
        raise Problem(422, detail, reason="has-colour")


def _json(
    desk: Desk, making: Making, seen: Seen, steps: Sequence[Step], result: Image, kept: Carried
) -> Response:
    picture, chain, format = seen.picture, making.chain, making.format
    name = f"{PurePath(seen.name).stem or 'picture'}-{making.word}"
    suffix = "jpg" if format == "jpeg" else format
    told = partial(embedded, picture.sha256, steps, __version__, quality_of(format))
    data = replies.encoded(result, format, told(), kept)
    shift = None
    if making.change_map:
        seen.leave.check()
        changes = change_map(chain.plain(picture.image), result)
        shift = replies.encoded(changes, format, told(shows=CHANGES))
    faces = _drifts(desk, seen, chain, result) if making.drift else None
    made = partial(_output, result, format)
    record = Record(
        source=schema.printable(seen.name),
        sha256=picture.sha256,
        width=picture.width,
        height=picture.height,
        notes=(*picture.notes, *kept.notes) or None,
        output=made(f"{name}.{suffix}", data),
        change_map=None if shift is None else made(f"{name}-change.{suffix}", shift),
        steps=tuple(steps),
        versions=versions(steps, __version__),
        **marks(steps),
    )
    return replies.json_reply(
        Made(
            record=record,
            image=replies.as_url(data, format),
            change_map=None if shift is None else replies.as_url(shift, format),
            faces=faces,
        )
    )


def _output(image: Image, format: PictureFormat, file: str, data: bytes) -> Output:
    height, width = image.shape[:2]
    return Output(
        file=schema.printable(file),
        sha256=hashlib.sha256(data).hexdigest(),
        width=width,
        height=height,
        quality=quality_of(format),
    )


def _drifts(desk: Desk, seen: Seen, chain: Chain, result: Image) -> tuple[FaceDrift, ...]:
    """Of each face found; unknown where pixels moved, or there is nothing to measure with."""
    image = seen.picture.image
    workshop = desk.workshop.during(seen.leave.check)
    faces = list(workshop.pipeline().detect(image))[: desk.limits.max_faces]
    moved = any(isinstance(step, Filter) and step.step == "geometric" for step in chain.steps)
    meter = None if moved or not faces else workshop.meter()
    reason = "a step moved the pixels" if moved else NO_RECOGNISER
    scale = result.shape[1] // image.shape[1]
    found = []
    for face in faces:
        drift = Drift("unknown", reason=reason)
        if meter is not None:
            part = crop(image, face)
            height, width = part.image.shape[:2]
            top, left = part.y * scale, part.x * scale
            after = result[top : top + height * scale, left : left + width * scale]
            drift = meter([part], [after])[0]
        found.append(FaceDrift(box=schema.Box.of(face), drift=schema.Drift.of(drift)))
    return tuple(found)
