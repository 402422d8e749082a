import asyncio
import base64
import socket
import subprocess
import sys
import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from facecctv.api.desk import ServerSettings
from facecctv.api.limits import Gate, ServerLimits
from facecctv.api.problems import Problem
from facecctv.api.uploads import receive, wipe

LIMITS = ServerLimits(max_bytes=1000, upload_seconds=1, idle_seconds=1)


def request(pieces, content_type, extra=()):
    queue = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    queue.append({"type": "http.request", "body": b"", "more_body": False})

    async def next_one():
        return queue.pop(0)

    headers = [(b"content-type", content_type.encode()), *extra]
    return Request({"type": "http", "method": "POST", "headers": headers}, next_one)


def received(body, content_type, size=7, extra=(), gate=None):
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    gate = gate or Gate(LIMITS)
    (upload,) = asyncio.run(receive(request(pieces, content_type, extra), LIMITS, gate))
    return upload


def form(*parts, end=b"--X--\r\n"):
    return b"".join(b"--X\r\n" + head + b"\r\n\r\n" + data + b"\r\n" for head, data in parts) + end


FORM = "multipart/form-data; boundary=X"
FILE = b'Content-Disposition: form-data; name="file"; filename="a.png"'


@settings(max_examples=30)
@given(st.binary(min_size=1, max_size=900), st.integers(20, 400))
def test_any_bytes_in_any_pieces_arrive_whole(data, size):
    if b"\r\n--X" in data:
        return
    upload = received(form((b'Content-Disposition: form-data; name="x"', b"y"), (FILE, data)),
                      FORM, size)  # fmt: skip
    assert upload.data == data
    assert upload.name == "a.png"
    text = base64.b64encode(data).decode()
    assert received(f'{{"file": "{text}"}}'.encode(), "application/json", size).data == data


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"", FORM, 400),
        (form(), FORM, 400),
        (form((FILE, b"")), FORM, 400),
        (form((FILE, b"a"), (FILE, b"b")), FORM, 400),
        (form((FILE, b"a"), end=b""), FORM, 400),
        (form((FILE, b"a"))[:-9], FORM, 400),
        (b"no boundary at all", FORM, 400),
        (b"", "multipart/form-data", 400),
        (b"", "multipart/form-data; boundary=" + "X" * 500, 400),
        (form((b"A" * 9000, b"a")), FORM, 400),
        (form((b'Content-Disposition: form-data; name="x"', b"y")), FORM, 400),
        (form((FILE, b"a" * 1001)), FORM, 413),
        (b"", "", 415),
        (b"", "text/plain", 415),
        (b"x", "image/png", 415),
        (b"", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"{}", "application/json", 400),
        (b'{"file": 1}', "application/json", 400),
        (b'{"file": ""}', "application/json", 400),
        (b'{"file": "*"}', "application/json", 400),
        (b'{"file": "\xff"}', "application/json", 400),
        (b"[" * 15000, "application/json", 400),
        (b'{"file": "' + base64.b64encode(b"a" * 1001) + b'"}', "application/json", 413),
    ],
)
def test_bodies_that_are_refused_leave_nothing_held(body, content_type, status):
    gate = Gate(LIMITS)
    with pytest.raises(Problem) as refused:
        received(body, content_type, 100, gate=gate)
    assert refused.value.status == status
    assert gate.held == 0


def test_a_size_that_is_announced_is_refused_before_the_first_byte():
    async def never():
        raise AssertionError("read")

    headers = [(b"content-type", FORM.encode()), (b"content-length", b"999999")]
    asked = Request({"type": "http", "method": "POST", "headers": headers}, never)
    with pytest.raises(Problem) as refused:
        asyncio.run(receive(asked, LIMITS, Gate(LIMITS)))
    assert refused.value.status == 413


def test_reading_stops_at_the_byte_that_is_one_too_many():
    read = []

    async def endless():
        read.append(1)
        head = b"--X\r\n" + FILE + b"\r\n\r\n" if len(read) == 1 else b"a" * 1000
        return {"type": "http.request", "body": head, "more_body": True}

    headers = [(b"content-type", FORM.encode())]
    asked = Request({"type": "http", "method": "POST", "headers": headers}, endless)
    with pytest.raises(Problem) as refused:
        asyncio.run(receive(asked, LIMITS, Gate(LIMITS)))
    assert refused.value.status == 413
    assert len(read) < 25


@pytest.mark.parametrize("wait", [0.2, 5])
def test_a_slow_upload_is_408(wait):
    """Both kinds: a byte now and then, and none at all."""
    pieces = iter([b"--X\r\n"])

    async def slow():
        await asyncio.sleep(wait)
        return {"type": "http.request", "body": next(pieces, b"A"), "more_body": True}

    headers = [(b"content-type", FORM.encode())]
    asked = Request({"type": "http", "method": "POST", "headers": headers}, slow)
    with pytest.raises(Problem) as refused:
        asyncio.run(receive(asked, LIMITS, Gate(LIMITS)))
    assert refused.value.status == 408


