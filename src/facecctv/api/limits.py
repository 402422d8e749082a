"""How much a client may ask for, and how much all of them together."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields

from facecctv.api.problems import busy
from facecctv.errors import SettingError

MIB = 2**20


@dataclass(frozen=True)
class ServerLimits:
    """What `GET /v1/limits` shows. All are at least 1, `requests_per_minute` at least 0."""

    max_bytes: int = 32 * MIB
    """Of one picture file."""
    max_pixels: int = 50_000_000
    """Of one picture, width times height."""
    max_output_pixels: int = 50_000_000
    """Of one picture that is made, such as an enlarged one, and of all enhanced faces of a reply
    together: scale times scale as many as went in."""
    max_filter_pixels: int = 8_000_000
    """Of one picture put through a filter of a chain, at its default settings; settings that take
    longer may be for fewer."""
    max_steps: int = 16
    """Of one chain."""
    max_untiled_pixels: int = 4_000_000
    """Of one picture looked at with tiles=off, which takes memory with its size."""
    max_faces: int = 1000
    """Reported of one picture, the best first."""
    max_boxes: int = 64
    """Drawn by hand in one picture."""
    upload_seconds: int = 120
    """For a whole request to arrive."""
    idle_seconds: int = 10
    """Without a byte of a request arriving, or of a reply being taken."""
    work_seconds: int = 60
    """From the last byte of the request to the reply, waiting included."""
    requests_per_client: int = 8
    """At once."""
    requests: int = 64
    """At once, of all clients."""
    upload_bytes: int = 256 * MIB
    """Held at once for all requests."""
    queue: int = 16
    """Requests that wait for each of the two lanes."""
    large_pixels: int = 1_000_000
    """Pictures above this wait in a lane of their own, so that small ones pass them."""
    requests_per_minute: int = 600
    """Of one client; 0: no limit."""

    jobs: int = 6
    """Videos at once, of all clients, waiting, at work or done."""
    jobs_per_client: int = 3
    """Of these, one client's."""
    job_idle_seconds: int = 600
    """After which a job that nobody asks for is cancelled and wiped."""
    max_video_bytes: int = 512 * MIB
    """Of one video file, as it comes and as it is covered."""
    max_video_seconds: int = 2 * 60 * 60
    """Of one video."""
    max_frame_pixels: int = 10_000_000
    """Of one frame of a video, width times height."""
    video_upload_seconds: int = 1800
    """For a whole video to arrive."""
    video_bytes: int = 1536 * MIB
    """Held at once for all videos, with what was found in them."""

    def __post_init__(self) -> None:
        for field in fields(self):
            least = 0 if field.name == "requests_per_minute" else 1
            if getattr(self, field.name) < least:
                raise SettingError(f"{field.name} must be at least {least}")


MOST_CLIENTS = 10_000
"""Clients whose pace is remembered; the one unseen the longest is forgotten first."""


class Gate:
    """Counts what is inside. For one event loop; not for threads."""

    def __init__(self, limits: ServerLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._inside: dict[str, int] = {}
        self._pace: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self.held = 0
        """Bytes of uploads in memory."""

    @property
    def inside(self) -> int:
        """Requests that have been let in and not answered."""
        return sum(self._inside.values())

    @contextmanager
    def enter(self, client: str) -> Iterator[None]:
        """One request of a client; Problem 429 where that is one too many."""
        self._keep_pace(client)
        mine = self._inside.get(client, 0)
        if mine >= self._limits.requests_per_client:
            raise busy(429, f"at most {self._limits.requests_per_client} requests at once", 1)
        if self.inside >= self._limits.requests:
            raise busy(429, "the server is full", 2)
        self._inside[client] = mine + 1
        try:
            yield
        finally:
            self._inside[client] -= 1
            if not self._inside[client]:
                del self._inside[client]

    def hold(self, count: int) -> None:
        """Takes so many bytes out of the memory for uploads; Problem 429 if they are not there."""
        if self.held + count > self._limits.upload_bytes:
            raise busy(429, "the server's memory for uploads is full", 2)
        self.held += count

    def release(self, count: int) -> None:
        """Gives them back."""
        self.held -= count

    def _keep_pace(self, client: str) -> None:
        """Token bucket: a minute's worth at once, then at the steady rate."""
        rate = self._limits.requests_per_minute
        if not rate:
            return
        now = self._clock()
        tokens, then = self._pace.pop(client, (float(rate), now))
        tokens = min(float(rate), tokens + (now - then) * rate / 60)
        enough = tokens >= 1
        self._pace[client] = (tokens - 1 if enough else tokens, now)
        if len(self._pace) > MOST_CLIENTS:
            self._pace.popitem(last=False)
        if not enough:
            raise busy(429, f"at most {rate} requests a minute", (1 - tokens) * 60 / rate)


def client_of(host: str) -> str:
    """One name for all addresses that one client can choose from: IPv6 hands out /64 at least."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.version == 4:
        return host
    return str(ipaddress.ip_network((address, 64), strict=False))
