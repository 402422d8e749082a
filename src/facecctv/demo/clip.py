"""Demo videos with known faces: the corridor of the demo pictures with people walking in it.

Everybody wears the one face that there is, told apart by place, light and clothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from facecctv.demo import Person, _empty_corridor, _figure, _stand, at_night, compressed
from facecctv.footage.writing import Writer
from facecctv.types import Face, Frame

RATE = Fraction(25)


@dataclass(frozen=True)
class Walker:
    """Somebody who walks straight from one place to another, there from `enters` to `leaves`."""

    name: int
    """Who it is; two walkers of one name are one person who comes back."""
    start: Person
    x: float
    """Column of the face's centre at the end, pixels."""
    face_px: float
    """Height of the face at the end, pixels."""
    enters: float
    """Seconds."""
    leaves: float

    def at(self, time: float) -> Person | None:
        """Where the person is at this time; None before and after."""
        if not self.enters <= time <= self.leaves:
            return None
        share = (time - self.enters) / max(self.leaves - self.enters, 1e-9)
        first = self.start
        return Person(
            x=first.x + share * (self.x - first.x),
            face_px=first.face_px + share * (self.face_px - first.face_px),
            lean=first.lean,
            mirrored=first.mirrored,
            hue=first.hue,
            warmth=first.warmth,
        )


@dataclass(frozen=True, eq=False)
class Shot:
    """One frame of a made video and who is where in it."""

    frame: Frame
    faces: tuple[Face, ...]
    names: tuple[int, ...]
    """Of the walkers whose faces these are."""


DEMO_WALKERS = (
    Walker(1, Person(x=90, face_px=26, hue=90), 560, 30, 0.4, 5.6),
    Walker(2, Person(x=540, face_px=44, mirrored=True, hue=60, warmth=0.06), 120, 70, 1.6, 7.2),
    Walker(1, Person(x=480, face_px=34, hue=90), 300, 40, 7.8, 9.6),
)


def clip(
    size: tuple[int, int],
    walkers: Sequence[Walker],
    times: Sequence[Fraction],
    seed: int = 0,
    noise: float = 2.0,
    quality: int = 75,
    night: bool = False,
    stream: str = "clip",
) -> Iterator[Shot]:
    """A corridor of `size` (width, height) pixels at these times, seconds, with its walkers.

    `noise` is the camera's, in grey levels; `quality` 1..95 that of block compression. Faces that
    somebody nearer hides more than half of are not among the faces. The same arguments give the
    same pixels. Raises MissingExtra without scikit-image.
    """
    rng = np.random.default_rng(seed)
    vanishing = (0.5 * size[0], 0.21 * size[1])
    empty, figure = _empty_corridor(size, vanishing, rng), _figure()
    for index, time in enumerate(times):
        there = [(walker.name, walker.at(float(time))) for walker in walkers]
        people = sorted(
            ((person, name) for name, person in there if person is not None),
            key=lambda item: item[0].face_px,
        )
        canvas = empty.copy()
        faces = [_stand(canvas, figure, person, vanishing) for person, _ in people]
        image = np.clip(canvas + rng.normal(0.0, noise, canvas.shape), 0, 255).astype(np.uint8)
        if night:
            image = at_night(image, rng)
        image = compressed(image, quality)
        shown = [number for number in range(len(faces)) if _visible(number, faces, size)]
        yield Shot(
            Frame(stream, index, time, image),
            tuple(faces[number] for number in shown),
            tuple(people[number][1] for number in shown),
        )


def _visible(number: int, faces: Sequence[Face], size: tuple[int, int]) -> bool:
    x1, y1, x2, y2 = faces[number].box
    if min((x1 + x2) / 2, (y1 + y2) / 2) < 0 or (x1 + x2) / 2 > size[0]:
        return False
    for nearer in faces[number + 1 :]:
        # A body is about five faces wide at the shoulders and hides all below the chin.
        hidden = min(x2, nearer.box[2]) - max(x1, nearer.box[0])
        if hidden > 0.5 * (x2 - x1):
            return False
    return True


def steady(seconds: float, rate: Fraction = RATE) -> list[Fraction]:
    """The times of a video of constant rate."""
    return [index / rate for index in range(round(seconds * rate))]


def write_clip(path: Path, shots: Iterator[Shot], time_base: Fraction = Fraction(1, 12_800)) -> int:
    """Writes the frames of a made video; returns how many. Raises OutputError where it cannot."""
    count = 0
    with Writer(path, time_base, RATE) as writer:
        for shot in shots:
            writer.write(shot.frame)
            count += 1
    return count


def write_demo_clip(path: Path, seed: int = 0) -> int:
    """The demo video: ten seconds of 640 x 360, two people, one of whom comes back."""
    return write_clip(path, clip((640, 360), DEMO_WALKERS, steady(10), seed))
