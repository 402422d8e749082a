"""Pictures of one face or none, as the two-head network sees them.

A picture is letterboxed into a square; of several faces the largest counts. Boxes are shares of the
square's side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from facecctv.errors import InputError, SettingError
from facecctv.image.sizes import PADDING, letterbox
from facecctv.learn.data.dataset import Labelled, Pictures
from facecctv.types import Floats, Image

SPARE = 1.25
"""Pictures are kept so much larger than the network's input, for augmentation to zoom into."""
VISIBLE = 0.85
"""Share of a face that has to stay inside an augmented picture."""
TRIES = 8


@dataclass(frozen=True, eq=False)
class SingleFaces:
    """Decoded pictures with their one box."""

    pictures: np.ndarray
    """(N, S, S, 3) uint8 RGB."""
    boxes: Floats
    """(N, 4) float32 x1 y1 x2 y2, shares of the side; zeros where there is no face."""
    names: tuple[str, ...]

    @property
    def faces(self) -> np.ndarray:
        """(N,) bool: there is a face."""
        return (self.boxes[:, 2] > self.boxes[:, 0]) & (self.boxes[:, 3] > self.boxes[:, 1])

    def __len__(self) -> int:
        return len(self.names)


def usable(items: Sequence[Labelled]) -> list[Labelled]:
    """Those that say where their one face is, or that there is none; InputError if none does."""
    kept = [item for item in items if item.located and not (item.ignore.all() and len(item.boxes))]
    if not kept:
        raise InputError("no picture says where its face is: draw boxes first (data annotate)")
    return kept


def load_single(items: Sequence[Labelled], size: int, pictures: Pictures) -> SingleFaces:
    """Decodes and letterboxes pictures. Raises ImageError for one that cannot be read."""
    images = np.empty((len(items), size, size, 3), np.uint8)
    boxes = np.zeros((len(items), 4), np.float32)
    for number, item in enumerate(items):
        images[number], scale, dx, dy = letterbox(pictures.image(item.path), size, size)
        box = largest(item)
        if box is not None:
            moved = box * scale + np.array([dx, dy, dx, dy], np.float32)
            boxes[number] = np.clip(moved / size, 0, 1)
    return SingleFaces(images, boxes, tuple(item.path.name for item in items))


def largest(item: Labelled) -> Floats | None:
    """(4,) box of the largest face, pixels of the picture; None where there is none."""
    boxes = item.boxes[~item.ignore]
    if not len(boxes):
        return None
    return boxes[int(np.argmax((boxes[:, 2:] - boxes[:, :2]).prod(axis=1)))]


@dataclass(frozen=True)
class SingleSource:
    """Batches for training: shuffled each epoch, augmented on the fly."""

    data: SingleFaces
    size: int
    batch_size: int
    seed: int
    augment: bool = True

    def __post_init__(self) -> None:
        if len(self.data) < self.batch_size:
            raise SettingError(
                f"{len(self.data)} training pictures are fewer than a batch of {self.batch_size}: "
                f"take a smaller batch"
            )

    @property
    def steps(self) -> int:
        """Batches of an epoch; what does not fill one waits for another epoch's order."""
        return len(self.data) // self.batch_size

    def batch(self, epoch: int, number: int) -> tuple[Any, Any]:
        """(B, S, S, 3) float32 0..255 and {"face": (B, 1), "box": (B, 4)}."""
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.data))
        chosen = order[number * self.batch_size : (number + 1) * self.batch_size]
        pairs = [
            jiggle(
                self.data.pictures[i],
                self.data.boxes[i],
                self.size,
                np.random.default_rng((self.seed, epoch, int(i))) if self.augment else None,
            )
            for i in chosen
        ]
        return targets(np.stack([p for p, _ in pairs]), np.stack([b for _, b in pairs]))


def targets(pictures: np.ndarray, boxes: Floats) -> tuple[Any, Any]:
    """As Keras takes them."""
    face = (boxes[:, 2:] > boxes[:, :2]).all(axis=1, keepdims=True).astype(np.float32)
    return pictures.astype(np.float32), {"face": face, "box": boxes}


