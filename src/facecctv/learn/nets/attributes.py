"""Age and gender of an upright face: the embedder's trunk, a cheap block, a position-aware head."""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import layers

from facecctv.learn.nets.blocks import ConvNorm, Dropout
from facecctv.learn.nets.embedder import trunk


@dataclass(frozen=True)
class AttributesNet:
    """Widths and depths; the defaults are the shipped network (1.9 M weights, 0.4 GMAC)."""

    stem: int = 32
    widths: tuple[int, ...] = (64, 128, 256)
    blocks: tuple[int, ...] = (3, 3, 0)
    """The embedder's without its last, which holds a third of all its weights."""
    narrow: int = 64
    """Width inside the bottleneck that takes that block's place (He et al. 2016)."""
    squeeze: int = 48
    hidden: int = 128
    dropout: float = 0.1
    ages: int = 101
    """Years told apart, from 0."""

    def build(self) -> keras.Model:
        """Returns a Keras model: (N, 3, 112, 112) float32 RGB 0..1 -> two arrays of logits.

        The first is (N, ages): softmax makes it a distribution over years. The second is (N, 1):
        sigmoid makes it the probability of "female".
        """
        picture = keras.Input((3, 112, 112), name="picture")
        x = trunk(picture, self.stem, self.widths, self.blocks)
        y = ConvNorm(self.narrow, kernel=1, name="narrow")(x)
        y = ConvNorm(self.narrow, name="look")(y)
        y = ConvNorm(self.widths[-1], kernel=1, activate=False, name="widen")(y)
        x = layers.ReLU(autocast=False)(layers.Add(autocast=False)([x, y]))
        x = ConvNorm(self.squeeze, kernel=1, name="gather")(x)
        x = layers.Flatten(data_format="channels_last", autocast=False)(x)
        x = Dropout(self.dropout, name="drop_places")(x)
        x = layers.Dense(self.hidden, activation="relu", autocast=False, name="hidden")(x)
        x = Dropout(self.dropout, name="drop_hidden")(x)
        age = layers.Dense(self.ages, autocast=False, name="age")(x)
        gender = layers.Dense(1, autocast=False, name="gender")(x)
        return keras.Model(picture, [age, gender], name="attributes")
