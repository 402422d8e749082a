"""`facecctv data split | augment | pairs`."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from facecctv.cli.data.common import (
    Folder,
    Format,
    Seed,
    load,
    next_step,
    progress,
    report_faults,
)
from facecctv.errors import InputError
from facecctv.learn.data.dataset import Dataset


class By(StrEnum):
    """What a split keeps together."""

    picture = "picture"
    identity = "identity"
    cluster = "cluster"
    given = "given"


def split(
    data: Folder,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The manifest [default: split.json in DATA].")
    ] = None,
    ratios: Annotated[str, typer.Option(help="Train/val/test, or train/val.")] = "60/20/20",
    by: Annotated[By, typer.Option(help="What must not be torn apart.")] = By.picture,
    stratify: Annotated[
        str | None, typer.Option(help="Keep the shares of an attribute, or of `face`, alike.")
    ] = None,
    seed: Seed = 0,
    format: Format = "auto",
) -> int:
    """Divide into train, val and test.

    Writes a manifest; no picture is copied. `--by identity` keeps every person in one split,
    `--by cluster` every group of near duplicates, `--by given` the source's own split.
    """
    from facecctv.learn.data.split import make_split, parse_ratios

    shares = parse_ratios(ratios)
    dataset = load(data, format)
    with progress(len(dataset), "pictures") as step:
        manifest = make_split(dataset, by.value, shares, stratify, seed, lambda: step(1))
    target = out or dataset.root / "split.json"
    manifest.write(target)
    status = report_faults(dataset.faults)
    counts = Counter(entry.split for entry in manifest.files.values())
    total = sum(counts.values())
    print(f"{target}: " + ", ".join(f"{n} {c:,} ({c / total:.0%})" for n, c in counts.items()))
    if empty := [name for name in shares if not counts[name] and by is not By.given]:
        print(f"too few pictures: nothing left for {', '.join(empty)}")
    next_step(f"facecctv data augment {data} --split {target}, or facecctv train ... on it")
    return status


def augment(
    data: Folder,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the copies.")],
    copies: Annotated[int, typer.Option(min=1, help="Copies of each picture.")] = 30,
    split: Annotated[
        Path | None, typer.Option("--split", help="A manifest; copies are made of its train split.")
    ] = None,
    size: Annotated[int, typer.Option(help="Longer side, pixels; 0 keeps it.")] = 480,
    crop: Annotated[float, typer.Option(help="Largest share cut from a side.")] = 0.3,
    flip: Annotated[float, typer.Option(help="Share of mirrored copies.")] = 0.5,
    cctv: Annotated[float, typer.Option(help="Share that goes through a camera's faults.")] = 0.3,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes.")] = None,
    seed: Seed = 0,
    format: Format = "auto",
) -> int:
    """Make changed copies; boxes and landmarks follow.

    Writes JPEG with labelme JSON, and OUT/previews.jpg to look at. Interrupted, it goes on where it
    ended. A face that leaves the picture makes it one without a face.
    """
    from facecctv.image import encode, write_atomic
    from facecctv.learn.data.augment import Augmentation, library
    from facecctv.learn.data.enlarge import enlarge, previews

    library()
    settings = Augmentation(size=size, crop=crop, flip=flip, cctv=cctv)
    dataset = _part(load(data, format), split, "train")
    with progress(len(dataset) * copies, "copies") as step:
        done = enlarge(dataset, out, copies, settings, seed, workers, step)
    if done.made or done.already_there:
        write_atomic(out / "previews.jpg", encode(previews(out), "jpeg", 88))
    status = report_faults([*dataset.faults, *done.faults])
    there = f", {done.already_there:,} were there" if done.already_there else ""
    print(f"{out}: {done.made:,} copies made{there}; {done.without_face:,} without a face")
    next_step(f"look at {out / 'previews.jpg'}, then facecctv train detector on {out}")
    return status


def _part(dataset: Dataset, manifest: Path | None, split: str) -> Dataset:
    if manifest is None:
        return dataset
    from facecctv.learn.data.manifest import read_manifest

    return read_manifest(manifest).select(dataset, split)


class Mining(StrEnum):
    """How strangers are chosen."""

    random = "random"
    semi_hard = "semi-hard"
    hard = "hard"


def pairs(
    data: Folder,
    out: Annotated[Path, typer.Option("--out", "-o", help="The table.")] = Path("pairs.csv"),
    count: Annotated[int, typer.Option(min=1, help="How many.")] = 5000,
    triplets: Annotated[
        bool, typer.Option("--triplets", help="Triplets instead of pairs.")
    ] = False,
    mining: Annotated[Mining, typer.Option(help="How strangers are chosen.")] = Mining.random,
    embeddings: Annotated[
        Path | None, typer.Option(help="A .npy file with one row per picture, for mining.")
    ] = None,
    split: Annotated[
        Path | None, typer.Option("--split", help="A manifest of `data split`.")
    ] = None,
    part: Annotated[str, typer.Option(help="The manifest's split to draw from.")] = "train",
    seed: Seed = 0,
    format: Format = "auto",
) -> int:
    """Make pairs or triplets for recognition.

    Pairs are half of one person, half of two. Draw from one split of a manifest made `--by
    identity`, and nobody leaks into another.
    """
    from facecctv.learn.data import pairs as work

    whole = load(data, format)
    dataset = _part(whole, split, part)
    vectors = work.load_embeddings(embeddings) if embeddings else None
    if vectors is not None:
        if len(vectors) != len(whole):
            raise InputError(f"{len(vectors):,} embeddings for {len(whole):,} pictures")
        place = {item.path: i for i, item in enumerate(whole)}
        vectors = vectors[[place[item.path] for item in dataset]]
    who = work.identities_of(dataset.items)
    make = work.make_triplets if triplets else work.make_pairs
    found = make(who, count, seed, mining.value, vectors)
    work.write_pairs(out, [dataset.name(item) for item in dataset], found)
    status = report_faults(whole.faults)
    kind = "triplets" if triplets else "pairs"
    people = len({w for w in who if w is not None})
    print(f"{out}: {len(found):,} {kind} ({mining.value}) of {people:,} people")
    next_step(f"facecctv train recogniser on {out}")
    return status
