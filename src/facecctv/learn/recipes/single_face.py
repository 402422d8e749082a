"""A face detector of the user's own, for one face a picture: read from top to bottom.

recipe = SingleFaceRecipe(weights="imagenet")
history = train(read_dataset(Path("pictures")), Path("runs/mine"), recipe)
exported = export_single(Path("runs/mine"), single_card("mine", recipe, ...))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import torch

from facecctv.learn.checkpoint import load_best
from facecctv.learn.data.dataset import Labelled, Pictures
from facecctv.learn.data.single import (
    SPARE,
    PlainSource,
    SingleFaces,
    SingleSource,
    load_single,
    resized,
    usable,
)
from facecctv.learn.export import check_parity, export
from facecctv.learn.fitting import Lesson, Row, Training, predict, teach
from facecctv.learn.nets.backbone import NONE
from facecctv.learn.nets.vgg16 import BOX, FACE, TwoHeadNet
from facecctv.learn.outcomes import SingleOutcome, single_outcome
from facecctv.learn.teaching_losses import BoxKind, LocalisationLoss
from facecctv.learn.watching import Watcher
from facecctv.models.card import Card, Metric, ModelInput, ModelOutput, Threshold, TrainingData
from facecctv.vision.single import TASK


@dataclass(frozen=True)
class SingleFaceRecipe:
    """Everything that decides the result; the defaults are those of the tutorials."""

    net: TwoHeadNet = field(default_factory=TwoHeadNet)
    training: Training = field(default_factory=lambda: Training(frozen_epochs=5, patience=10))
    weights: str = "imagenet"
    """`imagenet`, a file, or `none`; frozen epochs make sense with the first two."""
    box_loss: BoxKind = "squared"
    face_weight: float = 1.0
    box_weight: float = 1.0
    augment: bool = True
    """New views of each picture in every epoch."""


@dataclass(frozen=True, eq=False)
class Split:
    """Pictures decoded for a network."""

    train: SingleFaces
    val: SingleFaces


def load(
    train: Sequence[Labelled], val: Sequence[Labelled], recipe: SingleFaceRecipe, pictures: Pictures
) -> Split:
    """Decodes the pictures of both splits. Raises InputError, ImageError."""
    size = recipe.net.size
    large = round(size * SPARE) if recipe.augment else size
    return Split(
        load_single(usable(train), large, pictures), load_single(usable(val), size, pictures)
    )


def train(
    data: Split,
    run: Path,
    recipe: SingleFaceRecipe,
    *,
    offline: bool = False,
    watcher: Watcher | None = None,
) -> list[Row]:
    """Trains (or goes on training) the network; returns one row of figures an epoch.

    Raises as build_backbone and teach, and SettingError for fewer pictures than a batch.
    """
    training = recipe.training
    source = SingleSource(
        data.train, recipe.net.size, training.batch, training.seed, recipe.augment
    )
    keras.utils.set_random_seed(training.seed)
    model = recipe.net.build(recipe.weights, offline=offline)
    lesson = Lesson(
        model,
        trunk=model.get_layer("backbone"),
        loss={FACE: keras.losses.BinaryCrossentropy(), BOX: LocalisationLoss(recipe.box_loss)},
        loss_weights={FACE: recipe.face_weight, BOX: recipe.box_weight},
        measure=lambda model: judge(model, data.val).row(),
        pretrained=recipe.weights != NONE,
    )
    val = PlainSource(data.val, recipe.net.size)
    return teach(lesson, source, val, training, run, settings=recipe, watcher=watcher)


def judge(model: keras.Model, data: SingleFaces) -> SingleOutcome:
    """What the network says of every picture, beside the truth."""
    pictures = resized(data.pictures, model.input_shape[1])
    scores, boxes = predict(model, pictures, (FACE, BOX))
    return single_outcome(data.names, scores[:, 0], boxes, data.faces, data.boxes)


def trained(run: Path, recipe: SingleFaceRecipe) -> keras.Model:
    """The network of a run with its best weights. Raises InputError where there are none."""
    model = recipe.net.build()
    load_best(model, run)
    return model


def export_single(model: keras.Model, card: Card) -> bytes:
    """The ONNX file of a trained network, proved equal to it; ModelError when it is not."""
    size = model.input_shape[1]
    plain = keras.Model(model.inputs, [model.output[FACE], model.output[BOX]])
    exported = export(
        plain,
        torch.rand(1, size, size, 3) * 255,
        card=card,
        inputs=["picture"],
        outputs=[FACE, BOX],
        dynamic={name: {0: "batch"} for name in ("picture", FACE, BOX)},
    )
    rng = np.random.default_rng(0)
    examples = [[rng.uniform(0, 255, (n, size, size, 3)).astype(np.float32)] for n in (1, 3)]
    check_parity(plain, exported, examples, tolerance=HALF_WEIGHTS_TOLERANCE, least=1.0)
    return exported


HALF_WEIGHTS_TOLERANCE = 1e-2
"""Of the largest output: weights are stored in half precision."""


def single_card(
    name: str, recipe: SingleFaceRecipe, outcome: SingleOutcome, data: str, **facts: Any
) -> Card:
    """The card of a trained network; figures and working point are those of the outcome."""
    conditions = f"{len(outcome.names)} validation pictures of {data}"
    size = recipe.net.size
    return Card(
        name=name,
        task=TASK,
        description=f"Finds one face a picture; {recipe.net.backbone} with two heads. Knows no "
        "landmarks: those of an average upright face stand in.",
        input=ModelInput(layout="NHWC", value_range=(0.0, 255.0), size=(size, size)),
        outputs=(
            ModelOutput(name=FACE, meaning="(N, 1) probability that there is a face"),
            ModelOutput(name=BOX, meaning="(N, 4) x1 y1 x2 y2 as shares of the letterboxed square"),
        ),
        step="geometric",
        thresholds={
            "default": Threshold(value=outcome.threshold, at=f"highest accuracy on {conditions}")
        },
        training_data=(TrainingData(name=data, licence="not stated: the user's own"),),
        metrics=tuple(
            Metric(name=key, value=round(value, 5), conditions=conditions)
            for key, value in outcome.row().items()
            if np.isfinite(value)
        ),
        recipe="facecctv.learn.recipes.single_face",
        extra={
            "backbone": recipe.net.backbone,
            "weights_from": Path(recipe.weights).name,
            "landmarks": "average",
        },
        **{"version": "1", "licence": "LicenseRef-own", **facts},
    )
