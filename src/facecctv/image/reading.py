"""Bytes to pictures: any common format, upright, RGB, within limits; anything else one clear error.

The format is told by the first bytes, never by a name. Each format is opened by its own Pillow
reader rather than by `PIL.Image.open`, so no other reader ever sees the bytes and the pixel limit
is ours, checked from the header before anything is decoded.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module

import PIL.Image
from PIL import ExifTags
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from facecctv.errors import ImageError, LimitError, MissingExtra
from facecctv.image.files import shown
from facecctv.image.pixels import rgb
from facecctv.types import Image

BROKEN = (
    OSError,  # truncated data; UnidentifiedImageError is one
    SyntaxError,  # Pillow's word for a broken header
    ValueError,  # impossible sizes, modes, text chunks; bad Unicode
    TypeError,  # a TIFF tag of the wrong type
    KeyError,  # a missing TIFF tag, an unknown mode
    IndexError,  # headers cut short
    AttributeError,  # a tag read before the header gave it
    EOFError,  # no first frame
    ArithmeticError,  # OverflowError, ZeroDivisionError: hostile sizes and resolutions
    AssertionError,  # Pillow's own checks
    RuntimeError,  # AVIF and HEIC decoders; NotImplementedError is one
    BufferError,  # a tile beyond its data
    struct.error,
    zlib.error,
    Warning,  # broken EXIF and the like, where warnings are made errors
)
"""What Pillow and its codecs raise on hostile bytes, found by reading them and by fuzzing."""


@dataclass(frozen=True)
class Limits:
    """How large a picture may be."""

    max_bytes: int = 512 * 2**20
    """Of the file."""
    max_pixels: int = 200_000_000
    """Width times height, as the header gives it."""

    def __post_init__(self) -> None:
        if self.max_bytes < 1 or self.max_pixels < 1:
            raise ValueError("limits must be at least 1")


_DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture and what is known of its file."""

    image: Image
    """(H, W, 3) uint8 RGB, turned upright as EXIF says."""
    sha256: str
    """Of the file's bytes, 64 hexadecimal digits."""
    format: str
    """jpeg, png, webp, tiff, bmp, gif, avif or heic."""
    notes: tuple[str, ...] = ()
    """What was changed or left out on the way to 8-bit RGB, one plain phrase each."""

    @property
    def width(self) -> int:
        """Pixels, after the turn."""
        return int(self.image.shape[1])

    @property
    def height(self) -> int:
        """Pixels, after the turn."""
        return int(self.image.shape[0])


class _Tiff(TiffImageFile):
    def load_prepare(self) -> None:
        # Memory made here is not measured against Pillow's own pixel limit; ours has been checked.
        if self._im is None:
            self.im = PIL.Image.new(self.mode, self._tile_size, None).im
        super().load_prepare()


def _heic(data: io.BytesIO) -> PIL.Image.Image:
    try:
        library = import_module("pi_heif")
    except ImportError as error:
        raise MissingExtra(
            "HEIC pictures need the package pi-heif (pip install pi-heif); or convert it to JPEG"
        ) from error
    source: PIL.Image.Image = library.HeifImageFile(data)
    return source


_READERS: dict[str, Callable[[io.BytesIO], PIL.Image.Image]] = {
    "jpeg": JpegImageFile,
    "png": PngImageFile,
    "webp": WebPImageFile,
    "tiff": _Tiff,
    "bmp": BmpImageFile,
    "gif": GifImageFile,
    "avif": AvifImageFile,
    "heic": _heic,
}

_MAGIC = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"BM", "bmp"),
)
_PNG_DEPTH_AT = 24
_TIFF_BITS_PER_SAMPLE = 258
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}


def _format(data: bytes | bytearray) -> str | None:
    data = bytes(data[:256])
    for magic, name in _MAGIC:
        if data.startswith(magic):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[4:8] == b"ftyp":
        end = min(int.from_bytes(data[:4], "big"), 256)
        brands = {data[at : at + 4] for at in (8, *range(16, end, 4))}
        if brands & _AVIF_BRANDS:
            return "avif"
        if brands & _HEIC_BRANDS:
            return "heic"
    return None


