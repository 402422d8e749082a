"""Routes about cameras that are being watched: `GET /v1/live` and what lies below."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, Field
from starlette.responses import StreamingResponse

from facecctv.api import replies
from facecctv.api.desk import Desk
from facecctv.api.problems import Problem, documented
from facecctv.api.replies import encoded
from facecctv.api.security import client
from facecctv.api.telling import HEARTBEAT
from facecctv.footage.watched import Live, State, Told, Watched
from facecctv.schema.basis import Measure, Text
from facecctv.schema.live import CameraState, Moment, Sighted

NOTICED = 0.25
"""Seconds between looks for new events."""
_ASKING = (400, 401, 403, 404, 422, 500)
_BYTES: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}

Number = Annotated[int, Path(ge=1, le=1_000_000, description="Of the camera.", alias="camera")]
EventNumber = Annotated[int, Path(ge=1, le=10**15, description="Of the event.", alias="event")]


class LiveCamera(BaseModel):
    """One camera of the moment."""

    number: Annotated[int, Field(ge=1)]
    name: Text
    """Its address without secrets; two cameras may share one."""
    state: State
    since: Moment
    detail: Text | None = None
    """Why it is lost or ended."""
    rate: Measure
    """Frames a second of late."""
    dropped: Annotated[int, Field(ge=0)]
    """Frames that made way for newer ones."""
    people: Annotated[int, Field(ge=0)] | None = None
    """Seen in the newest frame that was searched; absent while the camera is not watched."""

    @classmethod
    def of(cls, camera: Watched) -> LiveCamera:
        """How it stands with a camera."""
        status = camera.status
        return cls(
            number=camera.number,
            name=camera.name,
            state=status.state,
            since=status.since,
            detail=status.detail,
            rate=camera.rate,
            dropped=camera.dropped,
            people=camera.people,
        )


class LiveState(BaseModel):
    """The reply to `GET /v1/live`."""

    at: Moment
    """The server's time of day."""
    searching: bool
    """Whether everybody is searched for in a watch-list."""
    cameras: tuple[LiveCamera, ...]


class EventStream(StreamingResponse):
    """Server-sent events."""

    media_type = "text/event-stream"


def routes(desk: Desk) -> APIRouter:
    """All of them; none where no camera is watched.

    They are meant to be asked often, so they do not count towards `requests_per_minute`: what one
    costs is bounded by the cameras, not by how many ask.
    """
    router = APIRouter(prefix="/v1/live", tags=["cameras"])
    live = desk.settings.live
    if live is not None:
        _add_telling(router, desk, live)
        _add_showing(router, desk, live)
    return router


def _add_telling(router: APIRouter, desk: Desk, live: Live) -> None:
    @router.get(
        "",
        summary="Cameras and how it stands with them",
        response_model=LiveState,
        responses=documented((400, 401, 403, 500)),
    )
    async def show(request: Request) -> Response:
        """In the order in which they were named."""
        client(request, desk.settings.keys)
        cameras = tuple(LiveCamera.of(one) for one in live.cameras)
        now = datetime.now().astimezone()
        return replies.json_reply(LiveState(at=now, searching=live.searching, cameras=cameras))

    @router.get(
        "/events",
        summary="What happens, as it happens",
        response_class=EventStream,
        responses={
            200: {
                "model": Sighted | CameraState,
                "description": "Server-sent events. The schema is that of each `data`.",
            },
            **documented((400, 401, 403, 500)),
        },
    )
    async def events(request: Request) -> Response:
        """`data` is what `facecctv watch --json` prints, `event` its member of that name, and `id`
        the number of the event and that of its camera, such as `17-2`. Of a camera that stays lost
        only the first notice is an event.

        The last 200 events come first, or those after `Last-Event-ID`. Comments in between say that
        the line is alive. An event `end` without content is the last when the watch is over.
        """
        client(request, desk.settings.keys)
        last = request.headers.get("last-event-id", "").partition("-")[0]
        after = int(last) if last.isascii() and last.isdigit() and len(last) < 16 else 0
        return EventStream(_events(live, after))


def _add_showing(router: APIRouter, desk: Desk, live: Live) -> None:
    @router.get(
        "/cameras/{camera}/picture",
        summary="What a camera sees",
        response_class=Response,
        responses={
            204: {"description": "There is none yet."},
            200: {
                "content": {"image/jpeg": _BYTES},
                "headers": {"ETag": {"description": "Of the frame.", "schema": {"type": "string"}}},
            },
            304: {"description": "It is the one that `If-None-Match` names."},
            **documented(_ASKING),
        },
    )
    async def picture(request: Request, number: Number) -> Response:
        """The newest frame that was searched, at most 960 pixels wide; who is followed is outlined,
        with the number of the passage. At most four are made of a camera each second, whoever asks.
        """
        client(request, desk.settings.keys)
        if number > len(live.cameras):
            raise Problem(404, "there is no such camera (GET /v1/live lists them)")
        jpeg = await asyncio.to_thread(live.cameras[number - 1].picture)
        if jpeg is None:
            return Response(status_code=204)
        tag = f'"{hashlib.sha256(jpeg).hexdigest()[:32]}"'
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers={"ETag": tag})
        return Response(jpeg, media_type="image/jpeg", headers={"ETag": tag})

    @router.get(
        "/sights/{event}",
        summary="The best sight of an event",
        response_class=Response,
        responses={200: {"content": {"image/png": _BYTES}}, **documented(_ASKING)},
    )
    async def sight(request: Request, number: EventNumber) -> Response:
        """The face's own pixels with some around, as PNG, while the event is remembered."""
        client(request, desk.settings.keys)
        found = next((one.sight for one in live.told() if one.number == number), None)
        if found is None:
            raise Problem(404, "there is no sight of this event, or it is no longer remembered")
        png = await asyncio.to_thread(encoded, found, "png")
        return Response(png, media_type="image/png")


async def _events(live: Live, after: int) -> AsyncIterator[str]:
    """Server-sent events until the watch is over."""
    quiet = 0.0
    while True:
        over = live.over  # asked first, so that nothing told before the end is left out
        news = live.told(after)
        for one in news:
            after, quiet = one.number, 0.0
            yield _line(one)
        if over:
            yield "event: end\ndata:\n\n"
            return
        if quiet >= HEARTBEAT:
            quiet = 0.0
            yield ": still here\n\n"
        await asyncio.sleep(NOTICED)
        quiet += NOTICED


def _line(told: Told) -> str:
    return f"id: {told.number}-{told.camera}\nevent: {told.kind}\ndata: {told.text}\n\n"
