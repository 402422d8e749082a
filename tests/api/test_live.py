"""Routes about cameras that are watched: states, pictures, events, sights; none without cameras."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import httpx
import numpy as np
import pytest

from facecctv.api.desk import ServerSettings
from facecctv.api.limits import ServerLimits
from facecctv.api.security import Keys, new_key
from facecctv.footage.camera import Camera, Notice
from facecctv.footage.cells import cells_of
from facecctv.footage.decoding import Still
from facecctv.footage.live import Look
from facecctv.footage.watched import Live
from facecctv.image import decode
from facecctv.types import Face

AT = datetime(2026, 11, 20, 17, tzinfo=UTC)
SECRET = "rtsp://me:hunter2@127.0.0.1:1/stream?token=opensesame"
FACE = Face(np.array([1.0, 1, 9, 9]), np.zeros((5, 2)) + 5, 0.9)
SIGHT = np.arange(12 * 10 * 3, dtype=np.uint8).reshape(12, 10, 3)


@pytest.fixture
def cameras(tmp_path):
    return Camera(str(tmp_path)), Camera(SECRET)


@pytest.fixture
def live(cameras):
    return Live(cameras, searching=True)


@pytest.fixture
def app(quick, app_of, live):
    return app_of(quick, ServerSettings(live=live))


def still(level, index=0):
    image = np.full((48, 64, 3), level, np.uint8)
    return Still("door", index, Fraction(index), cells_of(image), lambda: image)


def events_of(text):
    """(id, event, data) of each server-sent event."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(":", 1) for line in block.splitlines() if line[:1] != ":")
        if fields:
            name, data = fields["event"].strip(), fields["data"].strip()
            found.append((fields.get("id", "").strip(), name, data))
    return found


class TestWithout:
    def test_there_is_nothing(self, quick, app_of, get):
        app = app_of(quick)
        for path in ("", "/events", "/cameras/1/picture", "/sights/1"):
            reply = get(app, f"/v1/live{path}")
            assert reply.status_code == 404
            assert reply.headers["content-type"] == "application/problem+json"
        assert "live" not in get(app, "/v1/models").json()["capabilities"]
        assert not any("/v1/live" in path for path in app.openapi()["paths"])

    def test_no_camera_is_an_empty_list(self, quick, app_of, get):
        found = get(app_of(quick, ServerSettings(live=Live([]))), "/v1/live").json()
        assert (found["cameras"], found["searching"]) == ([], False)


def test_the_server_says_that_it_watches_and_what_it_holds(app, quick, app_of, get):
    assert "live" in get(app, "/v1/models").json()["capabilities"]
    plain, said = (get(one, "/v1/privacy").json() for one in (app_of(quick), app))
    more = said["kept"][len(plain["kept"]) :]
    assert len(more) == 2
    document = " ".join((Path(__file__).parents[2] / "docs/privacy.md").read_text().split())
    assert all(sentence in document for sentence in more)


def test_how_it_stands_with_the_cameras(app, live, cameras, get, tmp_path):
    live.of(cameras[0]).noticed(Notice("door", "connected", "", AT))
    live.of(cameras[0]).looked(Look(still(0), dict.fromkeys((3, 5), FACE)))
    live.of(cameras[1]).noticed(Notice("x", "lost", "no answer; again in 4 s", AT))
    found = get(app, "/v1/live").json()
    assert found["searching"] is True
    assert found["cameras"] == [
        {
            "number": 1, "name": str(tmp_path), "state": "watching",
            "since": "2026-11-20T17:00:00.000Z", "rate": 0.0, "dropped": 0, "people": 2,
        },
        {
            "number": 2, "name": "rtsp://127.0.0.1:1/stream?…", "state": "lost",
            "since": "2026-11-20T17:00:00.000Z", "rate": 0.0, "dropped": 0,
            "detail": "no answer; again in 4 s",
        },
    ]  # fmt: skip


def test_a_picture_and_whether_it_is_another(app, live, cameras, talk):
    async def ask(client):
        address = "/v1/live/cameras/1/picture"
        early = await client.get(address)
        live.of(cameras[0]).looked(Look(live.of(cameras[0]).frame(still(90)), {}))
        first = await client.get(address)
        same = await client.get(address, headers={"If-None-Match": first.headers["etag"]})
        return early, first, same, await client.get("/v1/live/cameras/3/picture")

    early, first, same, missing = talk(app, ask)
    assert (early.status_code, early.content) == (204, b"")
    assert missing.status_code == 404
    assert missing.headers["content-type"] == "application/problem+json"
    assert first.headers["content-type"] == "image/jpeg"
    assert first.headers["cache-control"] == same.headers["cache-control"] == "no-store"
    assert abs(decode(first.content).image.mean() - 90) < 3
    assert (same.status_code, same.content) == (304, b"")


