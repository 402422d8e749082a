"""Which label format a folder or file is in, told by what lies there."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

from facecctv.errors import LabelError
from facecctv.image.files import SUFFIXES, shown
from facecctv.learn.data.formats.table import tables
from facecctv.learn.data.labelme import is_labelme

_JSON_LOOKED_AT = 5


def recognise(path: Path) -> str:
    """The name of the format. Raises LabelError where none fits, with what was looked for."""
    name = _file(path) if path.is_file() else _folder(path)
    if name is None:
        raise LabelError(
            f"{shown(path)}: no labels recognised (labelme JSON, YOLO txt, VOC xml, COCO json, "
            "WIDER txt, CSV, one folder per person, CelebA, LFW, FairFace or UTKFace)"
        )
    return name


def _file(path: Path) -> str | None:
    match path.suffix.lower():
        case ".csv":
            return "csv"
        case ".xml":
            return "voc"
        case ".yaml" | ".yml":
            return "yolo"
        case ".json":
            return _json(path)
        case ".txt":
            return "wider"
    return None


def _folder(path: Path) -> str | None:
    if any(path.rglob("list_attr_celeba.*")) or any(path.rglob("identity_CelebA.*")):
        return "celeba"
    if any(path.rglob("wider_face*bbx_gt.txt")):
        return "wider"
    if any(path.glob("fairface_label_*.csv")):
        return "fairface"
    if _has(path, "data.yaml", "labels/**/*.txt", "classes.txt"):
        return "yolo"
    if any(path.rglob("*.xml")):
        return "voc"
    for file in islice(path.rglob("*.json"), _JSON_LOOKED_AT):
        if name := _json(file):
            return name
    if any(tables(path)):
        return "csv"
    return _unlabelled(path)


def _has(path: Path, *patterns: str) -> bool:
    return any(any(path.glob(pattern)) for pattern in patterns)


def _json(path: Path) -> str | None:
    try:
        body = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return "labelme"  # whose reader then says which file is broken
    if is_labelme(body):
        return "labelme"
    if isinstance(body, dict) and {"images", "annotations"} <= body.keys():
        return "coco"
    return None


def _unlabelled(path: Path) -> str | None:
    """Formats that speak by file and folder names alone."""
    from facecctv.learn.data.formats.official import utkface_name

    pictures = [p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES]
    if not pictures:
        return None
    if sum(utkface_name(p.name) is not None for p in pictures) > len(pictures) / 2:
        return "utkface"
    if (path / "lfw").is_dir() or (path / "pairs.txt").is_file():
        return "lfw"
    folders = [p for p in path.iterdir() if p.is_dir()]
    return "people" if folders and all(p.parent != path for p in pictures) else None
