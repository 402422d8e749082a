"""Pictures in other sizes: resampled, letterboxed, padded, cut into tiles.

Coordinates as in types/, so a point p of the picture lies at p * scale + offset in the result.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from facecctv.types import Image, check_image

PADDING = 114
"""Grey level around a letterboxed or padded picture: the mean of everyday pictures."""


def resize(image: Image, width: int, height: int) -> Image:
    """The picture as (height, width, 3): averaged where it shrinks, cubic where it grows.

    Always a new array. Raises ValueError unless width and height are at least 1.
    """
    rows, columns = check_image(image).shape[:2]
    if width < 1 or height < 1:
        raise ValueError(f"a picture has at least one pixel, not {width} x {height}")
    smaller = (min(width, columns), min(height, rows))
    result = image
    if smaller != (columns, rows):
        result = np.asarray(cv2.resize(result, smaller, interpolation=cv2.INTER_AREA), np.uint8)
    if smaller != (width, height):
        grown = cv2.resize(result, (width, height), interpolation=cv2.INTER_CUBIC)
        result = np.asarray(grown, np.uint8)
    return image.copy() if result is image else result


def letterbox(
    image: Image, width: int, height: int, fill: int = PADDING
) -> tuple[Image, float, int, int]:
    """The whole picture centred in (height, width, 3), aspect kept, the rest filled.

    Returns the image, scale, dx, dy: x in the picture is x * scale + dx in the result. The scale
    is exact on both axes; up to half a result pixel at the far edge is cut or repeated for it.
    Raises ValueError unless width and height are at least 1.
    """
    rows, columns = check_image(image).shape[:2]
    if width < 1 or height < 1:
        raise ValueError(f"a picture has at least one pixel, not {width} x {height}")
    scale = min(width / columns, height / rows)
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    dx, dy = (width - size[0]) // 2, (height - size[1]) // 2
    result = np.full((height, width, 3), fill, np.uint8)
    part = _scaled(image, size, scale)
    result[dy : dy + size[1], dx : dx + size[0]] = part
    return result, scale, dx, dy


def _scaled(image: Image, size: tuple[int, int], scale: float) -> Image:
    exact = (round(image.shape[1] * scale), round(image.shape[0] * scale)) == size
    if scale == 1 or not exact:
        return resize(image, *size)
    # Without a size OpenCV keeps the scale itself instead of the ratio of rounded sizes.
    mode = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    part = cv2.resize(image, None, fx=scale, fy=scale, interpolation=mode)
    return np.asarray(part, np.uint8)


def pad_to_multiple(image: Image, multiple: int = 32, fill: int = PADDING) -> Image:
    """Filled on the right and below until both sides are multiples; coordinates stay the same.

    The same array if nothing is missing.
    """
    rows, columns = check_image(image).shape[:2]
    down, right = -rows % multiple, -columns % multiple
    if not down and not right:
        return image
    result = np.full((rows + down, columns + right, 3), fill, np.uint8)
    result[:rows, :columns] = image
    return result


def tiles(width: int, height: int, size: int, overlap: int) -> list[tuple[int, int, int, int]]:
    """Windows (x1, y1, x2, y2) that cover a picture, row by row.

    All have the same size: `size`, or the picture's side where that is smaller. Neighbours share
    at least `overlap` pixels; the last of a row or column is shifted inwards. Anything up to
    `overlap` pixels large lies whole in at least one window.
    Raises ValueError unless 0 <= overlap < size and the picture has a pixel.
    """
    if width < 1 or height < 1:
        raise ValueError(f"a picture has at least one pixel, not {width} x {height}")
    if not 0 <= overlap < size:
        raise ValueError(f"overlap must be in 0..{size - 1}, not {overlap}")
    return [
        (x, y, min(x + size, width), min(y + size, height))
        for y in _starts(height, size, overlap)
        for x in _starts(width, size, overlap)
    ]


def _starts(length: int, size: int, overlap: int) -> list[int]:
    if length <= size:
        return [0]
    step = size - overlap
    count = math.ceil((length - size) / step) + 1
    return [min(index * step, length - size) for index in range(count)]
