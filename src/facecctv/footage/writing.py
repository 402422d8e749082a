"""Frames to a video, with the times that they came with and, where wanted, their sound."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, cast

import av
import av.error
import numpy as np

from facecctv.errors import OutputError, VideoError
from facecctv.footage.memory import Sink, Source
from facecctv.footage.opening import opened
from facecctv.types import Frame, check_image

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

SUFFIXES = frozenset({".mp4", ".mov", ".mkv", ".m4v"})
"""What can be written."""
_FORMATS = {".mp4": "mp4", ".mkv": "matroska"}
"""FFmpeg's names."""
Target = str | os.PathLike[str] | tuple[Sink, str]
"""A file, or a sink in memory with the suffix that a file would have."""
_ENCODERS = {
    "libx264": {"crf": "18", "preset": "veryfast"},
    "libopenh264": {},
    "mpeg4": {"qscale": "3"},
}
"""In order of preference, with how they are told to keep what is seen."""


def mp4_holds(codec: str | None) -> bool:
    """Whether an MP4 file can hold sound of this codec (FFmpeg's name); None is no sound."""
    if codec is None:
        return True
    with av.open(Sink(), "w", format=_FORMATS[".mp4"]) as container:
        return codec in container.supported_codecs


class Writer:
    """Writes one video: a context manager that is handed frames in order of time.

    It goes to a file, or to a sink in memory as the kind of file that the suffix names. A file
    appears whole when the context is left well, under a temporary name until then, and not at all
    otherwise. Times are kept exactly where they are multiples of `time_base`, to the
    nearest multiple otherwise. `sound` is a video whose first audio stream goes over as it
    is, `start` the time on its clock, seconds, that the frames call 0.

    Raises OutputError where nothing can be written, VideoError where the container cannot hold the
    sound.
    """

    def __init__(
        self,
        out: Target,
        time_base: Fraction = Fraction(1, 90_000),
        rate: Fraction | None = None,
        sound: Source | None = None,
        start: Fraction = Fraction(0),
    ) -> None:
        self._place: _File | _Memory
        self._place = _Memory(*out) if isinstance(out, tuple) else _File(Path(out))
        self._time_base, self._rate = time_base, rate
        self._container = self._created()
        self._stream: VideoStream | None = None
        self._sound: _Sound | None = None
        self._size = (0, 0)
        # What is decoded before the beginning has no place on a clock that begins at 0.
        early = self._place.suffix != ".mkv"
        try:
            self._sound = None if sound is None else _Sound(sound, start, early)
        except BaseException:
            self._discard()
            raise

    def __enter__(self) -> Self:
        return self

    def write(self, frame: Frame) -> None:
        """Encodes one frame; all have the size of the first (ValueError)."""
        height, width = check_image(frame.image).shape[:2]
        try:
            stream = self._stream or self._begin(width, height)
            if (width, height) != self._size:
                raise ValueError(f"a frame of {width} x {height} in a video of {self._size}")
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame.image), format="rgb24")
            picture.pts = round(frame.time / self._time_base)
            picture.time_base = self._time_base
            if self._sound is not None:
                self._container.mux(list(self._sound.until(frame.time)))
            self._container.mux(stream.encode(picture))
        except (av.error.FFmpegError, OSError) as error:
            raise self._failed(error) from error

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None or self._stream is None:
            self._discard()
            if kind is None:
                raise VideoError("no frame was written")
            return
        try:
            self._container.mux(self._stream.encode(None))
            if self._sound is not None:
                self._container.mux(list(self._sound.until(None)))
                self._sound.close()
            self._container.close()
            self._place.keep()
        except (av.error.FFmpegError, OSError) as found:
            self._discard()
            raise self._failed(found) from found

    def _created(self) -> OutputContainer:
        try:
            return self._place.opened()
        except (av.error.FFmpegError, OSError) as error:
            raise self._failed(error) from error

    def _begin(self, width: int, height: int) -> VideoStream:
        name = next(name for name in _ENCODERS if name in av.codecs_available)
        rate = self._rate or Fraction(25)
        added = self._container.add_stream(name, rate=rate, options=dict(_ENCODERS[name]))
        stream = cast("VideoStream", added)
        stream.width, stream.height = width, height
        # An odd side cannot share its colour between two pixels.
        stream.pix_fmt = "yuv444p" if (width % 2 or height % 2) else "yuv420p"
        stream.codec_context.time_base = self._time_base
        stream.time_base = self._time_base
        if self._sound is not None:
            self._sound.join(self._container)
        self._stream, self._size = stream, (width, height)
        return stream

    def _discard(self) -> None:
        if self._sound is not None:
            self._sound.close()
        try:
            self._container.close()
        except (av.error.FFmpegError, OSError, ValueError):
            # It is thrown away: what it still wanted to write is of no use.
            pass
        finally:
            self._place.drop()

    def _failed(self, error: Exception) -> OutputError:
        reason = getattr(error, "strerror", None) or error
        return OutputError(f"{self._place.name}: cannot be written: {reason}")


