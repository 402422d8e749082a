"""Colour for grey pictures: estimated, never known. Lightness stays what it was.

The network sees the picture small and says which colour each place probably has; the colour is
brought to full size along the edges of the picture itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from facecctv.errors import ModelError, SettingError
from facecctv.image.sizes import resize
from facecctv.models.card import Card
from facecctv.models.session import Runner
from facecctv.types import Coloured, Floats, Image, Origin, Portrait, check_image

TASK = "colouriser"

STRIP_PIXELS = 1 << 18
"""Pixels that are brought to colour at once: what is needed beside the two pictures stays small."""
RADIUS = 0.015
"""Of the guided filter's window, as a share of the longer side."""
SMOOTHNESS = 1e-3
"""Of the guided filter: variance of lightness (0..1) below which a window counts as flat."""

GREY_SIDE = 256
"""Longer side, pixels, at which a picture is judged: noise of single pixels averages out."""
GREY_CHROMA = 6.0
"""Grey levels of chroma beside the tint, from which a place counts as coloured."""
GREY_SHARE = 0.01
"""Share of coloured places from which a picture counts as coloured."""
GREY_SLOPE = 0.3
"""Steepest change of chroma with luma that a tint explains."""

_TO_LINEAR = np.array(
    [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in np.arange(256) / 255],
    np.float32,
)
_LUMINANCE = np.array([0.21263901, 0.71516868, 0.07219232], np.float32)
_XYZ_TO_RGB = np.array(
    [
        [3.24096994, -1.53738318, -0.49861076],
        [-0.96924364, 1.8759675, 0.04155506],
        [0.05563008, -0.20397696, 1.05697151],
    ],
    np.float32,
)
_WHITE = np.array([0.95045593, 1.0, 1.08905775], np.float32)  # D65, 2 degrees
_KNEE = 6 / 29
_SHARES: Floats = np.asarray(_LUMINANCE[:, None] * _TO_LINEAR, np.float32)
"""(3, 256): what each level of each channel adds to the luminance."""
for _constant in (_SHARES, _XYZ_TO_RGB, _WHITE):
    _constant.flags.writeable = False


def is_grey(image: Image) -> bool:
    """Whether an (H, W, 3) uint8 RGB picture carries no colour but perhaps one tint of the whole.

    Chroma noise of JPEG and sensors is averaged out. The tint of infra-red light and of toned
    pictures, which is constant or grows with brightness, counts as grey. So does a coloured spot,
    such as a time stamp, on less than one per cent of the picture. Black and white say nothing.
    """
    rows, columns = check_image(image).shape[:2]
    scale = min(1.0, GREY_SIDE / max(rows, columns))
    small = resize(image, max(1, round(columns * scale)), max(1, round(rows * scale)))
    planes = cv2.blur(cv2.cvtColor(small, cv2.COLOR_RGB2YCrCb).astype(np.float32), (3, 3))
    values = np.asarray(planes, np.float32).reshape(-1, 3)
    values = values[(values[:, 0] > 16) & (values[:, 0] < 240)]
    if not len(values):
        return True
    luma, chroma = values[:, 0] - values[:, 0].mean(), values[:, 1:]
    spread = max(float(luma @ luma), 1e-6)
    slope = np.clip(luma @ chroma / spread, -GREY_SLOPE, GREY_SLOPE)
    rest = chroma - np.median(chroma, axis=0) - luma[:, None] * slope
    coloured = np.hypot(rest[:, 0], rest[:, 1]) > GREY_CHROMA
    return bool(coloured.mean() < GREY_SHARE)


@dataclass(frozen=True)
class ColouriseOptions:
    """How colourful."""

    saturation: float = 1.0
    """0: grey; 1: as the network says; above: stronger."""

    def __post_init__(self) -> None:
        if not 0 <= self.saturation <= 4:
            raise SettingError(f"saturation must lie in 0..4, not {self.saturation}")


