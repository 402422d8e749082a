"""A mixed load on a real server, for as long as asked: memory and errors over time.

`python -m benchmarks.soak SECONDS` starts `facecctv serve` on a loopback port and sends pictures of
all sizes, broken ones, slow ones and ones whose sender leaves. It prints a line each 30 seconds and
ends with 1 if a reply was none of 200, 400, 408, 413, 415, 422 and 429, or if memory grew by more
than 5 % between the first third, in which caches and arenas fill, and the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import httpx

from facecctv.demo import demo_scene
from facecctv.image import encode, resize

EXPECTED = {200, 400, 408, 413, 415, 422, 429}
GROWTH = 1.05
EVERY = 30.0
CLIENTS = 6


def pictures() -> list[bytes]:
    """Small to large, and some that are none."""
    scene = demo_scene().image
    height, width = scene.shape[:2]
    sizes = [(160, 120), (640, 480), (width, height), (2 * width, 2 * height)]
    made = [encode(resize(scene, w, h), "jpeg") for w, h in sizes]
    return [*made, made[1][: len(made[1]) // 2], b"not a picture", made[0] + made[0]]


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


async def client(url: str, end: float, seen: Counter[str], seed: int) -> None:
    """Sends one request after the other until the end."""
    dice = random.Random(seed)
    files = pictures()
    async with httpx.AsyncClient(base_url=url, timeout=120) as session:
        while time.monotonic() < end:
            data = dice.choice(files)
            path = dice.choice(
                ["/v1/detect", "/v1/examine?crops=true", "/task/face-detection", "/v1/limits"]
            )
            with contextlib.suppress(httpx.ReadTimeout):
                if path == "/v1/limits":
                    reply = await session.get(path)
                elif dice.random() < 0.05:
                    reply = await session.post(
                        path,
                        content=drip(data),
                        headers={"content-type": "multipart/form-data; boundary=X"},
                    )
                else:
                    leaves = dice.random() < 0.05
                    reply = await session.post(
                        path,
                        files={"file": ("a.jpg", data)},
                        timeout=httpx.Timeout(120, read=0.1 if leaves else 120),
                    )
                seen[str(reply.status_code)] += 1
                if reply.status_code == 429:
                    await asyncio.sleep(float(reply.headers["retry-after"]))
                continue
            seen["left"] += 1


async def watch(process: int, end: float, seen: Counter[str]) -> list[int]:
    """Memory over time, printed as it goes."""
    sizes = []
    while time.monotonic() < end:
        await asyncio.sleep(min(EVERY, max(0.1, end - time.monotonic())))
        sizes.append(memory(process))
        left = max(0, end - time.monotonic())
        print(f"{left:6.0f} s left  {sizes[-1] / 2**20:7.1f} MiB  {dict(sorted(seen.items()))}")
    return sizes


async def load(url: str, process: int, seconds: float) -> tuple[Counter[str], list[int]]:
    """All clients at once."""
    seen: Counter[str] = Counter()
    end = time.monotonic() + seconds
    clients = [client(url, end, seen, seed) for seed in range(CLIENTS)]
    sizes, *_ = await asyncio.gather(watch(process, end, seen), *clients)
    return seen, sizes


def main(seconds: float) -> int:
    """Returns the exit status."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "facecctv", "serve", "--port", str(port)]
    with subprocess.Popen(
        [*command, "--requests-per-minute", "0"], stderr=subprocess.DEVNULL
    ) as server:
        try:
            url = f"http://127.0.0.1:{port}"
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if httpx.get(url + "/healthz", timeout=60).status_code == 200:
                        break
                if server.poll() is not None:
                    return 1
                time.sleep(0.2)
            seen, sizes = asyncio.run(load(url, server.pid, seconds))
        finally:
            server.terminate()
    wrong = {status for status in seen if status != "left" and int(status) not in EXPECTED}
    settled = max(sizes[: max(1, len(sizes) // 3)])
    growth = sizes[-1] / settled
    print(f"replies {dict(sorted(seen.items()))}; memory {growth - 1:+.1%} since the first third")
    return int(bool(wrong) or growth > GROWTH)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 1800))
