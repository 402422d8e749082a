"""What `examine` adds to faces on request: stages from options, enhanced and coloured crops."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from facecctv import __version__, build
from facecctv.cli.outputs import folder, provenance
from facecctv.draw import AMBER, BLUE, GREEN, GREY, RED, Cell, Colour, contact_sheet
from facecctv.errors import ModelNotFound
from facecctv.evidence.portraits import coloured_steps, enhanced_steps
from facecctv.evidence.provenance import CHANGES, SHOWS, embedded
from facecctv.image import encode, resize, write_atomic
from facecctv.settings import Settings
from facecctv.types import Coloured, DriftVerdict, Enhanced, Image, Portrait
from facecctv.vision.colourise import FaceColouriser
from facecctv.vision.drift import CHANGE_GAIN, change_map, drift_words, enhanced_words, made_by
from facecctv.vision.enhance import FaceEnhancer

Enhance = Annotated[
    Literal["x2", "x4", "off"] | None,
    typer.Option(
        help="Enhance every face so many times.",
        show_default="x4 for faces under 160 px where the model is installed",
    ),
]
Colourise = Annotated[
    Literal["auto", "on", "off"],
    typer.Option(help="Estimate the colour of faces: of grey pictures (auto), of all, of none."),
]
Forensic = Annotated[
    bool, typer.Option("--forensic", help="Refuse steps that invent what was not recorded.")
]

SMALL = 160
"""Height of a face in pixels under which it is enhanced without being asked to."""
ESTIMATED = "colour is estimated"
DRIFT_COLOURS: dict[DriftVerdict, Colour] = {"kept": GREEN, "drifted": RED, "unknown": AMBER}
_PER_SHEET = 12
_SIDE = 280
_LINE = 30


@dataclass(frozen=True)
class Stages:
    """What a pipeline is given beside finding and judging."""

    enhance: FaceEnhancer | None = None
    colourise: FaceColouriser | None = None
    note: str = ""
    """For the person at the screen."""


def stages(
    settings: Settings,
    enhance: Literal["x2", "x4", "off"] | None,
    colourise: Literal["auto", "on", "off"],
    forensic: bool,
) -> Stages:
    """The stages meant by the options of the same names.

    What the default would enhance with may be missing: a note says so. Wrong usage
    (typer.BadParameter) is what `forensic` refuses; ModelNotFound a model that was asked for.
    """
    if forensic and colourise != "off":
        raise typer.BadParameter(
            "--forensic refuses --colourise: the colour of a grey picture is a guess"
        )
    enhancer, note = _enhancer(settings, enhance)
    if forensic and enhancer is not None and enhancer.origin.step == "generative":
        raise typer.BadParameter(f"--forensic refuses {enhancer.origin.model}: it is generative")
    if colourise == "off":
        return Stages(enhancer, None, note)
    return Stages(enhancer, build.face_colouriser(settings, only_grey=colourise == "auto"), note)


def _enhancer(
    settings: Settings, enhance: Literal["x2", "x4", "off"] | None
) -> tuple[FaceEnhancer | None, str]:
    if enhance == "off":
        return None, ""
    if enhance is not None:
        return build.face_enhancer(settings, int(enhance[1:])), ""
    try:
        return build.face_enhancer(settings, 4, below=SMALL), ""
    except ModelNotFound:
        name = build.enhancer_name(4)
        return None, f"Faces are not enhanced: the model {name} is not installed."


def write(path: Path, portraits: Sequence[Portrait], sha256: str) -> dict[str, list[str]]:
    """Writes what was made of the faces into a folder, nothing where nothing was.

    Returns names in that folder by the field of `schema.Files` that they belong to.
    """
    made: dict[str, list[str]] = {"enhanced": [], "changes": [], "coloured": [], "comparisons": []}
    for number, portrait in enumerate(portraits, 1):
        name = f"face-{number:02}.png"
        crop, better, coloured = portrait.crop, portrait.enhanced, portrait.coloured
        if crop is not None and better is not None:
            steps = enhanced_steps(crop, better)
            words = embedded(sha256, steps, __version__) | enhanced_words(better)
            made["enhanced"].append(_save(path, "enhanced", name, better.image, words))
            changes = _changes(portrait, better)
            words |= {SHOWS: f"{CHANGES}; {CHANGE_GAIN:.0f} levels stand for one"}
            made["changes"].append(_save(path, "changes", name, changes, words))
        if crop is not None and coloured is not None:
            steps = coloured_steps(crop, coloured, better)
            words = embedded(sha256, steps, __version__) | coloured_words(portrait, coloured)
            made["coloured"].append(_save(path, "coloured", name, coloured.image, words))
    made["comparisons"] = _comparisons(path, portraits, sha256)
    return {kind: names for kind, names in made.items() if names}


def _save(path: Path, kind: str, name: str, image: Image, words: dict[str, str]) -> str:
    write_atomic(folder(path / kind) / name, encode(image, metadata=words))
    return f"{kind}/{name}"


def coloured_words(portrait: Portrait, coloured: Coloured) -> dict[str, str]:
    """What the metadata of a coloured crop say, earlier steps included."""
    step = f"{ESTIMATED} ({coloured.origin.step}), by {made_by(coloured.origin)}"
    if coloured.of != "enhanced" or portrait.enhanced is None:
        return {"Processing": step}
    words = enhanced_words(portrait.enhanced)
    return words | {"Processing": f"{words['Processing']}; {step}"}


def _changes(portrait: Portrait, better: Enhanced) -> Image:
    return change_map(_crop(portrait), better.image)


def _crop(portrait: Portrait) -> Image:
    if portrait.crop is None:
        raise ValueError("a portrait without crop")
    return portrait.crop.image


def _comparisons(path: Path, portraits: Sequence[Portrait], sha256: str) -> list[str]:
    """Writes before-after.png and so on: a row a face, the untouched crop first."""
    shown = [
        (number, portrait)
        for number, portrait in enumerate(portraits, 1)
        if portrait.enhanced or portrait.coloured
    ]
    if not shown:
        return []
    columns: list[Callable[[int, Portrait], Cell]] = [_before]
    if any(portrait.enhanced for _, portrait in shown):
        columns += [_enhanced_cell, _change_cell]
    if any(portrait.coloured for _, portrait in shown):
        columns += [_coloured_cell]
    words = provenance(sha256) | {"Processing": _processing([p for _, p in shown])}
    names: list[str] = []
    for start in range(0, len(shown), _PER_SHEET):
        rows = shown[start : start + _PER_SHEET]
        cells = [cell(number, portrait) for number, portrait in rows for cell in columns]
        names.append(f"before-after-{len(names) + 1}.png" if names else "before-after.png")
        sheet = contact_sheet(cells, columns=len(columns), side=_SIDE)
        write_atomic(path / names[-1], encode(sheet, metadata=words))
    return names


def _processing(portraits: Sequence[Portrait]) -> str:
    steps = {f"enhanced ({p.enhanced.origin.step})" for p in portraits if p.enhanced}
    steps |= {ESTIMATED for p in portraits if p.coloured}
    return "shows faces " + " and ".join(sorted(steps)) + " beside the recorded ones"


def _before(number: int, portrait: Portrait) -> Cell:
    crop, better = _crop(portrait), portrait.enhanced
    rows, columns = crop.shape[:2]
    lines = ["its own pixels"]
    if better is not None:
        # The same scale by plain interpolation, so that only what was added differs.
        crop = resize(crop, columns * better.scale, rows * better.scale)
        lines = [f"its own pixels, {columns} x {rows},", f"x{better.scale} by plain interpolation"]
    return Cell(crop, f"{number}  As recorded", tuple(lines), GREY)


def _enhanced_cell(number: int, portrait: Portrait) -> Cell:
    better = portrait.enhanced
    if better is None:
        return _left_alone(number, portrait)
    words = textwrap.wrap(drift_words(better.drift), _LINE)
    title = f"{number}  Enhanced, {better.origin.step}"
    return Cell(better.image, title, tuple(words), DRIFT_COLOURS[better.drift.verdict])


def _change_cell(number: int, portrait: Portrait) -> Cell:
    better = portrait.enhanced
    if better is None:
        return _left_alone(number, portrait)
    lines = ("grey is no change;", f"{CHANGE_GAIN:.0f} levels stand for one")
    return Cell(_changes(portrait, better), f"{number}  What was added", lines, GREY)


def _left_alone(number: int, portrait: Portrait) -> Cell:
    return Cell(_crop(portrait), f"{number}  Not enhanced", ("large enough as it is",), GREY)


def _coloured_cell(number: int, portrait: Portrait) -> Cell:
    coloured = portrait.coloured
    if coloured is None:
        return Cell(_crop(portrait), f"{number}  Not coloured", (), GREY)
    of = "of the enhanced face" if coloured.of == "enhanced" else "of its own pixels"
    lines = (coloured.origin.step, of)
    return Cell(coloured.image, f"{number}  {ESTIMATED.capitalize()}", lines, BLUE)