class _File:
    """A file that appears whole or not at all."""

    def __init__(self, target: Path) -> None:
        self.suffix, self.name = target.suffix.lower(), str(target)
        if self.suffix not in SUFFIXES:
            raise OutputError(f"videos are written as {', '.join(sorted(SUFFIXES))}")
        self._target = target
        self._temporary = target.with_name(f".{secrets.token_hex(8)}{self.suffix}")

    def opened(self) -> OutputContainer:
        self._temporary.touch(exist_ok=False)
        return av.open(f"file:{self._temporary}", "w")

    def keep(self) -> None:
        self._temporary.replace(self._target)

    def drop(self) -> None:
        self._temporary.unlink(missing_ok=True)


class _Memory:
    """A buffer, which is overwritten with zeros where the video does not become whole."""

    def __init__(self, sink: Sink, suffix: str) -> None:
        if suffix not in _FORMATS:
            raise OutputError(f"videos are written to memory as {', '.join(_FORMATS)}")
        self.suffix, self.name = suffix, "the video"
        self._sink = sink

    def opened(self) -> OutputContainer:
        return av.open(self._sink, "w", format=_FORMATS[self.suffix])

    def keep(self) -> None:
        """It is there already."""

    def drop(self) -> None:
        self._sink.empty()


class _Sound:
    """The packets of a file's first audio stream, in order, handed out as time goes on."""

    def __init__(self, source: Source, start: Fraction, early: bool) -> None:
        try:
            self._container = opened(source)
        except av.error.FFmpegError as error:
            raise VideoError("its sound cannot be read") from error
        known = [one for one in self._container.streams.audio if one.codec_context is not None]
        self._source = known[0] if known else None
        self._start, self._early = start, early
        self._stream: AudioStream | None = None
        self._packets: Iterator[Packet[AudioStream]] = iter(())
        self._next: Packet[AudioStream] | None = None
        if self._source is not None:
            self._packets = self._container.demux(self._source)
            self._advance()

    def join(self, container: OutputContainer) -> None:
        """Adds the stream to the file that is written."""
        if self._source is None:
            return
        try:
            self._stream = container.add_stream_from_template(self._source)
        except (av.error.FFmpegError, ValueError) as error:
            raise VideoError(
                f"{self._source.codec_context.name} sound does not fit this kind of file: "
                "write .mkv, or leave the sound out"
            ) from error

    def until(self, time: Fraction | None) -> Iterator[Packet[AudioStream]]:
        """The packets that begin no later than a time, seconds; all that are left for None."""
        while self._next is not None and self._stream is not None:
            packet = self._next
            base = packet.time_base or Fraction(1)
            if time is not None and (packet.dts or 0) * base - self._start > time:
                return
            shift = round(self._start / base)
            packet.dts = None if packet.dts is None else packet.dts - shift
            packet.pts = None if packet.pts is None else packet.pts - shift
            packet.stream = self._stream
            yield packet
            self._advance()

    def _advance(self) -> None:
        self._next = None
        for packet in self._packets:
            # The last packet of a stream is an empty one that says so.
            if not packet.size or packet.dts is None:
                continue
            if self._early or packet.dts * (packet.time_base or 1) >= self._start:
                self._next = packet
                return

    def close(self) -> None:
        self._container.close()
