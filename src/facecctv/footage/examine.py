"""A video from end to end: which frames to look at, who is in them, and their best sights.

All that depends on pixels goes through a `View`. So an examination that was cut short is taken up
again by showing it its own journal: the same calls give the same tracks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Protocol

import numpy as np

from facecctv.errors import SettingError, SourceChanged
from facecctv.footage.attention import AttentionOptions, Glance, attend
from facecctv.footage.decoding import Still
from facecctv.footage.journal import Entry, Journal
from facecctv.footage.people import SIGHTS, BestSights, worth
from facecctv.footage.searching import Detect, Partly, searched
from facecctv.footage.track import Tracker, TrackOptions
from facecctv.footage.video import Mark, Video
from facecctv.geometry import crop
from facecctv.types import Crop, Face, Floats, Frame, Quality, Sighting, Track
from facecctv.types import Image as Pixels

Assess = Callable[[Pixels, Face], Quality]
_CHANGED = "is not the video that its journal tells of"
Tell = Callable[[Still], None]
"""Is told of each frame that is done with."""


@dataclass(frozen=True)
class ExamineOptions:
    """How a video is examined."""

    attention: AttentionOptions = field(default_factory=AttentionOptions)
    track: TrackOptions = field(default_factory=TrackOptions)
    sights: int = SIGHTS
    """Best sights kept of each passage."""
    margin: float = 0.35
    """Around each crop, as a share of the face's sides."""
    evidence: float = 1.0
    """Sum of the scores of sure sights from which a passage is believed: one of 0.6 alone may be a
    stain."""

    def __post_init__(self) -> None:
        if self.sights < 1 or not self.margin >= 0 or not self.evidence >= 0:
            raise SettingError("a passage has 1 or more sights, margin and evidence are 0 or more")


class View(Protocol):
    """One frame that is looked at, or what a journal says of it; faces by their place."""

    def quality(self, place: int) -> Quality: ...

    def crop(self, place: int) -> Crop: ...


class Examination:
    """Gathers what is seen, look by look."""

    def __init__(self, options: ExamineOptions | None = None) -> None:
        self.options = options or ExamineOptions()
        self._tracker = Tracker(self.options.track)
        self._best = BestSights(self.options.sights)
        self._evidence: dict[int, float] = {}
        """Sum of scores of the passages that go on."""
        self._seen: dict[int, Face] = {}

    def look(
        self, index: int, time: Fraction, cut: bool, faces: Sequence[Face], view: View
    ) -> list[Track]:
        """Takes in one frame and returns the passages that ended; asks the view for what counts."""
        step = self._tracker(index, time, faces, cut=cut)
        self._seen = {
            number: face for number, face in zip(step.numbers, faces, strict=True) if number
        }
        for place, (number, face) in enumerate(zip(step.numbers, faces, strict=True)):
            # An unsure face keeps a passage going but never stands for it.
            if number and face.score >= self.options.track.high:
                self._evidence[number] = self._evidence.get(number, 0.0) + face.score
                quality = view.quality(place)
                sighting = Sighting(index, time, face, quality)
                if self._best.wants(number, worth(sighting)):
                    self._best.add(number, replace(sighting, crop=view.crop(place)))
        return self._finished(step.ended)

    def end(self) -> list[Track]:
        """Ends every passage."""
        return self._finished(self._tracker.end())

    def next_look(self) -> float:
        """As `Tracker.next_look`."""
        return self._tracker.next_look()

    def expected(self, time: Fraction) -> Floats:
        """As `Tracker.expected`."""
        return self._tracker.expected(time)

    def there(self) -> dict[int, Sighting]:
        """The best sight so far of each passage that goes on and is believed, by its number."""
        found = {}
        for number, evidence in self._evidence.items():
            best = self._best.best(number)
            if best is not None and self._believed(evidence):
                found[number] = best
        return found

    def seen(self) -> dict[int, Face]:
        """Where the face of each passage that is believed was at the last look, by its number."""
        return {
            number: face
            for number, face in self._seen.items()
            if self._believed(self._evidence.get(number, 0.0))
        }

    def _finished(self, tracks: Sequence[Track]) -> list[Track]:
        whole = [replace(track, best=self._best.take(track.number)) for track in tracks]
        return [one for one in whole if self._believed(self._evidence.pop(one.number, 0.0))]

    def _believed(self, evidence: float) -> bool:
        return evidence >= self.options.evidence - 1e-6


