"""What a file says beside its pixels: taken over, or left out and noted, never an error."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import ExifTags

from facecctv.errors import ImageError
from facecctv.image import carried, encode, read_metadata

_Base, _IFD = ExifTags.Base, ExifTags.IFD
PIXELS = np.zeros((4, 6, 3), np.uint8)


def picture(exif=None, format="JPEG", **more):
    buffer = io.BytesIO()
    if exif is not None:
        more["exif"] = exif.tobytes()
    PIL.Image.fromarray(PIXELS).save(buffer, format, **more)
    return buffer.getvalue()


def said():
    exif = PIL.Image.Exif()
    exif[_Base.Make] = "Maker"
    exif[_Base.ImageDescription] = "Gate"
    exif[_IFD.Exif] = {_Base.DateTimeOriginal: "2026:03:01 22:15:03", _Base.ExposureTime: 0.02}
    exif[_IFD.GPSInfo] = {ExifTags.GPS.GPSLatitudeRef: "N"}
    return exif


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"])
def test_nothing_said(format):
    kept = carried(picture(format=format))
    assert (kept.first, kept.exposure, kept.place) == ({}, {}, {})
    assert (kept.description, kept.profile, kept.notes) == ("", b"", ())
    assert not len(kept.exif())


def test_no_picture():
    with pytest.raises(ImageError, match="not a picture"):
        carried(b"text")


def test_what_is_said_once_is_said_again_and_again():
    data = picture(said())
    for _ in range(3):
        kept = carried(data)
        assert kept.first == {_Base.Make: "Maker"}
        assert kept.exposure[_Base.DateTimeOriginal] == "2026:03:01 22:15:03"
        assert kept.exposure[_Base.ExposureTime] == pytest.approx(0.02)
        assert kept.place == {ExifTags.GPS.GPSLatitudeRef: "N"}
        assert kept.notes == ()
        data = encode(PIXELS, "jpeg", kept=kept)
    assert read_metadata(encode(PIXELS, "jpeg", kept=carried(picture(said())))) == {
        "Source description": "Gate"
    }


def test_what_has_no_room_is_left_out_and_noted():
    exif = said()
    exif[_Base.Copyright] = "x" * 5000
    kept = carried(picture(exif))
    assert set(kept.first) == {_Base.Make}
    assert kept.notes == ("EXIF kept in part",)


def test_all_that_may_be_said_fits_a_jpeg():
    exif = PIL.Image.Exif()
    exif[_Base.ImageDescription] = "\u00e4" * 4000
    for tag in (_Base.Make, _Base.Model, _Base.Artist, _Base.Copyright):
        exif[tag] = "w" * 4000
    exif[_IFD.Exif] = dict.fromkeys((36867, 36868, 37520, 37521, 42035, 42036), "y" * 4000)
    exif[_IFD.GPSInfo] = dict.fromkeys((1, 3, 8, 9, 16, 18), "z" * 4000)
    kept = carried(picture(exif, format="PNG"))
    assert kept.notes == ("EXIF kept in part",)
    words = {"Steps": "s" * 4000}
    assert read_metadata(encode(PIXELS, "jpeg", metadata=words, kept=kept))["Steps"] == "s" * 4000


@pytest.mark.parametrize(
    ("dpi", "expected"), [((300, 150), (300, 150)), ((0, 72), None), (None, None)]
)
def test_dots_an_inch(dpi, expected):
    assert carried(picture(dpi=dpi) if dpi else picture()).dpi == expected


WHOLE = picture(said())


@given(st.lists(st.tuples(st.integers(20, 300), st.integers(0, 255)), min_size=1, max_size=8))
@example([(30, 255)])
def test_damage_is_noted_or_refused(changes):
    data = bytearray(WHOLE)
    for at, value in changes:
        data[at] = value
    try:
        kept = carried(bytes(data))
    except ImageError:
        return
    assert encode(PIXELS, "jpeg", kept=kept)
