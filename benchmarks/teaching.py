"""The teaching recipes on real pictures, with their figures.

    python -m benchmarks.teaching --data DATA --out runs/teaching vgg16
    python -m benchmarks.teaching --data DATA --out runs/teaching single
    python -m benchmarks.teaching --data DATA --out runs/teaching pairs|contrastive|triplet|random

DATA holds the folders identities, person and scenes of the private training data. Every part takes
a few minutes on two cores, may be interrupted, and goes on when started again. Each prints its
figures as one JSON object and leaves its report below OUT. The reports show people: they stay where
the pictures belong.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console

from facecctv import build
from facecctv.learn.data.dataset import Labelled, Pictures, read_dataset
from facecctv.learn.data.divide import Divided, divide
from facecctv.learn.fitting import Training, read_log
from facecctv.learn.nets.siamese import EmbedderNet
from facecctv.learn.nets.vgg16 import TwoHeadNet
from facecctv.learn.outcomes import single_outcome
from facecctv.learn.recipes.siamese import SiameseRecipe
from facecctv.learn.recipes.single_face import SingleFaceRecipe, load
from facecctv.learn.teaching import teach_siamese, teach_single
from facecctv.models.store import Store
from facecctv.settings import Settings
from facecctv.vision.detect import DetectOptions

FACE_LIKELY = 0.3
"""Scenes in which the shipped detector sees a face this surely are no pictures without one."""

VGG16 = SingleFaceRecipe(
    net=TwoHeadNet("VGG16", size=64, hidden=256),
    training=Training(epochs=20, batch=8, learning_rate=1e-4, bf16=True, threads=2),
    weights="none",
)
SINGLE = SingleFaceRecipe(
    net=TwoHeadNet("MobileNet", size=64, hidden=256, pooling="flatten"),
    training=Training(epochs=14, batch=32, learning_rate=1e-3, threads=2),
    weights="none",
)
SHIPPED = SiameseRecipe(
    net=EmbedderNet("shipped", size=112, embedding=128),
    training=Training(
        epochs=3, batch=32, learning_rate=1e-4, frozen_epochs=1, bf16=True, threads=2
    ),
    weights=str(Store().load(build.FACE_EMBEDDER).path),
)
WHO = {
    "pairs": replace(SHIPPED, loss="pairs"),
    "contrastive": replace(SHIPPED, loss="contrastive"),
    "triplet": replace(SHIPPED, loss="triplet", per_person=4),
    "random": SiameseRecipe(
        net=EmbedderNet("MobileNet", size=64, embedding=128),
        loss="contrastive",
        training=Training(epochs=14, batch=32, learning_rate=1e-3, threads=2),
        weights="none",
    ),
}
"""By loss, from the trunk of the shipped embedder; and from nothing, for comparison."""


@dataclass(frozen=True)
class Amount:
    """How many pictures; the rest is left out, evenly."""

    faces: int
    negatives: int
    val_faces: int = 10_000


AMOUNTS = {"vgg16": Amount(300, 100, 200), "single": Amount(3000, 1500)}


def main() -> None:
    """Runs one part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=["vgg16", "single", *WHO])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/teaching"))
    parser.add_argument(
        "--tiny", action="store_true", help="a few pictures, one epoch: does it run"
    )
    given = parser.parse_args()
    run = given.out / given.part
    console = Console(width=140)
    began = time.monotonic()
    if given.part in WHO:
        figures = recogniser(given.part, given.data, run, console, tiny=given.tiny)
    else:
        figures = single(given.part, given.data, run, console, tiny=given.tiny)
    figures["minutes"] = round((time.monotonic() - began) / 60, 1)
    print(json.dumps({"part": given.part, **figures}))


