"""One CSV table, one row a box: the only format that loses nothing.

Columns `image, width, height, x1, y1, x2, y2, label, ignore, lx0 .. ly4, identity, located`; all
but `image` may be absent, and further columns are attributes of the picture. A row without a box is
a picture without a face; a table without box columns says nothing about faces. Pictures lie where
`image` says, seen from the table's folder, in its folder `images`, or in a zip file beside it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from facecctv.errors import ImageError, InputError, LabelError
from facecctv.image.files import shown, write_atomic
from facecctv.learn.data.dataset import FACE, Dataset, Fault, Labelled, Pictures, Value
from facecctv.learn.data.detection import LANDMARK_COLUMNS

BOX_COLUMNS = ("x1", "y1", "x2", "y2")
_NAMES = {"filename": "image", "file": "image", "path": "image", "image_id": "image"} | {
    "xmin": "x1", "ymin": "y1", "xmax": "x2", "ymax": "y2", "class": "label", "person": "identity",
}  # fmt: skip
_KNOWN = {"image", "width", "height", "label", "ignore", "identity", "located"}
_OWN = _KNOWN | {*BOX_COLUMNS, *LANDMARK_COLUMNS}

Row = Mapping[str, str]


def read_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file under our column names. Raises InputError and LabelError."""
    try:
        text = path.read_bytes().decode("utf-8-sig", "surrogateescape")
    except OSError as error:
        raise InputError(f"{shown(path)}: {error.strerror}") from error
    try:
        table = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        header = [_NAMES.get(name.strip().lower(), name.strip()) for name in table.fieldnames or ()]
        table.fieldnames = header
        rows = [{k: v or "" for k, v in row.items() if k} for row in table]
    except csv.Error as error:
        raise LabelError(f"{shown(path)}: not CSV: {error}") from error
    if "image" not in header:
        raise LabelError(f"{shown(path)}: no column `image`")
    return rows


def read_table(path: Path) -> Dataset:
    """A CSV file, or the only one with a column `image` in a folder."""
    table = path if path.is_file() else _only_table(path)
    rows = read_rows(table)
    root = table.parent
    groups: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        groups.setdefault(row["image"], []).append(row)
    pictures, items, faults = Pictures(), [], []
    where = _Where(root, pictures)
    for name, group in groups.items():
        try:
            items.append(_item(where(name), group, pictures))
        except ImageError as error:
            faults.append(Fault(name, "missing picture", str(error).rsplit(": ", 1)[-1]))
        except ValueError as error:
            faults.append(Fault(name, "broken label", f"in the table: {error}"))
    return Dataset(root, "csv", tuple(items), tuple(faults))


def tables(folder: Path) -> Iterator[Path]:
    """CSV files of a folder that list pictures."""
    for path in sorted(folder.glob("*.csv")):
        with path.open(newline="", encoding="utf-8", errors="replace") as file:
            header = [name.strip().lower() for name in next(csv.reader(file), [])]
        if "image" in {_NAMES.get(name, name) for name in header}:
            yield path


def _only_table(folder: Path) -> Path:
    found = list(tables(folder))
    named = [path for path in found if path.stem in (folder.name, "labels")]
    if len(found) == 1 or len(named) == 1:
        return (named or found)[0]
    names = ", ".join(path.name for path in found) or "none"
    raise LabelError(f"{shown(folder)}: one CSV table is wanted, and there are: {names}")


class _Where:
    """Where a picture of the table lies."""

    def __init__(self, root: Path, pictures: Pictures) -> None:
        self._root = root
        self._zipped = {
            member.relative_to(archive).as_posix(): member
            for archive in sorted(root.glob("*.zip"))
            for member in pictures.members(archive)
        }

    def __call__(self, name: str) -> Path:
        plain = name.replace("\\", "/")
        for candidate in (self._root / name, self._root / plain, self._root / "images" / plain):
            if candidate.is_file():
                return candidate
        if plain not in self._zipped:
            raise ImageError("its picture is missing")
        return self._zipped[plain]


def _item(path: Path, rows: Sequence[Row], pictures: Pictures) -> Labelled:
    first = rows[0]
    if first.get("width") and first.get("height"):
        size = int(float(first["width"])), int(float(first["height"]))
    else:
        size = pictures.size(path)
    boxed = [row for row in rows if row.get("x1")]
    columns = {c for row in rows for c in row} - _OWN
    return Labelled(
        path,
        *size,
        boxes=_numbers(boxed, BOX_COLUMNS),
        labels=tuple(row.get("label") or FACE for row in boxed),
        landmarks=_numbers(boxed, LANDMARK_COLUMNS, missing=np.nan).reshape(-1, 5, 2),
        ignore=np.array([row.get("ignore", "").lower() in ("1", "true") for row in boxed], bool),
        identity=first.get("identity") or None,
        attributes={
            c: value(first[c])
            for c in sorted(columns)
            if first.get(c) and all(row.get(c) == first[c] for row in rows)
        },
        located="x1" in first and first.get("located") != "0",
    )


def _numbers(
    rows: Sequence[Row], columns: Sequence[str], missing: float | None = None
) -> np.ndarray:
    values = []
    for row in rows:
        for column in columns:
            text = row.get(column, "")
            if not text and missing is None:
                raise ValueError(f"a box without {column}")
            number = float(text) if text else float(missing or 0)
            if text and not np.isfinite(number):
                raise ValueError(f"{column} is {text}")
            values.append(number)
    return np.array(values, np.float32).reshape(len(rows), len(columns))


def value(text: str) -> Value:
    """A finite number where the text is one, else the text."""
    try:
        number = float(text)
    except ValueError:
        return text
    return number if np.isfinite(number) else text


def write_table(path: Path, items: Sequence[tuple[str, Labelled]]) -> None:
    """Writes pictures by name as one CSV table, whole or not at all. Raises OutputError."""
    attributes = sorted({name for _, item in items for name in item.attributes} - _OWN)
    columns = ["image", "width", "height", *BOX_COLUMNS, "label", "ignore", *LANDMARK_COLUMNS]
    columns += ["identity", "located", *attributes]
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    table.writeheader()
    for name, item in items:
        common = {"image": name, "width": item.width, "height": item.height}
        common |= {"identity": item.identity or "", "located": int(item.located)}
        common |= {k: v for k, v in item.attributes.items() if k in attributes}
        for row in _box_rows(item) if len(item.boxes) else [{}]:
            table.writerow(common | row)
    write_atomic(path, text.getvalue().encode("utf-8", "surrogateescape"))


def _box_rows(item: Labelled) -> Iterator[dict[str, str | int]]:
    for box, label, points, ignore in zip(
        item.boxes, item.labels, item.landmarks.reshape(-1, 10), item.ignore, strict=True
    ):
        row: dict[str, str | int] = {"label": label, "ignore": int(ignore)}
        row |= {c: str(v) for c, v in zip(BOX_COLUMNS, box, strict=True)}
        row |= {c: str(v) for c, v in zip(LANDMARK_COLUMNS, points, strict=True) if np.isfinite(v)}
        yield row
