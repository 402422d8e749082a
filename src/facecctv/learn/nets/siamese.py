"""Same person or not: one trunk looks at both pictures.

An embedder turns a picture into a unit-length vector. Three ways to teach it: a classifier on the
absolute difference of two vectors, contrastive loss on pairs, triplet loss on whole batches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import keras
from keras import layers, ops

from facecctv.errors import SettingError
from facecctv.learn.nets.backbone import NONE, build_backbone, pooled

Distance = Literal["euclidean", "cosine"]


@dataclass(frozen=True)
class EmbedderNet:
    """A trunk, pooled, projected and brought to unit length."""

    backbone: str = "ResNet50"
    size: int = 112
    """Side of the square face pictures, pixels."""
    embedding: int = 128
    pooling: str = "average"

    def __post_init__(self) -> None:
        if self.embedding < 2:
            raise SettingError(f"an embedding has at least 2 numbers, not {self.embedding}")

    def build(self, weights: str = NONE, *, offline: bool = False) -> keras.Model:
        """Returns a Keras model: (N, size, size, 3) RGB 0..255 -> (N, embedding), length 1."""
        trunk = build_backbone(self.backbone, self.size, weights, offline=offline)
        picture = keras.Input((self.size, self.size, 3), name="picture")
        x = layers.Dense(self.embedding, name="projection")(pooled(trunk(picture), self.pooling))
        return keras.Model(picture, layers.UnitNormalization(name="embedding")(x), name="embedder")


def pair_classifier(embedder: keras.Model) -> keras.Model:
    """Two pictures -> (N, 1) probability that they show one person, from |a - b|."""
    a, b, left, right = _twins(embedder)
    difference = layers.Lambda(absolute_difference, name="difference")([left, right])
    same = layers.Dense(1, activation="sigmoid", name="same")(difference)
    return keras.Model([a, b], same, name="pair_classifier")


def pair_distance(embedder: keras.Model, distance: Distance) -> keras.Model:
    """Two pictures -> (N, 1) distance of their embeddings."""
    a, b, left, right = _twins(embedder)
    between = layers.Lambda(
        lambda pair: keras.ops.expand_dims(distances(*pair, distance), -1), name="distance"
    )([left, right])
    return keras.Model([a, b], between, name="pair_distance")


def absolute_difference(pair: list) -> object:
    """|a - b| of unit vectors, scaled so that its size does not depend on their length."""
    a, b = pair
    return ops.abs(a - b) * (a.shape[-1] ** 0.5)


def distances(a: object, b: object, distance: Distance) -> object:
    """Row by row: Euclidean (0..2 for unit vectors) or cosine (1 - a . b, 0..2)."""
    if distance == "cosine":
        return 1 - ops.sum(a * b, axis=-1)
    # The root has no slope at zero.
    return ops.sqrt(ops.sum(ops.square(a - b), axis=-1) + 1e-9)


def _twins(embedder: keras.Model) -> tuple[keras.KerasTensor, ...]:
    shape = embedder.input_shape[1:]
    a, b = keras.Input(shape, name="a"), keras.Input(shape, name="b")
    return a, b, embedder(a), embedder(b)
