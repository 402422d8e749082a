"""What a picture's file says beside its pixels, to be taken over into what is made of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import PIL.Image
from PIL import ExifTags

from facecctv.image.reading import BROKEN, Limits, open_header

_Base, _IFD = ExifTags.Base, ExifTags.IFD
_TAKEN = frozenset(
    {
        *(_Base.Make, _Base.Model, _Base.DateTime, _Base.Artist, _Base.Copyright),
        *(_Base.HostComputer, _Base.DocumentName, _Base.XPTitle, _Base.XPComment),
    }
)
"""Of the first directory: what was photographed when and with what; not how its pixels lie."""
_LEFT = frozenset(
    {
        _Base.MakerNote,  # full of offsets into the old file
        *(
            _Base.ExifImageWidth,
            _Base.ExifImageHeight,
            _Base.ColorSpace,
            _Base.ExifInteroperabilityOffset,
        ),
        *(_Base.ComponentsConfiguration, _Base.CompressedBitsPerPixel),
    }
)
"""Of the directory of the exposure: what is true of the old file's pixels alone."""
_LONGEST = 4096
"""Bytes of one value."""
_ROOM = 8192
"""Bytes of one directory: all three and what we say have to fit a JPEG segment of 64 KiB."""


@dataclass(frozen=True, eq=False)
class Carried:
    """What goes over into a new file."""

    first: dict[int, Any]
    """EXIF tags of the picture: camera, time, author."""
    exposure: dict[int, Any]
    """EXIF tags of the exposure, the time of taking among them."""
    place: dict[int, Any]
    """EXIF tags of the place (GPS)."""
    description: str = ""
    profile: bytes = b""
    """ICC profile of the RGB pixels; empty where there is none or it is of another colour space."""
    dpi: tuple[float, float] | None = None
    """Pixels an inch, across and down: where they differ, pixels are not square."""
    notes: tuple[str, ...] = ()
    """What was there and cannot be taken over, one plain phrase each."""

    def exif(self) -> PIL.Image.Exif:
        """As a new EXIF block, without orientation: the pixels are upright."""
        block = PIL.Image.Exif()
        for tag, value in self.first.items():
            block[tag] = value
        for directory, values in ((_IFD.Exif, self.exposure), (_IFD.GPSInfo, self.place)):
            if values:
                block[directory] = dict(values)
        return block


NOTHING = Carried({}, {}, {})


def carried(data: bytes | bytearray, limits: Limits | None = None) -> Carried:
    """What a picture's bytes say beside the pixels; decodes none of them.

    Damaged or oversized words are left out and noted, never an error. Raises ImageError and
    LimitError as `decode` does for bytes that are no picture at all.
    """
    with open_header(data, limits or Limits()) as (_, source):
        profile, notes = _profile(source)
        dpi = _dpi(source)
        try:
            block = source.getexif()
            first = {int(tag): block[tag] for tag in _TAKEN if tag in block}
            exposure = {
                tag: value for tag, value in block.get_ifd(_IFD.Exif).items() if tag not in _LEFT
            }
            place = dict(block.get_ifd(_IFD.GPSInfo))
            said = block.get(_Base.ImageDescription, "")
        except BROKEN:
            return Carried({}, {}, {}, "", profile, dpi, (*notes, "EXIF unreadable: not kept"))
    parts = [
        _writable(first, None),
        _writable(exposure, _IFD.Exif),
        _writable(place, _IFD.GPSInfo),
    ]
    if [len(part) for part in parts] != [len(first), len(exposure), len(place)]:
        notes.append("EXIF kept in part")
    description = said[:_LONGEST] if isinstance(said, str) else ""
    return Carried(parts[0], parts[1], parts[2], description, profile, dpi, tuple(notes))


def _writable(values: dict[int, Any], directory: int | None) -> dict[int, Any]:
    """The values that can be written again, judged one by one, as many as there is room for."""
    kept, room = {}, _ROOM
    for tag, value in values.items():
        block = PIL.Image.Exif()
        if directory is None:
            block[tag] = value
        else:
            block[directory] = {tag: value}
        try:
            size = len(block.tobytes())
        except BROKEN:
            continue
        if size <= min(_LONGEST, room):
            kept[tag] = value
            room -= size
    return kept


def _profile(source: PIL.Image.Image) -> tuple[bytes, list[str]]:
    profile = source.info.get("icc_profile")
    if not isinstance(profile, bytes) or len(profile) < 128:
        return b"", []
    if profile[16:20] != b"RGB " or source.mode not in ("RGB", "RGBA", "P"):
        return b"", ["ICC profile of another colour space: not kept"]
    return profile, []


def _dpi(source: PIL.Image.Image) -> tuple[float, float] | None:
    try:
        across, down = (float(value) for value in source.info.get("dpi", ()))
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if 0 < across < 1e6 and 0 < down < 1e6 else None
