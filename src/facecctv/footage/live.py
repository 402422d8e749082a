"""A live source from end to end: who appears, is seen better, leaves; without an end in sight.

Memory does not grow with time: a passage keeps its best sights and some of its path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Literal

from facecctv.errors import SettingError
from facecctv.footage.attention import attend
from facecctv.footage.decoding import Still
from facecctv.footage.examine import Assess, Examination, ExamineOptions, LiveView
from facecctv.footage.people import worth
from facecctv.footage.searching import Detect, Partly, searched
from facecctv.types import Face, Sighting, Track

MOST_ROWS = 2048
"""Frames remembered of one passage's path."""


@dataclass(frozen=True)
class LiveOptions:
    """How often is told of one passage."""

    better: float = 1.25
    """So many times as good a best sight is worth telling."""
    every: float = 5.0
    """Seconds between two tellings of one passage, at least; that it ended is told at once."""

    def __post_init__(self) -> None:
        if not self.better >= 1 or not self.every >= 0:
            raise SettingError("better is 1 or more, every is 0 or more seconds")


@dataclass(frozen=True, eq=False)
class Event:
    """Something that became of a passage."""

    kind: Literal["appeared", "better", "left"]
    """`better`: a better sight than any told before."""
    number: int
    """Of the passage, from 1."""
    time: Fraction
    """Of the frame that tells, or of the last sight; seconds on the source's clock."""
    at: datetime | None
    """The same by this machine's time of day, where it is known."""
    best: Sighting
    """The best sight so far, with crop and quality."""
    improved: bool
    """Whether it is another than at the event before."""
    track: Track | None = None
    """Once it is over."""


@dataclass(frozen=True, eq=False)
class Look:
    """One frame that was looked at."""

    still: Still
    faces: Mapping[int, Face]
    """Of passages that are believed, those seen in it, by number."""


def follow(
    stills: Iterable[Still],
    detect: Detect,
    assess: Assess,
    options: ExamineOptions | None = None,
    telling: LiveOptions | None = None,
    looked: Callable[[Look], None] | None = None,
) -> Iterator[Event]:
    """What becomes of every passage of a face through a source, as it happens.

    `detect` should report unsure faces too, as for `examine`. A passage is told of once it is
    believed; one that never is stays untold. When the source ends, so do all passages. `looked` is
    told of every frame that was looked at, before the events of it.
    """
    how, often = options or ExamineOptions(), telling or LiveOptions()
    exam = Examination(replace(how, track=replace(how.track, most_rows=MOST_ROWS)))
    told: dict[int, tuple[Fraction, Sighting]] = {}
    still: Still | None = None
    partly = isinstance(detect, Partly)
    for glance in attend(stills, how.attention, exam.next_look, partly=partly):
        if not glance.look:
            continue
        still = glance.frame
        frame = still.frame()
        faces = searched(detect, glance, frame.image, exam.expected(frame.time))
        view = LiveView(frame, faces, assess, how.margin)
        ended = exam.look(frame.index, frame.time, glance.cut, faces, view)
        if looked is not None:
            looked(Look(still, exam.seen()))
        for track in ended:
            yield _left(track, told.pop(track.number, None), still)
        for number, best in exam.there().items():
            event = _news(number, best, told.get(number), still, often)
            if event is not None:
                told[number] = (still.time, best)
                yield event
    if still is not None:
        for track in exam.end():
            yield _left(track, told.pop(track.number, None), still)


def _news(
    number: int,
    best: Sighting,
    before: tuple[Fraction, Sighting] | None,
    still: Still,
    often: LiveOptions,
) -> Event | None:
    if before is None:
        return Event("appeared", number, still.time, still.arrived, best, True)
    since, known = before
    if still.time - since < often.every or worth(best) < often.better * worth(known):
        return None
    return Event("better", number, still.time, still.arrived, best, True)


def _left(track: Track, before: tuple[Fraction, Sighting] | None, still: Still) -> Event:
    best = track.best[0]
    ago = timedelta(seconds=float(still.time - track.last))
    at = None if still.arrived is None else still.arrived - ago
    improved = before is None or before[1].index != best.index
    return Event("left", track.number, track.last, at, best, improved, track)
