"""Public face data sets in the folder layouts their owners publish, and one folder per person.

The pictures of CelebA's aligned edition, LFW, FairFace, UTKFace and folders of people show one face
each, but nothing says where: their items are not `located`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from facecctv.errors import ImageError, InputError, LabelError
from facecctv.image.files import SUFFIXES, shown
from facecctv.learn.data.dataset import Dataset, Fault, Labelled, Pictures, Value, name_below

_UTKFACE = re.compile(r"(\d{1,3})_([01])_([0-4])_(\d+)\.")
_UTKFACE_GENDERS = ("male", "female")
_UTKFACE_RACES = ("white", "black", "asian", "indian", "other")
_CELEBA_SPLITS = {"0": "train", "1": "val", "2": "test"}

Fields = Mapping[str, Any]


def _gather(
    root: Path, format: str, named: Iterable[tuple[Path, Fields]], faults: Iterable[Fault] = ()
) -> Dataset:
    """Items of pictures with what is known of them; sizes come from the pictures' headers."""
    pictures, items, wrong = Pictures(), [], list(faults)
    for path, fields in named:
        name = name_below(root, path)
        if not path.is_file():
            wrong.append(Fault(name, "missing picture", "listed, but not there"))
            continue
        try:
            items.append(Labelled(path, *pictures.size(path), **fields))
        except ImageError as error:
            wrong.append(Fault(name, "unreadable picture", str(error).rsplit(": ", 1)[-1]))
    return Dataset(root, format, tuple(items), tuple(wrong))


def _pictures(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)


