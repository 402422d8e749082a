"""How good a detector is, on labelled pictures and under named conditions."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import cv2
import numpy as np

from facecctv import metrics
from facecctv.draw import AMBER, GREEN, RED, Cell, contact_sheet, outline
from facecctv.learn.data import degrade
from facecctv.learn.data.detection import Sample
from facecctv.metrics import HEIGHT_BANDS, SMALLEST, Band, Heights, OperatingPoint
from facecctv.types import Body, Face, Image

LOWEST_THRESHOLD = 0.02
"""Detections are asked for down to here, so that the curves run to their ends."""
LANDMARKS_FROM = 32.0
"""Height, pixels, of the faces whose landmarks are measured."""
FALSE_ALARMS = (0.2, 0.01)
"""A picture: the working points that are looked up."""
CURVE_POINTS = 200

Detect = Callable[[Image], Sequence[Face]] | Callable[[Image], Sequence[Body]]


@dataclass(frozen=True)
class Condition:
    """What is done to the pictures before the detector sees them."""

    name: str
    description: str
    apply: Callable[[Sample, int], Sample]
    """(sample, its number in the set) -> sample."""


def half(sample: Sample) -> Sample:
    """The picture at half its size, by area averaging, with its labels."""
    height, width = sample.image.shape[:2]
    size = (max(1, round(width / 2)), max(1, round(height / 2)))
    scale = np.array([size[0] / width, size[1] / height], np.float32)
    return replace(
        sample,
        image=np.asarray(cv2.resize(sample.image, size, interpolation=cv2.INTER_AREA)),
        boxes=sample.boxes * np.tile(scale, 2),
        landmarks=sample.landmarks * scale,
    )


def through_cctv(sample: Sample, number: int) -> Sample:
    """The picture after the standard CCTV chain; the number is the seed."""
    rng = np.random.default_rng(number)
    return replace(sample, image=degrade.cctv(sample.image, rng, 0.5, degrade.STANDARD))


CONDITIONS: tuple[Condition, ...] = (
    Condition("clean", "as stored", lambda sample, _: sample),
    Condition("half", "shrunk to one half by area averaging", lambda sample, _: half(sample)),
    Condition("cctv", "through degrade.STANDARD at strength 0.5, seeded by number", through_cctv),
)


@dataclass(frozen=True)
class Case:
    """A face that was missed, or a false alarm."""

    image: str
    number: int
    """Of the picture in the set."""
    box: tuple[float, float, float, float]
    """x1 y1 x2 y2, pixels of the picture under the condition."""
    score: float
    """Of the detection. Of a missed face: the score, under the threshold, of the detection that
    fits it; 0 where there is none."""


@dataclass(frozen=True)
class Landmarks:
    """Errors in distances between the eyes; NaN when no face was measured."""

    faces: int
    mean: float
    median: float


@dataclass(frozen=True)
class Curve:
    """Precision over recall, thinned to at most CURVE_POINTS points; empty without faces."""

    thresholds: tuple[float, ...]
    precision: tuple[float, ...]
    recall: tuple[float, ...]


@dataclass(frozen=True)
class ConditionReport:
    """Everything measured under one condition."""

    name: str
    description: str
    bands: tuple[Band, ...]
    """All faces of at least metrics.SMALLEST px first, then by height; average precision at an
    overlap of one half."""
    at_threshold: OperatingPoint
    working_points: tuple[OperatingPoint, ...]
    """At FALSE_ALARMS, in order."""
    landmarks: Landmarks
    """Of the faces from LANDMARKS_FROM px that were found at the threshold and have labels."""
    curve: Curve
    misses: tuple[Case, ...]
    """At the threshold: those without any detection first, then larger before smaller."""
    false_alarms: tuple[Case, ...]
    """Highest score first."""


@dataclass(frozen=True)
class DetectorReport:
    """What `evaluate_detector` found."""

    model: str
    """Name and version."""
    data: str
    pictures: int
    threshold: float
    """The card's working point."""
    conditions: tuple[ConditionReport, ...]

    def to_json(self) -> str:
        """One line; what is not a finite number (nothing to measure, no limit) is null."""
        return json.dumps(_finite(asdict(self)), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    if isinstance(value, float):
        return round(value, 5) if math.isfinite(value) else None
    return value


def evaluate_detector(
    detect: Detect,
    samples: Sequence[Sample],
    *,
    threshold: float,
    conditions: Sequence[Condition] = CONDITIONS,
    bands: Sequence[Heights] = HEIGHT_BANDS,
    worst: int = 10,
    limit: int | None = None,
    model: str = "",
    data: str = "",
    progress: Callable[[int, int], None] | None = None,
) -> DetectorReport:
    """Runs a detector over labelled pictures and measures what it found.

    Args:
        detect: (H, W, 3) uint8 RGB -> faces or bodies, from a score of LOWEST_THRESHOLD up.
        samples: `ignore` boxes count neither way; all others count.
        threshold: 0..1, where misses, landmarks and the precision in use are measured.
        conditions: what the pictures go through, each in its turn.
        bands: heights that average precision is measured by, besides all from metrics.SMALLEST.
        worst: how many misses and how many false alarms are listed per condition.
        limit: at most so many pictures, spread evenly over the set.
        model: name and version, for the report.
        data: name of the set, for the report.
        progress: called with pictures done and pictures in all.
    """
    numbers = _spread(len(samples), limit)
    seen: list[list[_Seen]] = [[] for _ in conditions]
    for done, number in enumerate(numbers, 1):
        sample = samples[number]
        for condition, results in zip(conditions, seen, strict=True):
            changed = condition.apply(sample, number)
            results.append(_Seen(number, replace(changed, image=_NOTHING), detect(changed.image)))
        if progress:
            progress(done, len(numbers))
    reports = tuple(
        _measure(condition, results, threshold, bands, worst)
        for condition, results in zip(conditions, seen, strict=True)
    )
    return DetectorReport(model, data, len(numbers), threshold, reports)


_NOTHING = np.zeros((1, 1, 3), np.uint8)  # pictures are not kept: a set may be large


def _spread(count: int, limit: int | None) -> list[int]:
    if limit is None or limit >= count:
        return list(range(count))
    return [int(number) for number in (np.arange(limit) + 0.5) * count / limit]


@dataclass(frozen=True, eq=False)
class _Seen:
    """One picture under one condition: labels without pixels, and what was found."""

    number: int
    sample: Sample
    faces: Sequence[Face] | Sequence[Body]

    def truth(self) -> metrics.Truth:
        sample = self.sample
        return metrics.Truth(sample.boxes[~sample.ignore], sample.boxes[sample.ignore])

    def found(self) -> metrics.Detections:
        faces = self.faces
        return metrics.Detections([face.box for face in faces], [face.score for face in faces])


def _measure(
    condition: Condition,
    seen: Sequence[_Seen],
    threshold: float,
    bands: Sequence[Heights],
    worst: int,
) -> ConditionReport:
    found, truths = [one.found() for one in seen], [one.truth() for one in seen]
    matches = metrics.match(found, truths)
    alarms = [
        _case(seen[p], found[p].boxes[k], float(found[p].scores[k])) for p, k in matches.wrong
    ]
    return ConditionReport(
        name=condition.name,
        description=condition.description,
        bands=metrics.by_height(found, truths, bands=((SMALLEST, math.inf), *bands)),
        at_threshold=_at(matches, threshold),
        working_points=tuple(metrics.at_false_positives(matches, rate) for rate in FALSE_ALARMS),
        landmarks=_landmarks(seen, matches.pairs, threshold),
        curve=_curve(matches),
        misses=tuple(_misses(seen, truths, found, matches.pairs, threshold)[:worst]),
        false_alarms=tuple(sorted(alarms, key=lambda case: -case.score)[:worst]),
    )


def _case(seen: _Seen, box: np.ndarray, score: float) -> Case:
    x1, y1, x2, y2 = (float(value) for value in box)
    return Case(seen.sample.name, seen.number, (x1, y1, x2, y2), score)


def _at(matches: metrics.Matches, threshold: float) -> OperatingPoint:
    kept = matches.scores >= threshold
    right, total = int(matches.hits[kept].sum()), int(kept.sum())
    return OperatingPoint(
        threshold,
        right / total if total else math.nan,
        right / matches.positives if matches.positives else math.nan,
        (total - right) / max(matches.pictures, 1),
    )


def _landmarks(seen: Sequence[_Seen], pairs: np.ndarray, threshold: float) -> Landmarks:
    found, truth = [], []
    for picture, detection, face in pairs:
        one = seen[picture]
        boxes = one.sample.boxes[~one.sample.ignore]
        known = one.sample.landmarks[~one.sample.ignore][face]
        large = boxes[face, 3] - boxes[face, 1] > LANDMARKS_FROM
        if large and np.isfinite(known).all() and one.faces[detection].score >= threshold:
            found.append(one.faces[detection].landmarks)
            truth.append(known)
    if not found:
        return Landmarks(0, math.nan, math.nan)
    errors = metrics.landmark_error(np.stack(found), np.stack(truth))
    errors = errors[np.isfinite(errors)]  # not where both eyes are labelled at one place
    if not len(errors):
        return Landmarks(0, math.nan, math.nan)
    return Landmarks(len(errors), float(errors.mean()), float(np.median(errors)))


def _curve(matches: metrics.Matches) -> Curve:
    if not matches.positives:
        return Curve((), (), ())
    curve = metrics.precision_recall(matches)
    kept = np.arange(len(curve.thresholds))
    if len(kept) > CURVE_POINTS:  # evenly in recall: most thresholds lie in the tail of low scores
        even = np.linspace(curve.recall[0], curve.recall[-1], CURVE_POINTS)
        kept = np.unique(np.searchsorted(curve.recall, even))
    columns = (curve.thresholds, curve.precision, curve.recall)
    thresholds, precision, recall = (
        tuple(float(value) for value in column[kept]) for column in columns
    )
    return Curve(thresholds, precision, recall)


def _misses(
    seen: Sequence[_Seen],
    truths: Sequence[metrics.Truth],
    found: Sequence[metrics.Detections],
    pairs: np.ndarray,
    threshold: float,
) -> list[Case]:
    scores = {(p, face): float(found[p].scores[k]) for p, k, face in pairs}
    missed = [
        _case(seen[picture], box, scores.get((picture, face), 0.0))
        for picture, truth in enumerate(truths)
        for face, box in enumerate(truth.boxes)
        if box[3] - box[1] >= metrics.SMALLEST and scores.get((picture, face), 0.0) < threshold
    ]
    return sorted(missed, key=lambda case: (case.score > 0, case.box[1] - case.box[3]))


def contact_sheets(
    report: DetectorReport, samples: Sequence[Sample], detect: Detect
) -> dict[str, Image]:
    """The report's worst cases as pictures: "clean-misses" and the like -> (H, W, 3) uint8 RGB.

    The case is amber; around it labels are red and what was found at the threshold is green.
    The pictures show people: the sheets belong where the pictures belong.
    """
    conditions = {condition.name: condition for condition in CONDITIONS}
    sheets = {}
    for part in report.conditions:
        for kind, cases in (("misses", part.misses), ("false-alarms", part.false_alarms)):
            cells = [
                _cell(case, conditions[part.name], samples[case.number], detect, report.threshold)
                for case in cases
            ]
            sheets[f"{part.name}-{kind}"] = contact_sheet(cells, empty=f"No {kind}")
    return sheets


def _cell(
    case: Case, condition: Condition, sample: Sample, detect: Detect, threshold: float
) -> Cell:
    changed = condition.apply(sample, case.number)
    found = [face.box for face in detect(changed.image) if face.score >= threshold]
    labelled = list(changed.boxes[~changed.ignore])
    here = np.array(case.box, np.float32)
    low, high = _surroundings(here, changed.image)
    view = changed.image[low[1] : high[1], low[0] : high[0]]
    enlarge = max(1, round(220 / max(view.shape[:2])))
    view = view.repeat(enlarge, axis=0).repeat(enlarge, axis=1)
    tinted = [(box, RED) for box in labelled] + [(box, GREEN) for box in found] + [(here, AMBER)]
    moved = [((box - np.tile(low, 2)) * enlarge, tint) for box, tint in tinted]
    shown = [(Body(box, 1.0), tint) for box, tint in moved if _touches(box, view)]
    drawn = outline(view, [body for body, _ in shown], colours=[tint for _, tint in shown])
    size = f"{here[2] - here[0]:.0f} x {here[3] - here[1]:.0f} px"
    return Cell(drawn, case.image, (f"score {case.score:.2f}, {size}",), AMBER)


def _surroundings(box: np.ndarray, image: Image) -> tuple[np.ndarray, np.ndarray]:
    """Top left and bottom right corner of a window around the box, in whole pixels."""
    centre, side = (box[:2] + box[2:]) / 2, max(2.5 * (box[2:] - box[:2]).max(), 48)
    size = np.array(image.shape[1::-1])
    low = np.clip(np.floor(centre - side / 2), 0, size - 1).astype(int)
    return low, np.clip(np.ceil(centre + side / 2), low + 1, size).astype(int)


def _touches(box: np.ndarray, view: Image) -> bool:
    return bool(box[0] < view.shape[1] and box[1] < view.shape[0] and (box[2:] > 0).all())
