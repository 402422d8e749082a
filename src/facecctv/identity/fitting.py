"""Fits a `Calibration` to pairs of faces of which it is known whether they show one person."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from facecctv.errors import InputError
from facecctv.identity.calibrate import SHARE, Calibration, Numbers

SIZES: Final = (8.0, 12.0, 16.0, 24.0, 32.0, 48.0, 64.0, 96.0)
"""Face heights at which parameters are fitted where there are enough pairs, pixels."""
_LEAST_DIFFERENT, _LEAST_SAME = 200.0, 30.0
_RIDGE: Final = 1e-4
_STEPS: Final = 50


def fit(
    similarity: npt.ArrayLike,
    same: npt.ArrayLike,
    face_px: npt.ArrayLike,
    quality: npt.ArrayLike | None = None,
    *,
    embedder: str = "",
    conditions: str = "",
) -> Calibration:
    """A calibration from pairs: similarity (N,), one person? (N,), and of the worse face its
    height in pixels (N,) and its quality (N,) 0..1 if known.

    The pairs should be spread over the sizes that it will be asked about; sizes with fewer than
    200 pairs of different people or 30 of one person are judged with their neighbours.
    Raises InputError where there are too few pairs or they cannot be told apart.
    """
    s, px = np.asarray(similarity, np.float64), np.asarray(face_px, np.float64)
    alike = np.asarray(same, np.bool_)
    off = np.zeros(len(s)) if quality is None else np.asarray(quality, np.float64) - 0.5
    _check(s, alike, px, off)
    knots = _knots(px, alike)
    weights = _hats(px, knots)
    strangers = weights[~alike]
    mean = _line(strangers, s[~alike])
    spread = np.sqrt(_average(strangers, (s[~alike] - strangers @ mean) ** 2))
    if spread.min() <= 0:
        raise InputError("all pairs of different people have one similarity: nothing to fit")
    z = (s - weights @ mean) / (weights @ spread)
    shift, stretch = _quality_terms(z[~alike], off[~alike])
    z = (z - shift * off) / np.exp(stretch * off)
    start, scale, shape = _tail(z[~alike], strangers)
    bias, slope = _logistic(z, alike, weights)
    same_mean = _line(weights[alike], s[alike])
    same_rest = (s[alike] - weights[alike] @ same_mean) ** 2
    same_spread = np.sqrt(_average(weights[alike], same_rest))
    return Calibration(
        knots=tuple(knots.tolist()),
        mean=_rounded(mean),
        spread=_rounded(spread),
        start=_rounded(start),
        scale=_rounded(scale),
        shape=round(shape, 6),
        same_mean=_rounded(same_mean),
        same_spread=_rounded(np.maximum(same_spread, 1e-3)),
        bias=_rounded(bias / math.log(10)),
        slope=_rounded(slope / math.log(10)),
        quality_shift=round(shift, 6),
        quality_stretch=round(stretch, 6),
        same=int(alike.sum()),
        different=int((~alike).sum()),
        embedder=embedder,
        conditions=conditions,
    )


def _check(s: Numbers, alike: npt.NDArray[np.bool_], px: Numbers, off: Numbers) -> None:
    if not s.shape == alike.shape == px.shape == off.shape or s.ndim != 1:
        raise ValueError("similarity, same, face_px and quality have one shape (N,)")
    if not (np.isfinite(s).all() and np.isfinite(off).all() and (px > 0).all()):
        raise InputError("similarities, qualities and heights are finite, heights positive")
    if (~alike).sum() < _LEAST_DIFFERENT or alike.sum() < _LEAST_SAME:
        raise InputError(
            f"too few pairs to calibrate: {(~alike).sum()} of different people (at least "
            f"{_LEAST_DIFFERENT:.0f}), {alike.sum()} of one person (at least {_LEAST_SAME:.0f})"
        )


def _knots(px: Numbers, alike: npt.NDArray[np.bool_]) -> Numbers:
    """The standard sizes with enough pairs of both kinds; the poorest is dropped until all have."""
    low, high = np.percentile(px, (1, 99)) if len(px) else (0.0, 0.0)
    knots = np.array([size for size in SIZES if 0.95 * low <= size <= 1.05 * high])
    while len(knots) > 1:
        weights = _hats(px, knots)
        wealth = np.minimum(
            weights[~alike].sum(axis=0) / _LEAST_DIFFERENT, weights[alike].sum(axis=0) / _LEAST_SAME
        )
        if wealth.min() >= 1:
            return knots
        knots = np.delete(knots, int(np.argmin(wealth)))
    middle = float(np.exp2(np.log2(px).mean()))
    return np.array([round(middle, 2)])


def _hats(px: Numbers, knots: Numbers) -> Numbers:
    """(N, K): how much of each knot a size has, straight over its logarithm; rows sum to 1."""
    at = np.interp(np.log2(px), np.log2(knots), np.arange(len(knots)))
    return np.asarray(np.clip(1 - np.abs(at[:, None] - np.arange(len(knots))), 0, 1), np.float64)


def _line(weights: Numbers, values: Numbers) -> Numbers:
    """Least squares at the knots; neighbours are held together by the weight of one pair."""
    steps = np.diff(np.eye(weights.shape[1]), axis=0)
    answer = np.linalg.solve(weights.T @ weights + steps.T @ steps, weights.T @ values)
    return np.asarray(answer, np.float64)


def _average(weights: Numbers, values: Numbers) -> Numbers:
    return np.asarray((weights.T @ values) / weights.sum(axis=0))


def _quality_terms(z: Numbers, off: Numbers) -> tuple[float, float]:
    """By how much quality moves strangers' similarities, and the logarithm of their spread."""
    power = float(off @ off)
    if power < 1e-6 * max(len(off), 1):
        return 0.0, 0.0
    shift = float(off @ z) / power
    # Of a standard normal variable the mean logarithm of the square is -1.27.
    logs = 0.5 * (np.log(np.maximum((z - shift * off) ** 2, 1e-12)) + 1.27)
    centred = off - off.mean()
    spread = float(centred @ centred)
    return shift, float(centred @ logs) / spread if spread > 1e-9 else 0.0


