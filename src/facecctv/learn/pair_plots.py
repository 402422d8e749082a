"""Plots of pairs: DET, ROC, how similarities spread, and stated against measured rates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from facecctv import metrics
from facecctv.learn import taught_plots
from facecctv.learn.pair_report import BANDS, PairReport, PairScores
from facecctv.learn.plots import INK, STYLES, frame, require, saved
from facecctv.learn.stated import RATES, StatedRate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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
    drawn = {
        label(band.low, band.high): band.stated for band in report.bands if band.judged >= _LEAST
    }
    plots["calibration"] = stated_and_measured(drawn)
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


def stated_and_measured(curves: Mapping[str, Sequence[StatedRate]]) -> Files:
    """How often strangers passed, over how often they were said to: a panel for each name.

    Bars are the binomial 95 % interval; where nobody passed only its upper end is known, an arrow
    down. Empty, a panel without points. Raises MissingExtra without matplotlib.
    """
    require()
    from matplotlib.figure import Figure

    panels = curves or {"": ()}
    columns = min(4, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(2.7 * columns + 0.4, 2.5 * rows + 0.4), layout="constrained")
    line = np.array([RATES[-1] / 2, RATES[0] * 2])
    for number, (name, rates) in enumerate(panels.items()):
        axes = figure.add_subplot(rows, columns, number + 1)
        frame(axes, name, "", "")
        axes.fill_between(line, line / 2, line * 2, color="#dfe3e8", linewidth=0)
        axes.plot(line, line, color=INK, linewidth=0.8)
        for one in rates:
            _point(axes, one)
        axes.set(xscale="log", yscale="log", xlim=line, ylim=(line[0] / 4, line[1] * 2))
    figure.supxlabel("Stated false-match rate", fontsize=10, color=INK)
    figure.supylabel("Measured on other people", fontsize=10, color=INK)
    return {kind: saved(figure, kind) for kind in ("png", "svg")}


def _point(axes: Axes, one: StatedRate) -> None:
    low, high = one.interval
    if one.passed:
        around = [[one.measured - low], [high - one.measured]]
        axes.errorbar([one.stated], [one.measured], around, fmt="o", markersize=3.5,
                      color=STYLES[0][0], capsize=2, linewidth=1)  # fmt: skip
    else:
        axes.plot([one.stated], [high], "v", markersize=5, color=STYLES[0][0])


def _style(number: int) -> dict[str, str]:
    """Colours repeat with other dashes."""
    dashes = STYLES[(number + number // len(STYLES)) % len(STYLES)][1]
    return {"color": STYLES[number % len(STYLES)][0], "linestyle": dashes}
