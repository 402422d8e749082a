"""How well a recogniser tells whether two pictures show one person, on pairs of the user's own."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from facecctv import metrics
from facecctv.errors import FaceCCTVError, InputError, LabelError
from facecctv.identity.calibrate import Calibration
from facecctv.identity.fitting import fit
from facecctv.image import shown
from facecctv.learn.stated import StatedRate, halves, stated_rates
from facecctv.types import Portrait

COLUMNS = ("image_a", "image_b", "same")
BANDS = ((0, 12), (12, 16), (16, 24), (24, 32), (32, 48), (48, 64), (64, math.inf))
"""Height of the worse face, pixels."""
FARS = (1e-2, 1e-3)
_TRUTH = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}

See = Callable[[str], Portrait]
"""File -> its one face, with quality and embedding; raises FaceCCTVError where there is none."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Pair:
    """A row of the table."""

    a: str
    b: str
    same: bool


@dataclass(frozen=True, eq=False)
class PairScores:
    """What was measured; (N,) each."""

    similarity: np.ndarray
    same: np.ndarray
    face_px: np.ndarray
    """Of the worse face."""
    quality: np.ndarray
    people: np.ndarray
    """(N, 2) who is on either picture: pictures joined by pairs of one person show one."""
    skipped: tuple[tuple[str, str], ...]
    """Picture and reason of those that could not be used; their pairs are left out."""


@dataclass(frozen=True)
class BandReport:
    """The pairs whose worse face is this high."""

    low: float
    high: float | None
    same: int
    different: int
    eer: float | None
    tar: dict[str, float | None]
    """False acceptance rate -> true acceptance rate."""
    accuracy: float | None
    """In ten folds."""
    standard_error: float | None
    measured: dict[str, float | None]
    """Stated false-match rate -> measured, by calibrations fitted to the other half's people."""
    judged: int
    """Pairs of different people that this was measured on."""

    @property
    def stated(self) -> tuple[StatedRate, ...]:
        """The measured rates with their uncertainty; empty where nothing was measured."""
        known = {float(rate): value for rate, value in self.measured.items() if value is not None}
        return tuple(
            StatedRate(rate, round(value * self.judged), self.judged)
            for rate, value in known.items()
        )


@dataclass(frozen=True)
class PairReport:
    """All of it; the first band is all pairs."""

    model: str
    bands: tuple[BandReport, ...]
    skipped: tuple[tuple[str, str], ...]
    people: int
    unjudged: str | None
    """Why stated false-match rates were not measured, if they were not."""

    def to_json(self) -> str:
        """One object; what could not be measured is null."""
        return json.dumps(asdict(self), allow_nan=False)


