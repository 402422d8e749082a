import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import math

import numpy as np
import pytest
import torch
from skimage import data

from facecctv.identity.calibrate import calibration_of
from facecctv.learn.data.aligned import AlignedFaces
from facecctv.learn.loop import Schedule, fit
from facecctv.learn.nets.embedder import EmbedderNet
from facecctv.learn.recipes.embedder import (
    Recipe,
    _margin,
    _relation,
    batch_maker,
    embedder_card,
    export_embedder,
    release,
    step_loss,
    student,
)
from facecctv.learn.recipes.enhancer import load_embedder
from facecctv.learn.starting import starting_weights
from facecctv.models.session import Session
from tests.labelled_people import patterns

TINY = EmbedderNet(stem=8, widths=(8, 8, 8), blocks=(1, 1, 1), squeeze=8)


def faces(count, people):
    rng = np.random.default_rng(count)
    image = data.astronaut()[20:148, 160:288]
    rows = rng.normal(size=(count, 128)).astype(np.float32)
    return AlignedFaces(
        tuple(map(str, range(count))),
        np.stack([np.roll(image, i, axis=1) for i in range(count)]),
        rows / np.linalg.norm(rows, axis=1, keepdims=True),
        np.array(people),
    )


@pytest.fixture(scope="module")
def sets():
    return faces(6, [-1] * 6), faces(4, [0, 0, 1, 1])


RECIPE = Recipe(net=TINY, batch=4, named=0.5, schedule=Schedule(steps=2, workers=0))


def test_a_batch_names_its_rows_and_people(sets):
    batch = batch_maker(*sets, RECIPE)(3)
    assert batch["pictures"].shape == (4, 3, 112, 112)
    assert (batch["rows"][:2] < 6).all()
    assert (batch["rows"][2:] >= 6).all()
    assert (batch["people"][:2] == -1).all()
    named = batch["rows"][2:] - 6
    assert batch["people"][2:].tolist() == sets[1].identities[named].tolist()
    again = batch_maker(*sets, RECIPE)(3)
    assert all(torch.equal(batch[name], again[name]) for name in batch)


def test_a_teachers_own_answer_loses_nothing(sets):
    bank = torch.from_numpy(sets[0].embeddings)
    assert _relation(bank[:3], bank[:3], bank, 0.07).item() == pytest.approx(0, abs=1e-6)
    assert _relation(bank[1:4], bank[:3], bank, 0.07).item() > 1


def test_the_margin_by_hand():
    recipe = Recipe(margin=0.3, people_scale=10.0)
    directions = torch.eye(2)
    answer = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    people = torch.tensor([0, -1])  # the second is nobody known
    harder = math.cos(math.acos(0.999) + 0.3)
    expected = math.log(1 + math.exp(-10 * harder))
    assert _margin(answer, people, directions, recipe).item() == pytest.approx(expected, rel=1e-3)


def test_people_begin_where_the_teacher_has_them(sets):
    made = student(RECIPE, *sets)
    mean = sets[1].embeddings[:2].mean(axis=0)
    np.testing.assert_allclose(made.people[0].detach(), mean / np.linalg.norm(mean), rtol=1e-5)
    assert len(made.bank) == 10


def test_trained_and_exported_it_says_the_same(sets, tmp_path):
    made = student(RECIPE, *sets)
    fit(made, batch_maker(*sets, RECIPE), step_loss(RECIPE), RECIPE.schedule, tmp_path)
    assert export_embedder(tmp_path, embedder_card(), TINY)
    frozen = load_embedder(tmp_path, TINY)
    assert not any(p.requires_grad for p in frozen.parameters())


def test_mixed_weights_are_the_mean_of_both(sets, tmp_path):
    made = student(RECIPE, *sets)
    fit(made, batch_maker(*sets, RECIPE), step_loss(RECIPE), RECIPE.schedule, tmp_path)
    state = starting_weights(tmp_path, (), prefix="net.")
    alone = export_embedder(tmp_path, embedder_card(), TINY)
    assert export_embedder(tmp_path, embedder_card(), TINY, state) == alone
    # With its negative every weight is zero, and so is the answer before it gets a length.
    face = np.ones((1, 3, 112, 112), np.float32)
    opposite = {k: v if "variance" in k else -v for k, v in state.items()}
    nothing = Session(export_embedder(tmp_path, embedder_card(), TINY, opposite)).run(face)[0]
    np.testing.assert_array_equal(nothing, 0)
    assert np.abs(Session(alone).run(face)[0]).max() > 0


def test_a_release_says_how_far_its_stated_rates_hold(sets, tmp_path):
    made = student(RECIPE, *sets)
    fit(made, batch_maker(*sets, RECIPE), step_loss(RECIPE), RECIPE.schedule, tmp_path / "run")
    (tmp_path / "data").mkdir()
    patterns(tmp_path / "data" / "identities", 30, 4)
    folder = tmp_path / "models"
    folder.mkdir()
    card = release(tmp_path / "run", tmp_path / "data", folder, TINY, "abc")
    assert Session((folder / "face-embedder.onnx").read_bytes()).card == card
    assert calibration_of(card).different == 7 * 6000
    stated = [one for one in card.metrics if one.name == "FMR where 0.001 is stated"]
    assert len(stated) == 7
    assert "3360 pairs of strangers, both as stored, each half" in stated[0].conditions
    assert sum(one.name == "EER" for one in card.metrics) == 7
