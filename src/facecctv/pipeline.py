"""The one pipeline: picture in, portraits out. Stages are functions and are handed in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from facecctv.geometry import crop
from facecctv.types import Face, Image, Portrait, Quality, check_image

Detect = Callable[[Image], Sequence[Face]]
Assess = Callable[[Image, Face], Quality]


@dataclass(frozen=True)
class Pipeline:
    """What is done to a picture, in this order. A stage that is None is left out."""

    detect: Detect
    assess: Assess | None = None
    margin: float = 0.35
    """Around each crop, as a share of the face's sides."""

    def image(self, image: Image) -> list[Portrait]:
        """Every face of an (H, W, 3) uint8 RGB picture, best first; an empty list when none."""
        return self.portraits(image, self.detect(check_image(image)))

    def portraits(self, image: Image, faces: Sequence[Face]) -> list[Portrait]:
        """The same for faces that are known already, such as boxes drawn by hand."""
        return [
            Portrait(
                face=face,
                crop=crop(image, face, self.margin),
                quality=self.assess(image, face) if self.assess else None,
            )
            for face in faces
        ]
