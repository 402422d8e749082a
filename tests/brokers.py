"""A broker for tests, as small as MQTT 3.1.1 allows: it takes what is published, no more."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.cameras import serving

CONNECT, CONNACK, PUBLISH, PUBACK, PINGREQ, PINGRESP, DISCONNECT = 1, 2, 3, 4, 12, 13, 14


@dataclass(frozen=True)
class Published:
    topic: str
    body: bytes
    qos: int
    retain: bool
    again: bool


@dataclass
class Broker:
    refusal: int = 0
    """Return code of CONNACK."""
    silent: bool = False
    """Answers nothing at all."""
    hang_up: Callable[[int, Published], bool] = lambda number, got: False
    """Whether to close the connection of this number instead of acknowledging."""
    got: list[Published] = field(default_factory=list)
    """What was acknowledged or needed no acknowledgement, and wills."""
    users: list[tuple[str | None, str | None]] = field(default_factory=list)
    clients: list[str] = field(default_factory=list)
    pings: int = 0
    ended: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    def of(self, part: str) -> list[Published]:
        return [one for one in self.got if part in one.topic]

    def handle(self, talk: socket.socket, number: int) -> None:
        kind, _, body = _packet(talk)
        assert kind == CONNECT
        if self.silent:
            self.ended.wait(60)
            return
        will = self._admitted(body)
        talk.sendall(bytes([CONNACK << 4, 2, 0, self.refusal]))
        if self.refusal:
            return
        try:
            while (packet := _packet(talk))[0] != DISCONNECT:
                if packet[0] == PINGREQ:
                    self.pings += 1
                    talk.sendall(bytes([PINGRESP << 4, 0]))
                    continue
                assert packet[0] == PUBLISH
                got, name = _published(packet[1], packet[2])
                if self.hang_up(number, got):
                    raise ConnectionError
                self.got.append(got)
                if got.qos:
                    talk.sendall(bytes([PUBACK << 4, 2]) + name)
        except ConnectionError:
            if will is not None:
                self.got.append(will)

    def _admitted(self, body: bytes) -> Published | None:
        protocol, rest = _text(body)
        assert (protocol, rest[0]) == (b"MQTT", 4)
        flags, rest = rest[1], rest[4:]
        assert flags & 2, "a session that the broker would keep"
        client, rest = _text(rest)
        self.clients.append(client.decode())
        will = None
        if flags & 4:
            topic, rest = _text(rest)
            said, rest = _text(rest)
            will = Published(topic.decode(), said, flags >> 3 & 3, bool(flags & 32), False)
        user = password = None
        if flags & 128:
            user, rest = _text(rest)
        if flags & 64:
            password, rest = _text(rest)
        assert not rest
        self.users.append(tuple(one and one.decode() for one in (user, password)))
        return will


@contextlib.contextmanager
def brokering(broker: Broker, context: ssl.SSLContext | None = None) -> Iterator[Broker]:
    with serving(broker.handle, context) as broker.port:
        yield broker
        broker.ended.set()


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    """Waits for something that another thread does."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.02)


def _read(talk: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = talk.recv(size - len(data))
        if not part:
            raise ConnectionError
        data += part
    return data


def _packet(talk: socket.socket) -> tuple[int, int, bytes]:
    """Kind, flags and body."""
    first = _read(talk, 1)[0]
    size = shift = 0
    while True:
        part = _read(talk, 1)[0]
        size |= (part & 127) << shift
        shift += 7
        if part < 128:
            return first >> 4, first & 15, _read(talk, size)


def _text(data: bytes) -> tuple[bytes, bytes]:
    """A string with its length before it, and what comes after."""
    size = struct.unpack(">H", data[:2])[0]
    return data[2 : 2 + size], data[2 + size :]


def _published(flags: int, body: bytes) -> tuple[Published, bytes]:
    """What it says, and its number on the wire."""
    topic, rest = _text(body)
    qos = flags >> 1 & 3
    number, rest = (rest[:2], rest[2:]) if qos else (b"", rest)
    return Published(topic.decode(), rest, qos, bool(flags & 1), bool(flags & 8)), number
