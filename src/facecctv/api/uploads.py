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
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from facecctv.api.limits import ServerLimits
from facecctv.api.problems import Problem, Reason
from facecctv.footage.memory import wipe

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

ENVELOPE = 16 * 1024
"""Bytes of a request beside its picture: boundaries, part headers, small fields."""
LONGEST_NAME = 255


class Memory(Protocol):
    """Where uploads are counted, such as `limits.Gate`."""

    def hold(self, count: int) -> None:
        """Takes so many bytes; Problem 429 if they are not there."""

    def release(self, count: int) -> None:
        """Gives them back."""


@dataclass(frozen=True)
class _Wanted:
    """What a request brings."""

    names: Sequence[str]
    what: str
    max_bytes: int
    seconds: int
    idle_seconds: int


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


async def receive(
    request: Request, limits: ServerLimits, gate: Memory, names: Sequence[str] = ("file",)
) -> list[Upload]:
    """The pictures of a multipart or JSON request, one for each name, in their order.

    Where one is wanted, in multipart it is the part that has a file name or is called `file` (or
    as named); in JSON the member of that name, `file` or `image`, in base64, with or without the
    head of a data URL. Where several are wanted, each is the part or member of its name. A field
    or member `boxes` comes along with one. The bytes count as held by the gate until the caller
    releases them.

    Raises Problem: 400 without exactly these pictures or with a broken body, 408 when it comes too
    slowly, 413 beyond the limit (at the byte that is one too many, or before the first if the
    length is announced), 415 for another type of body, 422 for boxes that are not JSON, 429 when
    the memory for uploads is full.
    """
    wanted = _Wanted(names, "picture", limits.max_bytes, limits.upload_seconds, limits.idle_seconds)
    kind, parameters = parse_options_header(request.headers.get("content-type"))
    if kind == b"multipart/form-data":
        return await _multipart(request, parameters.get(b"boundary", b""), wanted, gate)
    if kind == b"application/json":
        return await _json(request, wanted, gate)
    raise Problem(415, "send the picture as multipart/form-data or, in base64, as application/json")


async def receive_video(request: Request, limits: ServerLimits, memory: Memory) -> Upload:
    """The one video of a multipart request, named as the one picture of `receive` is.

    Raises Problem as that, but for boxes and JSON.
    """
    wanted = _Wanted(
        ("file",),
        "video",
        limits.max_video_bytes,
        limits.video_upload_seconds,
        limits.idle_seconds,
    )
    kind, parameters = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data":
        raise Problem(415, "send the video as multipart/form-data", reason="not-a-video")
    boundary = parameters.get(b"boundary", b"")
    return (await _multipart(request, boundary, wanted, memory))[0]


async def _pieces(request: Request, wanted: _Wanted, most: int) -> AsyncIterator[bytes]:
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced) > most:
        raise _too_large(wanted)
    total = 0
    stream = request.stream()
    end = asyncio.get_running_loop().time() + wanted.seconds
    while True:
        now = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(min(wanted.idle_seconds, end - now)):
                piece = await anext(stream, b"")
        except TimeoutError as error:
            raise Problem(408, "the upload came too slowly", {"Connection": "close"}) from error
        if not piece:
            return
        total += len(piece)
        if total > most:
            raise _too_large(wanted)
        yield piece


def _too_large(wanted: _Wanted) -> Problem:
    detail = f"a {wanted.what} file may have {wanted.max_bytes:,} bytes at most"
    reason: Reason | None = "video-too-large" if wanted.what == "video" else None
    return Problem(413, detail, {"Connection": "close"}, reason=reason)


class _Held:
    """A buffer that grows within the gate's memory, and gives it back when wiped."""

    def __init__(self, gate: Memory) -> None:
        self.data = bytearray()
        self._gate = gate

    def add(self, piece: bytes | memoryview) -> None:
        self._gate.hold(len(piece))
        self.data += piece

    def drop(self) -> None:
        self._gate.release(len(self.data))
        wipe(self.data)


