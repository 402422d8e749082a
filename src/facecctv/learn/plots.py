"""Plots for reports, as the bytes of PNG and SVG files; drawn without a display."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING

from facecctv.errors import MissingExtra
from facecctv.learn.evaluate import DetectorReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Told apart by people who see colours differently (after Okabe and Ito), and by their dashes.
STYLES = (("#0072b2", "-"), ("#d55e00", "--"), ("#009e73", "-."), ("#cc79a7", ":"))
INK, FAINT = "#2b2f36", "#d9dce1"


def require() -> None:
    """Raises MissingExtra where matplotlib is not installed."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise MissingExtra("plots need matplotlib: pip install 'facecctv[learn]'") from error


def precision_recall(report: DetectorReport) -> dict[str, bytes]:
    """Precision over recall for all conditions: "png" and "svg" -> bytes of the file.

    A dot marks the working point of the model's card. Raises MissingExtra without matplotlib.
    """
    require()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    axes = figure.add_subplot()
    title = f"{report.model} on {report.data}, {report.pictures} pictures"
    frame(axes, title, "Recall", "Precision")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.01)
    for number, condition in enumerate(report.conditions):
        colour, dashes = STYLES[number % len(STYLES)]
        overall = condition.bands[0].ap
        known = "no faces" if math.isnan(overall) else f"AP {overall:.3f}"
        label = f"{condition.name}: {known}"
        # Down to the axis: what recall is reached at all should be seen.
        curve = condition.curve
        recall = [*(0.0 for _ in curve.recall[:1]), *curve.recall, *curve.recall[-1:]]
        precision = [*curve.precision[:1], *curve.precision, *(0.0 for _ in curve.recall[:1])]
        axes.plot(recall, precision, color=colour, linestyle=dashes, linewidth=1.8, label=label)
        point = condition.at_threshold
        axes.plot([point.recall], [point.precision], "o", color=colour, markersize=6)
    axes.plot([], [], "o", color=INK, markersize=6, label=f"score {report.threshold:.2f}")
    axes.legend(loc="lower left", frameon=False, labelcolor=INK)
    return {kind: saved(figure, kind) for kind in ("png", "svg")}


def frame(axes: Axes, title: str, across: str, up: str) -> None:
    """Gives a plot its title, names of its axes, and the look that all plots share."""
    axes.set_title(title, loc="left", fontsize=11, color=INK)
    axes.set_xlabel(across, color=INK)
    axes.set_ylabel(up, color=INK)
    axes.grid(color=FAINT, linewidth=0.7)
    axes.tick_params(colors=INK, length=0)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(FAINT)


def saved(figure: Figure, kind: str) -> bytes:
    """The figure as the bytes of a PNG or SVG file."""
    from matplotlib import rc_context

    stream = io.BytesIO()
    # Without date and chance: the same figures give the same bytes.
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    with rc_context({"svg.hashsalt": "facecctv"}):
        figure.savefig(stream, format=kind, dpi=144, metadata=metadata)
    return stream.getvalue()
