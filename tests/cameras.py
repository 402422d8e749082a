"""Cameras for tests: small servers of HTTP and RTSP on this machine."""

from __future__ import annotations

import base64
import contextlib
import socket
import socketserver
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction

import av
import numpy as np


@contextlib.contextmanager
def serving(
    handle: Callable[[socket.socket, int], None], context: ssl.SSLContext | None = None
) -> Iterator[int]:
    """A port on which `handle` is called with each connection and its number from 0."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            with server.lock:
                number, server.count = server.count, server.count + 1
            with contextlib.suppress(OSError):
                plain = self.request
                with plain if context is None else context.wrap_socket(plain, True) as talk:
                    handle(talk, number)

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True
        block_on_close = False

    server = Server(("127.0.0.1", 0), Handler)
    server.lock, server.count = threading.Lock(), 0
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def request(talk: socket.socket) -> str:
    """The head of a request."""
    head = b""
    while b"\r\n\r\n" not in head:
        part = talk.recv(4096)
        if not part:
            break
        head += part
    return head.decode("latin-1")


def reply(talk: socket.socket, status: str, *headers: str) -> None:
    talk.sendall("\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode())


def send_stream(talk: socket.socket, data: bytes, kind: str = "video/mp2t") -> None:
    request(talk)
    reply(talk, "200 OK", f"Content-Type: {kind}", "Connection: close")
    talk.sendall(data)


class RtspCamera:
    """H.264 over RTP inside the RTSP connection (RFC 2326, 3550, 6184); ends after its frames."""

    def __init__(self, images: list[np.ndarray], user: str = "", password: str = "") -> None:
        self._units = _encoded(images)
        parameters = [one for one in self._units[0] if one[0] & 31 in (7, 8)]
        self._parameters = ",".join(base64.b64encode(one).decode() for one in parameters)
        pair = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._wanted = f"Authorization: Basic {pair}" if user else ""
        self.refused = 0

    def __call__(self, talk: socket.socket, number: int) -> None:
        while head := request(talk):
            method, sequence = head.split(" ")[0], head.split("CSeq: ")[1].split("\r\n")[0]
            if self._wanted and method != "OPTIONS" and self._wanted not in head:
                self.refused += 1
                refusal = 'WWW-Authenticate: Basic realm="camera"'
                self._reply(talk, sequence, refusal, status="401 Unauthorized")
            elif method == "OPTIONS":
                self._reply(talk, sequence, "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN")
            elif method == "DESCRIBE":
                self._reply(talk, sequence, "Content-Type: application/sdp", body=self._sdp())
            elif method == "SETUP":
                way = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1"
                self._reply(talk, sequence, way, "Session: 7")
            elif method == "PLAY":
                self._reply(talk, sequence, "Session: 7")
                self._play(talk)
                return
            else:
                self._reply(talk, sequence)

    def _reply(
        self, talk: socket.socket, sequence: str, *headers: str, body: str = "", status="200 OK"
    ) -> None:
        lines = [f"RTSP/1.0 {status}", f"CSeq: {sequence}", *headers]
        lines.append(f"Content-Length: {len(body)}")
        talk.sendall(("\r\n".join([*lines, "", ""]) + body).encode())

    def _sdp(self) -> str:
        lines = [
            "v=0",
            "o=- 0 0 IN IP4 127.0.0.1",
            "s=camera",
            "t=0 0",
            "m=video 0 RTP/AVP 96",
            "c=IN IP4 127.0.0.1",
            "a=rtpmap:96 H264/90000",
            f"a=fmtp:96 packetization-mode=1; sprop-parameter-sets={self._parameters}",
            "a=control:track1",
        ]
        return "\r\n".join([*lines, ""])

    def _play(self, talk: socket.socket) -> None:
        sequence = 0
        for index, units in enumerate(self._units):
            parts = [part for unit in units for part in _parts(unit)]
            for at, part in enumerate(parts):
                last = 0x80 * (at == len(parts) - 1)
                head = struct.pack(
                    "!BBHII", 0x80, last | 96, sequence & 0xFFFF, 5000 + 3600 * index, 9
                )
                packet = head + part
                talk.sendall(b"$\0" + struct.pack("!H", len(packet)) + packet)
                sequence += 1


def _encoded(images: list[np.ndarray]) -> list[list[bytes]]:
    """The units of each frame at 25 frames a second."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.height, encoder.width = images[0].shape[:2]
    encoder.pix_fmt, encoder.time_base = "yuv420p", Fraction(1, 25)
    encoder.options = {"tune": "zerolatency", "preset": "ultrafast", "g": "12"}
    units = []
    for index, image in enumerate(images):
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        frame.pts, frame.time_base = index, Fraction(1, 25)
        units += [_split(bytes(packet)) for packet in encoder.encode(frame)]
    return units


def _split(data: bytes) -> list[bytes]:
    parts = data.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")
    return [part for part in parts if part]


def _parts(unit: bytes, most: int = 1200) -> list[bytes]:
    """One packet's payload, or fragments (FU-A)."""
    if len(unit) <= most:
        return [unit]
    kind, body = unit[0], unit[1:]
    pieces = [body[at : at + most] for at in range(0, len(body), most)]
    return [
        bytes([kind & 0xE0 | 28, 0x80 * (n == 0) | 0x40 * (n == len(pieces) - 1) | kind & 31])
        + piece
        for n, piece in enumerate(pieces)
    ]
