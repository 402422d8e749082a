"""A server in the process or on a loopback port, over real and over prepared stages."""

import asyncio
import contextlib
import threading
import time

import httpx
import numpy as np
import pytest
import skimage.data
import uvicorn

from facecctv import build
from facecctv.api.app import create_app
from facecctv.api.desk import ServerSettings
from facecctv.api.server import config
from facecctv.errors import ModelNotFound
from facecctv.image import encode, resize
from facecctv.pipeline import Pipeline
from facecctv.settings import Settings
from facecctv.types import Face
from facecctv.vision.quality import assess


class Stages:
    """A workshop with a detector made for the test."""

    def __init__(self, detect, assess=assess):
        self.detect = detect
        self.assess = assess

    def pipeline(self, options=None, margin=0.35):
        return Pipeline(detect=self.detect, assess=self.assess, margin=margin)

    def estimator(self):
        raise ModelNotFound("there is none")

    def during(self, check):
        return self

    def cards(self):
        return []


def one_face(image):
    height, width = image.shape[:2]
    box = np.array([0.25 * width, 0.25 * height, 0.75 * width, 0.75 * height])
    marks = box[:2] + np.array([[3, 3], [7, 3], [5, 5], [3, 8], [7, 8]]) / 10 * (box[2:] - box[:2])
    return [Face(box=box, landmarks=marks, score=0.9)]


@pytest.fixture(scope="session")
def stages():
    return Stages


@pytest.fixture(scope="session")
def quick():
    """A workshop that finds one face in the middle of any picture, at once."""
    return Stages(one_face)


@pytest.fixture(scope="session")
def real():
    """The workshop that `facecctv serve` uses."""
    return build.workshop(Settings())


@pytest.fixture(scope="session")
def portrait():
    """JPEG, 320 x 320, one large face."""
    return encode(resize(skimage.data.astronaut(), 320, 320), "jpeg")


@pytest.fixture(scope="session")
def tiny():
    """PNG, 32 x 24."""
    return encode(np.full((24, 32, 3), 128, np.uint8))


@pytest.fixture
def talk():
    """Runs an async function with a client of an app: talk(app, function) -> its result."""

    def run(app, function, **options):
        async def main():
            transport = httpx.ASGITransport(app)
            base = {"base_url": "http://localhost"} | options
            async with httpx.AsyncClient(transport=transport, **base) as client:
                return await function(client)

        return asyncio.run(main())

    return run


@pytest.fixture
def post(talk):
    """One POST with a picture: post(app, path, data, **options) -> response."""

    def run(app, path, data, headers=None, name="a.png"):
        return talk(app, lambda c: c.post(path, files={"file": (name, data)}, headers=headers))

    return run


@pytest.fixture
def get(talk):
    def run(app, path, **options):
        return talk(app, lambda client: client.get(path, **options))

    return run


@contextlib.contextmanager
def _serving(app, tls=None):
    server = uvicorn.Server(config(app, "127.0.0.1", 0, tls))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="session")
def serving():
    """Context manager: an app on a loopback port, which it gives."""
    return _serving


@pytest.fixture(scope="session")
def app_of():
    def make(workshop, settings=None, **options):
        return create_app(workshop, settings or ServerSettings(), **options)

    return make
