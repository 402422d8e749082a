"""One face or none: a trunk with two heads, face probability and box.

VGG16 (Simonyan & Zisserman 2015) is the default trunk. Global max pooling takes the strongest
answer of every feature wherever it stands; each head is one hidden layer and a sigmoid.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import layers

from facecctv.learn.nets.backbone import NONE, build_backbone, pooled

FACE, BOX = "face", "box"


@dataclass(frozen=True)
class TwoHeadNet:
    """The defaults are the well-known tutorial network."""

    backbone: str = "VGG16"
    size: int = 120
    """Side of the square pictures, pixels."""
    hidden: int = 2048
    """Width of the hidden layer of each head."""
    pooling: str = "max"
    """`max`, `average`, or `flatten`, which keeps where things are: better boxes, more weights."""

    def build(self, weights: str = NONE, *, offline: bool = False) -> keras.Model:
        """Returns a Keras model: (N, size, size, 3) RGB 0..255 -> {"face": (N, 1), "box": (N, 4)}.

        `box` is x1 y1 x2 y2 as shares of the side, 0..1. Raises as build_backbone.
        """
        trunk = build_backbone(self.backbone, self.size, weights, offline=offline)
        picture = keras.Input((self.size, self.size, 3), name="picture")
        features = pooled(trunk(picture), self.pooling)
        outputs = {
            FACE: _head(features, self.hidden, 1, FACE),
            BOX: _head(features, self.hidden, 4, BOX),
        }
        return keras.Model(picture, outputs, name="two_heads")


def _head(x: keras.KerasTensor, hidden: int, values: int, name: str) -> keras.KerasTensor:
    x = layers.Dense(hidden, activation="relu", name=f"{name}_hidden")(x)
    return layers.Dense(values, activation="sigmoid", name=name)(x)
