"""How well a score tells yes from no, and whether a probability means what it says."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Flags: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Roc:
    """Error rates for each threshold: an infinite one first, then each distinct score, falling."""

    thresholds: Floats
    """(T,) float64: what scores at least this much is accepted."""
    fpr: Floats
    """(T,) float64: false positive rate (false acceptance, FAR); NaN without negatives."""
    tpr: Floats
    """(T,) float64: true positive rate (true acceptance, TAR); NaN without positives."""

    @property
    def fnr(self) -> Floats:
        """(T,) float64: false negative rate (false rejection), for a DET plot."""
        return 1 - self.tpr


def roc(scores: npt.ArrayLike, labels: npt.ArrayLike) -> Roc:
    """Returns the receiver operating characteristic of scores (N,) for labels (N,) of 0 and 1.

    A higher score means a surer 1. Raises ValueError when the two do not fit.
    """
    values, flags = _checked(scores, labels)
    order = np.argsort(-values, kind="stable")
    values, flags = values[order], flags[order]
    last = np.flatnonzero(np.diff(values, append=-np.inf))
    right = np.append(0, np.cumsum(flags)[last])
    wrong = np.append(0, np.cumsum(~flags)[last])
    return Roc(np.append(np.inf, values[last]), _rate(wrong), _rate(right))


def _rate(counts: npt.NDArray[np.int_]) -> Floats:
    return counts / counts[-1] if counts[-1] else np.full(len(counts), np.nan)


def _checked(scores: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[Floats, Flags]:
    values, flags = np.asarray(scores, np.float64), np.asarray(labels)
    if values.ndim != 1 or values.shape != flags.shape:
        raise ValueError(
            f"scores and labels have one shape (n,), not {values.shape}, {flags.shape}"
        )
    if not np.isfinite(values).all():
        raise ValueError("scores must be finite")
    if not np.isin(flags, (0, 1)).all():
        raise ValueError("labels must be 0 or 1")
    return values, flags.astype(np.bool_)


def eer(scores: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Returns the equal error rate, where the false negative rate is the false positive rate.

    Between two thresholds both rates are taken as straight lines. NaN without both classes.
    """
    curve = roc(scores, labels)
    gap = curve.fnr - curve.fpr
    if np.isnan(gap).any():
        return math.nan
    after = int(np.argmax(gap <= 0))  # The gap falls from 1 to -1, so there is one, and one before.
    part = gap[after - 1] / (gap[after - 1] - gap[after])
    return float(curve.fpr[after - 1] + part * (curve.fpr[after] - curve.fpr[after - 1]))


def tar_at_far(scores: npt.ArrayLike, labels: npt.ArrayLike, far: float) -> tuple[float, float]:
    """Returns the true acceptance rate and its threshold.

    The false acceptance rate there is at most `far`. The threshold is the lowest score that keeps
    to it, infinite when none does. Both are NaN without both classes.
    """
    curve = roc(scores, labels)
    if np.isnan(curve.fpr).any() or np.isnan(curve.tpr).any():
        return math.nan, math.nan
    at = int(np.searchsorted(curve.fpr, far, side="right")) - 1
    if at < 0:
        raise ValueError(f"a rate is in 0..1, not {far}")
    return float(curve.tpr[at]), float(curve.thresholds[at])


@dataclass(frozen=True, eq=False)
class FoldAccuracy:
    """Share of right answers, each fold judged at the threshold that is best on the others."""

    mean: float
    """0..1; NaN where a fold has nothing to judge, or nothing to judge by."""
    standard_error: float
    """Of the mean, from the spread of the folds."""
    accuracies: Floats
    """(F,)"""
    thresholds: Floats
    """(F,)"""


