"""Aligned faces to embeddings: unit vectors that lie close together for one person."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from facecctv.errors import ModelError
from facecctv.geometry import align
from facecctv.models.card import Card
from facecctv.models.session import Runner
from facecctv.types import Face, Floats, Image, check_image
from facecctv.vision.compare import TASK, crop_of
from facecctv.vision.single import average_landmarks, input_size, network_input

BATCH = 32
"""Faces in one run of the network, at most."""


class Recogniser:
    """Embeds aligned faces with one network.

    With `mirror` an embedding is the mean over the face and its mirror image: steadier, in twice
    the time. Raises ModelError when the model cannot be used or does not take aligned faces.
    """

    def __init__(self, session: Runner, *, mirror: bool = False) -> None:
        self._session = session
        self._mirror = mirror

    @property
    def card(self) -> Card:
        """The model's own account of itself."""
        return self._session.card

    @property
    def name(self) -> str:
        """Name and version of the model: embeddings of different ones do not compare."""
        return f"{self.card.name} {self.card.version}"

    @property
    def length(self) -> int:
        """How many numbers an embedding has; runs the network once."""
        height, width = self._size()
        return int(self.embed([np.zeros((height, width, 3), np.uint8)]).shape[1])

    @property
    def side(self) -> int:
        """Of the aligned squares that it takes, pixels; ModelError where it takes none."""
        return self._size()[0]

    def embed(self, crops: Sequence[Image]) -> Floats:
        """(N, D) float32 of unit length, one for each aligned face; (0, D or 0) for none.

        `crops` are (S, S, 3) uint8 RGB as `geometry.align` makes them, S the side that the card
        names. Raises ValueError for crops of another size.
        """
        if not crops:
            return np.zeros((0, 0), np.float32)
        height, width = self._size()
        for crop in crops:
            if check_image(crop).shape[:2] != (height, width):
                raise ValueError(f"aligned faces are {width} x {height} pixels, not {crop.shape}")
        return np.concatenate(
            [self._some(crops[at : at + BATCH]) for at in range(0, len(crops), BATCH)]
        )

    def faces(self, image: Image, faces: Sequence[Face]) -> Floats:
        """(N, D) embeddings of faces of an (H, W, 3) uint8 RGB picture, each made upright first.

        A face whose landmarks coincide is made upright by those that are usual in its box.
        """
        side = self.side
        return self.embed([upright(image, face, side) for face in faces])

    def _size(self) -> tuple[int, int]:
        card = self.card.of_task(TASK)
        if crop_of(card) != "aligned":
            raise ModelError(f"{card.name} is no {TASK} of aligned faces")
        return input_size(card)

    def _some(self, crops: Sequence[Image]) -> Floats:
        batch = network_input(crops, self.card)
        found = _unit(np.asarray(self._session.run(batch)[0], np.float32))
        if self._mirror:
            flipped = network_input([crop[:, ::-1] for crop in crops], self.card)
            found = _unit(found + _unit(np.asarray(self._session.run(flipped)[0], np.float32)))
        return found


def upright(image: Image, face: Face, side: int) -> Image:
    """(side, side, 3) uint8 RGB: the face aligned by its landmarks; where these coincide, by those
    that are usual in its box.
    """
    try:
        return align(image, face.landmarks, side)
    except ValueError:
        return align(image, average_landmarks(face.box), side)


def _unit(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)
