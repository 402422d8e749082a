"""More pixels, less blur and noise: pictures of any size, crops, and the faces in a picture.

What comes out is estimated from what the camera saw; it is never what the camera saw. Nothing here
judges or compares faces by enhanced pixels, except to measure how far enhancing took them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import cv2
import numpy as np

from facecctv.errors import ModelError, SettingError
from facecctv.geometry import crop as cut
from facecctv.image.sizes import resize
from facecctv.models.card import Card
from facecctv.models.session import Runner
from facecctv.types import Crop, Drift, Enhanced, Face, Floats, Image, Origin, check_image
from facecctv.vision.colourise import is_grey
from facecctv.vision.drift import NO_RECOGNISER, DriftMeter
from facecctv.vision.tiling import in_tiles, lay, tile_side

TASK = "enhancer"

Luminance = Literal["auto", "on", "off"]
Area: TypeAlias = tuple[int, int, int, int]
"""x1 y1 x2 y2, whole pixels of the picture; right and bottom exclusive."""

LARGEST_TILE = 512
"""Side in pixels: larger ones are no faster."""
BYTES_PER_PIXEL = 2048
"""Working memory for each pixel of a tile: at x4 about 900 in the network, then its floats."""
MOST_BYTES = 512 * 2**20
"""Of working memory for one tile, however much is free."""
_CUBIC_REACH = 2
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


@dataclass(frozen=True)
class EnhanceOptions:
    """How much of the network to show; the defaults suit most pictures."""

    strength: float = 1.0
    """0..1: 0 is plain cubic interpolation, 1 the network's picture, between them a mixture."""
    luminance: Luminance = "auto"
    """`on`: only brightness is enhanced, colour is interpolated. `auto`: so in grey pictures."""
    tile: int | None = None
    """Largest side of a tile, pixels of the picture; by default as memory allows."""

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise SettingError(f"strength must lie in 0..1, not {self.strength}")
        if self.luminance not in ("auto", "on", "off"):
            raise SettingError(f"luminance must be auto, on or off, not {self.luminance!r}")
        if self.tile is not None and self.tile < 1:
            raise SettingError(f"a tile has at least one pixel a side, not {self.tile}")


class Enhancer:
    """Enhances pictures with one network; call it with a picture.

    May be used from several threads. Raises ModelError when the model cannot be used or its card
    lacks the facts of an enhancer.
    """

    def __init__(self, session: Runner, options: EnhanceOptions | None = None) -> None:
        self._session = session
        self.options = options or EnhanceOptions()

    @property
    def card(self) -> Card:
        """The model's own account of itself."""
        return self._session.card.of_task(TASK)

    @property
    def scale(self) -> int:
        """How many pixels a side become of one."""
        return self._fact("scale", 1)

    @property
    def reach(self) -> int:
        """Pixels of the picture around a pixel that have a say in it."""
        return max(self._fact("reach", 0), _CUBIC_REACH)

    def luminance_only(self, image: Image) -> bool:
        """Whether the options leave the colour of this picture to plain interpolation."""
        choice = self.options.luminance
        return choice == "on" or (choice == "auto" and is_grey(image))

    def __call__(self, image: Image, luminance_only: bool | None = None) -> Image:
        """(H, W, 3) uint8 RGB of any size -> (scale * H, scale * W, 3) uint8 RGB.

        `luminance_only` None leaves the choice to the options, and with `auto` to this picture.
        Raises LimitError where memory does not suffice, in tiles of any size.
        """
        rows, columns = check_image(image).shape[:2]
        scale = self.scale
        if self.options.strength == 0:
            return resize(image, columns * scale, rows * scale)
        grey = self.luminance_only(image) if luminance_only is None else luminance_only
        side = min(LARGEST_TILE, tile_side(BYTES_PER_PIXEL, MOST_BYTES))
        return in_tiles(
            image,
            lambda part: self._part(part, grey),
            scale=scale,
            reach=self.reach,
            multiple=self.card.input.multiple_of,
            side=self.options.tile or side,
        )

    def _part(self, part: Image, grey: bool) -> Image:
        """One run of the network: a tile in, and enlarged out."""
        scale, strength = self.scale, self.options.strength
        rows, columns = part.shape[:2]
        found = self._run(_lumas(part) if grey else part)[: rows * scale, : columns * scale]
        if grey or strength < 1:
            plain = resize(part, columns * scale, rows * scale) * np.float32(1 / 255)
            change = ((found - plain) @ _LUMA)[..., None] if grey else found - plain
            found = plain + np.float32(strength) * change
        return np.asarray(np.rint(np.clip(found, 0, 1) * np.float32(255)), np.uint8)

    def _run(self, part: Image) -> Floats:
        """(H, W, 3) uint8 -> (scale * padded H, scale * padded W, 3) float32, about 0..1."""
        rows, columns = part.shape[:2]
        multiple, scale = self.card.input.multiple_of, self.scale
        missing = (0, -rows % multiple, 0, -columns % multiple)
        padded = np.asarray(cv2.copyMakeBorder(part, *missing, cv2.BORDER_REFLECT_101))
        values = padded.transpose(2, 0, 1)[None] * np.float32(1 / 255)
        found = np.asarray(self._session.run(np.ascontiguousarray(values))[0], np.float32)
        expected = (1, 3, padded.shape[0] * scale, padded.shape[1] * scale)
        if found.shape != expected:
            raise ModelError(f"{self.card.name} made {found.shape} where its card says {expected}")
        return np.moveaxis(found[0], 0, -1)

    def _fact(self, name: str, least: int) -> int:
        value = self.card.extra.get(name)
        if not isinstance(value, int) or value < least:
            raise ModelError(f"the card of {self.card.name} names no {name}")
        return value


