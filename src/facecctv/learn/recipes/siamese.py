"""A recogniser of the user's own, taught on pairs or triplets: read from top to bottom.

recipe = SiameseRecipe(loss="triplet")
history = train(load(train_items, val_items, recipe, Pictures()), Path("runs/mine"), recipe)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import torch

from facecctv.errors import SettingError
from facecctv.learn.checkpoint import load_best
from facecctv.learn.data.dataset import Labelled, Pictures
from facecctv.learn.data.persons import (
    PairSource,
    People,
    PersonSource,
    choose_crop,
    draw_pairs,
    known,
    load_people,
)
from facecctv.learn.export import check_parity, export
from facecctv.learn.fitting import Lesson, Row, Source, Training, predict, teach
from facecctv.learn.nets.backbone import NONE, SHIPPED
from facecctv.learn.nets.siamese import (
    Distance,
    EmbedderNet,
    pair_classifier,
    pair_distance,
    shipped_embedder,
)
from facecctv.learn.outcomes import PairOutcome, pair_outcome
from facecctv.learn.recipes.single_face import HALF_WEIGHTS_TOLERANCE
from facecctv.learn.teaching_losses import ContrastiveLoss, Mining, TripletLoss
from facecctv.learn.watching import Watcher
from facecctv.models.card import Card, Metric, ModelInput, ModelOutput, Threshold, TrainingData
from facecctv.vision.compare import TASK, Comparison, Crop

LossName = Literal["pairs", "contrastive", "triplet"]
MARGINS = {"contrastive": 1.0, "triplet": 0.3}


@dataclass(frozen=True)
class SiameseRecipe:
    """Everything that decides the result."""

    net: EmbedderNet = field(default_factory=EmbedderNet)
    loss: LossName = "pairs"
    """`pairs`: a classifier on |a - b|; `contrastive`; `triplet`."""
    distance: Distance = "euclidean"
    """Of contrastive and triplet loss."""
    margin: float | None = None
    """By default 1 for contrastive and 0.3 for triplet loss."""
    mining: Mining = "semi-hard"
    per_person: int = 4
    """Pictures of each of the batch's people, for triplets."""
    samples: int = 5000
    """Pairs, or pictures for triplets, of an epoch."""
    val_pairs: int = 2000
    crop: Crop | Literal["auto"] = "auto"
    """How faces are cut out; `auto`: aligned where all landmarks are known, else by box."""
    training: Training = field(default_factory=lambda: Training(frozen_epochs=5, patience=10))
    weights: str = "imagenet"
    augment: bool = True

    def __post_init__(self) -> None:
        if self.loss not in ("pairs", "contrastive", "triplet"):
            raise SettingError(f"the loss is pairs, contrastive or triplet, not {self.loss!r}")
        if self.distance not in ("euclidean", "cosine"):
            raise SettingError(f"the distance is euclidean or cosine, not {self.distance!r}")
        if self.per_person < 2 or self.samples < 1 or self.val_pairs < 10:
            raise SettingError("triplets need 2 pictures a person, judging 10 pairs, at least")


@dataclass(frozen=True, eq=False)
class Split:
    """Faces decoded for a network; no person is in both."""

    train: People
    val: People
    crop: Crop


def load(
    train: Sequence[Labelled], val: Sequence[Labelled], recipe: SiameseRecipe, pictures: Pictures
) -> Split:
    """Decodes and cuts out the faces of both splits.

    Raises InputError for fewer than two people in one, or for people who are in both: judged by
    those, any network would look better than it is.
    """
    train, val = known(train), known(val)
    both = {i.identity for i in train} & {i.identity for i in val}
    if both:
        raise SettingError(
            f"{len(both)} people are in train and val, {min(map(str, both))} among them: "
            "split by identity (data split --by identity)"
        )
    crop = choose_crop([*train, *val]) if recipe.crop == "auto" else recipe.crop
    size = recipe.net.size
    return Split(
        load_people(train, size, crop, pictures), load_people(val, size, crop, pictures), crop
    )


def train(
    data: Split,
    run: Path,
    recipe: SiameseRecipe,
    *,
    offline: bool = False,
    watcher: Watcher | None = None,
) -> list[Row]:
    """Trains (or goes on training) the network; returns one row of figures an epoch."""
    training = recipe.training
    keras.utils.set_random_seed(training.seed)
    model = build(recipe, recipe.weights, offline=offline)
    lesson = Lesson(
        model,
        trunk=_embedder(model).get_layer("backbone"),
        loss=_loss(recipe),
        measure=lambda model: judge(model, recipe, data.val).row(),
        score=lambda row: row["val_eer"],
        pretrained=recipe.weights != NONE,
    )
    source = _source(data.train, recipe, recipe.samples, recipe.augment)
    val = _source(data.val, recipe, min(recipe.samples, 512), augment=False)
    return teach(lesson, source, val, training, run, settings=recipe, watcher=watcher)


def build(recipe: SiameseRecipe, weights: str = NONE, *, offline: bool = False) -> keras.Model:
    """The network as its loss wants it: two inputs, or one for triplets."""
    embedder = recipe.net.build(weights, offline=offline)
    if recipe.loss == "pairs":
        return pair_classifier(embedder)
    if recipe.loss == "contrastive":
        return pair_distance(embedder, recipe.distance)
    return embedder


