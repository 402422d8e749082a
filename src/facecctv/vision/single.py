"""Finds at most one face a picture: adapter for the two-head networks that users teach themselves.

Such a network sees the whole picture in one small square and says whether there is a face, and
where. It knows no landmarks: the five points are those of an average upright face in the box, so
pose and alignment that build on them are rough; results are marked by `landmarks_from`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from facecctv.errors import ModelError
from facecctv.geometry import TEMPLATE, clip_boxes
from facecctv.image.sizes import letterbox
from facecctv.models.card import Card
from facecctv.models.session import Runner
from facecctv.types import Face, Floats, Image, check_image
from facecctv.vision.detect import DetectOptions

TASK = "single-face-detector"

# Where the box of a detector lies in the square of recognition: fitted to 5,065 labelled faces.
_FACE_IN_TEMPLATE = (17.4, 4.4, 94.6, 122.3)
BATCH = 32


class SingleFaceDetector:
    """Finds the one face of a picture, if there is one; call it with a picture.

    Of the options, threshold and least height count; tiles and enlargement mean nothing here.
    Raises ModelError when the card lacks the size of the network's input.
    """

    def __init__(self, session: Runner, options: DetectOptions | None = None) -> None:
        self._session = session
        self._options = options or DetectOptions()

    @property
    def card(self) -> Card:
        """The model's own account of itself."""
        return self._session.card

    @property
    def threshold(self) -> float:
        """The least score that counts."""
        given = self._options.threshold
        return self._session.card.threshold() if given is None else given

    def __call__(self, image: Image) -> list[Face]:
        """The face in an (H, W, 3) uint8 RGB picture in a list; an empty list when none."""
        return self.batch([image])[0]

    def batch(self, images: Sequence[Image]) -> list[list[Face]]:
        """The faces of several pictures of any sizes."""
        results: list[list[Face]] = []
        for start in range(0, len(images), BATCH):
            results += self._some(images[start : start + BATCH])
        return results

    def _some(self, images: Sequence[Image]) -> list[list[Face]]:
        height, width = input_size(self.card)
        boxed = [letterbox(check_image(image), width, height) for image in images]
        scores, boxes = self._session.run(network_input([b[0] for b in boxed], self.card))
        results = []
        for image, (_, scale, dx, dy), score, box in zip(images, boxed, scores, boxes, strict=True):
            sides, shift = (width, height, width, height), (dx, dy, dx, dy)
            place = np.asarray(box, np.float32) * np.array(sides, np.float32)
            place = (place - np.array(shift, np.float32)) / np.float32(scale)
            results.append(self._faces(image, place, float(score[0])))
        return results

    def _faces(self, image: Image, box: Floats, score: float) -> list[Face]:
        rows, columns = image.shape[:2]
        clipped = clip_boxes(box[None], columns, rows)[0]
        sides = clipped[2:] - clipped[:2]
        if score < self.threshold or sides.min() <= 0 or sides[1] < self._options.min_face:
            return []
        return [Face(clipped, average_landmarks(clipped), min(max(score, 0.0), 1.0))]


def input_size(card: Card) -> tuple[int, int]:
    """(height, width) that the network takes; ModelError where the card does not say."""
    if card.input.size is None:
        raise ModelError(f"the card of {card.name} names no input size")
    return card.input.size


def network_input(images: Sequence[Image], card: Card) -> Floats:
    """Pictures (H, W, 3) uint8 RGB of the network's size -> the batch that its card asks for.

    Raises ModelError for inputs that are not three colours in float32.
    """
    wanted = card.input
    if wanted.colour not in ("RGB", "BGR") or wanted.dtype != "float32":
        raise ModelError(f"{card.name} takes {wanted.colour} in {wanted.dtype}, not colour floats")
    pixels = np.stack(images).astype(np.float32)
    if wanted.colour == "BGR":
        pixels = pixels[..., ::-1]
    low, high = wanted.value_range
    pixels = pixels * np.float32((high - low) / 255) + np.float32(low)
    mean, std = np.array(wanted.mean, np.float32), np.array(wanted.std, np.float32)
    pixels = np.asarray((pixels - mean) / std, np.float32)
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2) if wanted.layout == "NCHW" else pixels)


def landmarks_from(card: Card) -> Literal["average"] | None:
    """Says "average" for a model without landmarks of its own, where an average face's stand in."""
    return "average" if card.task == TASK else None


def average_landmarks(box: Floats) -> Floats:
    """(4,) box -> (5, 2) where the points of an average upright face lie in it."""
    x1, y1, x2, y2 = _FACE_IN_TEMPLATE
    shares = (TEMPLATE - (x1, y1)) / (x2 - x1, y2 - y1)
    points: Floats = (box[:2] + shares * (box[2:] - box[:2])).astype(np.float32)
    return points
