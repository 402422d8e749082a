"""Routes by which clients of CompreFace work unchanged.

Names, shapes and error codes are theirs. Where their reply to "no face" is an error, so is ours
here, and only here: their clients look for its code.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.responses import JSONResponse

from facecctv.api import documents
from facecctv.api.desk import Desk, Seen
from facecctv.api.options import Looking
from facecctv.api.problems import Problem
from facecctv.errors import ModelNotFound
from facecctv.pipeline import Pipeline
from facecctv.types import Attributes, Face

NO_FACE: dict[str, Any] = {"code": 28, "message": "No face is found in the given image"}


@dataclass(frozen=True)
class Asked:
    """The query parameters that their routes share."""

    looking: Looking
    landmarks: bool
    age: bool
    gender: bool
    status: bool
    predictions: int


async def _asked(
    limit: Annotated[int, Query(ge=0, le=2**31 - 1, description="0: no limit.")] = 0,
    det_prob_threshold: Annotated[
        float | None, Query(ge=0, le=1, description="Else the model's own.")
    ] = None,
    face_plugins: Annotated[
        str, Query(max_length=200, description="`age`, `gender`, `landmarks`; others add nothing.")
    ] = "",
    status: Annotated[bool, Query(description="Add versions and times.")] = False,
    prediction_count: Annotated[
        int, Query(ge=0, le=2**31 - 1, description="Subjects named of each face that is searched.")
    ] = 1,
) -> Asked:
    threshold = det_prob_threshold
    looking = Looking(
        threshold=None if threshold is None else min(max(threshold, 0.001), 0.999),
        min_face=0.0,
        tiles="auto",
        margin=0.35,
        limit=limit or None,
    )
    plugins = {name.strip() for name in face_plugins.split(",")}
    return Asked(
        looking,
        landmarks="landmarks" in plugins,
        age="age" in plugins,
        gender="gender" in plugins,
        status=status,
        predictions=prediction_count,
    )


AskedQuery = Annotated[Asked, Depends(_asked)]


def routes(desk: Desk) -> APIRouter:
    """Those whose capability is installed."""
    router = APIRouter(prefix="/api/v1", tags=["CompreFace"])

    @router.post(
        "/detection/detect",
        summary="Find faces, as CompreFace does",
        responses={
            200: {
                "description": "The faces; with none it is 400 and code 28.",
                "content": {"application/json": {"schema": _SCHEMA, "example": _EXAMPLE}},
            },
            **documents.PICTURE_FAILURES,
        },
        response_class=JSONResponse,
        openapi_extra=documents.picture_body(),
    )
    async def detect(
        request: Request,
        asked: AskedQuery,
    ) -> Response:
        """Boxes in whole pixels. No face is 400 with code 28, as CompreFace's clients expect."""
        looking = asked.looking
        pipeline = looking.pipeline(desk)

        def work(seen: Seen) -> Response:
            began = time.perf_counter()
            faces = found(desk, seen, looking, pipeline)
            result = all_described(desk, seen, faces, asked)
            return reply(desk, {"result": result}, result, asked, began)

        return await desk.answer(request, work)

    return router


def found(desk: Desk, seen: Seen, looking: Looking, pipeline: Pipeline) -> list[Face]:
    """The faces of a picture, best first; none is their error 28."""
    faces = looking.faces(desk, pipeline, seen.picture.image)
    if not faces:
        raise Problem(400, str(NO_FACE["message"]), extra=NO_FACE)
    return faces


def reply(
    desk: Desk, body: dict[str, Any], faces: list[dict[str, Any]], asked: Asked, began: float
) -> Response:
    """The body, with versions and times where they were asked for."""
    if asked.status:
        spent = round((time.perf_counter() - began) * 1000, 1)
        for face in faces:
            face["execution_time"] = {"detector": spent}
        cards = desk.workshop.cards()
        versions = ", ".join(f"{card.name} {card.version}" for card in cards)
        body["plugins_versions"] = {"detector": versions}
    return JSONResponse(body)


def all_described(
    desk: Desk, seen: Seen, faces: Sequence[Face], asked: Asked
) -> list[dict[str, Any]]:
    """The faces of a picture in their words, with what plugins add where they are installed."""
    estimates: Sequence[Attributes | None] = [None] * len(faces)
    if asked.age or asked.gender:
        try:
            estimator = desk.workshop.during(seen.leave.check).estimator()
        except ModelNotFound:
            # As on their servers, a plugin that is not there adds nothing.
            pass
        else:
            estimates = estimator(seen.picture.image, faces)
    return [
        described(face, asked, attributes)
        for face, attributes in zip(faces, estimates, strict=True)
    ]


def described(face: Face, asked: Asked, attributes: Attributes | None) -> dict[str, Any]:
    """One face in their words; where nothing can be said of age and gender, both are absent."""
    x_min, y_min, x_max, y_max = (round(float(value)) for value in face.box)
    words: dict[str, Any] = {
        "box": {
            "probability": round(face.score, 5),
            "x_max": x_max,
            "y_max": y_max,
            "x_min": x_min,
            "y_min": y_min,
        }
    }
    if asked.landmarks:
        words["landmarks"] = [[round(float(x)), round(float(y))] for x, y in face.landmarks]
    if attributes is not None and attributes.age is not None and asked.age:
        age = attributes.age
        words["age"] = {"low": age.low, "high": age.high, "probability": age.probability}
    if attributes is not None and attributes.gender is not None and asked.gender:
        gender = attributes.gender
        words["gender"] = {"value": gender.value, "probability": round(gender.probability, 5)}
    return words


_EXAMPLE = {
    "result": [{"box": {"probability": 0.98, "x_max": 32, "y_max": 40, "x_min": 1, "y_min": 2}}]
}
_WHOLE = {"type": "integer"}
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["result"],
    "properties": {
        "result": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["box"],
                "properties": {
                    "box": {
                        "type": "object",
                        "properties": {
                            "probability": {"type": "number"},
                            **dict.fromkeys(("x_max", "y_max", "x_min", "y_min"), _WHOLE),
                        },
                    },
                    "landmarks": {"type": "array", "items": {"type": "array", "items": _WHOLE}},
                    "age": {
                        "type": "object",
                        "properties": {
                            "probability": {"type": "number"},
                            **dict.fromkeys(("low", "high"), _WHOLE),
                        },
                    },
                    "gender": {
                        "type": "object",
                        "properties": {
                            "probability": {"type": "number"},
                            "value": {"enum": ["male", "female", "undetermined"]},
                        },
                    },
                },
            },
        }
    },
}
