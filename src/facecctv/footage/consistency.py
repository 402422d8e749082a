"""Whether what was made of a person's sights changes from sight to sight more than they do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from facecctv.geometry import align, similarity
from facecctv.types import Floats, Image, check_image


@dataclass(frozen=True)
class Consistency:
    """Mean CIELAB differences between the sights of one person that follow each other in time.

    Each face is aligned by its five landmarks to the 112 px square of recognition; a difference is
    the Euclidean one of L*, a*, b* (CIE 1976), averaged over the square and over all pairs.
    """

    pairs: int
    recorded: float
    """Of the pictures as recorded, interpolated."""
    made: float
    """Of what was made of them."""

    @property
    def added(self) -> float:
        """What making adds: 0 or less is steady; a flicker of 1 is just noticeable."""
        return self.made - self.recorded


def consistency(
    recorded: Sequence[Image], made: Sequence[Image], landmarks: Sequence[Floats]
) -> Consistency | None:
    """Compares pictures (h, w, 3) uint8 RGB in order of time; None for fewer than two.

    What was made of a picture is a whole number of times as large; `landmarks` (5, 2) are in
    pixels of the recorded one. Raises ValueError for counts or sizes that do not fit.
    """
    if not len(recorded) == len(made) == len(landmarks):
        raise ValueError("as many pictures as recorded ones and landmarks")
    if len(recorded) < 2:
        return None
    scales = [_scale(one, other) for one, other in zip(recorded, made, strict=True)]
    larger = [marks * np.float32(scale) for marks, scale in zip(landmarks, scales, strict=True)]
    return Consistency(len(recorded) - 1, _change(recorded, landmarks), _change(made, larger))


def _scale(recorded: Image, made: Image) -> int:
    scale = int(made.shape[0]) // int(recorded.shape[0])
    if made.shape != (recorded.shape[0] * scale, recorded.shape[1] * scale, 3):
        raise ValueError(f"{made.shape} is no whole multiple of {recorded.shape}")
    return scale


def _change(pictures: Sequence[Image], landmarks: Sequence[Floats]) -> float:
    squares = [
        _lab(align(picture, marks)) for picture, marks in zip(pictures, landmarks, strict=True)
    ]
    steps = [np.linalg.norm(one - other, axis=2).mean() for one, other in pairwise(squares)]
    return float(np.mean(steps))


def carried(coloured: Image, landmarks: Floats, target: Image, places: Floats) -> Image:
    """A picture (h, w, 3) uint8 RGB in the colours of another one of the same face.

    Its lightness stays its own; a* and b* are those of `coloured`, laid upon it by the (5, 2)
    landmarks of both, and beyond its edge those of its edge. So that colours are estimated once
    and do not change from sight to sight.
    """
    rows, columns = check_image(target).shape[:2]
    matrix = np.asarray(similarity(landmarks, places), np.float64)
    # OpenCV counts from pixel centres, everything else here from the picture's corner.
    matrix[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5
    chroma = cv2.warpAffine(
        _lab(check_image(coloured))[..., 1:],
        matrix,
        (columns, rows),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    lab = np.dstack([_lab(target)[..., :1], chroma]).astype(np.float32)
    values = np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), 0, 1)
    return np.asarray(np.rint(values * 255), np.uint8)


def _lab(image: Image) -> Floats:
    """CIELAB of sRGB under D65: L* 0..100."""
    values = image.astype(np.float32) * np.float32(1 / 255)
    return np.asarray(cv2.cvtColor(values, cv2.COLOR_RGB2LAB), np.float32)
