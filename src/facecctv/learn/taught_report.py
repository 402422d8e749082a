"""The report of a taught network: figures, plots, good and bad examples, in a folder.

report.html holds everything; report.json the figures; every plot also lies there as PNG and SVG.
Pictures in the HTML are the user's own: the folder belongs where the pictures belong.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from facecctv.errors import OutputError
from facecctv.image import shown, write_atomic
from facecctv.learn import taught_plots
from facecctv.learn.data.persons import People
from facecctv.learn.data.report import Report, Tile
from facecctv.learn.data.single import SingleFaces
from facecctv.learn.outcomes import PairOutcome, SingleOutcome
from facecctv.types import Image

GREEN, RED = (28, 124, 74), (194, 47, 47)
EXAMPLES = 12

History = Sequence[dict[str, float]]


def write_single(
    folder: Path, title: str, outcome: SingleOutcome, data: SingleFaces, history: History = ()
) -> Path:
    """Writes the report of a two-head network; returns the path of report.html.

    Raises OutputError, and MissingExtra without matplotlib.
    """
    plots = {"loss": taught_plots.loss_curves(history)} if history else {}
    plots["confusion"] = taught_plots.confusion(outcome.confusion(), ("no face", "face"))
    if outcome.faces.any() and not outcome.faces.all():
        plots["roc"] = taught_plots.roc({"face": (outcome.scores, outcome.faces)})
        plots["precision-recall"] = taught_plots.precision_recall(outcome.scores, outcome.faces)
        groups = {
            "face": outcome.scores[outcome.faces],
            "no face": outcome.scores[~outcome.faces],
        }
        plots["scores"] = taught_plots.histogram(groups, "Face probability", outcome.threshold)
    if outcome.faces.any():
        overlaps = {"faces": outcome.overlaps[outcome.faces]}
        plots["overlap"] = taught_plots.histogram(overlaps, "Overlap (IoU) with the true box")
    report = Report(title, f"{len(outcome.names)} pictures, {int(outcome.faces.sum())} with a face")
    report.tiles(
        [
            Tile(_percent(outcome.accuracy), "face or no face told right"),
            Tile(_number(outcome.mean_iou), "mean overlap (IoU) of boxes"),
            Tile(_percent(outcome.row()["iou_50"]), "boxes with an overlap of one half"),
            Tile(_number(outcome.threshold), "threshold of the face probability"),
        ]
    )
    _plots(report, plots)
    if history:
        _history(report, history)
    best, worst = _single_examples(outcome)
    for heading, numbers in (("Best", best), ("Worst", worst)):
        report.heading(heading, "Green: the true box. Red: what the network says.")
        report.pictures([_single_picture(outcome, data, n) for n in numbers])
    facts = {"pictures": len(outcome.names), "threshold": outcome.threshold, **outcome.row()}
    facts["confusion"] = outcome.confusion().tolist()
    return _write(folder, report, plots, facts, history)


def write_pairs(
    folder: Path,
    title: str,
    outcome: PairOutcome,
    people: People,
    history: History = (),
    pixels: PairOutcome | None = None,
) -> Path:
    """Writes the report of a recogniser, beside raw pixels where given; as write_single."""
    plots = {"loss": taught_plots.loss_curves(history)} if history else {}
    groups = {
        "same person": outcome.similarity[outcome.same],
        "different people": outcome.similarity[~outcome.same],
    }
    plots["similarity"] = taught_plots.histogram(groups, "Similarity", outcome.threshold)
    plots["confusion"] = taught_plots.confusion(outcome.confusion(), ("different", "same"))
    curves = {"network": (outcome.similarity, outcome.same)}
    if pixels is not None:
        curves["raw pixels"] = (pixels.similarity, pixels.same)
    plots["roc"] = taught_plots.roc(curves)
    plots["precision-recall"] = taught_plots.precision_recall(outcome.similarity, outcome.same)
    report = Report(title, f"{len(outcome.same)} pairs of {people.count} people not trained on")
    tiles = [
        Tile(_percent(outcome.accuracy), "pairs told right (ten-fold)"),
        Tile(_percent(outcome.eer), "equal error rate"),
        Tile(_percent(outcome.tar_at_1e2), "found at 1 % false acceptance"),
        Tile(_number(outcome.threshold), "threshold of the similarity"),
    ]
    if pixels is not None:
        tiles.append(Tile(_percent(pixels.accuracy), "pairs told right by raw pixels"))
    report.tiles(tiles)
    _plots(report, plots)
    if history:
        _history(report, history)
    for heading, numbers in _pair_examples(outcome):
        report.heading(heading)
        report.pictures([_pair_picture(outcome, people, n) for n in numbers])
    facts: dict[str, Any] = {"pairs": len(outcome.same), "threshold": outcome.threshold}
    facts |= outcome.row() | {"confusion": outcome.confusion().tolist()}
    if pixels is not None:
        facts["raw_pixels"] = pixels.row()
    return _write(folder, report, plots, facts, history)


def _plots(report: Report, plots: dict[str, taught_plots.Files]) -> None:
    titles = {
        "loss": "Losses",
        "confusion": "Confusion",
        "roc": "ROC",
        "precision-recall": "Precision and recall",
        "scores": "Scores",
        "overlap": "Overlap",
        "similarity": "Similarity of pairs",
    }
    for name, files in plots.items():
        text = files["svg"].decode()
        # More heads than one have a panel each, beside each other.
        wide = files["svg"].count(b'<g id="axes_') > 1
        report.plot(titles[name], text[text.index("<svg") :], wide=wide, paper=True)


def _history(report: Report, history: History) -> None:
    report.heading("Epochs")
    names = list(history[-1])
    rows = [[_told(name, row.get(name, math.nan)) for name in names] for row in history]
    report.table([name.replace("_", " ") for name in names], rows)


def _told(name: str, value: float) -> float:
    return int(value) if name == "epoch" else float(value)


def _write(
    folder: Path,
    report: Report,
    plots: dict[str, taught_plots.Files],
    facts: dict[str, Any],
    history: History,
) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{shown(folder)}: cannot be made: {error.strerror}") from error
    for name, files in plots.items():
        for kind, content in files.items():
            write_atomic(folder / f"{name}.{kind}", content)
    finite = {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in facts.items()}
    body = {**finite, "history": list(history)}
    write_atomic(folder / "report.json", (json.dumps(body, indent=1) + "\n").encode())
    report.write(folder / "report.html")
    return folder / "report.html"


def _single_examples(outcome: SingleOutcome) -> tuple[list[int], list[int]]:
    """Good and bad: by overlap where there is a face, by score where there is none."""
    goodness = np.where(
        outcome.faces,
        np.nan_to_num(outcome.overlaps) * (outcome.scores >= outcome.threshold),
        1 - outcome.scores,
    )
    # A scene told right is no news: faces lead among the best.
    order = np.lexsort((-goodness, ~outcome.faces))
    return order[: EXAMPLES // 2].tolist(), np.argsort(goodness)[:EXAMPLES].tolist()


def _single_picture(outcome: SingleOutcome, data: SingleFaces, n: int) -> tuple[Image, str]:
    side = 240
    image = cv2.resize(data.pictures[n], (side, side), interpolation=cv2.INTER_LINEAR)
    if outcome.faces[n]:
        _rectangle(image, outcome.true_boxes[n] * side, GREEN)
    if outcome.scores[n] >= outcome.threshold:
        _rectangle(image, outcome.boxes[n] * side, RED)
    overlap = f", overlap {outcome.overlaps[n]:.2f}" if outcome.faces[n] else ", no face"
    return image, f"{outcome.names[n]}: score {outcome.scores[n]:.2f}{overlap}"


def _rectangle(image: Image, box: np.ndarray, colour: tuple[int, int, int]) -> None:
    x1, y1, x2, y2 = (round(float(v)) for v in box)
    cv2.rectangle(image, (x1, y1), (x2, y2), colour, 2)


def _pair_examples(outcome: PairOutcome) -> list[tuple[str, list[int]]]:
    order = np.argsort(outcome.similarity)
    same, different = order[outcome.same[order]], order[~outcome.same[order]]
    half = EXAMPLES // 2
    return [
        ("One person, most alike", same[::-1][:half].tolist()),
        ("One person, least alike", same[:half].tolist()),
        ("Different people, most alike", different[::-1][:half].tolist()),
    ]


def _pair_picture(outcome: PairOutcome, people: People, n: int) -> tuple[Image, str]:
    a, b = outcome.pairs[n]
    image = np.hstack([people.pictures[a], people.pictures[b]])
    verdict = "same" if outcome.similarity[n] >= outcome.threshold else "different"
    return image, f"similarity {outcome.similarity[n]:.2f}: {verdict}"


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %" if math.isfinite(value) else "-"


def _number(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "-"
