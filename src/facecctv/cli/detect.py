"""`facecctv detect`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from facecctv import build, geometry
from facecctv.cli import batch, options, outputs, pictures
from facecctv.image import Picture
from facecctv.schema import Files, Result
from facecctv.types import Body, Portrait
from facecctv.vision.detect import DetectOptions
from facecctv.vision.single import landmarks_from


def detect(
    inputs: options.Inputs,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for --annotate and --crops.")
    ] = None,
    as_json: options.Json = False,
    threshold: options.Threshold = None,
    min_face: options.MinFace = 0.0,
    tiles: options.Tiles = "auto",
    enlarge: options.Enlarge = "auto",
    bodies: options.Bodies = False,
    annotate: Annotated[
        bool, typer.Option("--annotate", help="Write each picture with what was found outlined.")
    ] = False,
    crops: Annotated[
        bool, typer.Option("--crops", help="Write the own pixels of each face, with margin.")
    ] = False,
    model: options.Model = build.FACE_DETECTOR,
    debug: options.Debug = False,
) -> int:
    """Find the faces in pictures, and people if asked.

    Prints where they are. Writes OUT/NAME-annotated.png, OUT/NAME-face-01.png and
    OUT/NAME-body-01.png if asked.
    """
    if (annotate or crops) and out is None:
        raise typer.BadParameter("--annotate and --crops need a folder to write to: -o OUT")
    if out is not None and not (annotate or crops):
        raise typer.BadParameter("-o OUT: nothing to write without --annotate or --crops")
    how = options.look(threshold, min_face, tiles, enlarge)
    found = options.sources(inputs, out)
    settings = options.environment()
    detector, limits = build.detector(settings, how, model), build.limits(settings)
    _ = detector.card  # a model that cannot be used is no fault of any input
    looking = DetectOptions(tiles=tiles, enlarge=enlarge)
    find_bodies = build.body_finder(settings, looking) if bodies else None
    writer = _Writer(outputs.folder(out), found, annotate, crops) if out is not None else None

    def work(source: str) -> Result:
        picture = pictures.read_picture(source, limits)
        portraits = [
            Portrait(face, geometry.crop(picture.image, face) if crops else None)
            for face in detector(picture.image)
        ]
        faces = [portrait.face for portrait in portraits]
        people = find_bodies(picture.image, faces) if find_bodies else None
        files = writer.write(source, picture, portraits, people) if writer else None
        size = (picture.width, picture.height)
        guessed = landmarks_from(detector.card)
        return Result.of(
            source,
            picture.sha256,
            size,
            portraits,
            bodies=people,
            files=files,
            landmarks_from=guessed,
        )

    return batch.run(found, work, _describe, as_json=as_json, debug=debug)


def _describe(result: Result) -> str:
    return _faces(result) + pictures.body_words(result.bodies)


def _faces(result: Result) -> str:
    if not result.faces:
        return "no faces"
    heights = ", ".join(f"{face.box.y_max - face.box.y_min:.0f}" for face in result.faces[:12])
    rest = ", …" if len(result.faces) > 12 else ""
    return f"{_count(len(result.faces))}, {heights}{rest} px high"


def _count(faces: int) -> str:
    return "1 face" if faces == 1 else f"{faces} faces"


class _Writer:
    """Writes what was asked for into the output folder."""

    def __init__(self, out: Path, sources: list[str], annotate: bool, crops: bool) -> None:
        self._out, self._annotate, self._crops = out, annotate, crops
        self._names = outputs.Names()
        here = os.path.realpath(out)
        self._sources_here = [
            os.path.basename(source).casefold()
            for source in sources
            if os.path.realpath(os.path.dirname(source)) == here
        ]

    def write(
        self,
        source: str,
        picture: Picture,
        portraits: list[Portrait],
        bodies: list[Body] | None,
    ) -> Files:
        name = self._names.give(source, self._is_a_source)
        outputs.check_unchanged(source, picture.sha256)
        annotated, crops, people = None, None, None
        if self._annotate:
            annotated = f"{name}-annotated.png"
            pictures.write_annotated(
                self._out / annotated, picture.image, portraits, picture.sha256, bodies or ()
            )
        if self._crops:
            crops = tuple(pictures.write_crops(self._out, f"{name}-", portraits, picture.sha256))
            if bodies is not None:
                people = tuple(
                    pictures.write_bodies(
                        self._out, f"{name}-", picture.image, bodies, picture.sha256
                    )
                )
        outputs.check_unchanged(source, picture.sha256)
        return Files(annotated=annotated, crops=crops, bodies=people)

    def _is_a_source(self, name: str) -> bool:
        ours = tuple(f"{name}-{kind}".casefold() for kind in ("annotated.", "face-", "body-"))
        return any(source.startswith(ours) for source in self._sources_here)
