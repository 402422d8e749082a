"""The face embedder, from pictures to checkpoint: read from top to bottom.

Run it with `python -m facecctv.learn.recipes.embedder --data DATA --run runs/embedder`.

A student sees a face as a bad camera does and must answer with the embedding that a teacher gives
to the clean picture. Three losses: the distance to that embedding; the same answer to "which of all
training faces is this most like?" as the teacher's (relations, not only positions, after Park et
al. 2019, "Relational knowledge distillation"); and an additive angular margin over the people whose
names are known (Deng et al. 2019, "ArcFace").
"""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch.nn import functional

from facecctv.geometry import align
from facecctv.learn.data.aligned import (
    AlignedFaces,
    Sight,
    load_people_aligned,
    load_portraits,
    see,
)
from facecctv.learn.data.detection import read_table
from facecctv.learn.evaluate_restoring import BANDS, sharp_faces, small_cctv
from facecctv.learn.export import check_parity, export
from facecctv.learn.loop import Average, Batch, Schedule, fit
from facecctv.learn.nets.embedder import EmbedderNet
from facecctv.learn.releasing import release_model
from facecctv.learn.starting import (
    STATISTICS,
    Weights,
    add_options,
    rescheduled,
    starting_weights,
)
from facecctv.learn.stated import FITTED, StatedRate, calibrated, judge
from facecctv.learn.verification import Embed, SizeReport, draw_pairs, see_people, verification
from facecctv.models.card import (
    Card,
    Metric,
    ModelInput,
    ModelOutput,
    Threshold,
    TrainingData,
)
from facecctv.models.session import Session
from facecctv.types import Floats, Image
from facecctv.vision.drift import LIMIT
from facecctv.vision.enhance import Enhancer
from facecctv.vision.recognise import Recogniser


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the result."""

    net: EmbedderNet = field(default_factory=EmbedderNet)
    sight: Sight = field(default_factory=Sight)
    schedule: Schedule = field(
        default_factory=lambda: Schedule(
            steps=9_000, learning_rate=2e-3, warm_up=150, average=0.998, save_every=300
        )
    )
    batch: int = 96
    named: float = 0.35
    """Share of a batch with faces whose person is known."""
    temperature: float = 0.07
    """Of the question which training face this is most like."""
    relation: float = 0.3
    """Weight of that question."""
    margin: float = 0.3
    """Radians of the angular margin between people."""
    people_scale: float = 24.0
    people: float = 0.1
    """Weight of the margin loss."""


class Student(torch.nn.Module):
    """The embedder and, for training only, one direction a known person."""

    def __init__(self, net: torch.nn.Module, bank: torch.Tensor, people: torch.Tensor) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("bank", bank, persistent=False)
        self.people = torch.nn.Parameter(people)


def batch_maker(
    portraits: AlignedFaces, named: AlignedFaces, recipe: Recipe
) -> Callable[[int], Batch]:
    """A function from batch number to tensors; the same number gives the same batch."""

    def make(number: int) -> Batch:
        rng = np.random.default_rng((recipe.schedule.seed, number))
        known = round(recipe.batch * recipe.named)
        rows = rng.choice(len(portraits), recipe.batch - known, replace=False)
        others = rng.choice(len(named), known, replace=False)
        images = [see(portraits.images[i], recipe.sight, rng) for i in rows]
        images += [see(named.images[i], recipe.sight, rng) for i in others]
        place = np.concatenate([rows, others + len(portraits)])
        people = np.concatenate([np.full(len(rows), -1), named.identities[others]])
        stacked = np.ascontiguousarray(np.stack(images).transpose(0, 3, 1, 2))
        return {
            "pictures": torch.from_numpy(stacked),
            "rows": torch.from_numpy(place),
            "people": torch.from_numpy(people),
        }

    return make


def step_loss(
    recipe: Recipe,
) -> Callable[[torch.nn.Module, Batch], tuple[torch.Tensor, dict[str, float]]]:
    """The loss of one batch, from pictures to number."""

    def step(model: torch.nn.Module, batch: Batch) -> tuple[torch.Tensor, dict[str, float]]:
        pictures = batch["pictures"].float().div_(255)
        answer = model.net(pictures.contiguous(memory_format=torch.channels_last), training=True)
        with torch.autocast("cpu", enabled=False):
            wanted = model.bank[batch["rows"]]
            distance = 1 - (answer * wanted).sum(dim=1).mean()
            relation = _relation(answer, wanted, model.bank, recipe.temperature)
            people = _margin(answer, batch["people"], model.people, recipe)
            loss = distance + recipe.relation * relation + recipe.people * people
        return loss, {
            "distance": distance.item(),
            "relation": relation.item(),
            "people": people.item(),
        }

    return step


def _relation(
    answer: torch.Tensor, wanted: torch.Tensor, bank: torch.Tensor, temperature: float
) -> torch.Tensor:
    """How far the student's ranking of all training faces is from the teacher's (KL divergence)."""
    target = functional.softmax(wanted @ bank.T / temperature, dim=1)
    said = functional.log_softmax(answer @ bank.T / temperature, dim=1)
    return functional.kl_div(said, target, reduction="batchmean")


def _margin(
    answer: torch.Tensor, people: torch.Tensor, directions: torch.Tensor, recipe: Recipe
) -> torch.Tensor:
    known = people >= 0
    cosine = answer[known] @ functional.normalize(directions, dim=1).T
    label = people[known]
    angle = torch.acos(cosine.gather(1, label[:, None]).clamp(-0.999, 0.999))
    harder = torch.cos((angle + recipe.margin).clamp(max=torch.pi))
    logits = recipe.people_scale * cosine.scatter(1, label[:, None], harder)
    return functional.cross_entropy(logits, label)


def student(recipe: Recipe, portraits: AlignedFaces, named: AlignedFaces) -> Student:
    """A new student; a person's direction begins as the mean of the teacher's embeddings."""
    bank = torch.from_numpy(np.concatenate([portraits.embeddings, named.embeddings]))
    count = int(named.identities.max()) + 1
    means = np.stack([named.embeddings[named.identities == i].mean(axis=0) for i in range(count)])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    return Student(recipe.net.build(), bank, torch.from_numpy(means))


def train(
    data: Path,
    run: Path,
    recipe: Recipe,
    console: Console | None = None,
    *,
    start: Path | None = None,
) -> Average:
    """Trains (or goes on training) the embedder; checkpoints and log go to the run folder.

    `start`, the folder of another run or a released embedder, has the weights to begin with.
    """
    torch.manual_seed(recipe.schedule.seed)
    portraits, named = faces_to_learn(data)
    model = student(recipe, portraits, named)
    make = batch_maker(portraits, named, recipe)
    if start is not None:
        model.net.load_state_dict(starting_weights(start, views(make), prefix="net."))
    return fit(
        model,
        make,
        step_loss(recipe),
        recipe.schedule,
        run,
        settings=recipe,
        console=console,
    )


def faces_to_learn(data: Path) -> tuple[AlignedFaces, AlignedFaces]:
    """Faces whose person is not known, and faces whose person is."""
    portraits = load_portraits(data / "portraits", "train")
    return portraits, load_people_aligned(data / "identities", "train")


def views(make: Callable[[int], Batch]) -> Iterator[torch.Tensor]:
    """Batches as the network takes them, for the statistics of one that comes from a file."""
    return (make(number)["pictures"].float() / 255 for number in range(STATISTICS))


def export_embedder(run: Path, card: Card, net: EmbedderNet, mix: Weights | None = None) -> bytes:
    """The ONNX file of the averaged weights, proved equal to the network, else ModelError.

    With `mix` the weights are the mean of the run's and these (Wortsman et al. 2022, "Model
    soups"), which must come from the same line: that of a network and what it was taught further.
    """
    state = starting_weights(run, (), prefix="net.")
    if mix is not None:
        state = {name: (value + mix[name]) / 2 for name, value in state.items()}
    model = net.build()
    model.load_state_dict(state)
    exported = export(
        model,
        torch.rand(1, 3, 112, 112),
        card=card,
        inputs=["face"],
        outputs=["embedding"],
        dynamic={"face": {0: "batch"}, "embedding": {0: "batch"}},
    )
    rng = np.random.default_rng(0)
    examples = [[rng.random((n, 3, 112, 112), dtype=np.float32)] for n in (1, 8)]
    check_parity(model, exported, examples, tolerance=HALF_WEIGHTS_TOLERANCE)
    return exported


HALF_WEIGHTS_TOLERANCE = 5e-3
"""Of the largest output: weights are stored in half precision."""


VERSION = "3"
"""Goes up with new weights: embeddings of different ones do not compare."""


def embedder_card(**facts: Any) -> Card:
    """The card of the embedder; facts are what is known only after the training."""
    return Card(
        name="face-embedder",
        task="face-embedder",
        version=VERSION,
        description="Turns an upright face into a direction that is near for one person.",
        input=ModelInput(size=(112, 112)),
        outputs=(ModelOutput(name="embedding", meaning="(N, 128), unit length"),),
        step="geometric",
        licence="Apache-2.0",
        recipe="facecctv.learn.recipes.embedder",
        training_data=TRAINING_DATA,
        **facts,
    )


def release(
    run: Path,
    data: Path,
    folder: Path,
    net: EmbedderNet,
    commit: str,
    mix: Weights | None = None,
) -> Card:
    """Exports the run, measures and calibrates it and writes model, card and record.

    The calibration is fitted to pairs of all validation people; how far its stated rates hold is
    measured with fits to one half of the people on the other half.
    With the x4 enhancer in the folder the limit of identity drift is set too: run it again after
    that one is released.
    """
    exported = export_embedder(run, embedder_card(), net, mix)
    recogniser = Recogniser(Session(exported), mirror=True)
    seen = see_people(recogniser.embed, data / "identities")
    pairs = draw_pairs(seen.people, FITTED)
    enhancer = folder / "enhancer-x4.onnx"
    thresholds = {}
    if enhancer.exists():
        plain = Recogniser(Session(exported)).embed
        thresholds[LIMIT] = drift_limit(plain, Enhancer(Session(enhancer.read_bytes())), data)
    card = embedder_card(
        commit=commit,
        metrics=measured(verification(seen, pairs)) + rates_measured(judge(seen)),
        thresholds=thresholds,
        extra={
            "least_face_px": LEAST_FACE,
            "calibration": calibrated(seen, pairs, f"face-embedder {VERSION}").to_json(),
        },
    )
    release_model(folder, exported, card)
    return card


LEAST_FACE = 12
"""Height, pixels, below which a face's identity drift is unknown: the smallest size measured."""


