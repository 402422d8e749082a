"""Uploads made to break a server: every one is refused or answered, none is a 5xx."""

import asyncio

import httpx
import pytest

from facecctv.api.desk import ServerSettings
from facecctv.api.limits import ServerLimits
from tests.api.hostile import BODIES, PICTURES

LIMITS = ServerLimits(
    max_bytes=400_000, max_pixels=2_000_000, work_seconds=20, requests_per_minute=0
)


REFUSED = {400, 413, 415, 422}


def test_there_are_enough_of_them():
    assert len(PICTURES) + len(BODIES) >= 200


def test_no_hostile_upload_is_a_5xx_and_nothing_of_it_stays(stages, app_of, talk):
    app = app_of(stages(lambda image: []), ServerSettings(limits=LIMITS))

    async def use(client: httpx.AsyncClient):
        replies = [
            await client.post("/v1/examine?annotated=true", files={"file": ("a.jpg", data)})
            for data in PICTURES
        ]
        for body, kind in BODIES:
            headers = {"content-type": kind.encode("latin-1")}
            replies.append(await client.post("/v1/examine", content=body, headers=headers))
        for reply in replies:
            assert reply.status_code in {200, *REFUSED}, reply.text
            if reply.status_code != 200:
                assert reply.headers["content-type"] == "application/problem+json"
                assert "Traceback" not in reply.text
                assert ".py" not in reply.text
        assert {reply.status_code for reply in replies} == {200, *REFUSED}
        return await client.get("/healthz")

    assert talk(app, use).status_code == 200
    assert app.state.desk.gate.held == 0
    assert app.state.desk.gate.inside == 0


@pytest.mark.parametrize("pause", [0.02, None])
def test_slow_uploads_end_and_others_are_served_meanwhile(stages, app_of, serving, tiny, pause):
    limits = ServerLimits(upload_seconds=2, idle_seconds=1)
    app = app_of(stages(lambda image: []), ServerSettings(limits=limits))

    async def drip():
        yield b"--X\r\n"
        while pause:
            yield b"A"
            await asyncio.sleep(pause)
        await asyncio.sleep(60)

    async def use(url):
        headers = {"content-type": "multipart/form-data; boundary=X"}
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            slow = [
                asyncio.create_task(client.post("/v1/detect", content=drip(), headers=headers))
                for _ in range(4)
            ]
            await asyncio.sleep(0.2)
            assert (await client.post("/v1/detect", files={"file": tiny})).status_code == 200
            for outcome in await asyncio.gather(*slow, return_exceptions=True):
                # Some see the line closed before they read the reply.
                closed = isinstance(outcome, httpx.TransportError)
                assert closed or outcome.status_code in (400, 408)
        assert app.state.desk.gate.held == 0
        assert app.state.desk.gate.inside == 0

    with serving(app) as port:
        asyncio.run(use(f"http://127.0.0.1:{port}"))
