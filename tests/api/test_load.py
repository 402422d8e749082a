import asyncio
import platform
import statistics
import subprocess
import sys
import threading
import time

import httpx
import numpy as np
import pytest

from facecctv.api import allocator
from facecctv.api.desk import SMALL_AT_ONCE, ServerSettings
from facecctv.api.lanes import Lane, Leave, Left
from facecctv.api.limits import Gate, ServerLimits, client_of
from facecctv.api.problems import Problem
from facecctv.errors import SettingError
from facecctv.image import encode

LARGE = encode(np.zeros((1200, 1200, 3), np.uint8), "jpeg")


@pytest.mark.parametrize(
    ("host", "client"),
    [
        ("", ""),
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("testclient", "testclient"),
    ],
)
def test_addresses_that_one_client_chooses_from_are_one_client(host, client):
    assert client_of(host) == client


def test_limits_of_nothing_are_refused():
    with pytest.raises(SettingError, match="queue"):
        ServerLimits(queue=0)


def test_the_pace_of_a_client_is_kept_and_recovers():
    now = [0.0]
    gate = Gate(ServerLimits(requests_per_minute=3), lambda: now[0])

    def enter(client="a"):
        with gate.enter(client):
            pass

    for _ in range(3):
        enter()
    with pytest.raises(Problem) as refused:
        enter()
    assert refused.value.status == 429
    assert refused.value.headers == {"Retry-After": "20"}
    enter("b")
    now[0] = 20.0
    enter()
    with pytest.raises(Problem):
        enter()


def test_requests_at_once_are_counted_by_client_and_in_all():
    gate = Gate(ServerLimits(requests_per_client=1, requests=2))
    with gate.enter("a"), gate.enter("b"):
        for client in ("a", "c"):
            with pytest.raises(Problem) as refused, gate.enter(client):
                pass
            assert refused.value.status == 429
        assert gate.inside == 2
    assert gate.inside == 0
    with gate.enter("a"):
        pass


class Block:
    """Work that waits until it is let go."""

    def __init__(self):
        self.begun = threading.Semaphore(0)
        self.go = threading.Event()
        self.count = 0

    def __call__(self, image=None):
        self.count += 1
        self.begun.release()
        assert self.go.wait(30)
        return []


async def until(true):
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.01)


def in_lane(function, threads=1, queue=1):
    async def main():
        lane = Lane("test", threads, queue)
        try:
            return await function(lane)
        finally:
            lane.close()

    return asyncio.run(main())


