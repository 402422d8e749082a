import os

os.environ.setdefault("KERAS_BACKEND", "torch")

from dataclasses import replace

import keras
import numpy as np
import pytest
import torch

from facecctv.learn.data.detection import Sample
from facecctv.learn.data.mosaic import Pool
from facecctv.learn.nets.detector import BODY_NET, DetectorNet
from facecctv.learn.recipes.bodies import BODIES, LARGEST, body_card, load_what_fits
from facecctv.learn.recipes.detector import batch_maker, export_detector, step_loss
from facecctv.models.card import Threshold
from facecctv.models.session import Session
from facecctv.vision.anchors import BODY_LEVELS, grid
from facecctv.vision.detect import DetectOptions, Detector

FACES = DetectorNet(stem=8, quarter=8, widths=(16, 16, 16), blocks=(1, 1, 1), neck=16)
SMALL = replace(FACES, beyond=(16,), levels=BODY_NET.levels, landmarks=0)


def body_sample(boxes):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    image = np.random.default_rng(0).integers(0, 256, (160, 160, 3), np.uint8)
    nowhere = np.full((len(boxes), 5, 2), np.nan, np.float32)
    return Sample("s", image, boxes, nowhere, np.zeros(len(boxes), bool))


def test_a_map_of_five_numbers_for_each_level():
    with torch.no_grad():
        maps = SMALL.build()(torch.zeros(1, 3, 128, 192), training=False)
    assert [tuple(m.shape) for m in maps] == [
        (1, 5 * count, 128 // stride, 192 // stride) for stride, count in BODY_LEVELS.items()
    ]
    assert BODY_NET.multiple_of == 64


class TestStart:
    def test_nothing_fits(self):
        model = SMALL.build()
        before = {name: value.clone() for name, value in model.state_dict().items()}
        assert load_what_fits(model, {}) == 0
        assert load_what_fits(model, {"_torch_params.conv_norm/weight": torch.zeros(1)}) == 0
        assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())

    def test_all_of_a_face_detector_but_its_heads(self):
        keras.utils.set_random_seed(1)
        faces, model = FACES.build().state_dict(), SMALL.build()
        assert load_what_fits(model, faces) == len(faces) - 6
        own = model.state_dict()
        heads = {name for name in faces if "stride" in name}
        assert len(heads) == 6
        for name, value in faces.items():
            assert name in heads or torch.equal(own[name], value)


def test_a_batch_has_a_loss_and_gradients_on_every_level():
    recipe = replace(BODIES, net=SMALL, sizes=(128,), pixels=4 * 128 * 128)
    pool = Pool([body_sample([[4, 2, 150, 158]]), body_sample([[30, 20, 60, 90]])])
    batch = batch_maker(pool, recipe)(0)
    assert batch["silent"].shape == (4, len(grid(128, 128, BODY_LEVELS).points))
    model = SMALL.build()
    loss, parts = step_loss(recipe.loss, recipe.net.levels)(model, batch)
    loss.backward()
    assert torch.isfinite(loss)
    assert parts["landmarks"] == 0
    for name, parameter in model.named_parameters():
        if "stride" in name:
            assert parameter.grad.abs().sum() > 0


def test_a_checkpoint_becomes_a_detector_of_bodies(tmp_path):
    torch.save({"average": SMALL.build().state_dict()}, tmp_path / "checkpoint.pt")
    card = body_card(thresholds={"default": Threshold(value=0.5, at="nothing measured")})
    session = Session(export_detector(tmp_path, card, SMALL), threads=1)
    assert session.card == card
    assert card.extra["largest"] == LARGEST
    # As it starts, no score is over 2 %: below that there is much to find, with valid boxes.
    detector = Detector(session, DetectOptions(threshold=0.001))
    found = detector.bodies(np.full((70, 100, 3), 120, np.uint8))
    assert found
    sides = np.stack([body.box for body in found])
    assert sides.min() >= -1e-3
    assert (sides[:, 2:].max(axis=0) <= (100.001, 70.001)).all()


@pytest.mark.shared
def test_people_of_the_training_data_are_read(shared_data):
    from facecctv.learn.data.detection import load_bodies

    samples = load_bodies(shared_data / "person", "val")
    assert len(samples) == 137
    assert sum(len(sample.boxes) for sample in samples) == 382
