"""`facecctv data collect`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from facecctv.cli.data.common import next_step, progress
from facecctv.types import Face, Image


def collect(
    source: Annotated[str, typer.Argument(help="A camera's number (0), a video file or a folder.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The session's folder.")] = Path(
        "session"
    ),
    every: Annotated[int, typer.Option(min=1, help="Keep each n-th frame.")] = 1,
    limit: Annotated[int | None, typer.Option(min=1, help="Keep at most so many.")] = None,
    key: Annotated[bool, typer.Option("--key", help="Keep a frame on space; q ends.")] = False,
    countdown: Annotated[int, typer.Option(min=0, help="Seconds before a camera starts.")] = 3,
    headless: Annotated[bool, typer.Option("--headless", help="Open no window.")] = False,
) -> int:
    """Collect pictures from a camera, a video or a folder.

    Writes OUT/pictures and OUT/session.json. Run again, it goes on in the same session. Where
    there is a display, a camera is shown live with the faces that are found.
    """
    from facecctv.learn.data import collect as work

    shots = work.open_source(source)
    live = work.is_live(source)
    view = None
    if key or (live and not headless and _display()):
        view = work.Window() if key else work.window_or_none()
    if live:
        work.count_down(countdown, lambda text: print(text, file=sys.stderr))
    detect = _detector() if view is not None else None
    kept = 0
    try:
        with work.Session(out, source) as session, progress(limit, "pictures") as step:
            before = len(session.pictures)
            work.collect(
                shots, session, work.Choice(every, limit, key), view, detect, lambda _: step(1)
            )
            kept = len(session.pictures) - before
            total = len(session.pictures)
    except KeyboardInterrupt:
        if not live:
            raise
        print(f"stopped; the pictures are in {out}", file=sys.stderr)
        return 0
    print(f"{out}: {kept:,} new pictures, {total:,} in all")
    next_step(f"facecctv data prelabel {out}/pictures, or facecctv data annotate {out}/pictures")
    return 0


def _display() -> bool:
    return sys.platform in ("darwin", "win32") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )


def _detector() -> Callable[[Image], Sequence[Face]]:
    from facecctv import build
    from facecctv.settings import Settings

    return build.detector(Settings())
