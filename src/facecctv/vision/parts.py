"""Which parts of a picture to look at when the rest of it is known already.

Two things bring a part in: something changed there since it was searched, or a face that is being
followed is expected there. What changed is looked at as finely as a whole picture would be, at
several scales: faces up to LARGEST network pixels belong to the finest, larger ones to coarser
ones, so that a part need not be much larger than what changed. A face whose box covers a cell that
changed has its centre no farther from that cell than half its longer side; so each scale owns all
centres within half of its largest face, and sees that much and more around them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from facecctv.types import Floats
from facecctv.vision.looks import COARSER, TILE, Look

Grid: TypeAlias = npt.NDArray[np.bool_]
"""(rows, columns) laid over a picture."""
Block: TypeAlias = tuple[int, int, int, int]
"""x1 y1 x2 y2 in blocks."""

LARGEST = 64
"""Longer side, network pixels, of the faces that one scale may report; the coarsest: any."""
SMALLEST = 16
"""Least longer side, network pixels, of the faces that a coarser look may report."""
SURROUNDINGS = 48
"""Network pixels that are looked at around what a part owns: half of the largest face, and half as
much again."""
ENOUGH = 12
"""Network pixels that the least face that is asked for has to have: the network finds smaller ones,
but fewer of them."""
COARSEST = 256
"""Longer side, network pixels, under which the whole picture is looked at."""
BLOCK = 32
"""Network pixels a side: parts are made of these."""
STRIDE = 8
"""Network pixels between two of the finest predictions: parts begin there, so that the network sees
the grid of the whole picture."""
EXPECTED = 48
"""Height, network pixels, at which a face that is followed is looked at."""
CLOSER = 2.0
"""Times as finely as the whole picture, at most: at twice the size small faces score higher, and
what only resembles one lower."""
REACH = 0.75
"""Sides of a face by which its centre may be elsewhere than expected."""
LEAST_VIEW = 96
"""Network pixels a side that are looked at around an expected face, at least."""


def plan_parts(
    whole: Sequence[Look],
    shape: tuple[int, ...],
    changed: Grid | None,
    least: float = 0.0,
) -> list[Look]:
    """The looks at parts of a picture, or `whole`, its full plan, where that is no more work.

    `shape`: (height, width, ...) of the picture. `changed` as in `Detector.within`. Faces of less
    than `least` pixels are not asked for.
    """
    if changed is None or not changed.any():
        return []
    looks = list(_changes(whole[0], shape, changed, least))
    return looks if _work(looks) < _work(whole) else list(whole)


def _work(looks: Sequence[Look]) -> int:
    return sum(math.prod(look.padded) for look in looks)


def expected_look(
    box: Floats, finest: Look, shape: tuple[int, ...], closer: float = CLOSER
) -> Look:
    """A look at where a face is expected, at the scale that suits its size; at most `closer` times
    as finely as the whole picture.
    """
    x1, y1, x2, y2 = (float(side) for side in box)
    longest = max(x2 - x1, y2 - y1, 1.0)
    scale = min(closer * finest.scale, EXPECTED / longest)
    half = max((0.5 + REACH) * longest, LEAST_VIEW / 2 / scale)
    x, y, reach = (x1 + x2) / 2, (y1 + y2) / 2, REACH * longest
    part = _clipped((x - half, y - half, x + half, y + half), shape, STRIDE / scale)
    owned = (x - reach, y - reach, x + reach, y + reach)
    return Look(part, owned, scale, 2 * longest, 0.4 * longest, finest.multiple)


def _changes(finest: Look, shape: tuple[int, ...], changed: Grid, least: float) -> Iterator[Look]:
    """Looks at all scales at what changed; the coarsest sees the whole picture."""
    scale, smallest = min(finest.scale, ENOUGH / max(least, 1.0)), 0.0
    largest = min(LARGEST, finest.largest * finest.scale)
    while max(shape[:2]) * scale > COARSEST:
        for owned in _parts(changed, shape, scale):
            margin = SURROUNDINGS / scale
            x1, y1, x2, y2 = owned
            around = (x1 - margin, y1 - margin, x2 + margin, y2 + margin)
            part = _clipped(around, shape, STRIDE / scale)
            yield Look(
                part, owned, scale, largest / scale, smallest / scale, multiple=finest.multiple
            )
        scale, smallest = scale / COARSER, SMALLEST
    everywhere = (-math.inf, -math.inf, math.inf, math.inf)
    view = (0, 0, shape[1], shape[0])
    yield Look(view, everywhere, scale, math.inf, smallest / scale, finest.multiple)


def _parts(
    changed: Grid, shape: tuple[int, ...], scale: float
) -> Iterator[tuple[float, float, float, float]]:
    """Rectangles, in pixels, with every centre that a face on a changed cell may have."""
    rows, columns = changed.shape
    reach = LARGEST / 2 / scale
    # One cell more: a grid may go on beyond the picture by less than a cell.
    right = math.ceil(reach * columns / shape[1]) + 1
    down = math.ceil(reach * rows / shape[0]) + 1
    kernel = np.ones((2 * down + 1, 2 * right + 1), np.uint8)
    near = cv2.dilate(changed.astype(np.uint8), kernel)
    across, high = (max(1, math.ceil(side * scale / BLOCK)) for side in (shape[1], shape[0]))
    share = cv2.resize(near.astype(np.float32), (across, high), interpolation=cv2.INTER_AREA)
    side_x, side_y = shape[1] / across, shape[0] / high
    for x1, y1, x2, y2 in rectangles(share > 0):
        yield x1 * side_x, y1 * side_y, x2 * side_x, y2 * side_y


def rectangles(blocks: Grid) -> list[Block]:
    """Few rectangles that together hold every true block, cut where that saves most work.

    Each costs what it holds and what must be seen around it. None is larger than a tile.
    """
    found: list[Block] = []
    waiting = [(0, 0, blocks.shape[1], blocks.shape[0])]
    while waiting:
        box = _tight(blocks, waiting.pop())
        if box is None:
            continue
        parts = _cut(blocks, box)
        if parts:
            waiting += parts
        else:
            found.append(box)
    return sorted(found)


_AROUND = 2 * SURROUNDINGS / BLOCK
_MOST = TILE // BLOCK - math.ceil(_AROUND)


def _tight(blocks: Grid, box: Block) -> Block | None:
    x1, y1, x2, y2 = box
    part = blocks[y1:y2, x1:x2]
    across, down = np.flatnonzero(part.any(axis=0)), np.flatnonzero(part.any(axis=1))
    if not len(across):
        return None
    return (
        x1 + int(across[0]), y1 + int(down[0]), x1 + int(across[-1]) + 1, y1 + int(down[-1]) + 1
    )  # fmt: skip


def _cut(blocks: Grid, box: Block) -> list[Block]:
    """The two parts that a box is best cut into; none where it is best whole."""
    x1, y1, x2, y2 = box
    part = blocks[y1:y2, x1:x2]
    across, at_x = _cheapest(part)
    down, at_y = _cheapest(part.T)
    width, height = x2 - x1, y2 - y1
    whole = math.inf if max(width, height) > _MOST else (width + _AROUND) * (height + _AROUND)
    if min(across, down) >= whole:
        return []
    if across <= down:
        return [(x1, y1, x1 + at_x, y2), (x1 + at_x, y1, x2, y2)]
    return [(x1, y1, x2, y1 + at_y), (x1, y1 + at_y, x2, y2)]


def _cheapest(part: Grid) -> tuple[float, int]:
    """The least cost of cutting between two columns, in blocks, and which column begins the second.

    Infinite where there is nothing to cut.
    """
    if part.shape[1] < 2:
        return math.inf, 0
    first, second = _costs(part), _costs(part[:, ::-1])[::-1]
    sums = first[:-1] + second[1:]
    at = int(sums.argmin())
    return float(sums[at]), at + 1


def _costs(part: Grid) -> npt.NDArray[np.float64]:
    """(columns,) cost of the tight box of all columns up to and with each; 0 while it is empty."""
    rows, columns = part.shape
    there = part.any(axis=0)
    top = np.where(there, part.argmax(axis=0), rows)
    bottom = np.where(there, rows - part[::-1].argmax(axis=0), 0)
    high = np.maximum.accumulate(bottom) - np.minimum.accumulate(top)
    places = np.arange(columns)
    begin = np.minimum.accumulate(np.where(there, places, columns))
    end = np.maximum.accumulate(np.where(there, places + 1, 0))
    costs: npt.NDArray[np.float64] = (end - begin + _AROUND) * (high + _AROUND)
    return np.where(end > 0, costs, 0.0)


def _clipped(
    box: tuple[float, float, float, float], shape: tuple[int, ...], step: float
) -> tuple[int, int, int, int]:
    """Whole pixels inside the picture, at least one, that begin at multiples of `step`."""
    height, width = shape[:2]
    x1 = min(max(0, math.floor(math.floor(box[0] / step) * step)), width - 1)
    y1 = min(max(0, math.floor(math.floor(box[1] / step) * step)), height - 1)
    x2 = max(min(width, math.ceil(box[2])), x1 + 1)
    y2 = max(min(height, math.ceil(box[3])), y1 + 1)
    return x1, y1, x2, y2