@contextmanager
def open_header(
    data: bytes | bytearray, limits: Limits = _DEFAULT_LIMITS
) -> Iterator[tuple[str, PIL.Image.Image]]:
    """The format and Pillow's picture, header read, limits checked, nothing decoded yet.

    Whatever Pillow raises inside the block leaves it as ImageError.
    """
    if not data:
        raise ImageError("the file is empty")
    if len(data) > limits.max_bytes:
        raise LimitError(f"{len(data):,} bytes are more than the limit of {limits.max_bytes:,}")
    name = _format(data)
    if name is None:
        raise ImageError("not a picture (known: JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF, HEIC)")
    try:
        with _READERS[name](io.BytesIO(data)) as source:
            width, height = source.size
            if width * height > limits.max_pixels:
                raise LimitError(
                    f"{width} x {height} pixels are more than the limit of {limits.max_pixels:,}"
                )
            yield name, source
    except PIL.Image.DecompressionBombError as error:
        # WebP beyond 179 million pixels, whatever our limit: Pillow refuses it while opening.
        raise LimitError(f"{name.upper()}: {_line(error)}") from error
    except MemoryError as error:
        raise LimitError("not enough memory to decode a picture of this size") from error
    except BROKEN as error:
        raise ImageError(f"damaged {name.upper()}: {_line(error)}") from error


def _line(error: BaseException) -> str:
    words = " ".join(str(error).split())
    return words[:200] if words else type(error).__name__


def decode(data: bytes | bytearray, limits: Limits = _DEFAULT_LIMITS) -> Picture:
    """A picture from the bytes of a file.

    JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF, and HEIC where pi-heif is installed; of several frames
    or pages the first. EXIF orientation is applied. Transparency is laid over white. Grey of
    16 bits is scaled to 8 by its depth on record (TIFF's BitsPerSample or MaxSampleValue), else
    by 65535, but by 4095 if no pixel is above that: 12-bit cameras store 16 bits and would come
    out black. Colour of 16 bits loses its low byte. Floating-point and 32-bit pixels have no
    agreed range and are refused rather than stretched. Each such change is named in `notes`.

    Raises ImageError for anything unreadable, truncated or in no known format, LimitError beyond
    the limits (pixels are checked from the header, before decoding), MissingExtra for HEIC
    without pi-heif.
    """
    with open_header(data, limits) as (name, source):
        source.load()
        orientation, notes = (1, []) if name == "heic" else _orientation(source)
        pixels = rgb(source, orientation, _bits(name, data, source))
        notes += [*pixels.notes, *_other_frames(source)]
    return Picture(pixels.image, hashlib.sha256(data).hexdigest(), name, tuple(notes))


def _bits(name: str, data: bytes | bytearray, source: PIL.Image.Image) -> int:
    """Depth of a sample in the file; Pillow's mode no longer tells for colour."""
    if name == "png":
        return data[_PNG_DEPTH_AT]
    if isinstance(source, TiffImageFile):
        stated = source.tag_v2.get(_TIFF_BITS_PER_SAMPLE, (8,))
        return max(stated) if isinstance(stated, tuple) else int(stated)
    return 8


def _orientation(source: PIL.Image.Image) -> tuple[int, list[str]]:
    try:
        value = source.getexif().get(ExifTags.Base.Orientation, 1)
    except BROKEN:
        return 1, ["EXIF unreadable: not turned"]
    if not isinstance(value, int) or not 1 <= value <= 8:
        return 1, []
    return value, [] if value == 1 else [f"turned upright (EXIF orientation {value})"]


def _other_frames(source: PIL.Image.Image) -> list[str]:
    try:
        several = getattr(source, "is_animated", False)
    except BROKEN:
        return ["the frames after the first are damaged"]
    return ["first of several frames"] if several else []


def read(path: str | os.PathLike[str], limits: Limits = _DEFAULT_LIMITS) -> Picture:
    """A picture from a file, opened read-only; its size is checked before it is read.

    Raises as `decode`, and ImageError if there is no such file or it may not be read; messages
    begin with the path as given.
    """
    try:
        return decode(read_bytes(path, limits), limits)
    except (ImageError, MissingExtra) as error:
        raise type(error)(f"{shown(path)}: {error}") from error


def read_bytes(path: str | os.PathLike[str], limits: Limits = _DEFAULT_LIMITS) -> bytes:
    """The bytes of a file, opened read-only, for `decode`; its size is checked before it is read.

    Raises ImageError if there is no such file or it may not be read, LimitError beyond the limit;
    messages leave the naming of the file to the caller.
    """
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            os.listdir(path)
            raise ImageError("a folder, not a picture")
        if not stat.S_ISREG(status.st_mode):
            raise ImageError("not a regular file")
        if status.st_size > limits.max_bytes:
            raise LimitError(
                f"{status.st_size:,} bytes are more than the limit of {limits.max_bytes:,}"
            )
        with open(path, "rb") as file:
            # One byte more than allowed, for a file that grew since.
            return file.read(limits.max_bytes + 1)
    except (OSError, ValueError) as error:
        # ValueError: a name with a zero byte.
        raise ImageError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error