def read_pairs(path: Path) -> list[Pair]:
    """The rows of a CSV file with the columns image_a, image_b and same (1 or 0).

    Paths are relative to the table. Raises InputError for a file that cannot be read, LabelError,
    naming the line, for one that breaks its form.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            if not set(COLUMNS) <= set(rows.fieldnames or ()):
                raise LabelError(f"{shown(path)}: needs the columns {', '.join(COLUMNS)}")
            return [_pair(row, path, rows.line_num) for row in rows]
    except OSError as error:
        raise InputError(f"{shown(path)}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise LabelError(f"{shown(path)}: no CSV of UTF-8") from error


def _pair(row: dict[str, str | None], path: Path, line: int) -> Pair:
    a, b, same = (row[column] for column in COLUMNS)
    truth = _TRUTH.get((same or "").strip().lower())
    if not a or not b or truth is None:
        raise LabelError(
            f"{shown(path)}: line {line}: two pictures, and 1 or 0 for the same person"
        )
    return Pair(str(path.parent / a), str(path.parent / b), truth)


def compare_pairs(pairs: Sequence[Pair], see: See, progress: Progress | None = None) -> PairScores:
    """Looks at each picture once and compares the pairs; unusable pictures are noted."""
    names = list(dict.fromkeys(name for pair in pairs for name in (pair.a, pair.b)))
    seen: dict[str, Portrait] = {}
    skipped = []
    for number, name in enumerate(names, 1):
        try:
            seen[name] = see(name)
        except (FaceCCTVError, OSError) as error:
            skipped.append((name, " ".join(str(error).split())))
        if progress is not None:
            progress(number, len(names))
    known = [pair for pair in pairs if pair.a in seen and pair.b in seen]
    rows = [_alike(seen[pair.a], seen[pair.b]) for pair in known]
    table = np.array(rows, np.float64).reshape(-1, 3)
    same = np.array([pair.same for pair in known], np.bool_)
    return PairScores(table[:, 0], same, table[:, 1], table[:, 2], people_of(known), tuple(skipped))


def people_of(pairs: Sequence[Pair]) -> np.ndarray:
    """(N, 2) int: a number for the person on either picture, as far as the pairs tell.

    Pictures that pairs of one person join, directly or through others, show one person; two groups
    of pictures of a person that no pair joins count as two people.
    """
    leader: dict[str, str] = {}

    def find(name: str) -> str:
        while leader.setdefault(name, name) != name:
            leader[name] = leader[leader[name]]
            name = leader[name]
        return name

    for pair in pairs:
        if pair.same:
            leader[find(pair.a)] = find(pair.b)
    number: dict[str, int] = {}
    rows = [
        [number.setdefault(find(name), len(number)) for name in (pair.a, pair.b)] for pair in pairs
    ]
    return np.array(rows, np.intp).reshape(-1, 2)


def _alike(a: Portrait, b: Portrait) -> tuple[float, float, float]:
    similarity = float(np.clip(a.embedding @ b.embedding, -1, 1))
    return (
        similarity,
        min(a.face.height, b.face.height),
        min(a.quality.score, b.quality.score),
    )


def report(scores: PairScores, model: str) -> PairReport:
    """Error rates of all pairs and by size of the worse face."""
    people, unjudged = len(np.unique(scores.people)), None
    try:
        stated = crossed_rates(scores)
    except InputError as error:
        stated = np.full(len(scores.same), np.nan)
        unjudged = f"in halves of the {people} people: {error}"
    everything = (0, math.inf)
    bands = tuple(_band(scores, stated, *band) for band in (everything, *BANDS))
    return PairReport(model, bands, scores.skipped, people, unjudged)


def crossed_rates(scores: PairScores, seed: int = 0) -> np.ndarray:
    """(N,) the false-match rate stated for each pair by a calibration fitted to other people.

    The people are halved by chance; each half's pairs are judged by a fit to the pairs of the
    other. NaN for pairs with a person of either half. Raises InputError where a half has too few
    pairs for a calibration.
    """
    stated = np.full(len(scores.same), np.nan)
    half = halves(scores.people.ravel(), seed).reshape(-1, 2)
    for part in (0, 1):
        found = calibrate(scores, "", only=(half != part).all(axis=1))
        inside = (half == part).all(axis=1)
        of = (scores.similarity[inside], scores.face_px[inside], scores.quality[inside])
        stated[inside] = found.fmr(*of)
    return stated


def calibrate(
    scores: PairScores, embedder: str, conditions: str = "", only: np.ndarray | None = None
) -> Calibration:
    """A calibration fitted to the pairs; InputError where there are too few."""
    chosen = np.ones(len(scores.same), np.bool_) if only is None else only
    return fit(
        scores.similarity[chosen],
        scores.same[chosen],
        scores.face_px[chosen],
        scores.quality[chosen],
        embedder=embedder,
        conditions=conditions,
    )


def _band(scores: PairScores, stated: np.ndarray, low: float, high: float) -> BandReport:
    inside = (scores.face_px >= low) & (scores.face_px < high)
    values, same = scores.similarity[inside], scores.same[inside]
    labels = same.astype(int)
    folds = metrics.accuracy_by_folds(values, labels)
    strangers = stated[inside & ~scores.same & np.isfinite(stated)]
    return BandReport(
        low=low,
        high=None if math.isinf(high) else high,
        same=int(same.sum()),
        different=int((~same).sum()),
        eer=_number(metrics.eer(values, labels)),
        tar={f"{far:g}": _number(metrics.tar_at_far(values, labels, far)[0]) for far in FARS},
        accuracy=_number(folds.mean),
        standard_error=_number(folds.standard_error),
        measured={f"{one.stated:g}": _number(one.measured) for one in stated_rates(strangers)},
        judged=len(strangers),
    )


def _number(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None
