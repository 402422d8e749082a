import base64
import hashlib
import json

import numpy as np
import pytest

from facecctv import schema
from facecctv.api.desk import ServerSettings
from facecctv.api.limits import ServerLimits
from facecctv.api.replies import wanted_picture
from facecctv.errors import ModelNotFound
from facecctv.image import decode, encode
from facecctv.models.store import SHIPPED
from facecctv.types import Face

ABSENT = ("redact",)


def pixels(url):
    head, _, data = url.partition(",")
    return head, decode(base64.b64decode(data)).image


def test_no_face_is_200_and_an_empty_list(stages, app_of, post, tiny):
    reply = post(app_of(stages(lambda image: [])), "/v1/examine?crops=true", tiny)
    assert reply.status_code == 200
    assert reply.json()["faces"] == []
    assert reply.json()["crops"] == []


def test_the_real_pipeline_finds_the_face(real, app_of, post, portrait):
    reply = post(app_of(real), "/v1/examine?threshold=0.2&limit=1", portrait, name="door.jpg")
    found = reply.json()
    assert reply.status_code == 200
    assert found["source"] == "door.jpg"
    box = found["faces"][0]["box"]
    centre = (box["x_min"] + box["x_max"]) / 2, (box["y_min"] + box["y_max"]) / 2
    assert centre == pytest.approx((141, 77), abs=25)  # of the astronaut's face at this size
    assert "usable_for" in found["faces"][0]["quality"]


def test_json_is_the_one_form_and_absent_keys_are_absent(quick, app_of, post, tiny):
    reply = post(app_of(quick), "/v1/detect", tiny)
    assert schema.Result.model_validate(reply.json())
    assert set(reply.json()) == {"source", "sha256", "width", "height", "faces"}
    assert set(reply.json()["faces"][0]) == {"box", "landmarks"}
    assert reply.headers["x-input-sha256"] == hashlib.sha256(tiny).hexdigest()
    assert reply.json()["sha256"] == hashlib.sha256(tiny).hexdigest()


def test_base64_json_gives_the_same_as_multipart(quick, app_of, talk, post, tiny):
    text = base64.b64encode(tiny).decode()
    app = app_of(quick)
    expected = post(app, "/v1/detect", tiny).json()
    for body in (
        {"file": text, "name": "a.png"},
        {"image": "data:image/png;base64," + text, "name": "a.png"},
    ):
        reply = talk(app, lambda client, body=body: client.post("/v1/detect", json=body))
        assert reply.json() == expected


def test_crops_and_the_annotated_picture_come_as_data_urls(quick, app_of, post, tiny):
    found = post(app_of(quick), "/v1/examine?crops=true&annotated=true&margin=0", tiny).json()
    crop = found["crops"][0]
    head, image = pixels(crop["image"])
    assert head == "data:image/png;base64"
    assert (crop["face"], crop["x"], crop["y"]) == (0, 8, 6)
    assert image.shape == (crop["height"], crop["width"], 3) == (12, 16, 3)
    assert (image == 128).all()
    assert pixels(found["annotated"])[1].shape == (24, 32, 3)


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_a_picture_comes_back_when_accept_asks_for_one(quick, app_of, post, tiny, kind):
    reply = post(app_of(quick), "/v1/detect", tiny, {"accept": f"image/{kind}"})
    assert reply.headers["content-type"] == f"image/{kind}"
    assert reply.headers["x-faces"] == "1"
    picture = decode(reply.content)
    assert (picture.format, picture.width, picture.height) == (kind, 32, 24)


@pytest.mark.parametrize(
    ("accept", "format"),
    [
        ("", None),
        ("*/*", None),
        ("application/json", None),
        ("image/webp", "webp"),
        ("image/png;q=0.5, image/jpeg", "jpeg"),
        ("application/json, image/png;q=0.9", None),
        ("image/png;q=x", None),
        ("image/png;q=0", None),
        ("IMAGE/PNG", "png"),
    ],
)
def test_which_form_accept_prefers(accept, format):
    assert wanted_picture(accept) == format


@pytest.mark.parametrize("path", ["/task/face-detection", "/task/full-image-examination"])
def test_the_original_routes_take_and_return_a_picture(quick, app_of, post, tiny, path):
    reply = post(app_of(quick), path, tiny)
    assert reply.status_code == 200
    assert decode(reply.content).format == "jpeg"
    assert (decode(reply.content).image != 128).any()


@pytest.mark.parametrize("path", [f"/v1/{name}" for name in ABSENT])
def test_what_this_version_lacks_has_no_address(quick, app_of, post, tiny, path):
    reply = post(app_of(quick), path, tiny)
    assert reply.status_code == 404
    assert reply.headers["content-type"] == "application/problem+json"
    assert "GET /v1/models" in reply.json()["detail"]


