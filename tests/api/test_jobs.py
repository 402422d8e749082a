"""Videos as jobs: what is found, who may ask, and that nothing stays."""

import asyncio
import hashlib
import json
import threading
import time

import numpy as np
import pytest

from facecctv.api.clips import Clip, Room
from facecctv.api.desk import ServerSettings
from facecctv.api.jobs import Jobs
from facecctv.api.limits import ServerLimits
from facecctv.api.problems import Problem
from facecctv.api.security import Keys
from facecctv.api.turns import Cancelled, Line
from facecctv.errors import MissingExtra
from facecctv.footage.video import Video
from facecctv.image import decode
from tests.api.filmed import Filmed, film, heads, sound_only, walk

PATIENCE = 60
"""Seconds for a job of a few frames, on a busy machine."""
FREE = ServerLimits(requests_per_minute=0)


@pytest.fixture(scope="module")
def two():
    return walk()


@pytest.fixture
def shop():
    made = Filmed()
    yield made
    made.gate.set()


@pytest.fixture
def app(app_of, shop):
    made = app_of(shop, ServerSettings(limits=FREE))
    yield made
    shop.gate.set()
    made.state.desk.close()


async def put(client, data, query="", name="door.mp4", **options):
    return await client.post(f"/v1/jobs{query}", files={"file": (name, data)}, **options)


