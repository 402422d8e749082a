"""`facecctv examine`."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from facecctv import build
from facecctv.cli import batch, improve, options, outputs, page, people, pictures
from facecctv.cli.pictures import decision_words
from facecctv.identity import log
from facecctv.identity.calibrate import RATE
from facecctv.identity.matching import Matcher
from facecctv.image import Limits, Picture, shown, write_atomic
from facecctv.pipeline import Pipeline
from facecctv.schema import Files, Result
from facecctv.types import Body, Portrait
from facecctv.vision.detect import DetectOptions
from facecctv.vision.single import landmarks_from


def examine(
    inputs: options.Inputs,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")] = Path(
        "facecctv-results"
    ),
    as_json: options.Json = False,
    threshold: options.Threshold = None,
    min_face: options.MinFace = 0.0,
    tiles: options.Tiles = "auto",
    enlarge: options.Enlarge = "auto",
    bodies: options.Bodies = False,
    enhance: improve.Enhance = None,
    colourise: improve.Colourise = "off",
    forensic: improve.Forensic = False,
    attributes: Annotated[
        bool, typer.Option("--attributes", help="Estimate age and gender of every face.")
    ] = False,
    watchlist: Annotated[
        Path | None,
        typer.Option(
            "--watchlist", help="Say who of this list each face may be.", show_default=False
        ),
    ] = None,
    key_file: people.KeyFile = None,
    rate: people.Rate = RATE,
    calibration: people.CalibrationFile = None,
    by: people.By = None,
    reason: Annotated[str, typer.Option(help="Why the list is searched, for the log.")] = "",
    model: options.Model = build.FACE_DETECTOR,
    debug: options.Debug = False,
) -> int:
    """Find the faces in pictures, cut them out, and say what each is good enough for.

    Small faces are enhanced beside the crops, never in their place: what a face is good enough for
    is judged by its own pixels, and each enhanced face says whether it still is the same person.

    Writes for each picture a folder with its crops, the picture with its faces outlined, a contact
    sheet and result.json, and over all of them OUT/index.html to look at. With --bodies people are
    found too, those whose face is not to be seen among them.

    Age and gender are estimated only on request: as they appear, by the face's own pixels.

    With a watch-list each face says who of it it may be, by its own pixels; every search is
    written to the list's log (LIST.log), and a person decides.
    """
    people.check_rate(rate)
    if watchlist is None and (key_file is not None or calibration is not None):
        raise typer.BadParameter("--key-file and --calibration are for a --watchlist")
    how = options.look(threshold, min_face, tiles, enlarge)
    found = options.sources(inputs, out)
    settings = options.environment()
    more = improve.stages(settings, enhance, colourise, forensic)
    detector = build.detector(settings, how, model)
    _ = detector.card  # a model that cannot be used is no fault of any input
    if more.note:
        print(more.note, file=sys.stderr)
    estimate = build.estimator(settings) if attributes else None
    if estimate is not None:
        estimate.check()
    looking = DetectOptions(tiles=tiles, enlarge=enlarge)
    find_bodies = build.body_finder(settings, looking) if bodies else None
    pipeline = build.examination(detector, more.enhance, more.colourise, estimate, find_bodies)
    searching = None
    if watchlist is not None:
        faces = people.Faces(
            detector, build.recogniser(settings, mirror=True), build.limits(settings)
        )
        scale = people.calibration(faces, calibration)
        gallery, target = people.gallery(watchlist, key_file, faces.embedder)
        matcher = Matcher(gallery, scale, rate)
        book = log.log_of(watchlist)
        searching = people.Searching(matcher, target, book, people.who(by), reason)
        pipeline = replace(pipeline, embed=faces.recogniser.faces, identify=matcher)
    with outputs.workshop(out) as workshop:
        guessed = landmarks_from(detector.card)
        job = _Job(pipeline, build.limits(settings), found, out, workshop, guessed, searching)
        try:
            status = batch.run(found, job, _describe, as_json=as_json, debug=debug)
        finally:  # what was done before an interruption is there to be looked at
            write_atomic(out / outputs.INDEX, page.render(out).encode())
    if not as_json:
        _say_where(out, job)
    return status


class _Job:
    """Examines one picture after the other; counts what was found."""

    def __init__(
        self,
        pipeline: Pipeline,
        limits: Limits,
        sources: list[str],
        out: Path,
        workshop: Path,
        landmarks_from: Literal["average"] | None = None,
        searching: people.Searching | None = None,
    ) -> None:
        self._pipeline, self._limits = pipeline, limits
        self._landmarks_from, self._searching = landmarks_from, searching
        self._sources, self._out, self._workshop = sources, out, workshop
        self._names = outputs.Names(reserved=[outputs.INDEX])
        self.pictures = 0
        self.grades: Counter[str] = Counter()

    def __call__(self, source: str) -> Result:
        picture = pictures.read_picture(source, self._limits)
        portraits = self._pipeline.image(picture.image)
        if self._searching is not None:
            self._searching.note(picture.sha256, portraits)
            # Who somebody may be was asked for, not the numbers behind it.
            portraits = [replace(portrait, embedding=None) for portrait in portraits]
        faces = [portrait.face for portrait in portraits]
        find_bodies = self._pipeline.bodies
        bodies = list(find_bodies(picture.image, faces)) if find_bodies else None
        name = self._names.give(source, lambda name: self._is_taken(name, picture.sha256))
        made = self._workshop / name
        result = self._write(made, source, picture, portraits, bodies)
        outputs.check_unchanged(source, picture.sha256)
        outputs.publish(made, self._out / name)
        self.pictures += 1
        self.grades.update(pictures.grade(p.quality) for p in portraits if p.quality)
        return result

    def _is_taken(self, name: str, sha256: str) -> bool:
        target = self._out / name
        if not target.exists() and not target.is_symlink():
            return False
        earlier = outputs.result_in(target)
        same = earlier is not None and earlier.get("sha256") == sha256
        return not same or outputs.holds_source(target, self._sources)

    def _write(
        self,
        made: Path,
        source: str,
        picture: Picture,
        portraits: list[Portrait],
        bodies: list[Body] | None,
    ) -> Result:
        sha256, name = picture.sha256, made.name
        outputs.folder(made / "crops")
        image, people = picture.image, bodies or []
        pictures.write_annotated(made / "annotated.png", image, portraits, sha256, people)
        crops = pictures.write_crops(made / "crops", "", portraits, sha256)
        body_crops = pictures.write_bodies(made / "crops", "", image, people, sha256)
        sheets = pictures.write_sheets(made, portraits, sha256)
        made_more = improve.write(made, portraits, sha256)
        files = Files(
            annotated=f"{name}/annotated.png",
            crops=tuple(f"{name}/crops/{crop}" for crop in crops),
            bodies=None if bodies is None else tuple(f"{name}/crops/{crop}" for crop in body_crops),
            sheets=tuple(f"{name}/{sheet}" for sheet in sheets),
            **{kind: tuple(f"{name}/{file}" for file in made) for kind, made in made_more.items()},
        )
        size = (picture.width, picture.height)
        result = Result.of(
            source,
            sha256,
            size,
            portraits,
            bodies=bodies,
            files=files,
            landmarks_from=self._landmarks_from,
        )
        write_atomic(made / outputs.RESULT, f"{result.to_json()}\n".encode())
        return result


def _describe(result: Result) -> str:
    return _judged(result) + pictures.body_words(result.bodies)


def _judged(result: Result) -> str:
    if not result.faces:
        return "no faces"
    uses = [face.quality.usable_for for face in result.faces if face.quality]
    grades = Counter(use[-1] if use else pictures.UNUSABLE for use in uses)
    told = f"{_made(result)}{_known(result)}{_estimated(result)}"
    return f"{_faces(len(result.faces))} ({_list(grades)}){told}"


def _estimated(result: Result) -> str:
    asked = [face for face in result.faces if face.age or face.gender or face.attributes]
    if not asked:
        return ""
    return f"; estimated: {'; '.join(map(pictures.attribute_words, asked))}"


def _known(result: Result) -> str:
    searched = [face for face in result.faces if face.decision is not None]
    if not searched:
        return ""
    named = [face for face in searched if face.candidates]
    if not named:
        return "; nobody of the list"
    words = ", ".join(decision_words(face.decision, face.candidates) for face in named)
    return f"; {words}"


def _made(result: Result) -> str:
    drifts = [face.enhancement.drift.verdict for face in result.faces if face.enhancement]
    text = f", {len(drifts)} enhanced" if drifts else ""
    drifted = drifts.count("drifted")
    text += f" ({drifted} drifted)" if drifted else ""
    coloured = sum(face.colour is not None for face in result.faces)
    return text + (f", {coloured} coloured" if coloured else "")


def _faces(count: int) -> str:
    return "1 face" if count == 1 else f"{count} faces"


def _list(grades: Counter[str]) -> str:
    """The best grade first."""
    order = [*pictures.GRADE_COLOURS, pictures.UNUSABLE]
    return ", ".join(f"{grades[grade]} {grade}" for grade in order if grades[grade])


def _say_where(out: Path, job: _Job) -> None:
    if not job.pictures:
        return
    faces = job.grades.total()
    where = shown(out / outputs.INDEX)
    many = "1 picture" if job.pictures == 1 else f"{job.pictures} pictures"
    print(f"\n{many}, {_faces(faces)}. Open {where}", file=sys.stderr)
    if faces:
        print(f"As JSON: facecctv examine … --json, or {shown(out)}/*/result.json", file=sys.stderr)
    else:
        print("To look harder, try a lower --threshold, such as 0.2.", file=sys.stderr)
