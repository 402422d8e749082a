"""What a similarity is worth: false-match rate, likelihood ratio, and a decision.

All depend on the worse of the two faces, by its height in pixels and its quality. Between sizes
(knots) every parameter runs straight over the logarithm of the pixels.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from statistics import NormalDist
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter, ValidationError

from facecctv.errors import InputError, ModelError
from facecctv.models.card import Card, one_line
from facecctv.types import Decision

Numbers = npt.NDArray[np.float64]

FORM: Final = "facecctv-calibration-1"
RATE: Final = 1e-3
"""False-match rate of a whole search unless asked otherwise."""
SHARE: Final = 0.05
"""Of strangers' pairs that lie in the fitted tail."""
EXTRAPOLATION: Final = 100.0
"""How far below one in all strangers' pairs a rate is still believed."""
LEAST_HOPE: Final = 0.1
"""Where fewer pairs of one person than this would pass, a face is insufficient."""
MARGIN: Final = 1.0
"""By how much the best candidate's evidence must exceed the next, powers of ten."""
_SMALLER: Final = 0.9
"""Of the smallest calibrated size: below, nothing is known."""

_NORMAL = NormalDist()
_log_tail = np.vectorize(
    lambda z: math.log(0.5 * math.erfc(z / math.sqrt(2))) if z < 30 else -z * z / 2, [float]
)
_quantile = np.vectorize(_NORMAL.inv_cdf, [float])


@dataclass(frozen=True)
class Evidence:
    """One candidate: how alike, and how good the picture on record is."""

    similarity: float
    face_px: float
    """Height of the face on record, pixels."""
    quality: float | None = None
    """0..1."""


@dataclass(frozen=True)
class Judgement:
    """What one candidate comes to."""

    decision: Decision
    false_match_rate: float
    """How often a search of this size finds a stranger at least as alike."""
    llr: float
    """Base-10 logarithm of the likelihood ratio, same person over different people."""


@dataclass(frozen=True)
class Verdict:
    """What a whole search comes to."""

    decision: Decision
    judgements: tuple[Judgement, ...]
    """In the order of the candidates."""
    gap: float | None = None
    """Similarity of the best candidate less that of the next."""


