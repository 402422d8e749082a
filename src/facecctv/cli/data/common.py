"""What the data commands share: arguments, progress, faults, the last word."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from facecctv.image import shown
from facecctv.learn.data.dataset import Dataset, Fault, read_dataset

Folder = Annotated[
    Path, typer.Argument(help="A folder or label file; the format is recognised.", metavar="DATA")
]
Format = Annotated[
    str, typer.Option("--format", help="Name the format instead of having it recognised.")
]
Seed = Annotated[int, typer.Option(min=0, help="Another seed, another draw.")]

_SHOWN = 20


def load(path: Path, format: str = "auto") -> Dataset:
    """Reads a data set and says on stderr what it is."""
    dataset = read_dataset(path, format)
    print(f"{shown(path)}: {len(dataset):,} pictures ({dataset.format})", file=sys.stderr)
    return dataset


def report_faults(faults: Sequence[Fault]) -> int:
    """One line each on stderr, the first twenty of a kind; returns the exit status."""
    seen: dict[str, int] = {}
    for fault in faults:
        seen[fault.kind] = seen.get(fault.kind, 0) + 1
        if seen[fault.kind] <= _SHOWN:
            print(fault, file=sys.stderr)
    for kind, count in seen.items():
        if count > _SHOWN:
            print(f"... and {count - _SHOWN:,} more: {kind}", file=sys.stderr)
    return int(bool(faults))


def next_step(text: str) -> None:
    """The last line of every command."""
    print(f"Next: {text}")


def _ignored(_: int) -> None:
    """Stands in for a bar where nobody watches."""


@contextmanager
def progress(total: int | None, what: str) -> Iterator[Callable[[int], None]]:
    """A function to call with the number of steps done; a bar on stderr where it is a terminal."""
    if not sys.stderr.isatty():
        yield _ignored
        return
    from rich.console import Console  # late: without a terminal it is not needed
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        redirect_stdout=sys.stdout.isatty(),
        transient=True,
    )
    with bar:
        task = bar.add_task(what, total=total, rate="")

        def step(count: int = 1) -> None:
            speed = bar.tasks[task].speed
            bar.update(task, advance=count, rate=f"{speed:.0f}/s" if speed else "")

        yield step
