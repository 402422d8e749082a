"""Which parts of a picture a network looks at, and at which scales."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from facecctv.errors import SettingError

Switch = Literal["auto", "off"]

WORKING_SIZE = 640
"""Longer side, pixels, that small pictures are enlarged to and the coarsest pass ends at."""
LARGEST_ENLARGEMENT = 4.0
COARSER = 3.0
"""Ratio between one pass and the next."""
TILE = 1472
"""Largest side of a tile, pixels: 1.3 megapixels keep the memory of one run near 150 MB."""
OVERLAP = 192
"""Of tiles, pixels at least."""
TRUSTED = 128
"""Longest side, network pixels, of the faces that a tile may report: the overlap holds them with
something of their surroundings."""
FROM = 40
"""Least longer side, network pixels, of the faces that a coarser look may report."""


@dataclass(frozen=True)
class DetectOptions:
    """How to look; the defaults suit pictures of all sizes."""

    threshold: float | None = None
    """Least score, 0..1; by default the card's working point."""
    min_face: float = 0.0
    """Least height of a face, pixels of the picture."""
    tiles: Switch = "auto"
    """`off`: one look at each resolution, whole; needs more memory for large pictures."""
    enlarge: Switch = "auto"
    """`off`: small pictures are not enlarged, and faces under about 8 px get lost."""
    overlap: float = 0.5
    """Intersection over union from which two boxes are one face."""

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 < self.threshold < 1:
            raise SettingError(f"threshold must lie between 0 and 1, not {self.threshold}")
        if not 0 <= self.min_face < math.inf:
            raise SettingError(f"the least face height is 0 or more pixels, not {self.min_face}")
        if not 0 < self.overlap < 1:
            raise SettingError(f"overlap must lie between 0 and 1, not {self.overlap}")


@dataclass(frozen=True)
class Look:
    """One run of the network: a part of the picture at a scale."""

    part: tuple[int, int, int, int]
    """x1 y1 x2 y2, pixels of the picture."""
    owned: tuple[float, float, float, float]
    """Only faces whose centre lies in here are this look's to report; pixels of the picture."""
    scale: float
    """Network pixels per picture pixel."""
    largest: float
    """Longest side of a face it may report, pixels of the picture."""
    smallest: float = 0.0
    """Least longer side of a face it may report: a finer look sees smaller ones better."""
    multiple: int = 32
    """Network pixels: width and height are padded to multiples of this."""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in network pixels, before padding."""
        x1, y1, x2, y2 = self.part
        return max(1, round((x2 - x1) * self.scale)), max(1, round((y2 - y1) * self.scale))

    @property
    def padded(self) -> tuple[int, int]:
        """(width, height) in network pixels, multiples of `multiple`."""
        width, height = (-(-side // self.multiple) * self.multiple for side in self.size)
        return width, height


def plan(
    width: int,
    height: int,
    options: DetectOptions,
    multiple: int = 32,
    largest: float = math.inf,
) -> list[Look]:
    """The looks at a picture of this size in pixels, finest first.

    `multiple` is that of the network's input; `largest`, network pixels, is the longest side that
    it was trained to find: what may be longer is left to coarser looks.
    """
    looks = _looks(width, height, options)
    while max(width, height) * looks[-1].scale > largest:
        looks.append(_whole(width, height, looks[-1].scale / 2, FROM))
    finer = [replace(look, largest=min(look.largest, largest / look.scale)) for look in looks[:-1]]
    return [replace(look, multiple=multiple) for look in (*finer, looks[-1])]


def _looks(width: int, height: int, options: DetectOptions) -> list[Look]:
    longest = max(width, height)
    if longest < WORKING_SIZE:
        if options.enlarge == "off":
            return [_whole(width, height, 1.0)]
        scale = min(WORKING_SIZE / longest, LARGEST_ENLARGEMENT)
        # Enlarged, a face that fills the picture outgrows what the network was trained on.
        return [_whole(width, height, scale), _whole(width, height, scale / 2, FROM)]
    looks: list[Look] = []
    scale = 1.0
    while longest * scale > WORKING_SIZE:
        smallest = FROM if scale < 1 else 0.0
        if options.tiles == "auto":
            looks += _tiles(width, height, scale, smallest)
        else:
            looks.append(_whole(width, height, scale, smallest))
        scale /= COARSER
    # The coarsest look takes in everything, however large.
    last = min(1.0, max(scale, WORKING_SIZE / 2 / longest))
    looks.append(_whole(width, height, last, FROM if looks else 0.0))
    return looks


def _whole(width: int, height: int, scale: float, smallest: float = 0.0) -> Look:
    everywhere = (-math.inf, -math.inf, math.inf, math.inf)
    return Look((0, 0, width, height), everywhere, scale, math.inf, smallest / scale)


def _tiles(width: int, height: int, scale: float, smallest: float) -> Iterator[Look]:
    across, down = _spans(width, scale), _spans(height, scale)
    largest = math.inf if len(across) == len(down) == 1 else TRUSTED / scale
    for y1, y2, top, bottom in down:
        for x1, x2, left, right in across:
            owned = (left, top, right, bottom)
            yield Look((x1, y1, x2, y2), owned, scale, largest, smallest / scale)


def _spans(length: int, scale: float) -> list[tuple[int, int, float, float]]:
    """Start and end of each tile along one side, and of the stretch that it owns."""
    total = length * scale
    if total <= TILE:
        return [(0, length, -math.inf, math.inf)]
    overlap = OVERLAP + 32  # tiles begin at multiples of 32, so that they see the whole's grid
    count = math.ceil((total - overlap) / (TILE - overlap))
    size = (total + (count - 1) * overlap) / count
    starts = [math.floor(i * (total - size) / (count - 1) / 32) * 32 for i in range(count)]
    begins = [round(start / scale) for start in starts]
    ends = [min(length, math.ceil((start + size) / scale)) for start in starts[:-1]] + [length]
    borders = [(end + begin) / 2 for end, begin in zip(ends, begins[1:], strict=False)]
    return list(zip(begins, ends, [-math.inf, *borders], [*borders, math.inf], strict=True))
