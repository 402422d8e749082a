"""`facecctv search`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from facecctv import build
from facecctv.cli import batch, options, outputs, people, pictures
from facecctv.identity import log
from facecctv.identity.calibrate import RATE
from facecctv.identity.matching import LIMIT, Matcher
from facecctv.pipeline import Pipeline
from facecctv.schema import Result
from facecctv.types import Portrait


def search(
    inputs: options.Inputs,
    watchlist: Annotated[
        Path, typer.Option("--watchlist", help="The list to search.", show_default=False)
    ],
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
    """Say for every face who of a watch-list it may be, or that it is nobody of them.

    Nobody is named for being nearest. Every search is written to the list's log (LIST.log), before
    its result is printed.
    """
    from facecctv.identity.watchlist import Watchlist  # late: needs cryptography

    people.check_rate(rate)
    how = options.look(threshold, min_face, tiles, enlarge)
    found = options.sources(inputs)
    faces = people.faces(model, embedder, how)
    scale = people.calibration(faces, calibration)
    with Watchlist(watchlist, people.secret(key_file)) as opened:
        opened.check_embedder(faces.embedder)
        gallery, target = opened.gallery(), str(opened.about["id"])
    matcher = Matcher(gallery, scale, rate, limit)
    job = _Job(faces, faces.pipeline(matcher), matcher, target, people.log_of(watchlist))
    job.by, job.reason = people.who(by), reason
    return batch.run(found, job, _describe, as_json=as_json, debug=debug)


class _Job:
    """Searches one picture after the other, and logs each face."""

    by, reason = "", ""

    def __init__(
        self, faces: people.Faces, pipeline: Pipeline, matcher: Matcher, target: str, book: Path
    ) -> None:
        self._faces, self._pipeline, self._matcher = faces, pipeline, matcher
        self._target, self._book = target, book

    def __call__(self, source: str) -> Result:
        picture = pictures.read_picture(source, self._faces.limits)
        portraits = self._pipeline.image(picture.image)
        outputs.check_unchanged(source, picture.sha256)
        for portrait in portraits:
            log.append(self._book, self._event(picture.sha256, portrait))
        return people.result(source, picture, portraits)

    def _event(self, sha256: str, portrait: Portrait) -> log.Search:
        return log.Search(
            what="watchlist",
            target=self._target,
            source=sha256,
            compared=len(self._matcher.gallery),
            rate=self._matcher.rate,
            matched=tuple(match.name for match in portrait.candidates or ()),
            decision=portrait.decision or "no_match",
            by=self.by,
            reason=self.reason,
        )


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
