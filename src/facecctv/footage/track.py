"""Faces followed from frame to frame: which of them are one passage of one person.

After ByteTrack (Zhang et al., "ByteTrack: Multi-object tracking by associating every detection
box", 2022): sure faces are matched first, and the unsure ones then keep alive what is left. Boxes
are grown before they are compared, so that small and fast faces overlap (Yang et al., "Hard to
track objects with irregular motions and similar appearances? Make it easier by buffering the
matching space", 2023). Time is counted in seconds: frames may be looked at as irregularly as need
be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from facecctv.errors import SettingError
from facecctv.footage.kalman import Motion
from facecctv.geometry import iou
from facecctv.metrics.assignment import assign
from facecctv.types import Face, Floats, Track

_NEVER = 10.0
"""Cost of a pair that is out of the question; those that may be are at most 1."""
_LONGEST_STEP = 0.25
"""Seconds that the first look in vain counts for, at most: until then, where nobody looked, nothing
had changed."""
_REACH = 0.75
"""Widths of a face that it may move between two looks."""
_ALIKE = 0.65
"""Least ratio of the heights where an unsure face continues a track: an ear of whoever stands in
front is none."""
_YOUNG = 3
"""Sights from which on a track's velocity is worth something."""


@dataclass(frozen=True)
class TrackOptions:
    """How faces are followed."""

    high: float = 0.5
    """Score from which on a face is sure enough to begin a track; lower ones only continue one."""
    patience: float = 2.0
    """Seconds of looking in vain after which a track has ended."""
    growth: float = 0.5
    """By which share of their sides boxes grow before they are compared."""
    overlap: float = 0.2
    """Intersection over union of grown boxes from which on they may be one face."""

    most_rows: int | None = None
    """Frames that are remembered of a track, at least 3, or a few more; beyond that every second
    one between the first and the last sight is forgotten. None: all."""

    def __post_init__(self) -> None:
        if self.most_rows is not None and self.most_rows < 3:
            raise SettingError("at least 3 frames are remembered of a track")
        if not 0 < self.high < 1 or not 0 < self.overlap < 1:
            raise SettingError("score and overlap of a track lie between 0 and 1")
        if not self.patience >= 0 or not self.growth >= 0:
            raise SettingError("patience and growth of a track are 0 or more")


@dataclass(frozen=True)
class Step:
    """What one look at a frame came to."""

    numbers: tuple[int, ...]
    """Of the track of each face, in the order of the faces; 0 where it belongs to none."""
    ended: tuple[Track, ...]
    """Tracks that nothing will be added to any more."""


@dataclass
class _Live:
    """A track that may go on."""

    number: int
    motion: Motion
    rows: list[tuple[int, Fraction, Floats, float]] = field(default_factory=list)
    """Frame, time, box and score; score 0 where it was looked for in vain."""
    missing: float = 0.0
    """Seconds of looking in vain."""
    sights: int = 0

    def see(self, index: int, time: Fraction, face: Face) -> None:
        self.rows.append((index, time, face.box, max(face.score, 1e-6)))
        self.missing = 0.0
        self.sights += 1

    def miss(self, index: int, time: Fraction, seconds: float) -> None:
        self.rows.append((index, time, self.motion.box, 0.0))
        self.missing += seconds if self.missing else min(seconds, _LONGEST_STEP)

    def thin(self, most: int) -> None:
        """Forgets every second frame before the last sight where there are more than `most`."""
        if len(self.rows) > most:
            last = max(at for at, row in enumerate(self.rows) if row[3] > 0)
            self.rows = [*self.rows[:last:2], *self.rows[last:]]

    def done(self) -> Track:
        """Ends with the last sight; between two sights boxes lie on a straight line."""
        last = max(at for at, row in enumerate(self.rows) if row[3] > 0)
        rows = self.rows[: last + 1]
        times = np.array([float(row[1]) for row in rows])
        boxes, scores = np.array([row[2] for row in rows]), np.array([row[3] for row in rows])
        seen = scores > 0
        return Track(
            number=self.number,
            frames=np.array([row[0] for row in rows], np.int64),
            times=times,
            boxes=between(times[seen], boxes[seen], times),
            scores=scores.astype(np.float32),
            first=rows[0][1],
            last=rows[-1][1],
        )


