"""The server against the bare pipeline, and how long its clients wait.

python -m benchmarks.serving [--seconds S] [--clients N] [--threads N] [--large NAME] [--out FILE]

Measures on one machine, one after the other: the pipeline in a process of its own (decode, find,
judge, write JSON) and the same pictures through `POST /v1/examine` with N clients, in turns, since
the machine's own pace drifts by more than the two differ; a tiny picture alone, while two clients
send large ones (4K) without a pause, and while one puts in videos, each as soon as the last is gone
through; and the first VGA picture that a fresh server gets. The clients share the machine with the
server and take part of its time. Prints a table and one JSON object, which --out keeps.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import math
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine, table
from benchmarks.clips import write_scene
from benchmarks.scenes import scene
from benchmarks.server import serving
from facecctv.image import encode, resize

LARGE_CLIENTS = 2
VIDEO = ("1080p", 2.0)
"""Its size and seconds."""
ASK_SECONDS = 0.5
"""Between two looks at how far it is."""
ROUNDS = 5
"""Of the pipeline and the server in turns."""
WARM = 3
"""Requests before any measurement that is not of the first."""


def picture(name: str) -> bytes:
    """A JPEG of the demo scene: tiny (160 x 120), VGA or 4K."""
    image = resize(scene("VGA"), 160, 120) if name == "tiny" else scene(name)
    return encode(image, "jpeg")


FORM = {"Content-Type": "multipart/form-data; boundary=X"}


def form(data: bytes, name: str) -> bytes:
    """A body with one file."""
    head = f'--X\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    return head.encode() + data + b"\r\n--X--\r\n"


def video(name: str, seconds: float) -> bytes:
    """An MP4 file of five people."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.mp4"
        write_scene(path, name, seconds)
        return path.read_bytes()


class Client:
    """One connection that is kept, with one request at a time."""

    def __init__(self, port: int, data: bytes) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self._body = form(data, "a.jpg")

    def post(self) -> float:
        """Seconds from the first byte sent to the last received; SystemExit unless 200."""
        began = time.perf_counter()
        self._connection.request("POST", "/v1/examine", self._body, FORM)
        reply = self._connection.getresponse()
        text = reply.read()
        if reply.status != 200:
            raise SystemExit(f"status {reply.status}: {text[:200].decode(errors='replace')}")
        return time.perf_counter() - began


def post_until(port: int, data: bytes, end: float) -> list[float]:
    """Seconds of each request, sent one after the other until the end; at least one."""
    client = Client(port, data)
    spent = [client.post()]
    while time.perf_counter() < end:
        spent.append(client.post())
    return spent


