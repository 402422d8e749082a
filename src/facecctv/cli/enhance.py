"""`facecctv enhance`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from facecctv.cli import options, processing
from facecctv.evidence.steps import Chain, Enhance


def enhance(
    inputs: options.Inputs,
    out: processing.Out = None,
    as_json: options.Json = False,
    scale: Annotated[
        Literal["2", "4"] | None,
        typer.Option(help="How many pixels a side become of one.", show_default="4"),
    ] = None,
    faces_only: Annotated[
        bool,
        typer.Option(
            "--faces-only", help="Enhance the faces; enlarge the rest by plain interpolation."
        ),
    ] = False,
    strength: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="0: plain interpolation; 1: all of the network.", show_default="1"
        ),
    ] = None,
    luminance: Annotated[
        Literal["auto", "on", "off"] | None,
        typer.Option(
            help="Enhance only brightness and leave colour; auto: in grey pictures.",
            show_default="auto",
        ),
    ] = None,
    steps: Annotated[
        str | None,
        typer.Option(
            metavar="CHAIN",
            help="These steps instead, in this order: denoise:h=5,levels:auto,enhance:x4",
            show_default=False,
        ),
    ] = None,
    forensic: processing.Forensic = False,
    change_map: processing.ChangeMap = False,
    format: processing.FileFormat = None,
    quality: processing.Quality = 92,
    debug: options.Debug = False,
) -> int:
    """Enlarge pictures, take blur and noise away, or put them through steps of your own.

    Writes OUT/NAME-enhanced.png, and beside it a record of what was done: NAME-enhanced.png.json.
    """
    given = {
        "scale": scale,
        "faces_only": faces_only or None,
        "strength": strength,
        "luminance": luminance,
    }
    given = {key: value for key, value in given.items() if value is not None}
    if steps is None:
        chain = Chain((Enhance.model_validate(given),))
    elif given:
        named = ", ".join("--" + key.replace("_", "-") for key in given)
        raise typer.BadParameter(
            f"{named}: with --steps it belongs into the chain, as in enhance:x2:strength=0.5"
        )
    else:
        chain = processing.chain(steps)
    where = Path("facecctv-enhanced") if out is None else out
    writing = processing.Writing(where, "enhanced", format, quality, change_map)
    return processing.run(inputs, chain, writing, forensic=forensic, as_json=as_json, debug=debug)
