"""Faces covered, over whole passages: in pictures, and in videos without a frame left out.

Solid covers are the default because nothing can be got back from them; blur and mosaic leave
something of a face, and programs that guess what was there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from facecctv.errors import SettingError
from facecctv.footage.attention import AttentionOptions, F, attend
from facecctv.footage.decoding import Still, pixelled
from facecctv.footage.people import BestSights, worth
from facecctv.footage.track import Tracker, TrackOptions, held
from facecctv.footage.video import Video
from facecctv.footage.writing import Target, Writer
from facecctv.geometry import clip_boxes, crop, iou
from facecctv.types import (
    Face,
    Floats,
    Frame,
    Image,
    Quality,
    Sighting,
    Track,
    check_image,
)

Style = Literal["solid", "blur", "mosaic"]

Detect = Callable[[Image], Sequence[Face]]
Assess = Callable[[Image, Face], Quality]
Tell = Callable[[Frame | Still], None]
"""Is told of each frame that is done with."""

_BEGIN = 0.3
"""Score from which a face is covered: one too many is covered rather than one too few."""
_BLUR = 0.35
"""Standard deviation of the blur, in widths of the cover."""
_CELLS = 5
"""Of a mosaic, across a cover."""
SAME = 0.3
"""Mean intersection over union of two passages of one person."""


@dataclass(frozen=True)
class RedactOptions:
    """How faces are covered."""

    style: Style = "solid"
    margin: float = 0.25
    """Around each face, as a share of its sides."""
    hold: float = 0.5
    """Seconds that a cover stays before a face is first found and after it is last found."""

    def __post_init__(self) -> None:
        if self.style not in ("solid", "blur", "mosaic"):
            raise SettingError(f"faces are covered solid, by blur or mosaic, not {self.style!r}")
        if not 0 <= self.margin <= 2 or not 0 <= self.hold <= 60:
            raise SettingError("margin lies in 0..2 and hold in 0..60 seconds")


@dataclass(frozen=True)
class Review:
    """Frames that somebody should look at."""

    first: int
    """Index of the first frame."""
    last: int
    start: Fraction
    """Time of the first frame, seconds."""
    end: Fraction
    why: Literal["filled", "unsure", "found after"]
    """`filled`: covered where no face was found, between or beside frames in which one was.
    `unsure`: the face was found with a low score. `found after`: found in the finished video."""


@dataclass(frozen=True)
class Redaction:
    """What became of a video."""

    frames: int
    covered_frames: int
    """In which somebody is covered."""
    covers: int
    """Faces covered, counted in each frame."""
    filled: int
    """Of these, where no face was found in that frame."""
    found_after: int
    """Faces that the detector finds in frames of the finished video and that should be covered."""
    checked: int
    """Frames of the finished video that were looked at again."""
    review: tuple[Review, ...]
    spared: int = 0
    """Passages, or faces of a picture, of people who stay to be seen."""

    @property
    def coverage(self) -> float:
        """Share of faces known, before or after, that are covered: 0..1; 1 with nobody there."""
        known = self.covers + self.found_after
        return self.covers / known if known else 1.0


def cover(image: Image, boxes: npt.ArrayLike, options: RedactOptions | None = None) -> Image:
    """A copy of a picture (H, W, 3) uint8 RGB with (N, 4) boxes and their margin covered."""
    how = options or RedactOptions()
    result = check_image(image).copy()
    height, width = image.shape[:2]
    for box in _grown(np.asarray(boxes, np.float32).reshape(-1, 4), how.margin):
        x1, y1, x2, y2 = _whole(clip_boxes(box[None], width, height)[0])
        if x2 > x1 and y2 > y1:
            part = result[y1:y2, x1:x2]
            part[:] = _hidden(part, how.style)
    return result


def _grown(boxes: Floats, margin: float) -> Floats:
    grow = (boxes[:, 2:] - boxes[:, :2]) * np.float32(margin)
    return np.hstack([boxes[:, :2] - grow, boxes[:, 2:] + grow])


def _whole(box: Floats) -> tuple[int, int, int, int]:
    x1, y1 = np.floor(box[:2]).astype(int).tolist()
    x2, y2 = np.ceil(box[2:]).astype(int).tolist()
    return x1, y1, x2, y2


def _hidden(part: Image, style: Style) -> Image:
    rows, columns = part.shape[:2]
    if style == "solid":
        return np.zeros_like(part)
    if style == "blur":
        blurred = cv2.GaussianBlur(part, (0, 0), max(1.0, _BLUR * columns))
        return np.asarray(blurred, np.uint8)
    down = max(1, round(_CELLS * rows / columns))
    cells = cv2.resize(part, (min(_CELLS, columns), min(down, rows)), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(cells, (columns, rows), interpolation=cv2.INTER_NEAREST), np.uint8)


def passages(
    frames: Iterable[F],
    detect: Detect,
    begin: float = _BEGIN,
    tell: Tell | None = None,
    *,
    assess: Assess | None = None,
    sights: int = 5,
) -> list[Track]:
    """Every passage of a face through a video, looked for in each frame that differs from the last.

    `detect` should report unsure faces too: those below `begin` keep a passage going. With `assess`
    each passage has its best `sights`, with crops; without, none.
    """
    best = BestSights(sights)
    tracker: Tracker = Tracker(TrackOptions(high=begin))
    tracks: list[Track] = []
    faces: Sequence[Face] = ()
    same: Frame | Still | None = None
    for glance in attend(frames, AttentionOptions(max_latency=0)):
        if glance.look:
            if same is not None:
                # Nothing changed up to there, so whoever was there at the last look still was.
                tracks += tracker(same.index, same.time, faces).ended
            frame = pixelled(glance.frame)
            faces = detect(frame.image)
            step = tracker(frame.index, frame.time, faces, cut=glance.cut)
            tracks += step.ended
            if assess is not None:
                _keep_best(best, frame, zip(step.numbers, faces, strict=True), assess)
        same = None if glance.look else glance.frame
        if tell is not None:
            tell(glance.frame)
    whole = sorted([*tracks, *tracker.end()], key=lambda track: track.number)
    return [replace(track, best=best.take(track.number)) for track in whole]


def _keep_best(
    best: BestSights, frame: Frame, found: Iterable[tuple[int, Face]], assess: Assess
) -> None:
    for number, face in found:
        if number:
            sight = Sighting(frame.index, frame.time, face, assess(frame.image, face))
            if best.wants(number, worth(sight)):
                best.add(number, replace(sight, crop=crop(frame.image, face)))


def same_passage(track: Track, times: npt.NDArray[np.float64], boxes: Floats) -> bool:
    """Whether boxes (N, 4) at times (N,), seconds, of an earlier result are this passage."""
    found, inside = held(track, times, 0.0)
    if not inside.any():
        return False
    shared = np.diagonal(iou(found[inside], np.asarray(boxes, np.float32)[inside]))
    return bool(shared.mean() >= SAME)


def redact(
    video: Video,
    out: Target,
    tracks: Sequence[Track],
    options: RedactOptions | None = None,
    *,
    sound: bool = True,
    sure: float = 0.5,
    tell: Tell | None = None,
) -> Redaction:
    """Writes the video again with these passages covered; nothing is known yet of `found_after`.

    `sound`: goes over as it is. Faces with a score below `sure` are for review.
    Raises OutputError and VideoError as `Writer` does; nothing is left then.
    """
    how = options or RedactOptions()
    facts = video.facts
    count = covered = covers = filled = 0
    notes: list[tuple[int, Fraction, Literal["filled", "unsure"]]] = []
    heard = video.source if sound and facts.audio else None
    with Writer(out, facts.time_base, facts.rate, heard, facts.start) as writer:
        for frame in video.frames():
            boxes, scores = _there(tracks, frame, how.hold)
            writer.write(
                Frame(frame.stream, frame.index, frame.time, cover(frame.image, boxes, how))
            )
            count += 1
            covered += len(boxes) > 0
            covers += len(boxes)
            filled += int((scores == 0).sum())
            if (scores == 0).any():
                notes.append((frame.index, frame.time, "filled"))
            if ((scores > 0) & (scores < sure)).any():
                notes.append((frame.index, frame.time, "unsure"))
            if tell is not None:
                tell(frame)
    return Redaction(count, covered, covers, filled, 0, 0, _ranges(notes))


def _there(
    tracks: Sequence[Track], frame: Frame, hold: float
) -> tuple[Floats, npt.NDArray[np.float32]]:
    """Boxes to cover in a frame, and their scores; score 0 where no face was found."""
    boxes, scores = [], []
    for track in tracks:
        found, inside = held(track, [float(frame.time)], hold)
        if inside[0]:
            boxes.append(found[0])
            scores.append(_score(track, frame.index))
    return np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32)


def _score(track: Track, index: int) -> float:
    """Of a frame that nobody looked at, as nothing had changed, the lower of its neighbours'."""
    if not track.frames[0] <= index <= track.frames[-1]:
        return 0.0
    at = int(np.searchsorted(track.frames, index))
    if track.frames[at] == index:
        return float(track.scores[at])
    return float(min(track.scores[at - 1], track.scores[at]))


