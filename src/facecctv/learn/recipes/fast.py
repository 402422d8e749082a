"""The shipped multi-face detector, taught a little more on the user's own boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from rich.console import Console

from facecctv.errors import InputError
from facecctv.learn.data.dataset import Labelled, Pictures
from facecctv.learn.data.detection import Sample
from facecctv.learn.data.mosaic import Mosaic, Pool
from facecctv.learn.evaluate import CONDITIONS, DetectorReport, evaluate_detector
from facecctv.learn.loop import Schedule, fit
from facecctv.learn.losses import DetectionLoss
from facecctv.learn.nets.detector import DetectorNet
from facecctv.learn.nets.folded import load_folded
from facecctv.learn.recipes.detector import Recipe, batch_maker, export_detector, step_loss
from facecctv.models.card import Card, Metric, TrainingData
from facecctv.models.session import Session
from facecctv.vision.detect import DetectOptions, Detector


@dataclass(frozen=True)
class FastRecipe:
    """Everything that decides the result: short and gentle, since the start is good."""

    net: DetectorNet = field(default_factory=DetectorNet)
    mosaic: Mosaic = field(default_factory=Mosaic)
    loss: DetectionLoss = field(default_factory=DetectionLoss)
    schedule: Schedule = field(
        default_factory=lambda: Schedule(
            steps=600, learning_rate=2e-4, warm_up=50, average=0.99, save_every=100
        )
    )
    sizes: tuple[int, ...] = (256, 320, 384)
    pixels: int = 8 * 320 * 320


def load(items: Sequence[Labelled], pictures: Pictures) -> list[Sample]:
    """Decodes the pictures that say where their faces are. Raises InputError, ImageError."""
    samples = [pictures.sample(item) for item in items if item.located]
    if not any(len(sample.boxes) for sample in samples):
        raise InputError("no picture has a box: draw boxes first (data annotate)")
    return samples


def train(
    samples: Sequence[Sample],
    run: Path,
    recipe: FastRecipe,
    shipped: bytes,
    console: Console | None = None,
) -> None:
    """Fine-tunes (or goes on); checkpoints and log go to the run folder.

    `shipped` is the ONNX file to start from. Raises ModelError when it is of another network.
    """
    torch.manual_seed(recipe.schedule.seed)
    model = recipe.net.build()
    load_folded(model, shipped)
    pool = Pool(
        [s for s in samples if len(s.boxes)], negative=[s for s in samples if not len(s.boxes)]
    )
    whole = Recipe(
        recipe.net, recipe.mosaic, recipe.loss, recipe.schedule, recipe.sizes, recipe.pixels
    )
    fit(
        model,
        batch_maker(pool, whole),
        step_loss(recipe.loss, normalise_by_batch=False),
        recipe.schedule,
        run,
        settings=recipe,
        console=console,
    )


def export_fast(
    run: Path, recipe: FastRecipe, name: str, start: Card, val: Sequence[Sample], data: str
) -> tuple[bytes, DetectorReport]:
    """The ONNX file of the fine-tuned detector, and what it reaches on the validation pictures.

    The working point is that of `start`, the card of the shipped detector.
    """
    card = start.model_copy(
        update={
            "name": name,
            "description": f"{start.name} {start.version}, taught further on {data}.",
            "training_data": (*start.training_data, TrainingData(name=data, licence="own")),
            "metrics": (),
            "recipe": "facecctv.learn.recipes.fast",
        }
    )
    exported = export_detector(run, card, recipe.net)
    report = judge(exported, card, val, data)
    found = report.conditions[0]
    conditions = f"{report.pictures} validation pictures of {data}"
    figures = {
        "ap_50": found.bands[0].ap,
        "precision": found.at_threshold.precision,
        "recall": found.at_threshold.recall,
    }
    card = card.model_copy(
        update={
            "metrics": tuple(
                Metric(name=key, value=round(value, 5), conditions=conditions)
                for key, value in figures.items()
                if value == value  # NaN where there was nothing to measure
            )
        }
    )
    return export_detector(run, card, recipe.net), report


def judge(exported: bytes, card: Card, val: Sequence[Sample], data: str) -> DetectorReport:
    """Measures an exported multi-face detector on pictures as they are."""
    detect = Detector(Session(exported), DetectOptions(threshold=0.02))
    return evaluate_detector(
        detect,
        val,
        threshold=card.threshold(),
        conditions=CONDITIONS[:1],
        model=f"{card.name} {card.version}",
        data=data,
    )
