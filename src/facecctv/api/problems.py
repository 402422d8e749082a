"""Errors as RFC 9457 says: one small JSON object, with nothing of the server's insides."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Literal, get_args

from starlette.responses import JSONResponse

MEDIA_TYPE = "application/problem+json"

Reason = Literal[
    "option",
    "output-too-large",
    "has-colour",
    "not-installed",
    "no-face",
    "several-faces",
    "not-a-video",
    "video-too-large",
    "no-job",
    "not-a-result",
    "other-source",
    "other-model",
]
"""A member `reason` beside those of RFC 9457, where one status has several ways out."""

SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "const": "about:blank"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "reason": {
            "type": "string",
            "enum": list(get_args(Reason)),
            "description": "Where one status has several ways out.",
        },
        "picture": {"type": "string", "description": "Of several, the one at fault."},
    },
}

MEANINGS = {
    400: "The request cannot be understood: a broken body, no picture in it, a wrong host.",
    401: "An API key is needed, or the one sent is not known.",
    403: "The request comes from a web page that this server does not serve, or the server lets "
    "nobody change its watch-list.",
    404: "Nothing answers here, nobody of this name is on the watch-list, or there is no such job, "
    "or nothing of this name in it (yet).",
    405: "The address exists, the method does not.",
    408: "The upload took too long.",
    409: "The job is not one that this can be done to now.",
    413: "More bytes, pixels or seconds than the limits allow (`GET /v1/limits`).",
    415: "Not a body, a picture or a video of a known type.",
    416: "The part asked for lies outside the video.",
    422: "An option out of its range, a picture that is damaged, or none or several faces where "
    "one is meant.",
    429: "Too much at once: try again after the seconds that `Retry-After` names.",
    500: "A bug. Nothing of the request was kept.",
    503: "The work took too long, or a model or a watch-list cannot be used or is not there.",
}
WITH_RETRY = frozenset({429, 503})


class Problem(Exception):
    """Ends a request with this status; the detail is for the person who sent it.

    `extra` holds members beside those of RFC 9457, for clients that expect their own.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
        reason: Reason | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.extra = dict(extra or {}) | ({"reason": reason} if reason else {})

    def of(self, picture: str) -> Problem:
        """The same, naming the picture at fault of several."""
        detail, extra = f"{picture}: {self.detail}", self.extra | {"picture": picture}
        return Problem(self.status, detail, self.headers, extra)

    def response(self) -> JSONResponse:
        """The problem as sent."""
        body = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        return JSONResponse(self.extra | body, self.status, self.headers, MEDIA_TYPE)


def busy(status: int, detail: str, seconds: float) -> Problem:
    """A problem that goes away by itself; the client may try again after so many seconds."""
    return Problem(status, detail, {"Retry-After": str(max(1, round(seconds)))})


def documented(statuses: Iterable[int]) -> dict[int | str, dict[str, Any]]:
    """These statuses for OpenAPI."""
    return {status: _documented(status) for status in statuses}


def _documented(status: int) -> dict[str, Any]:
    example = Problem(status, MEANINGS[status]).response().body
    described: dict[str, Any] = {
        "description": MEANINGS[status],
        "content": {MEDIA_TYPE: {"schema": SCHEMA, "example": json.loads(bytes(example))}},
    }
    if status in WITH_RETRY:
        described["headers"] = {
            "Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}
        }
    return described
