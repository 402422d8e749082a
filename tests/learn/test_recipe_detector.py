import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
import pytest
import torch

from facecctv.demo import HALL, NIGHT, NOISY, Person, corridor
from facecctv.learn.data.detection import Sample
from facecctv.learn.data.mosaic import Mosaic, Pool
from facecctv.learn.loop import Schedule, fit
from facecctv.learn.losses import DetectionLoss
from facecctv.learn.nets.detector import DetectorNet
from facecctv.learn.recipes.detector import Recipe, batch_maker, collate, flatten, step_loss
from facecctv.vision import anchors
from facecctv.vision.anchors import FACE_LEVELS, grid

SMALL = DetectorNet(stem=8, quarter=16, widths=(32, 32, 32), blocks=(1, 1, 1), neck=32)


def scene(people, seed):
    made = corridor((320, 256), people, np.random.default_rng(seed))
    return Sample(
        f"scene{seed}",
        made.image,
        np.stack([face.box for face in made.faces]),
        np.stack([face.landmarks for face in made.faces]),
        np.zeros(len(made.faces), bool),
    )


@pytest.fixture(scope="module")
def pool():
    extra = (Person(x=100, face_px=60), Person(x=230, face_px=45, mirrored=True))
    return Pool([scene(p, i) for i, p in enumerate((HALL[:1], NIGHT, NOISY, extra))])


def test_the_torch_twin_of_flatten():
    rng = np.random.default_rng(0)
    counts = tuple(FACE_LEVELS.values())
    maps = [
        rng.normal(size=(2, 15 * count, 64 // stride, 96 // stride)).astype(np.float32)
        for stride, count in FACE_LEVELS.items()
    ]
    twin = flatten([torch.tensor(m) for m in maps], counts).numpy()
    np.testing.assert_array_equal(twin, anchors.flatten(maps, counts))


def test_batches_are_repeatable_and_whole(pool):
    recipe = Recipe(net=SMALL, sizes=(64, 96), pixels=4 * 64 * 64)
    make = batch_maker(pool, recipe)
    for number in range(6):
        batch, again = make(number), make(number)
        assert all(
            torch.equal(batch[name].nan_to_num(), again[name].nan_to_num()) for name in batch
        )
        count, _, size, _ = batch["pictures"].shape
        points = len(grid(size, size, FACE_LEVELS).points)
        assert batch["pictures"].dtype == torch.uint8
        assert batch["silent"].shape == (count, points)
        assert (batch["candidates"] < count * points).all()
        assert len(batch["boxes"]) == len(batch["landmarks"]) == len(batch["candidates"])
    assert not torch.equal(make(0)["boxes"], make(1)["boxes"])


def test_candidates_of_the_second_picture_point_into_the_second_picture(pool):
    samples = [
        Sample("a", np.zeros((64, 64, 3), np.uint8), *[v[:0] for v in labels(pool)]),
        Sample("b", np.zeros((64, 64, 3), np.uint8), *[v[:1] for v in labels(pool)]),
    ]
    samples[1].boxes[:] = (20, 20, 40, 44)
    batch = collate(samples, 64, FACE_LEVELS)
    valid = batch["candidates"][batch["candidates"] >= 0]
    points = batch["silent"].shape[1]
    assert len(valid)
    assert (valid >= points).all()
    assert (valid < 2 * points).all()


def labels(pool):
    sample = pool.main[1]
    return [sample.boxes.copy(), sample.landmarks, sample.ignore]


def test_the_recipe_learns_four_pictures(pool, tmp_path):
    keras.utils.set_random_seed(0)
    recipe = Recipe(
        net=SMALL,
        mosaic=Mosaic(degrade=0, occlude=0, rotate=0, mixed=0, smallest=24.0),
        loss=DetectionLoss(),
        schedule=Schedule(
            steps=30, learning_rate=4e-3, warm_up=5, save_every=30, workers=0, threads=1
        ),
        sizes=(96,),
        pixels=4 * 96 * 96,
    )
    make, losses = batch_maker(pool, recipe), []

    def step(model, batch):
        loss, parts = step_loss(recipe.loss)(model, batch)
        losses.append(float(loss.detach()))
        return loss, parts

    batches = [make(number) for number in range(2)]
    average = fit(recipe.net.build(), lambda n: batches[n % 2], step, recipe.schedule, tmp_path)
    assert np.mean(losses[-4:]) < 0.7 * np.mean(losses[:4])
    assert all(torch.isfinite(value).all() for value in average.state.values())
    assert (tmp_path / "checkpoint.pt").exists()
