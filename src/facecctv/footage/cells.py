"""Mean colours of small cells of a frame: what change is noticed by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from facecctv.types import Floats, Image

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.plane import VideoPlane

CELL = 8
"""Pixels a side."""
_SHARED = frozenset({"yuv420p", "yuvj420p"})
"""Formats of 8 bits with brightness and two colours of half its size a side."""
_PAIRED = "nv12"
"""The same with the two colours side by side, which is what devices give."""
_FULL_RANGE = 2
_TO_RGB = np.array([[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]], np.float32)
"""Of brightness and blue and red differences of full range, ITU-R BT.601."""


def cells_of(image: Image) -> Floats:
    """Mean colour of each cell, (ceil(H / CELL), ceil(W / CELL), 3) float32 RGB, 0..255.

    Cells at the right and lower edge go on beyond the picture by its last pixels.
    """
    rows, columns = image.shape[:2]
    down, right = -rows % CELL, -columns % CELL
    if down or right:
        edge = cv2.BORDER_REPLICATE
        image = np.asarray(cv2.copyMakeBorder(image, 0, down, 0, right, edge), np.uint8)
    return _means(image, image.shape[1] // CELL, image.shape[0] // CELL).reshape(
        image.shape[0] // CELL, image.shape[1] // CELL, 3
    )


def cells_of_picture(picture: VideoFrame) -> Floats | None:
    """The same of a decoded picture, as stored, without making RGB of all its pixels.

    Brightness and colours are averaged as they were recorded, each to a whole level, and only the
    means are turned into RGB (BT.601). None where the picture is of another kind: then all of it
    has to become RGB first.
    """
    width, height = picture.width, picture.height
    form = picture.format.name
    if (form not in _SHARED and form != _PAIRED) or width % CELL or height % CELL:
        return None
    columns, rows = width // CELL, height // CELL
    if form == _PAIRED:
        colours = _stored(picture.planes[1], height // 2, width).reshape(height // 2, -1, 2)
        pixels = [_stored(picture.planes[0], height, width), colours]
    else:
        pixels = [_stored(plane, plane.height, plane.width) for plane in picture.planes]
    means = np.dstack([_means(part, columns, rows) for part in pixels])
    means -= np.array([0, 128, 128], np.float32)
    if form != "yuvj420p" and picture.color_range != _FULL_RANGE:
        means = (means - np.array([16, 0, 0], np.float32)) * _STRETCH
    return np.asarray(means @ _TO_RGB.T, np.float32)


_STRETCH = np.array([255 / 219, 255 / 224, 255 / 224], np.float32)


def _stored(plane: VideoPlane, rows: int, columns: int) -> Image:
    """(rows, columns) bytes of a plane."""
    stored = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return np.asarray(stored[:rows, :columns], np.uint8)


def _means(pixels: Image, columns: int, rows: int) -> Floats:
    resized = cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, np.float32)
