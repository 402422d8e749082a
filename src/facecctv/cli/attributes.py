"""`facecctv attributes`."""

from __future__ import annotations

from typing import Annotated

import typer

from facecctv import build
from facecctv.cli import batch, options, outputs, pictures
from facecctv.pipeline import Pipeline
from facecctv.schema import Result
from facecctv.vision.single import landmarks_from

Estimator = Annotated[
    str,
    typer.Option(metavar="NAME_OR_FILE", help="What estimates: a name or an .onnx file."),
]


def attributes(
    inputs: options.Inputs,
    as_json: options.Json = False,
    threshold: options.Threshold = None,
    min_face: options.MinFace = 0.0,
    tiles: options.Tiles = "auto",
    enlarge: options.Enlarge = "auto",
    model: options.Model = build.FACE_DETECTOR,
    estimator: Estimator = build.FACE_ATTRIBUTES,
    debug: options.Debug = False,
) -> int:
    """Estimate age and gender of every face, as others would perceive them.

    Ages come as an interval that holds the true one in four of five faces of this size. A gender
    that the picture does not show is undetermined, and a face that is too small to say anything
    gets no answer. Estimates describe a picture: they identify nobody, and decide nothing.
    """
    how = options.look(threshold, min_face, tiles, enlarge)
    found = options.sources(inputs)
    settings = options.environment()
    detector, estimate = build.detector(settings, how, model), build.estimator(settings, estimator)
    estimate.check()  # a model that cannot be used is no fault of any input
    guessed = landmarks_from(detector.card)
    pipeline = Pipeline(detect=detector, attributes=estimate)
    limits = build.limits(settings)

    def work(source: str) -> Result:
        picture = pictures.read_picture(source, limits)
        portraits = pipeline.image(picture.image)
        outputs.check_unchanged(source, picture.sha256)
        size = (picture.width, picture.height)
        return Result.of(source, picture.sha256, size, portraits, landmarks_from=guessed)

    return batch.run(found, work, _describe, as_json=as_json, debug=debug)


def _describe(result: Result) -> str:
    if not result.faces:
        return "no faces"
    count = "1 face" if len(result.faces) == 1 else f"{len(result.faces)} faces"
    words = "; ".join(pictures.attribute_words(face) for face in result.faces)
    return f"{count}, estimated: {words}"
