import json

import numpy as np
import pytest

from facecctv import cli
from facecctv.errors import ModelError, SettingError
from facecctv.image import encode
from facecctv.models.card import ModelInput
from facecctv.vision.detect import DetectOptions
from facecctv.vision.single import (
    SingleFaceDetector,
    average_landmarks,
    landmarks_from,
    network_input,
)
from tests.tiny_models import a_card, one_face_model

CARD = a_card(
    task="single-face-detector",
    input=ModelInput(layout="NHWC", value_range=(0.0, 255.0), size=(64, 64)),
    thresholds={"default": {"value": 0.5, "at": "here"}},
)


class Fixed:
    """Says the same of every picture, and keeps what it was shown."""

    def __init__(self, score, box, card=CARD):
        self.card, self.seen = card, []
        self._score, self._box = score, box

    def run(self, pictures):
        self.seen.append(pictures)
        n = len(pictures)
        return [np.full((n, 1), self._score, np.float32), np.tile(np.float32(self._box), (n, 1))]


def picture(height, width):
    return np.full((height, width, 3), 200, np.uint8)


def test_no_pictures_no_results():
    assert SingleFaceDetector(Fixed(0.9, (0, 0, 1, 1))).batch([]) == []


def test_below_the_threshold_there_is_no_face():
    assert SingleFaceDetector(Fixed(0.4, (0.2, 0.2, 0.8, 0.8)))(picture(64, 64)) == []
    options = DetectOptions(threshold=0.3)
    assert len(SingleFaceDetector(Fixed(0.4, (0.2, 0.2, 0.8, 0.8)), options)(picture(64, 64))) == 1


@pytest.mark.parametrize(
    ("size", "box", "expected"),
    [
        ((64, 64), (0.25, 0.5, 0.75, 1.0), (16, 32, 48, 64)),
        # 128 x 64 shrinks to 64 x 32, centred: 16 rows of padding above.
        ((64, 128), (0.25, 0.25, 0.5, 0.75), (32, 0, 64, 64)),
        # 32 x 64 grows not; 64 x 32 portrait: 16 columns of padding left.
        ((64, 32), (0.25, 0.0, 0.75, 0.5), (0, 0, 32, 32)),
    ],
)
def test_shares_of_the_square_become_pixels(size, box, expected):
    (face,) = SingleFaceDetector(Fixed(0.9, box))(picture(*size))
    np.testing.assert_allclose(face.box, expected, atol=1e-4)
    assert face.score == pytest.approx(0.9)
    x1, y1, x2, y2 = face.box
    assert ((face.landmarks > (x1, y1)) & (face.landmarks < (x2, y2))).all()


def test_boxes_inside_out_or_too_low_are_no_faces():
    assert SingleFaceDetector(Fixed(0.9, (0.8, 0.2, 0.2, 0.8)))(picture(64, 64)) == []
    options = DetectOptions(min_face=40)
    assert SingleFaceDetector(Fixed(0.9, (0.0, 0.0, 0.5, 0.5)), options)(picture(64, 64)) == []


def test_pixels_as_the_card_asks():
    red = np.zeros((2, 2, 3), np.uint8)
    red[..., 0] = 255
    as_is = network_input([red], CARD)
    assert as_is.shape == (1, 2, 2, 3)
    assert as_is[0, 0, 0].tolist() == [255, 0, 0]
    other = a_card(
        input=ModelInput(colour="BGR", value_range=(-1.0, 1.0), mean=(0, 0, 0.5), std=(1, 1, 0.5))
    )
    values = network_input([red], other)
    assert values.shape == (1, 3, 2, 2)
    assert values[0, :, 0, 0].tolist() == [-1, -1, 1]


def test_cards_that_do_not_fit():
    with pytest.raises(ModelError, match="no input size"):
        SingleFaceDetector(Fixed(0.9, (0, 0, 1, 1), a_card()))(picture(8, 8))
    with pytest.raises(ModelError, match="not colour floats"):
        network_input([picture(2, 2)], a_card(input=ModelInput(dtype="uint8")))
    with pytest.raises(SettingError):
        DetectOptions(threshold=2)


def test_average_landmarks_are_an_upright_face():
    eyes, nose, mouth = np.split(average_landmarks(np.float32([10, 20, 110, 140])), [2, 3])
    assert eyes[0, 0] < nose[0, 0] < eyes[1, 0]
    assert eyes[:, 1].max() < nose[0, 1] < mouth[:, 1].min()
    assert nose[0, 0] == pytest.approx(60, abs=2)


def test_whose_landmarks_they_are_is_known_from_the_card():
    assert landmarks_from(CARD) == "average"
    assert landmarks_from(a_card()) is None


@pytest.fixture
def with_one_face(tmp_path, monkeypatch):
    """The current folder: a.png, and a single-face detector in one.onnx."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").write_bytes(encode(picture(64, 64)))
    (tmp_path / "one.onnx").write_bytes(one_face_model((0.25, 0.25, 0.75, 0.75)))
    return tmp_path


@pytest.mark.parametrize("command", ["detect", "examine"])
def test_results_say_that_nobody_looked_for_the_landmarks(with_one_face, capsys, command):
    assert cli.main([command, "--model", "one.onnx", "a.png", "--json"]) == 0
    (face,) = json.loads(capsys.readouterr().out)["faces"]
    assert face["landmarks_from"] == "average"
    assert face["box"]["x_min"] == 16


def test_an_average_face_is_no_label(with_one_face, capsys):
    pytest.importorskip("torch")
    assert cli.main(["data", "prelabel", "--model", "one.onnx", "a.png"]) == 0
    shapes = json.loads((with_one_face / "a.json").read_text())["shapes"]
    assert [shape["label"] for shape in shapes] == ["face"]
