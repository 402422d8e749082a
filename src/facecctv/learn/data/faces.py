"""Pictures of single faces for recognisers: upright where landmarks are known, else cut out."""

from __future__ import annotations

import numpy as np

from facecctv.geometry import alignment, expand_box, warp
from facecctv.image import letterbox
from facecctv.learn.data.dataset import Labelled, Pictures
from facecctv.types import Image


def face_picture(pictures: Pictures, item: Labelled, side: int = 112, margin: float = 0.1) -> Image:
    """(side, side, 3) uint8 RGB: the largest face of a picture. Raises ImageError.

    With five landmarks, aligned as recognition wants it; with a box, that box and `margin` around
    it, squeezed to a square the longer way; without either, the whole picture.
    """
    image = pictures.image(item.path)
    if not len(item.boxes):
        return letterbox(image, side, side)[0]
    sides = item.boxes[:, 2:] - item.boxes[:, :2]
    largest = int(np.argmax(sides.prod(axis=1)))
    if np.isfinite(item.landmarks[largest]).all():
        return warp(image, alignment(item.landmarks[largest], side), side, side)
    box = expand_box(item.boxes[largest], margin)
    reach = float(max(box[2] - box[0], box[3] - box[1]))
    corner = (box[:2] + box[2:]) / 2 - reach / 2
    scale = side / reach
    matrix = np.array([[scale, 0, -scale * corner[0]], [0, scale, -scale * corner[1]]])
    return warp(image, matrix, side, side)
