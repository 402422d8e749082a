"""The trunk that our picture-to-picture networks share: three sizes down and up again.

Most of the arithmetic happens where pixels are few, which buys a wide view (noise and block
patterns are told from features by their surroundings) at the cost of a few layers at full size.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers

from facecctv.learn.nets.blocks import Convolve, PixelShuffle


def pyramid(
    x: keras.KerasTensor, widths: Sequence[int], blocks: Sequence[int]
) -> keras.KerasTensor:
    """(N, C, H, W) -> (N, widths[0], H, W); H and W are multiples of 2 ** (len(widths) - 1).

    `blocks` residual blocks at each size on the way down and (but for the smallest) on the way up.
    """
    x = Convolve(widths[0], name="head")(x)
    passed = []
    for level, (width, count) in enumerate(zip(widths, blocks, strict=True)):
        if level:
            x = Convolve(width, stride=2, name=f"down{level}")(x)
        x = _residuals(x, width, count, f"down{level}")
        passed.append(x)
    for level in reversed(range(len(widths) - 1)):
        grown = Convolve(4 * widths[level], kernel=1, activate=False, name=f"grow{level}")(x)
        x = layers.Add(autocast=False)([PixelShuffle(2)(grown), passed[level]])
        x = _residuals(x, widths[level], blocks[level], f"up{level}")
    return x


def _residuals(x: keras.KerasTensor, width: int, count: int, name: str) -> keras.KerasTensor:
    for number in range(count):
        y = Convolve(width, name=f"{name}_{number}a")(x)
        y = Convolve(width, activate=False, gain=0.2, name=f"{name}_{number}b")(y)
        x = layers.Add(autocast=False)([x, y])
    return x
