"""`facecctv demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facecctv.demo import write_demo


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the pictures.")] = Path(
        "facecctv-demo"
    ),
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another grain.")] = 0,
) -> None:
    """Compose the demo pictures.

    Corridors with one public-domain face at many sizes: by day, by night, noisy, and all in one.
    Pictures of the same names are replaced.
    """
    for path in write_demo(out, seed):
        print(path)
