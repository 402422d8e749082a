"""What is wrong with a data set before anybody trains on it."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from facecctv.draw import outline
from facecctv.errors import ImageError
from facecctv.geometry import iou
from facecctv.image import resize
from facecctv.learn.data.dataset import FACE, Dataset, Fault, Labelled, Pictures
from facecctv.learn.data.enough import Curve, estimate
from facecctv.learn.data.manifest import Manifest
from facecctv.learn.data.report import Report, Tile, bars, curve
from facecctv.learn.data.similar import clusters, fingerprints, repeated
from facecctv.types import Body, Image

LEAST_SIDE = 8.0
_SAME_FACE = 0.8
_STICKS_OUT = 1.5
_SHOWN = 12
WARNINGS = frozenset({"no labels", "tiny box", "sticks out", "near duplicate", "same file twice"})
"""Kinds of faults that one may train with; all others should be mended first."""


@dataclass(frozen=True, eq=False)
class Findings:
    """All that a check found."""

    dataset: Dataset
    faults: tuple[Fault, ...]
    repeats: tuple[tuple[str, ...], ...]
    """Names of pictures that are the same file."""
    look_alikes: tuple[tuple[str, ...], ...]
    """Names of pictures that nearly are the same, groups of two and more."""
    balance: Mapping[str, int]
    """Boxes per label, pictures without a face, and pictures of nobody knows what."""
    people: Mapping[str, int]
    """Pictures per identity."""
    curve: Curve | str

    @property
    def errors(self) -> int:
        """How many faults should be mended before training."""
        return sum(fault.kind not in WARNINGS for fault in self.faults)

    @property
    def kinds(self) -> Counter[str]:
        """How often each kind of fault occurs."""
        return Counter(fault.kind for fault in self.faults)


def label_faults(
    item: Labelled,
    name: str,
    expected: Sequence[str] | None = (FACE,),
    least_side: float = LEAST_SIDE,
) -> list[Fault]:
    """What is wrong with the boxes of one picture; its pixels are not looked at.

    `expected` are the labels that may occur; None allows any. `least_side` in pixels.
    """
    faults = []
    limits = np.array([0, 0, item.width, item.height], np.float32)
    over = np.concatenate([limits[:2] - item.boxes[:, :2], item.boxes[:, 2:] - limits[2:]], axis=1)
    for box, label, beyond in zip(item.boxes, item.labels, over, strict=True):
        at = f"the box at {box[0]:.0f}, {box[1]:.0f}"
        sides = box[2:] - box[:2]
        if (box[:2] >= limits[2:]).any() or (box[2:] <= 0).any():
            faults.append(Fault(name, "box outside", f"{at} lies outside the picture"))
        elif beyond.max() > _STICKS_OUT:
            detail = f"{at} sticks out of the picture by {beyond.max():.0f} px"
            faults.append(Fault(name, "sticks out", detail))
        if sides.min() < least_side:
            detail = f"{at} is tiny: {sides[0]:.0f} x {sides[1]:.0f} px"
            faults.append(Fault(name, "tiny box", detail))
        if expected is not None and label not in expected:
            faults.append(Fault(name, "unknown label", _unknown(label, expected)))
    overlap = iou(item.boxes, item.boxes)
    for i, j in combinations(range(len(item.boxes)), 2):
        if overlap[i, j] > _SAME_FACE:
            both = f"{item.labels[i]!r} and {item.labels[j]!r}"
            detail = f"two labels for one face at {item.boxes[i, 0]:.0f}, {item.boxes[i, 1]:.0f}"
            faults.append(Fault(name, "two labels for one face", f"{detail}: {both}"))
    return faults


def _unknown(label: str, expected: Sequence[str]) -> str:
    near = difflib.get_close_matches(label.lower(), expected, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"expected {', '.join(expected)}"
    return f"unknown label {label!r}: {hint}"


def check(
    dataset: Dataset,
    manifest: Manifest | None = None,
    expected: Sequence[str] | None = (FACE,),
    least_side: float = LEAST_SIDE,
    *,
    enough: bool = True,
    step: Callable[[], None] = lambda: None,
) -> Findings:
    """Looks at every label and every picture.

    Leaks are looked for across the manifest's splits, or else across those that the source states.
    `step` is called once per picture (and once more for those that the learning curve reads).
    """
    faults = list(dataset.faults)
    for item in dataset:
        faults += label_faults(item, dataset.name(item), expected, least_side)
    prints, unreadable = fingerprints(dataset, step)
    faults += unreadable
    index = [i for i, p in enumerate(prints) if p is not None]
    readable = [p for p in prints if p is not None]
    items = [dataset.items[i] for i in index]
    for item, seen in zip(items, readable, strict=True):
        if seen.size != item.size:
            detail = "labelled at {} x {} pixels, but the picture has {} x {}"
            faults.append(Fault(seen.name, "wrong size", detail.format(*item.size, *seen.size)))
    groups = clusters(readable)
    names = [p.name for p in readable]
    repeats = [[names[i] for i in group] for group in repeated(readable)]
    alike = [
        [names[i] for i in np.flatnonzero(groups == g)]
        for g, count in zip(*np.unique(groups, return_counts=True), strict=True)
        if count > 1
    ]
    faults += [Fault(g[0], "same file twice", f"the same file as {g[1]}") for g in repeats]
    splits = _splits(items, names, manifest)
    faults += _leaks(names, splits, [int(g) for g in groups], "look-alikes")
    faults += _leaks(names, splits, [i.identity for i in items], "pictures of one person")
    people = Counter(item.identity for item in items if item.identity is not None)
    if len(people) == 1:
        only = next(iter(people))
        faults.append(Fault(only, "one identity", "all pictures show one person: nothing to tell"))
    readable_set = dataset.with_items(tuple(items))
    learning = estimate(readable_set, groups, step=step) if enough else "not asked for"
    return Findings(
        dataset,
        tuple(faults),
        tuple(map(tuple, repeats)),
        tuple(map(tuple, alike)),
        _balance(items),
        people,
        learning,
    )


def _balance(items: Sequence[Labelled]) -> dict[str, int]:
    counts = Counter(label for item in items for label in item.labels)
    counts["no face (pictures)"] = sum(i.located and not len(i.boxes) for i in items)
    counts["not located (pictures)"] = sum(not i.located for i in items)
    return {label: count for label, count in counts.most_common() if count}


def _splits(
    items: Sequence[Labelled], names: Sequence[str], manifest: Manifest | None
) -> list[str | None]:
    if manifest is None:
        return [str(s) if (s := item.attributes.get("split")) else None for item in items]
    return [e.split if (e := manifest.files.get(name)) else None for name in names]


def _leaks(
    names: Sequence[str], splits: Sequence[str | None], groups: Sequence[object], what: str
) -> list[Fault]:
    members: dict[object, dict[str, str]] = {}
    for name, split, group in zip(names, splits, groups, strict=True):
        if split is not None and group is not None:
            members.setdefault(group, {}).setdefault(split, name)
    return [
        Fault(next(iter(found.values())), "leak", f"{what} are in {_places(found)}")
        for found in members.values()
        if len(found) > 1
    ]


def _places(found: Mapping[str, str]) -> str:
    return " and ".join(f"{split} ({name})" for split, name in found.items())


def write_report(findings: Findings, path: Path) -> None:
    """The findings as one HTML file with pictures. Raises OutputError."""
    dataset = findings.dataset
    report = Report(
        "Data check", f"{dataset.root.name}: {len(dataset):,} pictures, {dataset.format}"
    )
    warnings = len(findings.faults) - findings.errors
    report.tiles(
        [
            Tile(f"{len(dataset):,}", "pictures with labels"),
            Tile(f"{sum(len(i.boxes) for i in dataset):,}", "boxes"),
            Tile(f"{findings.errors:,}", "errors", "bad" if findings.errors else "good"),
            Tile(f"{warnings:,}", "warnings", "warn" if warnings else "good"),
            Tile(f"{sum(map(len, findings.look_alikes)):,}", "pictures with a look-alike"),
        ]
    )
    pictures = _Shown(dataset)
    report.heading("What is wrong")
    if findings.faults:
        _faults(report, findings, pictures)
    else:
        report.text("Nothing was found.")
    report.heading("What there is")
    report.plot("Boxes by label, pictures without", bars(list(findings.balance.items())))
    if findings.people:
        counts = Counter(findings.people.values())
        plot = bars([(str(n), counts[n]) for n in sorted(counts)[:40]])
        report.plot("People by number of pictures", plot)
    report.heading("Is this enough?")
    if isinstance(findings.curve, Curve):
        c = findings.curve
        report.text(f"Task: {c.task}. {c.verdict}")
        points = list(zip(c.sizes, c.errors, strict=True))
        report.plot("Error of the quick learner", curve(points, c.forecast, c.unit, "error"))
        report.text(
            "A small linear learner on gradient histograms, not the network you will train: the "
            "shape of the curve carries over, its height does not. The band is a 90 % interval "
            "from repeats on these pictures; pictures of another kind are beyond it."
        )
    else:
        report.text(findings.curve)
    if findings.look_alikes:
        report.heading("Look-alikes", "Keep each group in one split: data split --by cluster.")
        largest = sorted(findings.look_alikes, key=len, reverse=True)[:_SHOWN]
        for group in largest:
            report.pictures(pictures.all(group[:5], len(group)))
    report.write(path)


def _faults(report: Report, findings: Findings, pictures: _Shown) -> None:
    by_kind: dict[str, list[Fault]] = {}
    for fault in findings.faults:
        by_kind.setdefault(fault.kind, []).append(fault)
    order = sorted(by_kind, key=lambda kind: (kind in WARNINGS, -len(by_kind[kind])))
    rows = [(k, "warning" if k in WARNINGS else "error", len(by_kind[k])) for k in order]
    report.table(("kind", "", "how often"), rows)
    for kind in order:
        found = by_kind[kind]
        more = f", the first {_SHOWN} of {len(found):,}" if len(found) > _SHOWN else ""
        report.heading(f"{kind.capitalize()}{more}")
        report.table(("file", "what"), [(f.source, f.detail) for f in found[:_SHOWN]])
        report.pictures(pictures.all([f.source for f in found[:6]]))


class _Shown:
    """Pictures of the data set by name, with their boxes drawn."""

    def __init__(self, dataset: Dataset) -> None:
        self._items = {dataset.name(item): item for item in dataset}
        self._pictures = Pictures()

    def all(self, names: Sequence[str], total: int | None = None) -> list[tuple[Image, str]]:
        """Those that can be shown, with their names; the last tells how many more there are."""
        found = []
        for name in dict.fromkeys(names):
            item = self._items.get(name)
            try:
                if item is not None:
                    found.append((drawn(item, self._pictures.image(item.path)), name))
            except ImageError:  # that it cannot be shown is what the report says of it
                continue
        if found and total and total > len(names):
            image, name = found[-1]
            found[-1] = (image, f"{name} and {total - len(names):,} more")
        return found


def drawn(item: Labelled, image: Image, side: int = 320) -> Image:
    """The picture, longer side at most `side` pixels, with the boxes that lie in it outlined."""
    scale = min(1.0, side / max(image.shape[:2]))
    width, height = (max(1, round(s * scale)) for s in image.shape[1::-1])
    inside = np.clip(item.boxes, 0, [item.width, item.height] * 2)
    inside = inside * np.tile([width / item.width, height / item.height], 2)
    marks = [Body(box=box, score=1.0) for box in inside if (box[2:] - box[:2]).min() > 1]
    return outline(resize(image, width, height), marks)
