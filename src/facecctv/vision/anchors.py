"""The grid of predictions that a detector network makes, and how to read one.

A level of stride s has h x w cells. Each cell carries one prediction at its centre and, on levels
with five predictions, one at the centre of each of its quarters (row by row), which count as
stride s / 2. A prediction is 15 numbers: score logit; x and y offset of the box centre from the
prediction's point, in strides; log of box width and height over two strides; five landmarks as x, y
offsets in strides. Networks without landmarks have the first five numbers only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from facecctv.types import Floats

FACE_LEVELS: Mapping[int, int] = {8: 5, 16: 1, 32: 1}
"""Stride -> predictions per cell of the face detectors."""

BODY_LEVELS: Mapping[int, int] = {8: 1, 16: 1, 32: 1, 64: 1}
"""Stride -> predictions per cell of the body detector: people are larger than faces."""

_QUARTERS = ((-0.25, -0.25), (0.25, -0.25), (-0.25, 0.25), (0.25, 0.25))


@dataclass(frozen=True, eq=False)
class Grid:
    """All predictions: level by level, prediction by prediction, row by row."""

    points: Floats
    """(A, 2) float32 x, y in pixels of the network's input."""
    strides: Floats
    """(A,) float32 pixels."""


@lru_cache(maxsize=32)
def _grid(height: int, width: int, levels: tuple[tuple[int, int], ...]) -> Grid:
    points, strides = [], []
    for stride, predictions in levels:
        y, x = np.mgrid[0 : height // stride, 0 : width // stride].astype(np.float32) + 0.5
        cells = np.stack([x, y], axis=-1).reshape(-1, 2) * stride
        for index in range(predictions):
            offset = (0.0, 0.0) if index == 0 else _QUARTERS[index - 1]
            points.append(cells + np.float32(stride) * np.array(offset, np.float32))
            strides.append(np.full(len(cells), stride if index == 0 else stride / 2, np.float32))
    grid = Grid(np.concatenate(points), np.concatenate(strides))
    grid.points.flags.writeable = grid.strides.flags.writeable = False
    return grid


def grid(height: int, width: int, levels: Mapping[int, int]) -> Grid:
    """The grid for an input of height x width pixels, both multiples of the largest stride."""
    return _grid(height, width, tuple(levels.items()))


def flatten(maps: Sequence[npt.NDArray[np.float32]], predictions: Sequence[int]) -> Floats:
    """Maps (N, P * C, h, w), level by level -> (N, A, C) float32 in the order of the grid."""
    parts = []
    for values, count in zip(maps, predictions, strict=True):
        n, channels, h, w = values.shape
        split = values.reshape(n, count, channels // count, h * w)
        parts.append(split.transpose(0, 1, 3, 2).reshape(n, count * h * w, -1))
    return np.concatenate(parts, axis=1)


def decode_boxes(raw: Floats, points: Floats, strides: Floats) -> Floats:
    """(K, 4) raw offsets and log sizes -> (K, 4) x1 y1 x2 y2 in pixels."""
    centres = points + raw[:, :2] * strides[:, None]
    # Sizes beyond e^5 strides are out of any picture; clamping keeps noise from overflowing.
    half = np.exp(np.clip(raw[:, 2:4], -5, 5)) * strides[:, None]
    return np.concatenate([centres - half, centres + half], axis=1)


def decode_landmarks(raw: Floats, points: Floats, strides: Floats) -> Floats:
    """(K, 2 L) raw offsets -> (K, L, 2) in pixels; faces have five landmarks, bodies none."""
    offsets = raw.reshape(len(raw), raw.shape[1] // 2, 2)
    return points[:, None] + offsets * strides[:, None, None]
