from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("skimage")

import facecctv
from facecctv.demo import practice_scenes
from facecctv.errors import InputError
from facecctv.learn.data.dataset import Labelled, Pictures
from facecctv.learn.data.detection import Sample
from facecctv.learn.loop import Schedule
from facecctv.learn.recipes import fast
from facecctv.models.card import Card
from facecctv.models.session import Session
from facecctv.vision.detect import DetectOptions, Detector

SHIPPED = (Path(facecctv.__file__).parent / "models/shipped/face-detector.onnx").read_bytes()
SHORT = fast.FastRecipe(
    schedule=Schedule(
        steps=2, learning_rate=1e-5, warm_up=1, average=0.5, save_every=1, threads=1, workers=0
    ),
    sizes=(96,),
    pixels=2 * 96 * 96,
)


def samples(count):
    made = []
    for number, scene in enumerate(practice_scenes(count)):
        boxes = np.array([f.box for f in scene.faces], np.float32).reshape(-1, 4)
        unknown = np.full((len(boxes), 5, 2), np.nan, np.float32)
        made.append(Sample(f"{number}", scene.image, boxes, unknown, np.zeros(len(boxes), bool)))
    return made


def test_pictures_without_any_box_teach_nothing():
    with pytest.raises(InputError, match="no picture has a box"):
        fast.load([Labelled(Path("a.png"), 9, 9, located=False)], Pictures())


def test_a_gently_taught_detector_still_finds_what_the_shipped_one_does(tmp_path):
    data = samples(4)
    fast.train(data, tmp_path, SHORT, SHIPPED)
    fast.train(data, tmp_path, SHORT, SHIPPED)  # finished: nothing more to do
    start = Card.from_model(SHIPPED)
    exported, report = fast.export_fast(tmp_path, SHORT, "mine", start, data, "practice")
    card = Card.from_model(exported)
    assert card.name == "mine"
    assert card.task == "face-detector"
    assert card.threshold() == start.threshold()
    assert card.training_data[-1].name == "practice"
    assert {metric.name for metric in card.metrics} >= {"ap_50", "recall"}
    assert report.pictures == 4

    options = DetectOptions(threshold=0.1)
    before, after = Detector(Session(SHIPPED), options), Detector(Session(exported), options)
    (old, *_), (new, *_) = before(data[0].image), after(data[0].image)
    np.testing.assert_allclose(new.box, old.box, atol=4)
    assert new.score == pytest.approx(old.score, abs=0.1)
