"""What `facecctv footage` writes for one video."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from facecctv.cli import outputs
from facecctv.cli.pictures import GRADE_COLOURS, grade
from facecctv.draw import GREY, Cell, contact_sheet
from facecctv.footage import pictures
from facecctv.footage.people import Edit
from facecctv.footage.portray import Shown
from facecctv.image import encode, write_atomic
from facecctv.schema import footage as form
from facecctv.types import Image

SHEET = "sheet.png"
_MOST_ON_SHEET = 120
_SIDE = 220


@dataclass(frozen=True)
class Facts:
    """What is known of the video as a whole; as in `schema.footage.Footage`."""

    source: str
    sha256: str
    size: tuple[int, int]
    duration: float
    frames: int
    looks: int
    damaged: int
    joined_by: str | None
    edits: tuple[Edit, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Written:
    """A finished folder."""

    name: str
    footage: form.Footage


def write(folder: Path, facts: Facts, people: Iterable[Shown]) -> Written:
    """Writes crops, fused and enhanced faces, sheet and result.json; one person at a time."""
    outputs.folder(folder)
    told: list[form.Person] = []
    cells: list[Cell] = []
    for shown in people:
        files = _person(folder, shown, facts.sha256)
        told.append(form.Person.of_shown(shown, files))
        if len(cells) < _MOST_ON_SHEET:
            cells.append(_cell(shown))
    sheet = contact_sheet(cells, side=_SIDE, empty="Nobody found")
    _save(folder / SHEET, sheet, outputs.provenance(facts.sha256))
    edits = [form.Edit(kind=e.kind, people=e.people, passage=e.track) for e in facts.edits]
    result = form.Footage(
        source=facts.source,
        sha256=facts.sha256,
        width=facts.size[0],
        height=facts.size[1],
        duration=max(0.0, facts.duration),
        frames=facts.frames,
        looks=facts.looks,
        damaged=facts.damaged,
        people=tuple(told),
        joined_by=facts.joined_by,
        edits=tuple(edits) or None,
        sheet=SHEET,
        notes=facts.notes or None,
    )
    write_atomic(folder / outputs.RESULT, f"{result.to_json()}\n".encode())
    return Written(folder.name, result)


def _person(folder: Path, shown: Shown, sha256: str) -> form.PersonFiles:
    where = f"people/person-{shown.person.number:02}"
    outputs.folder(folder / where)
    words = outputs.provenance(sha256)
    files: dict[str, str] = {}
    for made in pictures.pictures(shown):
        files[made.name] = f"{where}/{made.name}.png"
        _save(folder / files[made.name], made.image, words | made.words)

    def several(kind: str) -> tuple[str, ...]:
        return tuple(path for name, path in files.items() if name.startswith(f"{kind}-"))

    return form.PersonFiles(
        crops=several("crop"),
        fused=files.get("fused"),
        changes=files.get("changes"),
        enhanced=files.get("enhanced"),
        sights=several("enhanced") or None,
        coloured=several("coloured") or None,
    )


def _save(path: Path, image: Image, words: dict[str, str]) -> None:
    write_atomic(path, encode(image, metadata=words))


def _cell(shown: Shown) -> Cell:
    best, person = shown.best[0], shown.person
    if best.crop is None or best.quality is None:
        raise ValueError("a contact sheet shows crops and what they are usable for")
    use = grade(best.quality)
    when = f"{float(person.first):.1f} to {float(person.last):.1f} s"
    count = len(person.tracks)
    lines = (use.capitalize(), when, "1 passage" if count == 1 else f"{count} passages")
    colour = GRADE_COLOURS.get(use, GREY)
    return Cell(best.crop.image, f"Person {person.number}", lines, colour)
