"""What a data set holds, as one HTML report: people, sizes, light, attributes, correlations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facecctv.errors import ImageError
from facecctv.learn.data.check import drawn
from facecctv.learn.data.dataset import Dataset, Fault, Labelled, Pictures, Value
from facecctv.learn.data.report import Report, Tile, bars, heat_map, histogram
from facecctv.learn.data.similar import Print, fingerprints
from facecctv.types import Floats

_MOST_ATTRIBUTES = 45
_MOST_VALUES = 30
_SAMPLES = 12
_NUMBER_LIKE = 12
"""Numbers with more different values than this are drawn as a histogram."""


@dataclass(frozen=True, eq=False)
class Overview:
    """The figures behind the report."""

    dataset: Dataset
    prints: tuple[Print, ...]
    per_person: Mapping[str, int]
    """Pictures per identity."""
    box_heights: Floats
    """(B,) pixels."""
    box_shares: Floats
    """(B,) a box's height as a share of its picture's."""
    attributes: Mapping[str, list[Value]]
    """Every attribute's known values."""
    names: tuple[str, ...]
    """Of the rows of `correlation`: attributes that are numbers or have two values."""
    correlation: Floats
    """(A, A) Pearson's r in -1..1; NaN where one never varies."""
    faults: tuple[Fault, ...]


def explore(dataset: Dataset, step: Callable[[], None] = lambda: None) -> Overview:
    """Reads every picture once. `step` is called for each."""
    prints, faults = fingerprints(dataset, step)
    items = dataset.items
    heights = [b[3] - b[1] for item in items for b in item.boxes]
    shares = [(b[3] - b[1]) / item.height for item in items for b in item.boxes]
    names, matrix = correlations([item.attributes for item in items])
    attributes: dict[str, list[Value]] = {}
    for item in items:
        for name, value in item.attributes.items():
            attributes.setdefault(name, []).append(value)
    return Overview(
        dataset,
        tuple(p for p in prints if p is not None),
        Counter(item.identity for item in items if item.identity is not None),
        np.array(heights, np.float32),
        np.array(shares, np.float32),
        attributes,
        names,
        matrix,
        (*dataset.faults, *faults),
    )


def correlations(rows: Sequence[Mapping[str, Value]]) -> tuple[tuple[str, ...], Floats]:
    """Pearson's r of all attributes that are numbers or have exactly two values.

    Of two words the later in the alphabet counts 1, and the name says so. Pictures that lack
    one of a pair are left out of that pair.
    """
    columns: dict[str, np.ndarray] = {}
    for name in dict.fromkeys(n for row in rows for n in row):
        values = [row.get(name) for row in rows]
        known = sorted({v for v in values if isinstance(v, str)})
        if not known:
            columns[name] = np.array([np.nan if v is None else float(v) for v in values])
        elif len(known) == 2 and all(v is None or isinstance(v, str) for v in values):
            as_number = {None: np.nan, known[0]: 0.0, known[1]: 1.0}
            columns[f"{name}: {known[1]}"] = np.array([as_number[v] for v in values])
    names = tuple(columns)[:_MOST_ATTRIBUTES]
    matrix = np.full((len(names), len(names)), np.nan, np.float32)
    for i, first in enumerate(names):
        for j, second in enumerate(names[: i + 1]):
            both = np.isfinite(columns[first]) & np.isfinite(columns[second])
            a, b = columns[first][both], columns[second][both]
            if len(a) > 1 and a.std() > 0 and b.std() > 0:
                matrix[i, j] = matrix[j, i] = np.corrcoef(a, b)[0, 1]
    return names, matrix


