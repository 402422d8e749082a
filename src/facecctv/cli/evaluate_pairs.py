"""`facecctv evaluate recogniser`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from facecctv import build
from facecctv.cli import people
from facecctv.cli.batch import counter
from facecctv.cli.outputs import folder
from facecctv.cli.tables import aligned
from facecctv.errors import InputError
from facecctv.image import shown, write_atomic
from facecctv.learn import pair_plots, pair_report, plots
from facecctv.schema import printable
from facecctv.types import Portrait


def recogniser(
    pairs: Annotated[
        Path,
        typer.Argument(
            metavar="PAIRS.csv", help="Columns image_a, image_b, same.", show_default=False
        ),
    ],
    calibrate: Annotated[
        Path | None,
        typer.Option(
            "--calibrate",
            metavar="FILE",
            help="Fit a calibration to all pairs and write it here.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Folder for report.json and the plots.", show_default=False
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    largest: people.Largest = False,
    model: Annotated[str, typer.Option(help="The face detector.")] = build.FACE_DETECTOR,
    embedder: people.Embedder = build.FACE_EMBEDDER,
) -> int:
    """Measure a recogniser on pairs of pictures: error rates by size of the worse face.

    Stated false-match rates are measured on people that the calibration was not fitted to: pictures
    that pairs of one person join are one person, and each half of the people judges the other.
    A picture without exactly one face is named on stderr and its pairs are left out; the exit
    status is then 1.
    """
    if out is not None:
        plots.require()  # before the long work, not after it
    faces = people.faces(model, embedder)

    def see(source: str) -> Portrait:
        return faces.one(source, largest)[1]

    with counter() as progress:
        scores = pair_report.compare_pairs(pair_report.read_pairs(pairs), see, progress)
    for name, reason in scores.skipped:
        print(f"{printable(name)}: {reason}", file=sys.stderr)
    if not len(scores.same):
        raise InputError(f"{shown(pairs)}: no pair could be compared")
    report = pair_report.report(scores, faces.embedder)
    if calibrate is not None:
        conditions = f"{len(scores.same)} pairs of {pairs.name}"
        fitted = pair_report.calibrate(scores, faces.embedder, conditions)
        write_atomic(calibrate, (json.dumps(fitted.to_json(), indent=1) + "\n").encode())
    if out is not None:
        folder(out)
        write_atomic(out / "report.json", (report.to_json() + "\n").encode())
        for name, files in pair_plots.all_plots(scores, report).items():
            for kind, content in files.items():
                write_atomic(out / f"{name}.{kind}", content)
    if report.unjudged is not None:
        print(f"stated false-match rates not measured: {report.unjudged}", file=sys.stderr)
    print(report.to_json() if as_json else _table(report))
    return int(bool(scores.skipped))


def _table(report: pair_report.PairReport) -> str:
    rows = [["worse face", "same", "different", "EER", "TAR at 1e-2", "TAR at 1e-3",
             "accuracy", "false matches at 1e-2"]]  # fmt: skip
    for band in report.bands:
        if band.same + band.different == 0:
            continue
        found = [band.eer, *band.tar.values(), band.accuracy, band.measured["0.01"]]
        words = ["-" if value is None else f"{value:.3f}" for value in found]
        name = pair_plots.label(band.low, band.high)
        rows.append([name, str(band.same), str(band.different), *words])
    return f"{report.model}\n\n{aligned(rows)}"
