"""Results as the table in README.md."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- benchmarks:begin -->", "<!-- benchmarks:end -->"


def markdown(result: dict[str, Any]) -> str:
    machine = result["machine"]
    rows = []
    for name, part in result["detect"].items():
        rows.append((f"Faces in a {name} picture in memory", _detection(part, name == "VGA")))
    for name, part in result.get("stages", {}).items():
        rows.append((_stage(*name.split(" ", 1)), _milliseconds(part)))
    for templates, part in result.get("search", {}).items():
        rows.append((f"Who of {templates} templates is nearest (exact)", _search(part)))
    start = result["start"]
    rows.append(("`facecctv detect` on one VGA file, whole process", _seconds(start["detect_vga"])))
    for name, part in result["files"].items():
        rows.append((f"`facecctv detect` on one {name} JPEG, whole process", _file(part)))
    rows.append(("`facecctv --help`, whole process", _seconds(start["help"])))
    rows.append(("`import facecctv`", _seconds(start["import"])))
    head = (
        f"Measured with `make bench` on {machine['cpu']}, {machine['cores']} cores, "
        f"{machine['threads_used']} threads; medians."
    )
    return f"{head}\n\n{two_columns(rows)}"


def two_columns(rows: Iterable[tuple[str, str]], what: str = "What") -> str:
    """A table of what was measured and what came out."""
    lines = [f"| {name} | {value} |" for name, value in rows]
    return "\n".join([f"| {what} | Result |", "|---|---|", *lines])


def tell(result: dict[str, Any], table: str, out: Path | None) -> None:
    """Prints a table of the result and the result itself as JSON, which `out` keeps too."""
    text = json.dumps(result, indent=1)
    if out:
        out.write_text(text + "\n")
    print(f"{table}\n\n{text}")


NOT_MEASURED = "not measured"


def _detection(part: dict[str, Any] | None, in_parts: bool) -> str:
    if part is None:
        return NOT_MEASURED
    text = f"{part['total_ms']:.1f} ms ({part['faces']} faces: {part['faces_per_second']:.0f}/s)"
    if in_parts:
        text += f"; network {part['network_ms']:.1f} ms, the rest {part['rest_ms']:.1f} ms"
    return text


def _stage(name: str, picture: str) -> str:
    if name == "embed":
        return "Embedding 8 faces in one batch"
    if name == "bodies":
        return f"Bodies in a {picture} picture in memory"
    if name == "attributes":
        return "Age and gender of 8 faces in one batch"
    if name == "colourise":
        return f"Colours for a {picture} picture"
    return f"Enhancing a {picture} picture x{name.removeprefix('x')}"


def _milliseconds(part: dict[str, Any] | None) -> str:
    if part is None:
        return NOT_MEASURED
    return f"{part['total_ms']:.0f} ms, at most {part['peak_mb']:.0f} MB of memory"


def _file(part: dict[str, Any] | None) -> str:
    if part is None:
        return NOT_MEASURED
    return f"{part['whole_seconds']:.1f} s, at most {part['peak_mb']:.0f} MB of memory"


def _search(part: dict[str, Any] | None) -> str:
    if part is None:
        return NOT_MEASURED
    return f"{part['total_ms']:.1f} ms, at most {part['peak_mb']:.0f} MB of memory"


def _seconds(part: dict[str, Any] | None) -> str:
    return NOT_MEASURED if part is None else f"{part['seconds']:.2f} s"


def fill(readme: Path, text: str) -> None:
    """Puts the text between the two marks; ValueError where they are not there once, in order."""
    whole = readme.read_text()
    if whole.count(BEGIN) != 1 or whole.count(END) != 1 or whole.index(BEGIN) > whole.index(END):
        raise ValueError(f"{readme.name} needs {BEGIN} and {END}, once each and in this order")
    before, after = whole.split(BEGIN)[0], whole.split(END)[1]
    readme.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")
