"""The project's own routes. A new capability is one more stage of the pipeline and one route here
that exists where the stage does.
"""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Request, Response

from facecctv import schema
from facecctv.api import boxes, documents, replies
from facecctv.api.desk import Desk, Seen
from facecctv.api.options import Looking, LookingQuery, Showing, ShowingQuery
from facecctv.api.problems import Problem
from facecctv.pipeline import Pipeline
from facecctv.types import Face

CROP_PIXELS_PER_PICTURE_PIXEL = 4
"""All crops of a reply together, at most; or CROP_PIXELS if that is more."""
CROP_PIXELS = 4_000_000


def routes(desk: Desk) -> APIRouter:
    """One route for each capability that is installed."""
    router = APIRouter(prefix="/v1", tags=["pictures"])
    pipeline = desk.workshop.pipeline()

    @router.post(
        "/detect",
        summary="Find faces",
        response_model=replies.Result,
        responses=documents.with_pictures(
            "The faces, best first; an empty list if there are none.", documents.RESULT_EXAMPLE
        ),
        openapi_extra=documents.picture_body(),
    )
    async def detect(request: Request, looking: LookingQuery, showing: ShowingQuery) -> Response:
        """Where the faces of a picture are. With `Accept: image/png` (or jpeg, webp) the reply
        is the picture with the faces outlined.
        """
        return await desk.answer(request, _work(desk, request, looking, showing, judge=False))

    if pipeline.assess is not None:

        @router.post(
            "/examine",
            summary="Find faces and judge their quality",
            response_model=replies.Result,
            responses=documents.with_pictures(
                "The faces with what each is good enough for, best first.",
                documents.RESULT_EXAMPLE,
            ),
            openapi_extra=documents.picture_body(boxes=True),
        )
        async def examine(
            request: Request, looking: LookingQuery, showing: ShowingQuery
        ) -> Response:
            """Faces and the quality of each. With `Accept: image/png` (or jpeg, webp) the reply
            is the picture with the faces outlined.

            With `boxes` these are examined, in their order, and no others are looked for. Where
            the detector sees a face in a box it takes the place of the box; where it sees none
            the box stands, with probability 0 and `landmarks_from: average`.
            """
            return await desk.answer(request, _work(desk, request, looking, showing, judge=True))

    return router


def _work(
    desk: Desk, request: Request, looking: Looking, showing: Showing, *, judge: bool
) -> Callable[[Seen], Response]:
    format = replies.wanted_picture(request.headers.get("accept", ""))
    pipeline = looking.pipeline(desk)

    def work(seen: Seen) -> Response:
        image = seen.picture.image
        faces, unseen = _faces(desk, seen, looking, pipeline, by_hand=judge)
        seen.leave.check()
        if format is not None:
            return replies.picture_reply(replies.annotated(image, faces), format, len(faces))
        found, crops = _portraits(seen, pipeline, faces, showing, judge=judge)
        for number in unseen:
            found[number] = found[number].model_copy(update={"landmarks_from": "average"})
        return replies.json_reply(
            replies.Result(
                source=seen.name,
                sha256=seen.picture.sha256,
                width=seen.picture.width,
                height=seen.picture.height,
                faces=tuple(found),
                crops=tuple(crops) if showing.crops else None,
                annotated=(
                    replies.data_url(replies.annotated(image, faces), showing.format)
                    if showing.annotated
                    else None
                ),
            )
        )

    return work


def _faces(
    desk: Desk, seen: Seen, looking: Looking, pipeline: Pipeline, *, by_hand: bool
) -> tuple[list[Face], list[int]]:
    """The faces found, or those of the boxes drawn by hand and which of these nobody else saw."""
    image = seen.picture.image
    if not by_hand or seen.boxes is None:
        return looking.faces(desk, pipeline, image), []
    given = boxes.checked(seen.boxes, image.shape[1], image.shape[0], desk.limits.max_boxes)
    detect = desk.workshop.pipeline(boxes.FAINT).detect
    drawn = boxes.look(image, given, detect, seen.leave.check)
    unseen = [number for number, one in enumerate(drawn) if not one.seen]
    return [one.face for one in drawn], unseen


def _portraits(
    seen: Seen, pipeline: Pipeline, faces: list[Face], showing: Showing, *, judge: bool
) -> tuple[list[schema.Face], list[replies.CropPicture]]:
    """One face after the other, so that the pixels of one crop are held at a time."""
    found: list[schema.Face] = []
    crops: list[replies.CropPicture] = []
    image = seen.picture.image
    room = max(CROP_PIXELS, CROP_PIXELS_PER_PICTURE_PIXEL * image.shape[0] * image.shape[1])
    for number, face in enumerate(faces):
        seen.leave.check()
        if not (judge or showing.crops):
            found.append(schema.Face.of(face))
            continue
        portrait = pipeline.portraits(image, [face])[0]
        found.append(schema.Face.of_portrait(portrait) if judge else schema.Face.of(face))
        if showing.crops and portrait.crop is not None:
            room -= portrait.crop.image.shape[0] * portrait.crop.image.shape[1]
            if room < 0:
                raise Problem(422, "too many large faces for crops: raise threshold or set limit")
            crops.append(replies.crop_picture(number, portrait.crop, showing.format))
    return found, crops
