"""What networks that users taught say of labelled pictures, and the figures of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from facecctv import metrics
from facecctv.geometry import iou
from facecctv.types import Floats

HIT = 0.5
"""Overlap from which a box counts as right."""
FOLDS = 10


@dataclass(frozen=True, eq=False)
class SingleOutcome:
    """Of a two-head network on pictures of one face or none."""

    names: tuple[str, ...]
    scores: np.ndarray
    """(N,) face probability."""
    boxes: np.ndarray
    """(N, 4) predicted, shares of the square."""
    faces: np.ndarray
    """(N,) bool: there is one."""
    true_boxes: np.ndarray
    """(N, 4)."""
    overlaps: np.ndarray
    """(N,) intersection over union; NaN without a face."""
    threshold: float
    """Score of the highest accuracy."""

    @property
    def accuracy(self) -> float:
        """Face or no face, at the threshold."""
        return float(((self.scores >= self.threshold) == self.faces).mean())

    @property
    def mean_iou(self) -> float:
        """Over all pictures with a face, whatever their score; NaN without any."""
        return float(np.mean(self.overlaps[self.faces])) if self.faces.any() else math.nan

    def row(self) -> dict[str, float]:
        """The figures by name."""
        hits = self.overlaps[self.faces] >= HIT
        return {
            "accuracy": self.accuracy,
            "mean_iou": self.mean_iou,
            "iou_50": float(hits.mean()) if len(hits) else math.nan,
        }

    def confusion(self) -> np.ndarray:
        """(2, 2) counts: row truth (none, face), column said (none, face)."""
        said = self.scores >= self.threshold
        pairs = 2 * self.faces.astype(int) + said.astype(int)
        return np.bincount(pairs, minlength=4).reshape(2, 2)


def single_outcome(
    names: Sequence[str], scores: np.ndarray, boxes: Floats, faces: np.ndarray, true_boxes: Floats
) -> SingleOutcome:
    """Joins predictions with the truth; see SingleOutcome for shapes."""
    overlaps = np.full(len(names), np.nan)
    for number in np.flatnonzero(faces):
        overlaps[number] = iou(boxes[number : number + 1], true_boxes[number : number + 1])[0, 0]
    # A detector's threshold lies strictly within 0..1.
    threshold = float(np.clip(split_point(scores, faces), 0.01, 0.99))
    return SingleOutcome(tuple(names), scores, boxes, faces, true_boxes, overlaps, threshold)


@dataclass(frozen=True, eq=False)
class PairOutcome:
    """Of a recogniser (or of raw pixels) on pairs of pictures."""

    pairs: np.ndarray
    """(P, 2) numbers of pictures."""
    same: np.ndarray
    """(P,) bool."""
    similarity: np.ndarray
    """(P,) higher means surer of the same person; the unit depends on the recogniser."""
    threshold: float
    """Similarity of the highest accuracy."""
    accuracy: float
    """Cross-validated: the threshold of nine tenths of the pairs judges the tenth; NaN with fewer
    than two pairs of either kind."""
    eer: float
    tar_at_1e2: float
    """True acceptance at a false acceptance of 1 %."""

    def row(self) -> dict[str, float]:
        """The figures by name."""
        return {"accuracy": self.accuracy, "eer": self.eer, "tar_at_far_1e-2": self.tar_at_1e2}

    def confusion(self) -> np.ndarray:
        """(2, 2) counts: row truth (different, same), column said."""
        said = self.similarity >= self.threshold
        return np.bincount(2 * self.same + said.astype(int), minlength=4).reshape(2, 2)


def pair_outcome(pairs: np.ndarray, same: np.ndarray, similarity: np.ndarray) -> PairOutcome:
    """Figures of similarities (P,) for pairs (P, 2) that show one person or not (P,) bool."""
    labels = same.astype(int)
    # Each fold gets as many pairs of either kind: a threshold set without most of one kind would
    # lean the other way and be judged by just that kind.
    folds = min(FOLDS, int(labels.sum()), int((1 - labels).sum()))
    accuracy = metrics.accuracy_by_folds(similarity, labels, folds).mean if folds > 1 else math.nan
    return PairOutcome(
        pairs,
        same.astype(bool),
        similarity,
        split_point(similarity, same),
        accuracy,
        metrics.eer(similarity, labels),
        metrics.tar_at_far(similarity, labels, 0.01)[0],
    )


def split_point(values: np.ndarray, same: np.ndarray) -> float:
    """The value, halfway between two that occur, from which on most are told right."""
    order = np.argsort(values)
    ordered, flags = values[order], same[order].astype(int)
    # Right when the line lies before item k: the different ones below, the same ones above.
    right = np.append(0, np.cumsum(1 - flags)) + flags.sum() - np.append(0, np.cumsum(flags))
    distinct = np.append(True, np.append(ordered[1:] > ordered[:-1], True))
    k = int(np.argmax(np.where(distinct, right, -1)))
    edges = np.concatenate([[ordered[0]], ordered, [ordered[-1]]])
    return float((edges[k] + edges[k + 1]) / 2)
