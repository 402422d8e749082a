"""Filters of geometry: perspective, rotation, cropping, size by plain interpolation."""

from __future__ import annotations

import math
from typing import ClassVar, Self

import cv2
import numpy as np
from pydantic import Field, model_validator

from facecctv import image as pictures
from facecctv.errors import ImageError
from facecctv.image.sizes import PADDING
from facecctv.types import Floats, Image, StepClass, check_image
from facecctv.vision.filters.base import Filter, Point, check_warpable

_FILL = (PADDING, PADDING, PADDING)
_HALF = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
"""From our coordinates, where a pixel's centre is at .5, to OpenCV's, where it is whole."""


class Perspective(Filter):
    """A quadrilateral of the picture seen from the front: its four corners become the result's.

    What lies outside of the picture is grey.
    """

    name: ClassVar[str] = "perspective"
    step: ClassVar[StepClass] = "geometric"

    top_left: Point
    top_right: Point
    bottom_right: Point
    bottom_left: Point
    width: int | None = Field(default=None, ge=1, le=16_384)
    """Of the result, pixels; by default the longer of the upper and the lower side."""
    height: int | None = Field(default=None, ge=1, le=16_384)
    """Of the result, pixels; by default the longer of the left and the right side."""

    @model_validator(mode="after")
    def _convex(self) -> Self:
        corners = self._corners().astype(np.float64)
        sides = np.roll(corners, -1, axis=0) - corners
        after = np.roll(sides, -1, axis=0)
        # Clockwise as seen, with y downwards: every corner turns right.
        if (sides[:, 0] * after[:, 1] - sides[:, 1] * after[:, 0] <= 0).any():
            raise ValueError("the four points must be corners of a convex shape, in that order")
        if max(self.size_after(0, 0)) > 16_384:
            raise ValueError("the result has at most 16384 pixels a side")
        return self

    def _corners(self) -> Floats:
        points = (self.top_left, self.top_right, self.bottom_right, self.bottom_left)
        return np.array(points, np.float32)

    def size_after(self, width: int, height: int) -> tuple[int, int]:
        """The result's width and height, whatever the picture's."""
        a, b, c, d = self._corners().tolist()
        across = max(math.dist(a, b), math.dist(d, c))
        down = max(math.dist(a, d), math.dist(b, c))
        return self.width or max(1, round(across)), self.height or max(1, round(down))

    def __call__(self, image: Image) -> Image:
        """(H, W, 3) uint8 RGB to `size_after`; raises LimitError beyond 32,766 pixels a side."""
        size = width, height = self.size_after(0, 0)
        check_warpable(self.name, *check_image(image).shape[:2])
        target = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
        matrix = cv2.getPerspectiveTransform(self._corners(), target)
        matrix = _HALF @ matrix @ np.linalg.inv(_HALF)
        done = cv2.warpPerspective(image, matrix, size, flags=cv2.INTER_CUBIC, borderValue=_FILL)
        return np.asarray(done, np.uint8)


class Rotate(Filter):
    """Turned clockwise as seen; the result is large enough for all of it, new corners are grey.

    Quarter turns move pixels and change none.
    """

    name: ClassVar[str] = "rotate"
    step: ClassVar[StepClass] = "geometric"

    angle: float = Field(default=90.0, ge=-360, le=360)
    """Degrees."""

    def size_after(self, width: int, height: int) -> tuple[int, int]:
        """The sides of the upright box around the turned picture."""
        if self.angle % 180 == 0:
            return width, height
        if self.angle % 90 == 0:
            return height, width
        cos, sin = self._cos_sin()
        across, down = abs(cos), abs(sin)
        return math.ceil(width * across + height * down), math.ceil(width * down + height * across)

    def _cos_sin(self) -> tuple[float, float]:
        return math.cos(math.radians(self.angle)), math.sin(math.radians(self.angle))

    def __call__(self, image: Image) -> Image:
        """(H, W, 3) uint8 RGB to `size_after`; raises LimitError beyond 32,766 pixels a side."""
        height, width = check_image(image).shape[:2]
        if self.angle % 90 == 0:
            return np.rot90(image, -int(self.angle // 90) % 4).copy()
        size = across, down = self.size_after(width, height)
        check_warpable(self.name, width, height, across, down)
        cos, sin = self._cos_sin()
        to_middle = np.array([[1, 0, -width / 2], [0, 1, -height / 2], [0, 0, 1]])
        turn = np.array([[cos, -sin, across / 2], [sin, cos, down / 2], [0, 0, 1]])
        matrix = (_HALF @ turn @ to_middle @ np.linalg.inv(_HALF))[:2]
        done = cv2.warpAffine(image, matrix, size, flags=cv2.INTER_CUBIC, borderValue=_FILL)
        return np.asarray(done, np.uint8)


class Crop(Filter):
    """A part of the picture, its pixels unchanged."""

    name: ClassVar[str] = "crop"
    step: ClassVar[StepClass] = "geometric"

    x: int = Field(ge=0)
    """First column."""
    y: int = Field(ge=0)
    """First row."""
    width: int = Field(ge=1)
    height: int = Field(ge=1)

    def size_after(self, width: int, height: int) -> tuple[int, int]:
        """The part's; raises ImageError where it reaches out of the picture."""
        if self.x + self.width > width or self.y + self.height > height:
            raise ImageError(f"crop reaches out of the picture of {width} x {height} pixels")
        return self.width, self.height

    def __call__(self, image: Image) -> Image:
        """(H, W, 3) uint8 RGB to `size_after`, copied."""
        rows, columns = check_image(image).shape[:2]
        width, height = self.size_after(columns, rows)
        return image[self.y : self.y + height, self.x : self.x + width].copy()


class Resize(Filter):
    """Another size by plain interpolation: averaged where it shrinks, cubic where it grows."""

    name: ClassVar[str] = "resize"
    step: ClassVar[StepClass] = "geometric"

    scale: float | None = Field(default=None, ge=0.01, le=16)
    """Times the picture's size; 2 where neither width nor height is given."""
    width: int | None = Field(default=None, ge=1, le=65_536)
    """Pixels; the height follows unless it is given too."""
    height: int | None = Field(default=None, ge=1, le=65_536)
    """Pixels; the width follows unless it is given too."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.scale is not None and (self.width or self.height):
            raise ValueError("give scale, or width and height, not both")
        return self

    def size_after(self, width: int, height: int) -> tuple[int, int]:
        """At least one pixel each way."""
        if self.width and self.height:
            return self.width, self.height
        scale = self.scale or 2.0
        if self.width:
            scale = self.width / width
        elif self.height:
            scale = self.height / height
        return (
            self.width or max(1, round(width * scale)),
            self.height or max(1, round(height * scale)),
        )

    def __call__(self, image: Image) -> Image:
        """(H, W, 3) uint8 RGB to `size_after`."""
        height, width = check_image(image).shape[:2]
        return pictures.resize(image, *self.size_after(width, height))
