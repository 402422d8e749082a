"""What all filters share."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Any, ClassVar

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer

from facecctv.errors import LimitError
from facecctv.types import Image, StepClass

Plane = npt.NDArray[np.uint8]
"""(H, W) uint8."""

_LONGEST_SIDE = 32_766
"""OpenCV's warps address pixels with 16 bits."""


class Parameters(BaseModel):
    """The settings of one step: frozen, in range, nothing unknown.

    Made from values or from their text; impossible ones raise pydantic's ValidationError, which is
    a ValueError.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: ClassVar[str]
    """Of the step, as it is written in a chain."""
    step: ClassVar[StepClass]
    """How far what comes out departs from the pixels that went in."""

    def recorded(self) -> dict[str, Any]:
        """All settings that matter, defaults too, as JSON values."""
        return self.model_dump(mode="json")

    def size_after(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of the result for a picture of this size, pixels."""
        return width, height


class Filter(Parameters):
    """A function from picture to picture; the same bytes for the same picture and settings."""

    @abstractmethod
    def __call__(self, image: Image) -> Image:
        """A new picture, (H, W, 3) uint8 RGB, from one of that form."""


def _point(value: object) -> object:
    if not isinstance(value, str):
        return value
    x, _, y = value.partition("x")
    try:
        return float(x), float(y)
    except ValueError as error:
        raise ValueError("a point such as 120.5x80") from error


Point = Annotated[tuple[float, float], BeforeValidator(_point), PlainSerializer(list)]
"""x and y in pixels of the picture, the top left corner being 0, 0; as text "120.5x80"."""


def luma(image: Image) -> Plane:
    """(H, W) uint8 luma after ITU-R BT.601; that of a grey pixel is its level."""
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)


def with_luma(image: Image, before: Plane, after: Plane) -> Image:
    """The picture with its luma changed and its colour differences kept.

    Where the luma stays, so does the pixel, to the last bit; colour converted there and back would
    not.
    """
    change = cv2.subtract(after, before, dtype=cv2.CV_16S)
    return np.asarray(cv2.add(image, cv2.merge([change] * 3), dtype=cv2.CV_8U), np.uint8)


def check_warpable(name: str, *sides: int) -> None:
    """Raises LimitError where a picture to be warped, or its result, is too long for OpenCV."""
    if max(sides) > _LONGEST_SIDE:
        raise LimitError(f"{name} takes and gives at most {_LONGEST_SIDE:,} pixels a side")
