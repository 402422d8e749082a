"""What OpenAPI says of bodies and replies that FastAPI cannot see by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from facecctv.api.problems import documented

PICTURE_FAILURES = documented((400, 401, 403, 408, 413, 415, 422, 429, 500, 503))
PLAIN_FAILURES = documented((400, 403, 500))

_BINARY = {"schema": {"type": "string", "format": "binary"}}
DIGEST = {
    "X-Input-SHA256": {
        "description": "Of the picture file as received.",
        "schema": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    }
}
# The smallest PNG that is one grey pixel.
_PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)


_BOXES = (
    "Boxes drawn by hand, examined instead of looking for faces: x_min, y_min, x_max, y_max each, "
    "in pixels of the picture. `max_boxes` of GET /v1/limits at most."
)


def picture_body(field_name: str = "file", *, boxes: bool = False) -> dict[str, Any]:
    """A request with one picture and, if `boxes`, boxes drawn in it, for `openapi_extra`."""
    body = _picture_body(field_name)
    if boxes:
        form, json = (kind["schema"] for kind in body["requestBody"]["content"].values())
        form["properties"]["boxes"] = {
            "type": "string",
            "contentMediaType": "application/json",
            "description": f"{_BOXES} As JSON, such as [[10, 20, 60, 90]].",
        }
        box = {"type": "array", "items": {"type": "number", "minimum": 0}}
        json["properties"]["boxes"] = {
            "type": "array",
            "description": _BOXES,
            "items": box | {"minItems": 4, "maxItems": 4},
        }
    return body


def pictures_body(names: Sequence[str]) -> dict[str, Any]:
    """A request with a picture of each of these names, for `openapi_extra`."""
    binary = {"type": "string", "format": "binary", "description": "A picture file."}
    text = {"type": "string", "format": "byte", "description": "A picture file in base64."}
    kinds = {"multipart/form-data": binary, "application/json": text}
    content: dict[str, Any] = {
        kind: {
            "schema": {
                "type": "object",
                "required": list(names),
                "properties": dict.fromkeys(names, one),
            }
        }
        for kind, one in kinds.items()
    }
    content["application/json"]["example"] = dict.fromkeys(names, _PIXEL)
    return {"requestBody": {"required": True, "content": content}}


def video_body() -> dict[str, Any]:
    """A request with one video, for `openapi_extra`."""
    binary = {"type": "string", "format": "binary", "description": "The video file."}
    form = {"type": "object", "required": ["file"], "properties": {"file": binary}}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}}}


def _picture_body(field_name: str) -> dict[str, Any]:
    binary = {"type": "string", "format": "binary", "description": "The picture file."}
    text = {"type": "string", "format": "byte", "description": "The picture file in base64."}
    return {
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": [field_name],
                        "properties": {field_name: binary},
                    }
                },
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": [field_name],
                        "properties": {
                            field_name: text,
                            "name": {"type": "string", "description": "Comes back as source."},
                        },
                    },
                    "example": {field_name: _PIXEL, "name": "pixel.png"},
                },
            },
        }
    }


def with_pictures(description: str, example: Any = None) -> dict[int | str, dict[str, Any]]:
    """JSON by default, a picture by `Accept`, and all that can go wrong."""
    content: dict[str, Any] = dict.fromkeys(("image/png", "image/jpeg", "image/webp"), _BINARY)
    if example is not None:
        content["application/json"] = {"example": example}
    return {
        200: {"description": description, "content": content, "headers": DIGEST},
        **PICTURE_FAILURES,
    }


def made(description: str) -> dict[int | str, dict[str, Any]]:
    """As `with_pictures`; a picture's headers say how it was made."""
    found = with_pictures(description)
    found[200]["headers"] = DIGEST | {
        "X-Step-Classes": {
            "description": "Of a picture: the class of each step, in order.",
            "schema": {"type": "string"},
        },
        "X-Estimated": {
            "description": "Of a picture: what is an estimate; detail, colour, both or nothing.",
            "schema": {"type": "string"},
        },
    }
    return found


def only_pictures(description: str) -> dict[int | str, dict[str, Any]]:
    """A picture, JPEG unless `Accept` says otherwise, and all that can go wrong."""
    content = dict.fromkeys(("image/jpeg", "image/png", "image/webp"), _BINARY)
    return {
        200: {"description": description, "content": content, "headers": DIGEST},
        **PICTURE_FAILURES,
    }


FACE_EXAMPLE: dict[str, Any] = {
    "box": {"x_min": 1.0, "y_min": 2.0, "x_max": 31.5, "y_max": 40.0, "probability": 0.98},
    "landmarks": [[10.1, 15.2], [20.3, 15.0], [15.5, 22.0], [11.0, 30.1], [19.8, 30.0]],
}
ATTRIBUTES_EXAMPLE: dict[str, Any] = {
    "source": "door.jpg",
    "sha256": "0" * 64,
    "width": 1280,
    "height": 720,
    "faces": [
        FACE_EXAMPLE
        | {
            "age": {"low": 25, "high": 38, "estimate": 31.0, "probability": 0.8},
            "gender": {"value": "female", "probability": 0.91},
        }
    ],
}
RESULT_EXAMPLE: dict[str, Any] = {
    "source": "door.jpg",
    "sha256": "0" * 64,
    "width": 1280,
    "height": 720,
    "faces": [FACE_EXAMPLE],
}
