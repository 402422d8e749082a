"""`facecctv evaluate attributes`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from facecctv import build
from facecctv.cli import attributes as command
from facecctv.cli import options
from facecctv.cli.batch import counter
from facecctv.cli.outputs import folder
from facecctv.cli.tables import aligned
from facecctv.errors import InputError
from facecctv.image import shown, write_atomic
from facecctv.learn import attribute_plots, plots
from facecctv.learn.attribute_card import RECIPE
from facecctv.learn.attribute_fitting import Prior, crossed
from facecctv.learn.attribute_report import (
    SHOWN,
    AttributeReport,
    Oddity,
    Row,
    answers,
    oddity,
    report,
)
from facecctv.learn.attribute_trials import FULL, SIZES, oddities, trials
from facecctv.learn.data.attributes import LabelledFaces, load_labelled, load_labels
from facecctv.learn.data.scenes import load_unpeopled
from facecctv.vision.attributes import FACE_PX, GENDER, AttributeEstimator, Scale, scale_of

TABLE = "portraits.csv"
HEADINGS = ("faces", "MAE", "within", "exact", "one off", "gender", "holds", "width", "answered",
            "named", "right")  # fmt: skip


def attributes(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="Folder of training data: portraits.csv with its zip files, or a folder above it.",
            show_default=False,
        ),
    ],
    split: Annotated[str, typer.Option(help="Rows of this split.")] = "val",
    refit: Annotated[
        bool,
        typer.Option(
            "--refit",
            help="Judge each half of the faces by a calibration fitted to the other half, instead "
            "of the model's own: for faces that the model was calibrated on.",
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Folder for report.json and the plots.", show_default=False
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    model: command.Estimator = build.FACE_ATTRIBUTES,
) -> None:
    """Measure age and gender: errors and intervals by size of the face, age, gender and race.

    Ages are known as bins: an interval is judged by how much of the labelled bin it holds.
    """
    if out is not None:
        plots.require()  # before the long work, not after it
    estimator = build.estimator(options.environment(), model)
    estimator.check()
    here = _folder(data)
    faces = load_labelled(here, split)
    card = estimator.card
    if split == "val" and not refit and card.recipe == RECIPE:
        print(f"{card.name} was calibrated on val: --refit is the honest measure", file=sys.stderr)
    told = _measured(estimator, faces, here, refit=refit, split=split)
    if out is not None:
        folder(out)
        write_atomic(out / "report.json", (told.to_json() + "\n").encode())
        for name, files in attribute_plots.all_plots(told).items():
            for kind, content in files.items():
                write_atomic(out / f"{name}.{kind}", content)
    print(told.to_json() if as_json else table(told))


def _folder(data: Path) -> Path:
    for here in (data, data / "portraits"):
        if (here / TABLE).is_file():
            return here
    raise InputError(f"{shown(data)}: no {TABLE} in it, nor in portraits")


def _measured(
    estimator: AttributeEstimator, faces: LabelledFaces, here: Path, *, refit: bool, split: str
) -> AttributeReport:
    card = estimator.card
    scale, least, sure = scale_of(card), card.threshold(FACE_PX), card.threshold(GENDER)
    with counter() as progress:
        seen = trials(estimator, faces.images, SIZES, progress)
    parts: tuple[tuple[np.ndarray, Scale], ...] = ((np.arange(len(faces)), scale),)
    words = "the model's own"
    if refit:
        parts = crossed(seen, faces, Prior.of(*load_labels(here, "train")))
        words = "each half by what was fitted to the other"
    return report(
        [answers(trial, faces, parts, least=least, sure=sure) for trial in seen],
        faces,
        widest=scale.widest,
        oddities=list(_odd(estimator, faces, here, scale, sure)),
        model=f"{card.name} {card.version}",
        data=f"{here.name or here}, {split}",
        calibration=words,
    )


def _odd(
    estimator: AttributeEstimator, faces: LabelledFaces, here: Path, scale: Scale, sure: float
) -> Iterator[Oddity]:
    scenes = here.parent / "scenes"
    pictures = load_unpeopled(scenes, "val") if (scenes / "scenes.csv").is_file() else []
    for kind, images in oddities(faces, pictures):
        (trial,) = trials(estimator, images, (FULL,))
        yield oddity(kind, trial, scale, sure)


def table(told: AttributeReport) -> str:
    """The report for people; the crossed groups only where they are worst."""
    heading = f"{told.model} on {told.data}; calibration: {told.calibration}"
    blocks = [heading, _rows("face", told.rows["all"], by_size=True)]
    for px in SHOWN:
        for kind in ("age", "gender", "race", "race x gender"):
            rows = [row for row in told.rows[kind] if row.px == px and row.faces]
            blocks.append(_rows(f"{kind}, {px} px", rows))
    blocks.append(_worst_groups(told))
    if told.oddities:
        lines = [["no upright face in colour", "pictures", "insufficient", "named", "width"]]
        lines += [
            [one.kind, str(one.faces), _share(one.insufficient), _share(one.named),
             _years(one.width)]
            for one in told.oddities
        ]  # fmt: skip
        blocks.append(aligned(lines))
    if told.worst:
        lines = [["farthest off", "years", "labelled", "said"]]
        lines += [[f"  {one.image}", _years(one.off), one.truth, one.said] for one in told.worst]
        blocks.append(aligned(lines))
    return "\n\n".join(blocks)


def _worst_groups(told: AttributeReport, count: int = 10, least: int = 10) -> str:
    rows = [
        row
        for row in told.rows["age x gender x race"]
        if row.px == FULL and row.faces >= least and row.gender is not None
    ]
    rows.sort(key=lambda row: row.gender or 0.0)
    return _rows(f"worst by gender, {FULL} px, from {least} faces", rows[:count])


def _rows(title: str, rows: Sequence[Row], *, by_size: bool = False) -> str:
    lines = [[title, *HEADINGS]]
    for row in rows:
        cells = [_years(row.mae)]
        cells += [_share(value) for value in (row.within, row.exact, row.one_off, row.gender,
                                              row.coverage)]  # fmt: skip
        cells += [_years(row.width)]
        cells += [_share(value) for value in (row.answered, row.named, row.named_right)]
        lines.append([f"{row.px} px" if by_size else row.group, str(row.faces), *cells])
    return aligned(lines)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _years(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
