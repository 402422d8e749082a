"""Results as replies: JSON, pictures inside JSON, or one picture by `Accept`."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from facecctv import schema
from facecctv.api.options import PictureFormat
from facecctv.api.problems import Problem
from facecctv.draw import outline
from facecctv.errors import OutputError
from facecctv.image import Carried, encode
from facecctv.image.carrying import NOTHING
from facecctv.types import Body, Crop, Face, Image

PICTURES: dict[str, PictureFormat] = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/webp": "webp",
}


class CropPicture(BaseModel):
    """Native pixels around one face."""

    face: Annotated[int, Field(ge=0)]
    """Which of `faces`, from 0."""
    x: Annotated[int, Field(ge=0)]
    """Column of the picture at which the crop begins."""
    y: Annotated[int, Field(ge=0)]
    width: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]
    image: str
    """A data URL."""


class FacePicture(BaseModel):
    """What was made of one face's crop."""

    face: Annotated[int, Field(ge=0)]
    """Which of `faces`, from 0."""
    width: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]
    image: str
    """A data URL."""


class Examined(schema.Result):
    """The one JSON form, with pictures where they were asked for."""

    crops: tuple[CropPicture, ...] | None = None
    enhanced: tuple[FacePicture, ...] | None = None
    """Crops with more pixels, of the faces that were enhanced."""
    changes: tuple[FacePicture, ...] | None = None
    """What enhancing added to each of these: middle grey is no change."""
    coloured: tuple[FacePicture, ...] | None = None
    """Crops whose colour is estimated, enhanced where the face was."""
    annotated: str | None = None
    """A data URL."""


def json_reply(value: BaseModel) -> Response:
    """Keys that were not asked for are absent."""
    return Response(value.model_dump_json(exclude_none=True), media_type="application/json")


def plain(value: object) -> Response:
    """Any value as JSON."""
    return JSONResponse(value)


def picture_reply(image: Image, format: PictureFormat, faces: int) -> Response:
    """One picture, with the number of faces in the header `X-Faces`."""
    return Response(
        encoded(image, format), media_type=f"image/{format}", headers={"X-Faces": str(faces)}
    )


def data_url(image: Image, format: PictureFormat) -> str:
    """A picture inside JSON."""
    return as_url(encoded(image, format), format)


def as_url(data: bytes, format: PictureFormat) -> str:
    """The bytes of a picture's file inside JSON."""
    return f"data:image/{format};base64,{base64.b64encode(data).decode()}"


def crop_picture(number: int, crop: Crop, format: PictureFormat) -> CropPicture:
    """One crop for the list of crops."""
    height, width = crop.image.shape[:2]
    return CropPicture(
        face=number,
        x=crop.x,
        y=crop.y,
        width=width,
        height=height,
        image=data_url(crop.image, format),
    )


def face_picture(
    number: int, image: Image, format: PictureFormat, words: Mapping[str, str]
) -> FacePicture:
    """One picture for the lists beside the crops; the words go into its file."""
    height, width = image.shape[:2]
    url = as_url(encoded(image, format, words), format)
    return FacePicture(face=number, width=width, height=height, image=url)


def annotated(image: Image, faces: Sequence[Face], bodies: Sequence[Body] = ()) -> Image:
    """A copy with each face outlined, the corners of each body marked, and scores beside them."""
    marked: list[Face | Body] = [*bodies, *faces]
    return outline(image, marked, [f"{one.score:.2f}" for one in marked])


def wanted_picture(accept: str) -> PictureFormat | None:
    """The picture format that the header `Accept` prefers to JSON; None for JSON.

    Only a format that is named counts: `*/*` means JSON.
    """
    best: tuple[float, PictureFormat | None] = (0.0, None)
    for part in accept.split(","):
        kind, _, parameters = part.strip().lower().partition(";")
        weight = _weight(parameters)
        kind = kind.strip()
        if weight > best[0] and (kind in PICTURES or kind == "application/json"):
            best = (weight, PICTURES.get(kind))
    return best[1]


def _weight(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.strip().partition("=")
        if name == "q":
            try:
                return min(1.0, max(0.0, float(value)))
            except ValueError:
                return 0.0
    return 1.0


def encoded(
    image: Image,
    format: PictureFormat,
    words: Mapping[str, str] | None = None,
    kept: Carried = NOTHING,
) -> bytes:
    """The bytes of a picture's file; Problem 422 where the format cannot hold it.

    `words` go into it, with what is `kept` of the source's file.
    """
    try:
        return encode(image, format, metadata=words, kept=kept)
    except OutputError as error:
        raise Problem(422, str(error)) from error
