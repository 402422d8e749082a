"""A mixed load on a real server, for as long as asked: memory and errors over time.

`python -m benchmarks.soak SECONDS [--pause SECONDS]` starts `facecctv serve` on a loopback port and
sends pictures of all sizes, broken ones, slow ones and ones whose sender leaves, to be looked at
mostly, compared, enhanced and coloured now and then, and short videos, which are gone through or
covered and deleted. It prints a line each 30 seconds and ends when the last reply that was asked
for in its time is there: with 1 if a reply was another than its picture calls for (or 429), or if
memory grew.

Resident memory is read once a second. One reading says little, as a picture of 60 MB is in work or
not; so the mean and the highest of the last third of the time are held against those of the second
third, and neither may be more than 5 % above. The first third is the warm-up, in which the arenas
of the models and of the allocator fill.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from benchmarks import machine
from benchmarks.clips import GROWING, SIZES
from benchmarks.server import serving
from facecctv.demo import demo_scene
from facecctv.demo.clip import clip, steady, write_clip
from facecctv.image import encode, resize

GROWTH = 1.05
TELL_SECONDS = 30.0
READ_SECONDS = 1.0
ASK_SECONDS = 0.5
"""Between two looks at how far a video is."""
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
        self._video = _video()
        still = [way for way in SHARES if not way.startswith(FILMING)]
        self.largest = {way: made[-1] if way in LOOKING else small for way in still}
        """The picture of each path that takes most memory."""

    def choose(self, dice: random.Random) -> Ask:
        """One request."""
        (way,) = dice.choices(list(SHARES), list(SHARES.values()))
        if way == "/v1/limits":
            return Ask(way, {}, 200)
        if way.startswith("/v1/compare"):
            other, status = dice.choice([(self._pair, 200), (b"not a picture", 415)])
            return Ask(way, {"a": self._pair, "b": other}, status)
        if way.startswith(FILMING):
            return Ask(way, {"file": self._video}, 202)
        data, status = dice.choice(self._seen if way in LOOKING else self._made)
        return Ask(way, {"file": data}, status)


LOOKING = ("/v1/detect", "/v1/examine?crops=true", "/task/face-detection")
FILMING = "/v1/jobs"
SHARES = {
    **dict.fromkeys(LOOKING, 22),
    "/v1/limits": 20,
    "/v1/compare?largest=true": 6,
    "/v1/enhance?drift=true": 3,
    "/v1/colourise?force=true": 3,
    f"{FILMING}?kind=footage": 1,
    f"{FILMING}?kind=redact": 1,
}
"""Of requests, in per cent."""


def _video() -> bytes:
    """Two seconds of three people, an MP4 file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.mp4"
        write_clip(path, clip(SIZES["360p"], GROWING, steady(2)))
        return path.read_bytes()


@dataclass
class Tally:
    """What came back."""

    seen: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)

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
            if ask.path.startswith(FILMING):
                reply = await film(session, ask, tally)
            elif list(ask.pictures) == ["file"] and way < 0.1:
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


async def film(session: httpx.AsyncClient, ask: Ask, tally: Tally) -> httpx.Response:
    """Puts in a video, waits until it is done and deletes it; what came first."""
    begun = await _send(session, ask)
    if begun.status_code != ask.status:
        return begun
    address, state = begun.headers["location"], begun.json()["state"]
    while state in ("queued", "running"):
        await asyncio.sleep(ASK_SECONDS)
        state = (await session.get(address)).json()["state"]
    if state != "done":
        tally.wrong[f"{ask.path}: {state}"] += 1
    tally.take(ask.path, (await session.delete(address)).status_code, 204)
    return begun


async def watch(process: int, end: float, tally: Tally) -> list[int]:
    """Memory each second, and a line now and then."""
    sizes: list[int] = []
    told = time.monotonic()
    while (left := end - time.monotonic()) > 0:
        await asyncio.sleep(min(READ_SECONDS, left))
        sizes.append(memory(process))
        if time.monotonic() - told >= TELL_SECONDS:
            told = time.monotonic()
            seen, latest = dict(sorted(tally.seen.items())), sizes[-int(TELL_SECONDS) :]
            mean, most = _mib(sum(latest) / len(latest)), _mib(max(latest))
            print(f"{left:6.0f} s left  mean {mean}, highest {most}  {seen}", flush=True)
    return sizes


def _mib(size: float) -> str:
    return f"{size / 2**20:.1f} MiB"


@dataclass(frozen=True)
class Growth:
    """What became of memory from the second third of the time to the last, in bytes."""

    mean: tuple[float, float]
    highest: tuple[int, int]

    @classmethod
    def of(cls, sizes: Sequence[int]) -> Growth:
        """Of readings at even distances, one at least."""
        third = max(1, len(sizes) // 3)
        before, after = sizes[-2 * third : -third] or sizes, sizes[-third:]
        means = sum(before) / len(before), sum(after) / len(after)
        return cls(means, (max(before), max(after)))

    @property
    def worst(self) -> float:
        """The greater of the two, 1 for none."""
        return max(after / before for before, after in (self.mean, self.highest))

    def __str__(self) -> str:
        parts = []
        for name, (before, after) in (("mean", self.mean), ("highest", self.highest)):
            change = f"{after / before - 1:+.1%}"
            parts.append(f"{name} {_mib(before)}, then {_mib(after)} ({change})")
        return "; ".join(parts)


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
    tally = Tally()
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
    loads = [machine.load_average()]
    with serving() as (port, process):
        url = f"http://127.0.0.1:{port}"
        tally, sizes = asyncio.run(load(url, process, given.seconds, given.pause))
    growth = Growth.of(sizes)
    loads.append(machine.load_average())
    print(f"replies {dict(sorted(tally.seen.items()))}")
    print(f"memory from the second third to the last: {growth}")
    print(f"load of the machine before and at the end: {loads[0]}, {loads[1]}")
    for what, count in sorted(tally.wrong.items()):
        print(f"wrong, {count} times: {what}")
    return int(bool(tally.wrong) or growth.worst > GROWTH)


if __name__ == "__main__":
    sys.exit(main())