def test_a_stage_that_is_absent_has_no_route(stages, quick, app_of, get, post, tiny):
    app = app_of(stages(quick.detect, assess=None))
    assert get(app, "/v1/models").json()["capabilities"] == ["detect", "replay", "jobs"]
    assert post(app, "/v1/examine", tiny).status_code == 404
    assert post(app, "/task/full-image-examination", tiny).status_code == 404
    more = get(app_of(quick), "/v1/models").json()["capabilities"]
    assert more == ["detect", "examine", "replay", "jobs"]


def test_models_names_those_in_use(real, app_of, get):
    found = get(app_of(real), "/v1/models").json()
    names = [model["name"] for model in found["models"]]
    assert names == [card.name for card in real.cards()]
    assert sorted(names) == sorted(path.stem for path in SHIPPED.glob("*.onnx"))
    assert {"detect", "examine", "enhance", "colourise"} <= set(found["capabilities"])


@pytest.mark.parametrize(
    "query",
    ["threshold=0", "threshold=x", "threshold=1", "min_face=-1", "tiles=maybe", "margin=3",
     "limit=0", "crops=perhaps", "format=gif", "threshold=nan"],
)  # fmt: skip
def test_options_out_of_range_are_422_and_not_repeated(quick, app_of, post, tiny, query):
    reply = post(app_of(quick), f"/v1/detect?{query}", tiny)
    assert reply.status_code == 422
    assert reply.headers["content-type"] == "application/problem+json"
    assert query.split("=")[0] in reply.json()["detail"]


def test_untiled_is_for_small_pictures(quick, app_of, post, tiny):
    settings = ServerSettings(limits=ServerLimits(max_untiled_pixels=700))
    assert post(app_of(quick, settings), "/v1/detect?tiles=off", tiny).status_code == 422
    assert post(app_of(quick), "/v1/detect?tiles=off", tiny).status_code == 200


def test_options_reach_the_detector(real, app_of, post, portrait):
    app = app_of(real)
    everything = post(app, "/v1/detect?threshold=0.02", portrait).json()["faces"]
    assert len(everything) > 1
    assert len(post(app, "/v1/detect?threshold=0.02&limit=1", portrait).json()["faces"]) == 1
    tall = post(app, "/v1/detect?threshold=0.02&min_face=60", portrait).json()["faces"]
    assert tall
    assert all(face["box"]["y_max"] - face["box"]["y_min"] >= 60 for face in tall)


def test_crops_beyond_all_measure_are_422(stages, app_of, post):
    picture = encode(np.zeros((1000, 1000, 3), np.uint8), "jpeg")
    marks = np.full((5, 2), 500.0)
    whole = [Face(box=np.array([0, 0, 1000, 1000]), landmarks=marks, score=0.5)] * 6
    app = app_of(stages(lambda image: whole))
    assert post(app, "/v1/detect?crops=true&limit=3&format=jpeg", picture).status_code == 200
    assert post(app, "/v1/detect?crops=true&format=jpeg", picture).status_code == 422


@pytest.mark.parametrize(
    ("raised", "status"), [(ModelNotFound("/srv/secret.onnx"), 503), (MemoryError(), 503),
                           (ZeroDivisionError("door.jpg"), 500)]
)  # fmt: skip
def test_failures_inside_show_nothing_of_the_inside(
    stages, app_of, post, tiny, raised, status, caplog
):
    def detect(image):
        raise raised

    with caplog.at_level("INFO"):
        reply = post(app_of(stages(detect)), "/v1/detect", tiny)
    assert reply.status_code == status
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.headers["x-content-type-options"] == "nosniff"
    for word in ("secret", "door", "Traceback", "ZeroDivision"):
        assert word not in reply.text
    assert "door" not in caplog.text


def test_another_method_is_405_and_says_which(quick, app_of, get):
    reply = get(app_of(quick), "/v1/detect")
    assert reply.status_code == 405
    assert reply.headers["allow"] == "POST"
    assert reply.json()["status"] == 405


def test_the_picture_is_overwritten_after_the_reply(stages, app_of, post, tiny):
    seen = []

    def detect(image):
        assert (image == 128).all()
        seen.append(image)
        return []

    assert post(app_of(stages(detect)), "/v1/detect", tiny).status_code == 200
    assert not seen[0].any()


def test_openapi_documents_every_status_with_an_example(quick, app_of, get):
    document = get(app_of(quick), "/openapi.json").json()
    for path in ("/v1/detect", "/v1/examine", "/task/face-detection"):
        operation = document["paths"][path]["post"]
        for status in ("400", "401", "403", "408", "413", "415", "422", "429", "503"):
            content = operation["responses"][status]["content"]["application/problem+json"]
            assert content["example"]["status"] == int(status)
        assert operation["security"] == [{"APIKeyHeader": []}]
        assert operation["requestBody"]["content"]["application/json"]["example"]["file"]
    example = document["paths"]["/v1/detect"]["post"]["responses"]["200"]["content"]
    schema.Result.model_validate(example["application/json"]["example"])
    assert "image/webp" in example
    assert json.dumps(document)