@contextlib.contextmanager
def beside(port: int, data: bytes, clients: int) -> Iterator[list[BaseException]]:
    """Clients that send without a pause meanwhile; gives the list of what went wrong with them."""
    stop = threading.Event()
    wrong: list[BaseException] = []

    def send() -> None:
        try:
            client = Client(port, data)
            while not stop.is_set():
                client.post()
        except (SystemExit, OSError, http.client.HTTPException) as error:
            wrong.append(error)

    threads = [threading.Thread(target=send) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield wrong
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@contextlib.contextmanager
def filming(port: int, video: bytes) -> Iterator[list[BaseException]]:
    """One video after the other meanwhile, from before the block begins; as `beside`."""
    stop, working = threading.Event(), threading.Event()
    wrong: list[BaseException] = []

    def send() -> None:
        try:
            while not stop.is_set():
                address = _put(port, video)
                working.set()
                while _state(port, address) != "done" and not stop.is_set():
                    stop.wait(ASK_SECONDS)
                _ask(port, "DELETE", address)
        except (SystemExit, OSError, http.client.HTTPException) as error:
            wrong.append(error)
            working.set()

    thread = threading.Thread(target=send)
    thread.start()
    try:
        working.wait()
        yield wrong
    finally:
        stop.set()
        thread.join()


def _put(port: int, video: bytes) -> str:
    body = form(video, "a.mp4")
    status, text = _ask(port, "POST", "/v1/jobs", body)
    if status != 202:
        raise SystemExit(f"status {status}: {text[:200].decode(errors='replace')}")
    return f"/v1/jobs/{json.loads(text)['id']}"


def _state(port: int, address: str) -> str:
    """SystemExit for a job that failed."""
    state = str(json.loads(_ask(port, "GET", address)[1])["state"])
    if state in ("failed", "cancelled"):
        raise SystemExit(f"a video job {state}")
    return state


def _ask(port: int, method: str, address: str, body: bytes | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    with contextlib.closing(connection):
        connection.request(method, address, body, FORM if body else {})
        reply = connection.getresponse()
        return reply.status, reply.read()


def throughput(port: int, data: bytes, clients: int, seconds: float) -> float:
    """Pictures a second with so many clients at once."""
    began = time.perf_counter()
    done: list[list[float]] = []
    wrong: list[BaseException] = []

    def send() -> None:
        try:
            done.append(post_until(port, data, began + seconds))
        except (SystemExit, OSError, http.client.HTTPException) as error:
            wrong.append(error)

    threads = [threading.Thread(target=send) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        raise SystemExit(f"a client failed: {wrong[0]}")
    return sum(map(len, done)) / (time.perf_counter() - began)


def bare(seconds: float, threads: int) -> float:
    """Pictures a second of the pipeline alone, in this process."""
    from facecctv import build
    from facecctv.image import decode
    from facecctv.schema import Result
    from facecctv.settings import Settings

    data, pipeline = picture("VGA"), build.load_pipeline(settings=Settings(threads=threads))

    def work() -> None:
        seen = decode(data)
        size = (seen.width, seen.height)
        Result.of("a.jpg", seen.sha256, size, pipeline.image(seen.image)).to_json()

    for _ in range(WARM):
        work()
    began, count = time.perf_counter(), 0
    while not count or time.perf_counter() - began < seconds:
        work()
        count += 1
    return count / (time.perf_counter() - began)


def bare_elsewhere(seconds: float, threads: int) -> float:
    """As `bare`, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.serving", "--bare", "--threads", str(threads)]
    alone = subprocess.run(
        [*command, "--seconds", str(seconds)], stdout=subprocess.PIPE, text=True, check=True
    )
    return float(alone.stdout)


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest rank: the least value that at least this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def waits(spent: Sequence[float]) -> dict[str, float]:
    """Milliseconds."""
    return {
        "requests": len(spent),
        "median_ms": round(1000 * statistics.median(spent), 1),
        "p99_ms": round(1000 * percentile(spent, 0.99), 1),
        "longest_ms": round(1000 * max(spent), 1),
    }


def measure(seconds: float, clients: int, threads: int, large: str) -> dict[str, Any]:
    """All of it, in about six times the seconds."""
    before = machine.load_average()
    pictures = {name: picture(name) for name in ("tiny", "VGA", large)}
    film = video(*VIDEO)
    with serving(threads) as (port, _):
        turn = seconds / ROUNDS
        first = Client(port, pictures["VGA"]).post()
        vga = post_until(port, pictures["VGA"], time.perf_counter() + seconds)
        turns = [
            (bare_elsewhere(turn, threads), throughput(port, pictures["VGA"], clients, turn))
            for _ in range(ROUNDS)
        ]
        quiet = post_until(port, pictures["tiny"], time.perf_counter() + seconds)
        with beside(port, pictures[large], LARGE_CLIENTS) as wrong:
            busy = post_until(port, pictures["tiny"], time.perf_counter() + seconds)
        if wrong:
            raise SystemExit(f"a client of large pictures failed: {wrong[0]}")
        with filming(port, film) as wrong:
            filmed = post_until(port, pictures["tiny"], time.perf_counter() + seconds)
        if wrong:
            raise SystemExit(f"the client of videos failed: {wrong[0]}")
    pipeline, rate = (statistics.median(values) for values in zip(*turns, strict=True))
    return {
        "machine": machine.describe(threads),
        "load_before": before,
        "load_after": machine.load_average(),
        "clients": clients,
        "pipeline_per_second": round(pipeline, 2),
        "server_per_second": round(rate, 2),
        "turns": [[round(value, 2) for value in turn] for turn in turns],
        "share_of_pipeline": round(statistics.median(of / alone for alone, of in turns), 3),
        "first_vga_ms": round(1000 * first, 1),
        "vga": waits(vga),
        "tiny_alone": waits(quiet),
        "large": large,
        "tiny_beside_large": waits(busy),
        "video": "{} of {} s".format(*VIDEO),
        "tiny_beside_video": waits(filmed),
    }


def markdown(result: dict[str, Any]) -> str:
    """The figures as a table."""
    tiny, busy, filmed = (
        result[f"tiny_{how}"] for how in ("alone", "beside_large", "beside_video")
    )
    rows = [
        ("VGA pictures, pipeline alone", f"{result['pipeline_per_second']:.1f}/s"),
        (
            f"VGA pictures, server with {result['clients']} clients",
            f"{result['server_per_second']:.1f}/s ({result['share_of_pipeline']:.0%})",
        ),
        ("First VGA picture of a fresh server", f"{result['first_vga_ms']:.0f} ms"),
        ("VGA picture after that", f"{result['vga']['median_ms']:.0f} ms"),
        ("Tiny picture", f"{tiny['median_ms']:.0f} ms, p99 {tiny['p99_ms']:.0f} ms"),
        (
            f"Tiny picture beside {LARGE_CLIENTS} clients with {result['large']} pictures",
            f"{busy['median_ms']:.0f} ms, p99 {busy['p99_ms']:.0f} ms, {busy['requests']} requests",
        ),
        (
            f"Tiny picture beside videos of {result['video']}",
            "{median_ms:.0f} ms, p99 {p99_ms:.0f} ms, {requests} requests".format(**filmed),
        ),
    ]
    return table.two_columns(rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serving", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="of each of six parts")
    parser.add_argument("--clients", type=int, default=4, help="at once; the server takes 8")
    parser.add_argument("--threads", type=int, default=2, help="of the network (default: 2)")
    parser.add_argument("--large", choices=["1080p", "4K"], default="4K", help="default: 4K")
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    parser.add_argument("--bare", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.bare:
        print(bare(given.seconds, given.threads))
        return
    result = measure(given.seconds, given.clients, given.threads, given.large)
    table.tell(result, markdown(result), given.out)


if __name__ == "__main__":
    main()
