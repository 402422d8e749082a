"""`facecctv sightings`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from facecctv import build
from facecctv.cli import batch, options, outputs, people, pictures
from facecctv.identity.sightings import NONE, Sight, Sightings, groups
from facecctv.schema import Result, printable
from facecctv.types import Portrait

sightings = typer.Typer(
    help="Keep every face seen in a case, to be searched, grouped and erased.",
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
)

Store = Annotated[
    str, typer.Argument(metavar="FOLDER", help="Of the sightings, or s3://…", show_default=False)
]
Case = Annotated[str, typer.Argument(help="Name of the case.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]


@sightings.command()
def add(
    store: Store,
    case: Case,
    inputs: options.Inputs,
    as_json: options.Json = False,
    threshold: options.Threshold = None,
    min_face: options.MinFace = 0.0,
    tiles: options.Tiles = "auto",
    enlarge: options.Enlarge = "auto",
    model: options.Model = build.FACE_DETECTOR,
    embedder: people.Embedder = build.FACE_EMBEDDER,
    debug: options.Debug = False,
) -> int:
    """Keep every face of some pictures in a case; all faces of a picture or none."""
    how = options.look(threshold, min_face, tiles, enlarge)
    found = options.sources(inputs)
    faces = people.faces(model, embedder, how)
    kept, pipeline = Sightings(store, faces.embedder), faces.pipeline()

    def work(source: str) -> Result:
        picture = pictures.read_picture(source, faces.limits)
        portraits = pipeline.image(picture.image)
        outputs.check_unchanged(source, picture.sha256)
        name = printable(Path(source).name)
        kept.add(case, [_sight(name, picture.sha256, portrait) for portrait in portraits])
        return people.result(source, picture, portraits)

    return batch.run(found, work, _describe, as_json=as_json, debug=debug)


@sightings.command("list")
def show(store: Store, embedder: people.Embedder = build.FACE_EMBEDDER) -> int:
    """List the cases and how many faces each has."""
    kept = _open(store, embedder)
    for case in kept.cases():
        print(f"{case}: {kept.count(case)} faces")
    return 0


@sightings.command()
def timeline(
    store: Store, case: Case, as_json: Json = False, embedder: people.Embedder = build.FACE_EMBEDDER
) -> int:
    """List every face of a case, by file and time."""
    _print(_open(store, embedder).timeline(case), None, as_json)
    return 0


@sightings.command("groups")
def grouped(
    store: Store,
    case: Case,
    least: Annotated[int, typer.Option(min=2, help="Faces of a group at least.")] = 3,
    as_json: Json = False,
    embedder: people.Embedder = build.FACE_EMBEDDER,
) -> int:
    """Group the faces of a case that may be one person. A group is a lead, not an identity."""
    sights = _open(store, embedder).timeline(case)
    found = groups(sights, least).tolist()
    order = sorted(range(len(sights)), key=lambda at: (found[at] == NONE, found[at], at))
    _print([sights[at] for at in order], [found[at] for at in order], as_json)
    return 0


@sightings.command()
def index(store: Store, case: Case, embedder: people.Embedder = build.FACE_EMBEDDER) -> int:
    """Make the index for large cases, and measure how much of the truth it finds."""
    kept = _open(store, embedder)
    kept.index(case)
    print(f"{case}: recall {kept.recall(case):.3f} of the ten nearest, on 100 faces of the case")
    return 0


@sightings.command()
def erase(store: Store, case: Case, embedder: people.Embedder = build.FACE_EMBEDDER) -> int:
    """Erase a case completely."""
    _open(store, embedder).erase(case)
    print(f"Erased {case}")
    return 0


def _open(store: str, embedder: str) -> Sightings:
    card = build.recogniser(options.environment(), embedder).card
    return Sightings(store, f"{card.name} {card.version}")


def _sight(name: str, sha256: str, portrait: Portrait) -> Sight:
    if portrait.embedding is None or portrait.quality is None:
        raise ValueError("a portrait for the sightings has embedding and quality")
    x1, y1, x2, y2 = (float(side) for side in portrait.face.box)
    return Sight(sha256, name, (x1, y1, x2, y2), portrait.quality.score, portrait.embedding)


def _print(sights: Sequence[Sight], found: Sequence[int] | None, as_json: bool) -> None:
    for at, sight in enumerate(sights):
        group = None if found is None else (None if found[at] == NONE else found[at] + 1)
        if as_json:
            facts = {
                "name": sight.name, "sha256": sight.source, "frame": sight.frame,
                "time": sight.time, "box": [round(side, 2) for side in sight.box],
                "quality": round(sight.quality, 4),
            }  # fmt: skip
            print(json.dumps(facts if found is None else {"group": group, **facts}))
        else:
            word = "" if found is None else ("alone    " if group is None else f"group {group}  ")
            print(f"{word}{sight}, {sight.face_px:.0f} px high")


def _describe(result: Result) -> str:
    count = len(result.faces)
    return "no faces" if not count else f"kept {count} face{'s' if count > 1 else ''}"
