"""HTML reports in one file: no script, nothing fetched, all text escaped, plots as SVG."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facecctv.errors import OutputError
from facecctv.image import encode, resize, shown, write_atomic
from facecctv.types import Image

_STYLE = """
:root{color-scheme:light dark;--ink:#1d2127;--dim:#626a76;--line:#dde1e7;--ground:#f6f7f9;
--card:#fff;--bar:#2f6fde;--warn:#b4540a;--bad:#c22f2f;--good:#1c7c4a}
@media(prefers-color-scheme:dark){:root{--ink:#e8eaee;--dim:#9aa3b0;--line:#343a44;
--ground:#16181c;--card:#1f2228;--bar:#6ea1ff;--warn:#f0a35a;--bad:#ff7b72;--good:#5cc98d}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1080px;padding:32px 24px 64px;background:var(--ground);
color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
h1{font-size:26px;margin:0 0 4px}h2{font-size:18px;margin:36px 0 10px}
p{margin:6px 0;max-width:75ch}.dim{color:var(--dim)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:18px 0}
.tile,.plot,.table{background:var(--card);border:1px solid var(--line);border-radius:8px}
.tile{padding:12px 14px}.tile b{display:block;font-size:22px;line-height:1.25}
.bad b{color:var(--bad)}.warn b{color:var(--warn)}.good b{color:var(--good)}
.table{margin:0 0 14px;overflow-x:auto}
table{border-collapse:separate;border-spacing:0;width:100%}
td{overflow-wrap:anywhere;min-width:4em}td.n{min-width:0}
td,th{padding:6px 12px;text-align:left;border-top:1px solid var(--line);vertical-align:top}
tr:first-child>*{border-top:0}th{font-weight:600;color:var(--dim);vertical-align:bottom}
.n{text-align:right}td.n{font-variant-numeric:tabular-nums;white-space:nowrap}
.plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(400px,100%),1fr));gap:14px}
.plot{padding:12px 14px;margin:0;min-width:0}.plot figcaption{font-weight:600;margin-bottom:6px}
.plot svg{display:block;width:100%;max-width:620px;height:auto;
overflow:visible}.wide{grid-column:1/-1}.wide svg{max-width:none}
@media(prefers-color-scheme:dark){.paper svg{filter:invert(.88) hue-rotate(180deg)}}
@media(max-width:600px){body{padding:20px 14px 40px}.wide{overflow-x:auto}.wide svg{width:640px}}
svg text{fill:var(--dim);font:11px system-ui,sans-serif}
.pictures{display:flex;flex-wrap:wrap;gap:12px;margin:10px 0}
.pictures figure{margin:0;width:160px;font-size:12px;overflow-wrap:anywhere}
.pictures img{display:block;width:160px;height:120px;object-fit:contain;background:#0002;
border-radius:6px}
"""


@dataclass(frozen=True)
class Tile:
    """One number at the head of a report."""

    value: str
    label: str
    mood: str = ""
    """`good`, `warn`, `bad` or nothing."""


class Report:
    """Collects sections; `write` makes the file."""

    def __init__(self, title: str, subtitle: str) -> None:
        self._title = html.escape(shown(title))
        self._parts = [f"<h1>{self._title}</h1><p class=dim>{html.escape(shown(subtitle))}</p>"]
        self._in_plots = False

    def tiles(self, tiles: Sequence[Tile]) -> None:
        """Numbers side by side."""
        cells = "".join(
            f'<div class="tile {t.mood}"><b>{html.escape(t.value)}</b>{html.escape(t.label)}</div>'
            for t in tiles
        )
        self._add(f"<div class=tiles>{cells}</div>")

    def heading(self, text: str, explanation: str = "") -> None:
        """A section."""
        self._add(f"<h2>{html.escape(text)}</h2>")
        if explanation:
            self.text(explanation)

    def text(self, text: str) -> None:
        """A paragraph."""
        self._add(f"<p>{html.escape(shown(text))}</p>")

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str | float]]) -> None:
        """A table; numbers are set to the right."""
        numbers = {
            at for row in rows[:1] for at, cell in enumerate(row) if not isinstance(cell, str)
        }
        head = "".join(
            f"<th{' class=n' if at in numbers else ''}>{html.escape(shown(text))}</th>"
            for at, text in enumerate(header)
        )
        body = "".join("<tr>" + "".join(map(_cell, row)) + "</tr>" for row in rows)
        self._add(f"<div class=table><table><tr>{head}</tr>{body}</table></div>")

    def plot(self, title: str, svg: str, *, wide: bool = False, paper: bool = False) -> None:
        """A plot made by `bars`, `heat_map` or `curve`; neighbours share rows.

        `paper` is one drawn dark on white: it is turned round where the page is dark.
        """
        if not self._in_plots:
            self._parts.append("<div class=plots>")
            self._in_plots = True
        kind = "plot" + " wide" * wide + " paper" * paper
        caption = html.escape(shown(title))
        self._parts.append(
            f'<figure class="{kind}"><figcaption>{caption}</figcaption>{svg}</figure>'
        )

    def pictures(self, pictures: Sequence[tuple[Image, str]]) -> None:
        """Small pictures with captions; they are put into the file."""
        cells = []
        for image, caption in pictures:
            scale = min(1.0, 320 / max(image.shape[:2]))
            width, height = (max(1, round(s * scale)) for s in image.shape[1::-1])
            data = base64.b64encode(encode(resize(image, width, height), "jpeg", 80)).decode()
            text = html.escape(shown(caption))
            cells.append(f'<figure><img alt="" src="data:image/jpeg;base64,{data}">{text}</figure>')
        self._add(f"<div class=pictures>{''.join(cells)}</div>")

    def write(self, path: Path) -> None:
        """Writes the file whole or not at all. Raises OutputError."""
        self._add("")
        page = (
            '<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content="'
            'width=device-width"><meta http-equiv=Content-Security-Policy content="default-src '
            "'none';img-src data:;style-src 'unsafe-inline'\">"
            f"<title>{self._title}</title><style>{_STYLE}</style><body>{''.join(self._parts)}"
        )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{shown(path.parent)}: cannot be made: {error.strerror}") from error
        write_atomic(path, page.encode("utf-8", "backslashreplace"))

    def _add(self, part: str) -> None:
        if self._in_plots:
            self._parts.append("</div>")
            self._in_plots = False
        self._parts.append(part)


def _cell(value: str | float) -> str:
    if isinstance(value, str):
        return f"<td>{html.escape(shown(value))}</td>"
    return (
        f"<td class=n>{value:,.3g}</td>"
        if isinstance(value, float)
        else f"<td class=n>{value:,}</td>"
    )


def bars(values: Sequence[tuple[str, float]]) -> str:
    """A column chart of labelled values, at most about forty."""
    width, height, foot, head = 480, 200, 34, 16
    top = max((v for _, v in values), default=0) or 1
    step = width / max(len(values), 1)
    thick = min(0.8 * step, 72)
    every = max(1, -(-len(values) // max(1, int(width / _label_width(values)))))
    parts = []
    for i, (label, value) in enumerate(values):
        tall = (height - foot - head) * value / top
        x, y = (i + 0.5) * step - thick / 2, height - foot - tall
        name = html.escape(shown(label))
        parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{thick:.1f}" '
            f'height="{tall:.1f}" fill="var(--bar)" rx="1"><title>{name}: {value:g}</title></rect>'
        )
        if len(values) <= 12:
            parts.append(_text(x + thick / 2, y - 4, f"{value:g}"))
        if i % every == 0:
            parts.append(_text(x + thick / 2, height - foot + 16, label))
    line = f'<path d="M0 {height - foot}H{width}" stroke="var(--line)"/>'
    return f'<svg viewBox="0 0 {width} {height}" role=img>{"".join(parts)}{line}</svg>'


def _label_width(values: Sequence[tuple[str, float]]) -> float:
    return 8 + 6.4 * max((len(label) for label, _ in values), default=1)


def _text(x: float, y: float, text: str, anchor: str = "middle") -> str:
    name = html.escape(shown(text))
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{name}</text>'


def histogram(values: Sequence[float], bins: int = 20, *, whole: bool = False) -> str:
    """A column chart of how often values occur; `whole` numbers share a bin only where needed."""
    data = np.asarray(values, np.float64)
    data = data[np.isfinite(data)]
    if not len(data):
        return bars([])
    low, high = float(data.min()), float(data.max())
    if whole:
        wide = max(1, int(np.ceil((high - low + 1) / bins)))
        edges = np.arange(low, high + wide + 0.5, wide)
    else:
        edges = np.linspace(low, high if high > low else low + 1, bins + 1)
    counts, edges = np.histogram(data, edges)
    return bars([(f"{e:.3g}", int(c)) for e, c in zip(edges, counts, strict=False)])


def heat_map(names: Sequence[str], matrix: np.ndarray) -> str:
    """A square matrix of values in -1..1, blue below 0 and red above."""
    count, cell = len(names), 22
    left = 12 + 6.2 * max((len(n) for n in names), default=1)
    side, parts = left + count * cell, []
    for i, name in enumerate(names):
        at = left + (i + 0.5) * cell
        parts.append(_text(left - 6, at + 4, name, "end"))
        label = html.escape(shown(name))
        parts.append(
            f'<text transform="translate({at + 4:.1f} {left - 6:.1f}) rotate(-90)">{label}</text>'
        )
        for j, other in enumerate(names):
            value = float(matrix[i, j])
            known = np.isfinite(value)
            strength = abs(value) if known else 0.0
            colour = f"rgb({'214,69,65' if value > 0 else '47,111,222'})" if known else "none"
            tip = f"{name} and {other}: {value:+.2f}" if known else f"{name}: never varies"
            parts.append(
                f'<rect x="{left + j * cell:.1f}" y="{left + i * cell:.1f}" width="{cell - 1}" '
                f'height="{cell - 1}" fill="{colour}" fill-opacity="{strength:.2f}"'
                f' stroke="var(--line)"><title>{html.escape(shown(tip))}</title></rect>'
            )
    width = max(side, 420)
    # As large as its text asks for, however few cells there are.
    size = f'viewBox="0 0 {width:.0f} {side:.0f}" style="max-width:{1.15 * width:.0f}px"'
    return f"<svg {size} role=img>{''.join(parts)}</svg>"


def curve(
    points: Sequence[tuple[float, float]],
    fitted: Sequence[tuple[float, float, float, float]],
    across: str,
    up: str,
) -> str:
    """Measured points (x, y) and a fit (x, low, middle, high), x on a logarithmic scale."""
    width, height, left, foot = 480, 220, 44, 36
    xs = np.log([p[0] for p in points] + [f[0] for f in fitted])
    ys = [p[1] for p in points] + [f[3] for f in fitted]
    low, high, top = float(xs.min()), float(xs.max()), max(ys) * 1.08 or 1.0

    def place(x: float, y: float) -> tuple[float, float]:
        share = (np.log(x) - low) / ((high - low) or 1)
        return left + share * (width - left - 12), (height - foot) * (1 - min(y, top) / top)

    upper = [place(f[0], f[3]) for f in fitted]
    lower = [place(f[0], f[1]) for f in fitted]
    middle = [place(f[0], f[2]) for f in fitted]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in [*upper, *reversed(lower)]) + "Z"
    line = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in middle)
    parts = [
        f'<path d="{path}" fill="var(--bar)" fill-opacity=".18"/>',
        f'<path d="{line}" fill="none" stroke="var(--bar)" stroke-width="2"/>',
        f'<path d="M{left} 0V{height - foot}H{width}" fill="none" stroke="var(--line)"/>',
    ]
    dots = (place(x, y) for x, y in points)
    parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="var(--ink)"/>' for x, y in dots]
    for x in sorted({p[0] for p in points} | {fitted[-1][0]} if fitted else set()):
        parts.append(_text(place(x, 0)[0], height - foot + 15, f"{x:,.0f}"))
    for share in (0.25, 0.5, 0.75, 1.0):
        value = top * share / 1.08
        parts.append(_text(left - 6, place(_first(points), value)[1] + 4, f"{value:.2g}", "end"))
    parts.append(_text((left + width) / 2, height - 3, across))
    parts.append(_text(left + 8, 12, up, "start"))
    return f'<svg viewBox="0 0 {width} {height}" role=img>{"".join(parts)}</svg>'


def _first(points: Sequence[tuple[float, float]]) -> float:
    return points[0][0] if points else 1.0
