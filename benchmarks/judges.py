"""Who says whether two pictures show one person: judges of identity for the enhancers.

The project's own embedder is a poor judge of the enhancers: one of them was taught with it, and it
was itself taught to see through bad pictures. The other judge has nothing to do with either.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.dlib_resnet import Network
from facecctv import build
from facecctv.errors import MissingExtra
from facecctv.geometry import align, similarity, warp
from facecctv.settings import Settings
from facecctv.types import Floats, Image

CHIP = 150
"""Side of the square that dlib's network sees, pixels."""
PADDING = 0.25
"""Around the face, as a share of dlib's mean face shape; what `dlib.get_face_chip` takes."""

MEAN_FACE: Floats = np.array(
    [
        # The eyes are the means of their six points, the others points 30, 48 and 54 of the 68.
        [0.22549, 0.21599],
        [0.75476, 0.21599],
        [0.490127, 0.515625],
        [0.254149, 0.780233],
        [0.726104, 0.780233],
    ],
    np.float32,
)
"""(5, 2): our five landmarks in dlib's mean face shape (`get_face_chip_details`)."""

WEIGHTS = "dlib_face_recognition_resnet_model_v1.dat"
HOW_TO_GET = "pip install --no-deps --target FOLDER face_recognition_models"


@dataclass(frozen=True)
class Judge:
    """Describes faces by numbers that are near each other for one person."""

    name: str
    unit: str
    """What its similarity is."""
    describe: Callable[[Sequence[Image], Sequence[Floats]], Floats]
    """Pictures with five landmarks (5, 2) each, pixels -> (N, D)."""
    alike: Callable[[Floats, Floats], Floats]
    """(N, D), (M, D) -> (N, M) similarities: higher is more alike."""


def own(settings: Settings) -> Judge:
    """The project's `face-embedder`: cosine."""
    recogniser = build.recogniser(settings)

    def describe(pictures: Sequence[Image], landmarks: Sequence[Floats]) -> Floats:
        squares = [align(*pair) for pair in zip(pictures, landmarks, strict=True)]
        parts = [recogniser.embed(squares[i : i + 32]) for i in range(0, len(squares), 32)]
        return np.concatenate(parts)

    card = recogniser.card
    return Judge(f"{card.name} {card.version}", "cosine", describe, lambda a, b: a @ b.T)


def dlib_resnet() -> Judge:
    """dlib's ResNet (King 2017, 128 numbers): one less the Euclidean distance.

    dlib takes two faces for one person under a distance of 0.6, here a similarity over 0.4.
    Raises MissingExtra without its weights.
    """
    network = Network(weights())

    def describe(pictures: Sequence[Image], landmarks: Sequence[Floats]) -> Floats:
        chips = [chip(*pair) for pair in zip(pictures, landmarks, strict=True)]
        parts = [network(np.stack(chips[i : i + 32])) for i in range(0, len(chips), 32)]
        return np.concatenate(parts)

    return Judge("dlib's ResNet", "1 - distance", describe, one_less_distance)


def one_less_distance(a: Floats, b: Floats) -> Floats:
    """(N, D), (M, D) -> (N, M): one less the Euclidean distance."""
    return np.asarray(1 - np.linalg.norm(a[:, None] - b[None], axis=2))


def chip(image: Image, landmarks: Floats) -> Image:
    """The face as dlib's network wants it: (150, 150, 3) uint8, upright."""
    wanted = (MEAN_FACE + PADDING) / (1 + 2 * PADDING) * CHIP
    return np.ascontiguousarray(warp(image, similarity(landmarks, wanted), CHIP, CHIP))


def weights() -> Path:
    """The file of dlib's network. Raises MissingExtra where it is not installed."""
    # Looked up, not imported: its own import needs a part of setuptools that is no more.
    found = importlib.util.find_spec("face_recognition_models")
    path = Path(found.origin or "").parent / "models" / WEIGHTS if found else None
    if path is None or not path.is_file():
        raise MissingExtra(
            f"this judge needs {WEIGHTS} (22 MB, CC0): {HOW_TO_GET}, and PYTHONPATH=FOLDER"
        )
    return path
