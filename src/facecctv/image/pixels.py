"""From Pillow's many pixel modes to upright 8-bit RGB, in strips so that memory stays low."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import PIL.Image
from PIL.TiffImagePlugin import TiffImageFile

from facecctv.errors import ImageError
from facecctv.types import Image

_STRIP_PIXELS = 1 << 20
_MAX_SAMPLE_VALUE = 281
_PHOTOMETRIC = 262
_WHITE_IS_ZERO = 0

Strip = PIL.Image.Image


@dataclass(frozen=True, eq=False)
class Pixels:
    """(H, W, 3) uint8 RGB, and what was changed on the way to it."""

    image: Image
    notes: tuple[str, ...]


def rgb(source: PIL.Image.Image, orientation: int, bits: int) -> Pixels:
    """The loaded picture as RGB, turned by its EXIF orientation (1..8).

    `bits` is the depth of a sample as the header gives it.
    Strip by strip into the upright array: never more than Pillow's picture and the result at
    once. Raises ImageError for pixels without an agreed range (32-bit, floating point).
    """
    width, height = source.size
    convert, notes = _conversion(source, bits)
    sides = (width, height) if orientation >= 5 else (height, width)
    image = np.empty((*sides, 3), np.uint8)
    stored = _as_stored(image, orientation)
    rows = max(1, _STRIP_PIXELS // width)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        stored[top:bottom] = convert(source.crop((0, top, width, bottom)))
    return Pixels(image, tuple(notes))


def _as_stored(upright: Image, orientation: int) -> Image:
    """A view of the upright array in the order in which the file stores its pixels."""
    match orientation:
        case 2:
            return upright[:, ::-1]
        case 3:
            return upright[::-1, ::-1]
        case 4:
            return upright[::-1]
        case 5:
            return upright.swapaxes(0, 1)
        case 6:
            return np.rot90(upright, 1)
        case 7:
            return upright.swapaxes(0, 1)[::-1, ::-1]
        case 8:
            return np.rot90(upright, -1)
    return upright


def _conversion(source: PIL.Image.Image, bits: int) -> tuple[Callable[[Strip], Image], list[str]]:
    if source.mode.startswith("I;16"):
        return _grey16(source, bits)
    if source.mode in ("I", "F"):
        kind = "floating-point" if source.mode == "F" else "32-bit"
        raise ImageError(f"{kind} pixels have no agreed range: convert to 8 or 16 bits first")
    notes = ["16-bit colour cut to 8"] if bits > 8 else []
    if source.has_transparency_data:
        return _over_white, [*notes, "transparency laid over white"]
    if source.mode == "CMYK":
        notes.append("CMYK converted without its colour profile")
    return _plain, notes


def _plain(strip: Strip) -> Image:
    return np.asarray(strip if strip.mode == "RGB" else strip.convert("RGB"))


def _over_white(strip: Strip) -> Image:
    layers = np.asarray(strip.convert("RGBA")).astype(np.uint16)
    alpha = layers[..., 3:]
    mixed: Image = ((layers[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    return mixed


def _grey16(source: PIL.Image.Image, bits: int) -> tuple[Callable[[Strip], Image], list[str]]:
    highest, how = _highest(source, bits)
    inverted = (
        isinstance(source, TiffImageFile) and source.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO
    )
    notes = [f"16-bit grey scaled to 8: {highest} is white ({how})"]
    if "transparency" in source.info:
        notes.append("transparency ignored")
    return partial(_scaled_grey, table=_table(highest, inverted)), notes


def _highest(source: PIL.Image.Image, bits: int) -> tuple[int, str]:
    if isinstance(source, TiffImageFile):
        if 8 < bits < 16:
            return (1 << bits) - 1, "bits per sample"
        stated = source.tag_v2.get(_MAX_SAMPLE_VALUE)
        value = stated[0] if isinstance(stated, tuple) and stated else stated
        if isinstance(value, int) and 255 < value <= 65535:
            return (1 << value.bit_length()) - 1, "maximum on record"
    brightest = _brightest(source)
    if brightest <= 4095:
        return 4095, "no pixel is brighter, so read as 12 bits"
    return 65535, "full range"


def _brightest(source: PIL.Image.Image) -> int:
    width, height = source.size
    rows = max(1, _STRIP_PIXELS // width)
    strips = (
        source.crop((0, top, width, min(top + rows, height))) for top in range(0, height, rows)
    )
    return max(int(np.asarray(strip).max()) for strip in strips)


def _table(highest: int, inverted: bool) -> npt.NDArray[np.uint8]:
    values = np.arange(65536, dtype=np.float64).clip(0, highest)
    levels: npt.NDArray[np.uint8] = np.rint(values * (255 / highest)).astype(np.uint8)
    return 255 - levels if inverted else levels


def _scaled_grey(strip: Strip, table: npt.NDArray[np.uint8]) -> Image:
    grey = table[np.asarray(strip).astype(np.uint16)]
    return np.repeat(grey[..., None], 3, axis=2)
