"""Large pictures through a network that sees only a neighbourhood: tile by tile, without seams."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TypeAlias

import numpy as np

from facecctv.errors import LimitError
from facecctv.image.sizes import tiles
from facecctv.types import Floats, Image

BLEND = 8
"""Pixels of the picture over which one tile passes into the next."""
SMALLEST_CORE = 16
"""Pixels of a tile that are its own, at least: below, overlap would be nearly all of the work."""

Fades: TypeAlias = tuple[int, int, int, int]
"""Pixels over which a patch fades in from its left, top, right and bottom edge; 0 cuts hard."""


def in_tiles(
    image: Image,
    work: Callable[[Image], Image],
    *,
    scale: int,
    reach: int,
    multiple: int,
    side: int,
) -> Image:
    """`work` on the whole picture: (H, W, 3) uint8 RGB -> (scale * H, scale * W, 3).

    `work` enlarges a part by `scale`; `reach` is how many pixels around a pixel have a say in it.
    Tiles have at most `side` pixels a side, begin at multiples of `multiple` and overlap by twice
    the reach and BLEND pixels, so where they meet both saw all they need: the result is that of
    one run. Where memory runs out they are halved, as often as makes sense.
    Raises LimitError where memory does not suffice even so, or not for the result itself.
    """
    height, width = image.shape[:2]
    result = _canvas(height * scale, width * scale)
    margin = -(-reach // multiple) * multiple
    overlap = 2 * margin + -(-BLEND // multiple) * multiple
    least = overlap + -(-SMALLEST_CORE // multiple) * multiple
    side = max(side // multiple * multiple, least)
    while True:
        try:
            _fill(result, image, work, scale, margin, multiple, side, overlap)
        except MemoryError as error:
            # What was computed in one tile is no larger than the picture.
            side = min(side, max(height, width))
            if side <= least:
                raise LimitError(
                    f"not enough memory for {width} x {height} pixels, even in tiles of {side}"
                ) from error
            side = max(side // 2 // multiple * multiple, least)
        else:
            return result


def _canvas(height: int, width: int) -> Image:
    free = available_memory()
    if free is not None and height * width * 3 > free:
        raise LimitError(
            f"a result of {width} x {height} pixels needs {height * width * 3 / 1e9:.1f} GB "
            f"of memory; {free / 1e9:.1f} GB are free"
        )
    try:
        return np.empty((height, width, 3), np.uint8)
    except MemoryError as error:
        raise LimitError(f"not enough memory for {width} x {height} pixels") from error


def _fill(
    result: Image,
    image: Image,
    work: Callable[[Image], Image],
    scale: int,
    margin: int,
    multiple: int,
    side: int,
    overlap: int,
) -> None:
    height, width = image.shape[:2]
    across, down = -(-width // multiple), -(-height // multiple)
    windows = tiles(across, down, side // multiple, overlap // multiple)
    # A row of tiles is joined before it meets the row above: else their ends show at the corners.
    for (low, high), row in groupby(windows, key=itemgetter(1, 3)):
        y1, y2 = low * multiple, min(high * multiple, height)
        top, bottom = margin if y1 else 0, margin if y2 < height else 0
        strip = np.empty(((y2 - y1 - top - bottom) * scale, result.shape[1], 3), np.uint8)
        for left, _, right, _ in row:
            x1, x2 = left * multiple, min(right * multiple, width)
            before, after = margin if x1 else 0, margin if x2 < width else 0
            patch = work(image[y1:y2, x1:x2])
            rows, columns = patch.shape[:2]
            seen = patch[top * scale : rows - bottom * scale]
            seen = seen[:, before * scale : columns - after * scale]
            lay(strip, seen, (x1 + before) * scale, 0, (BLEND * scale if x1 else 0, 0, 0, 0))
        fade, y = BLEND * scale if y1 else 0, (y1 + top) * scale
        lay(result, strip[:fade], 0, y, (0, fade, 0, 0))
        lay(result, strip[fade:], 0, y + fade, (0, 0, 0, 0))


def lay(canvas: Image, patch: Image, x: int, y: int, fades: Fades) -> None:
    """Lays a patch into the canvas, in place, its corner at column x, row y.

    Both (H, W, 3) uint8; the patch lies inside the canvas. It fades in smoothly over `fades`.
    """
    rows, columns = patch.shape[:2]
    under = canvas[y : y + rows, x : x + columns]
    if not any(fades):
        under[:] = patch
        return
    left, top, right, bottom = fades
    weight = ramp(rows, top, bottom)[:, None] * ramp(columns, left, right)
    mixed = under + weight[..., None] * (patch.astype(np.float32) - under)
    under[:] = np.rint(mixed)


def ramp(length: int, first: int, last: int) -> Floats:
    """(length,) float32 that rises smoothly from 0 to 1 over `first` and falls over `last`."""
    at = np.arange(length, dtype=np.float32) + np.float32(0.5)
    rise = np.clip(at / first, 0, 1) if first else np.ones(length, np.float32)
    fall = np.clip((length - at) / last, 0, 1) if last else np.ones(length, np.float32)
    smooth = [side * side * (3 - 2 * side) for side in (rise, fall)]
    return np.asarray(smooth[0] * smooth[1], np.float32)


def tile_side(bytes_per_pixel: int, most: int) -> int:
    """Side in pixels of a square tile that needs at most `most` bytes, or a quarter of the free."""
    free = available_memory()
    budget = most if free is None else min(most, free // 4)
    return math.isqrt(max(budget, 0) // bytes_per_pixel)


def available_memory() -> int | None:
    """Bytes that this process can still take without swapping; None where nobody tells.

    The machine's free memory, and what is left of a container's limit.
    """
    found = [value for value in (_meminfo(), _cgroup()) if value is not None]
    return min(found, default=None)


def _meminfo() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:  # Not Linux.
        return None
    for line in lines:
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _cgroup(folder: Path = Path("/sys/fs/cgroup")) -> int | None:
    try:
        limit = int((folder / "memory.max").read_text())
        used = int((folder / "memory.current").read_text())
        facts = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # No such files, or "max": no limit.
        return None
    # Cached files count as used, but go when memory is asked for.
    return max(0, limit - used + int(facts.get("file", 0)))