def test_no_event_is_an_empty_stream_that_ends_with_the_watch(app, live, get):
    live.end()
    reply = get(app, "/v1/live/events")
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert events_of(reply.text) == [("", "end", "")]


def test_events_come_as_they_were_told_and_again_after_the_last_seen(app, live, cameras, get):
    live.tell(cameras[1], "camera", '{"event":"camera","n":1}')
    live.tell(cameras[0], "appeared", '{"event":"appeared","n":2}', SIGHT)
    live.end()
    told = events_of(get(app, "/v1/live/events").text)
    assert told[0] == ("1-2", "camera", '{"event":"camera","n":1}')
    assert told[1] == ("2-1", "appeared", '{"event":"appeared","n":2}')
    again = get(app, "/v1/live/events", headers={"Last-Event-ID": "1-2"})
    assert [one[0] for one in events_of(again.text)] == ["2-1", ""]
    for odd in ("x", "-1", "9" * 30, "²"):
        reply = get(app, "/v1/live/events", headers={"Last-Event-ID": odd.encode()})
        assert len(events_of(reply.text)) == 3


def test_sights_are_native_pixels(app, live, cameras, get):
    live.tell(cameras[0], "appeared", "{}", SIGHT)
    live.tell(cameras[0], "camera", "{}")
    found = get(app, "/v1/live/sights/1")
    assert found.headers["content-type"] == "image/png"
    assert (decode(found.content).image == SIGHT).all()
    for number, status in ((2, 404), (3, 404), (0, 422)):
        assert get(app, f"/v1/live/sights/{number}").status_code == status


def test_keys_are_asked_for(quick, app_of, live, get, tmp_path):
    key = new_key(tmp_path / "keys", "me")
    app = app_of(quick, ServerSettings(live=live, keys=Keys.read(tmp_path / "keys")))
    live.end()
    for path in ("", "/events", "/cameras/1/picture", "/sights/1"):
        assert get(app, f"/v1/live{path}").status_code == 401
    assert get(app, "/v1/live", headers={"x-api-key": key}).status_code == 200


def test_looking_on_does_not_count_towards_the_limit(quick, app_of, live, talk, tiny):
    limits = ServerLimits(requests_per_minute=1)
    app = app_of(quick, ServerSettings(live=live, limits=limits))

    async def ask(client):
        looks = [(await client.get("/v1/live")).status_code for _ in range(5)]
        posts = [
            (await client.post("/v1/detect", files={"file": ("a.png", tiny)})).status_code
            for _ in range(2)
        ]
        return looks, posts

    assert talk(app, ask) == ([200] * 5, [200, 429])


def test_a_line_stays_open_until_the_watch_is_over(app, live, cameras, serving):
    with (
        serving(app) as port,
        httpx.stream("GET", f"http://127.0.0.1:{port}/v1/live/events", timeout=30) as reply,
    ):
        lines = reply.iter_lines()
        live.tell(cameras[0], "left", '{"n":1}')
        assert [next(lines) for _ in range(3)] == [
            "id: 1-1",
            "event: left",
            'data: {"n":1}',
        ]
        began = time.monotonic()
        live.end()
        assert "event: end" in list(lines)
        assert time.monotonic() - began < 5


def test_silence_is_broken_by_comments(app, live, get, monkeypatch):
    from facecctv.api import watching

    async def sleep(seconds):
        waited.append(seconds)
        if sum(waited) >= 9:
            live.end()

    waited: list[float] = []
    monkeypatch.setattr(watching.asyncio, "sleep", sleep)
    # At 4 and 8 seconds of 9.
    assert get(app, "/v1/live/events").text.count(": still here") == 2


def test_no_secret_of_an_address_gets_out(app, live, cameras, get):
    """A camera that is not there, asked by its real address."""
    camera = cameras[1]
    notices = []
    camera._notice = lambda notice: (notices.append(notice), camera.close())
    for _ in camera.stills():
        pytest.fail("nothing listens there")
    assert notices
    live.of(camera).noticed(notices[0])
    live.of(camera).ended(AT, notices[0].detail)
    live.end()
    texts = [get(app, path).text for path in ("/v1/live", "/v1/live/events", "/metrics")]
    for secret in ("hunter2", "opensesame", "me:"):
        assert not any(secret in text for text in texts)


def test_the_stream_is_described_by_what_it_carries(app):
    document = app.openapi()
    content = document["paths"]["/v1/live/events"]["get"]["responses"]["200"]["content"]
    names = json.dumps(content["text/event-stream"]["schema"])
    assert "Sighted" in names
    assert "CameraState" in names
    assert list(content) == ["text/event-stream"]
