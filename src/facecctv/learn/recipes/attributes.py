"""Age and gender, from pictures to checkpoint: read from top to bottom.

Run it with `python -m facecctv.learn.recipes.attributes --data DATA --run runs/attributes
--start runs/embedder`.

Faces are few, so the network begins as the trunk of the face embedder. It sees them as a bad
camera does and must name a distribution over years: near the labelled bin's (cross-entropy), and
not far off where it is wrong (squared distance of the cumulative distributions, after Hou, Yu and
Samaras 2016, "Squared earth mover's distance-based loss for training deep neural networks"). Of
what is no upright face it must say no more than is known of people at large.
"""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from torch.nn import functional

from facecctv.errors import ModelError
from facecctv.image import write_atomic
from facecctv.learn.attribute_card import (
    CONDITIONS,
    NAME,
    SURE,
    attributes_card,
    gain_table,
    group_table,
    measured,
    thresholds,
)
from facecctv.learn.attribute_fitting import (
    Prior,
    crossed,
    fit_scale,
    gains,
    least_size,
)
from facecctv.learn.attribute_report import AttributeReport, answers, oddity, report
from facecctv.learn.attribute_trials import FAINT, FULL, SIZES, oddities, trials
from facecctv.learn.data.aligned import Sight, see
from facecctv.learn.data.attributes import (
    BINS,
    LabelledFaces,
    balanced,
    load_labelled,
    load_labels,
    soft_ages,
    windows,
)
from facecctv.learn.data.scenes import load_unpeopled
from facecctv.learn.export import check_parity, export
from facecctv.learn.loop import Average, Batch, Schedule, fit
from facecctv.learn.nets.attributes import AttributesNet
from facecctv.learn.releasing import averaged, release_model
from facecctv.learn.starting import (
    STATISTICS,
    Weights,
    add_options,
    rescheduled,
    starting_weights,
)
from facecctv.models.card import Card
from facecctv.models.session import Session
from facecctv.vision.attributes import KEY, AttributeEstimator


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the result."""

    net: AttributesNet = field(default_factory=AttributesNet)
    sight: Sight = field(default_factory=lambda: Sight(clean=0.4, least=12.0, strength=0.7))
    schedule: Schedule = field(
        default_factory=lambda: Schedule(
            steps=5_600,
            learning_rate=1e-3,
            warm_up=150,
            weight_decay=0.05,
            average=0.997,
            save_every=300,
        )
    )
    batch: int = 96
    balance: float = 0.5
    """0: faces as often as they come; 1: each age bin x gender x race as often as any other. The
    rarest group has 8 faces, so that 1 would show each of them several hundred times."""
    edge: float = 1.0
    """Years over which the ends of an age bin are blurred."""
    cumulative: float = 0.1
    """Weight of the squared distance of the cumulative distributions, in years."""
    gender: float = 2.0
    """Weight of the gender's cross-entropy."""
    smoothing: float = 0.05
    """Share of gender labels taken to be wrong."""
    upside_down: float = 0.02
    """Share of a batch with faces on their heads."""
    faceless: float = 0.04
    """Share with no face at all."""


def batch_maker(
    faces: LabelledFaces, faceless: np.ndarray, recipe: Recipe
) -> Callable[[int], Batch]:
    """A function from batch number to tensors; the same number gives the same batch.

    `faceless` is (N, 128, 128, 3) uint8. What is no upright face has bin -1 and female 0.5.
    """
    weights = balanced(faces, recipe.balance)

    def make(number: int) -> Batch:
        rng = np.random.default_rng((recipe.schedule.seed, number))
        rows = rng.choice(len(faces), recipe.batch, p=weights)
        images = [faces.images[row] for row in rows]
        bins, female = faces.bins[rows], faces.female[rows].astype(np.float32)
        nothing = round(recipe.batch * recipe.faceless)
        turned = round(recipe.batch * recipe.upside_down)
        images[:nothing] = faceless[rng.choice(len(faceless), nothing)]
        images[nothing : nothing + turned] = [
            image[::-1] for image in images[nothing : nothing + turned]
        ]
        bins[: nothing + turned], female[: nothing + turned] = -1, 0.5
        seen = np.stack([see(image, recipe.sight, rng) for image in images])
        return {
            "pictures": torch.from_numpy(np.ascontiguousarray(seen.transpose(0, 3, 1, 2))),
            "bins": torch.from_numpy(bins),
            "female": torch.from_numpy(female),
        }

    return make


def step_loss(
    recipe: Recipe, faces: LabelledFaces
) -> Callable[[torch.nn.Module, Batch], tuple[torch.Tensor, dict[str, float]]]:
    """The loss of one batch, from pictures to number; bin -1 means the ages of all faces."""
    soft = soft_ages(recipe.edge)
    everybody = np.bincount(faces.bins, minlength=len(BINS)) @ soft / len(faces)
    ages = torch.from_numpy(np.vstack([soft, everybody]).astype(np.float32))

    def step(model: torch.nn.Module, batch: Batch) -> tuple[torch.Tensor, dict[str, float]]:
        pictures = batch["pictures"].float().div_(255)
        age, gender = model(pictures.contiguous(memory_format=torch.channels_last), training=True)
        with torch.autocast("cpu", enabled=False):
            said, wanted = functional.log_softmax(age.float(), dim=1), ages[batch["bins"]]
            years = functional.kl_div(said, wanted, reduction="batchmean")
            cumulative = cumulative_distance(said.exp(), wanted)
            truth = batch["female"] * (1 - recipe.smoothing) + 0.5 * recipe.smoothing
            sex = functional.binary_cross_entropy_with_logits(gender.float()[:, 0], truth)
            loss = years + recipe.cumulative * cumulative + recipe.gender * sex
        return loss, {"age": years.item(), "cumulative": cumulative.item(), "gender": sex.item()}

    return step


