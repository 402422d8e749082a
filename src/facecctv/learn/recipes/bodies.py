"""The body detector, from pictures to checkpoint: the face detector's network, loss and loop.

Run it with `python -m facecctv.learn.recipes.bodies --data DATA --run runs/bodies --start RUN`,
where RUN is a run of the face detector.
"""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from facecctv.learn.data.detection import load_bodies, load_scenes
from facecctv.learn.data.mosaic import Mosaic, Pool
from facecctv.learn.data.scenes import PEOPLED_SCENES
from facecctv.learn.evaluate import LOWEST_THRESHOLD, DetectorReport, evaluate_detector
from facecctv.learn.loop import Average, Schedule, fit
from facecctv.learn.losses import DetectionLoss
from facecctv.learn.nets.detector import BODY_NET
from facecctv.learn.recipes.detector import (
    Recipe,
    batch_maker,
    export_detector,
    precision_by_height,
    step_loss,
)
from facecctv.learn.releasing import release_model
from facecctv.learn.starting import STATISTICS, add_options, rescheduled, starting_weights
from facecctv.metrics import BODY_HEIGHT_BANDS
from facecctv.models.card import Card, ModelInput, ModelOutput, Threshold, TrainingData
from facecctv.models.session import Session
from facecctv.vision.anchors import BODY_LEVELS
from facecctv.vision.detect import DetectOptions, Detector

LARGEST = 384
"""Side of the largest training pictures, pixels, and so of the largest bodies in them."""

BODIES = Recipe(
    net=BODY_NET,
    mosaic=Mosaic(
        smallest=14.0,
        small_bias=0.6,
        mixed=0.2,
        negative=0.08,
        extra=0.0,
        enlarge=2.0,
        rotate=0.0,  # a body's upright box is not that of the body turned
        stretch=(-0.2, 0.26),  # the set is squeezed into squares, mostly from wide pictures
        whole=0.4,  # half a person is a person
        degrade=0.4,
        ignore_under=10.0,
    ),
    loss=DetectionLoss(box=3.0, landmarks=0.0),
    schedule=Schedule(
        steps=3_000, learning_rate=1.5e-3, warm_up=200, average=0.998, save_every=500, seed=2
    ),
    sizes=(256, 320, LARGEST),
)
"""Everything that decides the result."""


def body_pool(data: Path) -> Pool:
    """All training pictures for bodies, decoded into memory (about 1 GB)."""
    scenes = load_scenes(data / "scenes", "train")
    deserted = [scene for scene in scenes if scene.name.split("_")[0] not in PEOPLED_SCENES]
    return Pool(list(load_bodies(data / "person", "train")), negative=deserted)


def load_what_fits(model: torch.nn.Module, weights: Mapping[str, torch.Tensor]) -> int:
    """Gives the model those weights whose name and shape it has; returns how many."""
    own = model.state_dict()
    fitting = {
        name: value
        for name, value in weights.items()
        if name in own and own[name].shape == value.shape
    }
    model.load_state_dict(own | fitting)
    return len(fitting)


def train(
    data: Path,
    run: Path,
    recipe: Recipe = BODIES,
    console: Console | None = None,
    *,
    start: Path | None = None,
) -> Average:
    """Trains (or goes on training) the body detector; checkpoints and log go to the run folder.

    `start`, the run of a face detector or a released face or body detector, has the weights to
    begin with, as far as they fit.
    """
    torch.manual_seed(recipe.schedule.seed)
    model = recipe.net.build()
    make = batch_maker(body_pool(data), recipe)
    if start:
        batches = (make(number)["pictures"].float() / 255 for number in range(STATISTICS))
        fitting = load_what_fits(model, starting_weights(start, batches))
        if console:
            console.print(f"{fitting} of {len(model.state_dict())} weights from {start}")
    return fit(
        model,
        make,
        step_loss(recipe.loss, recipe.net.levels),
        recipe.schedule,
        run,
        settings=recipe,
        console=console,
    )


def body_card(**facts: Any) -> Card:
    """The card of the body detector; facts are what is known only after the training."""
    return Card(
        name="body-detector",
        task="body-detector",
        description="Finds people, faces visible or not, in pictures of any size.",
        input=ModelInput(multiple_of=BODY_NET.multiple_of),
        outputs=tuple(
            ModelOutput(name=f"stride{stride}", meaning="see facecctv.vision.anchors")
            for stride in BODY_LEVELS
        ),
        step="geometric",
        licence="Apache-2.0",
        recipe="facecctv.learn.recipes.bodies",
        extra={
            "levels": {str(stride): count for stride, count in BODY_LEVELS.items()},
            "largest": LARGEST,
        },
        **{"version": "3", **facts},
    )


def release(run: Path, data: Path, folder: Path, recipe: Recipe, commit: str) -> Card:
    """Exports the run, measures it on the validation split and writes model, card and record.

    The working point is the lowest score with at most 0.2 false alarms a picture on the clean
    split. Raises ModelError when the file computes something else than the network.
    """
    provisional = body_card(thresholds={"default": Threshold(value=0.5, at="not yet set")})
    exported = export_detector(run, provisional, recipe.net)
    report = measure(exported, data)
    point = report.conditions[0].working_points[0]
    card = body_card(
        commit=commit,
        thresholds={
            "default": Threshold(
                value=round(point.threshold, 3),
                at=f"{point.false_positives:.3f} false alarms a picture on the clean validation "
                "split, unlabelled people among them",
            )
        },
        training_data=TRAINING_DATA,
        metrics=precision_by_height(report),
    )
    release_model(folder, exported, card)
    return card


def measure(exported: bytes, data: Path) -> DetectorReport:
    """What an exported body detector reaches on the validation split."""
    detector = Detector(Session(exported), DetectOptions(threshold=LOWEST_THRESHOLD))
    return evaluate_detector(
        detector.bodies,
        load_bodies(data / "person", "val"),
        threshold=0.5,
        bands=BODY_HEIGHT_BANDS,
    )


TRAINING_DATA = (
    TrainingData(
        name="ahsanirfan961/Person-Tracker (Capston2 v11)",
        licence="CC BY 4.0",
        note="people; boxes, some missing; stretched to squares",
    ),
    TrainingData(
        name="ImageNet sample images", licence="non-commercial research", note="scenes, no people"
    ),
    TrainingData(name="face-detector", licence="see its card", note="weights to start from"),
)


if __name__ == "__main__":
    import argparse

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, default=Path("runs/bodies"))
    add_options(parser)
    parser.add_argument("--release", type=Path, metavar="FOLDER", help="export and measure instead")
    parser.add_argument("--commit", default="", help="of the recipe, for the card")
    arguments = parser.parse_args()
    if arguments.release:
        made = release(arguments.run, arguments.data, arguments.release, BODIES, arguments.commit)
        print(made.model_dump_json(indent=1))
    else:
        recipe = replace(BODIES, schedule=rescheduled(BODIES.schedule, arguments))
        train(arguments.data, arguments.run, recipe, Console(width=120), start=arguments.start)