class _Form:
    """Callbacks of the streaming parser: keeps the files wanted, skips everything else."""

    def __init__(self, held: Sequence[_Held], wanted: _Wanted) -> None:
        self._held = held
        self._what = wanted.what
        self._wanted = [name.encode() for name in wanted.names]
        self._header, self._value = b"", b""
        self._disposition = b""
        self._taking: int | None = None
        self._in_boxes = False
        self.names: dict[int, str] = {}
        """Of the files that came, as the client named them."""
        self.boxes: bytearray | None = None
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
        self._taking = self._place(field, file_name)
        self._in_boxes = self._taking is None and field == b"boxes"
        if self._in_boxes:
            if self.boxes is not None:
                raise Problem(400, "one field of boxes a request, not several")
            self.boxes = bytearray()
        if self._taking is None:
            return
        if self._taking in self.names:
            many = "a request" if len(self._wanted) == 1 else "a name"
            raise Problem(400, f"one {self._what} {many}, not several")
        name = (file_name or b"upload").decode("utf-8", "replace")
        self.names[self._taking] = name[:LONGEST_NAME]

    def _place(self, field: bytes | None, file_name: bytes | None) -> int | None:
        """Which of the pictures wanted this part is."""
        if len(self._wanted) == 1:
            wanted = file_name is not None or field in (b"file", *self._wanted)
            return 0 if wanted else None
        return self._wanted.index(field) if field in self._wanted else None

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._taking is not None:
            self._held[self._taking].add(memoryview(data)[start:end])
        elif self._in_boxes and self.boxes is not None:
            self.boxes += data[start:end]
            if len(self.boxes) > ENVELOPE:
                raise Problem(422, f"boxes: more than {ENVELOPE:,} bytes")

    def on_end(self) -> None:
        self.complete = True


async def _multipart(
    request: Request, boundary: bytes, wanted: _Wanted, gate: Memory
) -> list[Upload]:
    names = wanted.names
    held = [_Held(gate) for _ in names]
    form = _Form(held, wanted)
    try:
        if not boundary:
            raise Problem(400, "multipart/form-data without a boundary")
        parser = MultipartParser(boundary, form.callbacks())
        async for piece in _pieces(request, wanted, wanted.max_bytes * len(names) + ENVELOPE):
            parser.write(piece)
        if not form.complete:
            raise Problem(400, "the multipart body ends too early")
        boxes = _boxes_in(form.boxes)
        uploads = [
            Upload(one.data, form.names.get(at, "upload"), boxes) for at, one in enumerate(held)
        ]
        for at, name in enumerate(names):
            if at not in form.names:
                raise Problem(400, f"no {wanted.what} in the request: name its field {name!r}")
        return _checked(uploads, wanted)
    except FormParserError as error:
        _drop(held)
        raise Problem(400, "the multipart body is broken") from error
    except BaseException:
        _drop(held)
        raise


async def _json(request: Request, wanted: _Wanted, gate: Memory) -> list[Upload]:
    names = wanted.names
    body, held = _Held(gate), [_Held(gate) for _ in names]
    try:
        most = wanted.max_bytes * len(names) * 4 // 3 + ENVELOPE
        async for piece in _pieces(request, wanted, most):
            body.add(piece)
        # Parsing and decoding take a while for large bodies: not on the event loop.
        name, pictures, boxes = await asyncio.to_thread(_pictures_in, body.data, names)
        for one, data in zip(held, pictures, strict=True):
            one.add(data)
        return _checked([Upload(one.data, name, boxes) for one in held], wanted)
    except BaseException:
        _drop(held)
        raise
    finally:
        body.drop()


def _drop(held: Sequence[_Held]) -> None:
    for one in held:
        one.drop()


def _boxes_in(text: bytearray | None) -> object:
    if text is None:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Problem(422, "boxes: not JSON") from error


def _pictures_in(body: bytearray, names: Sequence[str]) -> tuple[str, list[bytes], object]:
    """What the client named the picture, the pictures, and the boxes."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Problem(400, "the body is not JSON") from error
    if not isinstance(value, dict):
        raise Problem(400, "the body is not a JSON object")
    others = ("file", "image") if len(names) == 1 else ()
    pictures = [_picture_in(value, name, others) for name in names]
    name = value.get("name")
    name = name[:LONGEST_NAME] if isinstance(name, str) and name else "upload"
    return name, pictures, value.get("boxes")


def _picture_in(value: dict[str, object], name: str, others: Sequence[str]) -> bytes:
    text = next((value[key] for key in (name, *others) if key in value), None)
    if not isinstance(text, str):
        raise Problem(400, f"the JSON object has no picture: {name!r} in base64")
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Problem(400, "the picture is not base64") from error


def _checked(uploads: list[Upload], wanted: _Wanted) -> list[Upload]:
    for upload, name in zip(uploads, wanted.names, strict=True):
        problem = None
        if not upload.data:
            problem = Problem(400, f"the {wanted.what} is empty")
        elif len(upload.data) > wanted.max_bytes:
            problem = _too_large(wanted)
        if problem is not None:
            raise problem if len(wanted.names) == 1 else problem.of(name)
    return uploads
