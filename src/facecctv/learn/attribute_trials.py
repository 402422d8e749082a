"""Labelled faces as cameras of any distance see them, and what a network says of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from facecctv.geometry import TEMPLATE, align
from facecctv.learn.data.aligned import BORDER, FACE_HEIGHT, SIDE
from facecctv.learn.data.attributes import LabelledFaces, windows
from facecctv.learn.data.detection import Sample
from facecctv.learn.verification import shrink_face
from facecctv.types import Floats, Image

FULL = 112
"""The name of "as stored": the recognition square of 112 px, whose face is about 108 px high."""
SIZES = (FULL, 64, 48, 32, 24, 16)
"""Heights of the face, pixels; below FULL through `shrink_face`, as verification is measured."""
FAINT = (12, 8, 6)
"""Sizes at which only is asked whether anything can be said at all."""

Progress = Callable[[int, int], None]


class Logits(Protocol):
    """Such as `AttributeEstimator`."""

    def logits(self, crops: Sequence[Image]) -> tuple[Floats, Floats]:
        """Upright crops -> (N, years) and (N,)."""


@dataclass(frozen=True, eq=False)
class Trial:
    """What was said of the faces at one size."""

    px: int
    ages: Floats
    """(N, years) logits."""
    genders: Floats
    """(N,) logits of "female"."""

    @property
    def heights(self) -> Floats:
        """(N,) pixels, as the product would take them."""
        return np.full(len(self.genders), self.px, np.float32)


def small(image: Image, px: int, number: int) -> Image:
    """The (112, 112, 3) upright square of a stored (128, 128, 3) face brought to a height.

    The chain is drawn from the height and the face's number, so the same every time.
    """
    landmarks = (TEMPLATE + np.float32(BORDER))[None]
    top = 0.5 * (SIDE - FACE_HEIGHT)
    box = np.array([[top, top, SIDE - top, SIDE - top]], np.float32)
    sample = Sample("", np.ascontiguousarray(image), box, landmarks, np.zeros(1, bool))
    if px < FULL:
        sample = shrink_face(sample, px, np.random.default_rng((px, number)))
    return align(sample.image, sample.landmarks[0])


def trials(
    network: Logits,
    images: Sequence[Image] | np.ndarray,
    sizes: Sequence[int] = SIZES,
    progress: Progress | None = None,
) -> list[Trial]:
    """What the network says of stored faces at each size."""
    found = []
    for done, px in enumerate(sizes):
        ages, genders = [], []
        for start in range(0, len(images), 64):
            some = range(start, min(start + 64, len(images)))
            parts = network.logits([small(images[n], px, n) for n in some])
            ages.append(parts[0])
            genders.append(parts[1])
            if progress is not None:
                progress(done * len(images) + some.stop, len(sizes) * len(images))
        found.append(Trial(px, np.concatenate(ages), np.concatenate(genders)))
    return found


def oddities(
    faces: LabelledFaces, scenes: Sequence[Image], count: int = 200
) -> Iterator[tuple[str, np.ndarray]]:
    """Kinds of bad input: name -> (N, 128, 128, 3) uint8."""
    step = max(1, len(faces) // count)
    some = faces.images[::step][:count]
    yield "upside down", np.ascontiguousarray(some[:, ::-1])
    grey = np.rint(some @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
    yield "grey", np.repeat(grey[..., None], 3, axis=3)
    if scenes:
        yield "no face", windows(scenes, -(-count // len(scenes)), np.random.default_rng(0))
    noise = np.random.default_rng(0).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)
    yield "noise", noise
    flat = np.linspace(0, 255, count).astype(np.uint8)[:, None, None, None]
    yield "one colour", np.broadcast_to(flat, (count, SIDE, SIDE, 3))
