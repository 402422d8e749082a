"""Arguments that several commands share, with one name and one help text."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from facecctv.errors import SettingError
from facecctv.settings import Settings

if TYPE_CHECKING:
    from facecctv.vision.detect import DetectOptions

Inputs = Annotated[
    list[str],
    typer.Argument(help="Files, folders (with all inside) or globs.", show_default=False),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object per input, one per line.")
]
Debug = Annotated[
    bool, typer.Option("--debug", help="Show the traceback when an input meets a bug.")
]
Threshold = Annotated[
    float | None,
    typer.Option(
        help="Least score of a face, between 0 and 1.", show_default="what the model was set to"
    ),
]
MinFace = Annotated[float, typer.Option(metavar="PX", help="Least height of a face, pixels.")]
Tiles = Annotated[
    Literal["auto", "off"],
    typer.Option(help="Look at large pictures in tiles, or whole (more memory)."),
]
Enlarge = Annotated[
    Literal["auto", "off"],
    typer.Option(help="Enlarge small pictures to find small faces, or take them as they are."),
]
Bodies = Annotated[
    bool,
    typer.Option("--bodies", help="Find people too, faces visible or not, and whose face is whose"),
]
Model = Annotated[
    str, typer.Option(metavar="NAME_OR_FILE", help="The face detector: a name or an .onnx file.")
]


def environment() -> Settings:
    """The settings of this process; raises SettingError for an impossible one."""
    return Settings.from_environment(os.environ)


def look(
    threshold: float | None,
    min_face: float,
    tiles: Literal["auto", "off"],
    enlarge: Literal["auto", "off"],
) -> DetectOptions:
    """How to look for faces; an impossible value is wrong usage (typer.BadParameter)."""
    from facecctv.vision.detect import DetectOptions  # late: help does without numpy and OpenCV

    try:
        return DetectOptions(threshold, min_face, tiles, enlarge)
    except SettingError as error:
        raise typer.BadParameter(str(error)) from error


def sources(inputs: Sequence[str], out: Path | None = None) -> list[str]:
    """The files meant by the inputs, each once, as named.

    What lies in the output folder is left out unless it is named itself: results of an earlier run
    are no input of the next. Nothing at all is wrong usage (typer.BadParameter).
    """
    from facecctv.image.files import find

    inside = None if out is None else os.path.join(os.path.realpath(out), "")
    found = [
        path
        for path in dict.fromkeys(find(inputs))
        if inside is None or path in inputs or not os.path.realpath(path).startswith(inside)
    ]
    if not found:
        raise typer.BadParameter(f"nothing to read in {', '.join(inputs)}")
    return found
