"""What a CCTV chain does to a picture: lens, sensor, night mode, interlace, scaling, compression.

Every operator takes and returns an (H, W, 3) uint8 RGB picture of unchanged size, a
``numpy.random.Generator`` and a strength of 0..1, and is repeatable for the same generator state.
`cctv` draws a random selection of them in the order light takes: optics, sensor, processing,
transport. `STANDARD` is the fixed chain that evaluations name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from facecctv.types import Image

Operator = Callable[[Image, np.random.Generator, float], Image]

_INTERPOLATIONS = (cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_AREA)


def defocus(image: Image, rng: np.random.Generator, strength: float) -> Image:
    """Gaussian blur, sigma up to 2.5 px."""
    sigma = 0.3 + 2.2 * strength * rng.random()
    return cv2.GaussianBlur(image, (0, 0), sigma)


def motion(image: Image, rng: np.random.Generator, strength: float) -> Image:
    """Straight motion blur, up to 11 px long, in any direction."""
    length = 2 + 9 * strength * rng.random()
    angle = rng.random() * np.pi
    size = int(length) // 2 * 2 + 3
    kernel = np.zeros((size, size), np.float32)
    centre = (size - 1) / 2
    step = 0.5 * length * np.array([np.cos(angle), np.sin(angle)])
    ends = [tuple(np.round((centre + s * step) * 16).astype(int).tolist()) for s in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0, 1, cv2.LINE_AA, 4)
    total = kernel.sum()
    return cv2.filter2D(image, -1, kernel / total) if total > 0 else image


def resample(image: Image, rng: np.random.Generator, strength: float) -> Image:
    """Loses resolution: scaled down by up to 4 and back up, each with a random filter."""
    height, width = image.shape[:2]
    factor = 1 + 3 * strength * rng.random() ** 1.5
    down = (max(1, round(width / factor)), max(1, round(height / factor)))
    first, second = rng.choice((1, 3, 3, 2)), rng.choice((0, 1, 1, 2, 2))
    small = cv2.resize(image, down, interpolation=_INTERPOLATIONS[first])
    return cv2.resize(small, (width, height), interpolation=_INTERPOLATIONS[second])


def noise(image: Image, rng: np.random.Generator, strength: float) -> Image:
    """Sensor noise, sigma up to 28 grey levels: shot or read noise, fine or coarse, grey or RGB."""
    height, width = image.shape[:2]
    sigma = 1 + 27 * strength * rng.random() ** 1.5
    grain = rng.choice((1.0, 1.0, 1.6, 2.4))
    shape = (int(np.ceil(height / grain)), int(np.ceil(width / grain)))
    channels = 1 if rng.random() < 0.4 else 3
    field = np.empty((*shape, channels), np.int8)
    # cv2's generator is ten times as fast as numpy's; seeding it keeps the result repeatable.
    cv2.setRNGSeed(int(rng.integers(2**31)))
    cv2.randn(field, 0.0, min(sigma * (1 + 0.5 * (grain - 1)), 40.0))
    if grain > 1:
        field = cv2.resize(field.astype(np.float32), (width, height)).reshape(height, width, -1)
    values = image.astype(np.float32)
    if rng.random() < 0.5:  # shot noise: grows with the square root of the light
        field = field * np.sqrt((values.mean(axis=2, keepdims=True) + 8) / 136)
    return np.clip(values + field, 0, 255).astype(np.uint8)


def tone(image: Image, rng: np.random.Generator, strength: float) -> Image:
    """Exposure, gamma and contrast: under- and over-exposed, flat or harsh."""
    x = np.arange(256, dtype=np.float32) / 255
    x = x ** np.exp(strength * rng.uniform(-0.9, 0.9))
    x = (x - 0.5) * (1 + strength * rng.uniform(-0.6, 0.5)) + 0.5
    x = x * (1 + strength * rng.uniform(-0.5, 0.3)) + strength * rng.uniform(-0.1, 0.15)
    return cv2.LUT(image, np.clip(x * 255, 0, 255).astype(np.uint8))


def tint(image: Image, rng: np.random.Generator, strength: float) -> Image:
    """White balance gone wrong, and more or less saturation."""
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    keep = 1 + strength * rng.uniform(-0.9, 0.6)
    mixed = cv2.addWeighted(image, keep, grey, 1 - keep, 0)
    gains = 1 + strength * rng.uniform(-0.25, 0.25, 3)
    table = np.clip(np.arange(256)[:, None] * gains[None], 0, 255).astype(np.uint8)
    return cv2.LUT(mixed, table.reshape(1, 256, 3))


def night(image: Image, rng: np.random.Generator, strength: float) -> Image:
    """Night mode: grey through an infra-red filter, lit from the camera, falling off outwards."""
    weights = rng.dirichlet((3, 2, 1)).astype(np.float32)
    grey = cv2.transform(image, weights.reshape(1, 3))
    if strength > 0 and rng.random() < 0.5:
        height, width = grey.shape[:2]
        x = np.linspace(-1, 1, width, dtype=np.float32) - rng.uniform(-0.6, 0.6)
        y = np.linspace(-1, 1, height, dtype=np.float32) - rng.uniform(-0.6, 0.6)
        fall = rng.uniform(0.2, 1.2) * strength
        light = 1.15 / (1 + fall * (x[None] ** 2 + y[:, None] ** 2))
        grey = np.clip(grey * light.astype(np.float32), 0, 255).astype(np.uint8)
    return cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)


def interlace(image: Image, rng: np.random.Generator, strength: float) -> Image:
    """Odd lines come from a later field: shifted sideways by up to 6 px."""
    shift = int(np.ceil(6 * strength * rng.random())) * rng.choice((-1, 1))
    result = image.copy()
    result[1::2] = np.roll(image[1::2], shift, axis=1)
    return result


def compress(image: Image, rng: np.random.Generator, strength: float) -> Image:
    """Block compression: JPEG of quality 90 down to 12."""
    quality = int(90 - 78 * strength * rng.random() ** 0.7)
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(data, cv2.IMREAD_COLOR)  # BGR in, BGR out: the order cancels


@dataclass(frozen=True)
class Stage:
    """One operator and how often it takes part."""

    operator: Operator
    probability: float


OPTICS_TO_TRANSPORT: tuple[Stage, ...] = (
    Stage(tone, 0.5),
    Stage(tint, 0.4),
    Stage(night, 0.3),
    Stage(defocus, 0.3),
    Stage(motion, 0.12),
    Stage(resample, 0.4),
    Stage(noise, 0.45),
    Stage(interlace, 0.06),
    Stage(compress, 0.6),
)
"""The random chain that training uses."""

STANDARD: tuple[Stage, ...] = (
    Stage(night, 0.5),
    Stage(tone, 1.0),
    Stage(defocus, 1.0),
    Stage(noise, 1.0),
    Stage(compress, 1.0),
)
"""The CCTV chain of the evaluations; they run it at strength 0.5 with one seed per picture."""


def cctv(
    image: Image,
    rng: np.random.Generator,
    strength: float = 1.0,
    stages: tuple[Stage, ...] = OPTICS_TO_TRANSPORT,
) -> Image:
    """Runs each stage with its probability, in order.

    Args:
        image: (H, W, 3) uint8 RGB.
        rng: source of all chance.
        strength: 0..1; each operator draws its own amount up to this.
        stages: operators with probabilities.
    """
    for stage in stages:
        if rng.random() < stage.probability:
            image = stage.operator(image, rng, strength)
    return image


def occlude(image: Image, boxes: np.ndarray, rng: np.random.Generator, probability: float) -> Image:
    """Covers part of some faces with a bar, a hand-sized patch or a piece of the picture itself.

    Args:
        image: (H, W, 3) uint8 RGB; changed in place and returned.
        boxes: (N, 4) x1 y1 x2 y2 in pixels.
        rng: source of all chance.
        probability: of covering each face; at most half of a face is covered.
    """
    height, width = image.shape[:2]
    for x1, y1, x2, y2 in boxes[rng.random(len(boxes)) < probability]:
        w, h = x2 - x1, y2 - y1
        side = rng.integers(4)
        share = rng.uniform(0.2, 0.5)
        part = (
            (x1, y1, x1 + share * w, y2),
            (x2 - share * w, y1, x2, y2),
            (x1, y2 - share * h, x2, y2),
            (x1, y1, x2, y1 + 0.7 * share * h),
        )[side]
        left, top = (max(0, int(v)) for v in part[:2])
        right, bottom = min(width, int(part[2])), min(height, int(part[3]))
        if right - left < 2 or bottom - top < 2:
            continue
        if rng.random() < 0.5:
            image[top:bottom, left:right] = rng.integers(0, 256, 3)
        else:
            y = rng.integers(0, height - (bottom - top) + 1)
            x = rng.integers(0, width - (right - left) + 1)
            image[top:bottom, left:right] = image[y : y + bottom - top, x : x + right - left].copy()
    return image