def accuracy_by_folds(
    scores: npt.ArrayLike, labels: npt.ArrayLike, folds: npt.ArrayLike | int = 10
) -> FoldAccuracy:
    """The protocol of Labeled Faces in the Wild (Huang et al. 2007) for scores (N,), labels (N,).

    `folds` is which fold each pair belongs to, (N,) integers, or how many: then the pairs of each
    class are dealt out in turn. Of equally good thresholds the highest counts.
    """
    values, flags = _checked(scores, labels)
    if isinstance(folds, int):
        which = np.zeros(len(values), np.intp)
        for kind in (flags, ~flags):
            which[kind] = np.arange(kind.sum()) % folds
        names = np.arange(folds)
    else:
        which = np.asarray(folds, np.intp)
        names = np.unique(which)
        if which.shape != values.shape:
            raise ValueError(f"folds have the shape of scores, {values.shape}, not {which.shape}")
    thresholds = np.array([_best_threshold(values[which != n], flags[which != n]) for n in names])
    accuracies = np.full(len(names), np.nan)
    for at, (name, threshold) in enumerate(zip(names, thresholds, strict=True)):
        inside = which == name
        if inside.any() and not math.isnan(threshold):
            accuracies[at] = ((values[inside] >= threshold) == flags[inside]).mean()
    count = len(names)
    error = float(accuracies.std(ddof=1) / math.sqrt(count)) if count > 1 else math.nan
    return FoldAccuracy(
        float(accuracies.mean()) if count else math.nan, error, accuracies, thresholds
    )


def _best_threshold(values: Floats, flags: Flags) -> float:
    if not len(values):
        return math.nan
    order = np.argsort(-values, kind="stable")
    values, flags = values[order], flags[order]
    last = np.flatnonzero(np.diff(values, append=-np.inf))
    right = np.append(0, np.cumsum(flags)[last]) + np.append(0, np.cumsum(~flags)[last])[-1]
    right = right - np.append(0, np.cumsum(~flags)[last])
    return float(np.append(np.inf, values[last])[int(np.argmax(right))])


def normal_deviate(rates: npt.ArrayLike) -> Floats:
    """Rates (N,) 0..1 as standard normal deviates, the axes of a DET plot; 0 and 1 are infinite.

    Martin et al., "The DET curve in assessment of detection task performance", 1997.
    """
    values = np.asarray(rates, np.float64)
    inner = np.clip(values, 1e-300, 1 - 1e-16)
    found = np.array([_NORMAL.inv_cdf(value) for value in inner.ravel()]).reshape(values.shape)
    return np.where(values <= 0, -np.inf, np.where(values >= 1, np.inf, found))


_NORMAL = NormalDist()


@dataclass(frozen=True, eq=False)
class Calibration:
    """A reliability diagram and its summary."""

    confidence: Floats
    """(B,) float64: mean probability said in each bin, NaN where the bin is empty."""
    frequency: Floats
    """(B,) float64: how often it came true, NaN where the bin is empty."""
    count: npt.NDArray[np.intp]
    """(B,)"""
    error: float
    """Expected calibration error, 0..1: mean of |confidence - frequency| weighted by count."""


def calibration(
    probabilities: npt.ArrayLike, outcomes: npt.ArrayLike, bins: int = 15
) -> Calibration:
    """Compares probabilities (N,) with what came true (N,), in bins of equal width over 0..1.

    Each bin holds its lower end, the last one 1 as well. After Guo et al., "On Calibration of
    Modern Neural Networks", 2017. The error is NaN when there is nothing to compare.
    """
    said, came = _checked(probabilities, outcomes)
    if ((said < 0) | (said > 1)).any():
        raise ValueError("probabilities must be in 0..1")
    which = np.minimum((said * bins).astype(np.intp), bins - 1)
    count = np.bincount(which, minlength=bins)
    filled = np.where(count > 0, count, np.nan)
    confidence = np.bincount(which, said, minlength=bins) / filled
    frequency = np.bincount(which, came, minlength=bins) / filled
    gap = np.abs(confidence - frequency)
    error = float(np.nansum(gap * count) / len(said)) if len(said) else math.nan
    return Calibration(confidence, frequency, count, error)


def share_interval(hits: int, count: int, level: float = 0.95) -> tuple[float, float]:
    """Bounds of a share of which `hits` of `count` independent trials were seen.

    Wilson, Probable inference, the law of succession, and statistical inference (1927). (0, 1)
    without trials. Raises ValueError for more hits than trials or a level outside 0..1.
    """
    if not 0 <= hits <= count or not 0 < level < 1:
        raise ValueError("hits lie in 0..count, and a level between 0 and 1")
    if count == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + level) / 2)
    share, weight = hits / count, 1 + z * z / count
    middle = (share + z * z / (2 * count)) / weight
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count**2)) / weight
    low = 0.0 if hits == 0 else middle - half
    return low, 1.0 if hits == count else middle + half
