"""`facecctv evaluate enhancer` and `facecctv evaluate colouriser`."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facecctv import build
from facecctv.cli.tables import aligned
from facecctv.errors import ImageError, InputError
from facecctv.image import find, read, shown, write_atomic
from facecctv.settings import Settings
from facecctv.vision.colourise import is_grey

if TYPE_CHECKING:
    from facecctv.learn.evaluate_restoring import ColourScore, RestorationScore, SharpFace
    from facecctv.types import Image

Data = Annotated[
    Path,
    typer.Argument(
        help="Folder of training data (identities and faces, with their zip files), or a folder "
        "of sharp pictures of your own.",
        show_default=False,
    ),
]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="Write the figures to this JSON file.", show_default=False),
]
Limit = Annotated[int, typer.Option(min=1, help="At most so many pictures of each kind.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the figures as one JSON object.")]


class Scale(StrEnum):
    x2 = "2"
    x4 = "4"


def enhancer(
    data: Data,
    scale: Annotated[Scale, typer.Option(help="Which enhancer.")] = Scale.x4,
    limit: Limit = 300,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Measure an enhancer: sharp pictures are made small and bad, and recovered.

    Two conditions: clean is antialiased bicubic shrinking; cctv adds night mode for half, blur,
    sensor noise and JPEG. Each figure stands beside that of bicubic interpolation.
    """
    from facecctv.learn.evaluate_restoring import CONDITIONS, score_restoration

    settings = Settings.from_environment(os.environ)
    factor = int(scale.value)
    restore = build.enhancer(settings, factor)
    _ = restore.card  # a model that is not there is said at once
    embed = build.recogniser(settings).embed
    rows: list[tuple[str, RestorationScore]] = [
        (name, score_restoration(restore, factor, faces, condition, embed))
        for name, faces in _sharp(settings, data, factor, limit)
        for condition in CONDITIONS
    ]
    figures = [{"set": name, **asdict(score)} for name, score in rows]
    table = _enhancer_table(rows)
    _tell(f"{restore.card.name} {restore.card.version}", figures, table, out, as_json)


def colouriser(data: Data, limit: Limit = 300, out: Out = None, as_json: AsJson = False) -> None:
    """Measure the colouriser: colour is taken away from pictures, estimated and compared."""
    from facecctv.learn.evaluate_restoring import colour_sets, score_colour

    settings = Settings.from_environment(os.environ)
    colourise = build.colouriser(settings)
    _ = colourise.card
    if (data / "identities").is_dir() and (data / "scenes").is_dir():
        sets = colour_sets(data, limit)
    else:
        coloured = [image for image in _own(settings, data, limit) if not is_grey(image)]
        if not coloured:
            raise InputError(f"{shown(data)}: no picture in colour")
        sets = {"pictures": coloured}
    rows = [score_colour(colourise, pictures, name) for name, pictures in sets.items()]
    figures = [{**asdict(score), "gain": score.gain} for score in rows]
    card = colourise.card
    _tell(f"{card.name} {card.version}", figures, _colour_table(rows), out, as_json)


def _sharp(
    settings: Settings, data: Path, scale: int, limit: int
) -> list[tuple[str, Sequence[SharpFace]]]:
    from facecctv.learn.evaluate_restoring import BANDS, sharp_faces, sharp_pictures

    if (data / "identities").is_dir() and (data / "faces").is_dir():
        return [
            (f"faces {low:g}-{high:g} px", sharp_faces(data, scale, low, high, limit))
            for low, high in BANDS
        ]
    detect = build.detector(settings)
    found = sharp_pictures(_own(settings, data, limit), scale, detect)
    if not found:
        raise InputError(f"{shown(data)}: no picture is large enough for x{scale}")
    return [("pictures", found)]


def _own(settings: Settings, data: Path, limit: int) -> list[Image]:
    images: list[Image] = []
    for path in find([data]):
        if len(images) == limit:
            break
        try:
            images.append(read(path, build.limits(settings)).image)
        except ImageError:
            typer.echo(f"{shown(path)}: left out, not a readable picture", err=True)
    return images


def _tell(
    model: str, figures: list[dict[str, object]], table: str, out: Path | None, as_json: bool
) -> None:
    # JSON knows no NaN: what could not be measured is null.
    rows = [
        {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()}
        for row in figures
    ]
    report = json.dumps({"model": model, "results": rows}, allow_nan=False, indent=1)
    if out is not None:
        write_atomic(out, (report + "\n").encode())
    print(report if as_json else f"{model}\n\n{table}")


def _enhancer_table(rows: Sequence[tuple[str, RestorationScore]]) -> str:
    head = ["", "pictures", "PSNR-Y", "bicubic", "gain", "SSIM", "bicubic", "identity", "bicubic"]
    lines = [[*head, "lowered"]]
    for name, score in rows:
        gain = f"{score.psnr - score.psnr_bicubic:+.2f} dB"
        decibels = [f"{score.psnr:.2f}", f"{score.psnr_bicubic:.2f}", gain]
        shares = (score.ssim, score.ssim_bicubic, score.similarity, score.similarity_bicubic)
        lowered = "-" if math.isnan(score.lowered) else f"{100 * score.lowered:.1f} %"
        cells = [f"{v:.3f}" if math.isfinite(v) else "-" for v in shares]
        lines.append([f"{name}, {score.name}", str(score.pictures), *decibels, *cells, lowered])
    return aligned(lines)


def _colour_table(rows: Sequence[ColourScore]) -> str:
    head = ["", "pictures", "chroma error", "of grey", "below grey", "colourfulness ratio"]
    return aligned(
        [
            head,
            *(
                [
                    row.name,
                    str(row.pictures),
                    f"{row.error:.2f}",
                    f"{row.error_grey:.2f}",
                    f"{100 * row.gain:.1f} %",
                    f"{row.colourfulness:.2f}",
                ]
                for row in rows
            ),
        ]
    )
