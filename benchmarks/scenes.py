"""Pictures to measure with, made by code from the demo scene."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image

from facecctv.demo import demo_scene
from facecctv.types import Image

SIZES = {
    "160x120": (160, 120),
    "320x240": (320, 240),
    "512x512": (512, 512),
    "VGA": (640, 480),
    "1080p": (1920, 1080),
    "4K": (3840, 2160),
    "12 MP": (4000, 3000),
    "100 MP": (12_000, 8_400),
}
"""(width, height) in pixels."""


def scene(name: str) -> Image:
    """The demo scene, repeated or cut to the size: people are as frequent in each."""
    width, height = SIZES[name]
    unit = demo_scene().image
    columns, rows = -(-width // unit.shape[1]), -(-height // unit.shape[0])
    return np.ascontiguousarray(np.tile(unit, (rows, columns, 1))[:height, :width])


def write(name: str, path: Path) -> None:
    PIL.Image.fromarray(scene(name)).save(path, quality=88)
