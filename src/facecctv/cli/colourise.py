"""`facecctv colourise`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facecctv.cli import options, processing
from facecctv.evidence.steps import Chain, Colourise


def colourise(
    inputs: options.Inputs,
    out: processing.Out = None,
    as_json: options.Json = False,
    saturation: Annotated[
        float, typer.Option(min=0, max=4, help="0: grey; 1: as the network says.")
    ] = 1.0,
    force: Annotated[
        bool, typer.Option("--force", help="Also pictures that have colour already.")
    ] = False,
    forensic: processing.Forensic = False,
    change_map: processing.ChangeMap = False,
    format: processing.FileFormat = None,
    quality: processing.Quality = 92,
    debug: options.Debug = False,
) -> int:
    """Give grey pictures colour, which is an estimate.

    The results say so. Writes OUT/NAME-colourised.png, and beside it a record of what was done:
    NAME-colourised.png.json. To enhance first: facecctv enhance --steps enhance:x4,colourise
    """
    chain = Chain((Colourise(saturation=saturation, force=force),))
    where = Path("facecctv-colourised") if out is None else out
    writing = processing.Writing(where, "colourised", format, quality, change_map)
    return processing.run(inputs, chain, writing, forensic=forensic, as_json=as_json, debug=debug)
