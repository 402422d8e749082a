"""The fast multi-face detector: one small anchor-free network of plain 3x3 convolutions.

Dense 3x3 convolutions are what CPUs run best, so the network is a short residual trunk with a
feature pyramid, and no depthwise layer.

Outputs are the raw maps of the pyramid levels, for faces strides 8, 16 and 32. Stride 8 carries
five predictions per cell: one for the cell itself and one for each of its four quarters, which act
as a level of stride 4 for faces down to about 6 px without the cost of stride-4 features. For
bodies there is a level of stride 64 instead, no quarters, and no landmarks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
from keras import layers

from facecctv.learn.nets.blocks import ConvNorm, UpsampleAdd
from facecctv.vision.anchors import BODY_LEVELS, FACE_LEVELS

STRIDES = (8, 16, 32)
"""Of the levels that `DetectorNet.widths` and `blocks` are for; `beyond` are those after them."""


@dataclass(frozen=True)
class DetectorNet:
    """Widths and depths; the defaults are the shipped face detector (1.2 M parameters)."""

    stem: int = 16
    quarter: int = 32
    widths: tuple[int, int, int] = (64, 96, 128)
    blocks: tuple[int, int, int] = (2, 2, 1)
    neck: int = 64
    beyond: tuple[int, ...] = ()
    """Widths of levels coarser than stride 32, each with one block."""
    levels: Mapping[int, int] = field(default_factory=lambda: dict(FACE_LEVELS))
    """Stride -> predictions per cell; see vision.anchors."""
    landmarks: int = 5

    @property
    def multiple_of(self) -> int:
        """Height and width of a picture must be multiples of this."""
        return max(self.levels)

    @property
    def channels(self) -> int:
        """Numbers of one prediction; see vision.anchors."""
        return 5 + 2 * self.landmarks

    def build(self) -> keras.Model:
        """Returns a Keras model: (N, 3, H, W) float32 RGB 0..1 -> a map for each level, finest
        first.

        H and W must be multiples of `multiple_of`. Each map is
        (N, channels * predictions, H / s, W / s).
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
        # Under names of their own, so that all others fit the weights of a network without them.
        further = _Convolutions("beyond_conv_norm")
        for width in self.beyond:
            x = _residual(further(x, width, stride=2), width, further)
            levels.append(x)
        coarse = None
        outputs = []
        for stride, level in reversed(list(zip(self.levels, levels, strict=True))):
            here = convolve if stride in STRIDES else further
            x = here(level, self.neck, kernel=1, activate=False)
            if coarse is not None:
                x = UpsampleAdd()(coarse, x)
            coarse = here(x, self.neck)
            outputs.append(self._head(here(coarse, self.neck), stride))
        return keras.Model(picture, outputs[::-1], name="detector")

    def _head(self, x: keras.KerasTensor, stride: int) -> keras.KerasTensor:
        return layers.Conv2D(
            self.channels * self.levels[stride],
            1,
            data_format="channels_first",
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            bias_initializer=self._rare,
            autocast=False,
            name=f"stride{stride}",
        )(x)

    def _rare(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        """Bias at the start: a probability of 1 % (Lin et al. 2017), offsets of zero."""
        channel = keras.ops.arange(shape[0]) % self.channels
        return keras.ops.cast(keras.ops.where(channel == 0, -4.6, 0.0), dtype or "float32")


BODY_NET = DetectorNet(beyond=(128,), levels=dict(BODY_LEVELS), landmarks=0)
"""The shipped body detector (1.7 M parameters)."""


class _Convolutions:
    """Numbers the convolutions of one network.

    Checkpoints name weights by their layers, and Keras' own numbers go on from network to network.
    """

    def __init__(self, name: str = "conv_norm") -> None:
        self._name, self._count = name, 0

    def __call__(self, x: keras.KerasTensor, width: int, **options: Any) -> keras.KerasTensor:
        name = f"{self._name}_{self._count}" if self._count else self._name
        self._count += 1
        return ConvNorm(width, name=name, **options)(x)


def _residual(x: keras.KerasTensor, width: int, convolve: _Convolutions) -> keras.KerasTensor:
    y = convolve(convolve(x, width), width, activate=False)
    return layers.ReLU(autocast=False)(layers.Add(autocast=False)([x, y]))
