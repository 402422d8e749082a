"""YOLO's text files: `images/**` and `labels/**` in parallel, or text beside the picture.

A line is `class cx cy width height` as shares of the picture's sides, then optionally five
landmarks as `x y` or `x y visible`, or a polygon's corners. An empty file means no face; a picture
without a file is a fault, as nothing tells whether it was forgotten.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np

from facecctv.errors import ImageError, LabelError
from facecctv.image.files import SUFFIXES, shown
from facecctv.learn.data.dataset import FACE, Dataset, Fault, Labelled, Pictures, name_below
from facecctv.types import Floats

_VISIBLE = 2


def read_yolo(path: Path) -> Dataset:
    """A folder, or its `data.yaml`."""
    root = path if path.is_dir() else path.parent
    names = _names(root)
    pictures, items, faults = Pictures(), [], []
    for picture in sorted(p for p in root.rglob("*") if p.suffix.lower() in SUFFIXES):
        name = name_below(root, picture)
        text = _label_file(root, picture)
        if not text.is_file():
            faults.append(Fault(name, "no labels", f"no {text.name} for it"))
            continue
        try:
            items.append(_item(picture, text, names, pictures.size(picture)))
        except ImageError as error:
            faults.append(Fault(name, "unreadable picture", str(error).rsplit(": ", 1)[-1]))
        except ValueError as error:
            faults.append(Fault(name_below(root, text), "broken label", str(error)))
    return Dataset(root, "yolo", tuple(items), tuple(faults))


def _label_file(root: Path, picture: Path) -> Path:
    parts = list(picture.relative_to(root).with_suffix(".txt").parts)
    if "images" in parts[:-1]:
        parts[parts.index("images")] = "labels"
        return root.joinpath(*parts)
    return picture.with_suffix(".txt")


def _names(root: Path) -> dict[int, str]:
    """Class names from data.yaml (`names` as list or mapping) or classes.txt; empty without."""
    yaml, plain = root / "data.yaml", root / "classes.txt"
    try:
        if yaml.is_file():
            return _yaml_names(yaml.read_text(encoding="utf-8"))
        if plain.is_file():
            return dict(enumerate(plain.read_text(encoding="utf-8").split("\n")))
    except ValueError as error:
        raise LabelError(f"{shown(yaml if yaml.is_file() else plain)}: not UTF-8") from error
    return {}


def _yaml_names(text: str) -> dict[int, str]:
    if not (
        found := re.search(r"^names:[ \t]*(.*?)(?=^[^\s-]|\Z)", text, re.MULTILINE | re.DOTALL)
    ):
        return {}
    body = found[1].strip()
    if body.startswith(("[", "{")):
        try:
            listed = json.loads(body)
            return dict(enumerate(map(str, listed)))
        except ValueError:  # YAML needs no quotation marks where JSON does
            entries = [e for e in re.split(r",", body.strip("[]{} \n")) if e.strip()]
    else:
        entries = [e for e in body.splitlines() if e.strip() and not e.strip().startswith("#")]
    names = {}
    for index, entry in enumerate(entries):
        numbered = re.match(r"\s*(\d+)\s*:\s*(.*)", entry)
        label = numbered[2] if numbered else entry.strip().removeprefix("- ")
        names[int(numbered[1]) if numbered else index] = label.strip().strip("'\"")
    return names


def _item(picture: Path, text: Path, names: dict[int, str], size: tuple[int, int]) -> Labelled:
    boxes, labels, landmarks = [], [], []
    for number, line in enumerate(text.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            index, *values = line.split()
            label, numbers = int(float(index)), np.array(values, np.float64)
        except ValueError:
            raise ValueError(f"line {number} is not made of numbers") from None
        box, points = _geometry(numbers, number, size)
        if not names:
            named = FACE if label == 0 else str(label)
        elif label in names:
            named = names[label]
        else:
            raise ValueError(f"line {number}: class {label} has no name in data.yaml")
        boxes.append(box)
        labels.append(named)
        landmarks.append(points)
    return Labelled(
        picture,
        *size,
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        labels=tuple(labels),
        landmarks=np.array(landmarks, np.float32).reshape(-1, 5, 2),
    )


def _geometry(values: np.ndarray, number: int, size: tuple[int, int]) -> tuple[Floats, Floats]:
    if not np.isfinite(values).all():
        raise ValueError(f"line {number}: a value is no finite number")
    none = np.full((5, 2), np.nan, np.float32)
    sides = np.array(size, np.float64)
    if len(values) in (4, 14, 19):
        centre, half = values[:2] * sides, values[2:4] * sides / 2
        if (half <= 0).any():
            raise ValueError(f"line {number}: a box without area")
        box = np.concatenate([centre - half, centre + half]).astype(np.float32)
        if len(values) == 4:
            return box, none
        points = values[4:].reshape(5, -1)
        hidden = points[:, 2] == 0 if points.shape[1] == 3 else np.zeros(5, bool)
        marks = (points[:, :2] * sides).astype(np.float32)
        marks[hidden] = np.nan
        return box, marks
    if len(values) >= 6 and len(values) % 2 == 0:
        corners = values.reshape(-1, 2) * sides
        low, high = corners.min(axis=0), corners.max(axis=0)
        if (high <= low).any():
            raise ValueError(f"line {number}: a polygon without area")
        return np.concatenate([low, high]).astype(np.float32), none
    raise ValueError(f"line {number} has {len(values) + 1} values instead of 5")


def yolo_text(item: Labelled, names: list[str], *, landmarks: bool) -> str:
    """The label file of one picture; `landmarks` adds five points to every line."""
    sides = np.array(item.size, np.float64)
    lines = []
    for box, label, points in zip(item.boxes, item.labels, item.landmarks, strict=True):
        middle = (box[:2].astype(np.float64) + box[2:]) / 2 / sides
        size = (box[2:].astype(np.float64) - box[:2]) / sides
        values = [*middle, *size]
        if landmarks:
            seen = np.isfinite(points).all(axis=1)
            marks = np.where(seen[:, None], points / sides, 0)
            values += np.column_stack([marks, seen * _VISIBLE]).ravel().tolist()
        lines.append(" ".join([str(names.index(label)), *(f"{v:.9g}" for v in values)]))
    return "".join(line + "\n" for line in lines)


def yolo_config(names: list[str], splits: dict[str, str], *, landmarks: bool) -> str:
    """data.yaml. JSON's strings and lists are YAML's too."""
    lines = ["path: .", *(f"{split}: {where}" for split, where in splits.items())]
    lines += [f"nc: {len(names)}", f"names: {json.dumps(names, ensure_ascii=False)}"]
    if landmarks:
        lines += ["kpt_shape: [5, 3]", "flip_idx: [1, 0, 2, 4, 3]"]
    return "\n".join(lines) + "\n"
