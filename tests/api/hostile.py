"""Uploads made to break a server, generated."""

import io
import itertools
import random
import struct
import zlib

import numpy as np
import PIL.Image


def saved(kind, size=(48, 32), mode="RGB", **options):
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    PIL.Image.fromarray(noise).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind, data):
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png(width, height, rows=b"", depth=8, colour=2, extra=b""):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(rows, 9))
    return b"\x89PNG\r\n\x1a\n" + header + extra + data + chunk(b"IEND", b"")


def tiff(width, height, entries=()):
    tags = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (273, 4, 1, 8),
        (279, 4, 1, width * height % 2**32),
        *entries,
    ]
    packed = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + packed + b"\0\0\0\0"


GOOD = {kind: saved(kind) for kind in ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF")}


def bombs():
    """Few bytes, many pixels; or few pixels, much to unpack."""
    for width, height in ((30_000, 30_000), (2**31 - 1, 2**31 - 1), (1, 2**31 - 1), (0, 5), (5, 0)):
        yield png(width, height)
        yield tiff(min(width, 2**32 - 1), min(height, 2**32 - 1))
        yield b"GIF89a" + struct.pack("<HH", width % 65536, height % 65536) + b"\0\0\0;"
        yield b"BM" + struct.pack(
            "<IIIIiiHHIIiiII", 70, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0
        )
    yield png(1400, 1400, b"\0" * (1400 * 3 + 1) * 1400)
    yield png(8, 8, b"\0" * 20_000_000)
    text = zlib.compress(b"a" * 30_000_000, 9)
    yield png(8, 8, b"\0" * 200, extra=chunk(b"zTXt", b"k\0\0" + text))
    yield png(8, 8, b"\0" * 200, extra=chunk(b"iCCP", b"k\0\0" + text))
    yield png(8, 8, b"\0" * 200, extra=chunk(b"iTXt", b"k\0\1\0\0\0" + text))
    yield saved("GIF", save_all=True, append_images=[PIL.Image.new("RGB", (48, 32))] * 300)
    yield saved("TIFF", save_all=True, append_images=[PIL.Image.new("RGB", (48, 32))] * 100)


def wrong():
    """No pictures at all, or not of a kind that is taken."""
    yield from (
        b" ",
        b"\0" * 1000,
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.7\n%%EOF",
    )
    yield from (b"PK\3\4" + b"\0" * 100, b"\x7fELF" + b"\0" * 100, b"MZ" + b"\0" * 100)
    yield from (b"#!/bin/sh\nid\n", b"http://169.254.169.254/", b"/etc/passwd", b"../../x.png")
    yield from (
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"RIFF\0\0\0\0WEBP",
        b"GIF89a",
        b"BM",
        b"II*\0",
    )
    yield from (b"\0\0\0\x18ftypavif", b"\0\0\0\x18ftypheic", b"MM\0*\0\0\0\x08\xff\xff")
    for form, mode in (("PPM", "RGB"), ("TGA", "RGB"), ("ICO", "RGB"), ("PCX", "RGB")):
        yield saved(form, mode=mode)


def polyglots():
    """Pictures that are something else too."""
    for kind, tail in itertools.product(
        ("JPEG", "PNG", "GIF", "WEBP"), (b"<script>alert(1)</script>", GOOD["PNG"], b"PK\3\4" * 9)
    ):
        yield GOOD[kind] + tail
    yield b"<html>" + GOOD["PNG"]
    yield b"GIF89a/*" + b"\0" * 50 + b"*/=1;alert(1)"


def truncated():
    for data in GOOD.values():
        for part in (0.02, 0.1, 0.3, 0.6, 0.9, 0.99):
            yield data[: max(1, int(len(data) * part))]


def mutated():
    dice = random.Random(7)
    for data in GOOD.values():
        for count in (1, 3, 10, 40) * 3:
            broken = bytearray(data)
            for _ in range(count):
                broken[dice.randrange(min(len(broken), 200))] = dice.randrange(256)
            yield bytes(broken)


def bodies():
    """Requests that are wrong before any picture is looked at."""
    form = "multipart/form-data; boundary=X"
    part = b'--X\r\nContent-Disposition: form-data; name="file"; filename="'
    for name in (
        b"../../etc/passwd",
        b"a" * 5000,
        b"\0",
        b"\xff\xfe",
        b"a\r\nSet-Cookie: x",
        b"con",
    ):
        yield part + name + b'"\r\n\r\n' + GOOD["PNG"] + b"\r\n--X--\r\n", form
    yield (part + b'a"\r\n\r\nx\r\n') * 500, form
    yield b"--X\r\n" * 5000, form
    yield b"--X--\r\n" + b"x" * 5000, form
    yield b"\r\n" * 5000, form
    yield b"--X\r\n" + b"A: b\r\n" * 2000, form
    yield GOOD["PNG"], form
    yield part + b'a"\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--X--\r\n', form
    for text in (
        b"null",
        b"1e999",
        b'{"file":' * 9000,
        b'{"file":"' + b"=" * 900 + b'"}',
        b"\xff\xfe{",
        b'{"file":"data:image/png;base64,%%%"}',
        b'{"file":{"$ref":"http://x"}}',
        b'{"file":"http://169.254.169.254/"}',
        b'{"file":"/etc/passwd"}',
    ):
        yield text, "application/json"
    yield from ((b"x", "text/html"), (b"x", "application/x-www-form-urlencoded"), (b"x", "\xff"))


PICTURES = [*bombs(), *wrong(), *polyglots(), *truncated(), *mutated()]
BODIES = list(bodies())
