"""Video files in: whatever FFmpeg reads, as upright frames with exact times.

Nothing but the file itself is opened (`opening`), and play lists, which would make the reader open
other files, are refused.
"""

from __future__ import annotations

import logging
import math
import os
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import av
import av.error
import cv2
import numpy as np
from av.stream import Disposition

from facecctv.errors import VideoError
from facecctv.footage.ahead import ahead
from facecctv.footage.memory import Source
from facecctv.footage.opening import opened
from facecctv.types import Frame, Image

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

DEPTH = 4
"""Frames that are decoded ahead."""
_REMEMBERED = 4 * DEPTH
MOST_PIXELS = 100_000_000
"""Of one frame."""
_PLAY_LISTS = frozenset({"hls", "concat", "dash", "imf", "ffmetadata", "sdp", "rtsp"})
_USUAL_RATE = Fraction(25)
_SQUARE = Fraction(1)
_WIDEST = 4
"""Pixels of a stranger shape than this are a broken header."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Facts:
    """What a file says of its video before it is decoded."""

    container: str
    """FFmpeg's name of the format, such as "mov,mp4,m4a,3gp,3g2,mj2"."""
    codec: str
    width: int
    """Of the upright frames, pixels."""
    height: int
    rotation: int
    """Degrees counter-clockwise that the stored frames are turned by to be upright: 0, 90, 180 or
    270."""
    pixel_aspect: Fraction
    """Width of a stored pixel over its height; what is not square is enlarged to be."""
    rate: Fraction | None
    """Frames a second on average, where the file says."""
    duration: Fraction | None
    """Seconds, where the file says."""
    frames: int | None
    """How many, counted or estimated, where the file says."""
    time_base: Fraction
    """Seconds: times are multiples of it."""
    start: Fraction
    """Seconds on the file's own clock at which its first stream begins; times count from here."""
    audio: str | None
    """Codec of the sound, if any."""


@dataclass(frozen=True)
class Mark:
    """A frame that reading can begin at again."""

    index: int
    time: Fraction
    damaged: int = 0
    """What could not be decoded whole up to there."""


