"""`facecctv data prelabel | annotate | import | export`."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from facecctv.cli.data.common import Folder, Format, load, next_step, progress, report_faults
from facecctv.errors import InputError, MissingExtra, OutputError
from facecctv.image import find, shown
from facecctv.learn.data.dataset import Dataset


def prelabel(
    inputs: Annotated[list[str], typer.Argument(help="Files, folders (with all inside) or globs.")],
    threshold: Annotated[
        float | None, typer.Option(help="Least score, 0..1 [default: the model's].")
    ] = None,
    model: Annotated[str, typer.Option(help="A detector by name or file.")] = "face-detector",
    landmarks: Annotated[bool, typer.Option(help="Write the five points too.")] = True,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace labels that are there.")
    ] = False,
) -> int:
    """Write first labels by the detector, to be corrected.

    One labelme JSON beside every picture; labels that are there already stay.
    """
    from facecctv import build
    from facecctv.learn.data.prelabel import prelabel as work
    from facecctv.settings import Settings
    from facecctv.vision.detect import DetectOptions
    from facecctv.vision.single import landmarks_from

    paths = list(find(inputs))
    if not paths:
        raise InputError(f"no pictures in {', '.join(map(shown, inputs))}")
    detect = build.detector(Settings(), DetectOptions(threshold=threshold), model)
    seen = landmarks and landmarks_from(detect.card) is None  # an average face's are no labels
    with progress(len(paths), "pictures") as step:
        done = work(paths, detect, overwrite=overwrite, landmarks=seen, step=lambda: step(1))
    status: int = report_faults(done.faults)
    kept = f"; {done.kept:,} had labels and kept them" if done.kept else ""
    print(f"{done.written:,} pictures labelled with {done.faces:,} faces{kept}")
    next_step(f"correct them: facecctv data annotate {_folder(inputs[0])}")
    return status


def _folder(path: str) -> str:
    return path if Path(path).is_dir() else str(Path(path).parent)


def annotate(
    folder: Annotated[Path, typer.Argument(help="A folder of pictures.")],
) -> int:
    """Open labelme on a folder.

    Draw a rectangle or polygon around every face and call it `face`. A picture without a face gets
    the flag or label `no face`, or is saved without shapes.
    """
    from facecctv.learn.data.prelabel import annotate as work

    if not folder.is_dir():
        raise InputError(f"{shown(folder)}: no such folder")
    if not any(find([folder])):
        raise InputError(f"{shown(folder)}: no pictures")
    try:
        status: int = work(folder)
    except MissingExtra:
        next_step(f"when labelled, facecctv data check {folder}")
        raise
    next_step(f"facecctv data check {folder}")
    return status


class Placing(StrEnum):
    """How pictures get into the new folder."""

    copy = "copy"
    link = "link"


class Target(StrEnum):
    """Formats that can be written."""

    labelme = "labelme"
    yolo = "yolo"
    voc = "voc"
    coco = "coco"
    wider = "wider"
    csv = "csv"


def import_(
    data: Folder,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The table [default: labels.csv in DATA].")
    ] = None,
    format: Format = "auto",
) -> int:
    """Bring labels of any format together in one CSV table.

    The pictures stay where they are. Every other command also reads the formats themselves.
    """
    from facecctv.learn.data.check import label_faults
    from facecctv.learn.data.formats.table import write_table

    dataset = load(data, format)
    target = out or dataset.root / "labels.csv"
    # The table names pictures as seen from its own folder.
    root, where = dataset.root.resolve(), target.parent.resolve()
    inside = root.is_relative_to(where)
    names = [
        (i.path.resolve().relative_to(where) if inside else i.path.resolve()).as_posix()
        for i in dataset
    ]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{shown(target.parent)}: cannot be made: {error.strerror}") from error
    write_table(target, list(zip(names, dataset.items, strict=True)))
    found = [f for i in dataset for f in label_faults(i, dataset.name(i), None)]
    status = report_faults([*dataset.faults, *found])
    print(f"{target}: {len(dataset):,} pictures, {_boxes(dataset):,} boxes")
    next_step(f"facecctv data check {target}")
    return status


def export(
    data: Folder,
    to: Annotated[Target, typer.Option("--to", help="The format to write.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="A new folder.")],
    split: Annotated[
        Path | None, typer.Option("--split", help="A manifest of `data split`, to be kept.")
    ] = None,
    pictures: Annotated[Placing, typer.Option(help="Copy the pictures or link to them.")] = (
        Placing.copy
    ),
    format: Format = "auto",
) -> int:
    """Write a data set in the format of another tool.

    Pictures that EXIF turns are written upright.
    """
    from facecctv.learn.data.formats.export import export as work

    dataset = load(data, format)
    if split is not None:
        dataset = _with_split(dataset, split)
    with progress(len(dataset), "pictures") as step:
        work(dataset, out, to.value, pictures.value, lambda: step(1))
    status = report_faults(dataset.faults)
    print(f"{out}: {len(dataset):,} pictures, {_boxes(dataset):,} boxes as {to.value}")
    next_step(f"point the other tool at {out}")
    return status


def _with_split(dataset: Dataset, path: Path) -> Dataset:
    from facecctv.learn.data.manifest import read_manifest

    files = read_manifest(path).files
    items = tuple(
        replace(i, attributes={**i.attributes, "split": files[name].split})
        for i in dataset
        if (name := dataset.name(i)) in files
    )
    if not items:
        raise InputError(f"{shown(path)}: names no picture of this data set")
    return replace(dataset, items=items)


def _boxes(dataset: Dataset) -> int:
    return sum(len(item.boxes) for item in dataset)