class Colouriser:
    """Gives pictures an estimated colour with one network; call it with a picture.

    May be used from several threads. Raises ModelError when the model cannot be used or its card
    lacks the facts of a colouriser.
    """

    def __init__(self, session: Runner, options: ColouriseOptions | None = None) -> None:
        self._session = session
        self.options = options or ColouriseOptions()

    @property
    def card(self) -> Card:
        """The model's own account of itself."""
        return self._session.card.of_task(TASK)

    def __call__(self, image: Image) -> Image:
        """(H, W, 3) uint8 RGB of any size -> the same size and CIELAB lightness, coloured.

        What colour the picture had is replaced. Lightness differs by the rounding of RGB alone:
        where RGB cannot hold a colour as light as its place, it is made paler, not lighter.
        """
        rows, columns = check_image(image).shape[:2]
        guide, estimate = self._estimate(image)
        planes = _coefficients(guide, estimate, max(1, round(RADIUS * max(guide.shape))))
        result = np.empty_like(image, order="C")
        for top, bottom in _strips(rows, columns):
            luminance = _luminance(image[top:bottom])
            light = _lightness(luminance)
            slope_offset = _enlarged(planes, top, bottom, rows, columns)
            wanted = slope_offset[..., :2] * (light / 100)[..., None] + slope_offset[..., 2:]
            chroma = np.asarray(wanted * np.float32(self.options.saturation), np.float32)
            result[top:bottom] = _rgb(luminance, light, chroma)
        return result

    def _estimate(self, image: Image) -> tuple[Floats, Floats]:
        """Lightness (h, w) 0..1 as the network saw it, and its chroma (h, w, 2) in a*, b*."""
        card = self.card
        side, unit = (_fact(card, name) for name in ("side", "chroma_unit"))
        rows, columns = image.shape[:2]
        scale = side / max(rows, columns)
        size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
        guide = np.asarray(_lightness(_luminance(resize(image, *size))) / 100, np.float32)
        multiple = card.input.multiple_of
        missing = (0, -size[1] % multiple, 0, -size[0] % multiple)
        padded = np.asarray(cv2.copyMakeBorder(guide, *missing, cv2.BORDER_REFLECT_101))
        found = np.asarray(self._session.run(padded[None, None])[0], np.float32)
        if found.shape != (1, 2, *padded.shape):
            raise ModelError(f"{card.name} made {found.shape} of {padded.shape} lightness")
        chroma = found[0, :, : size[1], : size[0]].transpose(1, 2, 0) * np.float32(unit)
        return guide, np.ascontiguousarray(chroma)


def _fact(card: Card, name: str) -> float:
    value = card.extra.get(name)
    if not isinstance(value, int | float) or value <= 0:
        raise ModelError(f"the card of {card.name} names no {name}")
    return float(value)


def _coefficients(guide: Floats, chroma: Floats, radius: int) -> Floats:
    """(h, w), (h, w, 2) -> (h, w, 4): slopes and offsets that make chroma of lightness.

    The guided filter of He, Sun and Tang, "Guided Image Filtering" (2013), in the fast form of He
    and Sun (2015): chroma is a linear function of lightness in every small window, computed small
    and applied at full size, so colours end where the picture's own edges are.
    """
    window = (2 * radius + 1, 2 * radius + 1)

    def mean(values: Floats) -> Floats:
        return np.asarray(cv2.blur(values, window, borderType=cv2.BORDER_REFLECT), np.float32)

    light, colour = mean(guide), mean(chroma)
    variance = np.maximum(mean(guide * guide) - light * light, 0)
    together = mean(guide[..., None] * chroma) - light[..., None] * colour
    slope = together / (variance + np.float32(SMOOTHNESS))[..., None]
    offset = colour - slope * light[..., None]
    return mean(np.concatenate([slope, offset], axis=2))


