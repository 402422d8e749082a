"""Runs exported models of the user's own on labelled pictures and on pairs, without training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from facecctv.errors import InputError
from facecctv.geometry import align
from facecctv.image.sizes import letterbox
from facecctv.learn.data.persons import People, cut_box, draw_pairs
from facecctv.learn.data.single import SingleFaces, resized
from facecctv.learn.outcomes import PairOutcome, SingleOutcome, pair_outcome, single_outcome
from facecctv.models.session import Runner
from facecctv.types import Face, Floats, Image
from facecctv.vision.compare import Crop, comparison_of, crop_of
from facecctv.vision.single import input_size, network_input

BATCH = 32

Detect = Callable[[Image], Sequence[Face]]


def single_of(session: Runner, data: SingleFaces) -> SingleOutcome:
    """What an exported single-face detector says of pictures, beside the truth."""
    pictures = resized(data.pictures, input_size(session.card)[0])
    scores, boxes = _run(session, pictures)
    return single_outcome(data.names, scores[:, 0], boxes, data.faces, data.boxes)


def pairs_of(session: Runner, people: People, count: int, seed: int = 0) -> PairOutcome:
    """Verification of drawn pairs by an exported recogniser."""
    pairs, same = draw_pairs(people.persons, count, np.random.default_rng(seed))
    (vectors,) = _run(session, people.pictures)
    compare = comparison_of(session.card)
    return pair_outcome(pairs, same, compare(vectors[pairs[:, 0]], vectors[pairs[:, 1]]))


@dataclass(frozen=True)
class Verdict:
    """Whether two pictures show one person."""

    similarity: float
    threshold: float
    set_at: str
    """What the threshold was set at."""

    @property
    def same(self) -> bool:
        """At the card's threshold."""
        return self.similarity >= self.threshold


def compare_pictures(session: Runner, a: Image, b: Image, detect: Detect) -> Verdict:
    """Compares the largest face of each picture, cut out as the recogniser's card says.

    Raises InputError where a face has to be found and none is, ModelError for another card.
    """
    compare, crop = comparison_of(session.card), crop_of(session.card)
    size = input_size(session.card)[0]
    faces = [
        _face(image, name, crop, size, detect) for image, name in ((a, "first"), (b, "second"))
    ]
    (vectors,) = _run(session, np.stack(faces))
    threshold = session.card.thresholds.get("default")
    return Verdict(
        float(compare(vectors[:1], vectors[1:])[0]),
        session.card.threshold(),
        threshold.at if threshold else "",
    )


def _face(image: Image, name: str, crop: Crop, size: int, detect: Detect) -> Image:
    if crop == "whole":
        return letterbox(image, size, size)[0]
    faces = detect(image)
    if not faces:
        raise InputError(f"no face was found in the {name} picture")
    face = max(faces, key=lambda f: f.width * f.height)
    return (
        align(image, face.landmarks, size) if crop == "aligned" else cut_box(image, face.box, size)
    )


def _run(session: Runner, pictures: np.ndarray) -> list[Floats]:
    parts = [
        session.run(network_input(pictures[i : i + BATCH], session.card))
        for i in range(0, len(pictures), BATCH)
    ]
    return [np.concatenate(column) for column in zip(*parts, strict=True)]