class LiveView:
    """A frame, which notes what it was asked."""

    def __init__(self, frame: Frame, faces: Sequence[Face], assess: Assess, margin: float) -> None:
        self._frame, self._faces, self._assess, self._margin = frame, faces, assess, margin
        self.qualities: dict[int, Quality] = {}
        self.crops: dict[int, Crop] = {}

    def quality(self, place: int) -> Quality:
        self.qualities[place] = self._assess(self._frame.image, self._faces[place])
        return self.qualities[place]

    def crop(self, place: int) -> Crop:
        self.crops[place] = crop(self._frame.image, self._faces[place], self._margin)
        return self.crops[place]


def examine(
    video: Video,
    detect: Detect,
    assess: Assess,
    options: ExamineOptions | None = None,
    *,
    journal: Journal | None = None,
    tell: Tell | None = None,
) -> Iterator[Track]:
    """Every passage of a face through a video, each as soon as it has ended.

    Where `detect` can search parts of a frame (`searching.Partly`), only those are searched in
    which something changed or somebody is expected. It should report unsure faces too, down to a
    score of about 0.1: those below `options.track.high` keep a passage going through blur and
    shadow. With a journal each look is
    written down before the next, an examination that the journal holds a part of goes on from
    there, and the tracks are the same as without interruption; their sights then have no crops,
    which `journal.with_crops` gives back, so memory does not grow with the video.
    Raises VideoError where no frame can be decoded, SourceChanged where the journal's last frame is
    not in the video.
    """
    exam = Examination(options)
    begin: Mark | None = None
    known: dict[int, Entry] = {}
    """Looks since the last that went everywhere. What was to be searched in them follows from the
    frames, so they are gone through again, but not searched again."""
    if journal is not None:
        for entry in journal.replay():
            if entry.whole:
                for earlier in (*known.values(), entry):
                    found = exam.look(
                        earlier.index, earlier.time, earlier.cut, earlier.faces, earlier
                    )
                    yield from (journal.without_crops(track) for track in found)
                begin, known = Mark(entry.index, entry.time, entry.damaged), {}
            else:
                known[entry.index] = entry
    partly = isinstance(detect, Partly)
    with closing(video.stills(begin)) as frames:
        seen = None if begin is None else _same(next(frames, None), begin)
        how = exam.options.attention
        for glance in attend(frames, how, exam.next_look, seen, partly=partly):
            if glance.look:
                done = known.pop(glance.frame.index, None)
                ended = (
                    _again(exam, glance, done)
                    if done is not None
                    else _looked(exam, glance, video, detect, assess, journal)
                )
                yield from ended if journal is None else map(journal.without_crops, ended)
            if tell is not None:
                tell(glance.frame)
    if known:
        raise SourceChanged(_CHANGED)
    rest = exam.end()
    yield from rest if journal is None else map(journal.without_crops, rest)


def _looked(
    exam: Examination,
    glance: Glance[Still],
    video: Video,
    detect: Detect,
    assess: Assess,
    journal: Journal | None,
) -> list[Track]:
    """Searches a frame and writes it down; the passages that ended with it."""
    frame = glance.frame.frame()
    faces = searched(detect, glance, frame.image, exam.expected(frame.time))
    view = LiveView(frame, faces, assess, exam.options.margin)
    ended = exam.look(frame.index, frame.time, glance.cut, faces, view)
    if journal is not None:
        mark, whole = video.mark(frame), glance.where is None
        said = (glance.cut, faces, view.qualities, view.crops, whole)
        journal.write(Entry(mark.index, mark.time, mark.damaged, *said))
    return ended


def _again(exam: Examination, glance: Glance[Still], entry: Entry) -> list[Track]:
    """The same of a look that is in the journal."""
    if (glance.frame.time, glance.cut) != (entry.time, entry.cut):
        raise SourceChanged(_CHANGED)
    return exam.look(entry.index, entry.time, entry.cut, entry.faces, entry)


def _same(frame: Still | None, mark: Mark) -> Still:
    if frame is None or (frame.index, frame.time) != (mark.index, mark.time):
        raise SourceChanged(_CHANGED)
    return frame


def best_passage(tracks: Sequence[Track]) -> Track:
    """The passage with the best sight; ValueError without any."""
    return max(tracks, key=lambda track: worth(track.best[0]) if track.best else -np.inf)
