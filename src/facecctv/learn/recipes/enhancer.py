r"""The enhancers, from pictures to checkpoint: read from top to bottom.

Three runs, each from the weights of the one before:
    python -m facecctv.learn.recipes.enhancer x4 --data DATA --run runs/enhancer-x4-pixels
    python -m facecctv.learn.recipes.enhancer x4-identity --data DATA --run runs/enhancer-x4 \
        --start runs/enhancer-x4-pixels --embedder runs/embedder
    python -m facecctv.learn.recipes.enhancer x2 --data DATA --run runs/enhancer-x2 \
        --start runs/enhancer-x4-pixels --embedder runs/embedder

Fidelity first: nothing here rewards what merely looks sharp. The pixels, their edges and their
spectrum must agree with the truth, and in the later runs the face must stay the same person to the
embedder, more so than plain interpolation leaves it.
"""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch.nn import functional

from facecctv.learn import restoring
from facecctv.learn.data.aligned import BORDER, SIDE
from facecctv.learn.data.restore import Camera, Patches, Sharp, draw_patch, load_sharp
from facecctv.learn.data.restore import small_and_sharp as degrade
from facecctv.learn.evaluate_restoring import BANDS, CONDITIONS, score_restoration, sharp_faces
from facecctv.learn.export import check_parity, export
from facecctv.learn.loop import Average, Batch, Schedule, fit
from facecctv.learn.nets.embedder import EmbedderNet
from facecctv.learn.nets.enhancer import EnhancerNet
from facecctv.learn.releasing import averaged, release_model
from facecctv.learn.starting import add_options, rescheduled, starting_weights
from facecctv.models.card import Card, Metric, ModelInput, ModelOutput, TrainingData
from facecctv.models.session import Session
from facecctv.vision.enhance import Enhancer
from facecctv.vision.recognise import Recogniser


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the result."""

    net: EnhancerNet = field(default_factory=EnhancerNet)
    camera: Camera = field(default_factory=Camera)
    patches: Patches = field(default_factory=Patches)
    schedule: Schedule = field(
        default_factory=lambda: Schedule(
            steps=6_000, learning_rate=1e-3, warm_up=200, weight_decay=0.0, average=0.998,
            save_every=500, clip=1.0,
        )
    )  # fmt: skip
    batch: int = 32
    gradient: float = 0.2
    spectrum: float = 0.05
    identity: float = 0.0
    """Weight of the distance to the true person; 0 needs no embedder."""
    lead: float = 0.05
    """By how much the similarity to the truth must exceed that of plain interpolation."""


_LATER = Schedule(
    steps=4_000, learning_rate=4e-4, warm_up=50, weight_decay=0.0, average=0.998,
    save_every=500, clip=1.0, seed=1,
)  # fmt: skip
_MORE_FACES = Patches(whole=0.35, quartet=0.2, heads=0.3, crowds=0.05)

RECIPES = {
    "x4": Recipe(),
    "x4-identity": Recipe(identity=0.25, schedule=_LATER, patches=_MORE_FACES),
    "x2": Recipe(
        net=EnhancerNet(scale=2),
        camera=Camera(scale=2),
        patches=replace(_MORE_FACES, side=64),
        identity=0.25,
        schedule=replace(_LATER, steps=3_000),
    ),
}


def batch_maker(sharp: Sharp, recipe: Recipe) -> Callable[[int], Batch]:
    """A function from batch number to tensors; the same number gives the same batch."""

    def make(number: int) -> Batch:
        rng = np.random.default_rng((recipe.schedule.seed, number))
        small, large, whole = [], [], []
        for _ in range(recipe.batch):
            patch, is_whole = draw_patch(sharp, recipe.patches, rng)
            low, high = degrade(patch, recipe.camera, rng)
            small.append(low)
            large.append(high)
            whole.append(is_whole)
        return {
            "small": _channels_first(small),
            "sharp": _channels_first(large),
            "whole": torch.tensor(whole),
        }

    return make


def _channels_first(pictures: list[np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(np.stack(pictures).transpose(0, 3, 1, 2)))


def step_loss(
    recipe: Recipe, embedder: torch.nn.Module | None
) -> Callable[[torch.nn.Module, Batch], tuple[torch.Tensor, dict[str, float]]]:
    """The loss of one batch, from pictures to number."""

    def step(model: torch.nn.Module, batch: Batch) -> tuple[torch.Tensor, dict[str, float]]:
        small = batch["small"].float().div_(255).contiguous(memory_format=torch.channels_last)
        sharp = batch["sharp"].float().div_(255)
        restored = model(small)
        parts = {}
        with torch.autocast("cpu", enabled=False):
            restored = restored.float()
            parts["pixels"] = restoring.charbonnier(restored, sharp)
            parts["gradient"] = restoring.gradient(restored, sharp)
            parts["spectrum"] = restoring.spectrum(restored, sharp)
            loss = (
                parts["pixels"]
                + recipe.gradient * parts["gradient"]
                + recipe.spectrum * parts["spectrum"]
            )
        if embedder is not None and recipe.identity and batch["whole"].any():
            faces = batch["whole"]
            plain = functional.interpolate(
                small[faces], scale_factor=float(recipe.net.scale), mode="bicubic"
            )
            squares = [_square(p) for p in (restored[faces], sharp[faces], plain)]
            parts["person"], parts["behind"] = restoring.identity(
                embedder, squares[0], squares[1], squares[2], recipe.lead
            )
            loss = loss + recipe.identity * (parts["person"] + parts["behind"])
        return loss, {name: value.item() for name, value in parts.items()}

    return step


def _square(pictures: torch.Tensor) -> torch.Tensor:
    """The recognition square out of upright faces with their border, whatever their size."""
    if pictures.shape[-1] != SIDE:
        pictures = functional.interpolate(pictures, (SIDE, SIDE), mode="bicubic")
    part = pictures[..., BORDER:-BORDER, BORDER:-BORDER]
    return part.contiguous(memory_format=torch.channels_last)


def load_embedder(source: Path, net: EmbedderNet | None = None) -> torch.nn.Module:
    """The embedder of a run or of a released file, frozen."""
    model = (net or EmbedderNet()).build()
    model.load_state_dict(starting_weights(source, (), prefix="net."))
    return model.requires_grad_(False)


def start_from(model: torch.nn.Module, source: Path) -> None:
    """Takes over the weights of a run or of a released file; layers of another shape stay new."""
    own, found = model.state_dict(), starting_weights(source, ())
    same = {k: v for k, v in found.items() if k in own and own[k].shape == v.shape}
    model.load_state_dict(own | same)


def train(
    data: Path,
    run: Path,
    recipe: Recipe,
    console: Console | None = None,
    *,
    start: Path | None = None,
    embedder: Path | None = None,
) -> Average:
    """Trains (or goes on training) an enhancer; checkpoints and log go to the run folder.

    `start`, an earlier run or a released enhancer, has the weights to begin with; `embedder`, a run
    or a released one, judges identity.
    """
    torch.manual_seed(recipe.schedule.seed)
    model = recipe.net.build()
    if start:
        start_from(model, start)
    judge = load_embedder(embedder) if embedder else None
    return fit(
        model,
        batch_maker(load_sharp(data), recipe),
        step_loss(recipe, judge),
        recipe.schedule,
        run,
        settings=recipe,
        console=console,
    )


def export_enhancer(run: Path, card: Card, net: EnhancerNet) -> bytes:
    """The ONNX file of the averaged weights, proved equal to the network, else ModelError."""
    model = net.build()
    model.load_state_dict(averaged(run))
    free = {0: "batch", 2: "height", 3: "width"}
    exported = export(
        model,
        torch.rand(1, 3, 32, 48),
        card=card,
        inputs=["picture"],
        outputs=["enlarged"],
        dynamic={"picture": free, "enlarged": free},
    )
    rng = np.random.default_rng(0)
    shapes = [(1, 3, 4, 4), (2, 3, 120, 160), (1, 3, 36, 8)]
    examples = [[rng.random(shape, dtype=np.float32)] for shape in shapes]
    check_parity(model, exported, examples, tolerance=HALF_WEIGHTS_TOLERANCE)
    return exported


HALF_WEIGHTS_TOLERANCE = 5e-3
"""Of the largest output: weights are stored in half precision."""
REACH = 32
"""Pixels of surroundings that a part needs for its result not to differ visibly."""


VERSIONS = {2: "2", 4: "1"}
"""By scale."""


def enhancer_card(scale: int, multiple_of: int, **facts: Any) -> Card:
    """The card of an enhancer; facts are what is known only after the training."""
    return Card(
        name=f"enhancer-x{scale}",
        task="enhancer",
        version=VERSIONS[scale],
        description=f"Recovers pictures of bad cameras {scale} times as large; fidelity first.",
        input=ModelInput(multiple_of=multiple_of),
        outputs=(
            ModelOutput(
                name="enlarged", meaning=f"(N, 3, {scale} H, {scale} W) RGB 0..1, not clipped"
            ),
        ),
        step="learned",
        licence="Apache-2.0",
        recipe="facecctv.learn.recipes.enhancer",
        training_data=TRAINING_DATA,
        extra={"scale": scale, "reach": REACH},
        **facts,
    )


def release(
    run: Path, data: Path, folder: Path, net: EnhancerNet, embedder: bytes, commit: str
) -> Card:
    """Exports the run, measures it on the validation split and writes model, card and record."""
    exported = export_enhancer(run, enhancer_card(net.scale, net.multiple_of), net)
    restore = Enhancer(Session(exported))
    embed = Recogniser(Session(embedder)).embed
    metrics = []
    for low, high in BANDS:
        faces = sharp_faces(data, net.scale, low, high)
        for condition in CONDITIONS:
            score = score_restoration(restore, net.scale, faces, condition, embed)
            conditions = f"val, {score.pictures} faces of {low:g} to {high:g} px, {condition}"
            values = {
                "PSNR-Y": score.psnr,
                "PSNR-Y over bicubic": score.psnr - score.psnr_bicubic,
                "SSIM": score.ssim,
                "SSIM over bicubic": score.ssim - score.ssim_bicubic,
                "identity similarity": score.similarity,
                "identity similarity of bicubic": score.similarity_bicubic,
                "share with lower identity similarity than bicubic": score.lowered,
            }
            metrics += [
                Metric(name=name, value=round(value, 4), conditions=conditions)
                for name, value in values.items()
            ]
    card = enhancer_card(net.scale, net.multiple_of, metrics=tuple(metrics), commit=commit)
    release_model(folder, exported, card)
    return card


TRAINING_DATA = (
    TrainingData(name="FairFace (part)", licence="CC BY 4.0", note="aligned faces"),
    TrainingData(name="CelebA (part)", licence="non-commercial research", note="large faces"),
    TrainingData(name="Icyfire18/Face_Counting", licence="not stated", note="people"),
    TrainingData(name="jolignier/face-mask-dataset-ilc-2021", licence="not stated", note="people"),
    TrainingData(name="ImageNet sample images", licence="non-commercial research", note="scenes"),
)


if __name__ == "__main__":
    import argparse

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", choices=RECIPES)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    add_options(parser)
    parser.add_argument("--embedder", type=Path, help="a run or .onnx of the embedder")
    parser.add_argument("--release", type=Path, metavar="FOLDER", help="export and measure instead")
    parser.add_argument("--commit", default="", help="of the recipe, for the card")
    arguments = parser.parse_args()
    recipe = RECIPES[arguments.recipe]
    if arguments.release:
        judge = (arguments.release / "face-embedder.onnx").read_bytes()
        run, folder = arguments.run, arguments.release
        made = release(run, arguments.data, folder, recipe.net, judge, arguments.commit)
        print(made.model_dump_json(indent=1))
    else:
        train(
            arguments.data,
            arguments.run,
            replace(recipe, schedule=rescheduled(recipe.schedule, arguments)),
            Console(width=140),
            start=arguments.start,
            embedder=arguments.embedder,
        )
