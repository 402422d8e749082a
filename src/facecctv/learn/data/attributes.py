"""Upright faces with perceived age, gender and race, and what a bin of ages says about years."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from facecctv.errors import LabelError
from facecctv.learn.data.aligned import SIDE, load_portraits
from facecctv.learn.data.detection import Row, read_table
from facecctv.types import Floats, Image

BINS = ((0, 2), (3, 9), (10, 19), (20, 29), (30, 39), (40, 49), (50, 59), (60, 69), (70, 100))
"""FairFace's, in whole years, both ends included; the last is "more than 70"."""
OLDEST = 100
GENDERS = ("male", "female")
DECLINE = 8.0
"""Years in which the number of people in the open last bin falls to 1 / e: an assumption, since
the labels say nothing about it; an even spread up to 100 would make its mean 85."""
COLUMNS = ("image", "split", "age_min", "age_max", "gender", "race")


@dataclass(frozen=True, eq=False)
class LabelledFaces:
    """Faces in one order in all arrays. Labels are what crowd workers perceived."""

    names: tuple[str, ...]
    images: np.ndarray
    """(N, 128, 128, 3) uint8 RGB, upright, with a border of 8 px."""
    bins: np.ndarray
    """(N,) int64: index into BINS."""
    female: np.ndarray
    """(N,) bool."""
    races: np.ndarray
    """(N,) str."""

    def __len__(self) -> int:
        return len(self.names)


def load_labelled(folder: Path, split: str) -> LabelledFaces:
    """The `portraits` set; LabelError for an age bin or a gender that is not among the known."""
    rows = _rows(folder, split)
    faces = load_portraits(folder, split)
    bins, female = _labels(rows)
    races = np.array([row["race"] for row in rows])
    return LabelledFaces(faces.names, faces.images, bins, female, races)


def load_labels(folder: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """(N,) age bins and (N,) whether female, of a split, without its pictures."""
    return _labels(_rows(folder, split))


def _rows(folder: Path, split: str) -> list[Row]:
    rows = [row for row in read_table(folder / "portraits.csv", COLUMNS) if row["split"] == split]
    if not rows:
        raise LabelError(f"no pictures of the split {split!r}")
    return rows


def _labels(rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray]:
    bins = np.array([_bin(row) for row in rows])
    return bins, np.array([_gender(row) == "female" for row in rows])


def _bin(row: Row) -> int:
    ages = row["age_min"], row["age_max"]
    for number, (low, high) in enumerate(BINS):
        if ages == (str(low), str(high)):
            return number
    raise LabelError(f"{row['image']}: no age bin {ages[0]}-{ages[1]}")


def _gender(row: Row) -> str:
    if row["gender"] not in GENDERS:
        raise LabelError(f"{row['image']}: gender is {' or '.join(GENDERS)}, not {row['gender']!r}")
    return row["gender"]


def years_in_bins() -> Floats:
    """(9, 101) float32: how likely each year of age is when all that is known is the bin.

    Even within a bin; falling exponentially in the open last one (see DECLINE).
    """
    years = np.arange(OLDEST + 1)
    rows = [(years >= low) & (years <= high) for low, high in BINS]
    shares = np.array(rows, np.float64)
    shares[-1] *= np.exp(-(years - BINS[-1][0]) / DECLINE)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), np.float32)


def bin_centres() -> Floats:
    """(9,) float32: mean age in years of each bin under `years_in_bins`.

    1, 6, 14.5, ... 64.5, and for the last what the assumption makes of it.
    """
    return years_in_bins() @ np.arange(OLDEST + 1, dtype=np.float32)


def soft_ages(edge: float) -> Floats:
    """(9, 101) float32: the same with edges blurred by a Gaussian of `edge` years.

    Somebody of 29 may well be labelled 30-39 (label distributions after Gao et al. 2017, "Deep
    label distribution learning with label ambiguity").
    """
    years = np.arange(OLDEST + 1)
    blur = np.exp(-0.5 * ((years[:, None] - years) / edge) ** 2)
    soft = years_in_bins() @ (blur / blur.sum(axis=1, keepdims=True))
    return np.asarray(soft, np.float32)


def balanced(faces: LabelledFaces, strength: float) -> np.ndarray:
    """(N,) float64 probabilities of drawing each face, even over age bin x gender x race.

    `strength` 0 leaves the set as it is, 1 makes all groups equally frequent; between, a group of
    n faces gets the weight n ** (1 - strength).
    """
    groups = [f"{b} {f} {r}" for b, f, r in zip(faces.bins, faces.female, faces.races, strict=True)]
    _, group, counts = np.unique(groups, return_inverse=True, return_counts=True)
    weights = counts[group].astype(np.float64) ** -strength
    return np.asarray(weights / weights.sum())


def windows(pictures: Sequence[Image], each: int, rng: np.random.Generator) -> np.ndarray:
    """(N * each, 128, 128, 3) uint8: square windows of pictures, of any size from 32 px."""
    found = []
    for picture in pictures:
        rows, columns = picture.shape[:2]
        for _ in range(each):
            side = int(rng.integers(min(32, rows, columns), min(rows, columns) + 1))
            top, left = rng.integers(rows - side + 1), rng.integers(columns - side + 1)
            window = picture[top : top + side, left : left + side]
            kind = cv2.INTER_AREA if side > SIDE else cv2.INTER_LINEAR
            found.append(cv2.resize(window, (SIDE, SIDE), interpolation=kind))
    return np.stack(found) if found else np.zeros((0, SIDE, SIDE, 3), np.uint8)
