"""The project's own routes. A new capability is one more stage of the pipeline and one route here
that exists where the stage does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from facecctv import __version__, schema
from facecctv.api import boxes, documents, replies
from facecctv.api.desk import Desk, Seen
from facecctv.api.improving import UNCHANGED, Improving, ImprovingQuery
from facecctv.api.options import BodiesQuery, Looking, LookingQuery, Showing, ShowingQuery
from facecctv.api.problems import Problem
from facecctv.api.recognising import Recognition
from facecctv.evidence.portraits import coloured_steps, enhanced_steps
from facecctv.evidence.provenance import CHANGES, embedded
from facecctv.evidence.steps import Step
from facecctv.image import Picture
from facecctv.image.writing import quality_of
from facecctv.pipeline import Pipeline
from facecctv.types import Attributes, Face, Image, Portrait
from facecctv.vision.drift import change_map

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
        response_model=replies.Examined,
        responses=documents.with_pictures(
            "The faces, best first; an empty list if there are none.", documents.RESULT_EXAMPLE
        ),
        openapi_extra=documents.picture_body(),
    )
    async def detect(
        request: Request,
        looking: LookingQuery,
        showing: ShowingQuery,
        bodies: BodiesQuery = False,
    ) -> Response:
        """Where the faces of a picture are, and its people if asked. With `Accept: image/png`
        (or jpeg, webp) the reply is the picture with what was found outlined.
        """
        work = _work(desk, request, looking, showing, asked=_Asked(bodies=bodies))
        return await desk.answer(request, work)

    if pipeline.assess is not None:

        @router.post(
            "/examine",
            summary="Find faces and judge their quality",
            response_model=replies.Examined,
            responses=documents.with_pictures(
                "The faces with what each is good enough for, best first.",
                documents.RESULT_EXAMPLE,
            ),
            openapi_extra=documents.picture_body(boxes=True),
        )
        async def examine(
            request: Request,
            looking: LookingQuery,
            showing: ShowingQuery,
            improving: ImprovingQuery,
            bodies: BodiesQuery = False,
            embedding: Annotated[
                bool, Query(description="Add each face's embedding, which is personal data.")
            ] = False,
            attributes: Annotated[
                bool, Query(description="Estimate each face's age and gender, as they appear.")
            ] = False,
        ) -> Response:
            """Faces and the quality of each. With `Accept: image/png` (or jpeg, webp) the reply
            is the picture with the faces outlined.

            With `boxes` these are examined, in their order, and no others are looked for. Where
            the detector sees a face in a box it takes the place of the box; where it sees none
            the box stands, with probability 0 and `landmarks_from: average`.

            Faces are enhanced and coloured on request; each then says by which model, and
            whether it is still the same person. They are judged by the original pixels alone.
            503 where the model is not installed.
            """
            asked = _Asked(
                judge=True, by_hand=True, embed=embedding, estimate=attributes, bodies=bodies
            )
            work = _work(desk, request, looking, showing, improving, asked)
            return await desk.answer(request, work, load=improving.load)

    @router.post(
        "/attributes",
        summary="Estimate age and gender",
        response_model=replies.Examined,
        responses=documents.with_pictures(
            "The faces with estimated age and gender, best first.", documents.ATTRIBUTES_EXAMPLE
        ),
        openapi_extra=documents.picture_body(boxes=True),
    )
    async def estimate(request: Request, looking: LookingQuery, showing: ShowingQuery) -> Response:
        """Age and gender of each face, as others would perceive them in the picture.

        The interval from `low` to `high` holds the true age with the `probability` beside it, at
        this size of face. `gender.value` is `undetermined` where the picture does not say. A face
        that says nothing of either has `attributes: insufficient_quality` in their place. Boxes
        are taken as by `examine`. 503 where the model is not installed.
        """
        asked = _Asked(estimate=True, by_hand=True)
        work = _work(desk, request, looking, showing, asked=asked)
        return await desk.answer(request, work)

    return router


@dataclass(frozen=True)
class _Asked:
    """What is to be learnt of each face."""

    judge: bool = False
    embed: bool = False
    estimate: bool = False
    by_hand: bool = False
    """Boxes in the request stand for faces."""
    bodies: bool = False
    """Of the picture: its people too."""

    @property
    def of_faces(self) -> bool:
        """Whether more than their places."""
        return self.judge or self.embed or self.estimate


_NOTHING = _Asked()


def _work(
    desk: Desk,
    request: Request,
    looking: Looking,
    showing: Showing,
    improving: Improving = UNCHANGED,
    asked: _Asked = _NOTHING,
) -> Callable[[Seen], Response]:
    format = replies.wanted_picture(request.headers.get("accept", ""))
    looker = looking.pipeline(desk)

    def work(seen: Seen) -> Response:
        image = seen.picture.image
        faces, unseen = _faces(desk, seen, looking, looker, by_hand=asked.by_hand)
        seen.leave.check()
        people = None
        if asked.bodies:
            workshop = desk.workshop.during(seen.leave.check)
            people = looking.bodies(workshop, image, faces, desk.limits.max_faces)
        if format is not None:
            outlined = replies.annotated(image, faces, people or ())
            return replies.picture_reply(outlined, format, len(faces))
        pictures = _Pictures(seen.picture, showing, improving)
        if asked.of_faces or showing.crops:
            pipeline = improving.stages(looker, desk, seen)
            if not asked.judge:
                pipeline = replace(pipeline, assess=None)
            if asked.embed:
                pipeline = replace(pipeline, embed=Recognition.of(desk, seen).recogniser.faces)
            estimates = None
            if asked.estimate:
                estimates = desk.workshop.during(seen.leave.check).estimator()(image, faces)
            found = _portraits(seen, pipeline, faces, pictures, estimates)
        else:
            found = [schema.Face.of(face) for face in faces]
        for number in unseen:
            found[number] = found[number].model_copy(update={"landmarks_from": "average"})
        return replies.json_reply(
            replies.Examined(
                source=seen.name,
                sha256=seen.picture.sha256,
                width=seen.picture.width,
                height=seen.picture.height,
                faces=tuple(found),
                bodies=None if people is None else tuple(map(schema.Body.of, people)),
                crops=tuple(pictures.crops) if showing.crops else None,
                enhanced=pictures.of("enhanced"),
                changes=pictures.of("changes"),
                coloured=pictures.of("coloured"),
                annotated=(
                    replies.data_url(replies.annotated(image, faces, people or ()), showing.format)
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


class _Pictures:
    """The pictures of faces that a reply carries, in the order of the faces."""

    def __init__(self, picture: Picture, showing: Showing, improving: Improving) -> None:
        image, self._sha256 = picture.image, picture.sha256
        self._room = max(
            CROP_PIXELS, CROP_PIXELS_PER_PICTURE_PIXEL * image.shape[0] * image.shape[1]
        )
        self._format, self._improving = showing.format, improving
        self._crops = showing.crops
        self.crops: list[replies.CropPicture] = []
        self._kinds: dict[str, list[replies.FacePicture]] = {
            kind: []
            for kind, wanted in (
                ("enhanced", showing.crops and improving.enhance != "off"),
                ("coloured", showing.crops and improving.colourise != "off"),
                ("changes", improving.changes and improving.enhance != "off"),
            )
            if wanted
        }

    def add(self, number: int, portrait: Portrait) -> None:
        """Problem 422 where the crops become too many pixels."""
        crop, enhanced, coloured = portrait.crop, portrait.enhanced, portrait.coloured
        if crop is None:
            return
        if self._crops:
            self._room -= crop.image.shape[0] * crop.image.shape[1]
            if self._room < 0:
                raise Problem(422, "too many large faces for crops: raise threshold or set limit")
            self.crops.append(replies.crop_picture(number, crop, self._format))
        if enhanced is not None:
            steps = enhanced_steps(crop, enhanced)
            self._made("enhanced", number, enhanced.image, steps)
            if "changes" in self._kinds:
                changes = change_map(crop.image, enhanced.image)
                self._made("changes", number, changes, steps, CHANGES)
        if coloured is not None:
            steps = coloured_steps(crop, coloured, enhanced)
            self._made("coloured", number, coloured.image, steps)

    def _made(
        self, kind: str, number: int, image: Image, steps: Sequence[Step], shows: str = ""
    ) -> None:
        if kind in self._kinds:
            words = embedded(self._sha256, steps, __version__, quality_of(self._format), shows)
            self._kinds[kind].append(replies.face_picture(number, image, self._format, words))

    def of(self, kind: str) -> tuple[replies.FacePicture, ...] | None:
        """Those of one kind; None if it was not asked for."""
        return tuple(self._kinds[kind]) if kind in self._kinds else None


def _portraits(
    seen: Seen,
    pipeline: Pipeline,
    faces: list[Face],
    pictures: _Pictures,
    estimates: Sequence[Attributes] | None = None,
) -> list[schema.Face]:
    """One face after the other, so that the pixels of one crop are held at a time."""
    found: list[schema.Face] = []
    for number, face in enumerate(faces):
        seen.leave.check()
        portrait = pipeline.portraits(seen.picture.image, [face])[0]
        if estimates is not None:
            portrait = replace(portrait, attributes=estimates[number])
        found.append(schema.Face.of_portrait(portrait))
        pictures.add(number, portrait)
    return found
