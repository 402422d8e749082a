"""From a labelled folder to a model file and its report: what `train` and `evaluate` do.

A run's folder ends up with checkpoint.pt, best.pt, log.csv, settings.json, model.onnx, report.html
with its plots, and report.json.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from facecctv.errors import SettingError
from facecctv.image import shown, write_atomic
from facecctv.learn.data.dataset import Dataset, Pictures
from facecctv.learn.data.divide import Divided
from facecctv.learn.taught_report import write_pairs, write_single
from facecctv.learn.watching import Shown
from facecctv.models.card import NAME

Say = Callable[[str], None]
MODEL = "model.onnx"
MOST_FAULTS = 10


@dataclass(frozen=True)
class Result:
    """What a training left behind."""

    model: Path
    report: Path | None
    figures: dict[str, float]


def tell_faults(dataset: Dataset, say: Say) -> None:
    """One line for each label or picture that cannot be used; the rest is."""
    for fault in dataset.faults[:MOST_FAULTS]:
        say(f"left out: {fault}")
    if (more := len(dataset.faults) - MOST_FAULTS) > 0:
        say(f"left out: {more} more (facecctv data check lists them)")


def model_name(given: str | None, run: Path) -> str:
    """The name for the card: as given, or the run folder's; SettingError if it cannot be one."""
    name = given or re.sub(r"[^a-z0-9._-]+", "-", run.resolve().name.lower()).strip("-._")
    if not re.fullmatch(NAME, name):
        raise SettingError(f"{shown(name)!r} cannot name a model: use a-z, 0-9, dots and dashes")
    return name


def teach_single(
    divided: Divided, recipe, run: Path, name: str, data: str, console: Console, offline: bool
) -> Result:
    """Trains, judges and exports a single-face detector (a SingleFaceRecipe)."""
    from facecctv.learn.recipes import single_face

    split = single_face.load(divided.train, divided.val, recipe, Pictures())
    several = sum(int((~item.ignore).sum() > 1) for item in (*divided.train, *divided.val))
    if several:
        console.print(f"{several} pictures show several faces: the largest counts.")
    with Shown(console, run) as watcher:
        history = single_face.train(split, run, recipe, offline=offline, watcher=watcher)
    model = single_face.trained(run, recipe)
    outcome = single_face.judge(model, split.val)
    card = single_face.single_card(name, recipe, outcome, data)
    write_atomic(run / MODEL, single_face.export_single(model, card))
    report = write_single(run, f"{name}: one face or none", outcome, split.val, history)
    return Result(run / MODEL, report, outcome.row())


def teach_siamese(
    divided: Divided, recipe, run: Path, name: str, data: str, console: Console, offline: bool
) -> Result:
    """Trains, judges and exports a recogniser (a SiameseRecipe)."""
    from facecctv.learn.recipes import siamese

    split = siamese.load(divided.train, divided.val, recipe, Pictures())
    console.print(
        f"{split.train.count} people to learn from, {split.val.count} others to judge by; "
        f"faces cut out: {split.crop}"
    )
    with Shown(console, run) as watcher:
        history = siamese.train(split, run, recipe, offline=offline, watcher=watcher)
    model = siamese.trained(run, recipe)
    outcome = siamese.judge(model, recipe, split.val)
    pixels = siamese.judge_pixels(recipe, split.val)
    card = siamese.embedder_card(name, recipe, model, outcome, split.crop, data)
    write_atomic(run / MODEL, siamese.export_embedder(model, card))
    report = write_pairs(run, f"{name}: the same person?", outcome, split.val, history, pixels)
    figures = outcome.row() | {"raw_pixels_accuracy": pixels.accuracy}
    return Result(run / MODEL, report, figures)


def teach_fast(
    divided: Divided, recipe, run: Path, name: str, data: str, console: Console, shipped: bytes
) -> Result:
    """Fine-tunes, judges and exports the multi-face detector (a FastRecipe)."""
    from facecctv.learn.recipes import fast
    from facecctv.models.card import Card

    pictures = Pictures()
    samples = fast.load(divided.train, pictures)
    val = fast.load(divided.val, pictures)
    fast.train(samples, run, recipe, shipped, console)
    start = Card.from_model(shipped)
    before = fast.judge(shipped, start, val, data)
    exported, report = fast.export_fast(run, recipe, name, start, val, data)
    write_atomic(run / MODEL, exported)
    write_atomic(run / "report.json", (report.to_json() + "\n").encode())
    figures = {
        "ap_50": report.conditions[0].bands[0].ap,
        "ap_50_before": before.conditions[0].bands[0].ap,
    }
    return Result(run / MODEL, None, figures)


def summary(result: Result, next_step: str) -> Sequence[str]:
    """Lines for people: what came out, where it is, what to do next."""
    figures = ", ".join(f"{name} {value:.3f}" for name, value in result.figures.items())
    lines = [f"On validation pictures: {figures}", f"Model: {shown(result.model)}"]
    if result.report is not None:
        lines.append(f"Report: {shown(result.report)}")
    return [*lines, f"Next: {next_step}"]
