"""The private server over prepared stages, with a view that no screen is needed for."""

import asyncio

import httpx
import numpy as np
import pytest

from facecctv.desktop.door import Keyring
from facecctv.desktop.memory import Memory
from facecctv.desktop.program import private_app
from facecctv.pipeline import Pipeline
from facecctv.settings import Settings
from facecctv.types import Face

HOST = "127.9.8.7"


def one_face(image):
    height, width = image.shape[:2]
    box = np.array([0.25 * width, 0.25 * height, 0.75 * width, 0.75 * height])
    marks = box[:2] + np.array([[3, 3], [7, 3], [5, 5], [3, 8], [7, 8]]) / 10 * (box[2:] - box[:2])
    return [Face(box=box, landmarks=marks, score=0.9)]


class OneFace:
    def pipeline(self, options=None, margin=0.35):
        return Pipeline(detect=one_face, margin=margin)

    def cards(self):
        return []


class Asked:
    """A view whose user answers every dialog as told."""

    native = True

    def __init__(self):
        self.shown = 0
        self.closing = False
        self.opens = []
        self.saves = None
        self.proposed = []

    def show(self):
        self.shown += not self.closing
        return not self.closing

    def open_pictures(self):
        return self.opens

    def save_as(self, name):
        self.proposed.append(name)
        return self.saves


@pytest.fixture
def web(tmp_path):
    folder = tmp_path / "web"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html>app")
    (folder / "assets" / "a-1.js").write_text("1")
    return folder


@pytest.fixture
def keyring():
    return Keyring()


@pytest.fixture
def view():
    return Asked()


@pytest.fixture
def memory(tmp_path):
    return Memory(tmp_path / "config" / "desktop.json")


@pytest.fixture
def app(keyring, view, memory, web):
    return private_app(OneFace(), Settings(), HOST, keyring, memory, view, web)


@pytest.fixture
def talk(app):
    """Runs an async function with a client that has no cookie yet: talk(function) -> its result."""

    def run(function):
        async def main():
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}:1") as one:
                return await function(one)

        return asyncio.run(main())

    return run


@pytest.fixture
def inside(talk, keyring):
    """The same with a client that came in by a ticket."""

    def run(function):
        async def enter(client):
            await client.get("/desktop/enter", params={"ticket": keyring.ticket()})
            return await function(client)

        return talk(enter)

    return run