def test_the_memory_of_all_uploads_is_bounded():
    gate = Gate(ServerLimits(upload_bytes=1000))
    gate.hold(900)
    with pytest.raises(Problem) as refused:
        received(form((FILE, b"a" * 200)), FORM, gate=gate)
    assert refused.value.status == 429
    assert gate.held == 900


@given(st.binary(max_size=200_000))
def test_wiping_leaves_zeros_of_the_same_length(data):
    buffer = bytearray(data)
    wipe(buffer)
    assert buffer == bytes(len(data))


def test_over_a_socket_413_comes_before_the_body_has_ended(quick, app_of, serving):
    settings = ServerSettings(limits=ServerLimits(max_bytes=100_000))
    with (
        serving(app_of(quick, settings)) as port,
        socket.create_connection(("127.0.0.1", port), timeout=10) as client,
    ):
        client.sendall(
            b"POST /v1/detect HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
            b"Content-Type: multipart/form-data; boundary=X\r\n\r\n"
        )
        head = b"--X\r\n" + FILE + b"\r\n\r\n"
        client.sendall(b"%x\r\n%s\r\n" % (len(head), head))
        for _ in range(13):
            client.sendall(b"2710\r\n" + b"a" * 10_000 + b"\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 413 ")


def test_over_a_socket_a_stalled_upload_is_408_and_the_line_is_closed(quick, app_of, serving):
    settings = ServerSettings(limits=ServerLimits(idle_seconds=1))
    with (
        serving(app_of(quick, settings)) as port,
        socket.create_connection(("127.0.0.1", port), timeout=10) as client,
    ):
        client.sendall(
            b"POST /v1/detect HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n"
            b"Content-Type: multipart/form-data; boundary=X\r\n\r\n--X"
        )
        reply = b""
        while piece := client.recv(4096):
            reply += piece
        assert reply.startswith(b"HTTP/1.1 408 ")


WATCH = """
    import asyncio, os, stat, sys, tempfile
    import httpx, numpy as np
    from starlette.applications import Starlette
    from starlette.responses import Response
    from starlette.routing import Route
    from facecctv.api.app import create_app
    from facecctv.image import encode
    from facecctv.pipeline import Pipeline

    class Workshop:
        def pipeline(self, options=None, margin=0.35):
            watch()
            return Pipeline(detect=lambda image: watch() or [])
        def during(self, check):
            return self
        def tool(self, step):
            raise AssertionError("filters need no model")
        def cards(self):
            return []

    async def spooling(request):
        form = await request.form()
        watch()
        await form.close()
        return Response("ok")

    written = []

    def watch():
        "Regular files that this process holds open for writing, whoever opened them."
        for name in os.listdir("/proc/self/fd"):
            try:
                status = os.stat(f"/proc/self/fd/{name}")
                flags = open(f"/proc/self/fdinfo/{name}").read().split("flags:")[1].split()[0]
            except FileNotFoundError:
                continue
            if int(name) > 2 and stat.S_ISREG(status.st_mode) and int(flags, 8) & 3:
                written.append("fd")

    def hook(event, arguments):
        "Whatever Python opens for writing, makes or moves."
        if event == "open":
            flags = arguments[2]
            if isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR):
                if str(arguments[0]) != os.devnull:
                    written.append("open")
        elif event in ("os.rename", "os.mkdir", "os.link", "os.symlink", "tempfile.mkstemp"):
            written.append(event)

    async def main(app, path):
        noise = np.random.default_rng(0).integers(0, 256, (900, 900, 3), np.uint8)
        data = encode(noise)
        assert len(data) > 2_000_000
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://localhost"
        ) as client:
            sys.addaudithook(hook)
            for _ in range(2):
                reply = await client.post(path, files={"file": ("a.png", data)})
                assert reply.status_code == 200, reply.text

    if sys.argv[1] == "ours":
        app, path = create_app(Workshop()), sys.argv[2]
    else:
        app, path = Starlette(routes=[Route("/", spooling, methods=["POST"])]), "/"
    asyncio.run(main(app, path))
    print(*sorted(set(written)))
"""


def files_written(which, folder, path=""):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(WATCH), which, path],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={"TMPDIR": str(folder), "PYTHONPATH": ":".join(sys.path), "PATH": ""},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
@pytest.mark.parametrize("path", ["/v1/detect", "/v1/enhance?steps=gamma:2,sharpen&drift=true"])
def test_large_uploads_open_no_file_for_writing(tmp_path, path):
    assert files_written("ours", tmp_path, path) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_the_same_watch_sees_the_files_that_starlette_spools(tmp_path):
    assert {"fd", "open"} <= set(files_written("starlette", tmp_path))
