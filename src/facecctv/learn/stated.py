"""Whether a stated false-match rate is the measured one, on people it was not fitted to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from facecctv import metrics
from facecctv.identity.calibrate import Calibration
from facecctv.identity.fitting import fit
from facecctv.learn.verification import FacePairs, PeopleSeen, draw_pairs

RATES: Final = (0.1, 0.03, 1e-2, 3e-3, 1e-3)
"""Stated false-match rates that are looked at."""
FITTED, JUDGED = 6_000, 50_000
"""Pairs of each kind that a calibration is fitted to; pairs of strangers that judge one."""


@dataclass(frozen=True)
class StatedRate:
    """How often strangers passed where a false-match rate was stated."""

    stated: float
    passed: int
    pairs: int
    """Of different people."""

    @property
    def measured(self) -> float:
        """Share that passed; NaN without pairs."""
        return self.passed / self.pairs if self.pairs else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """In which the true share lies in 95 of 100 cases, were the pairs independent.

        They share people and pictures, so that it is wider in truth.
        """
        return metrics.share_interval(self.passed, self.pairs)


def stated_rates(stated: np.ndarray) -> tuple[StatedRate, ...]:
    """From the rate stated for each pair of strangers (N,)."""
    return tuple(StatedRate(rate, int((stated <= rate).sum()), len(stated)) for rate in RATES)


def halves(people: Sequence[int] | np.ndarray, seed: int = 0) -> np.ndarray:
    """(N,) 0 or 1: in which half of the people, drawn by chance, the person of each row is."""
    names, row = np.unique(np.asarray(people), return_inverse=True)
    drawn = np.random.default_rng(seed).permutation(len(names))
    return np.asarray((drawn % 2)[row])


def calibrated(seen: PeopleSeen, pairs: FacePairs, name: str = "") -> Calibration:
    """What a similarity is worth at each size, fitted to these pairs at all sizes.

    Raises InputError where there are too few.
    """
    sizes = list(seen.probes)
    return fit(
        np.concatenate([seen.similarities(pairs, size) for size in sizes]),
        np.tile(pairs.same, len(sizes)),
        np.concatenate([seen.heights(pairs, size) for size in sizes]),
        embedder=name,
        conditions="identities val, one face clean, the other brought to each size",
    )


def judge(seen: PeopleSeen, seed: int = 0) -> dict[int | None, tuple[StatedRate, ...]]:
    """Size of the probe -> stated and measured rates, each half of the people judged by the other.

    A calibration is fitted to pairs of one half and asked about strangers of the other half, and
    the other way round; nobody and no picture is in both. Raises InputError where a half has too
    few pairs.
    """
    half = halves(seen.people, seed)
    told: dict[int | None, list[np.ndarray]] = {size: [] for size in seen.probes}
    for part in (0, 1):
        known = _pairs_of(seen, half != part, FITTED, FITTED, seed)
        fitted = calibrated(seen, known)
        strangers = _pairs_of(seen, half == part, 0, JUDGED, seed)
        for size, rates in told.items():
            of = (seen.similarities(strangers, size), seen.heights(strangers, size))
            rates.append(fitted.fmr(*of))
    return {size: stated_rates(np.concatenate(rates)) for size, rates in told.items()}


def _pairs_of(
    seen: PeopleSeen, chosen: np.ndarray, same: int, different: int, seed: int
) -> FacePairs:
    rows = np.flatnonzero(chosen)
    pairs = draw_pairs(seen.people[rows], same, seed, different)
    return FacePairs(rows[pairs.first], rows[pairs.second], pairs.same)
