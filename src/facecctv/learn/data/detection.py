"""Pictures with boxes, in memory: what detectors are trained on."""

from __future__ import annotations

import csv
import io
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from facecctv.errors import InputError, LabelError
from facecctv.types import Floats, Image

LANDMARK_COLUMNS = [f"l{axis}{i}" for i in range(5) for axis in "xy"]


@dataclass(frozen=True, eq=False)
class Sample:
    """One picture with its boxes."""

    name: str
    image: Image
    """(H, W, 3) uint8 RGB."""
    boxes: Floats
    """(N, 4) float32 x1 y1 x2 y2, pixels."""
    landmarks: Floats
    """(N, 5, 2) float32 pixels, NaN where unknown."""
    ignore: np.ndarray
    """(N,) bool: may be a face or not; neither a hit nor a miss counts there."""


def read_table(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file with a header; LabelError when there is none."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise LabelError(f"{path}: not UTF-8") from error
    if not rows:
        raise LabelError(f"{path}: no rows")
    return rows


class Archives:
    """All pictures of a folder's zip files, by name."""

    def __init__(self, folder: Path) -> None:
        self._files = [zipfile.ZipFile(path) for path in sorted(folder.glob("*.zip"))]
        if not self._files:
            raise InputError(f"{folder}: no zip file")
        self._where = {name: file for file in self._files for name in file.namelist()}

    def read(self, name: str) -> Image:
        """(H, W, 3) uint8 RGB; LabelError when no archive holds the name."""
        if name not in self._where:
            raise LabelError(f"{name}: in the labels, but in no zip file")
        with PillowImage.open(io.BytesIO(self._where[name].read(name))) as picture:
            return np.asarray(picture.convert("RGB"))


def _group(rows: Sequence[dict[str, str]], split: str) -> dict[str, list[dict[str, str]]]:
    groups: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        if row["split"] == split:
            groups[row["image"]].append(row)
    return groups


def _floats(rows: Sequence[dict[str, str]], columns: Sequence[str]) -> Floats:
    values = [[float(row[c]) if row.get(c) else np.nan for c in columns] for row in rows]
    return np.array(values, np.float32).reshape(len(rows), len(columns))


def _sample(name: str, image: Image, rows: Sequence[dict[str, str]], ignore: list[bool]) -> Sample:
    return Sample(
        name,
        image,
        _floats(rows, ("x1", "y1", "x2", "y2")),
        _floats(rows, LANDMARK_COLUMNS).reshape(-1, 5, 2),
        np.array(ignore, bool),
    )


def load_faces(folder: Path, split: str, *, trust_all: bool = False) -> Iterator[Sample]:
    """The `faces` set.

    `ignore` rows, and `gt` rows that no teacher confirmed (unless trust_all), are marked ignore.
    """
    archives = Archives(folder)
    for name, rows in _group(read_table(folder / "faces.csv"), split).items():
        ignore = [
            row["origin"] == "ignore"
            or (not trust_all and row["origin"] == "gt" and float(row["score"]) == 0)
            for row in rows
        ]
        yield _sample(name, archives.read(name), rows, ignore)


def load_people(folder: Path, split: str) -> Iterator[Sample]:
    """The `person` set with its faces; most pictures hold none and serve as negatives."""
    archives = Archives(folder)
    faces = _group(read_table(folder / "person_faces.csv"), split)
    for name in _group(read_table(folder / "person.csv"), split):
        rows = faces.get(name, [])
        yield _sample(name, archives.read(name), rows, [r["origin"] == "ignore" for r in rows])


def load_bodies(folder: Path, split: str) -> Iterator[Sample]:
    """The `person` set with its bodies."""
    archives = Archives(folder)
    for name, rows in _group(read_table(folder / "person.csv"), split).items():
        rows = [row for row in rows if row["x1"]]
        yield _sample(name, archives.read(name), rows, [False] * len(rows))


def load_identities(folder: Path, split: str) -> Iterator[Sample]:
    """The `identities` set: one large face a picture."""
    archives = Archives(folder)
    for name, rows in _group(read_table(folder / "identities.csv"), split).items():
        yield _sample(name, archives.read(name), rows, [False] * len(rows))


def load_scenes(folder: Path, split: str) -> Iterator[Sample]:
    """The `scenes` set: photographs without face labels."""
    archives = Archives(folder)
    for name in _group(read_table(folder / "scenes.csv"), split):
        yield _sample(name, archives.read(name), [], [])
