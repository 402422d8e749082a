"""Face pictures of known people, cut out as a recogniser sees them, in pairs and batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from facecctv.errors import InputError, SettingError
from facecctv.geometry import align, expand_box, warp
from facecctv.image.sizes import letterbox
from facecctv.learn.data.dataset import Labelled, Pictures
from facecctv.learn.data.pairs import People as Groups
from facecctv.learn.data.single import largest, relight
from facecctv.types import Floats, Image
from facecctv.vision.compare import Crop

BOX_MARGIN = 0.15
"""Around a face's box, on every side, where faces are cut out by box."""


@dataclass(frozen=True, eq=False)
class People:
    """Decoded, cut-out faces with the number of the person on each."""

    pictures: np.ndarray
    """(N, S, S, 3) uint8 RGB."""
    persons: np.ndarray
    """(N,) int."""
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def count(self) -> int:
        """People."""
        return len(np.unique(self.persons))


def known(items: Sequence[Labelled]) -> list[Labelled]:
    """Those that say who it is. Raises InputError unless two people are among them, one twice."""
    kept = [item for item in items if item.identity is not None]
    if not kept:
        raise InputError("no picture says who it is: one folder per person, or a column `identity`")
    Groups([item.identity for item in kept])
    return kept


def choose_crop(items: Sequence[Labelled]) -> Crop:
    """The best cut that the labels of all pictures allow."""
    if all(len(i.boxes) and np.isfinite(i.landmarks).all(axis=(1, 2)).any() for i in items):
        return "aligned"
    return "box" if all(len(i.boxes) for i in items) else "whole"


def cut_face(image: Image, item: Labelled, crop: Crop, size: int) -> Image:
    """The face as (size, size, 3), by the labels of its picture."""
    box = largest(item)
    if crop == "whole" or box is None:
        return letterbox(image, size, size)[0]
    if crop == "aligned":
        which = int(np.argmin(np.abs(item.boxes - box).sum(axis=1)))
        return align(image, item.landmarks[which], size)
    return cut_box(image, box, size)


def cut_box(image: Image, box: Floats, size: int) -> Image:
    """The square around a (4,) box with BOX_MARGIN, as (size, size, 3); edges repeat outside."""
    wide = expand_box(box, BOX_MARGIN)
    side = float((wide[2:] - wide[:2]).max())
    corner = (wide[:2] + wide[2:]) / 2 - side / 2
    scale = size / side
    matrix = np.array([[scale, 0, -corner[0] * scale], [0, scale, -corner[1] * scale]])
    return warp(image, matrix, size, size)


def load_people(items: Sequence[Labelled], size: int, crop: Crop, pictures: Pictures) -> People:
    """Decodes and cuts out. Raises ImageError for a picture that cannot be read."""
    numbers = {name: n for n, name in enumerate(dict.fromkeys(str(i.identity) for i in items))}
    faces = [cut_face(pictures.image(item.path), item, crop, size) for item in items]
    return People(
        np.stack(faces),
        np.array([numbers[str(item.identity)] for item in items]),
        tuple(item.path.name for item in items),
    )


def draw_pairs(
    persons: np.ndarray, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(N,) who is on each picture -> (count, 2) picture numbers, (count,) bool the same person.

    Same and different alternate. People are drawn, then their pictures, so that those with many
    pictures do not prevail; no picture is paired with itself.
    """
    pairs = np.empty((count, 2), np.intp)
    same = np.arange(count) % 2 == 0
    groups = Groups([str(person) for person in persons])
    for number in range(count):
        pairs[number] = groups.two_of_one(rng) if same[number] else groups.two_people(rng)
    return pairs, same


@dataclass(frozen=True)
class PairSource:
    """Batches of balanced pairs, drawn anew in every epoch."""

    data: People
    batch_size: int
    samples: int
    """Pairs of an epoch."""
    seed: int
    augment: bool = True

    def __post_init__(self) -> None:
        if len(self.data) < self.batch_size:
            raise SettingError(_too_few(len(self.data), self.batch_size))

    @property
    def steps(self) -> int:
        """Batches of an epoch."""
        return max(1, self.samples // self.batch_size)

    def batch(self, epoch: int, number: int) -> tuple[Any, Any]:
        """([(B, S, S, 3), (B, S, S, 3)] float32 0..255, (B, 1) 1 for the same person)."""
        rng = np.random.default_rng((self.seed, epoch, number))
        pairs, same = draw_pairs(self.data.persons, self.batch_size, rng)
        sides = [views(self.data.pictures[side], rng if self.augment else None) for side in pairs.T]
        return sides, same.astype(np.float32)[:, None]


@dataclass(frozen=True)
class PersonSource:
    """Batches of several pictures of several people, in which triplets are mined."""

    data: People
    people: int
    """Of a batch."""
    each: int
    """Pictures of a person in a batch, at most."""
    samples: int
    """Pictures of an epoch."""
    seed: int
    augment: bool = True

    def __post_init__(self) -> None:
        if self.data.count < 2 or len(self.data) < self.people:
            raise SettingError(_too_few(len(self.data), self.people))

    @property
    def steps(self) -> int:
        """Batches of an epoch."""
        return max(1, self.samples // (self.people * self.each))

    def batch(self, epoch: int, number: int) -> tuple[Any, Any]:
        """((B, S, S, 3) float32 0..255, (B, 1) number of the person)."""
        rng = np.random.default_rng((self.seed, epoch, number))
        everyone = np.unique(self.data.persons)
        chosen = rng.choice(everyone, min(self.people, len(everyone)), replace=False)
        index = []
        for person in chosen:
            members = np.flatnonzero(self.data.persons == person)
            index += rng.choice(members, min(self.each, len(members)), replace=False).tolist()
        pictures = views(self.data.pictures[index], rng if self.augment else None)
        return pictures, self.data.persons[index].astype(np.float32)[:, None]


def views(pictures: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
    """(B, S, S, 3) uint8 -> float32: mirrored, moved a little, in other light; or as they are."""
    if rng is None:
        return pictures.astype(np.float32)
    return np.stack([_view(picture, rng) for picture in pictures]).astype(np.float32)


def _view(picture: Image, rng: np.random.Generator) -> Image:
    size = picture.shape[0]
    zoom, angle = np.exp(rng.uniform(-0.1, 0.1)), rng.uniform(-8, 8)
    matrix = cv2.getRotationMatrix2D(((size - 1) / 2, (size - 1) / 2), angle, zoom)
    matrix[:, 2] += rng.uniform(-0.05, 0.05, 2) * size
    view = cv2.warpAffine(picture, matrix, (size, size), borderMode=cv2.BORDER_REPLICATE)
    return relight(view[:, ::-1] if rng.random() < 0.5 else view, rng)


def _too_few(there: int, wanted: int) -> str:
    return f"{there} training pictures are fewer than a batch of {wanted}: take a smaller batch"
