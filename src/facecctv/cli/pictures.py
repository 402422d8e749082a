"""What the picture commands share: reading, crops, annotated pictures, contact sheets."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from facecctv import schema
from facecctv.cli.outputs import provenance
from facecctv.draw import AMBER, BLUE, GREEN, GREY, RED, Cell, Colour, contact_sheet, outline
from facecctv.geometry import cut_out
from facecctv.image import Limits, Picture, decode, encode, read_bytes, write_atomic
from facecctv.types import Attributes, Body, Decision, Face, Image, Portrait, Quality

GRADE_COLOURS: dict[str, Colour] = {
    "identification": GREEN,
    "recognition": GREEN,
    "observation": AMBER,
    "presence": RED,
}
UNUSABLE = "not usable"
_PER_SHEET = 48
_SHEET_SIDE = 280
_LINE = 30
"""Characters that fit a card of this side, about."""


def read_picture(source: str, limits: Limits) -> Picture:
    """The picture; errors leave the naming of the file to whoever prints them."""
    return decode(read_bytes(source, limits), limits)


def grade(quality: Quality) -> str:
    """The most demanding use that the face is good enough for."""
    return quality.usable_for[-1] if quality.usable_for else UNUSABLE


class _Candidate(Protocol):
    """A match, as the pipeline or as JSON has it."""

    @property
    def name(self) -> str:
        """Of the entry."""

    @property
    def decision(self) -> Decision:
        """What this candidate comes to."""


DECISIONS: dict[Decision, str] = {
    "match": "match",
    "inconclusive": "inconclusive",
    "no_match": "no match on the list",
    "insufficient_quality": "too little to tell",
}


def decision_words(decision: Decision | None, candidates: Sequence[_Candidate] | None) -> str:
    """What a search comes to, in words; empty where none was made."""
    if decision is None:
        return ""
    names = ", ".join(one.name for one in candidates or ())
    return f"{DECISIONS[decision]}: {names}" if names else DECISIONS[decision]


TOO_LITTLE = "too little to tell age or gender"


def attribute_words(found: Attributes | schema.Face) -> str:
    """Age and gender in words: "25-38, probably female"."""
    words = []
    if found.age is not None:
        words.append(f"{found.age.low}-{found.age.high}")
    if found.gender is not None:
        known = found.gender.value != "undetermined"
        words.append(f"probably {found.gender.value}" if known else "gender undetermined")
    return ", ".join(words) or TOO_LITTLE


def annotated(image: Image, portraits: Sequence[Portrait], bodies: Sequence[Body] = ()) -> Image:
    """The picture with its faces outlined, numbered and graded (by score where not judged).

    Of bodies the corners are marked; their numbers count from 1 too.
    """
    labels = [f"body {number}" for number in range(1, len(bodies) + 1)]
    colours = [BLUE] * len(bodies)
    for number, portrait in enumerate(portraits, 1):
        quality = portrait.quality
        word = f"{portrait.face.score:.2f}" if quality is None else grade(quality)
        labels.append(f"{number}  {word}")
        colours.append(GREEN if quality is None else GRADE_COLOURS.get(word, GREY))
    marked: list[Face | Body] = [*bodies, *(portrait.face for portrait in portraits)]
    return outline(image, marked, labels, colours)


def write_crops(path: Path, prefix: str, portraits: Sequence[Portrait], sha256: str) -> list[str]:
    """Writes each face's native pixels as PREFIXface-01.png and so on; returns the names."""
    names: list[str] = []
    for number, portrait in enumerate(portraits, 1):
        if portrait.crop is None:
            raise ValueError("a portrait without crop")
        crop = portrait.crop
        names.append(f"{prefix}face-{number:02}.png")
        _write_crop(path / names[-1], crop.image, crop.x, crop.y, sha256)
    return names


def write_bodies(
    path: Path, prefix: str, image: Image, bodies: Sequence[Body], sha256: str
) -> list[str]:
    """Writes each body's native pixels as PREFIXbody-01.png and so on; returns the names."""
    names: list[str] = []
    for number, body in enumerate(bodies, 1):
        names.append(f"{prefix}body-{number:02}.png")
        _write_crop(path / names[-1], *cut_out(image, body.box), sha256)
    return names


def _write_crop(path: Path, pixels: Image, x: int, y: int, sha256: str) -> None:
    words = provenance(sha256) | {"Crop": f"from column {x}, row {y}"}
    write_atomic(path, encode(pixels, metadata=words))


def write_annotated(
    path: Path,
    image: Image,
    portraits: Sequence[Portrait],
    sha256: str,
    bodies: Sequence[Body] = (),
) -> None:
    """Writes the annotated picture as PNG."""
    write_atomic(path, encode(annotated(image, portraits, bodies), metadata=provenance(sha256)))


def body_words(bodies: Sequence[schema.Body] | None) -> str:
    """How many people were found, to stand after what was said of the faces; empty if unasked."""
    if bodies is None:
        return ""
    if not bodies:
        return "; no bodies"
    count = "1 body" if len(bodies) == 1 else f"{len(bodies)} bodies"
    without = sum(body.face is None for body in bodies)
    return f"; {count}, {without} without a face" if without else f"; {count}"


def write_sheets(path: Path, portraits: Sequence[Portrait], sha256: str) -> list[str]:
    """Writes sheet.png, sheet-2.png and so on into a folder; returns the names."""
    cells = [_cell(number, portrait) for number, portrait in enumerate(portraits, 1)]
    names: list[str] = []
    for start in range(0, max(1, len(cells)), _PER_SHEET):
        sheet = contact_sheet(cells[start : start + _PER_SHEET], side=_SHEET_SIDE)
        names.append(f"sheet-{len(names) + 1}.png" if names else "sheet.png")
        write_atomic(path / names[-1], encode(sheet, metadata=provenance(sha256)))
    return names


def _cell(number: int, portrait: Portrait) -> Cell:
    crop, quality = portrait.crop, portrait.quality
    if crop is None or quality is None:
        raise ValueError("a contact sheet shows crops and what they are usable for")
    word = grade(quality)
    sizes = f"{quality.face_px:.0f} px high, {quality.inter_eye_px:.0f} px eye to eye"
    verdict = textwrap.wrap(quality.verdict, _LINE, max_lines=5, placeholder=" …")
    searched = decision_words(portrait.decision, portrait.candidates)
    if searched:
        told = f"{searched} (a person decides)"
        verdict += textwrap.wrap(told, _LINE, max_lines=3, placeholder=" …")
    if portrait.attributes is not None:
        told = f"Estimated: {attribute_words(portrait.attributes)}"
        verdict += textwrap.wrap(told, _LINE, max_lines=2, placeholder=" …")
    title = f"{number}  {word.capitalize()}"
    return Cell(crop.image, title, (sizes, *verdict), GRADE_COLOURS.get(word, GREY))
