"""Which frames are worth a look: only where something can be, and never too late.

What is promised: a face that is newly visible for longer than `max_latency` is in a frame that is
searched where the face is, if its coming makes the mean of any cell of CELL x CELL pixels differ by
at least `notice` levels in any colour from when that cell was last searched. For between two
searches lie at most `max_latency` seconds, or one frame where frames are further apart than that,
unless no cell differs so; and a search takes in every cell that does. Change is measured for each
cell against the frame in which it was last searched, so what fades in slowly adds up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Generic, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from facecctv.errors import SettingError
from facecctv.footage.cells import cells_of
from facecctv.footage.decoding import Still
from facecctv.types import Floats, Frame

F = TypeVar("F", Frame, Still)
Cells: TypeAlias = npt.NDArray[np.bool_]
_CUT_STEP = 24.0
"""Levels by which a cell differs where the scene is another."""
_CUT_SHARE = 0.5
"""Of cells that differ so between one frame and the next at a cut."""


@dataclass(frozen=True)
class AttentionOptions:
    """How closely a video is watched."""

    max_latency: float = 0.2
    """Seconds after which a new face is noticed at the latest."""
    notice: float = 6.0
    """Levels of a cell's mean, of 255, that count as change; noise and compression stay below. 0:
    whatever happens, frames are looked at every `max_latency` seconds."""
    rest: float = 1.0
    """Seconds after which a frame is looked at even though nothing has changed."""
    everywhere: float = 5.0
    """Seconds after which all of a frame is searched, changed or not."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.max_latency) and self.max_latency >= 0):
            raise SettingError(f"max_latency is 0 or more seconds, not {self.max_latency}")
        if not (self.notice >= 0 and self.rest >= 0 and self.everywhere >= 0):
            raise SettingError("notice, rest and everywhere are 0 or more")


@dataclass(frozen=True, eq=False)
class Glance(Generic[F]):
    """One frame and what attention makes of it."""

    frame: F
    look: bool
    """Whether it is to be looked at."""
    cut: bool
    """Whether another scene began since the last frame that was to be looked at."""
    where: Cells | None = None
    """(rows, columns) the cells to be searched; None: all. Where none is true only those who are
    followed are looked for."""


def attend(
    frames: Iterable[F],
    options: AttentionOptions | None = None,
    next_look: Callable[[], float] = lambda: math.inf,
    seen: F | None = None,
    *,
    partly: bool = False,
) -> Iterator[Glance[F]]:
    """Every frame of a video in order of time, with whether to look at it.

    `next_look` says after each look how many seconds at most the next may be away, such as
    `Tracker.next_look`; it can bring a look forward, never put one off. `seen` is a frame that was
    searched everywhere: what follows is what would have followed then. With `partly` looks go only
    where they have to; those that `next_look` brings forward are for who is followed, and put no
    search off.
    """
    how = options or AttentionOptions()
    watch = _Watch[F](how, next_look, partly)
    waiting: F | None = None
    if seen is not None:
        watch.resume(seen)
    for frame in frames:
        if waiting is not None:
            yield watch(waiting, frame.time)
        waiting = frame
    if waiting is not None:
        yield watch(waiting, None)


class _Watch(Generic[F]):
    def __init__(
        self, options: AttentionOptions, next_look: Callable[[], float], partly: bool
    ) -> None:
        self._options, self._next_look, self._partly = options, next_look, partly
        self._looked = self._searched = self._whole = Fraction(0)
        """When last looked at all, where something had changed, and everywhere."""
        self._known: Floats | None = None
        """Each cell as it was when it was last searched; None before the first search."""
        self._before: Floats | None = None
        self._cut = False

    def resume(self, frame: F) -> None:
        self._before = _cells(frame)
        self._everywhere(frame.time, self._before)

    def __call__(self, frame: F, following: Fraction | None) -> Glance[F]:
        """`following`: the time of the next frame; None for the last one, which is looked at."""
        cells = _cells(frame)
        self._cut = self._cut or _is_cut(self._before, cells)
        self._before = cells
        if self._known is None or self._cut or cells.shape != self._known.shape:
            cut, self._cut = self._cut, False
            self._everywhere(frame.time, cells)
            return Glance(frame, True, cut)
        until = math.inf if following is None else float(following - self._searched)
        rested = until > self._options.rest
        changed = self._changed(cells, self._known) if self._late(until) else None
        if rested or (changed is not None and changed.any()):
            return self._search(frame, cells, changed)
        if float(frame.time - self._looked) >= self._next_look():
            if not self._partly:
                return self._search(frame, cells, changed)
            self._looked = frame.time
            return Glance(frame, True, False, np.zeros(cells.shape[:2], np.bool_))
        return Glance(frame, False, False)

    def _late(self, until: float) -> bool:
        """Whether the next frame would be too late for what changed."""
        return until > min(self._options.max_latency, self._options.rest)

    def _search(self, frame: F, cells: Floats, changed: Cells | None) -> Glance[F]:
        """`changed` is known wherever only part is searched: no search is earlier than that."""
        late = float(frame.time - self._whole) >= self._options.everywhere
        if changed is None or self._known is None or not self._partly or late:
            self._everywhere(frame.time, cells)
            return Glance(frame, True, False)
        self._known = np.where(changed[..., None], cells, self._known)
        self._looked = self._searched = frame.time
        return Glance(frame, True, False, changed)

    def _everywhere(self, time: Fraction, cells: Floats) -> None:
        self._looked = self._searched = self._whole = time
        self._known = cells

    def _changed(self, cells: Floats, before: Floats) -> Cells:
        differs: Cells = np.abs(cells - before).max(axis=2) >= self._options.notice
        return differs


def _cells(frame: Frame | Still) -> Floats:
    return frame.cells if isinstance(frame, Still) else cells_of(frame.image)


def _is_cut(before: Floats | None, cells: Floats) -> bool:
    if before is None:
        return False
    if before.shape != cells.shape:
        return True
    return float((np.abs(cells - before) > _CUT_STEP).mean()) > _CUT_SHARE
