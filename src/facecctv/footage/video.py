"""Video files in: whatever FFmpeg reads, as upright frames with exact times.

Nothing but the file itself is opened (`opening`), and play lists, which would make the reader open
other files, are refused.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import av
import av.error

from facecctv.closing import Closing
from facecctv.errors import VideoError
from facecctv.footage.ahead import ahead
from facecctv.footage.decoding import (
    MOST_PIXELS,
    PLAY_LISTS,
    Still,
    aspect_of,
    decoded,
    squared,
    still_of,
    stream_of,
    upright,
)
from facecctv.footage.hardware import FAILURES, DeviceFailed, Hardware
from facecctv.footage.memory import Source
from facecctv.footage.opening import opened
from facecctv.types import Frame, Image

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

T = TypeVar("T", Frame, Still)

DEPTH = 4
"""Frames that are decoded ahead."""
_REMEMBERED = 4 * DEPTH
_PLAY_LISTS = PLAY_LISTS | {"rtsp"}
_USUAL_RATE = Fraction(25)


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


class Video(Closing):
    """A video file, or the bytes of one, read as often as wanted; a context manager.

    Raises VideoError for what is no video, is cut off before its index, has no picture stream,
    needs a codec that is not there or has frames of more than `most_pixels`; FileNotFoundError and
    other OSErrors as `open` does.
    """

    def __init__(
        self, source: Source, most_pixels: int = MOST_PIXELS, hardware: Hardware | None = None
    ) -> None:
        self.source = source if isinstance(source, (bytes, bytearray)) else os.fspath(source)
        self._most_pixels = most_pixels
        self.damaged = 0
        """Packets and frames that could not be decoded whole, up to the frame handed out last."""
        self._damage = 0
        self._counts: deque[tuple[int, int]] = deque(maxlen=_REMEMBERED)
        self.facts = self._facts()
        self._hardware = hardware
        self.device: str | None = None
        """The kind of device that decodes; None: software."""
        self.decoding = ""
        """In words, what became of the hardware that was asked for."""
        if hardware is not None:
            self.device, self.decoding = hardware.first(self.source)

    def close(self) -> None:
        """Each pass over the frames opens the file for itself, and closes it."""

    def frames(
        self, begin: Mark | None = None, wanted: Callable[[int], bool] | None = None
    ) -> Generator[Frame]:
        """Every frame in order of time, decoded in a thread of its own, a few ahead.

        `begin` is a frame of an earlier reading of this file: reading starts there. Frames of which
        `wanted` (asked with the index, in that thread) says no are decoded but left out. Damage is
        survived and counted in `damaged`. Raises VideoError where not one frame can be decoded.
        """
        pictures = self._pictures(begin, wanted)
        yield from self._told(self._made(pictures, self._frame), begin)

    def stills(self, begin: Mark | None = None) -> Generator[Still]:
        """The same frames as `frames`, of which most need never become pixels."""
        yield from self._told(self._made(self._pictures(begin, None), self._still), begin)

    @property
    def stream(self) -> str:
        """What its frames say they are of: the path; `memory` for bytes."""
        return self.source if isinstance(self.source, str) else "memory"

    def mark(self, frame: Frame | Still) -> Mark:
        """Where reading can begin again: at one of the last few frames that were handed out."""
        return Mark(frame.index, frame.time, dict(self._counts)[frame.index])

    def _told(self, made: Generator[tuple[T, int]], begin: Mark | None) -> Generator[T]:
        """What is made ahead in a thread, with damage counted up to what was handed out."""
        self._damage = 0 if begin is None else begin.damaged
        with closing(ahead(made, DEPTH)) as running:
            for one, damaged in running:
                self.damaged = damaged
                self._counts.append((one.index, damaged))
                yield one
        self.damaged = self._damage

    def _made(
        self,
        pictures: Generator[tuple[int, Fraction, VideoFrame]],
        make: Callable[[int, Fraction, VideoFrame], T],
    ) -> Generator[tuple[T, int]]:
        with closing(pictures):
            for index, time, picture in pictures:
                yield make(index, time, picture), self._damage

    def _frame(self, index: int, time: Fraction, picture: VideoFrame) -> Frame:
        self._check_size(picture.width, picture.height)
        return Frame(self.stream, index, time, self._upright(picture))

    def _still(self, index: int, time: Fraction, picture: VideoFrame) -> Still:
        self._check_size(picture.width, picture.height)
        make = partial(self._upright, picture)
        turned = self.facts.rotation
        return still_of(self.stream, index, time, picture, make, rotation=turned)

    def _pictures(
        self, begin: Mark | None, wanted: Callable[[int], bool] | None
    ) -> Generator[tuple[int, Fraction, VideoFrame]]:
        """As `_read`; where a device fails, what it did not give comes from software."""
        last: Mark | None = None
        if self.device is not None:
            try:
                with closing(self._read(begin, wanted)) as given:
                    for index, time, picture in given:
                        last = Mark(index, time, self._damage)
                        yield index, time, picture
                return
            except DeviceFailed:
                when = "at the beginning" if last is None else f"after {float(last.time):.2f} s"
                self.decoding = f"hardware ({self.device}) failed {when}; the rest by software"
                self.device = None
        with closing(self._read(last or begin, wanted)) as given:
            for index, time, picture in given:
                if last is None or index > last.index:
                    yield index, time, picture

    def _open(self) -> InputContainer:
        if self.device is None or self._hardware is None:
            return _opened(self.source)
        try:
            return self._hardware.open(self.source, self.device)
        except FAILURES as error:
            raise DeviceFailed from error

    def _read(
        self, begin: Mark | None, wanted: Callable[[int], bool] | None
    ) -> Generator[tuple[int, Fraction, VideoFrame]]:
        with ExitStack() as stack:
            container = stack.enter_context(self._open())
            stream = stream_of(container)
            pictures = None if begin is None else self._from(container, stream, begin)
            last = -1 if begin is None or pictures is None else begin.index - 1
            if begin is not None and pictures is None:
                self._damage = 0
                container = stack.enter_context(self._open())
                stream = stream_of(container)
            if pictures is None:
                pictures = decoded(container, stream, self._count_damage)
            for index, time, picture in self._timed(pictures, last + 1):
                last = index
                past = begin is None or index >= begin.index
                if past and (wanted is None or wanted(index)):
                    yield index, time, picture
            if last < 0:
                self._count_damage()
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
        pictures = decoded(container, stream, self._count_damage)
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
        if self.device is not None:
            # Whether it is the file or the device, software tells.
            raise DeviceFailed
        self._damage += 1

    def _upright(self, picture: VideoFrame) -> Image:
        return upright(picture, self.facts.pixel_aspect, self.facts.rotation)

    def _check_size(self, width: int, height: int) -> None:
        if width * height > self._most_pixels:
            raise VideoError(f"frames of {width} x {height} pixels are too large")

    def _facts(self) -> Facts:
        with _opened(self.source) as container:
            stream = stream_of(container)
            self._check_size(stream.width, stream.height)
            first = next(decoded(container, stream, lambda: None), None)
            if first is None:
                raise VideoError("holds no frame that can be decoded")
            aspect = aspect_of(stream.sample_aspect_ratio)
            self._check_size(*squared(first.width, first.height, aspect))
            rotation = round(first.rotation / 90) % 4 * 90
            width, height = squared(first.width, first.height, aspect)
            if rotation % 180:
                width, height = height, width
            rate, duration = stream.average_rate or None, _duration(container, stream)
            count = stream.frames or (round(duration * rate) if duration and rate else 0)
            # A header that is cut off may tell of sound and not of which kind.
            sound = [one for one in container.streams.audio if one.codec_context is not None]
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
