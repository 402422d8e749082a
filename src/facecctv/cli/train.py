"""`facecctv train`."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from facecctv import build
from facecctv.errors import MissingExtra, SettingError
from facecctv.settings import Settings

app = typer.Typer(rich_markup_mode=None, add_completion=False, no_args_is_help=True)

FAST = "fast"
DEFAULT_BACKBONES = {"vgg16": "VGG16"}


class BoxLoss(StrEnum):
    squared = "squared"
    absolute = "absolute"
    giou = "giou"


class Pooling(StrEnum):
    max = "max"
    average = "average"
    flatten = "flatten"


class Loss(StrEnum):
    pairs = "pairs"
    contrastive = "contrastive"
    triplet = "triplet"


class DistanceName(StrEnum):
    euclidean = "euclidean"
    cosine = "cosine"


class MiningName(StrEnum):
    semi_hard = "semi-hard"
    hard = "hard"
    all = "all"


class CropName(StrEnum):
    auto = "auto"
    aligned = "aligned"
    box = "box"
    whole = "whole"


Data = Annotated[
    Path,
    typer.Argument(help="Labelled pictures in any format that is known.", show_default=False),
]
Split = Annotated[
    Path | None,
    typer.Option(
        help="Manifest of `data split`; by default split.json in DATA, the set's own split, or "
        "60/20/20.",
        show_default=False,
    ),
]
Run = Annotated[Path, typer.Option(help="Folder of this run; an interrupted one goes on.")]
Name = Annotated[str | None, typer.Option(help="Of the model; by default the run folder's.")]
Weights = Annotated[
    str, typer.Option(help="Of the trunk: imagenet (Keras downloads them), a file, or none.")
]
Epochs = Annotated[int, typer.Option(min=1)]
Batch = Annotated[int, typer.Option(min=1)]
Rate = Annotated[float, typer.Option(help="Learning rate.")]
Frozen = Annotated[
    int | None,
    typer.Option(min=0, help="Epochs in which only the heads learn: 5, or 0 from random weights."),
]
Patience = Annotated[
    int, typer.Option(min=0, help="Stop after so many epochs without a better score; 0: never.")
]
Augment = Annotated[bool, typer.Option(help="New views of the pictures in every epoch.")]
Bf16 = Annotated[bool, typer.Option("--bf16", help="bfloat16: faster where the CPU has it.")]
Threads = Annotated[int, typer.Option(min=1)]
Seed = Annotated[int, typer.Option(min=0)]
CORES = os.cpu_count() or 1


@app.callback()
def train() -> None:
    """Teach a network on your own pictures."""


@app.command()
def detector(
    data: Data,
    arch: Annotated[
        str,
        typer.Option(
            help="vgg16, or any trunk of keras.applications: one face a picture, from its "
            "ImageNet weights. fast: many faces, from the shipped detector."
        ),
    ] = "vgg16",
    split: Split = None,
    run: Run = Path("runs/detector"),
    name: Name = None,
    more: Annotated[
        list[Path] | None,
        typer.Option(help="More labelled pictures to learn from, such as those of data augment."),
    ] = None,
    negatives: Annotated[
        list[Path] | None, typer.Option(help="More pictures, without a face. Repeat for several.")
    ] = None,
    weights: Weights = "imagenet",
    size: Annotated[int, typer.Option(min=32, help="Side of the network's input, pixels.")] = 120,
    pooling: Annotated[Pooling, typer.Option(help="flatten keeps places: better boxes.")] = (
        Pooling.max
    ),
    hidden: Annotated[int, typer.Option(min=1, help="Width of each head's hidden layer.")] = 2048,
    box_loss: Annotated[BoxLoss, typer.Option(help="The localisation loss.")] = BoxLoss.squared,
    box_weight: Annotated[float, typer.Option(help="Of the localisation loss.")] = 1.0,
    face_weight: Annotated[float, typer.Option(help="Of the face/no-face loss.")] = 1.0,
    epochs: Epochs = 40,
    batch: Batch = 8,
    learning_rate: Rate = 1e-4,
    frozen_epochs: Frozen = None,
    patience: Patience = 10,
    augment: Augment = True,
    bf16: Bf16 = False,
    threads: Threads = CORES,
    seed: Seed = 0,
    steps: Annotated[int, typer.Option(min=1, help="Batches in all, with --arch fast.")] = 600,
) -> None:
    """Teach a face detector: pictures with boxes in, a model for `detect --model` out."""
    _require_learn()
    from rich.console import Console

    from facecctv.learn import teaching
    from facecctv.learn.data.dataset import Pictures, read_dataset
    from facecctv.learn.data.divide import divide, faceless, with_faceless, with_more

    settings = Settings.from_environment(os.environ)
    title = teaching.model_name(name, run)
    dataset = read_dataset(data)
    teaching.tell_faults(dataset, _say)
    divided = divide(dataset, split, "picture", seed)
    for extra in more or ():
        divided = with_more(divided, read_dataset(extra).items)
    if negatives:
        divided = with_faceless(divided, faceless(negatives, Pictures()))
    _say(divided.how)
    console = Console(stderr=True)
    source = data.resolve().name
    if arch.lower() == FAST:
        result = teaching.teach_fast(
            divided,
            _fast_recipe(steps, threads, seed, learning_rate),
            run,
            title,
            source,
            console,
            build.store(settings).load(build.FACE_DETECTOR).data,
        )
    else:
        from facecctv.learn.fitting import Training
        from facecctv.learn.nets.vgg16 import TwoHeadNet
        from facecctv.learn.recipes.single_face import SingleFaceRecipe

        recipe = SingleFaceRecipe(
            net=TwoHeadNet(DEFAULT_BACKBONES.get(arch, arch), size, hidden, pooling.value),
            training=Training(
                epochs=epochs,
                batch=batch,
                learning_rate=learning_rate,
                frozen_epochs=_frozen(frozen_epochs, weights),
                patience=patience,
                bf16=bf16,
                threads=threads,
                seed=seed,
            ),
            weights=weights,
            box_loss=box_loss.value,
            face_weight=face_weight,
            box_weight=box_weight,
            augment=augment,
        )
        result = teaching.teach_single(
            divided, recipe, run, title, source, console, settings.offline
        )
    for line in teaching.summary(result, f"facecctv detect --model {result.model} PICTURES"):
        print(line)


@app.command()
def recogniser(
    data: Data,
    loss: Annotated[
        Loss, typer.Option(help="pairs: classifier on |a - b|; contrastive; triplet.")
    ] = Loss.pairs,
    backbone: Annotated[
        str,
        typer.Option(help="Any trunk of keras.applications, or shipped: FaceCCTV's own embedder."),
    ] = "ResNet50",
    split: Split = None,
    run: Run = Path("runs/recogniser"),
    name: Name = None,
    weights: Weights = "imagenet",
    size: Annotated[int, typer.Option(min=32, help="Side of the face pictures, pixels.")] = 112,
    embedding: Annotated[int, typer.Option(min=2, help="Numbers of an embedding.")] = 128,
    distance: Annotated[DistanceName, typer.Option()] = DistanceName.euclidean,
    margin: Annotated[
        float | None, typer.Option(help="1 for contrastive, 0.3 for triplet loss by default.")
    ] = None,
    mining: Annotated[MiningName, typer.Option(help="Of triplets.")] = MiningName.semi_hard,
    per_person: Annotated[
        int, typer.Option(min=2, help="Pictures a person in a batch of triplets.")
    ] = 4,
    samples: Annotated[int, typer.Option(min=1, help="Pairs, or pictures, of an epoch.")] = 5000,
    crop: Annotated[CropName, typer.Option(help="How faces are cut out.")] = CropName.auto,
    epochs: Epochs = 40,
    batch: Annotated[int, typer.Option(min=2, help="Pairs, or people for triplets.")] = 8,
    learning_rate: Rate = 1e-4,
    frozen_epochs: Frozen = None,
    patience: Patience = 10,
    augment: Augment = True,
    bf16: Bf16 = False,
    threads: Threads = CORES,
    seed: Seed = 0,
) -> None:
    """Teach a recogniser: pictures of known people in, a model for `evaluate pair` out."""
    _require_learn()
    from rich.console import Console

    from facecctv.learn import teaching
    from facecctv.learn.data.dataset import read_dataset
    from facecctv.learn.data.divide import divide
    from facecctv.learn.fitting import Training
    from facecctv.learn.nets.backbone import IMAGENET, SHIPPED
    from facecctv.learn.nets.siamese import EmbedderNet
    from facecctv.learn.recipes.siamese import SiameseRecipe

    settings = Settings.from_environment(os.environ)
    title = teaching.model_name(name, run)
    dataset = read_dataset(data)
    teaching.tell_faults(dataset, _say)
    divided = divide(dataset, split, "identity", seed)
    _say(divided.how)
    if backbone.lower() == SHIPPED and weights == IMAGENET:
        weights = str(build.store(settings).load(build.FACE_EMBEDDER).path)
    recipe = SiameseRecipe(
        net=EmbedderNet(backbone, size, embedding),
        loss=loss.value,
        distance=distance.value,
        margin=margin,
        mining=mining.value,
        per_person=per_person,
        samples=samples,
        crop=crop.value,
        training=Training(
            epochs=epochs,
            batch=batch,
            learning_rate=learning_rate,
            frozen_epochs=_frozen(frozen_epochs, weights),
            patience=patience,
            bf16=bf16,
            threads=threads,
            seed=seed,
        ),
        weights=weights,
        augment=augment,
    )
    console = Console(stderr=True)
    result = teaching.teach_siamese(
        divided, recipe, run, title, data.resolve().name, console, settings.offline
    )
    for line in teaching.summary(result, f"facecctv evaluate pair A B --model {result.model}"):
        print(line)


def _frozen(given: int | None, weights: str) -> int:
    if weights == "none" and given:
        raise SettingError("a trunk of random weights cannot stay frozen: --frozen-epochs 0")
    return given if given is not None else (0 if weights == "none" else 5)


def _fast_recipe(steps: int, threads: int, seed: int, rate: float) -> object:
    from facecctv.learn.loop import Schedule
    from facecctv.learn.recipes.fast import FastRecipe

    schedule = Schedule(
        steps=steps,
        learning_rate=2 * rate,
        warm_up=min(50, steps // 4),
        average=0.99,
        save_every=100,
        threads=threads,
        workers=1,
        seed=seed,
    )
    return FastRecipe(schedule=schedule)


def _require_learn() -> None:
    try:
        import facecctv.learn.nets.backbone  # noqa: F401 - chooses Keras' backend on the way
    except ImportError as error:
        raise MissingExtra("teaching needs its extra: pip install 'facecctv[learn]'") from error


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
