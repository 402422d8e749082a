"""Plots of pairs: DET, ROC, how similarities spread, and stated against measured rates."""

from __future__ import annotations

import math

import numpy as np

from facecctv import metrics
from facecctv.learn import taught_plots
from facecctv.learn.pair_report import BANDS, STATED, PairReport, PairScores
from facecctv.learn.plots import INK, STYLES, frame, require, saved

Files = dict[str, bytes]
_TICKS = (1e-3, 1e-2, 0.05, 0.2, 0.5)
_LEAST = 20
"""Pairs of each kind that a curve needs to say anything."""


def all_plots(scores: PairScores, report: PairReport) -> dict[str, Files]:
    """Name -> "png" and "svg" -> bytes. Raises MissingExtra without matplotlib."""
    curves = _curves(scores)
    plots = {"det": det(curves), "roc": taught_plots.roc(curves)}
    if len(scores.same):
        groups = {"one person": scores.similarity[scores.same],
                  "different people": scores.similarity[~scores.same]}  # fmt: skip
        known = {name: values for name, values in groups.items() if len(values)}
        plots["similarities"] = taught_plots.histogram(known, "Similarity")
    plots["calibration"] = stated_and_measured(report)
    return plots


def _curves(scores: PairScores) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    found = {}
    for low, high in ((0, math.inf), *BANDS):
        inside = (scores.face_px >= low) & (scores.face_px < high)
        same = scores.same[inside]
        if min(same.sum(), (~same).sum()) >= _LEAST:
            found[label(low, high)] = (scores.similarity[inside], same)
    return found


def label(low: float, high: float | None) -> str:
    """What a band is called."""
    if high is None or math.isinf(high):
        return f"{low:g}+ px" if low else "all"
    return f"{low:g}-{high:g} px"


def det(curves: dict[str, tuple[np.ndarray, np.ndarray]]) -> Files:
    """False rejection over false acceptance, both as normal deviates."""
    require()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 4.8), layout="constrained")
    axes = figure.add_subplot()
    frame(axes, "DET", "False match rate", "False non-match rate")
    for number, (name, (scores, labels)) in enumerate(curves.items()):
        curve = metrics.roc(scores, labels.astype(int))
        across = np.clip(metrics.normal_deviate(curve.fpr), -4, 4)
        up = np.clip(metrics.normal_deviate(curve.fnr), -4, 4)
        axes.plot(across, up, **_style(number), linewidth=1.8, label=name)
    places = metrics.normal_deviate(_TICKS)
    words = [f"{100 * tick:g} %" for tick in _TICKS]
    axes.set_xticks(places, words)
    axes.set_yticks(places, words)
    axes.set_xlim(places[0], places[-1])
    axes.set_ylim(places[0], places[-1])
    if curves:
        axes.legend(frameon=False, labelcolor=INK)
    return {kind: saved(figure, kind) for kind in ("png", "svg")}


def stated_and_measured(report: PairReport) -> Files:
    """How often strangers pass, over how often they were said to, by size of the worse face."""
    require()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 4.8), layout="constrained")
    axes = figure.add_subplot()
    frame(axes, "False-match rate", "Stated", "Measured")
    line = np.array([STATED[-1] / 2, STATED[0] * 2])
    axes.fill_between(line, line / 2, line * 2, color="#dfe3e8", linewidth=0, label="factor 2")
    axes.plot(line, line, color=INK, linewidth=0.8)
    drawn = [band for band in report.bands if band.different >= _LEAST]
    for number, band in enumerate(drawn):
        points = [(float(rate), value) for rate, value in band.measured.items() if value]
        if points:
            axes.plot(*zip(*points, strict=True), **_style(number), marker="o", markersize=3.5,
                      label=label(band.low, band.high))  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.legend(frameon=False, labelcolor=INK)
    return {kind: saved(figure, kind) for kind in ("png", "svg")}


def _style(number: int) -> dict[str, str]:
    """Colours repeat with other dashes."""
    dashes = STYLES[(number + number // len(STYLES)) % len(STYLES)][1]
    return {"color": STYLES[number % len(STYLES)][0], "linestyle": dashes}
