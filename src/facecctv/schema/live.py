"""The JSON form of what happens before a live source."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import Field, PlainSerializer

from facecctv import types
from facecctv.footage.camera import Notice
from facecctv.footage.live import Event
from facecctv.schema import Face
from facecctv.schema.basis import Text, _Model
from facecctv.schema.footage import Number, Seconds

Moment = Annotated[
    datetime,
    PlainSerializer(
        lambda at: at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        return_type=str,
    ),
]
"""Time of day in UTC, ISO 8601 with milliseconds."""


class Sighted(_Model):
    """Somebody appeared, was recognised, or left."""

    event: Literal["appeared", "matched", "left"]
    camera: Text
    """Its address without secrets."""
    passage: Number
    """Of this camera since the start."""
    time: Seconds
    """Since the first frame, by the source's own clock; `left`: of the last sight."""
    at: Moment | None = None
    """The same by this machine's clock."""
    first: Seconds | None = None
    """`left`: time of the first sight."""
    sights: Number | None = None
    """`left`: frames in which the face was seen, of those that are remembered."""
    face: Face
    """The best sight so far; with candidates and decision where a list was searched."""
    picture: Text | None = None
    """`left`: the best sight's pixels, relative to the output folder."""

    @classmethod
    def of(
        cls,
        kind: Literal["appeared", "matched", "left"],
        camera: str,
        event: Event,
        portrait: types.Portrait,
        picture: str | None = None,
    ) -> Self:
        """`portrait` is of the event's best sight."""
        track = event.track
        return cls(
            event=kind,
            camera=camera,
            passage=event.number,
            time=max(0.0, float(event.time)),
            at=event.at,
            first=None if track is None else max(0.0, float(track.first)),
            sights=None if track is None else int(track.seen.sum()),
            face=Face.of_portrait(portrait),
            picture=picture,
        )


class CameraState(_Model):
    """What became of a camera."""

    event: Literal["camera"] = "camera"
    camera: Text
    state: Literal["connected", "lost", "given up", "ended"]
    detail: Text | None = None
    at: Moment
    frames: Annotated[int, Field(ge=0)] | None = None
    """`ended`: how many were taken."""
    dropped: Annotated[int, Field(ge=0)] | None = None
    """`ended`: frames that made way for newer ones, as the work could not keep up."""
    damaged: Annotated[int, Field(ge=0)] | None = None
    """`ended`: packets, frames and pictures that could not be read whole."""

    @classmethod
    def of(cls, notice: Notice) -> Self:
        """The same facts."""
        return cls(
            camera=notice.camera, state=notice.state, detail=notice.detail or None, at=notice.at
        )
