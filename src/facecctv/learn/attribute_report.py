"""How right a network is about age and gender: by size of the face, by whom it shows."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from facecctv import metrics
from facecctv.learn.attribute_fitting import covered, of_bins
from facecctv.learn.attribute_trials import FULL, Trial
from facecctv.learn.data.attributes import BINS, LabelledFaces, bin_centres
from facecctv.types import Floats
from facecctv.vision.attributes import Scale, interval, median

BANDS = ((0, 9), (10, 19), (20, 39), (40, 59), (60, 100))
"""Ages of the crossed groups, joined bins so that a group has faces."""
SHOWN = (FULL, 24)
"""Sizes whose confusion is kept."""
Parts = Sequence[tuple[np.ndarray, Scale]]
"""Rows of faces and the scale that they are judged by; together all faces."""


@dataclass(frozen=True, eq=False)
class Answers:
    """What is said of each face at one size, as if nothing were held back."""

    px: int
    estimate: Floats
    """(N,) years."""
    bins: np.ndarray
    """(N,) the likeliest of BINS."""
    covered: Floats
    """(N,) how likely the interval holds the true age, 0..1."""
    width: Floats
    """(N,) years from the first to the last of the interval, both included."""
    female: Floats
    """(N,) probability."""
    answered: np.ndarray
    """(N,) bool: the product would not abstain."""
    named: np.ndarray
    """(N,) bool: it would say a gender."""


def answers(
    trial: Trial, faces: LabelledFaces, parts: Parts, *, least: float, sure: float
) -> Answers:
    """`least` is the height in pixels, `sure` the probability of a gender that it takes."""
    count = len(faces)
    floats = {name: np.zeros(count, np.float32) for name in ("estimate", "cover", "width", "says")}
    bins, nothing = np.zeros(count, np.intp), np.zeros(count, bool)
    for rows, scale in parts:
        years = scale.years(trial.ages[rows], trial.heights[rows])
        low, high = interval(years, scale.level)
        says = scale.female(trial.genders[rows], trial.heights[rows])
        floats["estimate"][rows] = np.clip(median(years), low, high)
        floats["cover"][rows] = covered(years, faces.bins[rows], scale.level)
        floats["width"][rows] = high - low + 1
        floats["says"][rows] = says
        bins[rows] = of_bins(years).argmax(axis=1)
        nothing[rows] = (high - low >= scale.widest) & (np.maximum(says, 1 - says) < sure)
    answered = ~nothing & (trial.px >= least)
    certain = np.maximum(floats["says"], 1 - floats["says"]) >= sure
    return Answers(
        trial.px,
        floats["estimate"],
        bins,
        floats["cover"],
        floats["width"],
        floats["says"],
        answered,
        answered & certain,
    )


@dataclass(frozen=True)
class Row:
    """One group of faces at one size. What could not be measured is None.

    All but `answered`, `named` and `named_right` count every face, held back or not, so that
    figures of different sizes and models compare.
    """

    px: int
    group: str
    faces: int
    mae: float | None
    """Mean distance of the estimate from the bin's centre, years."""
    within: float | None
    """Share whose estimate lies in the labelled bin, to half a year."""
    exact: float | None
    """Share whose likeliest bin is the labelled one."""
    one_off: float | None
    """Or a neighbour of it."""
    gender: float | None
    """Share whose likelier gender is the labelled one."""
    coverage: float | None
    """Share whose interval holds the true age, in expectation over the bin."""
    width: float | None
    """Mean width of the interval, years."""
    answered: float | None
    """Share that the product answers."""
    named: float | None
    """Share that it says a gender of."""
    named_right: float | None
    """Share of these that are right."""


def row(said: Answers, faces: LabelledFaces, inside: np.ndarray, group: str) -> Row:
    """The figures of the faces `inside`, (N,) bool."""
    bins, female = faces.bins[inside], faces.female[inside]
    low, high = np.array(BINS, np.float32)[bins].T
    estimate = said.estimate[inside]
    off = np.abs(said.bins[inside] - bins)
    right = (said.female[inside] >= 0.5) == female
    named = said.named[inside]
    return Row(
        said.px,
        group,
        int(inside.sum()),
        mae=_mean(np.abs(estimate - bin_centres()[bins])),
        within=_mean((estimate >= low - 0.5) & (estimate <= high + 0.5)),
        exact=_mean(off == 0),
        one_off=_mean(off <= 1),
        gender=_mean(right),
        coverage=_mean(said.covered[inside]),
        width=_mean(said.width[inside]),
        answered=_mean(said.answered[inside]),
        named=_mean(named),
        named_right=_mean(right[named]),
    )


def _mean(values: np.ndarray) -> float | None:
    return round(float(np.mean(values)), 4) if len(values) else None


def groups(faces: LabelledFaces) -> Iterator[tuple[str, str, np.ndarray]]:
    """(Kind, name, (N,) bool) of every group that is reported; empty ones too."""
    everybody = np.ones(len(faces), bool)
    yield "all", "all", everybody
    of_age = [(label(low, high), faces.bins == at) for at, (low, high) in enumerate(BINS)]
    of_gender = [("female", faces.female), ("male", ~faces.female)]
    of_race = [(str(race), faces.races == race) for race in np.unique(faces.races)]
    for kind, some in (("age", of_age), ("gender", of_gender), ("race", of_race)):
        for name, inside in some:
            yield kind, name, inside
    for race, of in of_race:
        for gender, there in of_gender:
            yield "race x gender", f"{race}, {gender}", of & there
    for low, high in BANDS:
        band = np.isin(faces.bins, [at for at, (a, b) in enumerate(BINS) if low <= a and b <= high])
        for gender, there in of_gender:
            for race, of in of_race:
                name = f"{label(low, high)}, {gender}, {race}"
                yield "age x gender x race", name, band & there & of


