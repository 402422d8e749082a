"""Videos in the server's memory: how much there is for them, and when they are wiped."""

from __future__ import annotations

import re
import threading
from collections.abc import AsyncIterator
from typing import Self

from starlette.responses import Response, StreamingResponse

from facecctv.api.problems import Problem, busy
from facecctv.footage.memory import wipe

_PIECE = 256 * 1024
_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")
MATROSKA = "video/x-matroska"
_KINDS = {"matroska": MATROSKA, "webm": "video/webm", "avi": "video/x-msvideo"}


class Room:
    """The memory for jobs; any thread may call it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self.held = 0
        """Bytes in use."""

    def hold(self, count: int) -> None:
        """Takes so many bytes; Problem 429 if they are not there."""
        with self._lock:
            if self.held + count > self._most:
                raise busy(429, "the server's memory for videos is full", 30)
            self.held += count

    def release(self, count: int) -> None:
        """Gives them back."""
        with self._lock:
            self.held -= count


class Clip:
    """A video's bytes, overwritten with zeros when the last who held them lets go.

    They count as held in the room already. Whoever makes a clip holds it.
    """

    def __init__(self, data: bytearray, room: Room) -> None:
        self.data = data
        self.kind = "video/mp4"
        """The media type; whoever knows better says so."""
        self._room = room
        self._lock = threading.Lock()
        self._holders = 1

    def hold(self) -> Self:
        """For one more; Problem 404 where it is gone already."""
        with self._lock:
            if not self._holders:
                raise Problem(404, "the video is gone", reason="no-job")
            self._holders += 1
        return self

    def release(self) -> None:
        """By each who held it, once."""
        with self._lock:
            self._holders -= 1
            last = self._holders == 0
        if last:
            wipe(self.data)
            self._room.release(len(self.data))


def media_type(container: str) -> str:
    """Of a container by FFmpeg's name."""
    names = container.split(",")
    return next((_KINDS[name] for name in names if name in _KINDS), "video/mp4")


def reply(clip: Clip, span: str | None, name: str) -> Response:
    """The video, or the part of it that the header `Range` asks for.

    Raises Problem 416 for a part that lies outside.
    """
    size = len(clip.data)
    headers = {"Accept-Ranges": "bytes", "Content-Disposition": f'attachment; filename="{name}"'}
    start, end, status = 0, size, 200
    asked = _RANGE.fullmatch(span or "")
    if asked is not None and any(asked.groups()):
        start, end = _part(asked[1], asked[2], size)
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        status = 206
    headers["Content-Length"] = str(end - start)
    return StreamingResponse(_pieces(clip.hold(), start, end), status, headers, clip.kind)


def _part(first: str, last: str, size: int) -> tuple[int, int]:
    start = int(first) if first else max(0, size - int(last))
    end = size if not (first and last) else min(size, int(last) + 1)
    if start >= end:
        raise Problem(416, "there is no such part", {"Content-Range": f"bytes */{size}"})
    return start, end


async def _pieces(clip: Clip, start: int, end: int) -> AsyncIterator[bytes]:
    try:
        for at in range(start, end, _PIECE):
            yield bytes(clip.data[at : min(end, at + _PIECE)])
    finally:
        clip.release()