def cumulative_distance(said: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Mean over (N, years) distributions of the squared distance of their cumulative sums."""
    return (said - wanted).cumsum(dim=1).square().sum(dim=1).mean()


TRUNK = ("stem", "down", "stage")
"""What the names of the layers begin with that are taken over from the embedder."""


def begin_with(model: torch.nn.Module, found: Weights) -> None:
    """Takes over the weights of a network with the same trunk; ModelError if it differs.

    Of an embedder that is the trunk, of a network like this one everything.
    """
    own = model.state_dict()
    trunk = [name for name in own if name.rpartition(".")[2].startswith(TRUNK)]
    fitting = {k: v for k, v in found.items() if k in own and own[k].shape == v.shape}
    wrong = [name for name in trunk if name not in fitting]
    if wrong:
        raise ModelError(f"the start is no network with the same trunk, {wrong[0]} differs")
    model.load_state_dict(fitting, strict=False)


def train(
    data: Path,
    run: Path,
    recipe: Recipe,
    console: Console | None = None,
    *,
    start: Path | None = None,
) -> Average:
    """Trains (or goes on training) the network; checkpoints and log go to the run folder.

    `start` has the weights to begin with: the run of an embedder with the same trunk, or a released
    embedder or attributes model. Without it the network begins at random.
    """
    torch.manual_seed(recipe.schedule.seed)
    faces = load_labelled(data / "portraits", "train")
    faceless = windows(
        load_unpeopled(data / "scenes", "train"), 3, np.random.default_rng(recipe.schedule.seed)
    )
    model = recipe.net.build()
    make = batch_maker(faces, faceless, recipe)
    if start is not None:
        batches = (make(number)["pictures"].float() / 255 for number in range(STATISTICS))
        begin_with(model, starting_weights(start, batches, prefix="net."))
    return fit(
        model,
        make,
        step_loss(recipe, faces),
        recipe.schedule,
        run,
        settings=recipe,
        console=console,
    )


HALF_WEIGHTS_TOLERANCE = 1e-2
"""Of the largest logit: weights are stored in half precision."""


def export_attributes(run: Path, card: Card, net: AttributesNet) -> bytes:
    """The ONNX file of the averaged weights, proved equal to the network, else ModelError."""
    model = net.build()
    model.load_state_dict(averaged(run))
    exported = export(
        model,
        torch.rand(1, 3, 112, 112),
        card=card,
        inputs=["face"],
        outputs=["age", "gender"],
        dynamic={name: {0: "batch"} for name in ("face", "age", "gender")},
    )
    rng = np.random.default_rng(0)
    examples = [[rng.random((n, 3, 112, 112), dtype=np.float32)] for n in (1, 8)]
    check_parity(model, exported, examples, tolerance=HALF_WEIGHTS_TOLERANCE)
    return exported


def release(
    run: Path, data: Path, folder: Path, net: AttributesNet, commit: str, *, mirror: bool = False
) -> tuple[Card, AttributeReport]:
    """Exports the run, calibrates and measures it and writes model, card and record.

    All figures are crossed: each half of the validation faces is judged by what was fitted to the
    other. The card's own scale is fitted to all of them. `mirror`: the product looks at each face
    and its mirror image, in twice the time.
    """
    exported = export_attributes(run, attributes_card(mirror), net)
    network = AttributeEstimator(Session(exported))
    faces = load_labelled(data / "portraits", "val")
    prior = Prior.of(*load_labels(data / "portraits", "train"))
    seen = trials(network, faces.images, (*SIZES, *FAINT))
    parts = crossed(seen, faces, prior)
    found = gains(seen, faces, prior, parts)
    least = least_size(found)
    scale = fit_scale(seen, faces, prior, conditions=CONDITIONS)
    odd = [
        oddity(kind, trials(network, images, (FULL,))[0], scale, SURE)
        for kind, images in oddities(faces, load_unpeopled(data / "scenes", "val"))
    ]
    told = report(
        [answers(trial, faces, parts, least=least, sure=SURE) for trial in seen],
        faces,
        widest=scale.widest,
        oddities=odd,
        model=f"{NAME} 2",
        data="portraits val",
        calibration="each half by what was fitted to the other",
    )
    card = attributes_card(
        mirror,
        commit=commit,
        metrics=measured(told),
        thresholds=thresholds(told, found, least),
        extra={KEY: scale.to_json(), "groups": group_table(told), "gains": gain_table(found)},
    )
    release_model(folder, exported, card)
    return card, told


if __name__ == "__main__":
    import argparse

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, default=Path("runs/attributes"))
    add_options(parser)
    parser.add_argument("--release", type=Path, metavar="FOLDER", help="export and measure instead")
    parser.add_argument("--commit", default="", help="of the recipe, for the card")
    parser.add_argument("--mirror", action="store_true", help="look at mirror images too")
    parser.add_argument("--report", type=Path, help="also write all figures to this JSON file")
    arguments = parser.parse_args()
    if arguments.release:
        made, told = release(
            arguments.run,
            arguments.data,
            arguments.release,
            Recipe().net,
            arguments.commit,
            mirror=arguments.mirror,
        )
        if arguments.report:
            write_atomic(arguments.report, (told.to_json() + "\n").encode())
        print(made.model_dump_json(indent=1, exclude={"extra"}))
    else:
        recipe = Recipe(schedule=rescheduled(Recipe().schedule, arguments))
        train(arguments.data, arguments.run, recipe, Console(width=120), start=arguments.start)
