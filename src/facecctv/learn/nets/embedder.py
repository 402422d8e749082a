"""The face embedder: a residual network of plain convolutions and a position-aware head."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import torch
from keras import layers
from torch.nn import functional

from facecctv.learn.nets.blocks import ConvNorm


@dataclass(frozen=True)
class EmbedderNet:
    """Widths and depths; the defaults are the shipped embedder (about 0.46 GMAC)."""

    stem: int = 32
    widths: tuple[int, ...] = (64, 128, 256)
    blocks: tuple[int, ...] = (3, 3, 1)
    squeeze: int = 64
    embedding: int = 128

    def build(self) -> keras.Model:
        """Returns a Keras model: (N, 3, 112, 112) float32 RGB 0..1 -> (N, 128) of unit length.

        The last map is flattened, not pooled: in an upright square, where a feature lies says
        which feature it is (as in MobileFaceNet's global depthwise convolution, Chen et al. 2018).
        """
        picture = keras.Input((3, 112, 112), name="picture")
        x = trunk(picture, self.stem, self.widths, self.blocks)
        x = ConvNorm(self.squeeze, kernel=1, name="squeeze")(x)
        x = layers.Flatten(data_format="channels_last", autocast=False)(x)
        x = layers.Dense(self.embedding, autocast=False, name="embedding")(x)
        return keras.Model(picture, UnitLength(name="unit")(x), name="embedder")


def trunk(
    picture: keras.KerasTensor, stem: int, widths: tuple[int, ...], blocks: tuple[int, ...]
) -> keras.KerasTensor:
    """The map that a face is judged by: a stem, then a halving and residual blocks a stage.

    (N, 3, S, S) RGB 0..1 -> (N, widths[-1], S / 16, S / 16) with three stages. Layers bear the
    same names at any depth, so that another network can begin with the weights of this one.
    """
    x = layers.Rescaling(2.0, -1.0)(picture)
    x = ConvNorm(stem, stride=2, name="stem")(x)
    for stage, (width, count) in enumerate(zip(widths, blocks, strict=True)):
        x = ConvNorm(width, stride=2, name=f"down{stage}")(x)
        for block in range(count):
            y = ConvNorm(width, name=f"stage{stage}_{block}a")(x)
            y = ConvNorm(width, activate=False, name=f"stage{stage}_{block}b")(y)
            x = layers.ReLU(autocast=False)(layers.Add(autocast=False)([x, y]))
    return x


class UnitLength(keras.layers.Layer):
    """Divides each row by its Euclidean length, in float32."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__(autocast=False, **kwargs)

    def call(self, x: torch.Tensor) -> torch.Tensor:
        return functional.normalize(x.float(), dim=-1)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return shape
