"""Boxes drawn by hand: examined in their order, or refused."""

import base64
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facecctv.api import boxes
from facecctv.api.desk import ServerSettings
from facecctv.api.limits import ServerLimits
from facecctv.api.problems import Problem
from facecctv.image import decode, encode
from facecctv.types import Face
from facecctv.vision.single import average_landmarks

WIDTH, HEIGHT = 32, 24  # of the picture `tiny`


@pytest.fixture
def examine(talk, tiny):
    """examine(app, given, query) -> response; `given` is text of the form's field."""

    def run(app, given, query="", path="/v1/examine"):
        return talk(
            app,
            lambda c: c.post(path + query, files={"file": ("a.png", tiny)}, data={"boxes": given}),
        )

    return run


@pytest.fixture
def blind(stages, app_of):
    """An app whose detector sees nothing."""
    return app_of(stages(lambda image: []))


def test_no_boxes_are_no_faces(quick, app_of, examine):
    reply = examine(app_of(quick), "[]")
    assert (reply.status_code, reply.json()["faces"]) == (200, [])


def test_boxes_that_nobody_else_sees_stand_as_drawn(blind, examine):
    given = [[2, 3, 12.5, 15], [0, 0, WIDTH, HEIGHT]]
    found = examine(blind, json.dumps(given), "?crops=true&margin=0").json()
    for face, box in zip(found["faces"], given, strict=True):
        assert list(face["box"].values()) == [*box, 0.0]
        assert face["landmarks_from"] == "average"
        np.testing.assert_allclose(
            face["landmarks"], average_landmarks(np.float32(box)), atol=0.006
        )
        assert "verdict" in face["quality"]
    corners = [(crop["face"], crop["x"], crop["y"]) for crop in found["crops"]]
    assert corners == [(0, 2, 3), (1, 0, 0)]
    assert [(crop["width"], crop["height"]) for crop in found["crops"]] == [(11, 12), (32, 24)]


def test_a_face_seen_in_the_box_takes_its_place_wherever_the_box_lies(stages, app_of, examine):
    shown = []

    def middle(image):
        """A face of 8 x 8 in the middle of whatever is looked at."""
        shown.append(image.shape[:2])
        y, x = np.array(image.shape[:2]) / 2
        box = np.array([x - 4, y - 4, x + 4, y + 4])
        return [Face(box, average_landmarks(box), 0.2)]

    found = examine(app_of(stages(middle)), "[[10, 8, 18, 16]]").json()
    assert shown == [(20, 20)]  # the box and three quarters of its sides around it
    (face,) = found["faces"]
    assert list(face["box"].values()) == [10, 8, 18, 16, 0.2]
    assert "landmarks_from" not in face


def test_a_face_beside_the_box_is_another(quick, stages, app_of, examine):
    def corner(image):
        return [Face([0, 0, 3, 3], average_landmarks(np.float32([0, 0, 3, 3])), 0.9)]

    (face,) = examine(app_of(stages(corner)), "[[10, 8, 18, 16]]").json()["faces"]
    assert list(face["box"].values()) == [10, 8, 18, 16, 0.0]


def test_the_real_detector_finds_the_face_in_a_roughly_drawn_box(real, app_of, talk, portrait):
    """The astronaut's face is near (141, 77); beside her is a grey wall."""
    image = np.full((320, 640, 3), 128, np.uint8)
    image[:, :320] = decode(portrait).image
    reply = talk(
        app_of(real),
        lambda c: c.post(
            "/v1/examine",
            files={"file": ("a.png", encode(image))},
            data={"boxes": "[[105, 30, 180, 125], [480, 100, 540, 170]]"},
        ),
    )
    face, wall = reply.json()["faces"]
    assert face["box"]["probability"] > 0.1
    assert "landmarks_from" not in face
    assert (wall["box"]["probability"], wall["landmarks_from"]) == (0, "average")


def test_json_bodies_carry_boxes_too(blind, talk, tiny):
    text = base64.b64encode(tiny).decode()
    ask = {"file": text, "boxes": [[2, 3, 12, 15]]}
    reply = talk(blind, lambda c: c.post("/v1/examine", json=ask))
    assert list(reply.json()["faces"][0]["box"].values()) == [2, 3, 12, 15, 0]
    reply = talk(blind, lambda c: c.post("/v1/examine", json=ask | {"boxes": None}))
    assert reply.json()["faces"] == []  # as without: the detector was asked