def _lumas(part: Image) -> Image:
    luma = np.rint(part @ _LUMA).astype(np.uint8)
    return np.repeat(luma[..., None], 3, axis=2)


def enhance_crop(
    image: Image, crop: Crop, enhancer: Enhancer, luminance_only: bool | None = None
) -> Image:
    """The pixels of a crop enhanced: (scale * h, scale * w, 3) uint8 RGB.

    The picture (H, W, 3) is the one that the crop was cut from: what lies around the crop has a
    say in its pixels. `luminance_only` None decides by the crop: of several views
    in one picture some may be grey.
    """
    if luminance_only is None:
        luminance_only = enhancer.luminance_only(crop.image)
    return _enhance_area(image, crop.area, enhancer, luminance_only)


def _enhance_area(image: Image, area: Area, enhancer: Enhancer, grey: bool) -> Image:
    x1, y1, x2, y2 = area
    left, top, right, bottom = seen_for(image.shape, area, enhancer)
    found = enhancer(image[top:bottom, left:right], grey)
    scale = enhancer.scale
    x, y = (x1 - left) * scale, (y1 - top) * scale
    return found[y : y + (y2 - y1) * scale, x : x + (x2 - x1) * scale].copy()


def seen_for(shape: tuple[int, ...], area: Area, enhancer: Enhancer) -> Area:
    """The part of a picture of this shape that has a say in an area's pixels: x1 y1 x2 y2."""
    x1, y1, x2, y2 = area
    reach, multiple = enhancer.reach, enhancer.card.input.multiple_of
    # From a multiple on, the network's grid lies as it does in the whole picture.
    left, top = (max(0, start - reach) // multiple * multiple for start in (x1, y1))
    return left, top, min(shape[1], x2 + reach), min(shape[0], y2 + reach)


def enhance_faces(
    image: Image, faces: Sequence[Face], enhancer: Enhancer, margin: float = 0.35
) -> Image:
    """The picture enlarged by plain interpolation, with its faces enhanced.

    (H, W, 3) uint8 RGB -> (scale * H, scale * W, 3). Each face with `margin` around it fades in
    from its surroundings, so there is no seam; where faces overlap the network made the same
    pixels twice, and they are simply laid over one another.
    """
    rows, columns = check_image(image).shape[:2]
    scale = enhancer.scale
    result = resize(image, columns * scale, rows * scale)
    for face in faces:
        part = cut(image, face, margin)
        patch = enhance_crop(image, part, enhancer)
        right, bottom = part.x + part.image.shape[1], part.y + part.image.shape[0]
        # At the picture's edge there is nothing to fade into.
        width = max(1, round(min(face.width, face.height) * margin * 0.75)) * scale
        fades = [
            width if 0 < at < end else 0
            for at, end in ((part.x, columns), (part.y, rows), (right, columns), (bottom, rows))
        ]
        lay(result, patch, part.x * scale, part.y * scale, (fades[0], fades[1], fades[2], fades[3]))
    return result


@dataclass(frozen=True)
class FaceEnhancer:
    """The stage of a pipeline: enhances crops and measures how far that took each face."""

    enhancer: Enhancer
    origin: Origin
    meter: DriftMeter | None = None
    """None: the drift of every face is unknown."""
    below: float = math.inf
    """Only faces lower than this many pixels."""

    def __call__(self, image: Image, crops: Sequence[Crop]) -> list[Enhanced | None]:
        """One for each crop of a picture (H, W, 3); None for faces that are large enough."""
        wanted = [crop for crop in crops if crop.face.height < self.below]
        made = iter(self._all(image, wanted))
        return [next(made) if crop.face.height < self.below else None for crop in crops]

    def _all(self, image: Image, crops: Sequence[Crop]) -> list[Enhanced]:
        enhancer = self.enhancer
        greys = [enhancer.luminance_only(crop.image) for crop in crops]
        pictures = [
            enhance_crop(image, crop, enhancer, grey)
            for crop, grey in zip(crops, greys, strict=True)
        ]
        if self.meter is None:
            drifts = [Drift("unknown", reason=NO_RECOGNISER)] * len(crops)
        else:
            drifts = self.meter(crops, pictures)
        strength = enhancer.options.strength
        return [
            Enhanced(
                picture,
                enhancer.scale,
                self.origin,
                strength,
                grey,
                drift,
                seen_for(image.shape, crop.area, enhancer),
            )
            for crop, picture, grey, drift in zip(crops, pictures, greys, drifts, strict=True)
        ]
