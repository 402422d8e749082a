"""`facecctv embed`."""

from __future__ import annotations

from facecctv import build
from facecctv.cli import batch, options, outputs, people, pictures
from facecctv.schema import Result


def embed(
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
    """Turn every face into an embedding: numbers that lie close together for one person.

    The numbers are personal data, and are printed only with --json.
    """
    how = options.look(threshold, min_face, tiles, enlarge)
    found = options.sources(inputs)
    faces = people.faces(model, embedder, how)
    pipeline = faces.pipeline()

    def work(source: str) -> Result:
        picture = pictures.read_picture(source, faces.limits)
        portraits = pipeline.image(picture.image)
        outputs.check_unchanged(source, picture.sha256)
        return people.result(source, picture, portraits, embeddings=True)

    return batch.run(found, work, _describe, as_json=as_json, debug=debug)


def _describe(result: Result) -> str:
    if not result.faces:
        return "no faces"
    count = "1 face" if len(result.faces) == 1 else f"{len(result.faces)} faces"
    return f"{count}, {len(result.faces[0].embedding or ())} numbers each"
