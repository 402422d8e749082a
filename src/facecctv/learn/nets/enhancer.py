"""The enhancer: a pyramid at the size of the input, and one pixel shuffle to the larger picture."""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import layers

from facecctv.learn.nets.blocks import Convolve, PixelShuffle, Repeat
from facecctv.learn.nets.pyramid import pyramid


@dataclass(frozen=True)
class EnhancerNet:
    """Widths and depths; the defaults are the shipped enhancers (about 0.4 MMAC an input pixel)."""

    scale: int = 4
    widths: tuple[int, ...] = (48, 80, 128)
    blocks: tuple[int, ...] = (2, 2, 3)

    @property
    def multiple_of(self) -> int:
        """Height and width of the input must be multiples of this, pixels."""
        return 2 ** (len(self.widths) - 1)

    def build(self) -> keras.Model:
        """Returns a Keras model: (N, 3, H, W) -> (N, 3, scale * H, scale * W) float32 RGB 0..1.

        What it learns is added to the input's own pixels, each as a square, so that what it does
        not know stays what it was. The values may leave 0..1 a little.
        """
        picture = keras.Input((3, None, None), name="picture")
        x = pyramid(picture, self.widths, self.blocks)
        x = Convolve(3 * self.scale**2, activate=False, gain=0.02, name="tail")(x)
        kept = Repeat(self.scale**2)(picture)
        x = PixelShuffle(self.scale)(layers.Add(autocast=False)([x, kept]))
        return keras.Model(picture, x, name="enhancer")