async def until(client, address, *states):
    """The job when it comes to one of these states."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        reply = await client.get(address)
        if reply.json().get("state") in states:
            return reply.json()
        await asyncio.sleep(0.02)
    raise AssertionError(f"still {reply.text}")


async def emptied(app):
    """Nothing is held any more."""
    end = time.monotonic() + PATIENCE
    while app.state.desk.room.held and time.monotonic() < end:
        await asyncio.sleep(0.02)
    assert app.state.desk.room.held == 0
    assert len(app.state.desk.jobs) == 0


def test_everybody_is_found_once_with_pictures(app, talk, two):
    async def use(client):
        begun = await put(client, two)
        assert begun.status_code == 202
        address = begun.headers["location"]
        assert address == f"/v1/jobs/{begun.json()['id']}"
        job = await until(client, address, "done", "failed")
        assert (job["state"], job["kind"], job["progress"]) == ("done", "footage", 1.0)
        found = job["footage"]
        assert found["sha256"] == hashlib.sha256(two).hexdigest()
        assert (found["source"], found["width"], found["height"]) == ("door.mp4", 240, 120)
        assert [person["number"] for person in found["people"]] == [1, 2]
        assert "joined_by" not in found
        for person in found["people"]:
            assert len(person["passages"]) == 1
            assert person["files"]["crops"][0] == f"people/{person['number']}/crop-01.png"
            for path in (*person["files"]["crops"], person["files"]["fused"]):
                picture = await client.get(f"{address}/{path}")
                assert picture.headers["content-type"] == "image/png"
                assert heads(decode(picture.content).image)
        for path in ("people/1/enhanced.png", "people/3/crop-01.png", "redacted"):
            assert (await client.get(f"{address}/{path}")).status_code == 404
        whole = await client.get(f"{address}/video")
        assert (whole.content, whole.headers["content-type"]) == (two, "video/mp4")
        assert (await client.delete(address)).status_code == 204
        assert (await client.get(address)).status_code == 404
        await emptied(app)

    talk(app, use)


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [("bytes=0-99", 0, 100), ("bytes=100-", 100, None), ("bytes=-7", -7, None)],
)
def test_a_part_of_the_video(app, talk, two, asked, start, end):
    async def use(client):
        address = (await put(client, two)).headers["location"]
        part = await client.get(f"{address}/video", headers={"range": asked})
        assert part.status_code == 206
        assert part.content == two[start:end]
        first = start % len(two)
        last = first + len(part.content) - 1
        assert part.headers["content-range"] == f"bytes {first}-{last}/{len(two)}"
        beyond = await client.get(f"{address}/video", headers={"range": f"bytes={len(two)}-"})
        assert beyond.status_code == 416

    talk(app, use)


def test_people_are_put_right_by_hand(app, talk, two):
    async def use(client):
        address = (await put(client, two)).headers["location"]
        job = await until(client, address, "done")
        wrong = await client.post(f"{address}/merge?person=1&person=9")
        assert (wrong.status_code, wrong.json()["reason"]) == (422, "option")
        assert (await client.post(f"{address}/merge?person=1")).status_code == 422
        assert (await client.post(f"{address}/merge?person=1&person=2")).status_code == 200
        joined = (await until(client, address, "done"))["footage"]
        assert len(joined["people"]) == 1
        assert len(joined["people"][0]["passages"]) == 2
        assert joined["edits"] == [{"kind": "merge", "people": [1, 2]}]
        passage = job["footage"]["people"][1]["passages"][0]["number"]
        alone = await client.post(f"{address}/split?person=1&passage={passage}")
        assert alone.status_code == 200
        parted = (await until(client, address, "done"))["footage"]
        assert [len(person["passages"]) for person in parted["people"]] == [1, 1]
        assert parted["people"][1]["files"]["crops"][0].startswith("people/3/")
        assert (await client.get(f"{address}/people/3/crop-01.png")).status_code == 200
        assert (await client.get(f"{address}/people/2/crop-01.png")).status_code == 404

    talk(app, use)


@pytest.mark.parametrize(("query", "sound"), [("", "kept"), ("&sound=false", "muted")])
def test_faces_are_covered(app, talk, two, query, sound):
    async def use(client):
        address = (await put(client, two, f"?kind=redact{query}")).headers["location"]
        job = await until(client, address, "done", "failed")
        result = job["redacted"]
        assert (result["sound"], result["output"]) == (sound, "door-redacted.mp4")
        assert (result["coverage"], result["found_after"]) == (1.0, 0)
        assert "spared" not in result
        video = await client.get(f"{address}/redacted")
        assert hashlib.sha256(video.content).hexdigest() == result["output_sha256"]
        made = Video(video.content)
        assert (made.facts.audio is not None) == (sound == "kept")
        shown = list(made.frames())
        assert len(shown) == result["frames"] == 125
        assert not any(heads(one.image) for one in shown)
        assert (await client.get(f"{address}/people/1/crop-01.png")).status_code == 404
        assert (await client.post(f"{address}/redact")).status_code == 409
        await client.delete(address)
        await emptied(app)

    talk(app, use)


def test_who_is_kept_stays_to_be_seen_and_the_video_is_sent_once(app, talk, two):
    async def use(client):
        address = (await put(client, two)).headers["location"]
        await until(client, address, "done")
        assert (await client.post(f"{address}/redact?keep=7")).status_code == 422
        begun = await client.post(f"{address}/redact?keep=2&style=solid")
        assert begun.status_code == 202
        # The video is wiped when the last job that needs it is gone.
        await client.delete(address)
        job = await until(client, begun.headers["location"], "done", "failed")
        assert (job["redacted"]["kept"], job["redacted"]["spared"]) == ([2], 1)
        video = await client.get(f"{begun.headers['location']}/redacted")
        seen = [bool(heads(one.image)) for one in Video(video.content).frames()]
        assert not any(seen[:95])
        assert all(seen[-20:])
        await client.delete(begun.headers["location"])
        await emptied(app)

    talk(app, use)


def test_cancelled_while_it_runs_nothing_stays(app, shop, talk, two):
    async def use(client):
        shop.gate.clear()
        address = (await put(client, two)).headers["location"]
        assert (await until(client, address, "running"))["state"] == "running"
        await asyncio.to_thread(shop.looking.wait, PATIENCE)
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.delete(address)).status_code == 204
        await emptied(app)
        assert not shop.gate.is_set()

    talk(app, use)


def test_one_works_at_a_time_and_a_paused_one_lets_others_pass(app, shop, talk, two):
    async def use(client):
        shop.gate.clear()
        first = (await put(client, two)).headers["location"]
        await until(client, first, "running")
        second = (await put(client, two)).headers["location"]
        waiting = (await client.get(second)).json()
        assert (waiting["state"], waiting["ahead"]) == ("queued", 1)
        assert (await client.post(f"{first}/pause")).json()["state"] == "paused"
        assert (await until(client, second, "running"))["state"] == "running"
        shop.gate.set()
        await until(client, second, "done")
        assert (await client.get(first)).json()["state"] == "paused"
        assert (await client.post(f"{first}/resume")).json()["state"] in ("queued", "running")
        assert (await until(client, first, "done"))["footage"]["frames"] == 125
        assert (await client.post(f"{first}/pause")).json()["state"] == "done"

    talk(app, use)


def test_small_requests_are_answered_while_a_video_is_worked_on(app, shop, talk, two, tiny):
    async def use(client):
        shop.gate.clear()
        address = (await put(client, two)).headers["location"]
        await until(client, address, "running")
        assert (await client.get("/v1/limits")).status_code == 200
        reply = asyncio.create_task(client.post("/v1/detect", files={"file": ("a.png", tiny)}))
        await asyncio.sleep(0.05)
        shop.gate.set()
        assert (await reply).status_code == 200
        await until(client, address, "done")

    talk(app, use)


def test_events_tell_of_each_change_and_end_with_the_job(app, shop, talk, two):
    async def use(client):
        shop.gate.clear()
        address = (await put(client, two)).headers["location"]
        events = asyncio.create_task(client.get(f"{address}/events"))
        await until(client, address, "running")
        await asyncio.sleep(1)
        shop.gate.set()
        reply = await events
        assert reply.headers["content-type"].startswith("text/event-stream")
        blocks = [block.split("\n") for block in reply.text.strip().split("\n\n")]
        told = [json.loads(lines[2].removeprefix("data: ")) for lines in blocks if len(lines) == 3]
        assert [lines[0] for lines in blocks if len(lines) == 3][:2] == ["id: 1", "id: 2"]
        assert told[-1]["state"] == "done"
        assert "footage" not in told[-1]
        again = await client.get(f"{address}/events", headers={"Last-Event-ID": "2"})
        assert again.text.count("event: state") == 1

    talk(app, use)


def test_events_of_a_job_that_is_deleted_say_so(app, shop, talk, two):
    async def use(client):
        shop.gate.clear()
        address = (await put(client, two)).headers["location"]
        events = asyncio.create_task(client.get(f"{address}/events"))
        await asyncio.sleep(0.2)
        await client.delete(address)
        assert '"state": "cancelled"' in (await events).text

    talk(app, use)


def test_a_job_is_its_owners_alone(app_of, shop, talk, two):
    hashes = tuple(hashlib.sha256(key).digest() for key in (b"ann", b"bob"))
    app = app_of(shop, ServerSettings(limits=FREE, keys=Keys(hashes)))
    ann, bob = {"x-api-key": "ann"}, {"x-api-key": "bob"}

    async def use(client):
        assert (await put(client, two)).status_code == 401
        address = (await put(client, two, headers=ann)).headers["location"]
        assert (await client.get(address)).status_code == 401
        for method, path in (
            ("GET", ""),
            ("GET", "/events"),
            ("GET", "/video"),
            ("GET", "/redacted"),
            ("GET", "/people/1/crop-01.png"),
            ("POST", "/pause"),
            ("POST", "/resume"),
            ("POST", "/redact"),
            ("POST", "/split?person=1&passage=1"),
            ("POST", "/merge?person=1&person=2"),
            ("DELETE", ""),
        ):
            reply = await client.request(method, address + path, headers=bob)
            assert (reply.status_code, reply.json()["reason"]) == (404, "no-job"), path
        assert (await client.get(address, headers=ann)).status_code == 200
        await client.delete(address, headers=ann)
        await emptied(app)

    talk(app, use)


def test_a_job_that_nobody_asks_for_goes(app, shop, talk, two):
    now = 0.0
    app.state.desk.jobs = Jobs(FREE, lambda: now)

    async def use(client):
        nonlocal now
        shop.gate.clear()
        address = (await put(client, two)).headers["location"]
        now += 599
        assert (await client.get(address)).status_code == 200
        now += 599
        assert (await client.get(address)).status_code == 200
        now += 601
        assert (await client.get(address)).status_code == 404
        await emptied(app)

    talk(app, use)


def test_too_many_at_once(app_of, shop, talk, two):
    limits = ServerLimits(requests_per_minute=0, jobs=3, jobs_per_client=1)
    hashes = tuple(hashlib.sha256(key).digest() for key in (b"0", b"1", b"2", b"3"))
    app = app_of(shop, ServerSettings(limits=limits, keys=Keys(hashes)))

    async def use(client):
        shop.gate.clear()
        addresses = []
        for key in "012":
            headers = {"x-api-key": key}
            addresses.append((await put(client, two, headers=headers)).headers["location"])
            more = await put(client, two, headers=headers)
            assert more.status_code == 429
            assert int(more.headers["retry-after"]) > 0
        assert (await put(client, two, headers={"x-api-key": "3"})).status_code == 429
        app.state.desk.close()
        assert (await client.get(addresses[0], headers={"x-api-key": "0"})).status_code == 404
        await emptied(app)

    talk(app, use)


def _broken(two):
    yield "text", b"no video at all " * 100, 415, "not-a-video"
    yield "cut off before its index", two[: len(two) // 2], 415, "not-a-video"
    yield "sound only", sound_only(), 415, "not-a-video"
    yield "a play list", b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n#EXT-X-ENDLIST\n", 415, "not-a-video"
    yield "a list of files", b"ffconcat version 1.0\nfile /etc/passwd\n", 415, "not-a-video"
    yield "nothing", b"", 400, None


def test_what_is_no_video_is_refused_and_nothing_stays(app, talk, two):
    async def use(client):
        for name, data, status, reason in _broken(two):
            reply = await put(client, data)
            assert (reply.status_code, reply.json().get("reason")) == (status, reason), name
        spoken = await client.post("/v1/jobs", json={"file": "aGVsbG8="})
        assert (spoken.status_code, spoken.json()["reason"]) == (415, "not-a-video")
        assert (await client.post("/v1/jobs", files={"other": (None, "a")})).status_code == 400
        await emptied(app)

    talk(app, use)


@pytest.mark.parametrize(
    "limits",
    [{"max_video_bytes": 2000}, {"max_frame_pixels": 20_000}, {"max_video_seconds": 1}],
)
def test_what_is_too_large(app_of, shop, talk, two, limits):
    app = app_of(shop, ServerSettings(limits=ServerLimits(**limits)))

    async def use(client):
        reply = await put(client, two)
        assert (reply.status_code, reply.json()["reason"]) == (413, "video-too-large")
        await emptied(app)

    talk(app, use)


def test_a_result_beyond_the_memory_is_a_failed_job(app_of, shop, talk):
    noise = np.random.default_rng(0).integers(0, 256, (20, 120, 240, 3), np.uint8)
    data = film(list(noise))
    limits = ServerLimits(video_bytes=len(data) + 1000)
    app = app_of(shop, ServerSettings(limits=limits))

    async def use(client):
        address = (await put(client, data, "?kind=redact")).headers["location"]
        job = await until(client, address, "done", "failed")
        assert job["state"] == "failed"
        assert job["error"] == {
            "type": "LimitError",
            "detail": "the server's memory for videos is full",
        }
        assert (await client.get(f"{address}/redacted")).status_code == 404
        await client.delete(address)
        await emptied(app)

    talk(app, use)


def test_a_bug_shows_nothing_of_the_server(app, shop, talk, two, caplog):
    def broken(image):
        raise RuntimeError("/etc/secret")

    shop._detect = broken
    shop.during = lambda check: shop

    async def use(client):
        address = (await put(client, two, name="secret.mp4")).headers["location"]
        job = await until(client, address, "failed")
        assert job["error"] == {"type": "InternalError", "detail": "a bug in this server"}

    with caplog.at_level("INFO", "facecctv.api"):
        talk(app, use)
    assert "secret" not in caplog.text
    assert "RuntimeError at test_jobs.py" in caplog.text


def test_what_is_not_installed_is_said_before_the_upload(app, talk, two):
    async def use(client):
        reply = await put(client, two, "?enhance=x4")
        assert (reply.status_code, reply.json()["reason"]) == (503, "not-installed")
        assert "jobs" in (await client.get("/v1/models")).json()["capabilities"]
        await emptied(app)

    talk(app, use)


def test_a_program_without_video_says_so(app, talk, two, monkeypatch):
    def absent(*_, **__):
        raise MissingExtra("video is not part of this program: pip install facecctv")

    monkeypatch.setattr("av.open", absent)  # as packaging/without_video.py does

    async def use(client):
        reply = await put(client, two)
        assert (reply.status_code, reply.json()["reason"]) == (503, "not-installed")
        assert "not part of this program" in reply.json()["detail"]
        await emptied(app)

    talk(app, use)


class TestLine:
    def test_cancelled_before_its_turn(self):
        line = Line()
        first, second = line.join(), line.join()
        first.check()
        second.cancel()
        with pytest.raises(Cancelled):
            second.check()
        assert first.holding

    def test_a_resumed_one_has_its_old_place_once_the_other_steps_back(self):
        line = Line()
        first, second = line.join(), line.join()
        first.check()
        first.pause()
        order = []
        waiting = threading.Thread(target=lambda: (first.check(), order.append("first")))
        waiting.start()
        second.check()
        assert (second.holding, first.holding) == (True, False)
        first.resume()
        # It does not work beside the other, which notices at its next step.
        time.sleep(0.05)
        assert order == []
        leaving = threading.Thread(target=lambda: (second.check(), order.append("second")))
        leaving.start()
        waiting.join(PATIENCE)
        assert order == ["first"]
        first.leave()
        leaving.join(PATIENCE)
        assert order == ["first", "second"]

    def test_time_counts_while_it_holds_the_line(self):
        now = 0.0
        line = Line(lambda: now)
        turn = line.join()
        turn.check()
        now = 3.0
        assert turn.seconds == 3.0
        turn.leave()
        now = 9.0
        assert turn.seconds == 3.0
        assert line.ahead(turn) == 0


def test_a_clip_is_wiped_when_the_last_lets_go():
    room = Room(10)
    room.hold(5)
    with pytest.raises(Problem):
        room.hold(6)
    clip = Clip(bytearray(b"abcde"), room)
    clip.hold()
    clip.release()
    assert bytes(clip.data) == b"abcde"
    clip.release()
    assert (bytes(clip.data), room.held) == (bytes(5), 0)
