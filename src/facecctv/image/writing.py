"""Pictures to bytes, with words about them inside."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Literal

import PIL.Image
from PIL import ExifTags
from PIL.PngImagePlugin import PngInfo

from facecctv.errors import OutputError
from facecctv.image.reading import open_header
from facecctv.types import Image, check_image

Format = Literal["png", "jpeg", "webp"]

_LONGEST = {"png": 2**31 - 1, "jpeg": 65_500, "webp": 16_383}
_DESCRIPTION = ExifTags.Base.ImageDescription
# An EXIF block has to fit a JPEG segment of 64 KiB with its header.
_LARGEST_DESCRIPTION = 65_000


def encode(
    image: Image,
    format: Format = "png",
    quality: int = 92,
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """A picture, (H, W, 3) uint8 RGB, as the bytes of a file.

    `quality` (1..100) is for JPEG and WebP; from 90 on, JPEG keeps colour at full resolution.
    `metadata`: PNG keeps each entry as a text chunk, JPEG and WebP keep all as one JSON object in
    the EXIF image description; `read_metadata` reads either. Keys are 1..79 printable ASCII.
    Raises ValueError for arguments outside these bounds, OutputError if the format cannot hold a
    picture this large or metadata this long.
    """
    check_image(image)
    if format not in _LONGEST:
        raise ValueError(f"format must be one of {', '.join(_LONGEST)}, not {format}")
    if not 1 <= quality <= 100:
        raise ValueError(f"quality must be in 1..100, not {quality}")
    longest = max(image.shape[:2])
    if longest > _LONGEST[format]:
        raise OutputError(
            f"{format} holds at most {_LONGEST[format]} pixels a side, not {longest}: use png"
        )
    words = _checked(metadata or {})
    picture = PIL.Image.fromarray(image)
    buffer = io.BytesIO()
    if format == "png":
        picture.save(buffer, "PNG", pnginfo=_chunks(words))
    elif format == "jpeg":
        subsampling = 0 if quality >= 90 else 2
        exif = _description(words)
        picture.save(buffer, "JPEG", quality=quality, subsampling=subsampling, exif=exif)
    else:
        picture.save(buffer, "WEBP", quality=quality, exif=_description(words))
    return buffer.getvalue()


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


def _description(words: Mapping[str, str]) -> bytes:
    if not words:
        return b""
    text = json.dumps(words)
    if len(text) > _LARGEST_DESCRIPTION:
        raise OutputError(
            f"metadata of {len(text)} characters does not fit a JPEG or WebP: use png"
        )
    exif = PIL.Image.Exif()
    exif[_DESCRIPTION] = text
    return exif.tobytes()


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