def checked(
    finished: Video,
    done: Redaction,
    detect: Detect,
    kept: Sequence[Track] = (),
    every: float = 0.2,
    tell: Tell | None = None,
) -> Redaction:
    """The same result with what the detector finds when it looks at the finished video.

    At most `every` seconds lie between two frames that are looked at; 0 is every frame. Faces of
    passages that were `kept` uncovered do not count.
    """
    found = looked = 0
    notes: list[tuple[int, Fraction, Literal["found after"]]] = []
    last: Fraction | None = None
    for frame in finished.frames():
        if last is None or frame.time - last >= Fraction(every):
            last = frame.time
            looked += 1
            left = _uncovered(frame, detect(frame.image), kept)
            found += left
            if left:
                notes.append((frame.index, frame.time, "found after"))
        if tell is not None:
            tell(frame)
    review = (*done.review, *_ranges(notes))
    return replace(done, found_after=found, checked=looked, review=review)


def _uncovered(frame: Frame, faces: Sequence[Face], kept: Sequence[Track]) -> int:
    if not faces:
        return 0
    known, _ = _there(kept, frame, 0.5)
    shared = iou(np.array([face.box for face in faces]), known)
    return int((shared.max(axis=1, initial=0) < SAME).sum())


def _ranges(
    notes: Iterable[tuple[int, Fraction, Literal["filled", "unsure", "found after"]]],
) -> tuple[Review, ...]:
    """Neighbouring frames of one reason as one range, in order of time."""
    open_: dict[str, Review] = {}
    closed: list[Review] = []
    for index, time, why in notes:
        before = open_.get(why)
        if before is not None and index - before.last <= _NEAR:
            open_[why] = Review(before.first, index, before.start, time, why)
            continue
        if before is not None:
            closed.append(before)
        open_[why] = Review(index, index, time, time, why)
    return tuple(sorted([*closed, *open_.values()], key=lambda one: (one.first, one.why)))


_NEAR = 5
"""Frames between two that are for review that are gone through on the way."""
