"""A mixed load on a real server, for as long as asked: memory and errors over time.

`python -m benchmarks.soak SECONDS` starts `facecctv serve` on a loopback port and sends pictures of
all sizes, broken ones, slow ones and ones whose sender leaves. It prints a line each 30 seconds and
ends with 1 if a reply was another than its picture calls for (or 429), or if memory grew by more
than 5 % between the first third, in which caches and arenas fill, and the end. It ends within two
minutes of its time.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.server import serving
from facecctv.demo import demo_scene
from facecctv.image import encode, resize

GROWTH = 1.05
EVERY = 30.0
CLIENTS = 6


@dataclass(frozen=True)
class File:
    """What is sent, and the status that it calls for."""

    data: bytes
    status: int


def files() -> list[File]:
    """Small to large pictures, and some that are none."""
    scene = demo_scene().image
    height, width = scene.shape[:2]
    sizes = [(160, 120), (640, 480), (width, height), (2 * width, 2 * height)]
    made = [encode(resize(scene, w, h), "jpeg") for w, h in sizes]
    return [
        *(File(data, 200) for data in made),
        File(made[1][: len(made[1]) // 2], 422),
        File(b"not a picture", 415),
        File(made[0] + made[0], 200),
    ]


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


async def client(url: str, end: float, tally: Tally, seed: int) -> None:
    """Sends one request after the other until the end."""
    dice = random.Random(seed)
    choice = files()
    async with httpx.AsyncClient(base_url=url, timeout=120) as session:
        while time.monotonic() < end:
            file, way = dice.choice(choice), dice.random()
            path = dice.choice(
                ["/v1/detect", "/v1/examine?crops=true", "/task/face-detection", "/v1/limits"]
            )
            if path == "/v1/limits":
                reply, expected = await session.get(path), 200
            elif way < 0.05:
                headers = {"content-type": "multipart/form-data; boundary=X"}
                reply = await session.post(path, content=drip(file.data), headers=headers)
                expected = file.status
            elif way < 0.1:
                await leave(session, path, file)
                tally.seen["left"] += 1
                continue
            else:
                reply = await session.post(path, files={"file": ("a.jpg", file.data)})
                expected = file.status
            tally.take(path, reply.status_code, expected)
            if reply.status_code == 429:
                await asyncio.sleep(float(reply.headers["retry-after"]))


async def leave(session: httpx.AsyncClient, path: str, file: File) -> None:
    """Sends a picture and does not stay for the reply, unless that comes at once."""
    soon = httpx.Timeout(120, read=0.1)
    with contextlib.suppress(httpx.ReadTimeout):
        await session.post(path, files={"file": ("a.jpg", file.data)}, timeout=soon)


async def watch(process: int, end: float, tally: Tally) -> list[int]:
    """Memory over time, printed as it goes."""
    sizes = []
    while time.monotonic() < end:
        await asyncio.sleep(min(EVERY, max(0.1, end - time.monotonic())))
        sizes.append(memory(process))
        left, seen = max(0, end - time.monotonic()), dict(sorted(tally.seen.items()))
        print(f"{left:6.0f} s left  {sizes[-1] / 2**20:7.1f} MiB  {seen}", flush=True)
    return sizes


async def load(url: str, process: int, seconds: float) -> tuple[Tally, list[int]]:
    """All clients at once."""
    tally = Tally(Counter(), Counter())
    end = time.monotonic() + seconds
    clients = [client(url, end, tally, seed) for seed in range(CLIENTS)]
    sizes, *_ = await asyncio.gather(watch(process, end, tally), *clients)
    return tally, sizes


def main(seconds: float) -> int:
    """Returns the exit status."""
    with serving() as (port, process):
        tally, sizes = asyncio.run(load(f"http://127.0.0.1:{port}", process, seconds))
    settled = max(sizes[: max(1, len(sizes) // 3)])
    growth = sizes[-1] / settled
    seen = dict(sorted(tally.seen.items()))
    print(f"replies {seen}; memory {growth - 1:+.1%} since the first third")
    for what, count in sorted(tally.wrong.items()):
        print(f"wrong, {count} times: {what}")
    return int(bool(tally.wrong) or growth > GROWTH)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 1800))
