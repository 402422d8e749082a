from __future__ import annotations

import base64
import hashlib
import io
import os
import resource
import struct
import subprocess
import sys
import zlib

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, TiffImagePlugin

from facecctv.errors import ImageError, LimitError
from facecctv.image import Limits, decode, read

# 96 x 64: a green bar of 24 pixels on the left; red above, blue below. HEVC by x265, made once.
HEIC = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAVZtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAA"
    "AAAAAAAAAAAAACJpbG9jAAAAAERAAAEAAQAAAAABegABAAAAAAAAAGUAAAAjaWluZgAAAAAAAQAAABVpbmZlAgAA"
    "AAABAABodmMxAAAAAA5waXRtAAAAAAABAAAA1mlwcnAAAAC3aXBjbwAAAHhodmNDAQNwAAAAkAAAAAAAHvAA/P34"
    "+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQArQgEBA3AAAAMAkAAAAwAAAwAeoDCBBZbqSSmu"
    "bgIaDAgAAAMAyAAAAwAIQGIAAQAHRAHBcrAiQAAAABNjb2xybmNseAABAA0ABoAAAAAUaXNwZQAAAAAAAABgAAAA"
    "QAAAABBwaXhpAAAAAAMICAgAAAAXaXBtYQAAAAAAAAABAAEEgQIDBAAAAG1tZGF0AAAAYSgBrwng431eKmPX7/98"
    "5//nthKZP/+/vn2Ks39kiu2DgrVDgFAJ+jUwdhpyk/hJy64k1r02W0txz/jFvHJg3+z2EW/h/3yM//8gGo+2ZG48"
    "lWamJLe4buDoJqwm//6UM+A="
)


