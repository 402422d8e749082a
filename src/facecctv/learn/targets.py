"""Which predictions of the grid may answer for which box: made beside the data, used by the loss.

Each box gets a short list of candidates: the three by three points nearest to its centre on each
level whose stride suits its size. The loss then picks the best of them by what the network
predicts, as task-aligned assignment does (Feng et al. 2021, "TOOD"), at a small part of the cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from facecctv.learn.data.detection import Sample
from facecctv.vision.anchors import Grid, grid

SUITS = (0.9, 12.0)
"""A stride suits boxes whose longer side is so many strides; the finest takes all smaller ones
and the coarsest all larger ones."""


@dataclass(frozen=True, eq=False)
class Targets:
    """Of one picture."""

    boxes: np.ndarray
    """(G, 4) float32."""
    landmarks: np.ndarray
    """(G, 5, 2) float32, NaN where unknown."""
    candidates: np.ndarray
    """(G, 36) int64 grid indices, -1 where none."""
    silent: np.ndarray
    """(A,) bool: points in ignored boxes, where a face is neither right nor wrong."""


def make_targets(sample: Sample, size: int, levels: Mapping[int, int]) -> Targets:
    """Targets of one square training picture of size x size pixels."""
    all_points = grid(size, size, levels)
    keep = ~sample.ignore
    boxes = sample.boxes[keep]
    candidates = np.full((len(boxes), 36), -1, np.int64)
    if len(boxes):
        _nominate(boxes, size, levels, candidates)
    return Targets(
        boxes.astype(np.float32),
        sample.landmarks[keep].astype(np.float32),
        candidates,
        _silence(sample.boxes[~keep], all_points),
    )


def _nominate(
    boxes: np.ndarray, size: int, levels: Mapping[int, int], candidates: np.ndarray
) -> None:
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    longest = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    steps = np.stack(np.meshgrid((-1, 0, 1), (-1, 0, 1)), axis=-1).reshape(-1, 2)
    rungs = _rungs(size, levels)
    for rung, (stride, index) in enumerate(rungs):
        cells = np.floor(centres / stride).astype(int)[:, None] + steps
        side = int(size / stride)
        inside = ((cells >= 0) & (cells < side)).all(axis=2)
        points = (cells + 0.5) * stride
        near = (points > boxes[:, None, :2]) & (points < boxes[:, None, 2:])
        near = near.all(axis=2) | (steps == 0).all(axis=1)
        low = 0.0 if rung == 0 else SUITS[0] * stride
        high = np.inf if rung == len(rungs) - 1 else SUITS[1] * stride
        suits = (longest >= low) & (longest <= high)
        chosen = inside & near & suits[:, None]
        x, y = np.clip(cells, 0, side - 1).transpose(2, 0, 1)
        slots = candidates[:, rung * 9 : rung * 9 + 9]
        slots[:] = np.where(chosen, index(x, y), -1)


def _rungs(size: int, levels: Mapping[int, int]) -> list:
    """(stride, function from cell x, y to grid index), finest first."""
    rungs, start = [], 0
    for stride, predictions in levels.items():
        side = size // stride
        count = side * side
        rungs.append((stride, lambda x, y, b=start, s=side: b + y * s + x))
        if predictions == 5:
            rungs.append(
                (
                    stride // 2,
                    lambda x, y, b=start, s=side, c=count: (
                        b + (1 + x % 2 + 2 * (y % 2)) * c + (y // 2) * s + x // 2
                    ),
                )
            )
        start += predictions * count
    return sorted(rungs, key=lambda rung: rung[0])


def _silence(ignored: np.ndarray, points: Grid) -> np.ndarray:
    silent = np.zeros(len(points.points), bool)
    for x1, y1, x2, y2 in ignored:
        x, y = points.points.T
        reach = 0.5 * points.strides  # the neighbours of a tiny box would answer for it too
        silent |= (x > x1 - reach) & (x < x2 + reach) & (y > y1 - reach) & (y < y2 + reach)
    return silent
