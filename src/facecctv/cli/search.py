"""`facecctv search`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from facecctv import build
from facecctv.cli import batch, options, outputs, people, pictures
from facecctv.identity import log
from facecctv.identity.calibrate import RATE
from facecctv.identity.matching import LIMIT, Matcher, SightMatcher
from facecctv.identity.sightings import Sightings
from facecctv.schema import Result


def search(
    inputs: options.Inputs,
    watchlist: Annotated[
        Path | None, typer.Option("--watchlist", help="The list to search.", show_default=False)
    ] = None,
    sightings: Annotated[
        str | None,
        typer.Option("--sightings", help="The sightings to search.", show_default=False),
    ] = None,
    case: Annotated[str | None, typer.Option(help="Of the sightings.", show_default=False)] = None,
    key_file: people.KeyFile = None,
    rate: people.Rate = RATE,
    limit: Annotated[int, typer.Option(min=1, help="Candidates named at most.")] = LIMIT,
    calibration: people.CalibrationFile = None,
    by: people.By = None,
    reason: Annotated[str, typer.Option(help="Why, for the log.")] = "",
    as_json: options.Json = False,
    threshold: options.Threshold = None,
    min_face: options.MinFace = 0.0,
    tiles: options.Tiles = "auto",
    enlarge: options.Enlarge = "auto",
    model: options.Model = build.FACE_DETECTOR,
    embedder: people.Embedder = build.FACE_EMBEDDER,
    debug: options.Debug = False,
) -> int:
    """Say for every face who of a watch-list it may be, or where in a case it was seen.

    Nobody is named for being nearest. A search of a list is written to the list's log (LIST.log)
    before its result is printed, one of sightings to FOLDER/searches.log.
    """
    people.check_rate(rate)
    if (watchlist is None) == (sightings is None) or (sightings is None) != (case is None):
        raise typer.BadParameter("name what to search: --watchlist, or --sightings and --case")
    how = options.look(threshold, min_face, tiles, enlarge)
    found = options.sources(inputs)
    faces = people.faces(model, embedder, how)
    scale = people.calibration(faces, calibration)
    matcher: Matcher | SightMatcher
    if watchlist is not None:
        gallery, target = people.gallery(watchlist, key_file, faces.embedder)
        matcher, book = Matcher(gallery, scale, rate, limit), log.log_of(watchlist)
    else:
        place, target = str(sightings), str(case)
        seen = Sightings(place, faces.embedder)
        seen.count(target)
        matcher, book = SightMatcher(seen, target, scale, rate, limit), people.log_in(place)
    job = _Job(faces, people.Searching(matcher, target, book, people.who(by), reason))
    return batch.run(found, job, _describe, as_json=as_json, debug=debug)


@dataclass(frozen=True)
class _Job:
    """Searches one picture after the other, and logs each face."""

    faces: people.Faces
    searching: people.Searching

    def __call__(self, source: str) -> Result:
        picture = pictures.read_picture(source, self.faces.limits)
        portraits = self.faces.pipeline(self.searching.matcher).image(picture.image)
        outputs.check_unchanged(source, picture.sha256)
        self.searching.note(picture.sha256, portraits)
        return people.result(source, picture, portraits)


def _describe(result: Result) -> str:
    if not result.faces:
        return "no faces"
    lines = []
    for number, face in enumerate(result.faces, 1):
        word = str(face.decision).replace("_", " ")
        named = ", ".join(
            f"{one.name} ({one.similarity:.2f}, false matches {one.false_match_rate:.1g})"
            for one in face.candidates or ()
        )
        lines.append(f"face {number} {word}{': ' if named else ''}{named}")
    if len(lines) > 3 and not any(face.candidates for face in result.faces):
        counts = Counter(str(face.decision).replace("_", " ") for face in result.faces)
        return ", ".join(f"{count} {word}" for word, count in counts.items())
    return "; ".join(lines)
