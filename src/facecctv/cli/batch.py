"""Runs one picture command over many inputs: results out, errors in their place, progress aside."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TypeVar

from facecctv.errors import FaceCCTVError
from facecctv.schema import Error, Failure, printable

if TYPE_CHECKING:
    from rich.progress import Progress


class Printable(Protocol):
    """What a command returns for one input, such as `facecctv.schema.Result`."""

    def to_json(self) -> str: ...


R = TypeVar("R", bound=Printable)


def run(
    sources: Sequence[str],
    work: Callable[[str], R],
    describe: Callable[[R], str],
    *,
    as_json: bool,
    debug: bool = False,
) -> int:
    """Works through the sources in order and returns the exit status: 1 if any failed, else 0.

    Results go to stdout, one line each as soon as there is one: JSON, or `source: ` and what
    `describe` says. A failure prints its own line (in JSON mode on stdout, otherwise on stderr)
    and the rest go on. Progress goes to stderr, and only where someone is watching.
    """
    failed = False
    with _progress(sources) as progress:
        for source in progress:
            try:
                result = work(source)
            except Exception as error:  # noqa: BLE001 - a bug in one input must not lose the others
                failed = True
                if debug and not isinstance(error, FaceCCTVError | OSError):
                    traceback.print_exception(error)
                _print_failure(_failure(source, error), as_json=as_json)
            else:
                line = f"{printable(source)}: {describe(result)}"
                print(result.to_json() if as_json else line, flush=True)
    return int(failed)


def _failure(source: str, error: Exception) -> Failure:
    if isinstance(error, FaceCCTVError):
        return Failure.of(source, error)
    if isinstance(error, OSError):
        # strerror alone: the full text would repeat the name as some library spelt it.
        detail = error.strerror or str(error)
        return Failure(source=source, error=Error(type=type(error).__name__, detail=detail))
    detail = f"{type(error).__name__}: {' '.join(str(error).split())} (a bug; --debug shows where)"
    return Failure(source=source, error=Error(type="InternalError", detail=detail))


def _print_failure(failure: Failure, *, as_json: bool) -> None:
    if as_json:
        print(failure.to_json(), flush=True)
    else:
        print(f"{failure.source}: {failure.error.detail}", file=sys.stderr, flush=True)


@contextmanager
def _progress(sources: Sequence[str]) -> Iterator[Iterable[str]]:
    """The sources again, with a bar on stderr as they are taken."""
    if len(sources) < 2 or not sys.stderr.isatty():
        yield sources
        return
    bar = _bar()

    def counted() -> Iterator[str]:
        task = bar.add_task("", total=len(sources), rate="")
        for source in sources:
            yield source
            speed = bar.tasks[task].speed
            bar.update(task, advance=1, rate=f"{speed:.1f}/s" if speed else "")

    with bar:
        yield counted()


@contextmanager
def counter() -> Iterator[Callable[[int, int], None] | None]:
    """A bar on stderr that is told how much is done, and of how much; None where nobody watches."""
    if not sys.stderr.isatty():
        yield None
        return
    bar = _bar()
    task = bar.add_task("", rate="", total=None)

    def tell(done: int, total: int) -> None:
        bar.update(task, completed=done, total=total)
        speed = bar.tasks[task].speed
        bar.update(task, rate=f"{speed:.1f}/s" if speed else "")

    with bar:
        yield tell


def _bar() -> Progress:
    # Imported late: a single file or a pipe never needs it.
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        # On one terminal lines and bar share the screen; into a pipe the lines go as they are.
        redirect_stdout=sys.stdout.isatty(),
        transient=True,
    )