def _tail(z: Numbers, weights: Numbers) -> tuple[Numbers, Numbers, float]:
    """Start and scale of the tail at each knot, and its common shape."""
    start = np.array([_weighted_quantile(z, column, 1 - SHARE) for column in weights.T])
    if start.min() <= 0:
        raise InputError("similarities of different people have no upper tail that can be fitted")
    excess = z - weights @ start
    over = excess > 0
    mean = _average(weights[over] + 1e-12, excess[over])
    shape = _shape(np.sort(excess[over] / (weights[over] @ mean)))
    return start, np.maximum(mean * (1 - shape), 1e-6), shape


def _weighted_quantile(values: Numbers, weights: Numbers, share: float) -> float:
    order = np.argsort(values)
    below = np.cumsum(weights[order]) - weights[order] / 2
    return float(np.interp(share * weights.sum(), below, values[order]))


def _shape(excess: Numbers) -> float:
    """Of a generalised Pareto distribution, by probability-weighted moments, -0.3..0.5.

    Hosking and Wallis, Parameter and quantile estimation for the generalized Pareto distribution
    (1987); the sign is Coles'.
    """
    count = len(excess)
    share = (np.arange(1, count + 1) - 0.35) / count
    first, second = float(excess.mean()), float(((1 - share) * excess).mean())
    return float(np.clip(2 - first / (first - 2 * second), -0.3, 0.5))


def _logistic(
    z: Numbers, alike: npt.NDArray[np.bool_], weights: Numbers
) -> tuple[Numbers, Numbers]:
    """Natural logarithm of the likelihood ratio as bias + slope * z at each knot.

    At each knot both kinds of pairs weigh the same, so the odds are the likelihood ratio. Newton's
    method with a slight ridge that keeps the slope finite where nothing overlaps.
    """
    count = weights.shape[1]
    features = np.concatenate([weights, weights * z[:, None]], axis=1)
    importance = np.zeros(len(z))
    for kind in (alike, ~alike):
        importance[kind] = (weights[kind] / weights[kind].sum(axis=0)).sum(axis=1)
    theta = np.concatenate([np.full(count, -2.0), np.ones(count)])
    goal = theta * np.repeat([0.0, 1.0], count)
    for _ in range(_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(features @ theta, -30, 30)))
        slope = features.T @ (importance * (alike - chance)) - _RIDGE * (theta - goal)
        bend = (features * (importance * chance * (1 - chance))[:, None]).T @ features
        step = np.linalg.solve(bend + _RIDGE * np.eye(2 * count), slope)
        theta += step * min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < 1e-9:
            break
    return theta[:count], np.maximum(theta[count:], 1e-3)


def _rounded(values: Numbers) -> tuple[float, ...]:
    return tuple(round(float(value), 6) for value in values)
