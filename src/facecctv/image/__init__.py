"""Bytes and files to pictures and back, and pictures to other sizes.

The only room where file formats exist: everything it hands out is (H, W, 3) uint8 RGB, upright.
"""

from __future__ import annotations

from facecctv.image.carrying import Carried, carried
from facecctv.image.files import find, shown, write_atomic
from facecctv.image.reading import Limits, Picture, decode, read, read_bytes
from facecctv.image.sizes import letterbox, pad_to_multiple, resize, tiles
from facecctv.image.writing import FORMATS, Format, encode, read_metadata

__all__ = [
    "FORMATS",
    "Carried",
    "Format",
    "Limits",
    "Picture",
    "carried",
    "decode",
    "encode",
    "find",
    "letterbox",
    "pad_to_multiple",
    "read",
    "read_bytes",
    "read_metadata",
    "resize",
    "shown",
    "tiles",
    "write_atomic",
]