def _strips(rows: int, columns: int) -> Iterator[tuple[int, int]]:
    step = max(1, STRIP_PIXELS // columns)
    for top in range(0, rows, step):
        yield top, min(top + step, rows)


def _enlarged(planes: Floats, top: int, bottom: int, rows: int, columns: int) -> Floats:
    """Rows top..bottom of the planes (h, w, C) at (rows, columns), linearly interpolated."""
    last = planes.shape[0] - 1
    at = (np.arange(top, bottom) + 0.5) * planes.shape[0] / rows - 0.5
    at = np.clip(at, 0, last)
    above = at.astype(np.intp)
    part = (at - above).astype(np.float32)[:, None, None]
    lines = planes[above] * (1 - part) + planes[np.minimum(above + 1, last)] * part
    size = (columns, bottom - top)
    return np.asarray(cv2.resize(lines, size, interpolation=cv2.INTER_LINEAR), np.float32)


def _luminance(image: Image) -> Floats:
    """(..., 3) uint8 sRGB -> relative luminance, 0..1."""
    red, green, blue = (_SHARES[channel][image[..., channel]] for channel in range(3))
    return np.asarray(red + green + blue, np.float32)


def _lightness(luminance: Floats) -> Floats:
    """CIELAB L*, 0..100."""
    root = np.asarray(cv2.pow(luminance, 1 / 3), np.float32).reshape(luminance.shape)
    low = luminance / np.float32(3 * _KNEE**2) + np.float32(4 / 29)
    return np.asarray(116 * np.where(luminance > _KNEE**3, root, low) - 16, np.float32)


def _rgb(luminance: Floats, light: Floats, chroma: Floats) -> Image:
    """Luminance and lightness (h, w) with chroma (h, w, 2) a*, b* -> (h, w, 3) uint8 sRGB.

    What lies outside of sRGB is mixed with the grey of the same luminance until it lies inside:
    luminance is linear in linear RGB, so it stays exactly what it was.
    """
    middle = (light + 16) / np.float32(116)
    roots = [middle + chroma[..., 0] / 500, middle, middle - chroma[..., 1] / 200]
    x, z = (_unroot(roots[index]) * _WHITE[index] for index in (0, 2))
    linear = np.stack([x, luminance, z], axis=-1) @ _XYZ_TO_RGB.T
    grey = luminance[..., None]
    away = linear - grey
    # How far from grey each channel may go, as a share of how far it wants to go.
    room = np.where(away > 0, 1 - grey, grey)
    share = np.min(room / np.maximum(np.abs(away), 1e-9), axis=-1, keepdims=True)
    inside = np.clip(grey + np.minimum(share, 1) * away, 0, 1)
    return _encoded(np.asarray(inside, np.float32))


def _unroot(root: Floats) -> Floats:
    return np.asarray(
        np.where(root > _KNEE, root**3, np.float32(3 * _KNEE**2) * (root - np.float32(4 / 29))),
        np.float32,
    )


def _encoded(linear: Floats) -> Image:
    """Linear RGB 0..1 -> uint8 sRGB."""
    power = np.asarray(cv2.pow(linear.reshape(-1, 3), 1 / 2.4), np.float32).reshape(linear.shape)
    values = np.where(linear > 0.0031308, 1.055 * power - 0.055, 12.92 * linear)
    return np.asarray(np.rint(values * 255), np.uint8)


@dataclass(frozen=True)
class FaceColouriser:
    """The stage of a pipeline: colours crops, the enhanced one where there is one."""

    colouriser: Colouriser
    origin: Origin
    only_grey: bool = True
    """Leaves pictures and faces alone that have colour."""

    def __call__(self, image: Image, portraits: Sequence[Portrait]) -> list[Coloured | None]:
        """One for each portrait of a picture (H, W, 3); None where there is nothing to colour."""
        if not portraits or (self.only_grey and not is_grey(image)):
            return [None] * len(portraits)
        return [self._coloured(portrait) for portrait in portraits]

    def _coloured(self, portrait: Portrait) -> Coloured | None:
        crop, better = portrait.crop, portrait.enhanced
        # A face may be the one coloured thing in a grey corridor.
        if crop is None or (self.only_grey and not is_grey(crop.image)):
            return None
        picture = self.colouriser(crop.image if better is None else better.image)
        saturation = self.colouriser.options.saturation
        return Coloured(picture, self.origin, saturation, "crop" if better is None else "enhanced")
