"""`facecctv evaluate`."""

from __future__ import annotations

import math
import os
from enum import Enum, StrEnum
from pathlib import Path
from typing import Annotated

import typer

from facecctv import build
from facecctv.cli import (
    evaluate_attributes,
    evaluate_embedder,
    evaluate_pairs,
    evaluate_pictures,
    evaluate_taught,
)
from facecctv.cli.batch import counter
from facecctv.cli.tables import aligned
from facecctv.errors import InputError, OutputError, SettingError
from facecctv.image import Limits, encode, shown, write_atomic
from facecctv.learn import plots
from facecctv.learn.data import detection
from facecctv.learn.evaluate import (
    CONDITIONS,
    FALSE_ALARMS,
    LOWEST_THRESHOLD,
    ConditionReport,
    Detect,
    DetectorReport,
    contact_sheets,
    evaluate_detector,
)
from facecctv.metrics import BODY_HEIGHT_BANDS, HEIGHT_BANDS, SMALLEST, Band
from facecctv.schema import printable
from facecctv.settings import Settings
from facecctv.types import Image
from facecctv.vision.bodies import TASK as BODIES
from facecctv.vision.detect import DetectOptions, Detector
from facecctv.vision.single import SingleFaceDetector

app = typer.Typer(rich_markup_mode=None, add_completion=False, no_args_is_help=True)

ConditionName = Enum(  # type: ignore[misc]
    "ConditionName", {condition.name: condition.name for condition in CONDITIONS}
)


class SetName(StrEnum):
    faces = "faces"
    person = "person"
    identities = "identities"


@app.callback()
def evaluate() -> None:
    """Measure a model on labelled pictures."""


app.command()(evaluate_taught.taught)
app.command()(evaluate_taught.pair)
app.command()(evaluate_pairs.recogniser)
app.command()(evaluate_embedder.embedder)
app.command()(evaluate_attributes.attributes)
app.command()(evaluate_pictures.enhancer)
app.command()(evaluate_pictures.colouriser)


