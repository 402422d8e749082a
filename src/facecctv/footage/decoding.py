"""From a container that is open to upright frames: what files and live streams have in common."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import TYPE_CHECKING

import av.error
import cv2
import numpy as np
from av.stream import Disposition

from facecctv.errors import VideoError
from facecctv.footage.cells import cells_of, cells_of_picture
from facecctv.types import Floats, Frame, Image

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

MOST_PIXELS = 100_000_000
"""Of one frame."""
PLAY_LISTS = frozenset({"hls", "concat", "dash", "imf", "ffmetadata", "sdp"})
"""Formats that make the reader open other files or addresses."""
_SQUARE = Fraction(1)
_WIDEST = 4
"""Pixels of a stranger shape than this are a broken header."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Still:
    """A decoded frame whose pixels are made when they are asked for."""

    stream: str
    index: int
    time: Fraction
    """As of the frame."""
    cells: Floats
    """Mean colours of cells, as `cells.cells_of` of the frame as it is stored."""
    pixels: Callable[[], Image]
    """Makes the upright picture."""

    arrived: datetime | None = None
    """When it came, of a live source."""
    turned: int = 0
    """Degrees counter-clockwise that the cells are turned by to lie upright."""

    def frame(self) -> Frame:
        """The frame with its pixels."""
        return Frame(self.stream, self.index, self.time, self.pixels())


def pixelled(frame: Frame | Still) -> Frame:
    """The frame with its pixels."""
    return frame.frame() if isinstance(frame, Still) else frame


def still_of(
    stream: str,
    index: int,
    time: Fraction,
    picture: VideoFrame,
    make: Callable[[], Image],
    arrived: datetime | None = None,
    rotation: int = 0,
) -> Still:
    """A still of a decoded picture; `make` makes its pixels, turned upright by `rotation`."""
    cells = cells_of_picture(picture)
    if cells is not None:
        return Still(stream, index, time, cells, make, arrived, rotation)
    image = make()
    return Still(stream, index, time, cells_of(image), lambda: image, arrived)


def upright(picture: VideoFrame, aspect: Fraction, rotation: int) -> Image:
    """(H, W, 3) uint8 RGB of square pixels, turned counter-clockwise by 0, 90, 180 or 270."""
    image = np.asarray(picture.to_ndarray(format="rgb24"), np.uint8)
    if aspect != _SQUARE:
        width, height = squared(image.shape[1], image.shape[0], aspect)
        resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)
        image = np.asarray(resized, np.uint8)
    if rotation:
        image = np.ascontiguousarray(np.rot90(image, rotation // 90))
    return image


def stream_of(container: InputContainer) -> VideoStream:
    """The first stream of pictures that is no cover; VideoError where there is none."""
    pictures = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not pictures:
        raise VideoError("has sound but no video" if container.streams.audio else "has no video")
    stream = pictures[0]
    if stream.codec_context is None:
        raise VideoError("needs a codec that is not there")
    stream.thread_type = "AUTO"
    return stream


def decoded(
    container: InputContainer, stream: VideoStream, damage: Callable[[], None]
) -> Iterator[VideoFrame]:
    """Decoded frames; damaged packets and frames are reported and survived."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError as error:
            _LOG.debug("reading ends early: %s", error.strerror)
            damage()
            packet = None
        if packet is None:
            return
        if packet.is_corrupt:
            damage()
        try:
            pictures = packet.decode()
        except av.error.FFmpegError as error:
            _LOG.debug("a packet cannot be decoded: %s", error.strerror)
            damage()
            continue
        for picture in pictures:
            if picture.is_corrupt:
                damage()
            yield picture


def aspect_of(stated: Fraction | None) -> Fraction:
    """Width of a pixel over its height: what is stated where that may be true, else 1."""
    if not stated or not Fraction(1, _WIDEST) <= stated <= _WIDEST:
        return _SQUARE
    return Fraction(stated)


def squared(width: int, height: int, aspect: Fraction) -> tuple[int, int]:
    """Size in square pixels; the side that is stretched is stretched, nothing is shrunk."""
    if aspect >= 1:
        return max(1, math.floor(width * aspect + Fraction(1, 2))), height
    return width, max(1, math.floor(height / aspect + Fraction(1, 2)))
