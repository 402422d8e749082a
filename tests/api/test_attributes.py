"""Age and gender over HTTP, with models of a few bytes."""

from __future__ import annotations

import base64

import pytest

from facecctv.build import Workshop
from facecctv.errors import ModelNotFound
from facecctv.image import decode, encode
from facecctv.models.session import Session
from tests.red_detector import red_detector, red_picture
from tests.tiny_estimator import tiny_estimator

RED = encode(red_picture(640, 480, (20, 30), (50, 10)))


def missing():
    raise ModelNotFound("/srv/secret/face-attributes.onnx")


@pytest.fixture(scope="module")
def app(app_of):
    others = {"face-attributes": Session(tiny_estimator())}
    return app_of(Workshop(Session(red_detector()), others))


@pytest.fixture(scope="module")
def bare(app_of):
    return app_of(Workshop(Session(red_detector()), {"face-attributes": Session(missing)}))


def test_age_and_gender_of_every_face_and_nothing_else(app, post):
    found = post(app, "/v1/attributes", RED, name="door.png").json()
    assert found["source"] == "door.png"
    assert len(found["faces"]) == 2
    for face in found["faces"]:
        assert set(face) == {"box", "landmarks", "age", "gender"}
        assert face["age"]["low"] <= face["age"]["estimate"] <= face["age"]["high"]
        assert face["gender"]["value"] == "male"


def test_no_face_is_an_empty_list(app, post):
    assert post(app, "/v1/attributes", encode(red_picture(640, 300))).json()["faces"] == []


def test_examine_estimates_on_request_alone(app, post):
    plain = post(app, "/v1/examine", RED).json()["faces"]
    assert not any({"age", "gender", "attributes"} & set(face) for face in plain)
    asked = post(app, "/v1/examine?attributes=true&crops=true", RED).json()
    assert all({"age", "gender", "quality"} <= set(face) for face in asked["faces"])
    assert len(asked["crops"]) == 2
    told = post(app, "/v1/attributes", RED).json()["faces"]
    assert [face["age"] for face in asked["faces"]] == [face["age"] for face in told]


def test_detect_with_crops_still_learns_nothing(app, post):
    found = post(app, "/v1/detect?crops=true", RED).json()
    assert [set(face) for face in found["faces"]] == [{"box", "landmarks"}] * 2
    assert len(found["crops"]) == 2


def test_boxes_drawn_by_hand(app, talk):
    body = {"file": base64.b64encode(RED).decode(), "boxes": [[300, 300, 304, 304]]}
    reply = talk(app, lambda client: client.post("/v1/attributes", json=body))
    (face,) = reply.json()["faces"]
    assert face["attributes"] == "insufficient_quality"  # four pixels
    assert face["landmarks_from"] == "average"
    assert not {"age", "gender"} & set(face)


def test_a_picture_on_request(app, post):
    reply = post(app, "/v1/attributes", RED, headers={"Accept": "image/png"})
    assert decode(reply.content).image.shape == (480, 640, 3)
    assert reply.headers["x-faces"] == "2"


def test_it_is_listed_where_it_is_installed(app, bare, get):
    assert "attributes" in get(app, "/v1/models").json()["capabilities"]
    assert "attributes" not in get(bare, "/v1/models").json()["capabilities"]


@pytest.mark.parametrize("path", ["/v1/attributes", "/v1/examine?attributes=true"])
def test_where_it_is_not_installed(bare, post, path):
    reply = post(bare, path, RED)
    assert reply.status_code == 503
    assert reply.json()["reason"] == "not-installed"
    assert "secret" not in reply.text


def test_comprefaces_plugins(app, bare, post):
    path = "/api/v1/detection/detect?face_plugins="
    both = post(app, f"{path}age,gender", RED).json()["result"]
    for face in both:
        assert set(face) == {"box", "age", "gender"}
        assert set(face["age"]) == {"low", "high", "probability"}
        assert face["gender"]["value"] == "male"
    assert set(post(app, f"{path}gender", RED).json()["result"][0]) == {"box", "gender"}
    assert set(post(app, path, RED).json()["result"][0]) == {"box"}
    assert set(post(bare, f"{path}age,gender", RED).json()["result"][0]) == {"box"}
