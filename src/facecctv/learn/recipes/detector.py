"""The face detector, from pictures to checkpoint: read from top to bottom.

Run it with `python -m facecctv.learn.recipes.detector --data DATA --run runs/detector`.
"""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from facecctv.learn.data.detection import (
    Sample,
    load_faces,
    load_identities,
    load_people,
    load_scenes,
)
from facecctv.learn.data.mosaic import Mosaic, Pool, compose
from facecctv.learn.data.scenes import PEOPLED_SCENES
from facecctv.learn.evaluate import LOWEST_THRESHOLD, DetectorReport, evaluate_detector
from facecctv.learn.export import check_parity, export
from facecctv.learn.loop import Average, Batch, Schedule, fit
from facecctv.learn.losses import DetectionLoss
from facecctv.learn.nets.detector import DetectorNet
from facecctv.learn.releasing import averaged, release_model
from facecctv.learn.starting import STATISTICS, add_options, rescheduled, starting_weights
from facecctv.learn.targets import make_targets
from facecctv.models.card import Card, Metric, ModelInput, ModelOutput, Threshold, TrainingData
from facecctv.models.session import Session
from facecctv.vision.anchors import FACE_LEVELS, grid
from facecctv.vision.detect import DetectOptions, Detector


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the result."""

    net: DetectorNet = field(default_factory=DetectorNet)
    mosaic: Mosaic = field(default_factory=Mosaic)
    loss: DetectionLoss = field(default_factory=DetectionLoss)
    schedule: Schedule = field(default_factory=lambda: Schedule(steps=18_000))
    sizes: tuple[int, ...] = (256, 320, 416)
    """Side of the square training pictures; drawn per batch."""
    pixels: int = 16 * 320 * 320
    """Of one batch: smaller pictures come in larger batches."""


REFINEMENT = Recipe(
    mosaic=Mosaic(small_bias=0.7, degrade=0.5, negative=0.15),
    loss=DetectionLoss(box=4.0, landmarks=4.0),
    schedule=Schedule(steps=4_200, learning_rate=8e-4, warm_up=200, average=0.999, seed=1),
    sizes=(320, 416),
)
"""A second, shorter phase from the averaged weights of the first: precise boxes and landmarks,
more of the larger and cleaner faces."""


def face_pool(data: Path) -> Pool:
    """All training pictures for faces, decoded into memory (about 4 GB)."""
    people = list(load_people(data / "person", "train"))
    faceless = [sample for sample in people if not len(sample.boxes)]
    scenes = load_scenes(data / "scenes", "train")
    faceless += [scene for scene in scenes if scene.name.split("_")[0] not in PEOPLED_SCENES]
    with_faces = [sample for sample in people if len(sample.boxes)]
    main = [*load_faces(data / "faces", "train", trust_all=True), *with_faces]
    return Pool(main, list(load_identities(data / "identities", "train")), faceless)


def batch_maker(pool: Pool, recipe: Recipe) -> Callable[[int], Batch]:
    """A function from batch number to tensors; the same number gives the same batch."""

    def make(number: int) -> Batch:
        rng = np.random.default_rng((recipe.schedule.seed, number))
        size = int(rng.choice(recipe.sizes))
        count = max(2, recipe.pixels // size**2)
        return collate(
            [compose(pool, recipe.mosaic, size, rng) for _ in range(count)],
            size,
            recipe.net.levels,
        )

    return make


def collate(samples: list[Sample], size: int, levels: Mapping[int, int]) -> Batch:
    """Pictures and targets of one batch; boxes of all pictures in one list."""
    targets = [make_targets(sample, size, levels) for sample in samples]
    points = len(targets[0].silent)
    candidates = [
        np.where(t.candidates >= 0, t.candidates + i * points, -1) for i, t in enumerate(targets)
    ]
    pictures = np.stack([sample.image for sample in samples]).transpose(0, 3, 1, 2)
    return {
        "pictures": torch.from_numpy(np.ascontiguousarray(pictures)),
        "boxes": torch.from_numpy(np.concatenate([t.boxes for t in targets])),
        "landmarks": torch.from_numpy(np.concatenate([t.landmarks for t in targets])),
        "candidates": torch.from_numpy(np.concatenate(candidates)),
        "silent": torch.from_numpy(np.stack([t.silent for t in targets])),
    }


def step_loss(
    loss: DetectionLoss,
    levels: Mapping[int, int] = FACE_LEVELS,
    *,
    normalise_by_batch: bool = True,
) -> Callable[[torch.nn.Module, Batch], tuple[torch.Tensor, dict[str, float]]]:
    """The loss of one batch, from pictures to number.

    `normalise_by_batch` false is for weights that came back from an export (nets/folded.py).
    """

    def step(model: torch.nn.Module, batch: Batch) -> tuple[torch.Tensor, dict[str, float]]:
        pictures = batch["pictures"].float().div_(255)
        size = pictures.shape[-1]
        maps = model(
            pictures.contiguous(memory_format=torch.channels_last), training=normalise_by_batch
        )
        layout = grid(size, size, levels)
        points, strides = torch.tensor(layout.points), torch.tensor(layout.strides)
        with torch.autocast("cpu", enabled=False):
            return loss(flatten(maps, tuple(levels.values())), points, strides, batch)

    return step


def flatten(maps: list[torch.Tensor], predictions: tuple[int, ...]) -> torch.Tensor:
    """The torch twin of `vision.anchors.flatten`, float32."""
    parts = []
    for values, count in zip(maps, predictions, strict=True):
        n, channels, h, w = values.shape
        split = values.float().reshape(n, count, channels // count, h * w)
        parts.append(split.transpose(2, 3).reshape(n, count * h * w, -1))
    return torch.cat(parts, dim=1)


def train(
    data: Path,
    run: Path,
    recipe: Recipe,
    console: Console | None = None,
    *,
    start: Path | None = None,
) -> Average:
    """Trains (or goes on training) the face detector; checkpoints and log go to the run folder.

    `start`, an earlier run or a released face detector, has the weights to begin with.
    """
    torch.manual_seed(recipe.schedule.seed)
    model = recipe.net.build()
    make = batch_maker(face_pool(data), recipe)
    if start:
        batches = (make(number)["pictures"].float() / 255 for number in range(STATISTICS))
        model.load_state_dict(starting_weights(start, batches))
    return fit(
        model,
        make,
        step_loss(recipe.loss),
        recipe.schedule,
        run,
        settings=recipe,
        console=console,
    )


def export_detector(run: Path, card: Card, net: DetectorNet) -> bytes:
    """The ONNX file of the averaged weights in the run's checkpoint, proved equal to the network.

    Raises ModelError when the file computes something else.
    """
    model = net.build()
    model.load_state_dict(averaged(run))
    names = [f"stride{stride}" for stride in net.levels]
    free = {0: "batch", 2: "height", 3: "width"}
    exported = export(
        model,
        torch.rand(1, 3, 2 * net.multiple_of, 3 * net.multiple_of),
        card=card,
        inputs=["picture"],
        outputs=names,
        dynamic={"picture": free} | dict.fromkeys(names, free),
    )
    rng = np.random.default_rng(0)
    sizes = np.array([(1, 2, 3), (2, 5, 1), (1, 15, 20)]) * (1, net.multiple_of, net.multiple_of)
    examples = [[rng.random((n, 3, h, w), dtype=np.float32)] for n, h, w in sizes]
    check_parity(model, exported, examples, tolerance=HALF_WEIGHTS_TOLERANCE)
    return exported


HALF_WEIGHTS_TOLERANCE = 5e-3
"""Of the largest output: weights are stored in half precision."""


def face_card(**facts: Any) -> Card:
    """The card of the face detector; facts are what is known only after the training."""
    return Card(
        name="face-detector",
        task="face-detector",
        description="Finds faces from about 6 px, with five landmarks, in pictures of any size.",
        input=ModelInput(multiple_of=32),
        outputs=tuple(
            ModelOutput(name=f"stride{stride}", meaning="see facecctv.vision.anchors")
            for stride in FACE_LEVELS
        ),
        step="geometric",
        licence="Apache-2.0",
        recipe="facecctv.learn.recipes.detector",
        extra={"levels": {str(stride): count for stride, count in FACE_LEVELS.items()}},
        **{"version": "1", **facts},
    )


def release(run: Path, data: Path, folder: Path, recipe: Recipe, commit: str) -> Card:
    """Exports the run, measures it on the validation split and writes model, card and record.

    The working point is the lowest score with at most 0.2 false alarms a picture on the clean
    split. Raises ModelError when the file computes something else than the network.
    """
    provisional = face_card(thresholds={"default": Threshold(value=0.5, at="not yet set")})
    exported = export_detector(run, provisional, recipe.net)
    options = DetectOptions(threshold=LOWEST_THRESHOLD)
    report = evaluate_detector(
        Detector(Session(exported), options),
        load_faces(data / "faces", "val", trust_all=True),
        threshold=0.5,
    )
    clean = report.conditions[0]
    card = face_card(
        commit=commit,
        thresholds={
            name: Threshold(value=round(point.threshold, 3), at=f"{point.false_positives:.3f} {AT}")
            for name, point in zip(("default", "strict"), clean.working_points, strict=True)
        },
        training_data=TRAINING_DATA,
        metrics=precision_by_height(report),
    )
    release_model(folder, exported, card)
    return card


def precision_by_height(report: DetectorReport) -> tuple[Metric, ...]:
    """Average precision in each condition: of all, and by height where there is anybody."""
    return tuple(
        Metric(
            name="AP@0.5",
            value=round(band.ap, 4),
            conditions=f"val, {condition.description}, "
            + (f"{band.low:g} to {band.high:g} px" if index else "all from 8 px"),
        )
        for condition in report.conditions
        for index, band in enumerate(condition.bands)
        if band.faces
    )


AT = "false alarms a picture on the clean validation split"

TRAINING_DATA = (
    TrainingData(name="Icyfire18/Face_Counting", licence="not stated", note="faces; boxes"),
    TrainingData(
        name="jolignier/face-mask-dataset-ilc-2021", licence="not stated", note="faces, masks"
    ),
    TrainingData(
        name="ahsanirfan961/Person-Tracker (Capston2 v11)",
        licence="CC BY 4.0",
        note="people, mostly without visible faces",
    ),
    TrainingData(
        name="CelebA (part)", licence="non-commercial research", note="one large face a picture"
    ),
    TrainingData(
        name="ImageNet sample images", licence="non-commercial research", note="scenes, no people"
    ),
)


if __name__ == "__main__":
    import argparse

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, default=Path("runs/detector"))
    parser.add_argument("--refine", action="store_true", help="the second phase; wants --start")
    add_options(parser)
    parser.add_argument("--release", type=Path, metavar="FOLDER", help="export and measure instead")
    parser.add_argument("--commit", default="", help="of the recipe, for the card")
    arguments = parser.parse_args()
    if arguments.release:
        made = release(arguments.run, arguments.data, arguments.release, Recipe(), arguments.commit)
        print(made.model_dump_json(indent=1))
    else:
        recipe = REFINEMENT if arguments.refine else Recipe()
        recipe = replace(recipe, schedule=rescheduled(recipe.schedule, arguments))
        console = Console(width=120)
        train(arguments.data, arguments.run, recipe, console, start=arguments.start)