@app.command()
def detector(
    data: Annotated[
        str,
        typer.Argument(
            help="Folder of training data (faces.csv and zip files, or a folder above it), or a "
            "CSV file with the columns image,x1,y1,x2,y2 and ignore if wanted, beside its "
            "pictures, or the folder of that file.",
            metavar="DATA",
            show_default=False,
        ),
    ],
    set_name: Annotated[
        SetName | None,
        typer.Option(
            "--set", help="Which set of the training data.", show_default="faces; bodies: person"
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="Rows of this split, where there is one.")] = "val",
    bodies: Annotated[
        bool, typer.Option("--bodies", help="Measure a body detector on boxes of people.")
    ] = False,
    model: Annotated[
        str | None,
        typer.Option(
            help="Name or path of the model.",
            show_default=f"{build.FACE_DETECTOR}; bodies: {build.BODY_DETECTOR}",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Folder for report.json and the plots.", show_default=False
        ),
    ] = None,
    condition: Annotated[
        list[ConditionName] | None,
        typer.Option(help="Repeat for several; all by default.", show_default=False),
    ] = None,
    worst: Annotated[
        int, typer.Option(min=0, help="List so many misses and false alarms per condition.")
    ] = 10,
    sheets: Annotated[
        bool, typer.Option("--sheets", help="Also show these as contact sheets in the folder -o.")
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="At most so many pictures, spread evenly.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Measure a face detector: average precision by face height, working points, worst cases.

    Faces marked to be ignored count neither way, nor do faces under 8 px. With --bodies the same
    for a body detector: where people in the background have no box in the labels, finding them
    counts as a false alarm.
    """
    if sheets and out is None:
        raise SettingError("--sheets needs a folder to write to: -o OUT")
    if out is not None:
        plots.require()  # before the long work, not after it
    settings = Settings.from_environment(os.environ)
    if bodies and set_name not in (None, SetName.person):
        raise SettingError("--bodies measures on the set person, or on a CSV file of your own")
    name = set_name.value if set_name else "person" if bodies else "faces"
    samples = labelled(Path(data), name, split, limits(settings), bodies=bodies)
    found, detect = _detector(settings, model, bodies=bodies)
    wanted = {name.value for name in condition or ()}
    with counter() as progress:
        report = evaluate_detector(
            detect,
            samples,
            threshold=found.card.threshold(),
            conditions=[c for c in CONDITIONS if not wanted or c.name in wanted],
            bands=BODY_HEIGHT_BANDS if bodies else HEIGHT_BANDS,
            worst=worst,
            limit=limit,
            model=f"{found.card.name} {found.card.version}",
            data=f"{Path(data).name or data} ({name}, {split})",
            progress=progress,
        )
    if out is not None:
        _write(out, report, contact_sheets(report, samples, detect) if sheets else {})
    print(report.to_json() if as_json else table(report, "bodies" if bodies else "faces"))


def _detector(
    settings: Settings, model: str | None, *, bodies: bool
) -> tuple[Detector | SingleFaceDetector, Detect]:
    """The detector, and how it is asked for what is to be measured."""
    options = DetectOptions(threshold=LOWEST_THRESHOLD)
    if bodies:
        finder = Detector(build.session(settings, model or build.BODY_DETECTOR), options)
        _ = finder.card.of_task(BODIES)
        return finder, finder.bodies
    found = build.detector(settings, options, model or build.FACE_DETECTOR)
    return found, found


def limits(settings: Settings) -> Limits:
    """Of one picture, as the environment sets them."""
    default = Limits()
    return Limits(
        settings.max_bytes or default.max_bytes, settings.max_pixels or default.max_pixels
    )


def labelled(
    data: Path, set_name: str, split: str, limits: Limits, *, bodies: bool = False
) -> detection.Samples:
    """The labelled pictures at this place, in whichever of the two layouts they are.

    With `bodies` the boxes of the training data are those of people (the set `person` has them).
    Raises InputError where there is neither, LabelError for labels that break their format.
    """
    if data.is_file():
        return detection.load_boxes(data, split, limits)
    table = {"faces": "faces.csv", "person": "person.csv", "identities": "identities.csv"}[set_name]
    for folder in (data, data / set_name):
        if (folder / table).is_file() and any(folder.glob("*.zip")):
            return (detection.load_bodies if bodies else _LOADERS[set_name])(folder, split)
    loose = sorted(data.glob("*.csv"))
    if len(loose) == 1:
        return detection.load_boxes(loose[0], split, limits)
    reason = "several CSV files, name one" if loose else f"no {table} with zip files, no CSV file"
    raise InputError(f"{shown(data)}: {reason if data.is_dir() else 'no such file or folder'}")


_LOADERS = {
    "faces": lambda folder, split: detection.load_faces(folder, split, trust_all=True),
    "person": detection.load_people,
    "identities": detection.load_identities,
}


def _write(out: Path, report: DetectorReport, sheets: dict[str, Image]) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{shown(out)}: cannot be made: {error.strerror}") from error
    write_atomic(out / "report.json", (report.to_json() + "\n").encode())
    for kind, content in plots.precision_recall(report).items():
        write_atomic(out / f"precision-recall.{kind}", content)
    for name, sheet in sheets.items():
        write_atomic(out / f"{name}.png", encode(sheet))


def table(report: DetectorReport, noun: str = "faces") -> str:
    """The report for people: two tables, and the worst cases where there are any."""
    low, high = FALSE_ALARMS
    parts = report.conditions
    heading = f"{report.model} on {report.data}: {report.pictures} pictures"
    heights = ["AP at IoU 0.5", *(_height(band) for band in parts[0].bands)]
    by_height = [[part.name, *(_number(band.ap) for band in part.bands)] for part in parts]
    faces = [[f"  {noun}", *(str(band.faces) for band in part.bands)] for part in parts]
    first = [heights, *(row for pair in zip(by_height, faces, strict=True) for row in pair)]
    points = [
        [
            f"at score {report.threshold:.2f}",
            "precision",
            "recall",
            "false/picture",
            f"recall at {low}",
            "score",
            f"recall at {high}",
            "score",
            "landmark error",
        ],
        *([part.name, *_points(part)] for part in parts),
    ]
    blocks = [heading, aligned(first), aligned(points)]
    for part in parts:
        blocks += _worst(part)
    return "\n\n".join(blocks)


def _height(band: Band) -> str:
    if band.low == SMALLEST and math.isinf(band.high):
        return "all"
    return f"{band.low:g}+ px" if math.isinf(band.high) else f"{band.low:g}-{band.high:g} px"


def _number(value: float, digits: int = 3) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "-"


def _points(part: ConditionReport) -> list[str]:
    here = part.at_threshold
    cells = [_number(here.precision), _number(here.recall), _number(here.false_positives)]
    for point in part.working_points:
        cells += [_number(point.recall), _number(point.threshold)]
    error = part.landmarks.mean
    return [*cells, f"{100 * error:.1f} % of eyes" if math.isfinite(error) else "-"]


def _worst(part: ConditionReport) -> list[str]:
    blocks = []
    for title, cases in (("missed", part.misses), ("false alarms", part.false_alarms)):
        if cases:
            rows = [[f"{part.name}: {title}", "score", "x1", "y1", "x2", "y2"]]
            rows += [
                [f"  {printable(case.image)}", f"{case.score:.2f}", *(f"{v:.0f}" for v in case.box)]
                for case in cases
            ]
            blocks.append(aligned(rows))
    return blocks
