"""The colouriser, from pictures to checkpoint: read from top to bottom.

Run it with `python -m facecctv.learn.recipes.colouriser --data DATA --run runs/colouriser`.

The network sees the lightness of a picture as a bad or infra-red camera gives it, and says for each
place how likely each chroma is (Zhang et al. 2016). Rare, vivid colours count more than the greys
and browns that fill most pictures, and the chroma that will be shown must be near the true one too.
"""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from rich.console import Console
from torch.nn import functional

from facecctv.learn.data.degrade import compress, defocus, night, noise, tone
from facecctv.learn.data.restore import Patches, Sharp, draw_patch, load_sharp
from facecctv.learn.evaluate_restoring import colour_sets, score_colour
from facecctv.learn.export import check_parity, export
from facecctv.learn.loop import Average, Batch, Schedule, fit
from facecctv.learn.nets.colouriser import (
    CHROMA_UNIT,
    GRID,
    STRIDE,
    ColouriserNet,
    palette,
    shown_chroma,
)
from facecctv.learn.recipes.enhancer import TRAINING_DATA
from facecctv.learn.releasing import averaged, release_model
from facecctv.learn.starting import add_options, rescheduled, starting_weights
from facecctv.models.card import Card, Metric, ModelInput, ModelOutput
from facecctv.models.session import Session
from facecctv.types import Floats, Image
from facecctv.vision.colourise import Colouriser


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the result."""

    net: ColouriserNet = field(default_factory=ColouriserNet)
    patches: Patches = field(
        default_factory=lambda: Patches(side=128, whole=0.3, quartet=0.05, heads=0.2, crowds=0.2)
    )
    schedule: Schedule = field(
        default_factory=lambda: Schedule(
            steps=3_300, learning_rate=1e-3, warm_up=200, weight_decay=0.01, average=0.998,
            save_every=500, clip=1.0,
        )
    )  # fmt: skip
    batch: int = 32
    degraded: float = 0.6
    """Share of pictures whose lightness comes through a bad or infra-red camera."""
    uniform: float = 0.5
    """How far classes count alike (1) rather than by how often they occur (0)."""
    shown: float = 2.0
    """Weight of the distance between the chroma that will be shown and the true one."""
    blur: float = 5.0
    """Spread of a true chroma over the classes around it, units of a* and b*."""


def lightness(image: Image) -> Floats:
    """(H, W, 3) uint8 RGB -> (H, W) float32 L* / 100."""
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return np.asarray(lab[..., 0] / 100, np.float32)


def chroma(image: Image) -> Floats:
    """(H, W, 3) uint8 RGB -> (H / 4, W / 4, 2) float32 a*, b*."""
    height, width = image.shape[0] // STRIDE, image.shape[1] // STRIDE
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[..., 1:])


def as_seen(image: Image, rng: np.random.Generator, degraded: float) -> Image:
    """What a grey or infra-red camera makes of a colour picture."""
    if rng.random() >= degraded:
        return image
    if rng.random() < 0.6:
        image = night(image, rng, 0.6)
    for operator, probability in ((tone, 0.4), (defocus, 0.3), (noise, 0.4), (compress, 0.4)):
        if rng.random() < probability:
            image = operator(image, rng, 0.5)
    return image


def batch_maker(sharp: Sharp, recipe: Recipe) -> Callable[[int], Batch]:
    """A function from batch number to tensors; the same number gives the same batch."""

    def make(number: int) -> Batch:
        rng = np.random.default_rng((recipe.schedule.seed, number))
        inputs, targets = [], []
        for _ in range(recipe.batch):
            patch, _ = draw_patch(sharp, recipe.patches, rng)
            inputs.append(lightness(as_seen(patch, rng, recipe.degraded)))
            targets.append(chroma(patch))
        return {
            "lightness": torch.from_numpy(np.stack(inputs)[:, None]),
            "chroma": torch.from_numpy(np.stack(targets).transpose(0, 3, 1, 2).copy()),
        }

    return make


class ClassLoss:
    """Cross-entropy against each pixel's nearest classes, weighted by how rare its colour is."""

    NEAREST = 4

    def __init__(self, weights: torch.Tensor, blur: float) -> None:
        self._weights, self._blur = weights, blur
        self._colours = torch.from_numpy(palette())

    def __call__(self, logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        """(N, K, H, W) logits, (N, 2, H, W) a*, b* -> one number."""
        with torch.no_grad():
            points = truth.permute(0, 2, 3, 1).reshape(-1, 2)
            near = torch.cdist(points, self._colours).topk(self.NEAREST, dim=1, largest=False)
            share = functional.softmax(-near.values.square() / (2 * self._blur**2), dim=1)
            rarity = self._weights[near.indices[:, 0]]
        log = functional.log_softmax(logits.float(), dim=1)
        log = log.permute(0, 2, 3, 1).reshape(-1, logits.shape[1])
        cross = -(log.gather(1, near.indices) * share).sum(dim=1)
        return (cross * rarity).sum() / rarity.sum()


def class_weights(make: Callable[[int], Batch], uniform: float, batches: int = 40) -> torch.Tensor:
    """(K,) weights, 1 on average over the pictures: the rarer a colour, the higher."""
    colours = palette()
    cells = {tuple(cell): i for i, cell in enumerate(np.rint(colours / GRID).astype(int).tolist())}
    counts = np.zeros(len(colours))
    for number in range(batches):
        values = make(-1 - number + (1 << 31))["chroma"].permute(0, 2, 3, 1).reshape(-1, 2).numpy()
        found, times = np.unique(np.rint(values / GRID).astype(int), axis=0, return_counts=True)
        for cell, count in zip(found.tolist(), times, strict=True):
            if tuple(cell) in cells:
                counts[cells[tuple(cell)]] += count
    share = counts / counts.sum()
    weights = 1 / ((1 - uniform) * share + uniform / len(colours))
    return torch.from_numpy(weights / (weights * share).sum()).float()


def step_loss(
    recipe: Recipe, classes: ClassLoss
) -> Callable[[torch.nn.Module, Batch], tuple[torch.Tensor, dict[str, float]]]:
    """The loss of one batch, from pictures to number."""

    def step(model: torch.nn.Module, batch: Batch) -> tuple[torch.Tensor, dict[str, float]]:
        logits = model(batch["lightness"].contiguous(memory_format=torch.channels_last))
        with torch.autocast("cpu", enabled=False):
            entropy = classes(logits, batch["chroma"])
            shown = shown_chroma(logits, recipe.net.temperature, recipe.net.certain)
            apart = (shown - batch["chroma"] / CHROMA_UNIT).square().sum(dim=1)
            distance = torch.sqrt(apart + 1e-4).mean()
            loss = entropy + recipe.shown * distance
        return loss, {"entropy": entropy.item(), "chroma": distance.item() * CHROMA_UNIT}

    return step


def train(
    data: Path,
    run: Path,
    recipe: Recipe,
    console: Console | None = None,
    *,
    start: Path | None = None,
) -> Average:
    """Trains (or goes on training) the colouriser; checkpoints and log go to the run folder.

    `start`, another run or a released colouriser, has the weights to begin with.
    """
    torch.manual_seed(recipe.schedule.seed)
    make = batch_maker(load_sharp(data, crowds=5000), recipe)
    classes = ClassLoss(class_weights(make, recipe.uniform), recipe.blur)
    model = recipe.net.build()
    if start is not None:
        model.load_state_dict(starting_weights(start, ()))
    return fit(
        model,
        make,
        step_loss(recipe, classes),
        recipe.schedule,
        run,
        settings=recipe,
        console=console,
    )


def export_colouriser(run: Path, card: Card, net: ColouriserNet) -> bytes:
    """The ONNX file of the averaged weights, proved equal to the network, else ModelError."""
    model = net.build()
    model.load_state_dict(averaged(run))
    shipped = net.with_chroma(model)
    free = {0: "batch", 2: "height", 3: "width"}
    exported = export(
        shipped,
        torch.rand(1, 1, 64, 96),
        card=card,
        inputs=["lightness"],
        outputs=["chroma"],
        dynamic={"lightness": free, "chroma": free},
    )
    rng = np.random.default_rng(0)
    shapes = [(1, 1, net.multiple_of, net.multiple_of), (2, 1, 128, 96)]
    examples = [[rng.random(shape, dtype=np.float32)] for shape in shapes]
    check_parity(shipped, exported, examples, tolerance=HALF_WEIGHTS_TOLERANCE)
    return exported


HALF_WEIGHTS_TOLERANCE = 1e-2
"""Of the largest output: weights are stored in half precision."""
SIDE = 256
"""Longer side, pixels, at which the network sees a picture."""


def colouriser_card(net: ColouriserNet, **facts: Any) -> Card:
    """The card of the colouriser; facts are what is known only after the training."""
    return Card(
        name="colouriser",
        task="colouriser",
        version="2",
        description="Estimates plausible colours from lightness; not what the colours were.",
        input=ModelInput(colour="L", mean=(0.0,), std=(1.0,), multiple_of=net.multiple_of),
        outputs=(
            ModelOutput(name="chroma", meaning="(N, 2, H, W) a*, b* of CIELAB in chroma_unit"),
        ),
        step="generative",
        licence="Apache-2.0",
        recipe="facecctv.learn.recipes.colouriser",
        training_data=TRAINING_DATA,
        extra={"side": SIDE, "chroma_unit": CHROMA_UNIT},
        **facts,
    )


def release(run: Path, data: Path, folder: Path, net: ColouriserNet, commit: str) -> Card:
    """Exports the run, measures it on the validation split and writes model, card and record."""
    exported = export_colouriser(run, colouriser_card(net), net)
    colourise = Colouriser(Session(exported))
    metrics = []
    for name, pictures in colour_sets(data).items():
        score = score_colour(colourise, pictures, name)
        values = {
            "chroma error": score.error,
            "chroma error of grey": score.error_grey,
            "colourfulness ratio": score.colourfulness,
        }
        metrics += [
            Metric(name=key, value=round(value, 4), conditions=f"val, {len(pictures)} {name}")
            for key, value in values.items()
        ]
    card = colouriser_card(net, metrics=tuple(metrics), commit=commit)
    release_model(folder, exported, card)
    return card


if __name__ == "__main__":
    import argparse

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, default=Path("runs/colouriser"))
    add_options(parser)
    parser.add_argument("--release", type=Path, metavar="FOLDER", help="export and measure instead")
    parser.add_argument("--commit", default="", help="of the recipe, for the card")
    arguments = parser.parse_args()
    if arguments.release:
        run, folder = arguments.run, arguments.release
        made = release(run, arguments.data, folder, Recipe().net, arguments.commit)
        print(made.model_dump_json(indent=1))
    else:
        recipe = Recipe(schedule=rescheduled(Recipe().schedule, arguments))
        console = Console(width=120)
        train(arguments.data, arguments.run, recipe, console, start=arguments.start)
