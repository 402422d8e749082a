"""Same person or not: one trunk looks at both pictures.

An embedder turns a picture into a unit-length vector. Three ways to teach it: a classifier on the
absolute difference of two vectors, contrastive loss on pairs, triplet loss on whole batches.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import keras
from keras import layers, ops

from facecctv.errors import InputError, SettingError
from facecctv.learn.nets import embedder as face_embedder
from facecctv.learn.nets.backbone import NONE, SHIPPED, build_backbone, pooled
from facecctv.learn.nets.folded import load_in_order
from facecctv.models.card import Card
from facecctv.vision.compare import TASK

Distance = Literal["euclidean", "cosine"]


@dataclass(frozen=True)
class EmbedderNet:
    """A trunk, pooled, projected and brought to unit length."""

    backbone: str = "ResNet50"
    """Of keras.applications, or `shipped`: the face embedder that comes with the product."""
    size: int = 112
    """Side of the square face pictures, pixels."""
    embedding: int = 128
    pooling: str = "average"

    def __post_init__(self) -> None:
        if self.embedding < 2:
            raise SettingError(f"an embedding has at least 2 numbers, not {self.embedding}")

    def build(self, weights: str = NONE, *, offline: bool = False) -> keras.Model:
        """Returns a Keras model: (N, size, size, 3) RGB 0..255 -> (N, embedding), length 1.

        `weights` as for build_backbone; for `shipped` `none` or the path of its ONNX file. Raises
        as build_backbone, and SettingError for sizes that the shipped embedder does not have.
        """
        if self.backbone.lower() == SHIPPED:
            return self._shipped(weights)
        trunk = build_backbone(self.backbone, self.size, weights, offline=offline)
        picture = keras.Input((self.size, self.size, 3), name="picture")
        x = layers.Dense(self.embedding, name="projection")(pooled(trunk(picture), self.pooling))
        return keras.Model(picture, layers.UnitNormalization(name="embedding")(x), name="embedder")

    def _shipped(self, weights: str) -> keras.Model:
        whole = face_embedder.EmbedderNet()
        if (self.size, self.embedding) != (112, whole.embedding):
            raise SettingError(
                f"the shipped embedder takes 112 px and gives {whole.embedding} numbers, not "
                f"{self.size} px and {self.embedding}"
            )
        network = whole.build()
        if weights != NONE:
            load_in_order(network, shipped_embedder(weights))
        head = network.get_layer("embedding")
        trunk = AsExported(keras.Model(network.input, head.input), name="backbone")
        picture = keras.Input((self.size, self.size, 3), name="picture")
        x = layers.Rescaling(1 / 255)(layers.Permute((3, 1, 2))(picture))
        x = layers.Dense(self.embedding, name="projection")(trunk(x))
        model = keras.Model(picture, layers.UnitNormalization(name="embedding")(x), name="embedder")
        model.get_layer("projection").set_weights(head.get_weights())
        return model


class AsExported(layers.Layer):
    """A trunk with its normalisation in inference mode at all times.

    Weights that came out of a file have it folded in (nets/folded.py).
    """

    def __init__(self, trunk: keras.Model, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.trunk = trunk

    def call(self, x: object) -> object:
        return self.trunk(x, training=False)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return self.trunk.compute_output_shape(shape)


def shipped_embedder(path: str) -> bytes:
    """An embedder's file. Raises InputError and ModelError where it is none."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    Card.from_model(data).of_task(TASK)
    return data


def pair_classifier(embedder: keras.Model) -> keras.Model:
    """Two pictures -> (N, 1) probability that they show one person, from |a - b|.

    The classifier begins as what it is to become: any difference speaks against one person. From
    random weights, half of which take differences for likeness, it first undoes what the embedder
    knows. Of strangers' random vectors the mean of |a - b| is 1.1 (see absolute_difference).
    """
    a, b, left, right = _twins(embedder)
    difference = layers.Lambda(absolute_difference, name="difference")([left, right])
    same = layers.Dense(
        1,
        activation="sigmoid",
        kernel_initializer=keras.initializers.Constant(-8 / difference.shape[-1]),
        bias_initializer=keras.initializers.Constant(8 * 0.95),
        name="same",
    )(difference)
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
