"""A mixed load on a real server, for as long as asked: memory and errors over time.

`python -m benchmarks.soak SECONDS [--pause SECONDS]` starts `facecctv serve` on a loopback port and
sends pictures of all sizes, broken ones, slow ones and ones whose sender leaves, to be looked at
mostly, compared, enhanced and coloured now and then. It prints a line each 30 seconds and ends with
1 if a reply was another than its picture calls for (or 429), or if memory grew by more than 5 %
between the first third, in which caches and arenas fill, and the end. It ends when the last reply
that was asked for in its time is there.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks.server import serving
from facecctv.demo import demo_scene
from facecctv.image import encode, resize

GROWTH = 1.05
EVERY = 30.0
CLIENTS = 6


@dataclass(frozen=True)
class Ask:
    """A request: the pictures it sends, by field, and the status it calls for."""

    path: str
    pictures: dict[str, bytes]
    status: int


class Menu:
    """What clients choose from: looking mostly, now and then making, comparing, asking."""

    def __init__(self) -> None:
        scene = demo_scene().image
        height, width = scene.shape[:2]
        sizes = [(160, 120), (640, 480), (width, height), (2 * width, 2 * height)]
        made = [encode(resize(scene, w, h), "jpeg") for w, h in sizes]
        broken = [(made[1][: len(made[1]) // 2], 422), (b"not a picture", 415)]
        self._seen = [*((data, 200) for data in made), *broken, (made[0] + made[0], 200)]
        # Making costs some seconds for each hundred thousand pixels, so that pictures are small.
        small = encode(resize(scene, 320, 240), "jpeg")
        self._made = [(made[0], 200), (small, 200), *broken]
        self._pair = made[1]
        self.largest = {way: made[-1] if way in LOOKING else small for way in SHARES}
        """The picture of each path that takes most memory."""

    def choose(self, dice: random.Random) -> Ask:
        """One request."""
        (way,) = dice.choices(list(SHARES), list(SHARES.values()))
        if way == "/v1/limits":
            return Ask(way, {}, 200)
        if way.startswith("/v1/compare"):
            other, status = dice.choice([(self._pair, 200), (b"not a picture", 415)])
            return Ask(way, {"a": self._pair, "b": other}, status)
        data, status = dice.choice(self._seen if way in LOOKING else self._made)
        return Ask(way, {"file": data}, status)


LOOKING = ("/v1/detect", "/v1/examine?crops=true", "/task/face-detection")
SHARES = {
    **dict.fromkeys(LOOKING, 22),
    "/v1/limits": 22,
    "/v1/compare?largest=true": 6,
    "/v1/enhance?drift=true": 3,
    "/v1/colourise?force=true": 3,
}
"""Of requests, in per cent."""


@dataclass
class Tally:
    """What came back."""

    seen: Counter[str]
    wrong: Counter[str]

    def take(self, path: str, status: int, expected: int) -> None:
        self.seen[str(status)] += 1
        if status not in (expected, 429):
            self.wrong[f"{path}: {status} for {expected}"] += 1


def memory(process: int) -> int:
    """Resident bytes of a process."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no VmRSS")


async def drip(data: bytes) -> AsyncIterator[bytes]:
    """A multipart body, slowly."""
    yield b'--X\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    for start in range(0, len(data), 4096):
        yield data[start : start + 4096]
        await asyncio.sleep(0.05)
    yield b"\r\n--X--\r\n"


async def client(url: str, menu: Menu, end: float, tally: Tally, seed: int, pause: float) -> None:
    """Sends one request after the other until the end, thinking `pause` seconds on average."""
    dice = random.Random(seed)
    async with httpx.AsyncClient(base_url=url, timeout=600) as session:
        while time.monotonic() < end:
            ask, way = menu.choose(dice), dice.random()
            if list(ask.pictures) == ["file"] and way < 0.1:
                reply = await (_slowly if way < 0.05 else leave)(session, ask)
            else:
                reply = await _send(session, ask)
            if reply is None:
                tally.seen["left"] += 1
            else:
                tally.take(ask.path, reply.status_code, ask.status)
                if reply.status_code == 429:
                    await asyncio.sleep(float(reply.headers["retry-after"]))
            if pause:
                await asyncio.sleep(dice.expovariate(1 / pause))


async def _send(session: httpx.AsyncClient, ask: Ask, **more: Any) -> httpx.Response:
    if not ask.pictures:
        return await session.get(ask.path, **more)
    files = {name: (f"{name}.jpg", data) for name, data in ask.pictures.items()}
    return await session.post(ask.path, files=files, **more)


async def _slowly(session: httpx.AsyncClient, ask: Ask) -> httpx.Response:
    headers = {"content-type": "multipart/form-data; boundary=X"}
    return await session.post(ask.path, content=drip(ask.pictures["file"]), headers=headers)


async def leave(session: httpx.AsyncClient, ask: Ask) -> httpx.Response | None:
    """Sends a picture and does not stay for the reply, unless that comes at once."""
    soon = httpx.Timeout(600, read=0.1)
    try:
        return await _send(session, ask, timeout=soon)
    except httpx.ReadTimeout:
        return None


async def watch(process: int, end: float, tally: Tally) -> list[int]:
    """Memory over time, printed as it goes."""
    sizes = []
    while time.monotonic() < end:
        await asyncio.sleep(min(EVERY, max(0.1, end - time.monotonic())))
        sizes.append(memory(process))
        left, seen = max(0, end - time.monotonic()), dict(sorted(tally.seen.items()))
        print(f"{left:6.0f} s left  {sizes[-1] / 2**20:7.1f} MiB  {seen}", flush=True)
    return sizes


async def warm(url: str, menu: Menu) -> None:
    """Each path once: what a model needs for ever is no growth."""
    async with httpx.AsyncClient(base_url=url, timeout=600) as session:
        for way, data in menu.largest.items():
            fields = ("a", "b") if way.startswith("/v1/compare") else ("file",)
            pictures = {} if way == "/v1/limits" else dict.fromkeys(fields, data)
            await _send(session, Ask(way, pictures, 200))


async def load(url: str, process: int, seconds: float, pause: float) -> tuple[Tally, list[int]]:
    """All clients at once."""
    menu = Menu()
    await warm(url, menu)
    tally = Tally(Counter(), Counter())
    end = time.monotonic() + seconds
    clients = [client(url, menu, end, tally, seed, pause) for seed in range(CLIENTS)]
    sizes, *_ = await asyncio.gather(watch(process, end, tally), *clients)
    return tally, sizes


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.soak", description=__doc__.split("\n")[0]
    )
    parser.add_argument("seconds", type=float, nargs="?", default=1800.0, help="default: 1800")
    parser.add_argument(
        "--pause", type=float, default=0.0, metavar="SECONDS",
        help="mean time that a client thinks between two requests, for a machine that is busy "
        "with something else (default: none)",
    )  # fmt: skip
    given = parser.parse_args(arguments)
    with serving() as (port, process):
        url = f"http://127.0.0.1:{port}"
        tally, sizes = asyncio.run(load(url, process, given.seconds, given.pause))
    settled = max(sizes[: max(1, len(sizes) // 3)])
    growth = sizes[-1] / settled
    seen = dict(sorted(tally.seen.items()))
    print(f"replies {seen}; memory {growth - 1:+.1%} since the first third")
    for what, count in sorted(tally.wrong.items()):
        print(f"wrong, {count} times: {what}")
    return int(bool(tally.wrong) or growth > GROWTH)


if __name__ == "__main__":
    sys.exit(main())
