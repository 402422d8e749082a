"""COCO's JSON: pictures, annotations and categories in one file.

`iscrowd` is our `ignore`; five keypoints are our landmarks. Pictures lie where `file_name` says,
seen from the JSON, from its parent folder, or from the folder `images` or `train2017` and the like.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from facecctv.errors import InputError, LabelError
from facecctv.image.files import shown, write_atomic
from facecctv.learn.data.dataset import Dataset, Fault, Labelled
from facecctv.learn.data.labelme import LANDMARKS
from facecctv.types import Floats

_VISIBLE = 2


def read_coco(path: Path) -> Dataset:
    """A COCO file, or the only one below a folder."""
    file = path if path.is_file() else _only(path)
    body = _load(file)
    root = path if path.is_dir() else file.parent
    categories = {c["id"]: str(c["name"]) for c in body.get("categories", [])}
    groups: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for annotation in body["annotations"]:
        groups[annotation.get("image_id")].append(annotation)
    items, faults = [], []
    for entry in body["images"]:
        name = str(entry.get("file_name", ""))
        picture = _picture(root, file, name)
        if picture is None:
            faults.append(Fault(name, "missing picture", "listed in the labels, but not there"))
            continue
        try:
            items.append(_item(picture, entry, groups.get(entry.get("id"), []), categories))
        except (KeyError, TypeError, ValueError) as error:
            detail = f"no {error}" if isinstance(error, KeyError) else str(error)
            faults.append(Fault(name, "broken label", detail))
    return Dataset(root, "coco", tuple(items), tuple(faults))


def is_coco(path: Path) -> bool:
    """Whether the file's beginning and keys are those of COCO."""
    try:
        body = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(body, dict) and {"images", "annotations"} <= body.keys()


def _only(folder: Path) -> Path:
    found = [path for path in sorted(folder.rglob("*.json")) if is_coco(path)]
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise LabelError(f"{shown(folder)}: one COCO file is wanted, and there are: {names}")
    return found[0]


def _load(file: Path) -> dict[str, Any]:
    try:
        body = json.loads(file.read_bytes())
        if not isinstance(body["images"], list) or not isinstance(body["annotations"], list):
            raise LabelError(f"{shown(file)}: not a COCO file")
        return dict(body)
    except OSError as error:
        raise InputError(f"{shown(file)}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise LabelError(f"{shown(file)}: not a COCO file") from error


def _picture(root: Path, file: Path, name: str) -> Path | None:
    folders = [file.parent, file.parent.parent, root, file.parent / "images", root / "images"]
    folders += [file.parent.parent / file.stem.removeprefix("instances_")]
    places = (folder / name for folder in folders)
    return next((place for place in places if name and place.is_file()), None)


def _item(
    path: Path,
    entry: dict[str, Any],
    annotations: Sequence[dict[str, Any]],
    categories: dict[Any, str],
) -> Labelled:
    boxes, labels, landmarks, ignore = [], [], [], []
    for annotation in annotations:
        x, y, width, height = (float(v) for v in annotation["bbox"])
        if not (np.isfinite([x, y]).all() and width > 0 and height > 0):
            raise ValueError("a box without area")
        if annotation["category_id"] not in categories:
            raise ValueError(f"category {annotation['category_id']} has no name")
        boxes.append([x, y, x + width, y + height])
        labels.append(categories[annotation["category_id"]])
        landmarks.append(_landmarks(annotation.get("keypoints", [])))
        ignore.append(bool(annotation.get("iscrowd")))
    return Labelled(
        path,
        int(entry["width"]),
        int(entry["height"]),
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        labels=tuple(labels),
        landmarks=np.array(landmarks, np.float32).reshape(-1, 5, 2),
        ignore=np.array(ignore, bool),
    )


def _landmarks(keypoints: Sequence[float]) -> Floats:
    if len(keypoints) != 3 * len(LANDMARKS):
        return np.full((5, 2), np.nan, np.float32)
    points = np.array(keypoints, np.float32).reshape(5, 3)
    return np.where(points[:, 2:] > 0, points[:, :2], np.nan).astype(np.float32)


def write_coco(path: Path, items: Sequence[tuple[str, Labelled]]) -> None:
    """Writes pictures by name as one COCO file, whole or not at all. Raises OutputError."""
    names = sorted({label for _, item in items for label in item.labels} | {"face"})
    images, annotations = [], []
    for number, (name, item) in enumerate(items, 1):
        images.append({"id": number, "file_name": name, "width": item.width, "height": item.height})
        for box, label, points, ignore in zip(
            item.boxes.astype(np.float64), item.labels, item.landmarks, item.ignore, strict=True
        ):
            width, height = (box[2:] - box[:2]).tolist()
            annotation = {
                "id": len(annotations) + 1,
                "image_id": number,
                "category_id": names.index(label) + 1,
                "bbox": [*box[:2].tolist(), width, height],
                "area": width * height,
                "iscrowd": int(ignore),
            }
            seen = np.isfinite(points).all(axis=1)
            if seen.any():
                known = np.where(seen[:, None], points, 0).astype(np.float64)
                marks = np.column_stack([known, seen * _VISIBLE])
                annotation |= {
                    "keypoints": marks.ravel().tolist(),
                    "num_keypoints": int(seen.sum()),
                }
            annotations.append(annotation)
    categories = [
        {"id": number, "name": name, "supercategory": "person", "keypoints": list(LANDMARKS)}
        for number, name in enumerate(names, 1)
    ]
    body = {"images": images, "annotations": annotations, "categories": categories}
    write_atomic(path, (json.dumps(body, indent=1) + "\n").encode())
