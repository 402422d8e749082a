"""Enhancing and colouring over HTTP, with models of a few bytes."""

import base64
import hashlib
import threading

import numpy as np
import pytest

from facecctv import schema
from facecctv.api.desk import ServerSettings
from facecctv.api.limits import ServerLimits
from facecctv.build import Workshop
from facecctv.errors import ModelNotFound
from facecctv.evidence.provenance import Record
from facecctv.evidence.steps import KNOWN, Chain
from facecctv.image import decode, encode, read_metadata
from facecctv.models.session import Session
from facecctv.vision.drift import NO_RECOGNISER
from tests.red_detector import red_detector, red_picture
from tests.tiny_enhancers import constant_colouriser, mean_embedder, nearest_enhancer

RED = encode(red_picture(64, 48, (2, 3)))
RAMP = np.add.outer(np.arange(24), np.arange(32) * 4).astype(np.uint8) + 40
GREY = encode(np.repeat(RAMP[..., None], 3, axis=2))


def missing():
    raise ModelNotFound("/srv/secret/enhancer.onnx")


@pytest.fixture(scope="module")
def full():
    """All models there are."""
    others = {
        "enhancer-x2": Session(nearest_enhancer(2)),
        "enhancer-x4": Session(nearest_enhancer(4)),
        "colouriser": Session(constant_colouriser()),
        "face-embedder": Session(mean_embedder(least=4)),
    }
    return Workshop(Session(red_detector()), others)


@pytest.fixture(scope="module")
def bare():
    """A detector and nothing else."""
    names = ("enhancer-x2", "enhancer-x4", "colouriser", "face-embedder")
    return Workshop(Session(red_detector()), {name: Session(missing) for name in names})


@pytest.fixture(scope="module")
def app(app_of, full):
    return app_of(full)


def picture_of(url):
    head, _, data = url.partition(",")
    return head, base64.b64decode(data)


def test_enhance_gives_the_picture_and_its_record(app, post):
    made = post(app, "/v1/enhance?scale=2&luminance=off", RED, name="door.jpg").json()
    assert set(made) == {"record", "image"}
    head, data = picture_of(made["image"])
    assert head == "data:image/png;base64"
    record = Record.model_validate(made["record"])
    assert (record.source, record.sha256) == ("door.jpg", hashlib.sha256(RED).hexdigest())
    assert record.output.file == "door-enhanced.png"
    assert record.output.sha256 == hashlib.sha256(data).hexdigest()
    assert (record.output.width, record.output.height) == (128, 96)
    assert [step.step_class for step in record.steps] == ["learned"]
    assert record.steps[0].model == "enhancer-x2"
    assert record.steps[0].parameters["luminance"] == "off"
    assert record.detail
    assert record.colour is None
    expected = red_picture(64, 48, (2, 3)).repeat(2, axis=0).repeat(2, axis=1)
    assert (decode(data).image == expected).all()
    assert read_metadata(data)["Source SHA-256"] == record.sha256


@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
def test_accept_gives_the_picture_alone_with_its_marks(app, post, format):
    kind = {"Accept": f"image/{format}"}
    reply = post(app, "/v1/enhance?steps=gamma:2,enhance:x2,colourise", GREY, headers=kind)
    assert reply.headers["content-type"] == f"image/{format}"
    assert reply.headers["x-step-classes"] == "photometric, learned, generative"
    assert reply.headers["x-estimated"] == "detail, colour"
    assert reply.headers["x-input-sha256"] == hashlib.sha256(GREY).hexdigest()
    assert decode(reply.content).image.shape == (48, 64, 3)
    assert "Colour" in read_metadata(reply.content)


def test_base64_json_gives_the_same(app, post, talk):
    body = {"file": base64.b64encode(RED).decode(), "name": "a.png"}
    reply = talk(app, lambda client: client.post("/v1/enhance?scale=4", json=body))
    assert reply.json() == post(app, "/v1/enhance?scale=4", RED).json()


def test_filters_alone_need_no_model(bare, app_of, post):
    reply = post(app_of(bare), "/v1/enhance?steps=levels:auto,sharpen&forensic=true", RED)
    assert reply.status_code == 200
    assert "detail" not in reply.json()["record"]


