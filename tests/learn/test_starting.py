import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import argparse
from pathlib import Path

import numpy as np
import pytest
import torch

import facecctv
from facecctv.errors import ModelError
from facecctv.learn.export import check_parity
from facecctv.learn.loop import Schedule, fit
from facecctv.learn.nets.attributes import AttributesNet
from facecctv.learn.nets.detector import BODY_NET
from facecctv.learn.nets.embedder import EmbedderNet
from facecctv.learn.recipes.attributes import TRUNK, begin_with
from facecctv.learn.recipes.bodies import load_what_fits
from facecctv.learn.starting import add_options, released, rescheduled, starting_weights

SHIPPED = Path(facecctv.__file__).parent / "models/shipped"


def pictures(*shape, batches=2):
    rng = np.random.default_rng(0)
    return [torch.from_numpy(rng.random(shape, np.float32)) for _ in range(batches)]


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("face-embedder", (8, 3, 112, 112)),
        ("face-detector", (2, 3, 128, 160)),
        ("body-detector", (2, 3, 128, 192)),
    ],
)
def test_a_released_network_answers_by_batch_as_it_does_alone(name, shape):
    exported = (SHIPPED / f"{name}.onnx").read_bytes()
    batches = pictures(*shape, batches=1)
    model = released(exported, batches)
    assert check_parity(model, exported, [[batches[0].numpy()]], tolerance=1e-3) < 1e-3
    with torch.no_grad():
        alone, together = model(batches[0], training=False), model(batches[0], training=True)
    pairs = [(alone, together)] if torch.is_tensor(alone) else zip(alone, together, strict=True)
    for a, b in pairs:
        assert (a - b).abs().max() < 0.01 * a.abs().max()


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("enhancer-x4", (1, 3, 16, 24)),
        ("enhancer-x2", (1, 3, 16, 24)),
        ("colouriser", (1, 1, 64, 96)),
        ("face-attributes", (2, 3, 112, 112)),
    ],
)
def test_every_other_network_comes_back_too(name, shape):
    exported = (SHIPPED / f"{name}.onnx").read_bytes()
    released(exported, pictures(*shape))  # raises where the answers differ


def test_weights_of_a_run_lose_their_prefix(tmp_path):
    holder = torch.nn.Module()
    holder.net, holder.people = torch.nn.Linear(2, 1), torch.nn.Parameter(torch.zeros(3))
    fit(
        holder,
        lambda number: {"x": torch.ones(1, 2)},
        lambda model, batch: (model.net(batch["x"]).sum() + model.people.sum(), {}),
        Schedule(steps=1, workers=0),
        tmp_path,
    )
    assert set(starting_weights(tmp_path, (), prefix="net.")) == {"weight", "bias"}


def test_attributes_begin_with_the_trunk_of_a_released_embedder_or_with_all_of_their_own():
    net = AttributesNet()
    model, before = net.build(), net.build().state_dict()
    batches = pictures(4, 3, 112, 112)
    embedder = starting_weights(SHIPPED / "face-embedder.onnx", batches)
    begin_with(model, embedder)
    trunk = [k for k in before if k.rpartition(".")[2].startswith(TRUNK)]
    assert trunk
    assert all(torch.equal(model.state_dict()[name], embedder[name]) for name in trunk)
    own = starting_weights(SHIPPED / "face-attributes.onnx", batches)
    begin_with(model, own)
    assert all(torch.equal(value, own[name]) for name, value in model.state_dict().items())
    with pytest.raises(ModelError, match="trunk"):
        begin_with(model, EmbedderNet(stem=8).build().state_dict())


def test_a_body_detector_begins_with_all_of_its_own():
    model = BODY_NET.build()
    found = starting_weights(SHIPPED / "body-detector.onnx", pictures(1, 3, 128, 128))
    assert load_what_fits(model, found) == len(model.state_dict())


def test_what_is_no_model_of_ours_is_refused(tmp_path):
    (tmp_path / "other.onnx").write_bytes(b"not a model")
    with pytest.raises(ModelError):
        starting_weights(tmp_path / "other.onnx", ())


def test_the_schedule_takes_what_is_asked_for_and_keeps_the_rest():
    parser = argparse.ArgumentParser()
    add_options(parser)
    schedule = Schedule(steps=10, learning_rate=0.5, seed=3)
    assert rescheduled(schedule, parser.parse_args([])) == schedule
    asked = rescheduled(schedule, parser.parse_args(["--steps", "7", "--rate", "0.1"]))
    assert (asked.steps, asked.learning_rate, asked.seed) == (7, 0.1, 3)
