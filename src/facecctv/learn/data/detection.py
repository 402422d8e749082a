"""Pictures with boxes, in memory: what detectors are trained on."""

from __future__ import annotations

import csv
import io
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from facecctv.errors import ImageError, InputError, LabelError
from facecctv.image.files import shown
from facecctv.image.reading import Limits, read
from facecctv.types import Floats, Image

BOX_COLUMNS = ("x1", "y1", "x2", "y2")
FACES_COLUMNS = ("image", "split", "origin", "score", *BOX_COLUMNS)
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


Row = Mapping[str, str]


class Samples(Sequence[Sample]):
    """Labelled pictures that are decoded when they are asked for, each time anew."""

    def __init__(self, names: Sequence[str], make: Callable[[str], Sample]) -> None:
        self._names, self._make = list(names), make

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, index: int) -> Sample:
        return self._make(self._names[index])

    def __iter__(self) -> Iterator[Sample]:
        return map(self._make, self._names)


def read_table(path: Path, columns: Sequence[str] = ()) -> list[Row]:
    """Rows of a CSV file with a header.

    Raises InputError when it cannot be read, LabelError when it has no rows or lacks a column.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows: list[Row] = list(csv.DictReader(file, restval=""))
    except OSError as error:
        raise InputError(f"{shown(path)}: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise LabelError(f"{shown(path)}: not a CSV file in UTF-8") from error
    if not rows:
        raise LabelError(f"{shown(path)}: no rows")
    missing = [name for name in columns if name not in rows[0]]
    if missing:
        raise LabelError(f"{shown(path)}: no column {', '.join(missing)}")
    return rows


class Archives:
    """All pictures of a folder's zip files, by name."""

    def __init__(self, folder: Path) -> None:
        try:
            files = [zipfile.ZipFile(path) for path in sorted(folder.glob("*.zip"))]
        except (OSError, zipfile.BadZipFile) as error:
            raise InputError(f"{shown(folder)}: {error}") from error
        if not files:
            raise InputError(f"{shown(folder)}: no zip file")
        self._where = {name: file for file in files for name in file.namelist()}

    def read(self, name: str) -> Image:
        """(H, W, 3) uint8 RGB; LabelError when no archive holds such a picture."""
        if name not in self._where:
            raise LabelError(f"{name}: in the labels, but in no zip file")
        try:
            data = self._where[name].read(name)
            with PillowImage.open(io.BytesIO(data)) as picture:
                return np.asarray(picture.convert("RGB"))
        except (OSError, zipfile.BadZipFile) as error:
            raise LabelError(f"{name}: unreadable in its zip file: {error}") from error


def _group(rows: Sequence[Row], split: str) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row["split"] == split:
            groups[row["image"]].append(row)
    return groups


def _pictures(rows: Sequence[Row], split: str) -> dict[str, list[Row]]:
    groups = _group(rows, split)
    if not groups:
        known = ", ".join(sorted({row["split"] for row in rows}))
        raise LabelError(f"no pictures of the split {split!r}; there is: {known}")
    return groups


def floats(rows: Sequence[Row], columns: Sequence[str]) -> Floats:
    """(rows, columns) float32 of a table, NaN where empty; LabelError for what is no number."""
    try:
        values = [[float(row[c]) if row.get(c) else np.nan for c in columns] for row in rows]
    except ValueError as error:
        raise LabelError(f"{rows[0]['image']}: {error}") from error
    return np.array(values, np.float32).reshape(len(rows), len(columns))


def _sample(name: str, image: Image, rows: Sequence[Row], ignore: Sequence[bool]) -> Sample:
    boxes = floats(rows, BOX_COLUMNS)
    if not (np.isfinite(boxes).all() and (boxes[:, :2] < boxes[:, 2:]).all()):
        raise LabelError(f"{name}: a box needs four numbers with x1 < x2 and y1 < y2")
    landmarks = floats(rows, LANDMARK_COLUMNS).reshape(-1, 5, 2)
    return Sample(name, image, boxes, landmarks, np.array(ignore, bool))


def load_faces(folder: Path, split: str, *, trust_all: bool = False) -> Samples:
    """The `faces` set.

    `ignore` rows, and `gt` rows that no teacher confirmed (unless trust_all), are marked ignore.
    """
    archives = Archives(folder)
    groups = _pictures(read_table(folder / "faces.csv", FACES_COLUMNS), split)

    def make(name: str) -> Sample:
        rows = groups[name]
        unconfirmed = floats(rows, ["score"])[:, 0] == 0
        ignore = [
            row["origin"] == "ignore" or (not trust_all and row["origin"] == "gt" and bool(alone))
            for row, alone in zip(rows, unconfirmed, strict=True)
        ]
        return _sample(name, archives.read(name), rows, ignore)

    return Samples(list(groups), make)


def load_people(folder: Path, split: str) -> Samples:
    """The `person` set with its faces; most pictures hold none and serve as negatives."""
    archives = Archives(folder)
    faces = _group(read_table(folder / "person_faces.csv", FACES_COLUMNS), split)
    names = _pictures(read_table(folder / "person.csv", ("image", "split")), split)

    def make(name: str) -> Sample:
        rows = faces.get(name, [])
        return _sample(name, archives.read(name), rows, [r["origin"] == "ignore" for r in rows])

    return Samples(list(names), make)


def load_bodies(folder: Path, split: str) -> Samples:
    """The `person` set with its bodies."""
    archives = Archives(folder)
    groups = _pictures(read_table(folder / "person.csv", ("image", "split", *BOX_COLUMNS)), split)

    def make(name: str) -> Sample:
        rows = [row for row in groups[name] if row["x1"]]
        return _sample(name, archives.read(name), rows, [False] * len(rows))

    return Samples(list(groups), make)


def load_identities(folder: Path, split: str) -> Samples:
    """The `identities` set: one large face a picture."""
    archives = Archives(folder)
    columns = ("image", "split", *BOX_COLUMNS)
    groups = _pictures(read_table(folder / "identities.csv", columns), split)

    def make(name: str) -> Sample:
        return _sample(name, archives.read(name), groups[name], [False] * len(groups[name]))

    return Samples(list(groups), make)


def load_scenes(folder: Path, split: str) -> Samples:
    """The `scenes` set: photographs without face labels."""
    archives = Archives(folder)
    groups = _pictures(read_table(folder / "scenes.csv", ("image", "split")), split)
    return Samples(list(groups), lambda name: _sample(name, archives.read(name), [], []))


def load_boxes(table: Path, split: str | None = None, limits: Limits | None = None) -> Samples:
    """Loose picture files of any format with their boxes in a CSV file.

    Columns: image (a path, relative to the table's folder), x1, y1, x2, y2 in pixels of the upright
    picture; where wanted ignore (1, true or yes: neither a hit nor a miss counts there), split,
    and lx0, ly0 to lx4, ly4 for landmarks. A row without a box names a picture without faces.
    With `split`, only rows of that split are taken if the table has such a column.
    """
    rows = read_table(table, ("image", *BOX_COLUMNS))
    if split is None or "split" not in rows[0]:
        rows, split = [{**row, "split": "all"} for row in rows], "all"
    groups = _pictures(rows, split)

    def make(name: str) -> Sample:
        boxed = [row for row in groups[name] if any(row[column] for column in BOX_COLUMNS)]
        try:
            image = read(table.parent / name, limits or Limits()).image
        except ImageError as error:
            raise LabelError(str(error)) from error
        ignore = [row.get("ignore", "").strip().lower() in ("1", "true", "yes") for row in boxed]
        return _sample(name, image, boxed, ignore)

    return Samples(list(groups), make)
