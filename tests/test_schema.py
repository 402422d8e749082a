import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from facecctv import schema, types
from facecctv.errors import ImageError

SHA = "0" * 64
LANDMARKS = [[10.1, 15.2], [20.3, 15.0], [15.5, 22.0], [11.0, 30.1], [19.8, 30.0]]
FACE = types.Face([1.0, 2.0, 31.5, 40.0], LANDMARKS, 0.98)
QUALITY = types.Quality(
    score=0.41,
    face_px=34,
    inter_eye_px=10.2,
    sharpness=0.5,
    noise=3.25,
    brightness=0.6,
    contrast=0.3,
    blockiness=0.1,
    pose=types.Pose(yaw=-5.0, pitch=2.0, roll=1.5),
    at_edge=False,
    verdict="Too small to recognise.",
    usable_for=("presence",),
)
WHOLE = {
    "source": "a.jpg",
    "sha256": SHA,
    "width": 1280,
    "height": 720,
    "faces": [
        {
            "box": {"x_min": 1.0, "y_min": 2.0, "x_max": 31.5, "y_max": 40.0, "probability": 0.98},
            "landmarks": LANDMARKS,
            "quality": {
                "score": 0.41,
                "face_px": 34,
                "inter_eye_px": 10.2,
                "verdict": "Too small to recognise.",
                "usable_for": ["presence"],
                "sharpness": 0.5,
                "noise": 3.25,
                "brightness": 0.6,
                "contrast": 0.3,
                "blockiness": 0.1,
                "pose": {"yaw": -5.0, "pitch": 2.0, "roll": 1.5},
                "at_edge": False,
            },
            "age": {"low": 25, "high": 38, "estimate": 31.0, "probability": 0.8},
            "gender": {"value": "female", "probability": 0.91},
            "embedding": [0.01],
            "candidates": [],
            "decision": "no_match",
        }
    ],
    "bodies": [],
}


def result(portraits=(), bodies=None):
    return schema.Result.of("a.jpg", SHA, (1280, 720), portraits, bodies)


def test_nothing_found_is_an_empty_list_and_what_was_not_asked_is_absent():
    assert json.loads(result().to_json()) == {
        "source": "a.jpg",
        "sha256": SHA,
        "width": 1280,
        "height": 720,
        "faces": [],
    }
    assert json.loads(result(bodies=[]).to_json())["bodies"] == []


def test_a_found_face_has_the_fixed_form():
    face = json.loads(result([types.Portrait(FACE)]).to_json())["faces"][0]
    assert face == {key: WHOLE["faces"][0][key] for key in ("box", "landmarks")}


def test_a_judged_face_has_the_fixed_form():
    face = json.loads(result([types.Portrait(FACE, quality=QUALITY)]).to_json())["faces"][0]
    assert face == {key: WHOLE["faces"][0][key] for key in ("box", "landmarks", "quality")}


def test_the_whole_form_survives_a_round_trip_in_its_order():
    parsed = schema.Result.model_validate(WHOLE)
    assert json.loads(parsed.to_json()) == WHOLE
    assert list(json.loads(parsed.to_json())["faces"][0]) == list(WHOLE["faces"][0])
    assert schema.Result.model_validate_json(parsed.to_json()) == parsed


def test_estimates_have_the_fixed_form_and_none_says_why():
    estimated = types.Attributes(types.Age(25, 38, 31.04, 0.8), types.Gender("female", 0.91))
    face = json.loads(result([types.Portrait(FACE, attributes=estimated)]).to_json())["faces"][0]
    assert {key: face[key] for key in ("age", "gender")} == {
        key: WHOLE["faces"][0][key] for key in ("age", "gender")
    }
    silent = types.Attributes(verdict="insufficient_quality")
    face = json.loads(result([types.Portrait(FACE, attributes=silent)]).to_json())["faces"][0]
    assert set(face) == {"box", "landmarks", "attributes"}
    assert face["attributes"] == "insufficient_quality"


def test_a_body_is_a_box():
    body = types.Body([0, 0, 5, 10], 0.5)
    assert json.loads(result(bodies=[body]).to_json())["bodies"] == [
        {"box": {"x_min": 0.0, "y_min": 0.0, "x_max": 5.0, "y_max": 10.0, "probability": 0.5}}
    ]


def test_numbers_are_rounded_at_the_edge():
    face = types.Face(np.array([0.12345, 1, 2, 3]), LANDMARKS, 0.123456)
    box = schema.Box.of(face)
    assert (box.x_min, box.probability) == (0.12, 0.1235)


def test_small_error_rates_keep_their_digits():
    candidate = schema.Candidate(
        name="A", similarity=0.5, false_match_rate=1.5e-7, decision="inconclusive"
    )
    assert json.loads(candidate.to_json())["false_match_rate"] == 1.5e-7


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("width", 0),
        ("sha256", "short"),
        ("unknown", 1),
        ("faces", [{"box": WHOLE["faces"][0]["box"], "landmarks": LANDMARKS[:4]}]),
    ],
)
def test_what_breaks_the_form_is_refused(key, value):
    with pytest.raises(ValidationError):
        schema.Result.model_validate({**WHOLE, key: value})


def test_no_json_holds_nan():
    with pytest.raises(ValidationError):
        schema.Pose(yaw=float("nan"), pitch=0, roll=0)


def test_a_failure_is_one_line():
    failure = schema.Failure.of("b.jpg", ImageError("not a picture:\n  it is text"))
    assert json.loads(failure.to_json()) == {
        "source": "b.jpg",
        "error": {"type": "ImageError", "detail": "not a picture: it is text"},
    }


def test_a_failure_of_no_single_input_names_none():
    assert "source" not in json.loads(schema.Failure.of(None, ImageError("x")).to_json())


@given(st.binary())
def test_every_file_name_can_be_written(name):
    source = name.decode("utf-8", "surrogateescape")
    failure = schema.Failure.of(source, ImageError("x"))
    assert json.loads(failure.to_json())["source"] == schema.printable(source)


def test_a_name_that_is_no_utf8_shows_its_bytes():
    assert schema.printable(b"caf\xe9.jpg".decode("utf-8", "surrogateescape")) == "caf\\xe9.jpg"
