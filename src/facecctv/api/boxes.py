"""Boxes drawn by hand: faces where the detector saw none."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from facecctv.api.problems import Problem
from facecctv.geometry import crop, iou
from facecctv.pipeline import Detect
from facecctv.types import Face, Floats, Image
from facecctv.vision.detect import DetectOptions
from facecctv.vision.single import average_landmarks

SURROUNDINGS = 0.75
"""Looked at around a box on each side, as a share of its own sides."""
FAINT = DetectOptions(threshold=0.1)
"""Where somebody says that there is a face, a faint answer counts."""
SAME_FACE = 0.3
"""Overlap from which a found face is taken for the drawn one."""
AREA = 4
"""All boxes together, in pictures: each is looked at by itself."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """What stands for a box drawn by hand."""

    face: Face
    seen: bool
    """The detector sees it too, looking closely; else the landmarks are those of an average face,
    and the score is 0."""


def checked(given: object, width: int, height: int, most: int) -> list[Floats]:
    """Boxes as they came from a client -> (4,) float32 each, pixels of a picture of this size.

    Raises Problem 422 unless it is a list of at most `most` boxes of four finite numbers, x_min,
    y_min, x_max, y_max, which lie inside the picture, are at least a pixel wide and high, and
    together cover no more than four pictures.
    """
    if not isinstance(given, list):
        raise Problem(422, "boxes: a list of boxes of four numbers, x_min, y_min, x_max, y_max")
    if len(given) > most:
        raise Problem(422, f"boxes: {most} at most")
    boxes = [_box(number, box, width, height) for number, box in enumerate(given)]
    area = sum(float((box[2] - box[0]) * (box[3] - box[1])) for box in boxes)
    if area > AREA * width * height:
        raise Problem(422, f"boxes: together at most {AREA} times the picture")
    return boxes


def _box(number: int, given: object, width: int, height: int) -> Floats:
    if not isinstance(given, list) or len(given) != 4 or not all(map(_is_finite, given)):
        raise Problem(422, f"boxes: number {number} is not four finite numbers")
    x_min, y_min, x_max, y_max = given
    box = np.array(given, np.float32)
    # Far out, in pictures of very many columns, single precision may leave nothing of a pixel.
    if x_max - x_min < 1 or y_max - y_min < 1 or (box[2:] <= box[:2]).any():
        raise Problem(422, f"boxes: number {number} is not a pixel wide and high")
    if x_min < 0 or y_min < 0 or x_max > width or y_max > height:
        raise Problem(422, f"boxes: number {number} reaches beyond the picture")
    return box


def _is_finite(value: object) -> bool:
    # An integer beyond every float is no place in a picture either; bool is an int to Python.
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < 1e9 and math.isfinite(value)


def look(
    image: Image, boxes: list[Floats], detect: Detect, step: Callable[[], None]
) -> list[Drawn]:
    """The face in each box of an (H, W, 3) uint8 RGB picture, in their order.

    The detector looks at each box and its surroundings alone, where small faces are enlarged, and
    what it finds takes the place of the box. `step` is called before each look.
    """
    drawn = []
    for box in boxes:
        step()
        drawn.append(_closely(image, box, detect))
    return drawn


def _closely(image: Image, box: Floats, detect: Detect) -> Drawn:
    unseen = Face(box, average_landmarks(box), 0.0)
    around = crop(image, unseen, SURROUNDINGS)
    corner = np.array([around.x, around.y], np.float32)
    faces = [
        Face(face.box + np.tile(corner, 2), face.landmarks + corner, face.score)
        for face in detect(around.image)
    ]
    if not faces:
        return Drawn(unseen, seen=False)
    overlaps = iou(box[None], np.stack([face.box for face in faces]))[0]
    best = int(overlaps.argmax())
    seen = bool(overlaps[best] >= SAME_FACE)
    return Drawn(faces[best] if seen else unseen, seen)
