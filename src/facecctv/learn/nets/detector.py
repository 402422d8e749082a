"""The fast multi-face detector: one small anchor-free network of plain 3x3 convolutions.

Dense 3x3 convolutions are what CPUs run best, so the network is a short residual trunk with a
feature pyramid, and no depthwise layer.

Outputs are the raw maps of three pyramid levels, strides 8, 16 and 32. Stride 8 carries five
predictions per cell: one for the cell itself and one for each of its four quarters, which act as a
level of stride 4 for faces down to about 6 px without the cost of stride-4 features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from facecctv.learn.nets.blocks import ConvNorm, UpsampleAdd
from facecctv.vision.anchors import FACE_LEVELS

CHANNELS_PER_PREDICTION = 15  # see vision.anchors


@dataclass(frozen=True)
class DetectorNet:
    """Widths and depths; the defaults are the shipped face detector (1.2 M parameters)."""

    stem: int = 16
    quarter: int = 32
    widths: tuple[int, int, int] = (64, 96, 128)
    blocks: tuple[int, int, int] = (2, 2, 1)
    neck: int = 64

    def build(self) -> keras.Model:
        """Returns a Keras model: (N, 3, H, W) float32 RGB 0..1 -> three maps, strides 8, 16, 32.

        H and W must be multiples of 32. Each map is (N, 15 * predictions, H / s, W / s).
        """
        picture = keras.Input((3, None, None), name="picture")
        convolve = _Convolutions()
        x = convolve(picture, self.stem, stride=2)
        x = convolve(x, self.quarter, stride=2)
        levels = []
        for width, blocks in zip(self.widths, self.blocks, strict=True):
            x = convolve(x, width, stride=2)
            for _ in range(blocks):
                x = _residual(x, width, convolve)
            levels.append(x)
        coarse = None
        outputs = []
        for stride, level in zip((32, 16, 8), reversed(levels), strict=True):
            x = convolve(level, self.neck, kernel=1, activate=False)
            if coarse is not None:
                x = UpsampleAdd()(coarse, x)
            coarse = convolve(x, self.neck)
            outputs.append(_head(convolve(coarse, self.neck), stride))
        return keras.Model(picture, outputs[::-1], name="detector")


class _Convolutions:
    """Numbers the convolutions of one network.

    Checkpoints name weights by their layers, and Keras' own numbers go on from network to network.
    """

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, x: keras.KerasTensor, width: int, **options: Any) -> keras.KerasTensor:
        name = f"conv_norm_{self._count}" if self._count else "conv_norm"
        self._count += 1
        return ConvNorm(width, name=name, **options)(x)


def _residual(x: keras.KerasTensor, width: int, convolve: _Convolutions) -> keras.KerasTensor:
    y = convolve(convolve(x, width), width, activate=False)
    return layers.ReLU(autocast=False)(layers.Add(autocast=False)([x, y]))


def _head(x: keras.KerasTensor, stride: int) -> keras.KerasTensor:
    return layers.Conv2D(
        CHANNELS_PER_PREDICTION * FACE_LEVELS[stride],
        1,
        data_format="channels_first",
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        bias_initializer=_rare_faces,
        autocast=False,
        name=f"stride{stride}",
    )(x)


def _rare_faces(shape: tuple[int, ...], dtype: Any = None) -> Any:
    """Bias at the start: a face probability of 1 % (Lin et al. 2017), offsets of zero."""
    channel = keras.ops.arange(shape[0]) % CHANNELS_PER_PREDICTION
    return keras.ops.cast(keras.ops.where(channel == 0, -4.6, 0.0), dtype or "float32")
