"""A frame searched where it has to be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np

from facecctv.footage.attention import Cells, Glance
from facecctv.footage.decoding import Still
from facecctv.types import Face, Floats, Frame, Image

Detect = Callable[[Image], Sequence[Face]]
"""(H, W, 3) uint8 RGB -> the faces in it."""
_EVERYWHERE = np.ones((1, 1), np.bool_)
F = TypeVar("F", Frame, Still)


@runtime_checkable
class Partly(Protocol):
    """A detector that can also search parts of a picture."""

    def within(self, image: Image, changed: Cells | None, near: Floats) -> Sequence[Face]:
        """As `vision.detect.Detector.within`."""


def searched(detect: Detect, glance: Glance[F], image: Image, near: Floats) -> tuple[Face, ...]:
    """The faces in the upright picture (H, W, 3) uint8 RGB of a frame that is looked at.

    `near` are boxes (N, 4) where faces that are followed are expected.
    """
    if not isinstance(detect, Partly):
        return tuple(detect(image))
    changed = _EVERYWHERE if glance.where is None else None
    if glance.where is not None and glance.where.any():
        turned = glance.frame.turned if isinstance(glance.frame, Still) else 0
        changed = np.rot90(glance.where, turned // 90)
    return tuple(detect.within(image, changed, near))
