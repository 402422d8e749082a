"""Arguments that several commands share, with one name and one help text."""

from __future__ import annotations

from typing import Annotated

import typer

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
