"""Plots of age and gender: confusion, calibration, and how errors grow as faces shrink."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from facecctv.learn.attribute_fitting import LEVEL
from facecctv.learn.attribute_report import AttributeReport, label
from facecctv.learn.data.attributes import BINS
from facecctv.learn.plots import FAINT, INK, STYLES, frame, require, saved

Files = dict[str, bytes]
ACCEPTED = (0.75, 0.85)
"""Coverage of intervals that is as promised."""


def all_plots(report: AttributeReport) -> dict[str, Files]:
    """Name -> "png" and "svg" -> bytes. Raises MissingExtra without matplotlib."""
    plots = {f"confusion-{px}": confusion(report, px) for px in report.confusion}
    return plots | {"gender-calibration": calibration(report), "sizes": sizes(report)}


def confusion(report: AttributeReport, px: str) -> Files:
    """Shares of each labelled age bin by the likeliest bin."""
    require()
    from matplotlib.figure import Figure

    table = np.array(report.confusion[px], np.float64)
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(5.6, 5.2), layout="constrained")
    axes = figure.add_subplot()
    frame(axes, f"Age bins, faces of {px} px", "Likeliest bin", "Labelled bin")
    axes.grid(visible=False)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    words = [label(*bin_) for bin_ in BINS]
    axes.set_xticks(range(len(BINS)), words, rotation=45)
    axes.set_yticks(range(len(BINS)), words)
    for (line, column), share in np.ndenumerate(shares):
        ink = "white" if share > 0.6 else INK
        text = f"{100 * share:.0f}"
        axes.text(column, line, text, ha="center", va="center", fontsize=8, color=ink)
    return {kind: saved(figure, kind) for kind in ("png", "svg")}


def calibration(report: AttributeReport) -> Files:
    """How often "female" was the label, over the probability said, by size of the face."""
    require()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 4.8), layout="constrained")
    axes = figure.add_subplot()
    frame(axes, "Gender", 'Probability said of "female"', "Share labelled so")
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1.5)
    for number, one in enumerate(report.calibrations):
        points = [
            (said, came)
            for said, came in zip(one.confidence, one.frequency, strict=True)
            if said is not None and came is not None
        ]
        error = "" if one.error is None else f", error {one.error:.3f}"
        if points:
            axes.plot(
                *zip(*points, strict=True),
                color=STYLES[number % len(STYLES)][0],
                linestyle=STYLES[(number + number // len(STYLES)) % len(STYLES)][1],
                marker="o",
                markersize=3.5,
                label=f"{one.px} px{error}",
            )
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    if report.calibrations:
        axes.legend(frameon=False, labelcolor=INK)
    return {kind: saved(figure, kind) for kind in ("png", "svg")}


def sizes(report: AttributeReport) -> Files:
    """Shares of right answers and coverage on the left, years on the right, over the size."""
    require()
    from matplotlib.figure import Figure

    rows = sorted(report.rows["all"], key=lambda row: row.px)
    figure = Figure(figsize=(9.2, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    frame(left, "Right answers", "Height of the face, pixels", "Share")
    frame(right, "Years", "Height of the face, pixels", "Years")
    across = [row.px for row in rows]
    low, high = ACCEPTED
    left.axhspan(low, high, color=FAINT, linewidth=0)
    shares = {
        "gender": [row.gender for row in rows],
        "one bin off at most": [row.one_off for row in rows],
        "exact bin": [row.exact for row in rows],
        f"interval holds ({LEVEL:.0%} promised)": [row.coverage for row in rows],
    }
    years = {
        "mean error of the estimate": [row.mae for row in rows],
        "mean width of the interval": [row.width for row in rows],
    }
    for axes, curves in ((left, shares), (right, years)):
        for number, (name, values) in enumerate(curves.items()):
            colour, dashes = STYLES[number]
            axes.plot(across, _numbers(values), color=colour, linestyle=dashes, marker="o",
                      markersize=3.5, label=name)  # fmt: skip
        axes.set_xscale("log")
        axes.set_xticks(across, [str(px) for px in across])
        axes.minorticks_off()
        axes.legend(frameon=False, labelcolor=INK)
    left.set_ylim(0, 1.01)
    right.set_ylim(bottom=0)
    return {kind: saved(figure, kind) for kind in ("png", "svg")}


def _numbers(values: Sequence[float | None]) -> list[float]:
    return [float("nan") if value is None else value for value in values]