def _lines(path: Path) -> list[list[str]]:
    try:
        return [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    except OSError as error:
        raise InputError(f"{shown(path)}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise LabelError(f"{shown(path)}: not UTF-8") from error


def read_people(path: Path) -> Dataset:
    """One folder per person: `anna/1.jpg`, `ben/1.jpg`."""
    found = _pictures(path)
    named = ((p, {"identity": p.parent.name, "located": False}) for p in found if p.parent != path)
    stray = (Fault(p.name, "no labels", "lies in no person's folder") for p in found)
    strays = [fault for p, fault in zip(found, stray, strict=True) if p.parent == path]
    return _gather(path, "people", named, strays)


def read_lfw(path: Path) -> Dataset:
    """LFW: `lfw/First_Last/First_Last_0001.jpg`, with `peopleDevTrain.txt` and `-Test.txt`."""
    folder = next((f for f in (path / "lfw", path) if f.is_dir()), path)
    splits = {}
    for split, file in (("train", "peopleDevTrain.txt"), ("test", "peopleDevTest.txt")):
        if (path / file).is_file():
            splits |= {line[0]: split for line in _lines(path / file)[1:] if line}
    named = (
        (p, {
            "identity": p.parent.name,
            "located": False,
            "attributes": {"split": splits[p.parent.name]} if p.parent.name in splits else {},
        })
        for p in _pictures(folder)
        if p.parent != folder
    )  # fmt: skip
    return _gather(path, "lfw", named)


def utkface_name(name: str) -> dict[str, Value] | None:
    """Age, gender and race from `[age]_[gender]_[race]_[date&time].jpg`; None where they lack."""
    if not (match := _UTKFACE.match(name)):
        return None
    age, gender, race, _ = match.groups()
    return {
        "age": float(age),
        "gender": _UTKFACE_GENDERS[int(gender)],
        "race": _UTKFACE_RACES[int(race)],
    }


def read_utkface(path: Path) -> Dataset:
    """UTKFace: labels are in the names. The few names that lack one are faults."""
    known = {p: utkface_name(p.name) for p in _pictures(path)}
    named = ((p, {"attributes": a, "located": False}) for p, a in known.items() if a)
    faults = [
        Fault(name_below(path, p), "broken label", "the name is not age_gender_race_date")
        for p, attributes in known.items()
        if not attributes
    ]
    return _gather(path, "utkface", named, faults)


def read_fairface(path: Path) -> Dataset:
    """FairFace: `fairface_label_train.csv` and `-val.csv` with `file,age,gender,race,...`."""
    return _gather(path, "fairface", _fairface(path))


def _fairface(path: Path) -> Iterator[tuple[Path, Fields]]:
    for table in sorted(path.glob("fairface_label_*.csv")):
        split = table.stem.removeprefix("fairface_label_")
        with table.open(newline="", encoding="utf-8-sig") as file:
            for row in csv.DictReader(file):
                if not row.get("file"):
                    raise LabelError(f"{shown(table)}: no column `file`")
                attributes = {k: v for k, v in row.items() if k and k != "file" and v}
                yield (
                    path / row["file"],
                    {
                        "attributes": attributes | {"split": split},
                        "located": False,
                    },
                )


def read_celeba(path: Path) -> Dataset:
    """CelebA: attributes (-1, 1), identities and partitions; pictures in the wild also get boxes.

    Reads the owners' text files, wherever below the folder they lie, and the same tables as CSV.
    Boxes and landmarks are those of `img_celeba`; the aligned pictures have none.
    """
    folders = {p.name: p for p in path.rglob("img_*") if p.is_dir() and any(p.glob("*.*g"))}
    wild = folders.get("img_celeba")
    aligned = folders.get("img_align_celeba_png", folders.get("img_align_celeba"))
    # Kaggle's edition has the folder twice, one in the other.
    folder = wild or aligned
    if folder is None:
        raise InputError(f"{shown(path)}: neither img_celeba nor img_align_celeba with pictures")
    attributes = _celeba(path, "list_attr_celeba", float)
    identities = _celeba(path, "identity_CelebA", str)
    parts = _celeba(path, "list_eval_partition", str)
    boxes = _celeba(path, "list_bbox_celeba", float) if wild else {}
    points = _celeba(path, "list_landmarks_celeba", float) if wild else {}
    names = dict.fromkeys([*attributes, *identities, *boxes])

    def named() -> Iterator[tuple[Path, Fields]]:
        for name in names:
            fields: dict[str, Any] = {"attributes": dict(attributes.get(name, {}))}
            if part := _CELEBA_SPLITS.get(next(iter(parts.get(name, {}).values()), "")):
                fields["attributes"]["split"] = part
            fields["identity"] = next(iter(identities.get(name, {}).values()), None)
            fields["located"] = name in boxes
            if name in boxes:
                x, y, width, height = list(boxes[name].values())[:4]
                fields["boxes"] = np.array([[x, y, x + width, y + height]], np.float32)
                if len(points.get(name, {})) == 10:
                    fields["landmarks"] = np.array(list(points[name].values()), np.float32)
            file = folder / name
            png = file.with_suffix(".png")
            yield (file if file.is_file() or not png.is_file() else png), fields

    return _gather(path, "celeba", named())


def _celeba(path: Path, stem: str, kind: Callable[[str], Any]) -> dict[str, dict[str, Any]]:
    """Picture to {column: value} from one of CelebA's tables; empty where there is none."""
    file = next((f for s in (".txt", ".csv") for f in sorted(path.rglob(stem + s))), None)
    if file is None:
        return {}
    lines = _lines(file)
    if file.suffix == ".csv":
        lines = [cell.split(",") for (cell, *_) in lines if cell]
        header, rows = lines[0][1:], lines[1:]
    elif len(lines[0]) == 1 and lines[0][0].isdigit():  # the number of pictures, then the header
        header = lines[1][1:] if lines[1] and lines[1][0] == "image_id" else lines[1]
        rows = lines[2:]
    else:
        header, rows = ["value"], lines
    try:
        return {
            row[0]: {h: kind(v) for h, v in zip(header, row[1:], strict=True)}
            for row in rows
            if row
        }
    except (ValueError, IndexError) as error:
        raise LabelError(f"{shown(file)}: a row has other columns than the header") from error
