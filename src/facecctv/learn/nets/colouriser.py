"""The colouriser: from lightness to a distribution over chroma, and from that to one chroma."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import keras
import numpy as np
import torch
from keras import layers
from torch.nn import functional

from facecctv.learn.nets.blocks import Convolve
from facecctv.learn.nets.pyramid import pyramid
from facecctv.types import Floats

CHROMA_UNIT = 110.0
"""What 1.0 of the output means in a* and b* of CIELAB."""
STRIDE = 4
"""Pixels of lightness for one of chroma, across and down."""
GRID = 12.0
"""Distance between neighbouring chroma classes, units of a* and b*."""


@lru_cache(maxsize=1)
def palette() -> Floats:
    """(K, 2) float32: the a*, b* on a square grid that sRGB can show at some lightness.

    The classes of Zhang et al. 2016, "Colorful image colorization", on a coarser grid. Zero is one.
    """
    levels = np.arange(0, 256, 5, dtype=np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    lab = cv2.cvtColor(colours.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[0]
    cells = np.unique(np.rint(lab[:, 1:] / GRID).astype(int), axis=0)
    return (cells * GRID).astype(np.float32)


@dataclass(frozen=True)
class ColouriserNet:
    """Widths and depths; the defaults are the shipped colouriser."""

    stem: tuple[int, ...] = (24, 48)
    widths: tuple[int, ...] = (64, 128, 192)
    blocks: tuple[int, ...] = (2, 2, 2)
    temperature: float = 0.5
    certain: float = 0.65
    """Certainty (see `shown_chroma`) from which a colour is shown in full; below, paler."""

    @property
    def multiple_of(self) -> int:
        """Height and width of the input must be multiples of this, pixels."""
        return STRIDE * 2 ** (len(self.widths) - 1)

    def build(self) -> keras.Model:
        """Returns a Keras model for training: (N, 1, H, W) float32 L* / 100 -> class logits.

        The logits are (N, K, H / 4, W / 4) for the K classes of `palette`.
        """
        lightness = keras.Input((1, None, None), name="lightness")
        x = layers.Rescaling(2.0, -1.0)(lightness)
        for number, width in enumerate(self.stem):
            x = Convolve(width, stride=2, name=f"stem{number}")(x)
        x = pyramid(x, self.widths, self.blocks)
        logits = Convolve(len(palette()), kernel=1, activate=False, gain=0.3, name="classes")(x)
        return keras.Model(lightness, logits, name="colouriser")

    def with_chroma(self, model: keras.Model) -> keras.Model:
        """The model that is shipped: (N, 1, H, W) -> (N, 2, H, W) a*, b* in CHROMA_UNIT."""
        chroma = ShownChroma(self.temperature, self.certain, name="chroma")(model.output)
        return keras.Model(model.input, chroma, name="colouriser")


class ShownChroma(keras.layers.Layer):
    """Class logits -> the chroma that is shown, enlarged to the size of the lightness."""

    def __init__(self, temperature: float, certain: float, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.temperature, self.certain = temperature, certain

    def call(self, logits: torch.Tensor) -> torch.Tensor:
        chroma = shown_chroma(logits, self.temperature, self.certain)
        return functional.interpolate(
            chroma, scale_factor=float(STRIDE), mode="bilinear", align_corners=False
        )

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        n, _, h, w = shape
        return (n, 2, h and STRIDE * h, w and STRIDE * w)


def shown_chroma(logits: torch.Tensor, temperature: float, certain: float) -> torch.Tensor:
    """(N, K, H, W) logits -> (N, 2, H, W) a*, b* in CHROMA_UNIT.

    The mean chroma of the distribution sharpened by a temperature, after Zhang et al. 2016: 1 is
    the plain mean; towards 0 it becomes the likeliest class, vivid and patchy. A place is certain
    as far as its mean's length outweighs the spread of the distribution around it, from 0 to 1.
    Where it is less certain than `certain` its colour is paler in proportion: a colour that the
    network doubts is more often wrong than grey is.
    """
    weights = functional.softmax(logits.float() / temperature, dim=1)
    colours = torch.from_numpy(palette() / CHROMA_UNIT).T[..., None, None]
    squares = colours.square().sum(dim=0, keepdim=True)
    moments = functional.conv2d(weights, torch.cat([colours, squares]))
    chroma = moments[:, :2]
    length = chroma.square().sum(dim=1, keepdim=True)
    spread = (moments[:, 2:] - length).clamp(min=0)
    certainty = 1 / (1 + torch.sqrt((spread + _TINY) / (length + _TINY)))
    return chroma * (certainty / certain).clamp(max=1)


_TINY = 1e-6
"""Keeps the slope of roots at zero finite."""
