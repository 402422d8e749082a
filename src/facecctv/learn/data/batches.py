"""Data sets as Keras takes them: batches of pairs, triplets or single pictures.

The only module here that imports keras.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from facecctv.errors import InputError
from facecctv.learn.data.augment import Augmenter
from facecctv.learn.data.dataset import Labelled, Pictures
from facecctv.learn.data.detection import Sample
from facecctv.learn.data.faces import face_picture
from facecctv.learn.data.pairs import Pairs, Triplets
from facecctv.types import Floats, Image


class FaceBatches(keras.utils.PyDataset):
    """Pairs or triplets in batches.

    A batch of pairs is ((first, second), same): two float32 (B, side, side, 3) in 0..255 RGB and
    (B,) float32 of 0 and 1. A batch of triplets is ((anchor, positive, negative), zeros (B,)),
    since Keras wants a target. The order is drawn anew from the seed for every epoch.
    Raises InputError if there are fewer than one batch.
    """

    def __init__(
        self,
        items: Sequence[Labelled],
        found: Pairs | Triplets,
        batch: int = 32,
        side: int = 112,
        margin: float = 0.1,
        seed: int = 0,
        *,
        shuffle: bool = True,
        augmenter: Augmenter | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if len(found) < batch:
            raise InputError(f"{len(found)} pairs or triplets are fewer than a batch of {batch}")
        self._items, self._batch, self._side, self._margin = items, batch, side, margin
        if isinstance(found, Pairs):
            self._columns = [found.first, found.second]
            self._target = found.same.astype(np.float32)
        else:
            self._columns = [found.anchor, found.positive, found.negative]
            self._target = np.zeros(len(found), np.float32)
        self._seed, self._epoch, self._shuffle = seed, 0, shuffle
        self._augmenter = augmenter
        self._order = self._drawn()
        self._pictures = Pictures()
        self._cache: dict[int, Image] = {}

    def __len__(self) -> int:
        return math.ceil(len(self._target) / self._batch)

    def __getitem__(self, index: int) -> tuple[tuple[Floats, ...], Floats]:
        rows = self._order[index * self._batch : (index + 1) * self._batch]
        faces = tuple(
            np.stack([self._face(int(column[row]), int(row)) for row in rows])
            for column in self._columns
        )
        return faces, self._target[rows]

    def on_epoch_end(self) -> None:
        """A new order for the next epoch."""
        self._epoch += 1
        self._order = self._drawn()

    def _drawn(self) -> np.ndarray:
        count = len(self._target)
        if not self._shuffle:
            return np.arange(count)
        return np.random.default_rng([self._seed, self._epoch]).permutation(count)

    def _face(self, index: int, row: int) -> Floats:
        if index not in self._cache:
            item = self._items[index]
            self._cache[index] = face_picture(self._pictures, item, self._side, self._margin)
        image = self._cache[index]
        if self._augmenter is not None:
            rng = np.random.default_rng([self._seed, self._epoch, row, index])
            none = np.zeros((0, 4), np.float32)
            sample = Sample("", image, none, np.zeros((0, 5, 2), np.float32), np.zeros(0, bool))
            image = self._augmenter(sample, rng).image
            if image.shape[:2] != (self._side, self._side):
                raise InputError("the augmenter of faces must keep their size: set crop and size 0")
        return image.astype(np.float32)