def write_report(overview: Overview, path: Path) -> None:
    """The overview as one HTML file. Raises OutputError."""
    dataset = overview.dataset
    report = Report("Data overview", f"{dataset.root.name}: {dataset.format}")
    located = [item for item in dataset if item.located]
    known = len(overview.per_person)
    tiles = [
        Tile(f"{len(dataset):,}", "pictures"),
        Tile(f"{len(overview.box_heights):,}", "boxes"),
        Tile(f"{sum(not len(i.boxes) for i in located):,}", "pictures without a face"),
        Tile(f"{known:,}", "people") if known else Tile("-", "people: no label says who is who"),
    ]
    if overview.faults:
        tiles.append(Tile(f"{len(overview.faults):,}", "files left out", "warn"))
    report.tiles(tiles)
    if overview.per_person:
        _people(report, overview)
    report.heading("Pictures")
    widths, heights = ([p.size[i] for p in overview.prints] for i in (0, 1))
    report.plot("Width, pixels", histogram(widths, whole=True))
    report.plot("Height, pixels", histogram(heights, whole=True))
    report.plot(
        "Brightness, 0 black to 1 white", histogram([p.brightness for p in overview.prints])
    )
    if len(overview.box_heights):
        report.heading("Boxes")
        report.plot("Height, pixels", histogram(overview.box_heights.tolist()))
        report.plot("Height as a share of the picture's", histogram(overview.box_shares.tolist()))
        counts = Counter(len(item.boxes) for item in located)
        rows = [(str(n), counts[n]) for n in range(min(max(counts), 30) + 1)]
        report.plot("Boxes per picture", bars(rows))
    if overview.attributes:
        _attributes(report, overview)
    report.heading("Samples")
    report.pictures(_samples(dataset))
    report.write(path)


def _people(report: Report, overview: Overview) -> None:
    counts = np.array(sorted(overview.per_person.values()))
    report.heading(
        "People",
        f"From {counts[0]:,} to {counts[-1]:,} pictures each, median {np.median(counts):g}; "
        f"{int((counts == 1).sum()):,} people have one only, which no pair can be made of.",
    )
    report.plot("People by number of pictures", histogram(counts.tolist(), 30, whole=True))
    most = Counter(overview.per_person).most_common(15)
    report.plot("Most pictures", bars([(name, count) for name, count in most]))


def _attributes(report: Report, overview: Overview) -> None:
    report.heading("Attributes")
    binary = {n: v for n, v in overview.attributes.items() if set(v) <= {-1.0, 0.0, 1.0}}
    if binary:
        shares = sorted(((n, np.mean(np.array(v) == 1)) for n, v in binary.items()), key=_second)
        rows = [(n, f"{100 * share:.1f} %", f"{len(binary[n]):,}") for n, share in reversed(shares)]
        report.table(("attribute", "has it", "of pictures"), rows)
    for name, values in list(overview.attributes.items())[:_MOST_ATTRIBUTES]:
        if name in binary:
            continue
        numbers = [v for v in values if isinstance(v, float)]
        if len(numbers) == len(values) and len(set(numbers)) > _NUMBER_LIKE:
            report.plot(name, histogram(numbers))
        else:
            common = Counter(str(v) for v in values).most_common(_MOST_VALUES)
            report.plot(name, bars(sorted(common, key=lambda row: _order(row[0]))))
    if len(overview.names) > 1:
        report.heading("How attributes go together", "Pearson's r: red together, blue apart.")
        report.plot("Correlation", heat_map(overview.names, overview.correlation), wide=True)


def _second(row: tuple[str, float]) -> float:
    return row[1]


def _order(text: str) -> tuple[float, str]:
    """Numbers, also at the beginning of words such as `20-29`, by value; the rest by alphabet."""
    digits = ""
    for letter in text.removeprefix("more than "):
        if not (letter.isdigit() or letter == "."):
            break
        digits += letter
    return (float(digits) if digits.strip(".") else np.inf, text)


def _samples(dataset: Dataset) -> list[tuple[np.ndarray, str]]:
    chosen = np.unique(np.linspace(0, len(dataset) - 1, min(_SAMPLES, len(dataset))).astype(int))
    pictures, shown = Pictures(), []
    for item in (dataset.items[i] for i in chosen):
        try:
            shown.append((drawn(item, pictures.image(item.path)), _caption(dataset, item)))
        except ImageError:  # counted among the faults already
            continue
    return shown


def _caption(dataset: Dataset, item: Labelled) -> str:
    who = f", {item.identity}" if item.identity else ""
    return f"{dataset.name(item)}{who}"