def test_a_change_map_and_the_drift_of_each_face_come_on_request(app, post):
    path = "/v1/enhance?scale=2&change_map=true&drift=true&format=webp"
    made = post(app, path, RED).json()
    head, data = picture_of(made["change_map"])
    assert head == "data:image/webp;base64"
    assert decode(data).image.shape == (96, 128, 3)
    assert made["record"]["change_map"]["sha256"] == hashlib.sha256(data).hexdigest()
    found = post(app, "/v1/detect", RED).json()["faces"]
    assert [face["box"] for face in made["faces"]] == [face["box"] for face in found]
    assert {face["drift"]["verdict"] for face in made["faces"]} == {"kept"}


def test_drift_is_unknown_where_pixels_moved_or_nothing_measures(app, app_of, bare, post):
    moved = post(app, "/v1/enhance?steps=resize:scale=2&drift=true", RED).json()
    unknown = {"verdict": "unknown", "reason": "a step moved the pixels"}
    assert moved["faces"][0]["drift"] == unknown
    alone = post(app_of(bare), "/v1/enhance?steps=sharpen&drift=true", RED).json()
    assert alone["faces"][0]["drift"] == {"verdict": "unknown", "reason": NO_RECOGNISER}


def test_colour_is_always_said_to_be_estimated(app, post):
    made = post(app, "/v1/colourise?saturation=0.8", GREY, name="").json()
    assert made["record"]["steps"][0]["class"] == "generative"
    assert "estimated" in made["record"]["colour"]
    assert made["record"]["output"]["file"].endswith("-colourised.png")
    coloured = decode(picture_of(made["image"])[1]).image
    assert (coloured[..., 0] > coloured[..., 1]).all()


@pytest.mark.parametrize(
    "path",
    [
        "/v1/colourise",
        "/v1/enhance?steps=gamma:2,colourise",
        "/v1/enhance?steps=crop:x=0:y=0:width=60:height=40,colourise",
    ],
)
def test_a_picture_that_has_colour_is_coloured_by_force_alone(app, post, path):
    reply = post(app, path, RED)
    assert reply.status_code == 422
    assert reply.json()["reason"] == "has-colour"
    forced = path + ("?force=true" if path.endswith("/colourise") else ":force=on")
    assert post(app, forced, RED).status_code == 200


@pytest.mark.parametrize(
    ("path", "data", "says"),
    [
        ("/v1/enhance?steps=zoom", RED, "unknown step"),
        ("/v1/enhance?steps=denoise:h=-1", RED, "h must be"),
        ("/v1/enhance?steps=", RED, "no steps"),
        ("/v1/enhance?steps=enhance:x2&scale=4", RED, "belongs into the chain"),
        ("/v1/enhance?steps=" + ",".join(["sharpen"] * 17), RED, "16 at most"),
        ("/v1/enhance?steps=crop:x=0:y=0:width=600:height=40", RED, "crop"),
        ("/v1/enhance?scale=3", RED, "scale"),
        ("/v1/enhance?strength=nan", RED, "strength"),
        ("/v1/colourise?saturation=5", GREY, "saturation"),
        ("/v1/colourise?forensic=true", GREY, "not recorded by the camera"),
        ("/v1/enhance?steps=gamma,colourise&forensic=true", GREY, "colourise is one"),
        ("/v1/examine?colourise=auto&forensic=true", GREY, "colourise"),
    ],
)
def test_what_cannot_be_done_is_422_and_says_why(app, post, path, data, says):
    reply = post(app, path, data)
    assert reply.status_code == 422
    assert reply.headers["content-type"] == "application/problem+json"
    assert says in reply.json()["detail"]


def test_forensic_work_refuses_a_generative_enhancer(app_of, post):
    model = Session(nearest_enhancer(4, step="generative"))
    app = app_of(Workshop(Session(red_detector()), {"enhancer-x4": model}))
    for path in ("/v1/enhance?", "/v1/examine?enhance=x4&",
                 "/task/full-image-examination?enhance=x4&"):  # fmt: skip
        assert post(app, f"{path}forensic=true", RED).status_code == 422
        assert post(app, path, RED).status_code == 200


