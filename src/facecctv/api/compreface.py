"""Routes by which clients of CompreFace work unchanged.

Names, shapes and error codes are theirs. Where their reply to "no face" is an error, so is ours
here, and only here: their clients look for its code.
"""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import JSONResponse

from facecctv.api import documents
from facecctv.api.desk import Desk, Seen
from facecctv.api.options import Looking
from facecctv.api.problems import Problem
from facecctv.types import Face

NO_FACE = {"code": 28, "message": "No face is found in the given image"}


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
        limit: Annotated[int, Query(ge=0, le=2**31 - 1, description="0: no limit.")] = 0,
        det_prob_threshold: Annotated[
            float | None, Query(ge=0, le=1, description="Else the model's own.")
        ] = None,
        face_plugins: Annotated[
            str, Query(max_length=200, description="`landmarks`; names not installed add nothing.")
        ] = "",
        status: Annotated[bool, Query(description="Add versions and times.")] = False,
        prediction_count: Annotated[
            int, Query(ge=0, le=2**31 - 1, description="Of no effect on detection.")
        ] = 1,
    ) -> Response:
        """Boxes in whole pixels. No face is 400 with code 28, as CompreFace's clients expect."""
        threshold = det_prob_threshold
        looking = Looking(
            threshold=None if threshold is None else min(max(threshold, 0.001), 0.999),
            min_face=0.0,
            tiles="auto",
            margin=0.35,
            limit=limit or None,
        )
        pipeline = looking.pipeline(desk)
        plugins = {name.strip() for name in face_plugins.split(",")}

        def work(seen: Seen) -> Response:
            began = time.perf_counter()
            faces = looking.faces(desk, pipeline, seen.picture.image)
            if not faces:
                raise Problem(400, NO_FACE["message"], extra=NO_FACE)  # type: ignore[arg-type]
            result = [_face(face, landmarks="landmarks" in plugins) for face in faces]
            reply: dict[str, Any] = {"result": result}
            if status:
                spent = round((time.perf_counter() - began) * 1000, 1)
                for face in result:
                    face["execution_time"] = {"detector": spent}
                reply["plugins_versions"] = {"detector": _detector(desk)}
            return JSONResponse(reply)

        return await desk.answer(request, work)

    return router


def _detector(desk: Desk) -> str:
    return ", ".join(f"{card.name} {card.version}" for card in desk.workshop.cards())


def _face(face: Face, *, landmarks: bool) -> dict[str, Any]:
    x_min, y_min, x_max, y_max = (round(float(value)) for value in face.box)
    found: dict[str, Any] = {
        "box": {
            "probability": round(face.score, 5),
            "x_max": x_max,
            "y_max": y_max,
            "x_min": x_min,
            "y_min": y_min,
        }
    }
    if landmarks:
        found["landmarks"] = [[round(float(x)), round(float(y))] for x, y in face.landmarks]
    return found


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
                },
            },
        }
    },
}
