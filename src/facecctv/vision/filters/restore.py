"""Filters against what cameras and recorders do to a picture: noise, blocks, blur, interlacing."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

import cv2
import numpy as np
from pydantic import Field, model_validator

from facecctv.errors import LimitError
from facecctv.types import Image, StepClass, check_image
from facecctv.vision.filters import deconvolve
from facecctv.vision.filters.base import Filter, Plane, luma, with_luma

Odd = Annotated[int, Field(ge=3, le=51)]

_BLOCK = 8
_LONGEST_JPEG = 65_500


class Denoise(Filter):
    """Non-local means: each pixel becomes the mean of pixels whose surroundings look the same.

    Luma and colour each with a strength of their own. After Buades, Coll and Morel, "A Non-Local
    Algorithm for Image Denoising", 2005.
    """

    name: ClassVar[str] = "denoise"
    step: ClassVar[StepClass] = "photometric"

    h: float = Field(default=5.0, ge=0, le=100)
    """Strength on luma, about the noise's standard deviation in grey levels; 0 leaves it."""
    colour: float = Field(default=5.0, ge=0, le=100)
    """The same on the two colour differences."""
    patch: Odd = 7
    """Side of the surroundings compared, pixels, odd."""
    window: Odd = 21
    """Side of the region searched for likenesses, pixels, odd; time grows with its square."""

    @model_validator(mode="after")
    def _odd(self) -> Self:
        if self.patch % 2 == 0 or self.window % 2 == 0:
            raise ValueError("patch and window must be odd")
        return self

    def __call__(self, image: Image) -> Image:
        """(H, W, 3) uint8 RGB to the same."""
        if not self.h and not self.colour:
            return check_image(image).copy()
        parts = cv2.split(cv2.cvtColor(check_image(image), cv2.COLOR_RGB2YCrCb))
        strengths = (self.h, self.colour, self.colour)
        done = [
            cv2.fastNlMeansDenoising(part, None, strength, self.patch, self.window)
            if strength
            else part
            for part, strength in zip(parts, strengths, strict=True)
        ]
        return np.asarray(cv2.cvtColor(cv2.merge(done), cv2.COLOR_YCrCb2RGB), np.uint8)