@dataclass(frozen=True)
class Calibration:
    """Fitted by `facecctv.identity.fitting.fit`; kept in a model's card as `calibration`.

    Strangers: a location and scale for each size, a generalised Pareto tail above the 95th
    percentile (peaks over threshold: Pickands 1975; Coles, An Introduction to Statistical Modeling
    of Extreme Values, 2001), a normal body below. Likelihood ratio: logistic regression (Brummer
    and du Preez, Application-independent evaluation of speaker detection, 2006).
    Raises ValueError for parts that do not fit each other.
    """

    knots: tuple[float, ...]
    """(K,) face heights, pixels, rising; what follows is (K,) at these."""
    mean: tuple[float, ...]
    """Of strangers' similarities."""
    spread: tuple[float, ...]
    """Their standard deviation."""
    start: tuple[float, ...]
    """Where the tail begins, in spreads above the mean."""
    scale: tuple[float, ...]
    """Of the tail, in spreads."""
    shape: float
    """Of the tail, the same at all sizes; negative: lighter than exponential."""
    same_mean: tuple[float, ...]
    """Of one person's similarities."""
    same_spread: tuple[float, ...]
    """Their standard deviation."""
    bias: tuple[float, ...]
    """Of the likelihood ratio, powers of ten."""
    slope: tuple[float, ...]
    """Of the likelihood ratio over similarity in spreads above the mean; positive."""
    quality_shift: float
    """By how many spreads strangers' similarities move per unit of quality, about one half."""
    quality_stretch: float
    """And the logarithm by which they stretch."""
    same: int
    """Pairs of one person that it was fitted to."""
    different: int
    """Pairs of different people."""
    embedder: str = ""
    """Name and version of the model."""
    conditions: str = ""
    """Of the fit, in words."""

    def __post_init__(self) -> None:
        rows = [getattr(self, f.name) for f in fields(self) if f.type == "tuple[float, ...]"]
        numbers = [value for row in rows for value in row] + [self.shape]
        numbers += [self.quality_shift, self.quality_stretch]
        if not self.knots or len({len(row) for row in rows}) != 1:
            raise ValueError("every parameter has one value a knot")
        if not all(math.isfinite(value) for value in numbers):
            raise ValueError("parameters are finite")
        positive = (self.knots[:1], self.spread, self.start, self.scale, self.same_spread)
        if min(min(row) for row in (*positive, self.slope)) <= 0:
            raise ValueError("sizes, spreads, starts, scales and slopes are positive")
        if any(b <= a for a, b in zip(self.knots, self.knots[1:], strict=False)):
            raise ValueError("knots rise")
        if abs(self.shape) > 1 or min(self.same, self.different) < 1:
            raise ValueError("shape lies in -1..1, and there are pairs of both kinds")

    @property
    def least_rate(self) -> float:
        """The smallest false-match rate of one comparison that it vouches for."""
        return 1 / (EXTRAPOLATION * self.different)

    def fmr(
        self, similarity: npt.ArrayLike, px: npt.ArrayLike, quality: npt.ArrayLike | None = None
    ) -> Numbers:
        """How often strangers are at least so alike, 0..1, where the worse face has `px` pixels.

        All three broadcast. Falls strictly with similarity.
        """
        z = self._standard(similarity, px, quality)
        start, scale = self._at(self.start, px), self._at(self.scale, px)
        body = _log_tail(np.minimum(z, start) / start * _quantile(1 - SHARE))
        excess = np.maximum(z - start, 0) / scale
        return np.asarray(np.exp(body + self._log_excess(excess)))

    def threshold(
        self, rate: npt.ArrayLike, px: npt.ArrayLike, quality: npt.ArrayLike | None = None
    ) -> Numbers:
        """The similarity that strangers reach at this rate: the inverse of `fmr`.

        Above 1 where no similarity is enough. Raises ValueError for a rate outside 0..1.
        """
        wanted = np.asarray(rate, np.float64)
        if not ((wanted > 0) & (wanted < 1)).all():
            raise ValueError("a false-match rate lies between 0 and 1")
        start, scale = self._at(self.start, px), self._at(self.scale, px)
        body = _quantile(1 - np.maximum(wanted, SHARE)) / _quantile(1 - SHARE) * start
        excess = self._excess(np.log(np.minimum(wanted, SHARE) / SHARE))
        z = np.where(wanted >= SHARE, body, start + scale * excess)
        shift, stretch = self._quality(quality)
        return self._at(self.mean, px) + self._at(self.spread, px) * (z * stretch + shift)

    def llr(
        self, similarity: npt.ArrayLike, px: npt.ArrayLike, quality: npt.ArrayLike | None = None
    ) -> Numbers:
        """Base-10 logarithm of the likelihood ratio: evidence for one person, or against.

        Held to what so many pairs can show: between one over the pairs of one person and the
        pairs of different people.
        """
        bounds = (-math.log10(self.same), math.log10(self.different))
        return np.clip(self._raw_llr(similarity, px, quality), *bounds)

    def tmr(self, threshold: npt.ArrayLike, px: npt.ArrayLike) -> Numbers:
        """Which share of pairs of one person reach this similarity, 0..1."""
        above = np.asarray(threshold, np.float64) - self._at(self.same_mean, px)
        return np.asarray(np.exp(_log_tail(above / self._at(self.same_spread, px))))

    def sufficient(self, px: float, quality: float | None = None, rate: float = RATE) -> bool:
        """Whether a face says enough to be judged at this rate of one comparison."""
        if px < _SMALLER * self.knots[0]:
            return False
        return bool(self.tmr(self.threshold(rate, px, quality), px) >= LEAST_HOPE)

    def decide(
        self,
        candidates: Sequence[Evidence],
        face_px: float,
        quality: float | None = None,
        *,
        compared: int = 1,
        rate: float = RATE,
        different_people: bool = True,
    ) -> Verdict:
        """Judges candidates, most similar first, for a face of this height and quality.

        `compared` is with how many templates the face was compared; `rate` is how often a search
        of this size may find a stranger, so each comparison has 1 - (1 - rate)^(1 / compared).

        `different_people` says that at most one candidate can be right, as on a watch-list; not so
        among sightings.

        match: at most that rate, vouched for by the calibration, and no other candidate near.
        insufficient_quality: even the right person would hardly pass, or so small a face was never
        measured. no_match: the likelihood ratio does not outweigh that so many were compared.
        inconclusive: anything else. Raises ValueError for a rate outside 0..1.
        """
        if not 0 < rate < 1 or compared < 1:
            raise ValueError("a rate lies between 0 and 1, and at least one comparison was made")
        each = -math.expm1(math.log1p(-rate) / compared)
        worse = [_worse(one, face_px, quality) for one in candidates]
        judged = [self._judge(*one, each, compared) for one in worse]
        passed = [number for number, one in enumerate(judged) if one.decision == "match"]
        evidence = sorted((float(self._raw_llr(*worse[n])) for n in passed), reverse=True)
        torn = len(passed) > 1 and evidence[0] - evidence[1] < MARGIN
        if not different_people:
            passed, torn = [], False
        for number in passed:
            if torn or float(self._raw_llr(*worse[number])) < evidence[0]:
                one = judged[number]
                judged[number] = Judgement("inconclusive", one.false_match_rate, one.llr)
        gap = None
        if len(candidates) > 1:
            gap = candidates[0].similarity - candidates[1].similarity
        enough = self.sufficient(face_px, quality, each)
        return Verdict(_overall(judged, enough), tuple(judged), gap)

    def _judge(
        self, similarity: float, px: float, quality: float | None, each: float, compared: int
    ) -> Judgement:
        single = float(self.fmr(similarity, px, quality))
        whole = -math.expm1(compared * math.log1p(-min(single, 1 - 1e-12)))
        llr = float(self.llr(similarity, px, quality))
        decision: Decision = "inconclusive"
        if not self.sufficient(px, quality, each):
            decision = "insufficient_quality"
        elif single <= each and each >= self.least_rate:
            decision = "match"
        elif llr <= math.log10(compared):
            decision = "no_match"
        return Judgement(decision, whole, llr)

    def _raw_llr(
        self, similarity: npt.ArrayLike, px: npt.ArrayLike, quality: npt.ArrayLike | None
    ) -> Numbers:
        z = self._standard(similarity, px, quality)
        return self._at(self.bias, px) + self._at(self.slope, px) * z

    def _standard(
        self, similarity: npt.ArrayLike, px: npt.ArrayLike, quality: npt.ArrayLike | None
    ) -> Numbers:
        shift, stretch = self._quality(quality)
        above = np.asarray(similarity, np.float64) - self._at(self.mean, px)
        return (above / self._at(self.spread, px) - shift) / stretch

    def _quality(self, quality: npt.ArrayLike | None) -> tuple[Numbers, Numbers]:
        off = np.asarray(0.5 if quality is None else quality, np.float64) - 0.5
        return self.quality_shift * off, np.exp(self.quality_stretch * off)

    def _at(self, values: Sequence[float], px: npt.ArrayLike) -> Numbers:
        return np.asarray(np.interp(np.log2(px), np.log2(self.knots), values))

    def _edge(self) -> float:
        """Where the data end, as a share of the tail: a light tail goes on exponentially there."""
        return min(0.5, 10 * len(self.knots) / (SHARE * self.different))

    def _log_excess(self, y: Numbers) -> Numbers:
        if abs(self.shape) < 1e-9:
            return -y
        if self.shape > 0:
            return np.asarray(-np.log1p(self.shape * y) / self.shape)
        last = self._excess(np.log(np.float64(self._edge())))
        inside = -np.log1p(self.shape * np.minimum(y, last)) / self.shape
        return np.asarray(inside - np.maximum(y - last, 0) / (1 + self.shape * last))

    def _excess(self, log_share: npt.ArrayLike) -> Numbers:
        """The inverse of `_log_excess`."""
        logs = np.asarray(log_share, np.float64)
        if abs(self.shape) < 1e-9:
            return -logs
        edge = math.log(self._edge()) if self.shape < 0 else -math.inf
        inside = np.expm1(-self.shape * np.maximum(logs, edge)) / self.shape
        return np.asarray(inside + np.maximum(edge - logs, 0) * (1 + self.shape * inside))

    def to_json(self) -> dict[str, Any]:
        """For `Card.extra["calibration"]` and for a file of its own."""
        found = {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self).items()}
        return {"form": FORM} | found

    @classmethod
    def from_json(cls, found: object) -> Calibration:
        """Raises InputError for anything but what `to_json` gives."""
        if not isinstance(found, Mapping) or found.get("form") != FORM:
            raise InputError("no calibration, or one of another version")
        try:
            return _READER.validate_python(dict(found))
        except ValidationError as error:
            raise InputError(f"a calibration that is none: {one_line(error)}") from error


_READER: Final = TypeAdapter(Calibration)


def calibration_of(card: Card) -> Calibration:
    """The calibration in a recogniser's card; ModelError where there is none or a broken one."""
    if "calibration" not in card.extra:
        raise ModelError(
            f"the card of {card.name} has no calibration: "
            "measure one with evaluate recogniser PAIRS.csv --calibrate FILE"
        )
    try:
        return Calibration.from_json(card.extra["calibration"])
    except InputError as error:
        raise ModelError(f"the card of {card.name} has {error}") from error


def read_calibration(text: str) -> Calibration:
    """From the text of a file; InputError where it holds none."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise InputError("no calibration: not JSON") from error
    return Calibration.from_json(found)


def _worse(
    one: Evidence, face_px: float, quality: float | None
) -> tuple[float, float, float | None]:
    known = [value for value in (one.quality, quality) if value is not None]
    return one.similarity, min(one.face_px, face_px), min(known) if known else None


def _overall(judged: Sequence[Judgement], enough: bool) -> Decision:
    if not enough:
        return "insufficient_quality"
    said = {one.decision for one in judged}
    order: tuple[Decision, ...] = ("match", "inconclusive", "no_match", "insufficient_quality")
    return next((decision for decision in order if decision in said), "no_match")
