"""One at a time: who works, who waits, who stepped aside.

Work asks for its turn again and again, between frames and before each run of a network. That is
when it waits while paused or while others are before it, and when it learns that nobody wants it
any more.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Cancelled(Exception):
    """Nobody wants the work any more."""


class Turn:
    """A place in a line; any thread may call it, but one alone works by it."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self.paused = False
        self.cancelled = False
        self.since: float | None = None
        """When it began to hold the line; None while it does not."""
        self.worked = 0.0
        """Seconds that it held the line before."""

    @property
    def holding(self) -> bool:
        """Whether its work is being done now."""
        return self.since is not None

    @property
    def seconds(self) -> float:
        """That it has held the line, all in all."""
        since = self.since
        return self.worked + (0.0 if since is None else self._line.clock() - since)

    @property
    def ahead(self) -> int:
        """How many are served before it."""
        return self._line.ahead(self)

    def check(self) -> None:
        """Returns when it may work on; raises Cancelled when it shall not."""
        self._line.check(self)

    def pause(self) -> None:
        """Lets others pass, from the next check on."""
        self._line.change(self, paused=True)

    def resume(self) -> None:
        """Takes its place again."""
        self._line.change(self, paused=False)

    def cancel(self) -> None:
        """The next check raises Cancelled."""
        self._line.change(self, cancelled=True)

    def leave(self) -> None:
        """The work is over, however it ended."""
        self._line.leave(self)


class Line:
    """Those who want a turn, first come first served."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._changed = threading.Condition()
        self._turns: list[Turn] = []
        self._holder: Turn | None = None

    def join(self) -> Turn:
        """A new place at the end."""
        turn = Turn(self)
        with self._changed:
            self._turns.append(turn)
        return turn

    def ahead(self, turn: Turn) -> int:
        """How many that are not paused stand before it; 0 for one that has left."""
        with self._changed:
            if turn not in self._turns:
                return 0
            before = self._turns[: self._turns.index(turn)]
            return sum(not one.paused for one in before)

    def check(self, turn: Turn) -> None:
        """As `Turn.check`."""
        with self._changed:
            while not turn.cancelled:
                if self._first() is turn and self._holder in (None, turn):
                    if self._holder is None:
                        self._holder, turn.since = turn, self.clock()
                    return
                self._release(turn)
                self._changed.wait()
        raise Cancelled

    def change(
        self, turn: Turn, *, paused: bool | None = None, cancelled: bool | None = None
    ) -> None:
        """Sets what is not None, and wakes those who wait."""
        with self._changed:
            turn.paused = turn.paused if paused is None else paused
            turn.cancelled = turn.cancelled if cancelled is None else cancelled
            self._changed.notify_all()

    def leave(self, turn: Turn) -> None:
        """As `Turn.leave`."""
        with self._changed:
            self._release(turn)
            if turn in self._turns:
                self._turns.remove(turn)
            self._changed.notify_all()

    def _first(self) -> Turn | None:
        return next((turn for turn in self._turns if not turn.paused), None)

    def _release(self, turn: Turn) -> None:
        if self._holder is turn:
            turn.worked, turn.since = turn.seconds, None
            self._holder = None
            self._changed.notify_all()