def _embedder(model: keras.Model) -> keras.Model:
    return model if model.name == "embedder" else model.get_layer("embedder")


def _loss(recipe: SiameseRecipe) -> keras.losses.Loss:
    if recipe.loss == "pairs":
        return keras.losses.BinaryCrossentropy()
    margin = MARGINS[recipe.loss] if recipe.margin is None else recipe.margin
    if recipe.loss == "contrastive":
        return ContrastiveLoss(margin)
    return TripletLoss(margin, recipe.mining, recipe.distance)


def _source(people: People, recipe: SiameseRecipe, samples: int, augment: bool) -> Source:
    batch, seed = recipe.training.batch, recipe.training.seed
    if recipe.loss == "triplet":
        return PersonSource(people, batch, recipe.per_person, samples, seed, augment)
    return PairSource(people, batch, samples, seed, augment)


def comparison(model: keras.Model, recipe: SiameseRecipe) -> Comparison:
    """The rule by which the trained network's embeddings are compared."""
    if recipe.loss != "pairs":
        return Comparison(recipe.distance)
    kernel, bias = (np.asarray(v) for v in model.get_layer("same").get_weights())
    return Comparison("weighted", tuple(kernel[:, 0].tolist()), float(bias[0]))


def judge(model: keras.Model, recipe: SiameseRecipe, people: People) -> PairOutcome:
    """Verification of drawn pairs of these people; the same pairs each time."""
    pairs, same = draw_pairs(people.persons, recipe.val_pairs, np.random.default_rng(0))
    vectors = predict(_embedder(model), people.pictures)[0]
    compare = comparison(model, recipe)
    return pair_outcome(pairs, same, compare(vectors[pairs[:, 0]], vectors[pairs[:, 1]]))


def judge_pixels(recipe: SiameseRecipe, people: People) -> PairOutcome:
    """The same pairs by the Euclidean distance of raw pixels: what learning has to beat."""
    pairs, same = draw_pairs(people.persons, recipe.val_pairs, np.random.default_rng(0))
    flat = people.pictures.reshape(len(people), -1).astype(np.float32) / 255
    distance = np.sqrt(np.square(flat[pairs[:, 0]] - flat[pairs[:, 1]]).mean(axis=1))
    return pair_outcome(pairs, same, 1 - distance)


def trained(run: Path, recipe: SiameseRecipe) -> keras.Model:
    """The network of a run with its best weights. Raises InputError where there are none."""
    model = build(recipe)
    load_best(model, run)
    return model


def export_embedder(model: keras.Model, card: Card) -> bytes:
    """The ONNX file of the embedder, proved equal to it; ModelError when it is not."""
    embedder = _embedder(model)
    size = embedder.input_shape[1]
    exported = export(
        embedder,
        torch.rand(1, size, size, 3) * 255,
        card=card,
        inputs=["face"],
        outputs=["embedding"],
        dynamic={"face": {0: "batch"}, "embedding": {0: "batch"}},
    )
    rng = np.random.default_rng(0)
    examples = [[rng.uniform(0, 255, (n, size, size, 3)).astype(np.float32)] for n in (1, 3)]
    check_parity(embedder, exported, examples, tolerance=HALF_WEIGHTS_TOLERANCE)
    return exported


def _before(recipe: SiameseRecipe) -> tuple[TrainingData, ...]:
    """What the shipped embedder had seen, where it was the start."""
    if recipe.net.backbone.lower() != SHIPPED or recipe.weights == NONE:
        return ()
    return Card.from_model(shipped_embedder(recipe.weights)).training_data


def embedder_card(
    name: str,
    recipe: SiameseRecipe,
    model: keras.Model,
    outcome: PairOutcome,
    crop: Crop,
    data: str,
    **facts: Any,
) -> Card:
    """The card of a trained recogniser; figures and working point are those of the outcome."""
    conditions = f"{len(outcome.same)} pairs of people not trained on, {data}"
    size = recipe.net.size
    return Card(
        name=name,
        task=TASK,
        description=f"Tells whether two faces are one person's; {recipe.net.backbone} taught with "
        f"{recipe.loss} loss.",
        input=ModelInput(layout="NHWC", value_range=(0.0, 255.0), size=(size, size)),
        outputs=(
            ModelOutput(name="embedding", meaning=f"(N, {recipe.net.embedding}) of length 1"),
        ),
        step="learned",
        thresholds={
            "default": Threshold(value=outcome.threshold, at=f"highest accuracy on {conditions}")
        },
        training_data=(
            *_before(recipe),
            TrainingData(name=data, licence="not stated: the user's own"),
        ),
        metrics=tuple(
            Metric(name=key, value=round(value, 5), conditions=conditions)
            for key, value in outcome.row().items()
            if np.isfinite(value)
        ),
        recipe="facecctv.learn.recipes.siamese",
        extra={
            "backbone": recipe.net.backbone,
            "loss": recipe.loss,
            "crop": crop,
            "comparison": comparison(model, recipe).to_json(),
        },
        **{"version": "1", "licence": "LicenseRef-own", **facts},
    )