class Tracker:
    """Follows faces through one video; call it with each frame that was looked at.

    The same calls give the same tracks.
    """

    def __init__(self, options: TrackOptions | None = None) -> None:
        self.options = options or TrackOptions()
        self._live: list[_Live] = []
        self._begun = 0
        self._last: Fraction | None = None

    def __call__(
        self, index: int, time: Fraction, faces: Sequence[Face], *, cut: bool = False
    ) -> Step:
        """One frame later than all before (ValueError); `cut`: it shows another scene."""
        if self._last is not None and time <= self._last:
            raise ValueError(f"frames come in order of time: {time} after {self._last}")
        ended = list(self.end()) if cut else []
        seconds = 0.0 if self._last is None else float(time - self._last)
        self._last = time
        patience = self.options.patience
        # Who was not there at the last look was not there since, even if nobody looked.
        ended += self._forget(lambda live: live.missing > 0 and live.missing + seconds > patience)
        for live in self._live:
            live.motion.predict(seconds)
        numbers = self._follow(index, time, faces)
        for live in self._live:
            if live.number not in numbers:
                live.miss(index, time, seconds)
        for at, face in enumerate(faces):
            if not numbers[at] and face.score >= self.options.high:
                numbers[at] = self._begin(index, time, face)
        if self.options.most_rows is not None:
            for live in self._live:
                live.thin(self.options.most_rows)
        ended += self._forget(lambda live: live.missing > patience)
        return Step(tuple(numbers), tuple(ended))

    def end(self) -> tuple[Track, ...]:
        """Ends every track and returns them."""
        return tuple(self._forget(lambda live: True))

    @property
    def live(self) -> frozenset[int]:
        """Numbers of the tracks that may go on."""
        return frozenset(live.number for live in self._live)

    def expected(self, time: Fraction) -> Floats:
        """(N, 4) where the faces of the tracks that may go on are by then."""
        seconds = 0.0 if self._last is None else float(time - self._last)
        boxes = [live.motion.after(seconds) for live in self._live]
        return np.array(boxes, np.float32).reshape(-1, 4)

    def next_look(self) -> float:
        """Seconds after which someone may have moved too far to be known again; inf with nobody.

        Three quarters of the width of a face at its speed, which is little more than half of how
        far grown boxes may lie apart even without a guess at where the face is by then; and at once
        while a track is too young to tell.
        """
        waits = [np.inf]
        for live in self._live:
            if live.missing:
                continue
            width = float(live.motion.state[2, 0])
            young = live.sights < _YOUNG
            waits.append(0.0 if young else _REACH * width / max(live.motion.speed, 1e-6))
        return float(min(waits))

    def _follow(self, index: int, time: Fraction, faces: Sequence[Face]) -> list[int]:
        numbers = [0] * len(faces)
        high = [at for at, face in enumerate(faces) if face.score >= self.options.high]
        low = [at for at, face in enumerate(faces) if face.score < self.options.high]
        waiting = list(self._live)
        for which, alike in ((high, 0.0), (low, _ALIKE)):
            pairs = _pairs(waiting, [faces[at] for at in which], self.options, alike)
            for live, place in pairs:
                face = faces[which[place]]
                live.motion.correct(face.box, 2.0 - face.score)
                live.see(index, time, face)
                numbers[which[place]] = live.number
            waiting = [live for live in waiting if live.number not in numbers and not live.missing]
        return numbers

    def _begin(self, index: int, time: Fraction, face: Face) -> int:
        self._begun += 1
        live = _Live(self._begun, Motion(face.box))
        live.see(index, time, face)
        self._live.append(live)
        return live.number

    def _forget(self, over: Callable[[_Live], bool]) -> list[Track]:
        gone = [live.done() for live in self._live if over(live)]
        self._live = [live for live in self._live if not over(live)]
        return gone


def _pairs(
    tracks: Sequence[_Live], faces: Sequence[Face], options: TrackOptions, alike: float
) -> list[tuple[_Live, int]]:
    """Tracks and the faces that continue them, as places in `faces`; `alike` is the least ratio of
    their heights.
    """
    if not tracks or not faces:
        return []
    expected = np.array([live.motion.box for live in tracks])
    found = np.array([face.box for face in faces])
    shared = iou(_grown(expected, options.growth), _grown(found, options.growth))
    heights = [boxes[:, 3] - boxes[:, 1] for boxes in (expected, found)]
    ratio = np.minimum.outer(*heights) / np.maximum.outer(*heights)
    costs = np.where((shared >= options.overlap) & (ratio >= alike), 1 - shared, _NEVER)
    pairs = zip(*assign(costs), strict=True)
    return [(tracks[i], int(j)) for i, j in pairs if costs[i, j] < _NEVER]


def _grown(boxes: Floats, share: float) -> Floats:
    grow = (boxes[:, 2:] - boxes[:, :2]) * np.float32(share)
    return np.hstack([boxes[:, :2] - grow, boxes[:, 2:] + grow])


def between(
    known: npt.NDArray[np.float64], boxes: Floats, times: npt.NDArray[np.float64]
) -> Floats:
    """Boxes at any times, on straight lines between (N, 4) boxes at known rising times (N,).

    Before the first and after the last the box stays where it was.
    """
    sides = [np.interp(times, known, boxes[:, side]) for side in range(4)]
    return np.stack(sides, axis=1).astype(np.float32)


def held(track: Track, times: Iterable[float], hold: float) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """The boxes of a track at any times, seconds, and (N,) where there is one.

    A track lasts `hold` seconds longer than it was seen, at both ends: its box stays where it was.
    """
    at = np.fromiter(times, np.float64)
    inside = (at >= float(track.first) - hold) & (at <= float(track.last) + hold)
    seen = track.seen
    return between(track.times[seen], track.boxes[seen], at), inside
