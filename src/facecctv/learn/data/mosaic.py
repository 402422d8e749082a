"""Training pictures for detectors: parts of several pictures at chosen face sizes, side by side.

One rule decides the look: a target face height is drawn for the canvas, and windows are halved
until the pictures, scaled to that height, fill them. So small faces come in large numbers, and
every size from 5 px to nearly the whole canvas is seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from facecctv.learn.data import degrade
from facecctv.learn.data.detection import Sample
from facecctv.types import Image

MIRRORED = [1, 0, 2, 4, 3]


@dataclass(frozen=True)
class Mosaic:
    """How canvases are composed; every probability and range in one place."""

    smallest: float = 5.0
    """Target height of the smallest faces, pixels."""
    small_bias: float = 0.9
    """1: log-uniform heights; more: smaller ones."""
    mixed: float = 0.25
    """Share of canvases of four quarters, each with its own target height."""
    negative: float = 0.18
    """Share of cells that come from pictures without a face, where there are any."""
    extra: float = 0.12
    """Share of cells from the extra single-face pictures."""
    enlarge: float = 3.0
    """Pictures are enlarged at most so much."""
    rotate: float = 0.25
    """Probability of a rotation by up to 25 degrees."""
    stretch: tuple[float, float] = (-0.12, 0.12)
    """Logarithm of the factor by which pictures become wider and, as much, lower."""
    whole: float = 0.6
    """Faces of which less than this share is inside their window are neither hit nor miss."""
    degrade: float = 0.7
    occlude: float = 0.06
    ignore_under: float = 4.5
    """Faces lower than this, in pixels, are neither hit nor miss."""


@dataclass(frozen=True, eq=False)
class Pool:
    """Where cells are taken from."""

    main: Sequence[Sample]
    extra: Sequence[Sample] = ()
    negative: Sequence[Sample] = ()


def compose(pool: Pool, settings: Mosaic, size: int, rng: np.random.Generator) -> Sample:
    """One training picture of (size, size, 3) with the boxes that ended up in it."""
    canvas = _backdrop(pool, size, rng)
    largest = 0.9 * size
    parts: list[Sample] = []
    if rng.random() < settings.mixed:
        middle = (np.array([0.5, 0.5]) + rng.uniform(-0.2, 0.2, 2)) * size
        x, y = (int(v) for v in middle)
        windows = [(0, 0, x, y), (x, 0, size, y), (0, y, x, size), (x, y, size, size)]
        largest /= 2
    else:
        windows = [(0, 0, size, size)]
    for window in windows:
        ratio = largest / settings.smallest
        target = settings.smallest * ratio ** (rng.random() ** settings.small_bias)
        _fill(pool, settings, canvas, window, target, parts, rng)
    merged = Sample(
        "mosaic",
        canvas,
        np.concatenate([p.boxes for p in parts]),
        np.concatenate([p.landmarks for p in parts]),
        np.concatenate([p.ignore for p in parts]),
    )
    return _spoil(merged, settings, rng)


def _backdrop(pool: Pool, size: int, rng: np.random.Generator) -> Image:
    if pool.negative and rng.random() < 0.7:
        image = pool.negative[int(rng.integers(len(pool.negative)))].image
        return cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
    canvas = np.empty((size, size, 3), np.uint8)
    canvas[:] = rng.integers(0, 256, 3)
    return canvas


def _fill(
    pool: Pool,
    settings: Mosaic,
    canvas: Image,
    window: tuple[int, int, int, int],
    target: float,
    parts: list[Sample],
    rng: np.random.Generator,
) -> None:
    """Puts a picture into the window, or halves the window where it would be lost in it."""
    left, top, right, bottom = window
    width, height = right - left, bottom - top
    sample = _draw(pool, settings, rng)
    wish = target * rng.uniform(0.75, 1.35)
    chosen, scale = _scale(sample, wish, (width, height), settings, rng)
    covered = min(sample.image.shape[1] * scale / width, 1) * min(
        sample.image.shape[0] * scale / height, 1
    )
    if covered < 0.5 and max(width, height) > 40:
        cut = rng.uniform(0.4, 0.6)
        if width > height:
            x = left + int(cut * width)
            halves = (left, top, x, bottom), (x, top, right, bottom)
        else:
            y = top + int(cut * height)
            halves = (left, top, right, y), (left, y, right, bottom)
        for half in halves:
            _fill(pool, settings, canvas, half, target, parts, rng)
        return
    part = canvas[top:bottom, left:right]
    parts.append(_place(sample, part, (left, top), chosen, scale, settings, rng))


def _draw(pool: Pool, settings: Mosaic, rng: np.random.Generator) -> Sample:
    chance = rng.random()
    if pool.negative and chance < settings.negative:
        source = pool.negative
    elif pool.extra and chance < settings.negative + settings.extra:
        source = pool.extra
    else:
        source = pool.main
    return source[int(rng.integers(len(source)))]


def _scale(
    sample: Sample,
    target: float,
    window: tuple[int, int],
    settings: Mosaic,
    rng: np.random.Generator,
) -> tuple[int | None, float]:
    """The face to show and the scale that gives it the target height; faceless ones cover."""
    certain = np.flatnonzero(~sample.ignore)
    if not len(certain):
        height, width = sample.image.shape[:2]
        return None, max(window[0] / width, window[1] / height) * rng.uniform(0.8, 1.6)
    chosen = int(rng.choice(certain))
    box = sample.boxes[chosen]
    return chosen, min(target / max(float(box[3] - box[1]), 1.0), settings.enlarge)


def _place(
    sample: Sample,
    window: Image,
    corner: tuple[int, int],
    chosen: int | None,
    scale: float,
    settings: Mosaic,
    rng: np.random.Generator,
) -> Sample:
    """Draws the sample into the window at the scale, the chosen face inside the window."""
    rows, columns = window.shape[:2]
    if chosen is None:
        anchor = np.array(sample.image.shape[1::-1]) * rng.uniform(0.2, 0.8, 2)
    else:
        anchor = (sample.boxes[chosen, :2] + sample.boxes[chosen, 2:]) / 2
    spot = np.array([columns, rows]) * rng.uniform(0.15, 0.85, 2)
    angle = rng.uniform(-25, 25) if rng.random() < settings.rotate else 0.0
    stretch = np.exp(rng.uniform(*settings.stretch))
    mirror = rng.random() < 0.5
    linear = scale * _rotation(angle) @ np.diag([(-1 if mirror else 1) * stretch, 1 / stretch])
    shift = _fit(linear, anchor, spot, sample.image.shape, (rows, columns))
    _warp(sample.image, window, linear, shift, scale, rng)
    return _follow(sample, linear, shift, mirror, (rows, columns), corner, settings)


def _rotation(degrees: float) -> np.ndarray:
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[c, -s], [s, c]])


def _fit(
    linear: np.ndarray,
    anchor: np.ndarray,
    spot: np.ndarray,
    shape: tuple[int, ...],
    window: tuple[int, int],
) -> np.ndarray:
    """Shift that brings the anchor to its spot, then as little emptiness as possible."""
    shift = spot - linear @ anchor
    corners = np.array([[0, 0, 1, 1], [0, 1, 0, 1]]) * np.array([[shape[1]], [shape[0]]])
    reach = linear @ corners + shift[:, None]
    low, high = reach.min(axis=1), reach.max(axis=1)
    space = np.array([window[1], window[0]], float)
    for axis in range(2):
        if high[axis] - low[axis] >= space[axis]:  # larger than the window: cover it
            shift[axis] -= max(low[axis], 0) + min(high[axis] - space[axis], 0)
        else:  # smaller: keep all of it inside
            shift[axis] -= min(low[axis], 0) + max(high[axis] - space[axis], 0)
    return shift


def _warp(
    image: Image,
    window: Image,
    linear: np.ndarray,
    shift: np.ndarray,
    scale: float,
    rng: np.random.Generator,
) -> None:
    matrix = np.column_stack([linear, shift])
    if scale < 0.7:  # area averaging first: warping alone would alias
        height, width = image.shape[:2]
        small = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
        matrix[:, :2] = matrix[:, :2] @ np.diag([width / small[0], height / small[1]])
    # Continuous coordinates to cv2's, whose pixel centres are whole numbers.
    matrix[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5
    filters = (cv2.INTER_LINEAR, cv2.INTER_LINEAR, cv2.INTER_CUBIC)
    drawn = np.ascontiguousarray(window)
    cv2.warpAffine(
        image,
        matrix,
        (window.shape[1], window.shape[0]),
        dst=drawn,
        flags=filters[rng.integers(3)],
        borderMode=cv2.BORDER_TRANSPARENT,
    )
    window[:] = drawn


def _follow(
    sample: Sample,
    linear: np.ndarray,
    shift: np.ndarray,
    mirror: bool,
    window: tuple[int, int],
    corner: tuple[int, int],
    settings: Mosaic,
) -> Sample:
    """Boxes and landmarks after the warp, clipped to the window, in canvas pixels."""
    centres = (sample.boxes[:, :2] + sample.boxes[:, 2:]) / 2 @ linear.T + shift
    sizes = sample.boxes[:, 2:] - sample.boxes[:, :2]
    # A face turns about its centre and keeps its size: an upright box around the turned box
    # would grow with the angle, and faces are round.
    sizes = sizes * np.linalg.norm(linear, axis=0)
    boxes = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1)
    landmarks = sample.landmarks @ linear.T + shift
    if mirror:
        landmarks = landmarks[:, MIRRORED]
    limits = np.array([window[1], window[0]] * 2)
    clipped = np.clip(boxes, 0, limits)
    visible = np.prod(clipped[:, 2:] - clipped[:, :2], axis=1) / np.maximum(
        np.prod(sizes, axis=1), 1e-6
    )
    ignore = sample.ignore | (visible < settings.whole) | (sizes[:, 1] < settings.ignore_under)
    keep = visible > 0.1
    offset = np.array(corner, np.float32)
    return replace(
        sample,
        boxes=(clipped + np.tile(offset, 2))[keep].astype(np.float32),
        landmarks=(landmarks + offset)[keep].astype(np.float32),
        ignore=ignore[keep],
    )


def _spoil(sample: Sample, settings: Mosaic, rng: np.random.Generator) -> Sample:
    """Occlusion and the CCTV chain, gentler where faces are small: they must stay visible."""
    faces = sample.boxes[~sample.ignore]
    heights = faces[:, 3] - faces[:, 1]
    large = faces[heights > 14]
    image = degrade.occlude(sample.image, large, rng, settings.occlude)
    if rng.random() < settings.degrade:
        typical = np.percentile(heights, 25) if len(heights) else 32
        strength = float(np.clip(typical / 40, 0.2, 1.0) * rng.random() ** 0.7)
        image = degrade.cctv(image, rng, strength)
    return replace(sample, image=image)
