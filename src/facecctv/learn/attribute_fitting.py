"""From logits on labelled faces to what they are worth: a Scale, and where it ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from facecctv.errors import InputError
from facecctv.learn.attribute_trials import Trial
from facecctv.learn.data.attributes import BINS, LabelledFaces, years_in_bins
from facecctv.types import Floats
from facecctv.vision.attributes import Scale, interval

LEVEL = 0.8
RANGE = (0.05, 20.0)
"""Of temperatures."""
LEAST = 20
"""Faces that a fit needs."""
SIGNIFICANT = 2.0
"""Standard errors by which an answer must beat the prior to count as one."""


@dataclass(frozen=True, eq=False)
class Prior:
    """What is known of a face that nobody has looked at: shares of the training set."""

    bins: Floats
    """(9,)"""
    female: float

    @classmethod
    def of(cls, bins: np.ndarray, female: np.ndarray) -> Prior:
        """From (N,) age bins and (N,) bool; each bin counts half a face more than it has."""
        counts = np.bincount(bins, minlength=len(BINS)) + 0.5
        return cls(
            np.asarray(counts / counts.sum(), np.float32),
            float((female.sum() + 0.5) / (len(female) + 1)),
        )

    def widest(self, level: float = LEVEL) -> int:
        """Years between the ends of the interval that holds `level` of all people."""
        low, high = interval((self.bins @ years_in_bins())[None], level)
        return int(high[0] - low[0])


def covered(years: Floats, bins: np.ndarray, level: float) -> Floats:
    """(N, A) probabilities, (N,) bins -> (N,) how likely the interval holds the true age, 0..1.

    Of the truth only the bin is known: its ages count as `years_in_bins` spreads them. An interval
    of 25-34 holds half of 20-29.
    """
    low, high = interval(years, level)
    sums = np.pad(np.cumsum(years_in_bins(), axis=1), ((0, 0), (1, 0)))
    return np.asarray(sums[bins, high + 1] - sums[bins, low], np.float32)


def of_bins(years: Floats) -> Floats:
    """(N, 101) probabilities of years -> (N, 9) of bins."""
    return np.stack([years[:, low : high + 1].sum(axis=1) for low, high in BINS], axis=1)


def fit_scale(
    trials: Sequence[Trial],
    faces: LabelledFaces,
    prior: Prior,
    rows: np.ndarray | None = None,
    conditions: str = "",
) -> Scale:
    """The scale under which intervals hold LEVEL of the faces at each size, and the gender's
    probabilities are the likeliest (Guo et al. 2017); of the `rows` only, if given.

    Raises InputError for fewer than LEAST faces.
    """
    chosen = np.arange(len(faces)) if rows is None else np.asarray(rows)
    if len(chosen) < LEAST:
        raise InputError(f"a scale needs {LEAST} faces at least, not {len(chosen)}")
    ordered = sorted(trials, key=lambda trial: trial.px)
    bins, female = faces.bins[chosen], faces.female[chosen]
    return Scale(
        knots=tuple(float(trial.px) for trial in ordered),
        age=tuple(round(_age(trial.ages[chosen], bins), 4) for trial in ordered),
        gender=tuple(round(_gender(trial.genders[chosen], female), 4) for trial in ordered),
        widest=prior.widest(),
        level=LEVEL,
        conditions=conditions,
    )


def _age(logits: Floats, bins: np.ndarray) -> float:
    """The temperature at which LEVEL is covered, by halving its logarithm's range.

    Hotter is wider, so coverage rises with it but for the whole years that intervals end on.
    """
    low, high = np.log(RANGE)
    for _ in range(30):
        middle = 0.5 * (low + high)
        heights = np.ones(len(bins))
        scale = Scale((1.0,), (float(np.exp(middle)),), (1.0,), 0)
        if covered(scale.years(logits, heights), bins, LEVEL).mean() < LEVEL:
            low = middle
        else:
            high = middle
    return float(np.exp(high))


def _gender(logits: Floats, female: np.ndarray) -> float:
    """The temperature of least cross-entropy, by golden sections over its logarithm."""
    signed = np.where(female, logits, -logits).astype(np.float64)

    def loss(log_temperature: float) -> float:
        return float(np.logaddexp(0, -signed / np.exp(log_temperature)).mean())

    low, high = np.log(RANGE)
    golden = (np.sqrt(5) - 1) / 2
    for _ in range(40):
        a, b = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, b) if loss(a) < loss(b) else (a, high)
    return float(np.exp(0.5 * (low + high)))


def halves(faces: LabelledFaces) -> np.ndarray:
    """(N,) 0 or 1: two halves with the same share of every age bin x gender x race, if possible."""
    order = np.lexsort((faces.races, faces.female, faces.bins))
    half = np.zeros(len(faces), np.intp)
    half[order] = np.arange(len(faces)) % 2
    return half


def crossed(
    trials: Sequence[Trial], faces: LabelledFaces, prior: Prior
) -> tuple[tuple[np.ndarray, Scale], ...]:
    """Rows and the scale that was fitted to all other rows; each face is in one of the parts."""
    half = halves(faces)
    return tuple(
        (
            np.flatnonzero(half == part),
            fit_scale(trials, faces, prior, np.flatnonzero(half != part)),
        )
        for part in (0, 1)
    )


@dataclass(frozen=True)
class Gain:
    """By how much answers at one size beat saying the prior of every face, nats a face."""

    px: int
    age: float
    age_error: float
    """Standard error of the mean."""
    gender: float
    gender_error: float

    @property
    def is_one(self) -> bool:
        """Whether both are better, beyond what chance does."""
        return self.age > SIGNIFICANT * self.age_error and (
            self.gender > SIGNIFICANT * self.gender_error
        )


def gains(
    trials: Sequence[Trial],
    faces: LabelledFaces,
    prior: Prior,
    parts: Sequence[tuple[np.ndarray, Scale]],
) -> list[Gain]:
    """Differences of log-likelihoods at each size, each face judged by its part's scale."""
    found = []
    for trial in trials:
        age, gender = np.zeros(len(faces)), np.zeros(len(faces))
        for rows, scale in parts:
            bins, female = faces.bins[rows], faces.female[rows]
            heights = trial.heights[rows]
            shares = of_bins(scale.years(trial.ages[rows], heights))[np.arange(len(rows)), bins]
            said = scale.female(trial.genders[rows], heights)
            age[rows] = _log(shares) - _log(prior.bins[bins])
            blind = np.where(female, prior.female, 1 - prior.female)
            gender[rows] = _log(np.where(female, said, 1 - said)) - _log(blind)
        root = np.sqrt(max(len(faces), 1))
        found.append(
            Gain(
                trial.px,
                float(age.mean()),
                float(age.std() / root),
                float(gender.mean()),
                float(gender.std() / root),
            )
        )
    return found


def _log(shares: Floats) -> np.ndarray:
    return np.log(np.maximum(np.asarray(shares, np.float64), 1e-12))


def least_size(found: Sequence[Gain]) -> int:
    """The smallest size from which on all measured sizes beat the prior.

    Raises InputError where not even the largest does.
    """
    least = None
    for gain in sorted(found, key=lambda gain: -gain.px):
        if not gain.is_one:
            break
        least = gain.px
    if least is None:
        raise InputError("the network is no better than saying the same of every face")
    return least