def label(low: int, high: int) -> str:
    """What a range of ages is called."""
    return f"{low}+" if high == BINS[-1][1] else f"{low}-{high}"


@dataclass(frozen=True)
class GenderCalibration:
    """Probabilities of a gender against how often it was the labelled one."""

    px: int
    confidence: tuple[float | None, ...]
    """Mean of what was said, in ten bins of 0..1 for "female"."""
    frequency: tuple[float | None, ...]
    count: tuple[int, ...]
    error: float | None
    """Expected calibration error, 0..1."""


@dataclass(frozen=True)
class Oddity:
    """One kind of bad input, at full size."""

    kind: str
    faces: int
    insufficient: float | None
    """Share that is answered with `insufficient_quality`."""
    named: float | None
    """Share that a gender is said of."""
    width: float | None
    """Mean width of the interval, years."""


@dataclass(frozen=True)
class Wrong:
    """A face that an answer was far off at, for people to look at."""

    image: str
    px: int
    truth: str
    said: str
    off: float
    """Years outside of the bin."""


@dataclass(frozen=True)
class AttributeReport:
    """All of it."""

    model: str
    data: str
    calibration: str
    """By which calibration, in words."""
    widest: int
    rows: dict[str, tuple[Row, ...]]
    """By kind of group; each size in turn, largest first."""
    confusion: dict[str, tuple[tuple[int, ...], ...]]
    """Size -> faces by labelled bin (rows) and likeliest bin (columns)."""
    calibrations: tuple[GenderCalibration, ...]
    oddities: tuple[Oddity, ...]
    worst: tuple[Wrong, ...]
    """At full size, farthest first."""

    def to_json(self) -> str:
        """One line; what could not be measured is null."""
        return json.dumps(asdict(self), allow_nan=False)

    def overall(self, px: int) -> Row:
        """All faces at a size; KeyError for a size that was not measured."""
        return self.find("all", "all", px)

    def find(self, kind: str, group: str, px: int) -> Row:
        """One row; KeyError where there is none."""
        for one in self.rows[kind]:
            if (one.group, one.px) == (group, px):
                return one
        raise KeyError((kind, group, px))


def report(
    said: Sequence[Answers],
    faces: LabelledFaces,
    *,
    widest: int,
    oddities: Sequence[Oddity] = (),
    model: str = "",
    data: str = "",
    calibration: str = "",
    worst: int = 20,
) -> AttributeReport:
    """Tables of what was said of the faces at each size."""
    rows: dict[str, list[Row]] = {}
    for one in said:
        for kind, name, inside in groups(faces):
            rows.setdefault(kind, []).append(row(one, faces, inside, name))
    return AttributeReport(
        model=model,
        data=data,
        calibration=calibration,
        widest=widest,
        rows={kind: tuple(some) for kind, some in rows.items()},
        confusion={str(one.px): confusion(one, faces) for one in said if one.px in SHOWN},
        calibrations=tuple(_calibrated(one, faces) for one in said),
        oddities=tuple(oddities),
        worst=tuple(_worst(said[0], faces)[:worst]) if said else (),
    )


def confusion(said: Answers, faces: LabelledFaces) -> tuple[tuple[int, ...], ...]:
    """(9, 9) counts of faces: labelled bin by likeliest bin."""
    table = np.zeros((len(BINS), len(BINS)), np.int64)
    np.add.at(table, (faces.bins, said.bins), 1)
    return tuple(tuple(int(value) for value in line) for line in table)


def _calibrated(said: Answers, faces: LabelledFaces) -> GenderCalibration:
    found = metrics.calibration(said.female.astype(np.float64), faces.female.astype(int), bins=10)
    return GenderCalibration(
        said.px,
        tuple(_known(value) for value in found.confidence),
        tuple(_known(value) for value in found.frequency),
        tuple(int(value) for value in found.count),
        _known(found.error),
    )


def _known(value: float) -> float | None:
    return round(float(value), 4) if math.isfinite(value) else None


def _worst(said: Answers, faces: LabelledFaces) -> list[Wrong]:
    low, high = np.array(BINS, np.float32)[faces.bins].T
    off = np.maximum(np.maximum(low - said.estimate, said.estimate - high), 0)
    order = np.argsort(-off, kind="stable")
    return [
        Wrong(
            faces.names[at],
            said.px,
            f"{label(*BINS[faces.bins[at]])}, {_word(bool(faces.female[at]))}",
            f"{said.estimate[at]:.0f}, {_word(bool(said.female[at] >= 0.5))} "
            f"{max(said.female[at], 1 - said.female[at]):.2f}",
            round(float(off[at]), 1),
        )
        for at in order
        if off[at] > 0
    ]


def _word(female: bool) -> str:
    return "female" if female else "male"


def oddity(kind: str, trial: Trial, scale: Scale, sure: float) -> Oddity:
    """What is said of one kind of bad input."""
    years = scale.years(trial.ages, trial.heights)
    low, high = interval(years, scale.level)
    says = scale.female(trial.genders, trial.heights)
    certain = np.maximum(says, 1 - says) >= sure
    nothing = (high - low >= scale.widest) & ~certain
    return Oddity(
        kind,
        len(says),
        insufficient=_mean(nothing),
        named=_mean(certain & ~nothing),
        width=_mean(high - low + 1),
    )