@pytest.mark.parametrize(
    "path",
    ["/v1/enhance", "/v1/enhance?scale=2", "/v1/colourise", "/v1/examine?enhance=x4",
     "/v1/examine?colourise=on", "/task/image-enhancement",
     "/task/full-image-examination?enhance=x2"],
)  # fmt: skip
def test_a_model_that_is_missing_is_503_and_says_so(bare, app_of, post, path):
    reply = post(app_of(bare), path, GREY)
    assert reply.status_code == 503
    assert reply.headers["content-type"] == "application/problem+json"
    assert "not installed" in reply.json()["detail"]
    assert reply.json()["reason"] == "not-installed"
    assert "secret" not in reply.text


def test_models_and_capabilities_are_those_installed(app, app_of, bare, get):
    found = get(app, "/v1/models").json()
    assert found["capabilities"] == ["detect", "examine", "enhance", "colourise", "replay", "jobs"]
    assert [model["task"] for model in found["models"]] == [
        "face-detector", "enhancer", "enhancer", "colouriser", "face-embedder",
    ]  # fmt: skip
    assert get(app_of(bare), "/v1/models").json()["capabilities"] == [
        "detect",
        "examine",
        "replay",
        "jobs",
    ]


def test_every_step_is_described_and_a_chain_of_the_defaults_is_understood(app, get):
    known = {step["name"]: step for step in get(app, "/v1/steps").json()}
    assert list(known) == list(KNOWN)
    kinds = {p["name"]: p for p in known["levels"]["parameters"]}
    assert kinds["low"] == {
        "name": "low", "kind": "integer", "required": False, "default": "auto",
        "minimum": 0, "maximum": 255, "choices": ["auto"],
    }  # fmt: skip
    assert known["enhance"]["parameters"][0]["kind"] == "choice"
    assert known["enhance"]["parameters"][0]["choices"] == ["2", "4"]
    assert {p["kind"] for p in known["perspective"]["parameters"]} == {"point", "integer"}
    for name, step in known.items():
        given = [f"{p['name']}={p['default']}" for p in step["parameters"]
                 if p["default"] is not None]  # fmt: skip
        needed = [f"{p['name']}={'1x2' if p['kind'] == 'point' else 3}"
                  for p in step["parameters"] if p["required"]]  # fmt: skip
        if name == "deblur":  # whose settings belong to its kernels and methods
            given = []
        if name not in ("resize", "perspective"):
            assert str(Chain.parse(":".join([name, *given, *needed]))).startswith(name)


def test_output_and_effort_have_limits(full, app_of, get, post):
    limits = ServerLimits(max_output_pixels=20_000, max_filter_pixels=4000)
    app = app_of(full, ServerSettings(limits=limits))
    assert get(app, "/v1/limits").json()["max_output_pixels"] == 20_000
    assert post(app, "/v1/enhance?scale=2", RED).status_code == 200
    assert post(app, "/v1/enhance?scale=4", RED).status_code == 413
    assert post(app, "/v1/enhance?steps=enhance:x2,enhance:x2", RED).status_code == 413
    assert post(app, "/v1/enhance?steps=resize:scale=16", RED).status_code == 413
    assert post(app, "/v1/enhance?steps=sharpen", RED).status_code == 200
    assert post(app, "/v1/enhance?steps=enhance:x2,sharpen", RED).status_code == 413
    slow = "deblur:method=richardson-lucy:iterations=200"
    assert post(app, f"/v1/enhance?steps={slow}", RED).status_code == 413
    assert post(app, "/v1/enhance?steps=denoise:window=51", RED).status_code == 413
    few = app_of(full, ServerSettings(limits=ServerLimits(max_output_pixels=1000)))
    assert post(few, "/v1/examine?enhance=x4", RED).status_code == 422
    assert post(few, "/v1/examine?enhance=x4&enhance_below=1", RED).status_code == 200


