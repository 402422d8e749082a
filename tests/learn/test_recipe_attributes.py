import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import dataclasses

import numpy as np
import pytest
import torch

from facecctv.errors import ModelError
from facecctv.learn.attribute_card import attributes_card
from facecctv.learn.data.attributes import LabelledFaces
from facecctv.learn.loop import Schedule, fit
from facecctv.learn.nets.attributes import AttributesNet
from facecctv.learn.nets.embedder import EmbedderNet
from facecctv.learn.recipes.attributes import (
    Recipe,
    batch_maker,
    begin_with,
    cumulative_distance,
    export_attributes,
    step_loss,
)
from facecctv.learn.starting import starting_weights
from facecctv.models.session import Session
from facecctv.vision.attributes import AttributeEstimator

WIDTHS = (8, 8, 8)
TINY = AttributesNet(
    stem=8, widths=WIDTHS, blocks=(1, 1, 0), narrow=4, squeeze=4, hidden=8, dropout=0.0
)
RECIPE = Recipe(
    net=TINY,
    batch=8,
    upside_down=0.25,
    faceless=0.25,
    schedule=Schedule(steps=2, workers=0, threads=1),
)


@pytest.fixture(scope="module")
def faces():
    """Lighter faces are older, in three bins."""
    bins = np.array([0, 4, 7] * 4)
    images = np.broadcast_to((20 + 30 * bins)[:, None, None, None], (12, 128, 128, 3))
    return LabelledFaces(
        tuple(map(str, range(12))),
        np.ascontiguousarray(images, np.uint8),
        bins,
        np.arange(12) % 2 == 0,
        np.array(["a"] * 12),
    )


NOTHING = np.zeros((2, 128, 128, 3), np.uint8)


def test_a_batch_repeats_and_names_what_is_no_upright_face(faces):
    batch = batch_maker(faces, NOTHING, RECIPE)(3)
    assert batch["pictures"].shape == (8, 3, 112, 112)
    assert batch["bins"][:4].tolist() == [-1] * 4
    assert batch["female"][:4].tolist() == [0.5] * 4
    assert set(batch["bins"][4:].tolist()) <= {0, 4, 7}
    assert set(batch["female"][4:].tolist()) <= {0.0, 1.0}
    again = batch_maker(faces, NOTHING, RECIPE)(3)
    assert all(torch.equal(batch[name], again[name]) for name in batch)
    assert (faces.bins >= 0).all()  # the set itself is as it was


def test_distances_of_cumulative_sums_by_hand():
    said = torch.tensor([[1.0, 0, 0, 0], [0, 0.5, 0.5, 0]])
    wanted = torch.tensor([[0, 0, 0, 1.0], [0, 1.0, 0, 0]])
    # Three years off: 1 + 1 + 1; half of it one year off: 0.25.
    assert cumulative_distance(said, wanted).item() == pytest.approx((3 + 0.25) / 2)
    assert cumulative_distance(wanted, wanted).item() == 0


def test_a_perfect_answer_loses_less_than_any_other(faces):
    recipe = dataclasses.replace(RECIPE, upside_down=0.0, faceless=0.0)
    step, batch = step_loss(recipe, faces), batch_maker(faces, NOTHING, recipe)(0)
    centres = torch.tensor([1.0, 6, 14.5, 24.5, 34.5, 44.5, 54.5, 64.5, 77])[batch["bins"]]

    def loss(shift, sign):
        class Said(torch.nn.Module):
            def forward(self, pictures, training):
                years = torch.arange(101.0)
                ages = -0.5 * ((years - centres[:, None] - shift) / 4) ** 2
                return ages, sign * 4 * (2 * batch["female"][:, None] - 1)

        return step(Said(), batch)[0].item()

    assert loss(0, 1) < loss(10, 1) < loss(20, 1)
    assert loss(0, 1) < loss(0, 0) < loss(0, -1)


def test_it_begins_as_the_embedder_ends(tmp_path):
    teacher = EmbedderNet(stem=8, widths=WIDTHS, blocks=(1, 1, 1), squeeze=8).build()
    state = {f"net.{name}": value for name, value in teacher.state_dict().items()}
    torch.save({"average": state | {"people": torch.zeros(1)}}, tmp_path / "checkpoint.pt")
    model = TINY.build()
    begin_with(model, starting_weights(tmp_path, (), prefix="net."))
    theirs, ours = teacher.state_dict(), model.state_dict()
    shared = [name for name in ours if name in theirs]
    assert {name.rpartition(".")[2].partition("/")[0] for name in shared} == {
        "stem", "down0", "down1", "down2", "stage0_0a", "stage0_0b", "stage1_0a", "stage1_0b",
    }  # fmt: skip
    assert all(torch.equal(theirs[name], ours[name]) for name in shared)
    wider = dataclasses.replace(TINY, widths=(16, 8, 8))
    with pytest.raises(ModelError, match="same trunk"):
        begin_with(wider.build(), starting_weights(tmp_path, (), prefix="net."))


def test_it_learns_and_its_file_says_the_same(faces, tmp_path):
    schedule = Schedule(steps=40, learning_rate=1e-2, warm_up=3, average=0.7, workers=0, threads=1)
    sight = dataclasses.replace(RECIPE.sight, clean=1.0)
    recipe = dataclasses.replace(RECIPE, schedule=schedule, sight=sight, faceless=0.0)
    model = TINY.build()
    torch.manual_seed(0)
    make, step = batch_maker(faces, NOTHING, recipe), step_loss(recipe, faces)
    before = step(model, make(1000))[0].item()
    fit(model, make, step, schedule, tmp_path)
    assert step(model, make(1000))[0].item() < 0.9 * before
    exported = export_attributes(tmp_path, attributes_card(mirror=False), TINY)
    ages, genders = AttributeEstimator(Session(exported)).logits(list(faces.images[:3, 8:-8, 8:-8]))
    assert ages.shape == (3, 101)
    assert genders.shape == (3,)


def test_the_shipped_shape_keeps_to_its_size():
    model = AttributesNet().build()
    count = sum(value.numel() for value in model.state_dict().values())
    assert 2 * count < 4_000_000  # bytes in half precision
