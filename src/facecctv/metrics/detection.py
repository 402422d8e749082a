"""How well boxes were found: matching, precision and recall, average precision by face height.

The matching is that of COCO's evaluation (Lin et al., "Microsoft COCO: Common Objects in Context",
2014): detections in order of score, each face found at most once, regions to ignore, bands of size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Flags: TypeAlias = npt.NDArray[np.bool_]
Indices: TypeAlias = npt.NDArray[np.intp]

Heights: TypeAlias = tuple[float, float]
"""From (inclusive) and to (exclusive), pixels."""

SMALLEST = 8.0
"""Faces lower than this, in pixels, count neither way."""

HEIGHT_BANDS: tuple[Heights, ...] = ((SMALLEST, 16), (16, 32), (32, 64), (64, math.inf))
"""Of faces."""

BODY_HEIGHT_BANDS: tuple[Heights, ...] = (
    (SMALLEST, 32),
    (32, 64),
    (64, 128),
    (128, 256),
    (256, math.inf),
)

Interpolation = Literal["envelope", "coco", "none"]


@dataclass(frozen=True, eq=False)
class Detections:
    """What was found in one picture."""

    boxes: Floats
    """(K, 4) float64: x1, y1, x2, y2, pixels; right and bottom exclusive."""
    scores: Floats
    """(K,) float64, higher is surer."""

    def __init__(self, boxes: npt.ArrayLike, scores: npt.ArrayLike) -> None:
        object.__setattr__(self, "boxes", _boxes(boxes))
        object.__setattr__(self, "scores", np.array(scores, np.float64).reshape(-1))
        if len(self.boxes) != len(self.scores):
            raise ValueError(f"{len(self.boxes)} boxes have {len(self.scores)} scores")
        if not np.isfinite(self.scores).all():
            raise ValueError("scores must be finite")


@dataclass(frozen=True, eq=False)
class Truth:
    """What there is in one picture."""

    boxes: Floats
    """(G, 4) float64: x1, y1, x2, y2, pixels; right and bottom exclusive."""
    ignore: Floats
    """(I, 4) float64: regions in which a detection counts neither way, as crowds of faces."""

    def __init__(self, boxes: npt.ArrayLike, ignore: npt.ArrayLike = ()) -> None:
        object.__setattr__(self, "boxes", _boxes(boxes))
        object.__setattr__(self, "ignore", _boxes(ignore))


def _boxes(values: npt.ArrayLike) -> Floats:
    boxes = np.array(values, np.float64)
    if boxes.size == 0:
        return np.zeros((0, 4))
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"boxes have the shape (n, 4), not {boxes.shape}")
    if not (boxes[:, :2] < boxes[:, 2:]).all():
        raise ValueError("boxes must be x1 y1 x2 y2 with x1 < x2 and y1 < y2")
    return boxes


@dataclass(frozen=True, eq=False)
class Matches:
    """Which detections of all pictures were right; those that count neither way are left out."""

    scores: Floats
    """(K,) float64, falling."""
    hits: Flags
    """(K,) bool: found a face, and was the first to."""
    positives: int
    """Faces there were to find."""
    pictures: int
    pairs: Indices
    """(M, 3): picture, detection and truth of each hit, as indices into what was handed in."""
    wrong: Indices = field(default_factory=lambda: np.zeros((0, 2), np.intp))
    """(W, 2): picture and detection of each that counts as wrong."""


def match(
    detections: Sequence[Detections],
    truths: Sequence[Truth],
    *,
    iou: float = 0.5,
    heights: Heights = (SMALLEST, math.inf),
) -> Matches:
    """Matches the detections of every picture with its faces.

    In order of score, a detection takes the face it overlaps most, by at least `iou`, of those not
    taken yet. It counts neither way if it takes a face outside `heights` where none inside is left,
    if `iou` of its own area lies in a region to ignore, or if it is wrong and outside `heights`
    itself.
    """
    if len(detections) != len(truths):
        raise ValueError(f"{len(detections)} pictures were searched, {len(truths)} are labelled")
    scores, hits, pairs, wrong, positives = [np.zeros(0)], [np.zeros(0, bool)], [], [], 0
    for picture, (found, truth) in enumerate(zip(detections, truths, strict=True)):
        wanted = _within(truth.boxes, heights)
        partner = _partners(found, truth, wanted, iou)
        hit = (partner >= 0) & np.append(wanted, False)[partner]
        excused = (partner >= 0) | ~_within(found.boxes, heights)
        if len(truth.ignore):
            excused |= _coverage(found.boxes, truth.ignore).max(axis=1) >= iou
        counts = hit | ~excused
        scores.append(found.scores[counts])
        hits.append(hit[counts])
        positives += int(wanted.sum())
        pairs += [(picture, k, partner[k]) for k in np.flatnonzero(hit)]
        wrong += [(picture, k) for k in np.flatnonzero(counts & ~hit)]
    all_scores, all_hits = np.concatenate(scores), np.concatenate(hits)
    order = np.argsort(-all_scores, kind="stable")
    return Matches(
        all_scores[order],
        all_hits[order],
        positives,
        len(truths),
        np.array(pairs, np.intp).reshape(-1, 3),
        np.array(wrong, np.intp).reshape(-1, 2),
    )


def _partners(found: Detections, truth: Truth, wanted: Flags, iou: float) -> Indices:
    """Returns the face that each detection takes, or -1."""
    partner = np.full(len(found.boxes), -1, np.intp)
    if not len(truth.boxes) or not len(found.boxes):
        return partner
    overlap = _iou(found.boxes, truth.boxes)
    close = overlap >= iou
    free = np.ones(len(truth.boxes), bool)
    for k in np.argsort(-found.scores, kind="stable"):
        choice = close[k] & free
        if not choice.any():
            continue
        if (choice & wanted).any():
            choice &= wanted
        best = int(np.where(choice, overlap[k], -1.0).argmax())
        partner[k] = best
        free[best] = False
    return partner


def _within(boxes: Floats, heights: Heights) -> Flags:
    height = boxes[:, 3] - boxes[:, 1]
    return np.asarray((height >= heights[0]) & (height < heights[1]))


def _area(boxes: Floats) -> Floats:
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))


def _intersection(a: Floats, b: Floats) -> Floats:
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    return np.asarray((high - low).clip(min=0).prod(axis=2))


def _iou(a: Floats, b: Floats) -> Floats:
    both = _intersection(a, b)
    return np.asarray(both / (_area(a)[:, None] + _area(b)[None] - both))


def _coverage(a: Floats, b: Floats) -> Floats:
    return np.asarray(_intersection(a, b) / _area(a)[:, None])


@dataclass(frozen=True, eq=False)
class PrecisionRecall:
    """A point for each threshold, that is, for each distinct score."""

    thresholds: Floats
    """(T,) float64, falling: what scores at least this much is kept."""
    precision: Floats
    """(T,) float64, 0..1."""
    recall: Floats
    """(T,) float64, 0..1, never falling; NaN when there was nothing to find."""
    false_positives: Floats
    """(T,) float64: a picture, on average."""


def precision_recall(matches: Matches) -> PrecisionRecall:
    """Returns the precision-recall curve; equal scores are kept or dropped together."""
    last = np.flatnonzero(np.diff(matches.scores, append=-np.inf))
    right = np.cumsum(matches.hits)[last].astype(np.float64)
    kept = last + 1.0
    recall = right / matches.positives if matches.positives else np.full(len(last), np.nan)
    return PrecisionRecall(
        matches.scores[last], right / kept, recall, (kept - right) / max(matches.pictures, 1)
    )


def average_precision(matches: Matches, interpolation: Interpolation = "envelope") -> float:
    """Returns the area under the precision-recall curve, 0..1.

    "envelope" takes at each recall the best precision reached there or beyond (PASCAL VOC since
    2010); "coco" takes that at 101 evenly spaced recalls; "none" takes the precision as it is, as
    for ranking. NaN when there was nothing to find, 0 when nothing was found.
    """
    if not matches.positives:
        return math.nan
    curve = precision_recall(matches)
    best = np.maximum.accumulate(curve.precision[::-1])[::-1]
    if interpolation == "coco":
        at = np.searchsorted(curve.recall, np.linspace(0, 1, 101), side="left")
        return float(np.append(best, 0.0)[at].mean())
    height = best if interpolation == "envelope" else curve.precision
    return float((np.diff(curve.recall, prepend=0.0) * height).sum())


@dataclass(frozen=True)
class OperatingPoint:
    """What a threshold means."""

    threshold: float
    """Infinite when even the highest score lets too much through."""
    precision: float
    recall: float
    false_positives: float
    """A picture, on average."""


def at_false_positives(matches: Matches, per_picture: float) -> OperatingPoint:
    """Returns the lowest threshold with at most that many false positives a picture on average.

    The recall is NaN when there was nothing to find, the precision when nothing is kept.
    """
    curve = precision_recall(matches)
    at = int(np.searchsorted(curve.false_positives, per_picture, side="right")) - 1
    if at < 0:
        return OperatingPoint(math.inf, math.nan, 0.0 if matches.positives else math.nan, 0.0)
    return OperatingPoint(
        float(curve.thresholds[at]),
        float(curve.precision[at]),
        float(curve.recall[at]),
        float(curve.false_positives[at]),
    )


@dataclass(frozen=True)
class Band:
    """One line of the table by height."""

    low: float
    """Pixels, inclusive."""
    high: float
    """Pixels, exclusive; infinite for no limit."""
    faces: int
    ap: float
    recall: float
    """At the false positives a picture that the table was asked for."""


def by_height(
    detections: Sequence[Detections],
    truths: Sequence[Truth],
    *,
    bands: Sequence[Heights] = ((SMALLEST, math.inf), *HEIGHT_BANDS),
    iou: float = 0.5,
    per_picture: float = 0.1,
) -> tuple[Band, ...]:
    """Returns average precision and recall for each band of face heights; by default overall first.

    Every band is an evaluation of its own: faces of the others count neither way, nor do wrong
    detections of their heights.
    """
    rows = []
    for low, high in bands:
        matches = match(detections, truths, iou=iou, heights=(low, high))
        recall = at_false_positives(matches, per_picture).recall
        rows.append(Band(low, high, matches.positives, average_precision(matches), recall))
    return tuple(rows)


def landmark_error(found: npt.ArrayLike, truth: npt.ArrayLike) -> Floats:
    """Returns the mean distance of the points, in distances between the eyes of the truth.

    `found` and `truth` are (N, P, 2) in pixels, the first two points being the eyes; the result is
    (N,) float64, NaN where the eyes of the truth coincide.
    """
    a, b = np.asarray(found, np.float64), np.asarray(truth, np.float64)
    if a.shape != b.shape or a.ndim != 3 or a.shape[1] < 2 or a.shape[2] != 2:
        raise ValueError(f"landmarks have the shape (n, p, 2), not {a.shape} and {b.shape}")
    between = np.linalg.norm(b[:, 0] - b[:, 1], axis=1)
    between = np.where(between > 0, between, np.nan)
    return np.asarray(np.linalg.norm(a - b, axis=2).mean(axis=1) / between)