def test_faces_are_enhanced_and_coloured_beside_the_untouched_crop(app, post):
    path = "/v1/examine?enhance=x4&colourise=on&crops=true&changes=true&luminance=off"
    result = post(app, path, RED).json()
    face = result["faces"][0]
    schema.Face.model_validate(face)
    assert face["enhancement"]["scale"] == 4
    assert face["enhancement"]["drift"]["verdict"] == "kept"
    assert face["colour"]["estimated"] is True
    assert face["colour"]["of"] == "enhanced"
    crop = decode(picture_of(result["crops"][0]["image"])[1]).image
    enhanced = decode(picture_of(result["enhanced"][0]["image"])[1]).image
    assert (enhanced == crop.repeat(4, axis=0).repeat(4, axis=1)).all()
    for kind in ("coloured", "changes"):
        assert result[kind][0]["face"] == 0
        words = read_metadata(picture_of(result[kind][0]["image"])[1])
        assert "Detail" in words
        assert ("Colour" in words) == (kind == "coloured")
        assert (result[kind][0]["height"], result[kind][0]["width"]) == enhanced.shape[:2]
    plain = post(app, "/v1/examine", RED).json()
    assert plain["faces"][0]["quality"] == face["quality"]
    assert set(plain["faces"][0]) == {"box", "landmarks", "quality"}
    assert not {"enhanced", "coloured", "changes", "crops"} & set(plain)


def test_colour_auto_leaves_coloured_pictures_alone(app, post):
    result = post(app, "/v1/examine?colourise=auto&crops=true", RED).json()
    assert "colour" not in result["faces"][0]
    assert result["coloured"] == []


def test_the_original_routes_enhance(app, post):
    reply = post(app, "/task/image-enhancement?scale=2", RED)
    assert decode(reply.content).format == "jpeg"
    assert decode(reply.content).image.shape == (96, 128, 3)
    whole = post(app, "/task/full-image-examination?enhance=x2&colourise=on", RED)
    assert decode(whole.content).image.shape == (96, 128, 3)
    assert int(whole.headers["x-faces"]) == len(post(app, "/v1/detect", RED).json()["faces"])
    assert whole.headers["x-step-classes"] == "learned, generative"
    plain = post(app, "/task/full-image-examination", RED)
    assert decode(plain.content).image.shape == (48, 64, 3)
    assert "x-step-classes" not in plain.headers


def test_work_waits_in_the_lane_of_what_comes_out(full, app_of, post):
    app = app_of(full, ServerSettings(limits=ServerLimits(large_pixels=20_000)))
    lanes = {lane.name: lane for lane in app.state.desk.lanes}
    seen = []
    run = type(lanes["large"]).run
    for lane in lanes.values():
        lane.run = lambda *given, lane=lane: (seen.append(lane.name), run(lane, *given))[1]
    post(app, "/v1/enhance?scale=2", RED)
    post(app, "/v1/enhance?scale=4", RED)
    post(app, "/v1/examine?enhance=x4", RED)
    assert seen == ["header", "small", "header", "large", "header", "large"]


def test_work_ends_between_tiles_when_nobody_waits():
    left = threading.Event()
    runs = []

    def check():
        runs.append(None)
        if len(runs) == 3:
            left.set()
        if left.is_set():
            raise InterruptedError

    workshop = Workshop(Session(red_detector()), {"enhancer-x2": Session(nearest_enhancer(2))})
    (step,) = Chain.parse("enhance:x2").steps
    enhance = workshop.during(check).tool(step).run
    object.__setattr__(enhance.options, "tile", 64)
    with pytest.raises(InterruptedError):
        enhance(np.zeros((64, 640, 3), np.uint8))
    assert len(runs) == 3


@pytest.mark.parametrize(
    "path",
    [
        "/v1/enhance?scale=4",
        "/v1/colourise?force=true",
        "/v1/examine?enhance=x4&colourise=on&crops=true&changes=true",
    ],
)
@pytest.mark.parametrize("size", [(1, 1), (2, 900), (900, 1)])
def test_odd_sizes_are_answered(app, post, path, size):
    picture = encode(np.full((*size, 3), 90, np.uint8))
    assert post(app, path, picture).status_code == 200


@pytest.mark.parametrize("path", ["/v1/enhance", "/v1/colourise", "/task/image-enhancement"])
@pytest.mark.parametrize("data", [b"", b"nothing", RED[:60], b"\x89PNG\r\n\x1a\n" + b"\0" * 50])
def test_what_is_no_picture_is_refused(app, post, path, data):
    reply = post(app, path, data)
    assert reply.status_code in (400, 415, 422)
    assert reply.headers["content-type"] == "application/problem+json"
