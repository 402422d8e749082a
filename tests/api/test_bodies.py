"""`bodies=true` of /v1/detect and /v1/examine."""

import numpy as np
import pytest

from facecctv.build import BODY_DETECTOR, Workshop
from facecctv.image import decode, encode
from facecctv.models.session import Session
from tests.red_detector import body_of, green_bodies, red_detector, red_picture

PICTURE = encode(red_picture(640, 480, (20, 25), (70, 10), green=[(20, 30), (50, 40)]))
EMPTY = encode(red_picture(640, 480))


@pytest.fixture(scope="module")
def app(app_of):
    bodies = {BODY_DETECTOR: Session(green_bodies(), threads=1)}
    return app_of(Workshop(Session(red_detector(), threads=1), bodies))


@pytest.mark.parametrize("path", ["/v1/detect", "/v1/examine"])
class TestBothRoutes:
    def test_nobody(self, app, post, path):
        assert post(app, f"{path}?bodies=true", EMPTY).json()["bodies"] == []

    def test_absent_unless_asked(self, app, post, path):
        assert "bodies" not in post(app, path, PICTURE).json()

    def test_bodies_with_and_without_a_face(self, app, post, path):
        found = post(app, f"{path}?bodies=true", PICTURE).json()
        bodies = sorted(found["bodies"], key=lambda body: body["box"]["x_min"])
        assert [list(body["box"].values())[:4] for body in bodies] == [
            body_of(20, 30),
            body_of(50, 40),
        ]
        with_face, without = bodies
        assert found["faces"][with_face["face"]]["box"]["x_min"] == 156
        assert "face" not in without

    def test_the_annotated_picture(self, app, post, path):
        headers = {"Accept": "image/png"}
        plain = post(app, path, PICTURE, headers=headers)
        marked = post(app, f"{path}?bodies=true", PICTURE, headers=headers)
        assert marked.headers["x-faces"] == plain.headers["x-faces"] == "2"
        corner = np.s_[190:194, 146:150]  # about the top left one of the first body
        before, after = (decode(reply.content).image[corner] for reply in (plain, marked))
        assert (before != after).any()

    def test_not_installed(self, app_of, post, path):
        lacking = app_of(Workshop(Session(red_detector(), threads=1)))
        reply = post(lacking, f"{path}?bodies=true", PICTURE)
        assert (reply.status_code, reply.json()["reason"]) == (503, "not-installed")
        assert post(lacking, path, PICTURE).status_code == 200

    def test_no_such_answer(self, app, post, path):
        assert post(app, f"{path}?bodies=perhaps", PICTURE).status_code == 422


def test_the_model_is_listed(app, get):
    tasks = [model["task"] for model in get(app, "/v1/models").json()["models"]]
    assert tasks == ["face-detector", "body-detector"]


def test_boxes_drawn_by_hand_are_linked_too(app, talk):
    form = {"boxes": "[[156, 200, 172, 216]]"}
    files = {"file": ("a.png", PICTURE)}
    found = talk(app, lambda c: c.post("/v1/examine?bodies=true", data=form, files=files)).json()
    assert sorted(body.get("face", -1) for body in found["bodies"]) == [-1, 0]
