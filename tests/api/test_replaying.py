"""Processed pictures checked over HTTP, with models of a few bytes."""

import numpy as np
import pytest

from facecctv.api.desk import ServerSettings
from facecctv.api.limits import ServerLimits
from facecctv.build import Workshop
from facecctv.errors import ModelNotFound
from facecctv.image import decode, encode, read_metadata
from facecctv.models.session import Session
from tests.red_detector import red_detector, red_picture
from tests.tiny_enhancers import nearest_enhancer

RED = encode(red_picture(64, 48, (2, 3)))
ACCEPT = {"accept": "image/png"}


def missing():
    raise ModelNotFound("/srv/secret/enhancer.onnx")


def shop(enhancer):
    return Workshop(Session(red_detector()), {"enhancer-x2": enhancer})


@pytest.fixture(scope="module")
def app(app_of):
    return app_of(shop(Session(nearest_enhancer(2))))


@pytest.fixture
def made(app, post):
    """made(format, query) -> the bytes of a picture that the server made of RED."""

    def make(format="png", query="scale=2"):
        reply = post(app, f"/v1/enhance?{query}", RED, headers={"accept": f"image/{format}"})
        assert reply.status_code == 200
        return reply.content

    return make


@pytest.fixture
def replay(talk, app):
    """replay(result, source) -> the reply."""

    def ask(result, source=RED, app=app):
        files = {"result": ("r.png", result), "source": ("s.png", source)}
        return talk(app, lambda c: c.post("/v1/replay", files=files))

    return ask


def reworded(data, **words):
    return encode(decode(data).image, metadata=read_metadata(data) | words)


@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
def test_what_the_server_made_holds(made, replay, format):
    reply = replay(made(format, "steps=denoise:h=4,enhance:x2"))
    assert reply.status_code == 200
    told = reply.json()
    assert (told["verdict"], told["largest_difference"]) == ("same_bytes", 0)
    assert (told["result"], told["source"]) == ("r.png", "s.png")
    assert [step["class"] for step in told["steps"]] == ["photometric", "learned"]


def test_a_changed_picture_does_not(made, replay):
    data = made()
    image = decode(data).image.copy()
    image[3:5, 7] = 255 - image[3:5, 7]
    told = replay(encode(image, metadata=read_metadata(data))).json()
    assert told["verdict"] == "differs"
    assert told["pixels_changed"] == pytest.approx(2 / (128 * 96))
    assert told["largest_difference"] == int(
        np.abs(255 - 2 * decode(data).image[3:5, 7].astype(int)).max()
    )


def problem(reply, status, reason, picture):
    assert reply.status_code == status
    body = reply.json()
    assert body["reason"] == reason
    assert body.get("picture") == picture
    return body["detail"]


def test_faults_say_which_picture(made, replay, app_of):
    problem(replay(RED), 422, "not-a-result", "result")
    other = encode(red_picture(64, 48, (1, 1)))
    assert "SHA-256" in problem(replay(made(), other), 422, "other-source", "source")
    steps = '[{"name":"dream","class":"generative","parameters":{}}]'
    problem(replay(reworded(made(), Steps=steps)), 422, "not-a-result", "result")
    newer = app_of(shop(Session(nearest_enhancer(2, version="2"))))
    problem(replay(made(), app=newer), 422, "other-model", "result")
    bare = app_of(shop(Session(missing)))
    assert "srv" not in problem(replay(made(), app=bare), 503, "not-installed", None)


def test_steps_in_a_picture_are_held_to_the_limits(app_of, made, replay):
    few = ServerSettings(limits=ServerLimits(max_steps=1))
    app = app_of(shop(Session(nearest_enhancer(2))), few)
    long = made(query="steps=gamma:1.1,gamma:1.2")
    assert replay(long, app=app).status_code == 422
    small = ServerSettings(limits=ServerLimits(max_output_pixels=64 * 48 * 4 - 1))
    app = app_of(shop(Session(nearest_enhancer(2))), small)
    assert replay(made(), app=app).status_code == 413


def test_broken_and_missing_pictures(talk, app, replay):
    assert replay(b"nothing").status_code == 415
    assert replay(RED[:60]).status_code in (415, 422)
    files = {"result": ("r.png", RED)}
    assert talk(app, lambda c: c.post("/v1/replay", files=files)).status_code == 400
