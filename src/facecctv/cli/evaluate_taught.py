"""`facecctv evaluate taught` and `facecctv evaluate pair`: models of the user's own."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facecctv import build
from facecctv.errors import ModelError
from facecctv.image import read, shown
from facecctv.learn import plots
from facecctv.learn.data.dataset import Labelled, Pictures, read_dataset
from facecctv.learn.taught import compare_pictures, pairs_of, single_of
from facecctv.settings import Settings
from facecctv.vision import compare, single

if TYPE_CHECKING:
    from facecctv.models.session import Session

Model = Annotated[Path, typer.Option(help="The exported model.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print the figures as one JSON object.")]


def taught(
    data: Annotated[Path, typer.Argument(help="Labelled pictures.", show_default=False)],
    model: Model,
    split: Annotated[
        Path | None, typer.Option(help="Manifest of `data split`; else the set's own split.")
    ] = None,
    part: Annotated[str, typer.Option(help="train, val or test; all: every picture.")] = "test",
    negatives: Annotated[
        list[Path] | None, typer.Option(help="More pictures, without a face. Repeat for several.")
    ] = None,
    pairs: Annotated[int, typer.Option(min=10, help="Drawn to judge a recogniser by.")] = 2000,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the report.")] = Path(
        "runs/evaluation"
    ),
    as_json: AsJson = False,
) -> None:
    """Measure a single-face detector or recogniser of your own, with plots and a report."""
    plots.require()
    from facecctv.learn.data.divide import faceless
    from facecctv.learn.data.persons import known, load_people
    from facecctv.learn.data.single import load_single, usable
    from facecctv.learn.taught_report import write_pairs, write_single

    session = build.session(Settings.from_environment(os.environ), os.fspath(model.absolute()))
    card = session.card
    items = _items(data, split, part, "identity" if card.task == compare.TASK else "picture")
    pictures = Pictures()
    if card.task == single.TASK:
        items = [*usable(items), *(faceless(negatives, pictures) if negatives else ())]
        faces = load_single(items, single.input_size(card)[0], pictures)
        found = single_of(session, faces)
        report = write_single(out, f"{card.name}: one face or none", found, faces)
        figures = found.row()
    elif card.task == compare.TASK:
        size = single.input_size(card)[0]
        people = load_people(known(items), size, compare.crop_of(card), pictures)
        outcome = pairs_of(session, people, pairs)
        report = write_pairs(out, f"{card.name}: the same person?", outcome, people)
        figures = outcome.row()
    else:
        raise ModelError(f"{card.name} is a {card.task}: measure it with evaluate detector")
    if as_json:
        print(json.dumps({"model": card.name, "pictures": len(items), **figures}))
    else:
        words = ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
        print(f"{card.name} on {len(items)} pictures: {words}")
        print(f"Report: {shown(report)}")


def pair(
    a: Annotated[Path, typer.Argument(help="A picture.", show_default=False)],
    b: Annotated[Path, typer.Argument(help="Another.", show_default=False)],
    model: Model,
    as_json: AsJson = False,
) -> None:
    """Say whether two pictures show one person, by a recogniser of your own."""
    settings = Settings.from_environment(os.environ)
    session: Session = build.session(settings, os.fspath(model.absolute()))
    verdict = compare_pictures(session, read(a).image, read(b).image, build.detector(settings))
    word = "the same person" if verdict.same else "different people"
    if as_json:
        facts = {"similarity": verdict.similarity, "threshold": verdict.threshold}
        print(json.dumps({**facts, "same": verdict.same, "set_at": verdict.set_at}))
    else:
        print(
            f"{word}: similarity {verdict.similarity:.3f}, threshold {verdict.threshold:.3f} "
            f"({verdict.set_at})"
        )


def _items(data: Path, split: Path | None, part: str, by: str) -> list[Labelled]:
    from facecctv.learn.data.divide import divide
    from facecctv.learn.teaching import tell_faults

    dataset = read_dataset(data)
    tell_faults(dataset, lambda line: print(line, file=sys.stderr))
    if part == "all":
        return list(dataset)
    return list(divide(dataset, split, by).part(part))
