"""What `facecctv footage` writes for one video."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from facecctv.cli import outputs, pictures
from facecctv.cli.improve import coloured_words, enhanced_words
from facecctv.draw import GREY, Cell, contact_sheet
from facecctv.footage.people import Edit
from facecctv.footage.portray import Shown
from facecctv.image import encode, write_atomic
from facecctv.schema import footage as form
from facecctv.types import Crop, Image, Portrait, Sighting
from facecctv.vision.drift import CHANGE_GAIN, change_map

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
    crops = []
    for number, sighting in enumerate(shown.best, 1):
        crop = _crop(sighting)
        at = f"frame {sighting.index}, {float(sighting.time):.3f} s, column {crop.x}, row {crop.y}"
        crops.append(f"{where}/crop-{number:02}.png")
        _save(folder / crops[-1], crop.image, words | {"Crop": at})
    fused = changes = enhanced = None
    if shown.fused is not None and shown.best[0].crop is not None:
        fused, changes = f"{where}/fused.png", f"{where}/changes.png"
        step = f"fused ({shown.fused.step}) of frames {', '.join(map(str, shown.fused.frames))}"
        _save(folder / fused, shown.fused.image, words | {"Processing": step})
        changed = change_map(shown.best[0].crop.image, shown.fused.image)
        meaning = f"128 is no change; {CHANGE_GAIN:.0f} levels stand for one"
        _save(folder / changes, changed, words | {"Change map": meaning})
    if shown.enhanced is not None:
        enhanced = f"{where}/enhanced.png"
        _save(folder / enhanced, shown.enhanced.image, words | enhanced_words(shown.enhanced))
    return form.PersonFiles(
        crops=tuple(crops),
        fused=fused,
        changes=changes,
        enhanced=enhanced,
        sights=_sights(folder, where, shown, words),
        coloured=_coloured(folder, where, shown, words),
    )


def _sights(
    folder: Path, where: str, shown: Shown, words: dict[str, str]
) -> tuple[str, ...] | None:
    """The best sights enhanced one by one; their drift was not measured."""
    if shown.enhanced is None or not shown.sights:
        return None
    said = enhanced_words(shown.enhanced)["Processing"]
    scale = shown.sights[0].shape[0] // _crop(shown.best[0]).image.shape[0]
    said = said.replace(f"x{shown.enhanced.scale},", f"x{scale},")
    names = []
    for number, picture in enumerate(shown.sights, 1):
        names.append(f"{where}/enhanced-{number:02}.png")
        _save(folder / names[-1], picture, words | {"Processing": said})
    return tuple(names)


def _coloured(
    folder: Path, where: str, shown: Shown, words: dict[str, str]
) -> tuple[str, ...] | None:
    names = []
    for number, (sighting, one) in enumerate(zip(shown.best, shown.coloured, strict=False), 1):
        portrait = Portrait(sighting.face, sighting.crop)
        said = coloured_words(portrait, one)
        if number > 1:
            said |= {
                "Colour source": f"laid over from the estimate for frame {shown.best[0].index}"
            }
        names.append(f"{where}/coloured-{number:02}.png")
        _save(folder / names[-1], one.image, words | said)
    return tuple(names) or None


def _crop(sighting: Sighting) -> Crop:
    if sighting.crop is None:
        raise ValueError("a sight without crop")
    return sighting.crop


def _save(path: Path, image: Image, words: dict[str, str]) -> None:
    write_atomic(path, encode(image, metadata=words))


def _cell(shown: Shown) -> Cell:
    best, person = shown.best[0], shown.person
    if best.crop is None or best.quality is None:
        raise ValueError("a contact sheet shows crops and what they are usable for")
    grade = pictures.grade(best.quality)
    when = f"{float(person.first):.1f} to {float(person.last):.1f} s"
    count = len(person.tracks)
    lines = (grade.capitalize(), when, "1 passage" if count == 1 else f"{count} passages")
    colour = pictures.GRADE_COLOURS.get(grade, GREY)
    return Cell(best.crop.image, f"Person {person.number}", lines, colour)
