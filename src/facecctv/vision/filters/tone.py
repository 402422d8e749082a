"""Filters of brightness: levels, gamma, contrast by region."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from facecctv.types import Image, StepClass, check_image
from facecctv.vision.filters.base import Filter, luma, with_luma

Level = Annotated[int, Field(ge=0, le=255)] | Literal["auto"]


class Levels(Filter):
    """Stretches grey levels `low`..`high` to 0..255, all channels alike.

    "auto" takes the level beyond which `clip` per cent of all values lie. Where no level lies
    between the two, as in a picture of one colour, the picture stays as it is.
    """

    name: ClassVar[str] = "levels"
    step: ClassVar[StepClass] = "photometric"

    low: Level = "auto"
    """What becomes black, 0..255."""
    high: Level = "auto"
    """What becomes white, 0..255."""
    clip: float = Field(default=0.1, ge=0, lt=50)
    """Per cent of the values that "auto" lets become black, and as many white."""

    @model_validator(mode="after")
    def _rise(self) -> Self:
        if self.low != "auto" and self.high != "auto" and self.low >= self.high:
            raise ValueError(f"low must be less than high, not {self.low} and {self.high}")
        return self

    def __call__(self, image: Image) -> Image:
        """(H, W, 3) uint8 RGB to the same."""
        low, high = self._ends(check_image(image))
        if high <= low:
            return image.copy()
        ramp = (np.arange(256) - low) * (255 / (high - low))
        return _mapped(image, ramp)

    def _ends(self, image: Image) -> tuple[int, int]:
        channels = [cv2.calcHist([image], [c], None, [256], [0, 256]) for c in range(3)]
        # Counts are float32, which adds up exactly only to 2**24.
        counts = np.sum(channels, axis=0, dtype=np.float64).ravel()
        spare = counts.sum() * self.clip / 100
        first = int(np.argmax(counts.cumsum() > spare))
        last = 255 - int(np.argmax(counts[::-1].cumsum() > spare))
        return (
            first if self.low == "auto" else self.low,
            last if self.high == "auto" else self.high,
        )


class Gamma(Filter):
    """Brightens (above 1) or darkens (below 1) the middle; black and white stay.

    A value v of 0..1 becomes v ** (1 / value).
    """

    name: ClassVar[str] = "gamma"
    step: ClassVar[StepClass] = "photometric"

    value: float = Field(default=1.5, ge=0.1, le=10)

    def __call__(self, image: Image) -> Image:
        """(H, W, 3) uint8 RGB to the same."""
        return _mapped(check_image(image), 255 * (np.arange(256) / 255) ** (1 / self.value))


class Clahe(Filter):
    """Contrast-limited adaptive histogram equalisation of the luma.

    After Zuiderveld, "Contrast Limited Adaptive Histogram Equalization", Graphics Gems IV, 1994.
    """

    name: ClassVar[str] = "clahe"
    step: ClassVar[StepClass] = "photometric"

    clip: float = Field(default=2.0, gt=0, le=40)
    """How many times the mean a level's count may be: limits the contrast gained."""
    tiles: int = Field(default=8, ge=1, le=64)
    """Regions across and down, each with a curve of its own; fewer in pictures of fewer pixels."""

    def __call__(self, image: Image) -> Image:
        """(H, W, 3) uint8 RGB to the same."""
        before = luma(check_image(image))
        height, width = before.shape
        grid = (min(self.tiles, width), min(self.tiles, height))
        after = cv2.createCLAHE(self.clip, grid).apply(before)
        return with_luma(image, before, np.asarray(after, np.uint8))


def _mapped(image: Image, curve: npt.NDArray[np.floating]) -> Image:
    table = np.rint(curve).clip(0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(image, table), np.uint8)