def scene(width=96, height=64):
    """Four flat quarters that no turn or mirror maps to itself, on whole JPEG blocks."""
    image = np.empty((height, width, 3), np.uint8)
    image[: height // 2, : width // 2] = (200, 40, 40)
    image[: height // 2, width // 2 :] = (40, 200, 40)
    image[height // 2 :, : width // 2] = (40, 40, 200)
    image[height // 2 :, width // 2 :] = (220, 220, 220)
    return image


def saved(image, format, **options):
    if isinstance(image, np.ndarray):
        image = PIL.Image.fromarray(image)
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def grey16(values):
    return PIL.Image.fromarray(np.asarray(values, np.uint16))


def png(width, height, depth=8, colour=2, data=b"", extra=b""):
    """A PNG put together by hand, so that it may lie."""

    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [
        chunk(b"IHDR", header),
        extra,
        chunk(b"IDAT", zlib.compress(data)),
        chunk(b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


class TestFormats:
    @pytest.mark.parametrize(
        ("format", "options", "tolerance"),
        [
            ("PNG", {}, 0),
            ("BMP", {}, 0),
            ("TIFF", {}, 0),
            ("TIFF", {"compression": "tiff_lzw"}, 0),
            ("TIFF", {"compression": "tiff_adobe_deflate"}, 0),
            ("TIFF", {"big_tiff": True}, 0),
            ("WEBP", {"lossless": True}, 0),
            ("GIF", {}, 0),
            ("JPEG", {"quality": 95, "subsampling": 0}, 4),
            ("JPEG", {"quality": 95, "subsampling": 0, "progressive": True}, 4),
            ("AVIF", {"quality": 95, "subsampling": "4:4:4"}, 4),
        ],
    )
    def test_colour(self, format, options, tolerance):
        data = saved(scene(), format, **options)
        picture = decode(data)
        assert picture.format == format.lower()
        assert picture.image.dtype == np.uint8
        assert picture.image.flags.c_contiguous
        assert (picture.width, picture.height) == (96, 64)
        assert picture.sha256 == hashlib.sha256(data).hexdigest()
        assert picture.notes == ()
        assert np.abs(picture.image.astype(int) - scene()).max() <= tolerance

    def test_heic(self):
        pytest.importorskip("pi_heif")
        picture = decode(HEIC)
        assert picture.format == "heic"
        assert picture.image.shape == (64, 96, 3)
        places = picture.image[[5, 5, 60], [5, 50, 50]].astype(int)
        assert np.abs(places - [(30, 200, 30), (200, 30, 30), (30, 30, 200)]).max() <= 4

    def test_heic_without_its_package(self):
        """A real interpreter in which the package cannot be imported."""
        code = (
            "import sys; sys.modules['pi_heif'] = None\n"
            "from facecctv import image, errors\n"
            "try: image.decode(sys.stdin.buffer.read())\n"
            "except errors.MissingExtra as error: print(error)"
        )
        result = subprocess.run([sys.executable, "-c", code], input=HEIC, capture_output=True)
        assert b"pip install pi-heif" in result.stdout
        assert result.stdout.count(b"\n") == 1

    @pytest.mark.parametrize("mode", ["1", "L", "P"])
    def test_few_colours(self, mode):
        source = PIL.Image.fromarray(scene()).convert(mode)
        for format in ("PNG", "TIFF", "BMP", "GIF"):
            expected = np.asarray(source.convert("RGB"))
            np.testing.assert_array_equal(decode(saved(source, format)).image, expected)

    def test_cmyk_jpeg_is_not_inverted(self):
        """Pillow writes CMYK JPEG as Adobe does, inverted, with Adobe's marker."""
        source = PIL.Image.fromarray(scene()).convert("CMYK")
        picture = decode(saved(source, "JPEG", quality=95))
        assert np.abs(picture.image.astype(int) - scene()).max() <= 6
        assert "CMYK" in picture.notes[0]

    def test_ycck_jpeg(self):
        """Adobe's transform byte at 2: the first three channels are luma and chroma, inverted.

        Stored are Y 55, Cb and Cr 128, K 255: no colour, so cyan, magenta and yellow are each 55
        and black is none, which is grey 200.
        """
        source = PIL.Image.new("CMYK", (16, 16), (200, 127, 127, 0))
        data = saved(source, "JPEG", quality=98)
        at = data.index(b"Adobe") + 11
        assert data[at] == 0
        image = decode(data[:at] + b"\2" + data[at + 1 :]).image
        assert np.abs(image.astype(int) - 200).max() <= 4
        assert np.abs(decode(data).image[0, 0].astype(int) - (55, 128, 128)).max() <= 4

    @pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF", "AVIF"])
    def test_transparency_is_laid_over_white(self, format):
        layers = np.zeros((8, 8, 4), np.uint8)
        layers[:, :4] = (200, 0, 0, 255)
        layers[:, 4:] = (0, 0, 0, 0)
        layers[4:, 4:] = (0, 0, 0, 128)
        options = {"PNG": {}, "TIFF": {}, "WEBP": {"lossless": True}, "AVIF": {"quality": 100}}
        picture = decode(saved(layers, format, **options[format]))
        image = picture.image.astype(int)
        tolerance = 12 if format == "AVIF" else 0
        assert np.abs(image[0, 0] - (200, 0, 0)).max() <= tolerance
        assert np.abs(image[0, 7] - 255).max() <= tolerance
        assert np.abs(image[7, 7] - 127).max() <= tolerance
        assert picture.notes == ("transparency laid over white",)

    def test_transparent_palette_grey_and_colour(self):
        palette = PIL.Image.new("P", (4, 1))
        palette.putpalette([9, 9, 9, 200, 0, 0, 0, 200, 0, 0, 0, 200])
        palette.putdata([0, 1, 2, 3])
        white = [255, 255, 255]
        assert decode(saved(palette, "PNG", transparency=0)).image[0].tolist() == [
            white,
            [200, 0, 0],
            [0, 200, 0],
            [0, 0, 200],
        ]
        some = decode(saved(palette, "PNG", transparency=bytes([255, 0, 255, 128]))).image[0]
        assert some.tolist() == [[9, 9, 9], white, [0, 200, 0], [127, 127, 227]]
        grey = decode(saved(np.array([[7, 90]], np.uint8), "PNG", transparency=7)).image[0]
        assert grey.tolist() == [white, [90] * 3]
        colour = np.array([[[7, 8, 9], [1, 2, 3]]], np.uint8)
        assert decode(saved(colour, "PNG", transparency=(7, 8, 9))).image[0].tolist() == [
            white,
            [1, 2, 3],
        ]
        gif = decode(saved(palette, "GIF", transparency=0))
        assert gif.image[0, 0].tolist() == white

    def test_first_of_several(self):
        frames = [PIL.Image.new("RGB", (20, 10), colour) for colour in ("red", "blue", "lime")]
        for format in ("GIF", "TIFF", "WEBP", "PNG", "AVIF"):
            options = {"save_all": True, "append_images": frames[1:]}
            picture = decode(saved(frames[0], format, **options))
            assert picture.image.shape == (10, 20, 3)
            assert np.abs(picture.image.astype(int) - (255, 0, 0)).max() <= 4, format
            assert picture.notes == ("first of several frames",), format

    @pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 5000), (5000, 1), (3, 2)])
    @pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF"])
    def test_any_shape(self, width, height, format):
        data = saved(np.full((height, width, 3), 90, np.uint8), format)
        image = decode(data).image
        assert image.shape == (height, width, 3)
        assert np.abs(image.astype(int) - 90).max() <= 3


class TestDepth:
    ramp = np.linspace(0, 65535, 256).round().astype(np.uint16).reshape(16, 16)

    @pytest.mark.parametrize("format", ["PNG", "TIFF"])
    def test_full_range(self, format):
        picture = decode(saved(grey16(self.ramp), format))
        np.testing.assert_array_equal(picture.image[..., 0].ravel(), np.arange(256))
        assert "65535 is white" in picture.notes[0]

    def test_big_endian_tiff(self):
        little = saved(grey16(self.ramp), "TIFF")
        big = PIL.Image.frombytes("I;16B", (16, 16), self.ramp.astype(">u2").tobytes())
        np.testing.assert_array_equal(decode(saved(big, "TIFF")).image, decode(little).image)

    @pytest.mark.parametrize("format", ["PNG", "TIFF"])
    def test_twelve_bits_in_sixteen(self, format):
        """Scaled by 65535 this would be black."""
        picture = decode(saved(grey16(self.ramp // 16), format))
        np.testing.assert_array_equal(picture.image[..., 0].ravel(), np.arange(256))
        assert "12 bits" in picture.notes[0]

    def test_depth_on_record(self):
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        tags[281] = 16383
        picture = decode(saved(grey16(self.ramp // 4), "TIFF", tiffinfo=tags))
        np.testing.assert_array_equal(picture.image[..., 0].ravel(), np.arange(256))
        assert "16383 is white (maximum on record)" in picture.notes[0]
        tags[281] = 65535
        dark = decode(saved(grey16(self.ramp // 16), "TIFF", tiffinfo=tags))
        assert dark.image.max() == 16

    def test_white_is_zero(self):
        data = bytearray(saved(grey16(self.ramp), "TIFF"))
        entry = data.index(struct.pack("<HHI", 262, 3, 1))
        struct.pack_into("<H", data, entry + 8, 0)
        np.testing.assert_array_equal(
            decode(bytes(data)).image[..., 0].ravel(), np.arange(256)[::-1]
        )

    def test_colour_of_sixteen_bits(self):
        values = np.array([[[0, 257, 65535], [32768, 4096, 255]]], ">u2")
        data = png(2, 1, depth=16, colour=2, data=b"\0" + values.tobytes())
        picture = decode(data)
        assert picture.image.tolist() == [[[0, 1, 255], [128, 16, 0]]]
        assert picture.notes == ("16-bit colour cut to 8",)

    @pytest.mark.parametrize("dtype", [np.float32, np.int32])
    def test_pixels_without_a_range(self, dtype):
        data = saved(PIL.Image.fromarray(np.ones((4, 4), dtype)), "TIFF")
        with pytest.raises(ImageError, match="no agreed range"):
            decode(data)


class TestOrientation:
    @pytest.mark.parametrize("value", range(1, 9))
    @pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
    def test_upright_again(self, value, format):
        """Stored turned as a camera would, each of the eight shows the same scene."""
        store = {
            1: lambda s: s,
            2: np.fliplr,
            3: lambda s: np.rot90(s, 2),
            4: np.flipud,
            5: lambda s: s.swapaxes(0, 1),
            6: lambda s: np.rot90(s, 1),
            7: lambda s: np.rot90(s, 2).swapaxes(0, 1),
            8: lambda s: np.rot90(s, -1),
        }
        exif = PIL.Image.Exif()
        exif[ExifTags.Base.Orientation] = value
        stored = np.ascontiguousarray(store[value](scene()))
        picture = decode(saved(stored, format, exif=exif))
        assert (picture.width, picture.height) == (96, 64)
        assert np.abs(picture.image.astype(int) - scene()).mean() < 4
        assert picture.image.flags.c_contiguous

    def test_strips_of_a_large_picture_join(self):
        rng = np.random.default_rng(0)
        image = rng.integers(0, 256, (1500, 1400, 3), np.uint8)
        exif = PIL.Image.Exif()
        exif[ExifTags.Base.Orientation] = 6
        data = saved(np.ascontiguousarray(np.rot90(image)), "PNG", exif=exif, compress_level=0)
        np.testing.assert_array_equal(decode(data).image, image)

    def test_impossible_value_is_ignored(self):
        exif = PIL.Image.Exif()
        exif[ExifTags.Base.Orientation] = 77
        picture = decode(saved(scene(), "JPEG", exif=exif))
        assert picture.image.shape == (64, 96, 3)
        assert picture.notes == ()

    def test_broken_exif_does_not_cost_the_picture(self):
        data = saved(scene(), "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7fgarbage")
        picture = decode(data)
        assert picture.image.shape == (64, 96, 3)


class TestLimits:
    def test_bomb_is_refused_from_its_header(self):
        with pytest.raises(LimitError, match="60000 x 60000"):
            decode(png(60_000, 60_000))

    @pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "AVIF"])
    def test_pixels(self, format):
        data = saved(scene(), format)
        with pytest.raises(LimitError, match="96 x 64"):
            decode(data, Limits(max_pixels=96 * 64 - 1))
        assert decode(data, Limits(max_pixels=96 * 64)).width == 96

    def test_bytes(self, tmp_path):
        data = saved(scene(), "PNG")
        path = tmp_path / "a.png"
        path.write_bytes(data)
        for call, source in ((decode, data), (read, path)):
            with pytest.raises(LimitError, match="bytes"):
                call(source, Limits(max_bytes=len(data) - 1))
            assert call(source, Limits(max_bytes=len(data))).width == 96

    def test_impossible_limits(self):
        with pytest.raises(ValueError, match="limits"):
            Limits(max_pixels=0)

    def test_a_hundred_megapixels(self):
        """Pillow would warn of a bomb; and one gigabyte of memory has to do."""
        code = (
            "import io, sys, numpy as np, PIL.Image\n"
            "from facecctv.image import decode\n"
            "picture = decode(sys.stdin.buffer.read())\n"
            "assert picture.image.shape == (12500, 8000, 3), picture.image.shape\n"
            "assert abs(int(picture.image[-1, -1, 0]) - 90) < 3\n"
            # Not getrusage: on Linux its peak begins with that of the process that forked.
            "status = open('/proc/self/status').read()\n"
            "print(int(status.split('VmHWM:')[1].split()[0]) // 1024)"
        )
        exif = PIL.Image.Exif()
        exif[ExifTags.Base.Orientation] = 6
        data = saved(PIL.Image.new("RGB", (12_500, 8_000), (90, 90, 90)), "JPEG", exif=exif)
        command = [sys.executable, "-W", "error", "-c", code]
        result = subprocess.run(command, input=data, capture_output=True, check=False)
        assert result.returncode == 0, result.stderr.decode()
        assert int(result.stdout) < 1000

    def test_a_tiff_beyond_pillows_own_limit(self):
        """Black by run lengths, 190 million pixels in a small file: within our limit."""
        width, height = 19_000, 10_000
        source = PIL.Image.new("1", (width, height))
        data = saved(source, "TIFF", compression="group4")
        with pytest.raises(LimitError):
            decode(data, Limits(max_pixels=100_000_000))
        assert decode(data).image.shape == (height, width, 3)


def outcome(data):
    """What decoding came to: "picture", or the one line of its ImageError."""
    try:
        picture = decode(data, Limits(max_pixels=1_000_000))
    except ImageError as error:
        line = str(error)
        return line if line and line.isprintable() else None
    return "picture" if picture.image.ndim == 3 else None


class TestHostile:
    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (b"", "empty"),
            (b"hello, this is text\n" * 40, "not a picture"),
            (b"\0", "not a picture"),
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture"),
            (b"RIFF\0\0\0\0AVI LIST", "not a picture"),
            (b"\0\0\0\x18ftypisom\0\0\0\0isommp41", "not a picture"),
            (png(0, 5), "damaged PNG"),
            (png(5, 5), "damaged PNG"),
            (png(5, 5, depth=3), "damaged PNG"),
        ],
    )
    def test_table(self, data, message):
        with pytest.raises(ImageError, match=message) as caught:
            decode(data)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        ("format", "options"),
        [
            ("JPEG", {}),
            ("JPEG", {"progressive": True}),
            ("PNG", {}),
            ("WEBP", {}),
            ("TIFF", {}),
            ("TIFF", {"compression": "tiff_lzw"}),
            ("BMP", {}),
            ("GIF", {}),
            ("AVIF", {}),
        ],
    )
    @pytest.mark.parametrize("part", [0.02, 0.3, 0.6, 0.9])
    def test_truncated(self, format, options, part):
        noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
        data = saved(noise, format, **options)
        with pytest.raises(ImageError) as caught:
            decode(data[: max(12, int(len(data) * part))])
        assert not isinstance(caught.value, LimitError)
        assert "\n" not in str(caught.value)

    @settings(max_examples=150, deadline=None)
    @given(
        st.sampled_from(
            [
                b"\xff\xd8\xff",
                b"\x89PNG\r\n\x1a\n",
                b"GIF89a",
                b"II*\0\x08\0\0\0",
                b"MM\0*\0\0\0\x08",
                b"II+\0\x08\0\0\0",
                b"BM",
                b"RIFF\x40\0\0\0WEBPVP8 ",
                b"RIFF\x40\0\0\0WEBPVP8X",
                b"\0\0\0\x18ftypavif\0\0\0\0avifmif1",
                b"\0\0\0\x18ftypheic\0\0\0\0heicmif1",
            ]
        ),
        st.binary(max_size=400),
    )
    def test_random_bytes_behind_a_valid_beginning(self, magic, rest):
        """A picture or an ImageError; nothing else ever comes out."""
        assert outcome(magic + rest)

    originals = (
        saved(scene(32, 32), "JPEG", progressive=True),
        saved(scene(32, 32), "PNG"),
        saved(scene(32, 32), "GIF"),
        saved(scene(32, 32), "TIFF", compression="tiff_lzw"),
        saved(scene(32, 32), "BMP"),
        saved(scene(32, 32), "WEBP"),
        saved(scene(32, 32), "AVIF"),
        HEIC,
    )

    @settings(max_examples=300, deadline=None)
    @given(
        st.sampled_from(originals),
        st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=6),
    )
    def test_bytes_changed_at_random(self, original, changes):
        data = bytearray(original)
        for place, value in changes:
            data[int(place * len(data))] = value
        assert outcome(bytes(data))


class TestRead:
    def test_file(self, tmp_path):
        path = tmp_path / "picture.txt"
        path.write_bytes(saved(scene(), "PNG"))
        np.testing.assert_array_equal(read(path).image, scene())
        np.testing.assert_array_equal(read(str(path)).image, scene())

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("missing.jpg", "No such file"),
            ("empty.jpg", "empty"),
            ("text.jpg", "not a picture"),
            ("folder", "a folder"),
            ("pipe", "not a regular file"),
            ("zero\0byte.jpg", "null"),
            ("line\nbreak.jpg", "No such file"),
            ("not-utf8-\udcff.jpg", "No such file"),
            ("x" * 300 + ".jpg", "too long"),
        ],
    )
    def test_one_line_that_names_the_file(self, tmp_path, monkeypatch, name, message):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "empty.jpg").touch()
        (tmp_path / "text.jpg").write_text("no picture")
        (tmp_path / "folder").mkdir()
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(ImageError, match=message) as caught:
            read(name)
        line = str(caught.value)
        assert line.startswith(name[:4])
        assert str(tmp_path) not in line
        assert "\n" not in line
        assert line.encode()

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_no_permission(self, tmp_path):
        path = tmp_path / "secret.png"
        path.write_bytes(saved(scene(), "PNG"))
        path.chmod(0)
        with pytest.raises(ImageError, match="Permission denied"):
            read(path)

    def test_what_is_too_large_is_not_read(self, tmp_path):
        """A sparse file of four gigabytes is refused without four gigabytes of memory."""
        path = tmp_path / "huge.jpg"
        with open(path, "wb") as file:
            file.truncate(4 * 2**30)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(LimitError, match="4,294,967,296 bytes"):
            read(path)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000
