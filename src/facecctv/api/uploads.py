"""Request bodies into memory, and only there.

Starlette writes multipart files above one megabyte to temporary files. Here the body goes piece by
piece into one bounded buffer, which is overwritten with zeros when the request is over.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from facecctv.api.limits import Gate, ServerLimits
from facecctv.api.problems import Problem

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

ENVELOPE = 16 * 1024
"""Bytes of a request beside its picture: boundaries, part headers, small fields."""
LONGEST_NAME = 255


@dataclass
class Upload:
    """A picture file as received."""

    data: bytearray = field(default_factory=bytearray)
    name: str = "upload"
    """As the client named it: only for the client's own reply."""
    boxes: object = None
    """What came as `boxes`, parsed and nothing more; None if nothing did."""

    @property
    def sha256(self) -> str:
        """64 hexadecimal digits."""
        return hashlib.sha256(self.data).hexdigest()

    def wipe(self) -> None:
        """Overwrites the bytes; their number stays."""
        wipe(self.data)


def wipe(data: bytearray) -> None:
    """Overwrites a buffer with zeros, in place and without a second one of its size."""
    view = memoryview(data)
    zeros = bytes(min(len(data), 65536))
    for start in range(0, len(data), 65536):
        part = view[start : start + 65536]
        part[:] = zeros[: len(part)]


async def receive(
    request: Request, limits: ServerLimits, gate: Gate, field_name: str = "file"
) -> Upload:
    """The one picture of a multipart or JSON request.

    In multipart it is the part that has a file name or is called `file` (or `field_name`); in
    JSON the member `file` or `image` in base64, with or without the head of a data URL. A field or
    member `boxes` comes along. The bytes count as held by the gate until the caller releases them.

    Raises Problem: 400 without exactly one picture or with a broken body, 408 when it comes too
    slowly, 413 beyond the limit (at the byte that is one too many, or before the first if the
    length is announced), 415 for another type of body, 422 for boxes that are not JSON, 429 when
    the memory for uploads is full.
    """
    kind, parameters = parse_options_header(request.headers.get("content-type"))
    if kind == b"multipart/form-data":
        return await _multipart(request, parameters.get(b"boundary", b""), limits, gate, field_name)
    if kind == b"application/json":
        return await _json(request, limits, gate, field_name)
    raise Problem(415, "send the picture as multipart/form-data or, in base64, as application/json")


async def _pieces(request: Request, limits: ServerLimits, most: int) -> AsyncIterator[bytes]:
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced) > most:
        raise _too_large(limits)
    total = 0
    stream = request.stream()
    end = asyncio.get_running_loop().time() + limits.upload_seconds
    while True:
        now = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(min(limits.idle_seconds, end - now)):
                piece = await anext(stream, b"")
        except TimeoutError as error:
            raise Problem(408, "the upload came too slowly", {"Connection": "close"}) from error
        if not piece:
            return
        total += len(piece)
        if total > most:
            raise _too_large(limits)
        yield piece


def _too_large(limits: ServerLimits) -> Problem:
    detail = f"a picture file may have {limits.max_bytes:,} bytes at most"
    return Problem(413, detail, {"Connection": "close"})


class _Held:
    """A buffer that grows within the gate's memory, and gives it back when wiped."""

    def __init__(self, gate: Gate) -> None:
        self.data = bytearray()
        self._gate = gate

    def add(self, piece: bytes | memoryview) -> None:
        self._gate.hold(len(piece))
        self.data += piece

    def drop(self) -> None:
        self._gate.release(len(self.data))
        wipe(self.data)


