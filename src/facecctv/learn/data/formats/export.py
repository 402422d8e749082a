"""A data set as a folder in another format: pictures and labels, ready for whoever reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from facecctv.errors import OutputError
from facecctv.image import encode
from facecctv.image.files import shown, write_atomic
from facecctv.image.reading import open_header
from facecctv.learn.data.dataset import SPLITS, Dataset, Labelled, Pictures, orientation
from facecctv.learn.data.formats.coco import write_coco
from facecctv.learn.data.formats.table import write_table
from facecctv.learn.data.formats.voc import voc_xml
from facecctv.learn.data.formats.wider import write_wider
from facecctv.learn.data.formats.yolo import yolo_config, yolo_text
from facecctv.learn.data.labelme import labelme_json

Placing = Literal["copy", "link"]
Placed = Sequence[tuple[str, Labelled]]
_SUFFIX = {"jpeg": ".jpg", "tiff": ".tif"}
_LABEL_SUFFIXES = {".json", ".zip"}


def export(
    dataset: Dataset,
    out: Path,
    format: str,
    placing: Placing = "copy",
    step: Callable[[], None] = lambda: None,
) -> None:
    """Writes the pictures to `out/images` (VOC: `JPEGImages`) and their labels as the format wants.

    Pictures that EXIF turns are written upright, since few readers of the other formats turn them;
    all others are copied byte for byte or linked. Files of the same names are replaced. `step` is
    called after every picture. Raises OutputError, ImageError for a picture that cannot be read,
    ValueError for an unknown format.
    """
    if format not in WRITERS:
        raise ValueError(f"cannot write {format!r}: {', '.join(WRITERS)}")
    folder = out / FOLDERS.get(format, "images")
    placed: list[tuple[str, Labelled]] = []
    pictures = Pictures()
    for name, item in zip(unique_names(dataset, pictures), dataset, strict=True):
        target = folder / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"{shown(target.parent)}: cannot be made: {error.strerror}"
            ) from error
        _place(item, target, pictures, placing)
        placed.append((name, item))
        step()
    WRITERS[format](out, placed)


def unique_names(dataset: Dataset, pictures: Pictures) -> Iterator[str]:
    """A name for each picture below the export's `images`, no two with the same stem.

    Labels are named after stems, so `a.jpg` and `a.png` would share one label file.
    """
    taken: set[str] = set()
    for item in dataset:
        parts = [p for p in Path(dataset.name(item)).parts if p not in ("/", "\\", "..", ".")]
        parts = [p.removesuffix(".zip") for p in parts[:-1] if p != "images"] + parts[-1:]
        path = Path(*parts)
        if path.suffix.lower() in _LABEL_SUFFIXES:
            with open_header(pictures.data(item.path)) as (kind, _):
                path = path.with_suffix(_SUFFIX.get(kind, f".{kind}"))
        stem, number = path.with_suffix("").as_posix(), 1
        unique = stem
        while unique.lower() in taken:
            number += 1
            unique = f"{stem}-{number}"
        taken.add(unique.lower())
        yield unique + path.suffix


def _place(item: Labelled, target: Path, pictures: Pictures, placing: Placing) -> None:
    data = pictures.data(item.path)
    with open_header(data) as (kind, source):
        turned = orientation(source, kind, data) != 1
    if turned:
        form: Literal["png", "jpeg"] = "png" if target.suffix.lower() == ".png" else "jpeg"
        write_atomic(target, encode(pictures.image(item.path), form, 95))
    elif placing == "link" and item.path.is_file() and item.path.suffix.lower() != ".json":
        _link(item.path, target)
    else:
        write_atomic(target, data)


def _link(source: Path, target: Path) -> None:
    try:
        if target.is_symlink():
            target.unlink()
        target.symlink_to(source.resolve())
    except OSError as error:
        raise OutputError(f"{shown(target)}: cannot be linked: {error.strerror}") from error


def _names(placed: Placed) -> list[str]:
    return sorted({label for _, item in placed for label in item.labels} or {"face"})


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, data)


def _labelme(out: Path, placed: Placed) -> None:
    for name, item in placed:
        path = out / "images" / name
        _write(path.with_suffix(".json"), labelme_json(item, path.name))


def _yolo(out: Path, placed: Placed) -> None:
    names = _names(placed)
    landmarks = any(np.isfinite(item.landmarks).any() for _, item in placed)
    for name, item in placed:
        text = yolo_text(item, names, landmarks=landmarks)
        _write((out / "labels" / name).with_suffix(".txt"), text.encode())
    splits = _split_lists(out, placed)
    _write(out / "data.yaml", yolo_config(names, splits, landmarks=landmarks).encode())


def _split_lists(out: Path, placed: Placed) -> dict[str, str]:
    """YOLO's train.txt and the like, where the pictures say which split they belong to."""
    lists: dict[str, list[str]] = {}
    for name, item in placed:
        lists.setdefault(str(item.attributes.get("split", "")), []).append(f"./images/{name}")
    if "train" not in lists:
        return {"train": "images", "val": "images"}
    for split in set(lists) & set(SPLITS):
        _write(out / f"{split}.txt", "".join(n + "\n" for n in lists[split]).encode())
    return {split: f"{split}.txt" for split in SPLITS if split in lists}


def _voc(out: Path, placed: Placed) -> None:
    for name, item in placed:
        _write(
            (out / "Annotations" / name).with_suffix(".xml"), voc_xml(item, f"JPEGImages/{name}")
        )


def _coco(out: Path, placed: Placed) -> None:
    write_coco(out / "annotations.json", placed)


def _wider(out: Path, placed: Placed) -> None:
    write_wider(out / "wider_face_bbx_gt.txt", placed)


def _csv(out: Path, placed: Placed) -> None:
    write_table(out / "labels.csv", placed)


FOLDERS = {"voc": "JPEGImages"}
"""Where pictures lie, if not in `images`."""

WRITERS: dict[str, Callable[[Path, Placed], None]] = {
    "labelme": _labelme,
    "yolo": _yolo,
    "voc": _voc,
    "coco": _coco,
    "wider": _wider,
    "csv": _csv,
}