def measured(reports: Sequence[SizeReport]) -> tuple[Metric, ...]:
    """Verification on the validation people, by size of the probe."""
    metrics = []
    for report in reports:
        probe = f"probe brought to {report.height} px" if report.height else "both as stored"
        conditions = f"identities val, {len(report.similarities)} pairs, {probe}"
        values = {"EER": report.eer} | {f"TAR@FAR {far:g}": tar for far, tar in report.tar.items()}
        metrics += [
            Metric(name=name, value=round(value, 4), conditions=conditions)
            for name, value in values.items()
        ]
    return tuple(metrics)


def rates_measured(
    judged: Mapping[int | None, Sequence[StatedRate]], wanted: Sequence[float] = (1e-2, 1e-3)
) -> tuple[Metric, ...]:
    """False-match rates on people that the judged calibration was not fitted to, by size."""
    metrics = []
    for size, rates in judged.items():
        probe = f"probe brought to {size} px" if size else "both as stored"
        for one in rates:
            if one.stated in wanted:
                low, high = one.interval
                conditions = (
                    f"identities val, {one.pairs} pairs of strangers, {probe}, each half of the "
                    f"people judged by a fit to the other; binomial 95 %: {low:.2g} to {high:.2g}"
                )
                name, value = f"FMR where {one.stated:g} is stated", round(one.measured, 6)
                metrics.append(Metric(name=name, value=value, conditions=conditions))
    return tuple(metrics)


