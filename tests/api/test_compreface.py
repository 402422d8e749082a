"""The public client of CompreFace against our server, over a socket."""

import base64

from compreface import CompreFace


def detection(port):
    return CompreFace("http://127.0.0.1", str(port)).init_face_detection("any-key")


def test_detect_with_every_option(quick, app_of, serving, tiny):
    with serving(app_of(quick)) as port:
        found = detection(port).detect(
            tiny,
            {"limit": 0, "det_prob_threshold": 0.8, "face_plugins": "landmarks,age,gender",
             "status": True, "prediction_count": 1},
        )  # fmt: skip
    face = found["result"][0]
    assert face["box"] == {"probability": 0.9, "x_min": 8, "y_min": 6, "x_max": 24, "y_max": 18}
    assert len(face["landmarks"]) == 5
    assert face["execution_time"]["detector"] >= 0
    assert "detector" in found["plugins_versions"]


def test_no_face_is_their_error_28(stages, app_of, post, tiny):
    reply = post(app_of(stages(lambda image: [])), "/api/v1/detection/detect", tiny)
    assert reply.status_code == 400
    assert reply.json()["code"] == 28
    assert reply.json()["message"] == "No face is found in the given image"


def test_the_client_sees_no_face_as_it_does_with_compreface(stages, app_of, serving, tiny):
    with serving(app_of(stages(lambda image: []))) as port:
        assert detection(port).detect(tiny)["code"] == 28


def test_base64_works_as_there(quick, app_of, talk, tiny):
    body = {"file": base64.b64encode(tiny).decode()}
    reply = talk(app_of(quick), lambda c: c.post("/api/v1/detection/detect?limit=1", json=body))
    assert len(reply.json()["result"]) == 1