class Video:
    """A video file, or the bytes of one, read as often as wanted; a context manager.

    Raises VideoError for what is no video, is cut off before its index, has no picture stream,
    needs a codec that is not there or has frames of more than `most_pixels`; FileNotFoundError and
    other OSErrors as `open` does.
    """

    def __init__(self, source: Source, most_pixels: int = MOST_PIXELS) -> None:
        self.source = source if isinstance(source, (bytes, bytearray)) else os.fspath(source)
        self._most_pixels = most_pixels
        self.damaged = 0
        """Packets and frames that could not be decoded whole, up to the frame handed out last."""
        self._damage = 0
        self._counts: deque[tuple[int, int]] = deque(maxlen=_REMEMBERED)
        self.facts = self._facts()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    def frames(
        self, begin: Mark | None = None, wanted: Callable[[int], bool] | None = None
    ) -> Generator[Frame]:
        """Every frame in order of time, decoded in a thread of its own, a few ahead.

        `begin` is a frame of an earlier reading of this file: reading starts there. Frames of which
        `wanted` (asked with the index, in that thread) says no are decoded but left out. Damage is
        survived and counted in `damaged`. Raises VideoError where not one frame can be decoded.
        """
        self._damage = 0 if begin is None else begin.damaged
        with closing(ahead(self._frames(begin, wanted), DEPTH)) as frames:
            for frame, damaged in frames:
                self.damaged = damaged
                self._counts.append((frame.index, damaged))
                yield frame
        self.damaged = self._damage

    @property
    def stream(self) -> str:
        """What its frames say they are of: the path; `memory` for bytes."""
        return self.source if isinstance(self.source, str) else "memory"

    def mark(self, frame: Frame) -> Mark:
        """Where reading can begin again: at one of the last few frames that were handed out."""
        return Mark(frame.index, frame.time, dict(self._counts)[frame.index])

    def _frames(
        self, begin: Mark | None, wanted: Callable[[int], bool] | None
    ) -> Generator[tuple[Frame, int]]:
        with ExitStack() as stack:
            container = stack.enter_context(_opened(self.source))
            stream = _stream(container)
            pictures = None if begin is None else self._from(container, stream, begin)
            last = -1 if begin is None or pictures is None else begin.index - 1
            if begin is not None and pictures is None:
                self._damage = 0
                container = stack.enter_context(_opened(self.source))
                stream = _stream(container)
            if pictures is None:
                pictures = _decoded(container, stream, self._count_damage)
            for index, time, picture in self._timed(pictures, last + 1):
                last = index
                past = begin is None or index >= begin.index
                if past and (wanted is None or wanted(index)):
                    frame = Frame(self.stream, index, time, self._upright(picture))
                    yield frame, self._damage
            if last < 0:
                raise VideoError("holds no frame that can be decoded")

    def _timed(
        self, pictures: Iterator[VideoFrame], first: int
    ) -> Iterator[tuple[int, Fraction, VideoFrame]]:
        """Index and time of each decoded frame; times rise strictly, whatever the file says."""
        last = None
        step = 1 / (self.facts.rate or _USUAL_RATE)
        for index, picture in enumerate(pictures, first):
            time = self._time(picture)
            if time is None or (last is not None and time <= last):
                time = Fraction(0) if last is None else last + step
            last = time
            yield index, time, picture

    def _from(
        self, container: InputContainer, stream: VideoStream, begin: Mark
    ) -> Iterator[VideoFrame] | None:
        """Frames from a mark on without decoding all before it; None where the file will not."""
        at = int((begin.time + self.facts.start) / self.facts.time_base)
        try:
            container.seek(at, stream=stream)
        except av.error.FFmpegError:
            # Not every container can; then all before the mark is decoded.
            return None
        before = self._damage
        pictures = _decoded(container, stream, self._count_damage)
        for picture in pictures:
            time = self._time(picture)
            if time == begin.time:
                # What lies before it was counted by the earlier reading.
                self._damage = before
                return chain([picture], pictures)
            if time is None or time > begin.time:
                return None
        return None

    def _time(self, picture: VideoFrame) -> Fraction | None:
        if picture.pts is None or picture.time_base is None:
            return None
        return picture.pts * picture.time_base - self.facts.start

    def _count_damage(self) -> None:
        self._damage += 1

    def _upright(self, picture: VideoFrame) -> Image:
        self._check_size(picture.width, picture.height)
        image = np.asarray(picture.to_ndarray(format="rgb24"), np.uint8)
        aspect = self.facts.pixel_aspect
        if aspect != _SQUARE:
            width, height = _squared(image.shape[1], image.shape[0], aspect)
            resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)
            image = np.asarray(resized, np.uint8)
        if self.facts.rotation:
            image = np.ascontiguousarray(np.rot90(image, self.facts.rotation // 90))
        return image

    def _check_size(self, width: int, height: int) -> None:
        if width * height > self._most_pixels:
            raise VideoError(f"frames of {width} x {height} pixels are too large")

    def _facts(self) -> Facts:
        with _opened(self.source) as container:
            stream = _stream(container)
            self._check_size(stream.width, stream.height)
            first = next(_decoded(container, stream, lambda: None), None)
            if first is None:
                raise VideoError("holds no frame that can be decoded")
            aspect = _aspect(stream.sample_aspect_ratio)
            self._check_size(*_squared(first.width, first.height, aspect))
            rotation = round(first.rotation / 90) % 4 * 90
            width, height = _squared(first.width, first.height, aspect)
            if rotation % 180:
                width, height = height, width
            rate, duration = stream.average_rate or None, _duration(container, stream)
            count = stream.frames or (round(duration * rate) if duration and rate else 0)
            sound = container.streams.audio
            return Facts(
                container=container.format.name,
                codec=stream.codec_context.name,
                width=width,
                height=height,
                rotation=rotation,
                pixel_aspect=aspect,
                rate=rate,
                duration=duration,
                frames=count or None,
                time_base=stream.time_base or Fraction(1, 90_000),
                start=_start(container),
                audio=sound[0].codec_context.name if sound else None,
            )


def _opened(source: str | bytes | bytearray) -> InputContainer:
    if isinstance(source, str) and not Path(source).is_file():
        with open(source, "rb"):  # noqa: PTH123 - says by its own error what is the matter
            raise VideoError("is no file")
    try:
        container = opened(source)
    except (av.error.FFmpegError, ValueError) as error:
        if isinstance(error, OSError) and isinstance(source, str):
            raise
        raise VideoError("no video, or one that is cut off before its index") from error
    if _PLAY_LISTS & set(container.format.name.split(",")):
        container.close()
        raise VideoError("is a play list: name the video itself")
    return container


def _stream(container: InputContainer) -> VideoStream:
    pictures = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not pictures:
        raise VideoError("has sound but no video" if container.streams.audio else "has no video")
    stream = pictures[0]
    if stream.codec_context is None:
        raise VideoError("needs a codec that is not there")
    stream.thread_type = "AUTO"
    return stream


def _decoded(
    container: InputContainer, stream: VideoStream, damage: Callable[[], None]
) -> Iterator[VideoFrame]:
    """Decoded frames; damaged packets and frames are reported and survived."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError as error:
            _LOG.debug("reading ends early: %s", error)
            damage()
            packet = None
        if packet is None:
            return
        if packet.is_corrupt:
            damage()
        try:
            pictures = packet.decode()
        except av.error.FFmpegError as error:
            _LOG.debug("a packet cannot be decoded: %s", error)
            damage()
            continue
        for picture in pictures:
            if picture.is_corrupt:
                damage()
            yield picture


def _aspect(stated: Fraction | None) -> Fraction:
    if not stated or not Fraction(1, _WIDEST) <= stated <= _WIDEST:
        return _SQUARE
    return Fraction(stated)


def _squared(width: int, height: int, aspect: Fraction) -> tuple[int, int]:
    """Size in square pixels; the side that is stretched is stretched, nothing is shrunk."""
    if aspect >= 1:
        return max(1, math.floor(width * aspect + Fraction(1, 2))), height
    return width, max(1, math.floor(height / aspect + Fraction(1, 2)))


def _duration(container: InputContainer, stream: VideoStream) -> Fraction | None:
    if stream.duration is not None and stream.time_base is not None:
        return stream.duration * stream.time_base
    if container.duration is not None and container.duration > 0:
        return Fraction(container.duration, 1_000_000)
    return None


def _start(container: InputContainer) -> Fraction:
    begins = [
        stream.start_time * stream.time_base
        for stream in (*container.streams.video, *container.streams.audio)
        if stream.start_time is not None and stream.time_base is not None
    ]
    # Sound that has to be decoded before the beginning is not heard, so nothing begins with it.
    return max(Fraction(0), min(begins, default=Fraction(0)))