class Deblock(Filter):
    """Takes the 8-pixel blocks of JPEG and MPEG away: compressed again on shifted grids, averaged.

    After Nosratinia, "Enhancement of JPEG-Compressed Images by Re-application of JPEG", 2001, with
    every second shift each way.
    """

    name: ClassVar[str] = "deblock"
    step: ClassVar[StepClass] = "photometric"

    quality: int = Field(default=30, ge=1, le=95)
    """JPEG quality of the blocks; less removes more."""

    def __call__(self, image: Image) -> Image:
        """(H, W, 3) uint8 RGB to the same; raises LimitError beyond JPEG's 65,500 pixels a side."""
        if max(check_image(image).shape[:2]) > _LONGEST_JPEG - 2 * _BLOCK:
            raise LimitError(f"deblock takes at most {_LONGEST_JPEG - 2 * _BLOCK:,} pixels a side")
        parts = cv2.split(cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb))
        # A channel at a time: as grey JPEG, so that no colour is sampled down on the way.
        done = cv2.merge([self._plane(np.asarray(part, np.uint8)) for part in parts])
        return np.asarray(cv2.cvtColor(done, cv2.COLOR_YCrCb2RGB), np.uint8)

    def _plane(self, plane: Plane) -> Plane:
        height, width = plane.shape
        shifts = [(y, x) for y in range(0, _BLOCK, 2) for x in range(0, _BLOCK, 2)]
        total = np.zeros(plane.shape, np.uint16)
        edge = (_BLOCK,) * 4
        framed = cv2.copyMakeBorder(plane, *edge, cv2.BORDER_REPLICATE)
        for y, x in shifts:
            _, data = cv2.imencode(".jpg", framed[y:, x:], [cv2.IMWRITE_JPEG_QUALITY, self.quality])
            again = np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)
            top, left = _BLOCK - y, _BLOCK - x
            total += again[top : top + height, left : left + width]
        return ((total + len(shifts) // 2) // len(shifts)).astype(np.uint8)


class Deblur(Filter):
    """Undoes a blur of known form, each channel by itself.

    "wiener" is quick and weighs blur against noise; "richardson-lucy" keeps values positive and
    gets sharper, and noisier, with each iteration. Sources: see `deconvolve`.
    """

    name: ClassVar[str] = "deblur"
    step: ClassVar[StepClass] = "photometric"

    method: Literal["wiener", "richardson-lucy"] = "wiener"
    kernel: Literal["gauss", "motion", "disk"] = "gauss"
    """Soft lens, moving camera or person, lens out of focus."""
    sigma: float = Field(default=1.5, ge=0.3, le=20)
    """Of kernel=gauss: standard deviation, pixels."""
    length: float = Field(default=9.0, ge=1, le=100)
    """Of kernel=motion: how far things moved, pixels."""
    angle: float = Field(default=0.0, ge=-180, le=180)
    """Of kernel=motion: direction in degrees, 0 level, clockwise as seen."""
    radius: float = Field(default=3.0, ge=0.5, le=40)
    """Of kernel=disk: pixels."""
    noise: float = Field(default=3.0, ge=0.1, le=100)
    """Of method=wiener: standard deviation of the picture's noise, grey levels of 255."""
    iterations: int = Field(default=15, ge=1, le=200)
    """Of method=richardson-lucy."""

    @model_validator(mode="after")
    def _no_idle_settings(self) -> Self:
        for idle in sorted(self.model_fields_set & self._idle()):
            owner = next(choice for choice, owned in _OWNED.items() if idle in owned)
            raise ValueError(f"{idle} belongs to {owner}")
        return self

    def _idle(self) -> set[str]:
        chosen = {f"kernel={self.kernel}", f"method={self.method}"}
        return {name for choice, owned in _OWNED.items() if choice not in chosen for name in owned}

    def recorded(self) -> dict[str, Any]:
        """Without the settings of the other method and kernels."""
        return self.model_dump(mode="json", exclude=self._idle())

    def __call__(self, image: Image) -> Image:
        """(H, W, 3) uint8 RGB to the same."""
        psf = self._psf()
        planes = (part.astype(np.float32) for part in cv2.split(check_image(image)))
        done = [self._plane(plane, psf) for plane in planes]
        return np.asarray(cv2.merge(done), np.uint8)

    def _psf(self) -> deconvolve.Floats:
        match self.kernel:
            case "motion":
                return deconvolve.motion(self.length, self.angle)
            case "disk":
                return deconvolve.disk(self.radius)
            case _:
                return deconvolve.gauss(self.sigma)

    def _plane(self, plane: deconvolve.Floats, psf: deconvolve.Floats) -> Plane:
        if self.method == "wiener":
            found = deconvolve.wiener(plane, psf, self.noise)
        else:
            found = deconvolve.richardson_lucy(plane, psf, self.iterations)
        return np.rint(found).clip(0, 255).astype(np.uint8)


_OWNED = {
    "kernel=gauss": {"sigma"},
    "kernel=motion": {"length", "angle"},
    "kernel=disk": {"radius"},
    "method=wiener": {"noise"},
    "method=richardson-lucy": {"iterations"},
}


class Sharpen(Filter):
    """Unsharp mask on luma: adds what a Gaussian blur takes away."""

    name: ClassVar[str] = "sharpen"
    step: ClassVar[StepClass] = "photometric"

    amount: float = Field(default=1.0, ge=0, le=5)
    """How many times what the blur takes away."""
    sigma: float = Field(default=1.0, ge=0.3, le=20)
    """Of the blur, pixels."""
    threshold: float = Field(default=0.0, ge=0, le=255)
    """Differences up to this many grey levels are left alone, as noise."""

    def __call__(self, image: Image) -> Image:
        """(H, W, 3) uint8 RGB to the same."""
        before = luma(check_image(image))
        level = before.astype(np.float32)
        detail = level - cv2.GaussianBlur(level, (0, 0), self.sigma)
        detail[np.abs(detail) <= self.threshold] = 0
        after = np.rint(level + self.amount * detail).clip(0, 255).astype(np.uint8)
        return with_luma(image, before, after)


class Deinterlace(Filter):
    """Parts the two fields of an interlaced picture, which were taken one after the other.

    "bob" keeps the lines of one field and makes the others from them (cubic); "blend" mixes each
    line with its neighbours, so both moments stay, as ghosts.
    """

    name: ClassVar[str] = "deinterlace"
    step: ClassVar[StepClass] = "geometric"

    method: Literal["bob", "blend"] = "bob"
    field: Literal["top", "bottom"] = "top"
    """Of method=bob, which lines are kept: top is the first, third, fifth …"""

    def __call__(self, image: Image) -> Image:
        """(H, W, 3) uint8 RGB to the same; a picture of one line stays as it is."""
        if len(check_image(image)) < 2:
            return image.copy()
        return self._bob(image) if self.method == "bob" else _blend(image)

    def _bob(self, image: Image) -> Image:
        first = 0 if self.field == "top" else 1
        kept, made = image[first::2], image[1 - first :: 2]
        # Two more lines on each side; the line made last may want a third below.
        lines = np.pad(kept.astype(np.int16), ((2, 3), (0, 0), (0, 0)), "edge")
        above = [lines[at : at + len(made)] for at in range(1 - first, 5 - first)]
        cubic = (9 * (above[1] + above[2]) - above[0] - above[3] + 8) >> 4
        result = image.copy()
        result[1 - first :: 2] = cubic.clip(0, 255)
        return result


def _blend(image: Image) -> Image:
    kernel = np.array([[0.25], [0.5], [0.25]], np.float32)
    return np.asarray(cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REPLICATE), np.uint8)
