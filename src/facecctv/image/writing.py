"""Pictures to bytes, with words about them inside."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any, Literal

import PIL.Image
from PIL import ExifTags
from PIL.PngImagePlugin import PngInfo

from facecctv.errors import OutputError
from facecctv.image.carrying import NOTHING, Carried
from facecctv.image.reading import open_header
from facecctv.types import Image, check_image

Format = Literal["png", "jpeg", "webp", "tiff"]

FORMATS: dict[str, Format] = {
    ".png": "png",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".webp": "webp",
    ".tif": "tiff",
    ".tiff": "tiff",
}
"""By the suffix of a file's name, lower case."""

USUAL_QUALITY = 92
_LONGEST = {"png": 2**31 - 1, "jpeg": 65_500, "webp": 16_383, "tiff": 2**31 - 1}
_LARGEST_TIFF = 2**32 - 2**24
"""Bytes of pixels: offsets in the file have 32 bits, and something else is in it too."""
_DESCRIPTION = ExifTags.Base.ImageDescription
# An EXIF block has to fit a JPEG segment of 64 KiB with its header.
_LARGEST_BLOCK = 65_300


def quality_of(format: Format, quality: int = USUAL_QUALITY) -> int | None:
    """The quality, 1 to 100, where the format has one."""
    return quality if format in ("jpeg", "webp") else None


def encode(
    image: Image,
    format: Format = "png",
    quality: int = USUAL_QUALITY,
    metadata: Mapping[str, str] | None = None,
    kept: Carried = NOTHING,
) -> bytes:
    """A picture, (H, W, 3) uint8 RGB, as the bytes of a file.

    `quality` (1..100) is for JPEG and WebP; from 90 on, JPEG keeps colour at full resolution. PNG
    and TIFF are lossless; TIFF is not compressed, for with compression Pillow writes no EXIF of the
    exposure.
    `metadata`: PNG keeps each entry as a text chunk, the others keep all as one JSON object in the
    EXIF image description; `read_metadata` reads either. Keys are 1..79 printable ASCII.
    `kept` is what the source's file said beside its pixels; a description that it had becomes the
    entry "Source description".
    Raises ValueError for arguments outside these bounds, OutputError if the format cannot hold a
    picture this large or metadata this long.
    """
    check_image(image)
    if format not in _LONGEST:
        raise ValueError(f"format must be one of {', '.join(_LONGEST)}, not {format}")
    if not 1 <= quality <= 100:
        raise ValueError(f"quality must be in 1..100, not {quality}")
    _check_size(image, format)
    words = _checked(metadata or {})
    if kept.description:
        words["Source description"] = kept.description
    exif = kept.exif()
    options: dict[str, Any] = {"dpi": kept.dpi} if kept.dpi else {}
    if kept.profile:
        options["icc_profile"] = kept.profile
    if format == "png":
        options["pnginfo"] = _chunks(words)
    else:
        _describe(exif, words)
    if len(exif):
        options["exif"] = exif.tobytes() if format == "tiff" else _block(exif)
    match format:
        case "jpeg":
            options |= {"quality": quality, "subsampling": 0 if quality >= 90 else 2}
        case "webp":
            options["quality"] = quality
    buffer = io.BytesIO()
    PIL.Image.fromarray(image).save(buffer, format.upper(), **options)
    return buffer.getvalue()


def _check_size(image: Image, format: Format) -> None:
    longest = max(image.shape[:2])
    if longest > _LONGEST[format]:
        raise OutputError(
            f"{format} holds at most {_LONGEST[format]} pixels a side, not {longest}: use png"
        )
    if format == "tiff" and image.nbytes > _LARGEST_TIFF:
        raise OutputError("tiff holds at most 4 GB of pixels: use png")


def _checked(metadata: Mapping[str, str]) -> dict[str, str]:
    for key in metadata:
        if not (1 <= len(key) <= 79 and key.isascii() and key.isprintable()):
            raise ValueError(f"a metadata key is 1 to 79 printable ASCII characters, not {key!r}")
    return dict(metadata)


def _chunks(words: Mapping[str, str]) -> PngInfo:
    info = PngInfo()
    for key, value in words.items():
        info.add_itxt(key, value.encode("utf-8", "backslashreplace").decode())
    return info


def _describe(exif: PIL.Image.Exif, words: Mapping[str, str]) -> None:
    if words:
        exif[_DESCRIPTION] = json.dumps(words)


def _block(exif: PIL.Image.Exif) -> bytes:
    block = exif.tobytes()
    if len(block) > _LARGEST_BLOCK:
        raise OutputError(f"metadata of {len(block)} bytes does not fit the format: use tiff")
    return block


def read_metadata(data: bytes) -> dict[str, str]:
    """The words that `encode` put into a file; empty where there are none.

    Raises ImageError if the bytes are no readable picture.
    """
    with open_header(data) as (format, source):
        if format == "png":
            return {str(k): str(v) for k, v in source.info.items() if isinstance(v, str)}
        text = source.getexif().get(_DESCRIPTION, "")
    try:
        words = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        # Someone else's description: not words of ours.
        return {}
    if not isinstance(words, dict):
        return {}
    return {key: value for key, value in words.items() if isinstance(value, str)}
