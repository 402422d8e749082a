"""Which frames are worth a look: only where something can be, and never too late.

What is promised: a face that is newly visible for longer than `max_latency` is in a frame that is
looked at, if its coming changes the mean of any cell of CELL x CELL pixels by at least `notice`
levels in any colour. For between two looks lie at most `max_latency` seconds, or one frame where
frames are further apart than that, unless nothing has changed since the last look: change is
measured against the last frame that was looked at, so what fades in slowly adds up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Generic, TypeVar

import numpy as np

from facecctv.errors import SettingError
from facecctv.footage.cells import cells_of
from facecctv.footage.decoding import Still
from facecctv.types import Floats, Frame

F = TypeVar("F", Frame, Still)
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

    def __post_init__(self) -> None:
        if not (math.isfinite(self.max_latency) and self.max_latency >= 0):
            raise SettingError(f"max_latency is 0 or more seconds, not {self.max_latency}")
        if not self.notice >= 0 or not self.rest >= 0:
            raise SettingError("notice and rest are 0 or more")


@dataclass(frozen=True, eq=False)
class Glance(Generic[F]):
    """One frame and what attention makes of it."""

    frame: F
    look: bool
    """Whether it is to be looked at."""
    cut: bool
    """Whether another scene began since the last frame that was to be looked at."""


def attend(
    frames: Iterable[F],
    options: AttentionOptions | None = None,
    next_look: Callable[[], float] = lambda: math.inf,
    seen: F | None = None,
) -> Iterator[Glance[F]]:
    """Every frame of a video in order of time, with whether to look at it.

    `next_look` says after each look how many seconds at most the next may be away, such as
    `Tracker.next_look`; it can bring a look forward, never put one off. `seen` is a frame that was
    looked at already: what follows is what would have followed then.
    """
    how = options or AttentionOptions()
    watch = _Watch[F](how, next_look)
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
    def __init__(self, options: AttentionOptions, next_look: Callable[[], float]) -> None:
        self._options, self._next_look = options, next_look
        self._looked: Fraction | None = None
        self._at_look: Floats | None = None
        self._before: Floats | None = None
        self._cut = False

    def resume(self, frame: F) -> None:
        cells = _cells(frame)
        self._looked, self._at_look, self._before = frame.time, cells, cells

    def __call__(self, frame: F, following: Fraction | None) -> Glance[F]:
        """`following`: the time of the next frame; None for the last one, which is looked at."""
        cells = _cells(frame)
        self._cut = self._cut or _is_cut(self._before, cells)
        self._before = cells
        look = self._due(frame, cells, following)
        glance = Glance(frame, look, look and self._cut)
        if look:
            self._looked, self._at_look, self._cut = frame.time, cells, False
        return glance

    def _due(self, frame: F, cells: Floats, following: Fraction | None) -> bool:
        if self._looked is None or self._at_look is None or self._cut or following is None:
            return True
        until = float(following - self._looked)
        if until > self._options.rest:
            return True
        if float(frame.time - self._looked) >= self._next_look():
            return True
        return until > self._options.max_latency and self._changed(cells, self._at_look)

    def _changed(self, cells: Floats, before: Floats) -> bool:
        if cells.shape != before.shape:
            return True
        return bool(np.abs(cells - before).max() >= self._options.notice)


def _cells(frame: Frame | Still) -> Floats:
    return frame.cells if isinstance(frame, Still) else cells_of(frame.image)


def _is_cut(before: Floats | None, cells: Floats) -> bool:
    if before is None:
        return False
    if before.shape != cells.shape:
        return True
    return float((np.abs(cells - before) > _CUT_STEP).mean()) > _CUT_SHARE
