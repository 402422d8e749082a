"""Plots of trainings and of what came out, each as {"png": bytes, "svg": bytes}."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from facecctv import metrics
from facecctv.learn.plots import INK, STYLES, frame, require, saved

Files = dict[str, bytes]


def loss_curves(history: Sequence[dict[str, float]]) -> Files:
    """Every loss over the epochs: one panel a head, training and validation in each."""
    names = [k for k in history[-1] if k.endswith("loss") and not k.startswith("val_")]
    names.sort(key=lambda name: (name != "loss", name))
    figure = _figure(max(5.6, 3.6 * len(names)), 3.4)
    epochs = [row["epoch"] for row in history]
    for number, name in enumerate(names):
        axes = figure.add_subplot(1, len(names), number + 1)
        title = "" if len(names) == 1 else "all" if name == "loss" else name.removesuffix("_loss")
        frame(axes, title, "Epoch", "Loss")
        axes.xaxis.get_major_locator().set_params(integer=True)
        for (colour, dashes), key, label in zip(
            STYLES, (name, f"val_{name}"), ("training", "validation"), strict=False
        ):
            values = [row.get(key, np.nan) for row in history]
            axes.plot(epochs, values, dashes, color=colour, linewidth=1.8, label=label)
        axes.legend(frameon=False, labelcolor=INK)
    return _files(figure)


def confusion(counts: np.ndarray, names: Sequence[str]) -> Files:
    """(2, 2) counts, row truth, column what was said."""
    figure = _figure(3.6, 3.4)
    axes = figure.add_subplot()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    frame(axes, "", "Said", "True")
    axes.grid(visible=False)
    axes.set_xticks((0, 1), names)
    axes.set_yticks((0, 1), names)
    for row in range(2):
        for column in range(2):
            text = f"{counts[row, column]}\n{100 * shares[row, column]:.1f} %"
            tint = "white" if shares[row, column] > 0.5 else INK
            axes.text(column, row, text, ha="center", va="center", color=tint)
    return _files(figure)


def roc(curves: dict[str, tuple[np.ndarray, np.ndarray]]) -> Files:
    """Name -> (scores, labels): true over false positive rate."""
    figure = _figure(4.6, 4.0)
    axes = figure.add_subplot()
    frame(axes, "", "False positive rate", "True positive rate")
    for number, (name, (scores, labels)) in enumerate(curves.items()):
        curve = metrics.roc(scores, np.asarray(labels, int))
        colour, dashes = STYLES[number % len(STYLES)]
        label = f"{name}: EER {metrics.eer(scores, np.asarray(labels, int)):.3f}"
        axes.plot(curve.fpr, curve.tpr, dashes, color=colour, linewidth=1.8, label=label)
    axes.plot((0, 1), (0, 1), color="#b9bfc8", linewidth=0.8)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.01)
    axes.legend(loc="lower right", frameon=False, labelcolor=INK)
    return _files(figure)


def precision_recall(scores: np.ndarray, labels: np.ndarray) -> Files:
    """Precision over recall, highest score first."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(np.asarray(labels, int)[order])
    figure = _figure(4.6, 4.0)
    axes = figure.add_subplot()
    frame(axes, "", "Recall", "Precision")
    precision, recall = hits / np.arange(1, len(hits) + 1), hits / max(1, hits[-1])
    axes.plot(recall, precision, color=STYLES[0][0], linewidth=1.8)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.01)
    return _files(figure)


def histogram(groups: dict[str, np.ndarray], across: str, threshold: float | None = None) -> Files:
    """How values of several groups are spread, with a threshold as a line."""
    figure = _figure(5.6, 3.4)
    axes = figure.add_subplot()
    frame(axes, "", across, "Share")
    everything = np.concatenate(list(groups.values()))
    edges = np.linspace(everything.min(), everything.max() + 1e-6, 41)
    for number, (name, values) in enumerate(groups.items()):
        colour = STYLES[number % len(STYLES)][0]
        weights = np.full(len(values), 1 / max(1, len(values)))
        axes.hist(values, edges, weights=weights, color=colour, alpha=0.45, label=name)
        axes.hist(values, edges, weights=weights, color=colour, histtype="step", linewidth=1.4)
    if threshold is not None:
        axes.axvline(threshold, color=INK, linewidth=1.4, label=f"threshold {threshold:.3f}")
    axes.legend(frameon=False, labelcolor=INK)
    return _files(figure)


def _figure(width: float, height: float):
    require()
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _files(figure) -> Files:
    return {kind: saved(figure, kind) for kind in ("png", "svg")}