def test_a_lane_returns_and_raises_what_the_work_does():
    async def use(lane):
        assert await lane.run(lambda: 7, Leave(), 5) == 7
        with pytest.raises(ZeroDivisionError):
            await lane.run(lambda: 1 // 0, Leave(), 5)
        await asyncio.sleep(0)
        assert lane.waiting == 0

    in_lane(use)


def test_what_finds_no_place_or_waits_too_long_is_429_and_dropped():
    block = Block()

    async def use(lane):
        first = asyncio.create_task(lane.run(block, Leave(), 20))
        await asyncio.to_thread(block.begun.acquire)
        second = asyncio.create_task(lane.run(block, Leave(), 0.2))
        await asyncio.sleep(0)
        assert lane.waiting == 1
        with pytest.raises(Problem) as full:
            await lane.run(block, Leave(), 5)
        assert full.value.status == 429
        assert "Retry-After" in full.value.headers
        with pytest.raises(Problem) as late:
            await second
        assert late.value.status == 429
        assert "Retry-After" in late.value.headers
        assert lane.oldest() > 0
        block.go.set()
        await first
        assert (block.count, lane.dropped) == (1, 1)
        await asyncio.sleep(0.05)
        assert lane.oldest() == 0

    in_lane(use)


def test_running_work_is_told_when_nobody_waits_any_more():
    stopped = threading.Event()
    begun = threading.Event()

    async def use(lane):
        leave = Leave()

        def steps():
            begun.set()
            try:
                for _ in range(1000):
                    leave.check()
                    time.sleep(0.01)
            except Left:
                stopped.set()
                raise

        task = asyncio.create_task(lane.run(steps, leave, 20))
        await asyncio.to_thread(begun.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(stopped.wait, 5)

    in_lane(use)


def test_a_full_server_is_429_and_then_serves_again(stages, app_of, talk, tiny):
    block = Block()
    app = app_of(stages(block), ServerSettings(limits=ServerLimits(queue=1)))

    async def use(client):
        def send():
            return asyncio.create_task(client.post("/v1/detect", files={"file": tiny}))

        waiting = [send() for _ in range(SMALL_AT_ONCE + 1)]
        for _ in range(SMALL_AT_ONCE):
            await asyncio.to_thread(block.begun.acquire)
        await until(lambda: app.state.desk.lanes[1].waiting)
        refused = await send()
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.headers["content-type"] == "application/problem+json"
        block.go.set()
        assert {reply.status_code for reply in await asyncio.gather(*waiting)} == {200}
        assert (await send()).status_code == 200

    talk(app, use)
    assert app.state.desk.gate.held == 0
    assert app.state.desk.gate.inside == 0


def test_one_client_cannot_take_all_the_room(stages, app_of, talk, tiny):
    block = Block()
    app = app_of(stages(block), ServerSettings(limits=ServerLimits(requests_per_client=1)))

    async def use(client):
        first = asyncio.create_task(client.post("/v1/detect", files={"file": tiny}))
        await asyncio.to_thread(block.begun.acquire)
        assert (await client.post("/v1/detect", files={"file": tiny})).status_code == 429
        block.go.set()
        assert (await first).status_code == 200

    talk(app, use)


def test_work_that_takes_too_long_is_503(stages, app_of, post, tiny):
    block = Block()
    app = app_of(stages(block), ServerSettings(limits=ServerLimits(work_seconds=1)))
    reply = post(app, "/v1/detect", tiny)
    block.go.set()
    assert reply.status_code == 503
    assert "retry-after" in reply.headers


def test_health_says_when_a_thread_hangs(stages, app_of, talk, tiny):
    block = Block()
    app = app_of(stages(block), ServerSettings(limits=ServerLimits(work_seconds=1)))

    async def use(client):
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.post("/v1/detect", files={"file": tiny})).status_code == 503
        await asyncio.sleep(1.2)
        assert (await client.get("/healthz")).status_code == 503
        block.go.set()
        await asyncio.sleep(0.1)
        assert (await client.get("/healthz")).status_code == 200

    talk(app, use)


def test_a_client_that_leaves_has_its_waiting_work_skipped(stages, app_of, serving, tiny):
    block = Block()
    app = app_of(stages(block))
    lane = app.state.desk.lanes[1]

    async def use(url):
        async with httpx.AsyncClient(base_url=url, timeout=20) as client:

            def send():
                return asyncio.create_task(client.post("/v1/detect", files={"file": tiny}))

            first = [send() for _ in range(SMALL_AT_ONCE)]
            for _ in first:
                await asyncio.to_thread(block.begun.acquire)
            late = send()
            await until(lambda: lane.waiting)
            late.cancel()
            await until(lambda: lane.dropped)
            block.go.set()
            assert {reply.status_code for reply in await asyncio.gather(*first)} == {200}
        assert block.count == SMALL_AT_ONCE
        assert app.state.desk.gate.held == 0

    with serving(app) as port:
        asyncio.run(use(f"http://127.0.0.1:{port}"))


def test_small_pictures_pass_large_ones(stages, app_of, talk, tiny):
    block = Block()
    app = app_of(stages(lambda image: block() if image.shape[0] > 1000 else []))

    async def use(client):
        large = [
            asyncio.create_task(client.post("/v1/detect", files={"file": LARGE})) for _ in range(3)
        ]
        await asyncio.to_thread(block.begun.acquire)
        times = []
        for _ in range(20):
            began = time.perf_counter()
            assert (await client.post("/v1/detect", files={"file": tiny})).status_code == 200
            times.append(time.perf_counter() - began)
        assert not any(task.done() for task in large)
        assert statistics.median(times) < 1
        block.go.set()
        assert {reply.status_code for reply in await asyncio.gather(*large)} == {200}

    talk(app, use)


def test_an_app_that_is_ended_and_started_again_works(quick, app_of, post, tiny):
    app = app_of(quick)

    async def once():
        async with app.router.lifespan_context(app):
            pass

    assert post(app, "/v1/detect", tiny).status_code == 200
    asyncio.run(once())
    assert post(app, "/v1/detect", tiny).status_code == 200


@pytest.mark.skipif(
    sys.platform != "linux" or platform.libc_ver()[0] != "glibc", reason="only glibc has arenas"
)
def test_threads_that_come_and_go_leave_little_behind():
    """In a process of its own, as the setting is the whole process's."""
    code = """
import threading, sys
from pathlib import Path
from facecctv.api.allocator import give_back, share_arenas
if sys.argv[1] == "shared":
    share_arenas()
gate = threading.Barrier(12)
def work():
    kept = [bytearray(60_000) for _ in range(200)]
    gate.wait()
threads = [threading.Thread(target=work) for _ in range(12)]
for thread in threads: thread.start()
for thread in threads: thread.join()
maps = Path("/proc/self/maps").read_text().splitlines()
# Each heap but the first begins at a multiple of 64 MiB.
print(sum(int(line.split("-")[0], 16) % (1 << 26) == 0 for line in maps))
give_back()
resident = int(Path("/proc/self/statm").read_text().split()[1]) * 4096
print(resident)
"""

    def heaps(way):
        done = subprocess.run(
            [sys.executable, "-c", code, way], capture_output=True, text=True, check=True
        )
        count, resident = map(int, done.stdout.split())
        assert resident < 100e6  # of 144 MB in use at once
        return count

    assert heaps("shared") < heaps("own")


def test_a_running_server_hands_memory_back_and_stops_with_its_app(quick, app_of, monkeypatch):
    given = []
    monkeypatch.setattr(allocator, "give_back", lambda: given.append(time.monotonic()))
    monkeypatch.setattr(allocator, "TIDY_SECONDS", 0.01)
    app = app_of(quick)

    async def for_a_while():
        async with app.router.lifespan_context(app):
            end = time.monotonic() + 10
            while len(given) < 3 and time.monotonic() < end:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)  # what was begun is done
        return len(given)

    times = asyncio.run(for_a_while())
    assert times >= 3
    time.sleep(0.1)
    assert len(given) == times