def single(part: str, data: Path, run: Path, console: Console, *, tiny: bool) -> dict[str, float]:
    """A two-head network on single faces, scenes and people seen from behind or afar."""
    recipe, amount = (VGG16 if part == "vgg16" else SINGLE), AMOUNTS[part]
    if tiny:
        recipe = replace(recipe, training=replace(recipe.training, epochs=1, batch=8))
        amount = Amount(24, 8, 16)
    divided = single_faces(data, amount)
    console.print(divided.how)
    result = teach_single(divided, recipe, run, part, "identities, person, scenes", console, False)
    figures = dict(result.figures)
    figures |= {f"constant_{k}": v for k, v in constant_box(divided, recipe).items()}
    first, last = (row for row in (read_log(run)[0], read_log(run)[-1]))
    for name in ("face_loss", "box_loss"):
        figures |= {f"{name}_first": first[name], f"{name}_last": last[name]}
    return figures | {"epochs": last["epoch"]}


def single_faces(data: Path, amount: Amount) -> Divided:
    """Faces of the identities set by its own split, and pictures without faces."""
    faces = divide(read_dataset(data / "identities" / "identities.csv"), None, "identity")
    train_none, val_none = negatives(data, amount.negatives)
    train = [*spread(faces.train, amount.faces), *train_none]
    val = [*spread(faces.val, amount.val_faces), *val_none]
    how = f"{len(train)} train ({len(train_none)} without a face), {len(val)} val ({len(val_none)})"
    return Divided(tuple(train), tuple(val), (), how)


def negatives(data: Path, count: int) -> tuple[list[Labelled], list[Labelled]]:
    """Pictures without a face, for train and val: people without a visible one, and scenes."""
    seen = {item.path for item in read_dataset(data / "person" / "person_faces.csv")}
    people = [i for i in read_dataset(data / "person" / "person.csv") if i.path not in seen]
    scenes = list(read_dataset(data / "scenes" / "scenes.csv"))
    chosen = {
        split: spread([i for i in (*people, *scenes) if i.attributes["split"] == split], most)
        for split, most in (("train", count), ("val", count // 3))
    }
    pictures, detect = Pictures(), build.detector(Settings(), DetectOptions(threshold=FACE_LIKELY))
    emptied: dict[str, list[Labelled]] = {"train": [], "val": []}
    for split, items in chosen.items():
        for item in items:
            if not detect(pictures.image(item.path)):
                emptied[split].append(Labelled(item.path, item.width, item.height))
    return emptied["train"], emptied["val"]


def spread(items: Sequence[Labelled], most: int) -> list[Labelled]:
    """At most so many, evenly."""
    if len(items) <= most:
        return list(items)
    return [items[int(n)] for n in (np.arange(most) + 0.5) * len(items) / most]


def constant_box(divided: Divided, recipe: SingleFaceRecipe) -> dict[str, float]:
    """What the mean box of the training pictures reaches: the crops hold faces near the middle."""
    split = load(divided.train, divided.val, recipe, Pictures())
    mean = split.train.boxes[split.train.faces].mean(axis=0)
    val = split.val
    said = np.tile(mean, (len(val), 1)).astype(np.float32)
    scores = np.full(len(val), val.faces.mean())
    outcome = single_outcome(val.names, scores, said, val.faces, val.boxes)
    return {"accuracy": max(val.faces.mean(), 1 - val.faces.mean()), "mean_iou": outcome.mean_iou}


def recogniser(
    part: str, data: Path, run: Path, console: Console, *, tiny: bool
) -> dict[str, float]:
    """A recogniser on the identities set, judged by people it has not seen."""
    recipe = WHO[part]
    divided = divide(read_dataset(data / "identities" / "identities.csv"), None, "identity")
    if tiny:
        training = replace(recipe.training, epochs=1, batch=4)
        recipe = replace(recipe, training=training, samples=32, val_pairs=40)
        divided = replace(divided, train=divided.train[:60], val=divided.val[:40])
    result = teach_siamese(divided, recipe, run, part, "identities", console, False)
    return dict(result.figures) | {"epochs": read_log(run)[-1]["epoch"]}


if __name__ == "__main__":
    main()