def drift_limit(embed: Embed, enhance: Enhancer, data: Path, share: float = 0.01) -> Threshold:
    """The similarity to the recorded face that enhanced faces of other people rarely reach."""
    rows = read_table(data / "identities" / "identities.csv", ("image", "identity"))
    person = {row["image"]: row["identity"] for row in rows}
    faces = [
        (face, person[face.name])
        for low, high in BANDS
        for face in sharp_faces(data, enhance.scale, low, high)
        if face.name in person and face.landmarks is not None
    ]
    recorded, enhanced = [], []
    for number, (face, _) in enumerate(faces):
        small, _ = small_cctv(face.image, enhance.scale, number)
        recorded.append(align(small, face.landmarks / np.float32(enhance.scale)))
        enhanced.append(align(enhance(small), face.landmarks))
    before, after = (_in_batches(embed, squares) for squares in (recorded, enhanced))
    similarity = before @ after.T
    people = np.array([name for _, name in faces])
    strangers = similarity[people[:, None] != people[None]]
    limit = float(np.quantile(strangers, 1 - share))
    kept = float((np.diag(similarity) >= limit).mean())
    at = (
        f"{share:.0%} of other people's enhanced faces reach it, and {kept:.1%} of the faces' own "
        f"({len(faces)} val faces of 16 to 48 px through the CCTV chain)"
    )
    return Threshold(value=round(limit, 3), at=at)


def _in_batches(embed: Embed, squares: Sequence[Image]) -> Floats:
    return np.concatenate([embed(squares[i : i + 32]) for i in range(0, len(squares), 32)])


TRAINING_DATA = (
    TrainingData(
        name="FairFace (part)", licence="CC BY 4.0", note="aligned faces, teacher's embeddings"
    ),
    TrainingData(
        name="CelebA (part)",
        licence="non-commercial research",
        note="239 people, teacher's embeddings",
    ),
    TrainingData(
        name="foamliu/MobileFaceNet", licence="Apache-2.0", note="the teacher; its embeddings only"
    ),
)


if __name__ == "__main__":
    import argparse

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, default=Path("runs/embedder"))
    add_options(parser)
    parser.add_argument("--release", type=Path, metavar="FOLDER", help="export and measure instead")
    parser.add_argument("--mix", type=Path, help="release the mean of the run and this .onnx")
    parser.add_argument("--commit", default="", help="of the recipe, for the card")
    arguments = parser.parse_args()
    if arguments.release:
        run, folder = arguments.run, arguments.release
        seen = views(batch_maker(*faces_to_learn(arguments.data), Recipe()))
        mix = starting_weights(arguments.mix, seen) if arguments.mix else None
        made = release(run, arguments.data, folder, Recipe().net, arguments.commit, mix)
        print(made.model_dump_json(indent=1, exclude={"extra"}))
    else:
        console = Console(width=120)
        recipe = Recipe(schedule=rescheduled(Recipe().schedule, arguments))
        train(arguments.data, arguments.run, recipe, console, start=arguments.start)