class _Form:
    """Callbacks of the streaming parser: keeps the one file, skips everything else."""

    def __init__(self, held: _Held, field_name: str) -> None:
        self._held = held
        self._wanted = {b"file", field_name.encode()}
        self._header, self._value = b"", b""
        self._disposition = b""
        self._taking = False
        self._in_boxes = False
        self.name = "upload"
        self.boxes: bytearray | None = None
        self.files = 0
        self.complete = False

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self.on_part_begin,
            "on_header_field": self.on_header_field,
            "on_header_value": self.on_header_value,
            "on_header_end": self.on_header_end,
            "on_headers_finished": self.on_headers_finished,
            "on_part_data": self.on_part_data,
            "on_end": self.on_end,
        }

    def on_part_begin(self) -> None:
        self._disposition = b""

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header, self._value = b"", b""

    def on_headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition.decode("latin-1"))
        file_name = options.get(b"filename")
        field = options.get(b"name")
        self._taking = file_name is not None or field in self._wanted
        self._in_boxes = not self._taking and field == b"boxes"
        if self._in_boxes:
            if self.boxes is not None:
                raise Problem(400, "one field of boxes a request, not several")
            self.boxes = bytearray()
        if not self._taking:
            return
        self.files += 1
        if self.files > 1:
            raise Problem(400, "one picture a request, not several")
        if file_name:
            self.name = file_name.decode("utf-8", "replace")[:LONGEST_NAME]

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._taking:
            self._held.add(memoryview(data)[start:end])
        elif self._in_boxes and self.boxes is not None:
            self.boxes += data[start:end]
            if len(self.boxes) > ENVELOPE:
                raise Problem(422, f"boxes: more than {ENVELOPE:,} bytes")

    def on_end(self) -> None:
        self.complete = True


async def _multipart(
    request: Request, boundary: bytes, limits: ServerLimits, gate: Gate, field_name: str
) -> Upload:
    held = _Held(gate)
    form = _Form(held, field_name)
    try:
        if not boundary:
            raise Problem(400, "multipart/form-data without a boundary")
        parser = MultipartParser(boundary, form.callbacks())
        async for piece in _pieces(request, limits, limits.max_bytes + ENVELOPE):
            parser.write(piece)
        if not form.complete:
            raise Problem(400, "the multipart body ends too early")
        upload = Upload(held.data, form.name, _boxes_in(form.boxes))
        return _checked(upload, form.files, limits)
    except FormParserError as error:
        held.drop()
        raise Problem(400, "the multipart body is broken") from error
    except BaseException:
        held.drop()
        raise


async def _json(request: Request, limits: ServerLimits, gate: Gate, field_name: str) -> Upload:
    body, held = _Held(gate), _Held(gate)
    try:
        async for piece in _pieces(request, limits, limits.max_bytes * 4 // 3 + ENVELOPE):
            body.add(piece)
        # Parsing and decoding take a while for large bodies: not on the event loop.
        name, data, boxes = await asyncio.to_thread(_picture_in, body.data, field_name)
        held.add(data)
        return _checked(Upload(held.data, name, boxes), 1, limits)
    except BaseException:
        held.drop()
        raise
    finally:
        body.drop()


def _boxes_in(text: bytearray | None) -> object:
    if text is None:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Problem(422, "boxes: not JSON") from error


def _picture_in(body: bytearray, field_name: str) -> tuple[str, bytes, object]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Problem(400, "the body is not JSON") from error
    if not isinstance(value, dict):
        raise Problem(400, "the body is not a JSON object")
    text = next((value[key] for key in (field_name, "file", "image") if key in value), None)
    if not isinstance(text, str):
        raise Problem(400, f"the JSON object has no picture: {field_name!r} in base64")
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Problem(400, "the picture is not base64") from error
    name = value.get("name")
    name = name[:LONGEST_NAME] if isinstance(name, str) and name else "upload"
    return name, data, value.get("boxes")


def _checked(upload: Upload, files: int, limits: ServerLimits) -> Upload:
    if not files:
        raise Problem(400, "no picture in the request: name its field 'file'")
    if not upload.data:
        raise Problem(400, "the picture is empty")
    if len(upload.data) > limits.max_bytes:
        raise _too_large(limits)
    return upload