@dataclass(frozen=True)
class PlainSource:
    """All pictures once, in order, as they are: for validation."""

    data: SingleFaces
    size: int
    batch_size: int = 32

    @property
    def steps(self) -> int:
        """Batches in all; the last may be smaller."""
        return -(-len(self.data) // self.batch_size)

    def batch(self, epoch: int, number: int) -> tuple[Any, Any]:
        """As SingleSource.batch."""
        here = slice(number * self.batch_size, (number + 1) * self.batch_size)
        return targets(resized(self.data.pictures[here], self.size), self.data.boxes[here])


def resized(pictures: np.ndarray, size: int) -> np.ndarray:
    """(N, S, S, 3) -> (N, size, size, 3) by area averaging."""
    if pictures.shape[1] == size:
        return pictures
    return np.stack([cv2.resize(p, (size, size), interpolation=cv2.INTER_AREA) for p in pictures])


def jiggle(
    picture: Image, box: Floats, size: int, rng: np.random.Generator | None
) -> tuple[Image, Floats]:
    """Another view of a square picture and its box: zoomed, moved, mirrored, in other light.

    (S, S, 3), (4,) shares -> (size, size, 3), (4,) shares. Without a generator only resized.
    """
    if rng is None:
        return resized(picture[None], size)[0], box
    zoom, dx, dy, moved = _view(box, rng)
    step = zoom * size / picture.shape[0]
    # Pixel centres: OpenCV counts them from 0, shares count edges.
    right, down = np.array([dx, dy]) * size + step / 2 - 0.5
    matrix = np.array([[step, 0, right], [0, step, down]])
    view = cv2.warpAffine(
        picture, matrix, (size, size), flags=cv2.INTER_LINEAR, borderValue=(PADDING,) * 3
    )
    if rng.random() < 0.5:
        view = view[:, ::-1]
        moved = np.array([1 - moved[2], moved[1], 1 - moved[0], moved[3]], np.float32)
    if box[2] <= box[0]:
        moved = np.zeros(4, np.float32)
    return relight(view, rng), moved


def _view(box: Floats, rng: np.random.Generator) -> tuple[float, float, float, Floats]:
    """Zoom and shift that keep enough of the face inside, and the box under them."""
    for _ in range(TRIES):
        zoom = float(np.exp(rng.uniform(np.log(0.65), np.log(1.5))))
        # The picture covers the view where it can, with a little beyond its edges.
        low, high = sorted((0.0, 1 - zoom))
        dx, dy = rng.uniform(low - 0.1, high + 0.1, 2)
        moved = box * zoom + np.array([dx, dy, dx, dy], np.float32)
        inside = np.clip(moved, 0, 1)
        area = np.prod(moved[2:] - moved[:2])
        if area <= 0 or np.prod(inside[2:] - inside[:2]) >= VISIBLE * area:
            return zoom, float(dx), float(dy), inside.astype(np.float32)
    return 1.0, 0.0, 0.0, box


def relight(view: Image, rng: np.random.Generator) -> Image:
    """The picture in other light: gamma, contrast, brightness, tint, sometimes grey or soft."""
    x = np.arange(256, dtype=np.float32) / 255
    contrast, light = np.exp(rng.uniform(-0.35, 0.35)), rng.uniform(-0.15, 0.15)
    tints = np.exp(rng.uniform(-0.08, 0.08, 3))
    gamma = np.exp(rng.uniform(-0.3, 0.3))
    curve = (x**gamma - 0.5) * contrast + 0.5 + light
    table = np.clip(curve[:, None] * tints * 255, 0, 255).astype(np.uint8)
    view = cv2.LUT(np.ascontiguousarray(view), table[None])
    if rng.random() < 0.2:
        view = np.repeat(cv2.cvtColor(view, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    if rng.random() < 0.2:
        view = cv2.GaussianBlur(view, (0, 0), rng.uniform(0.3, 1.2))
    return np.asarray(view, np.uint8)
