"""`facecctv redact`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer
from pydantic import ValidationError

from facecctv import build
from facecctv.cli import batch, options, outputs, pictures, watching
from facecctv.cli.people import Faces, named
from facecctv.errors import EntryError, InputError
from facecctv.footage import covering
from facecctv.footage.covering import ROUNDS, Covering, Sound
from facecctv.footage.joining import Joiner
from facecctv.footage.people import Known
from facecctv.footage.redact import SAME, Redaction, RedactOptions, Review, cover
from facecctv.footage.sparing import Spared
from facecctv.footage.video import Video
from facecctv.footage.writing import SUFFIXES as WRITTEN
from facecctv.geometry import iou
from facecctv.identity.calibrate import calibration_of
from facecctv.image import FORMATS, Limits, encode, shown, write_atomic
from facecctv.image.files import SUFFIXES as PICTURES
from facecctv.schema import footage as form
from facecctv.settings import Settings
from facecctv.types import Face, Floats, Image
from facecctv.vision.detect import Detector
from facecctv.vision.single import SingleFaceDetector

_PICTURE = ".png"
_VIDEO = ".mp4"


def redact(
    inputs: Annotated[
        list[str],
        typer.Argument(help="Videos and pictures, folders or globs.", show_default=False),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="Folder for the results, or the one result's file."),
    ] = Path("facecctv-redacted"),
    as_json: options.Json = False,
    style: Annotated[
        Literal["solid", "blur", "mosaic"],
        typer.Option(help="Of the covers; only solid ones give nothing away."),
    ] = "solid",
    margin: Annotated[
        float, typer.Option(min=0, max=2, help="Around each face, as a share of its sides.")
    ] = 0.25,
    hold: Annotated[
        float,
        typer.Option(
            min=0, max=60, metavar="SECONDS", help="How long a cover stays before and after."
        ),
    ] = 0.5,
    mute: Annotated[bool, typer.Option("--mute", help="Leave the sound out.")] = False,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PICTURE",
            help="With one face, of somebody who stays to be seen; or, with --people, a number.",
        ),
    ] = None,
    people: Annotated[
        Path | None,
        typer.Option(help="The result.json of footage for the same video.", show_default=False),
    ] = None,
    check: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", min=0, help="Between looks at the finished video; 0: every frame."
        ),
    ] = 0.2,
    threshold: options.Threshold = None,
    model: options.Model = build.FACE_DETECTOR,
    debug: options.Debug = False,
) -> int:
    """Cover the faces in videos and pictures.

    Each face is covered for as long as it is followed, also in frames in which it was not found.
    The finished file is searched again. Beside each result lies a record, NAME.json, which lists
    the frames that somebody should look at; the exit status is 1 where a face was found after.
    """
    found = watching.videos(inputs, out, watching.SUFFIXES | PICTURES)
    if not found:
        raise typer.BadParameter(f"nothing to read in {', '.join(inputs)}")
    if people is not None and not keep:
        raise typer.BadParameter("--people needs --keep")
    file = out.suffix.lower() in WRITTEN | set(FORMATS) and not out.is_dir()
    if file and len(found) > 1:
        raise typer.BadParameter(f"-o: {len(found)} inputs need a folder, not one file")
    if file and any(os.path.realpath(path) == os.path.realpath(out) for path in found):
        raise typer.BadParameter("-o: would write over the input")
    settings = options.environment()
    how = options.look(threshold, 0.0, "auto", "auto")
    detect, sure = build.watching_detector(settings, how, model)
    finder = build.detector(settings, how, model)
    ways = RedactOptions(style, margin, hold)
    kept = _kept(people, keep or [])
    references = None if people is not None or not keep else _references(settings, finder, keep)
    limits = build.limits(settings)
    work = _Work(detect, finder, sure, ways, not mute, check, kept, references, limits)
    status = 0
    with watching.ended_by_signals(), outputs.workshop(out.parent if file else out) as workshop:
        job = _Job(work, out, file, workshop, found)
        for source in found:
            status |= batch.run([source], job, _describe, as_json=as_json, debug=debug)
    return status | int(job.found_after > 0)


@dataclass(frozen=True, eq=False)
class _Work:
    """How each input is covered."""

    detect: Detector | SingleFaceDetector
    """Reports unsure faces too."""
    finder: Detector | SingleFaceDetector
    """Looks at the result."""
    sure: float
    options: RedactOptions
    sound: bool
    check: float
    kept: _Kept | None
    references: _References | None
    limits: Limits


@dataclass(frozen=True, eq=False)
class _Kept:
    """Who stays to be seen."""

    sha256: str
    """Of the video that they were found in."""
    people: tuple[form.Person, ...]

    @property
    def paths(self) -> tuple[covering.Path, ...]:
        """Their passages."""
        return tuple(one.path for person in self.people for one in person.passages)


@dataclass(frozen=True, eq=False)
class _References:
    """Who stays to be seen, by pictures."""

    sha256: tuple[str, ...]
    """Of each picture."""
    spared: Spared


def _references(
    settings: Settings, finder: Detector | SingleFaceDetector, names: Sequence[str]
) -> _References:
    """Raises ModelNotFound without a recogniser, InputError for a picture without one face."""
    recogniser = build.recogniser(settings)
    joiner = Joiner(recogniser, calibration_of(recogniser.card))
    faces = Faces(finder, recogniser, build.limits(settings))
    hashes, known = [], []
    for name in names:
        try:
            picture, portrait = faces.one(name)
        except InputError as error:
            raise named(name, error) from error
        except OSError as error:
            raise InputError(f"--keep {shown(name)}: {error.strerror}") from error
        if portrait.embedding is None or portrait.quality is None:
            raise ValueError("a portrait of a reference has embedding and quality")
        hashes.append(picture.sha256)
        known.append(Known(portrait.embedding, portrait.face.height, portrait.quality.score))
    return _References(tuple(hashes), Spared(tuple(known), joiner))


def _kept(path: Path | None, names: Sequence[str]) -> _Kept | None:
    if path is None:
        return None
    try:
        numbers = [int(name) for name in names]
    except ValueError as error:
        raise typer.BadParameter("with --people, --keep is a person's number") from error
    try:
        found = form.Footage.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{shown(path)}: cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise InputError(f"{shown(path)}: is no result.json of footage") from error
    by_number = {person.number: person for person in found.people}
    missing = [number for number in numbers if number not in by_number]
    if missing:
        raise EntryError(f"{shown(path)}: there is no person {missing[0]}")
    return _Kept(found.sha256, tuple(by_number[number] for number in numbers))


class _Job:
    """Covers one input after the other."""

    def __init__(
        self, work: _Work, out: Path, file: bool, workshop: Path, sources: Sequence[str]
    ) -> None:
        self._work, self._out, self._file = work, out, file
        self._workshop, self._sources = workshop, sources
        self._names = outputs.Names()
        self.found_after = 0

    def __call__(self, source: str) -> form.Redacted:
        sha256 = watching.sha256_of(source)
        picture = os.path.splitext(source)[1].lower() in PICTURES
        name = self._name(source, _PICTURE if picture else _VIDEO)
        made = self._workshop / name
        make = self._picture if picture else self._video
        done, sound = make(source, sha256, made)
        self.found_after += done.found_after
        kept, references = self._work.kept, self._work.references
        result = form.Redacted.of(
            done,
            source=source,
            sha256=sha256,
            output=name,
            output_sha256=watching.sha256_of(os.fspath(made)),
            style=self._work.options.style,
            sound=sound,
            kept=tuple(person.number for person in kept.people) if kept else None,
            references=references.sha256 if references else None,
            spared=done.spared if kept or references else None,
        )
        record = f"{name}.json"
        write_atomic(self._workshop / record, f"{result.to_json()}\n".encode())
        outputs.check_unchanged(source, sha256)
        folder = self._out.parent if self._file else self._out
        outputs.publish_files(self._workshop, folder, [record, name])
        return result

    def _name(self, source: str, suffix: str) -> str:
        if self._file:
            return self._out.name
        real = {os.path.realpath(path) for path in self._sources}

        def is_taken(stem: str) -> bool:
            return os.path.realpath(self._out / f"{stem}-redacted{suffix}") in real

        return f"{self._names.give(source, is_taken)}-redacted{suffix}"

    def _video(self, source: str, sha256: str, made: Path) -> tuple[Redaction, Sound]:
        work = self._work
        if made.suffix.lower() not in WRITTEN:
            raise InputError(f"a video is written as {', '.join(sorted(WRITTEN))}")
        if work.kept is not None and work.kept.sha256 != sha256:
            raise InputError("is not the video of --people")
        paths = () if work.kept is None else work.kept.paths
        how = Covering(
            work.detect,
            work.finder,
            work.sure,
            work.options,
            work.sound,
            work.check,
            paths,
            None if work.references is None else work.references.spared,
        )
        with Video(source) as video, watching.counted(video, ROUNDS) as count:
            return how(video, made, count)

    def _picture(self, source: str, sha256: str, made: Path) -> tuple[Redaction, Sound]:
        work = self._work
        suffix = made.suffix.lower()
        if suffix not in FORMATS:
            raise InputError(f"a picture is written as {', '.join(FORMATS)}")
        if work.kept is not None:
            raise InputError("--people is for videos")
        picture = pictures.read_picture(source, work.limits)
        found = [face for face in work.detect(picture.image) if face.score >= work.sure * 0.6]
        spared = self._spared(picture.image, found)
        faces = [face for face in found if face not in spared]
        hidden = cover(picture.image, _boxes(faces), work.options)
        words = outputs.provenance(sha256) | {"Processing": f"faces covered, {work.options.style}"}
        write_atomic(made, encode(hidden, FORMATS[suffix], metadata=words))
        shared = iou(_boxes(work.finder(hidden)), _boxes(spared)).max(axis=1, initial=0)
        left = int((shared < SAME).sum())
        again = Review(0, 0, Fraction(0), Fraction(0), "found after")
        review = (again,) if left else ()
        count = len(faces)
        done = Redaction(1, int(count > 0), count, 0, left, 1, review, len(spared))
        return done, "none"

    def _spared(self, image: Image, faces: Sequence[Face]) -> list[Face]:
        references = self._work.references
        if references is None:
            return []
        return [face for face in faces if references.spared.face(image, face, len(faces))]


def _boxes(faces: Sequence[Face]) -> Floats:
    return np.array([face.box for face in faces], np.float32).reshape(-1, 4)


def _describe(result: form.Redacted) -> str:
    text = f"{result.covers} faces covered in {result.covered_frames} of {result.frames} frames"
    if result.frames == 1:
        text = f"{result.covers} faces covered"
    text += f", coverage {100 * result.coverage:.1f} %"
    if result.spared is not None:
        text += f", {result.spared} left to be seen"
    if result.review:
        text += f", {len(result.review)} places to review"
    if result.found_after:
        text += f"; {result.found_after} FACES FOUND AFTER"
        print("Faces were found in the result: look at the frames in its record.", file=sys.stderr)
    return f"{text}, {result.output}"