def test_the_annotated_picture_shows_the_boxes(blind, talk, tiny):
    reply = talk(
        blind,
        lambda c: c.post(
            "/v1/examine",
            files={"file": ("a.png", tiny)},
            data={"boxes": "[[4, 4, 28, 20]]"},
            headers={"accept": "image/png"},
        ),
    )
    assert reply.headers["x-faces"] == "1"
    assert (decode(reply.content).image != 128).any()


def test_detection_takes_no_boxes(quick, app_of, examine):
    (face,) = examine(app_of(quick), "[[1, 1, 4, 4]]", path="/v1/detect").json()["faces"]
    assert face["box"]["probability"] == 0.9


@pytest.mark.parametrize(
    "given",
    [
        "",
        "[",
        "nonsense",
        "{}",
        "7",
        "[7]",
        "[[1, 2, 3]]",
        "[[1, 2, 3, 4, 5]]",
        '[[1, 2, 3, "4"]]',
        "[[1, 2, 3, null]]",
        "[[0, 0, true, 9]]",
        "[[1, 2, NaN, 9]]",
        "[[1, 2, Infinity, 9]]",
        "[[1, 2, 1e999, 9]]",
        f"[[1, 2, {'9' * 400}, 9]]",
        "[[5, 5, 5, 9]]",
        "[[5, 5, 5.5, 9]]",
        "[[9, 5, 5, 9]]",
        "[[-1, 0, 9, 9]]",
        "[[0, 0, 32.5, 9]]",
        "[[0, 20, 9, 25]]",
        "[[40, 40, 60, 60]]",
        "[[1, 1, 4, 4], [50, 1, 60, 4]]",
        json.dumps([[1, 1, 4, 4]] * 65),
        json.dumps([[0, 0, WIDTH, HEIGHT]] * 5),
        "[" * 9000,
        json.dumps([[1, 1, 4, 4]] * 3000),
    ],
)
def test_bad_boxes_are_refused_in_words(quick, app_of, examine, given):
    reply = examine(app_of(quick), given)
    assert reply.status_code == 422
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json()["detail"].startswith("boxes")


def test_two_fields_of_boxes_are_one_too_many(quick, app_of, talk, tiny):
    parts = [("file", ("a.png", tiny)), ("boxes", (None, "[]")), ("boxes", (None, "[]"))]
    app = app_of(quick)
    reply = talk(app, lambda c: c.post("/v1/examine", files=parts))
    assert reply.status_code == 400
    assert app.state.desk.gate.held == 0


def test_how_many_is_a_limit_of_the_server(quick, app_of, examine, get):
    app = app_of(quick, ServerSettings(limits=ServerLimits(max_boxes=1)))
    assert get(app, "/v1/limits").json()["max_boxes"] == 1
    assert examine(app, "[[1, 1, 4, 4], [1, 1, 4, 4]]").status_code == 422
    assert examine(app, "[[1, 1, 4, 4]]").status_code == 200


NUMBERS = st.floats(allow_nan=True, allow_infinity=True) | st.integers() | st.booleans() | st.none()


@given(st.lists(st.lists(NUMBERS, min_size=3, max_size=5), max_size=3), st.integers(1, 10**8))
def test_what_is_let_through_can_be_a_face(given_boxes, width):
    try:
        let_through = boxes.checked(given_boxes, width, 50, 64)
    except Problem:
        return
    for box in let_through:
        Face(box, average_landmarks(box), 0.0)


@given(
    st.integers(1, 10**8),
    st.floats(0, 1, allow_nan=False),
    st.floats(1, 1e4, allow_nan=False),
)
def test_boxes_far_out_in_wide_pictures_are_faces_or_refused(width, start, side):
    x = start * width
    try:
        (box,) = boxes.checked([[x, 0, x + side, 1]], width, 1, 1)
    except Problem:
        return
    Face(box, average_landmarks(box), 0.0)


def test_looking_stops_when_the_client_has_left():
    def left():
        raise InterruptedError

    image = np.zeros((20, 20, 3), np.uint8)
    with pytest.raises(InterruptedError):
        boxes.look(image, [np.float32([1, 1, 9, 9])], lambda image: [], left)
