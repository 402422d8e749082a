"""What pictures are measured by: PSNR, SSIM, the colour difference CIEDE2000, colourfulness."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]


def _pair(a: npt.ArrayLike, b: npt.ArrayLike) -> tuple[Floats, Floats]:
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if first.shape != second.shape:
        raise ValueError(f"the pictures have different shapes: {first.shape}, {second.shape}")
    return first, second


def psnr(a: npt.ArrayLike, b: npt.ArrayLike, *, data_range: float = 255.0) -> float:
    """Returns the peak signal-to-noise ratio in decibels of two arrays of one shape.

    Infinite when they are equal, NaN when they are empty. `data_range` is the span of the values.
    """
    first, second = _pair(a, b)
    if not first.size:
        return math.nan
    error = float(np.square(first - second).mean())
    return 10 * math.log10(data_range**2 / error) if error else math.inf


def ssim(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    *,
    data_range: float = 255.0,
    window: Literal["gaussian", "uniform"] = "gaussian",
) -> float:
    """Returns the mean structural similarity of two pictures, (H, W) or (H, W, C), at most 1.

    "gaussian" is the measure of Wang et al., "Image Quality Assessment: From Error Visibility to
    Structural Similarity", 2004: a window of 11 pixels, sigma 1.5, each channel by itself.
    "uniform" is the mean over 7x7 pixels with sample covariance, which is scikit-image's default.
    Windows that reach over the edge are left out. Raises ValueError when the picture is smaller
    than one window.
    """
    first, second = _pair(a, b)
    if window == "gaussian":
        weights, unbias = np.exp(-0.5 * np.square(np.arange(-5, 6) / 1.5)), 1.0
    else:
        weights, unbias = np.ones(7), 49 / 48
    weights = weights / weights.sum()
    if first.ndim not in (2, 3) or min(first.shape[:2]) < len(weights):
        raise ValueError(f"a picture of at least {len(weights)} pixels a side, not {first.shape}")
    mean_a, mean_b = _smooth(first, weights), _smooth(second, weights)
    var_a = unbias * (_smooth(first * first, weights) - mean_a * mean_a)
    var_b = unbias * (_smooth(second * second, weights) - mean_b * mean_b)
    both = unbias * (_smooth(first * second, weights) - mean_a * mean_b)
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    above = (2 * mean_a * mean_b + c1) * (2 * both + c2)
    below = (mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)
    return float((above / below).mean())


def _smooth(picture: Floats, weights: Floats) -> Floats:
    """Returns the weighted mean of every window that lies wholly inside."""
    for axis in (0, 1):
        windows = np.lib.stride_tricks.sliding_window_view(picture, len(weights), axis)
        picture = np.asarray(windows @ weights)
    return picture


def colourfulness(picture: npt.ArrayLike) -> float:
    """Returns how colourful an (H, W, 3) sRGB picture of 0..255 is.

    0 is grey, 15 slightly, 109 extremely colourful. M3 of Hasler and Süsstrunk, "Measuring
    colourfulness in natural images", 2003. Raises ValueError for another shape; NaN without
    pixels.
    """
    values = np.asarray(picture, np.float64)
    if values.ndim != 3 or values.shape[2] != 3:
        raise ValueError(f"a picture has the shape (height, width, 3), not {values.shape}")
    if not values.size:
        return math.nan
    red, green, blue = values[..., 0], values[..., 1], values[..., 2]
    first, second = red - green, 0.5 * (red + green) - blue
    deviation = math.hypot(first.std(), second.std())
    return deviation + 0.3 * math.hypot(first.mean(), second.mean())


def ciede2000(a: npt.ArrayLike, b: npt.ArrayLike) -> Floats:
    """Returns the colour difference CIEDE2000 of two arrays (..., 3) of CIELAB colours, as (...).

    About 1 is just noticeable. After Sharma, Wu and Dalal, "The CIEDE2000 Color-Difference Formula:
    Implementation Notes, Supplementary Test Data, and Mathematical Observations", 2005, with all
    parametric factors 1.
    """
    first, second = _pair(a, b)
    (l1, a1, b1), (l2, a2, b2) = np.moveaxis(first, -1, 0), np.moveaxis(second, -1, 0)
    half = 0.5 * (1 - _chroma_weight((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2))
    c1, h1 = _polar(a1 * (1 + half), b1)
    c2, h2 = _polar(a2 * (1 + half), b2)
    grey = c1 * c2 == 0  # The hue of a grey means nothing, so the other's counts alone.
    turn = np.where(grey, 0.0, (h2 - h1 + 180) % 360 - 180)
    turn = np.where(~grey & (h2 - h1 == 180), 180.0, turn)
    hue = np.where(grey, h1 + h2, _mean_hue(h1, h2))
    light, chroma = (l1 + l2) / 2, (c1 + c2) / 2

    t = (
        1
        - 0.17 * _cos(hue - 30)
        + 0.24 * _cos(2 * hue)
        + 0.32 * _cos(3 * hue + 6)
        - 0.20 * _cos(4 * hue - 63)
    )
    from_mid = np.square(light - 50)
    dl = (l2 - l1) / (1 + 0.015 * from_mid / np.sqrt(20 + from_mid))
    dc = (c2 - c1) / (1 + 0.045 * chroma)
    dh = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2)) / (1 + 0.015 * chroma * t)
    twist = np.radians(60 * np.exp(-np.square((hue - 275) / 25)))
    rotation = -2 * _chroma_weight(chroma) * np.sin(twist)
    return np.asarray(np.sqrt(dl**2 + dc**2 + dh**2 + rotation * dc * dh))


def _chroma_weight(chroma: Floats) -> Floats:
    return np.asarray(np.sqrt(chroma**7 / (chroma**7 + 25.0**7)))


def _polar(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Returns chroma, and hue in degrees 0..360."""
    return np.hypot(a, b), np.degrees(np.arctan2(b, a)) % 360


def _mean_hue(h1: Floats, h2: Floats) -> Floats:
    total = h1 + h2
    across = np.abs(h1 - h2) > 180
    return np.asarray(np.where(across, np.where(total < 360, total + 360, total - 360), total) / 2)


def _cos(degrees: Floats) -> Floats:
    return np.asarray(np.cos(np.radians(degrees)))
