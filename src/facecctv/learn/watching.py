"""What a training tells while it runs: a progress bar, lines, TensorBoard."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

Row = dict[str, float]


class Watcher(Protocol):
    """Is told what happens in a training."""

    def begin(self, epochs: int, steps: int, done: int) -> None:
        """Epochs in all, batches of one, epochs done before."""

    def step(self, epoch: int, step: int, means: Row) -> None:
        """After each batch, with the means of this epoch so far."""

    def epoch(self, row: Row, better: bool) -> None:
        """After each epoch."""

    def end(self, stopped: bool) -> None:
        """At the end; `stopped` says that it was early."""


class Silent:
    """Tells nobody."""

    def begin(self, epochs: int, steps: int, done: int) -> None:
        """See Watcher."""

    def step(self, epoch: int, step: int, means: Row) -> None:
        """See Watcher."""

    def epoch(self, row: Row, better: bool) -> None:
        """See Watcher."""

    def end(self, stopped: bool) -> None:
        """See Watcher."""


class Shown:
    """A line an epoch, on a terminal also a bar, and TensorBoard's files where it is installed."""

    def __init__(self, console: Console, folder: Path) -> None:
        self._console = console
        self._folder = folder
        self._board: Any = None
        self._steps = self._epochs = 0
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[loss]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()
        if self._board is not None:
            self._board.close()
        if isinstance(error, KeyboardInterrupt):
            self._console.print("Interrupted. The same command goes on from the last checkpoint.")

    def begin(self, epochs: int, steps: int, done: int) -> None:
        """See Watcher."""
        self._epochs, self._steps = epochs, steps
        self._board = _tensorboard(self._folder)
        if done:
            self._console.print(f"Going on after epoch {done} of {epochs}.")
        self._task = self._bar.add_task("", total=epochs * steps, loss="")

    def step(self, epoch: int, step: int, means: Row) -> None:
        """See Watcher."""
        self._bar.update(
            self._task,
            completed=epoch * self._steps + step,
            description=f"epoch {epoch + 1}/{self._epochs}",
            loss=f"loss {means['loss']:.4f}",
        )

    def epoch(self, row: Row, better: bool) -> None:
        """See Watcher."""
        number = int(row["epoch"])
        named = {k: v for k, v in row.items() if k not in ("epoch", "seconds")}
        words = " ".join(f"{k} {v:.4g}" for k, v in named.items())
        mark = " *" if better else ""
        self._console.print(
            f"epoch {number}/{self._epochs} {row['seconds']:.0f} s {words}{mark}", highlight=False
        )
        if self._board is not None:
            for name, value in named.items():
                self._board.add_scalar(name, value, number)

    def end(self, stopped: bool) -> None:
        """See Watcher."""
        if stopped:
            self._console.print("Stopped early: no better score lately.")


def _tensorboard(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:  # an extra of the user's own; log.csv has the same figures
        return None
    return SummaryWriter(str(folder / "tensorboard"))
