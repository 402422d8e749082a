"""Classical filters: frozen settings that are functions from picture to picture.

    Denoise(h=8)(image)

Each takes and gives (H, W, 3) uint8 RGB, leaves what it was given as it is, and gives the same
bytes for the same picture, settings and library versions. None of them adds what was not there;
each has a class (`Filter.step`): photometric where it changes values, geometric where it moves
pixels. Works on stored values, gamma and all, as recorders do.
"""

from __future__ import annotations

from facecctv.vision.filters.base import Filter, Parameters, Point
from facecctv.vision.filters.restore import Deblock, Deblur, Deinterlace, Denoise, Sharpen
from facecctv.vision.filters.shape import Crop, Perspective, Resize, Rotate
from facecctv.vision.filters.tone import Clahe, Gamma, Levels

FILTERS: tuple[type[Filter], ...] = (
    Denoise,
    Deblock,
    Deblur,
    Sharpen,
    Deinterlace,
    Levels,
    Gamma,
    Clahe,
    Perspective,
    Rotate,
    Crop,
    Resize,
)
"""All there are, in the order in which people look for them."""

__all__ = [
    "FILTERS",
    "Clahe",
    "Crop",
    "Deblock",
    "Deblur",
    "Deinterlace",
    "Denoise",
    "Filter",
    "Gamma",
    "Levels",
    "Parameters",
    "Perspective",
    "Point",
    "Resize",
    "Rotate",
    "Sharpen",
]
