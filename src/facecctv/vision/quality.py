"""How much a face's pixels can say: what was measured, what it is usable for, one plain sentence.

The rule, in docs/quality.md: each property becomes a part in 0..1 of what an ideal face has. The
weakest part is the score; their product times `ENOUGH` pixels is the effective width of the face,
which the grades of EN/IEC 62676-4 are read from. Occlusion is not judged: five points and pixels
do not tell a mask or a hand from a face.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache
from typing import Final

import cv2
import numpy as np

from facecctv.geometry import clip_boxes, expand_box
from facecctv.types import Face, Floats, Image, Quality, Use, check_image
from facecctv.vision.pose import estimate_pose

GRADES: Final[dict[Use, float]] = {
    "presence": 4,
    "observation": 10,
    "recognition": 20,
    "identification": 40,
}
"""Effective pixels across a face: 25, 62, 125 and 250 pixels per metre times 0.16 m."""

ENOUGH = 64.0
"""Pixels across a face beyond which more are no better here; larger faces are averaged to this."""

_LAPLACIANS = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)  # Immerkaer's difference
_LAPLACIANS_GAIN = 6.0  # root of the sum of its squares
_QUARTILE = 0.3186  # of the absolute value of a standard normal variable
_FINE, _COARSE = 0.7, 2.0  # standard deviations of the two looks at a face, pixels
_PIXEL_BLUR = 0.6  # standard deviation of the blur that a pixel is in itself
_SHARP_WIDTHS = (12.0, 16.0, 24.0, 32.0, 48.0, 64.0)
_SHARP_EXTENTS = (0.4, 0.6, 0.8, 0.9, 1.0, 1.05)  # of sharp faces so wide, see docs/quality.md
_CONTRAST_TO_NOISE = 12.0  # from here on noise does no harm
_GRID = 8

_OBSTACLES = {
    "size": ("small ({width:.0f} pixels across)", "look for a frame in which the person is nearer"),
    "sharpness": ("blurred", "look for a frame in which the person stands still or is in focus"),
    "noise": ("noisy", "look for a frame with more light, or join several frames"),
    "darkness": ("dark", "look for a frame with more light on the face"),
    "glare": ("bright", "look for a frame with less light on the face"),
    "contrast": ("low in contrast", "look for a frame without haze, backlight or glare"),
    "compression": ("strongly compressed", "ask for the original recording"),
    "pose": ("far turned away", "look for a frame in which the face looks at the camera"),
    "edge": ("much cut off by the picture's edge", "look for a frame that shows the whole face"),
}
_SHORT_OF: Final[dict[Use, str]] = {
    "presence": "tell whether anyone is there",
    "observation": "see more than that somebody is there",
    "recognition": "recognise anyone",
    "identification": "identify a stranger, though someone who knows the person may recognise them",
}


def assess_all(image: Image, faces: Iterable[Face]) -> list[Quality]:
    """`assess` for each face of a picture, in order."""
    return [assess(image, face) for face in faces]


def assess(image: Image, face: Face) -> Quality:
    """How much this face's pixels can say.

    image (H, W, 3) uint8 RGB; the face may lie partly or wholly outside it. Never hand in an
    enhanced picture: it would be judged by what was made up. Raises ValueError for other arrays.
    """
    check_image(image)
    across = _across(face)
    scale = min(1.0, ENOUGH / across)
    channel_noise, luma_noise = _noise(_window(image, face.box, 48, 112))
    small, seen_noise = _to_scale(_window(image, face.box, 16), scale, luma_noise)
    sharpness = _sharpness(small, seen_noise, across * scale)
    skin = _luma(_shrunk(_cut(image, expand_box(face.box, -0.15))))
    low, high = (float(level) for level in np.percentile(skin, (5, 95)) / 255)
    brightness, contrast = float(skin.mean()) / 255, high - low
    clipped = float(((skin < 2.5) | (skin > 252.5)).mean())
    blockiness = _blockiness(_luma(_window(image, face.box, 128, 256)))
    pose = estimate_pose(face.landmarks)
    visible, at_edge = _visible(image, face)
    parts = {
        "size": min(1.0, across / ENOUGH),
        "sharpness": sharpness,
        "noise": _noise_part(contrast * 255, luma_noise, seen_noise),
        **_light_parts(brightness, contrast, clipped),
        "compression": 1 - _ramp(blockiness, 0.1, 1.0),  # below, chance steps
        "pose": 1 - 0.8 * _ramp(max(abs(pose.yaw), abs(pose.pitch)), 25, 90),
        "edge": visible,
    }
    effective = ENOUGH * math.prod(parts.values())
    usable_for = tuple(use for use, needed in GRADES.items() if effective >= needed)
    left, right = face.landmarks[:2].astype(np.float64)
    return Quality(
        score=min(parts.values()),
        face_px=face.height,
        inter_eye_px=float(np.linalg.norm(right - left)),
        sharpness=sharpness,
        noise=channel_noise,
        brightness=min(brightness, 1.0),
        contrast=contrast,
        blockiness=blockiness,
        pose=pose,
        at_edge=at_edge,
        verdict=_verdict(parts, usable_for, across),
        usable_for=usable_for,
        clipped=clipped,
    )


def _verdict(parts: dict[str, float], usable_for: tuple[Use, ...], width: float) -> str:
    missing = [use for use in GRADES if use not in usable_for]
    if not missing:
        return (
            f"Enough pixels ({width:.0f} across) to identify the person if nothing covers the face."
        )
    obstacle, advice = _OBSTACLES[min(parts, key=lambda name: parts[name])]
    return f"Too {obstacle.format(width=width)} to {_SHORT_OF[missing[0]]}: {advice}."


def _light_parts(brightness: float, contrast: float, clipped: float) -> dict[str, float]:
    """Low contrast and clipping count as what brought them about."""
    spread = min(_ramp(contrast, 0.01, 0.12), 1 - clipped)
    # Of 2,800 portraits of all skin tones one in a hundred is darker or flatter than these limits.
    dark, bright = brightness < 0.2, brightness > 0.85
    return {
        "darkness": min(_ramp(brightness, 0.02, 0.10), spread if dark else 1.0),
        "glare": min(_ramp(1 - brightness, 0.03, 0.12), spread if bright else 1.0),
        "contrast": 1.0 if dark or bright else spread,
    }


def _across(face: Face) -> float:
    """Pixels across the face if it looked at the camera: turning narrows all but eye to mouth."""
    eyes_to_mouth = face.landmarks[3:].mean(axis=0) - face.landmarks[:2].mean(axis=0)
    # Eye to mouth is about half of a face's width, and a face is never wider than high.
    return max(face.width, min(2.0 * float(np.linalg.norm(eyes_to_mouth)), face.height))


def _visible(image: Image, face: Face) -> tuple[float, bool]:
    """Share of the face's box inside the picture, and whether the box touches the edge."""
    height, width = image.shape[:2]
    x1, y1, x2, y2 = (float(side) for side in clip_boxes(face.box[None], width, height)[0])
    inside = max(0.0, x2 - x1) / face.width * max(0.0, y2 - y1) / face.height
    at_edge = x1 <= 0 or y1 <= 0 or x2 >= width or y2 >= height
    return min(1.0, inside), at_edge


def _cut(image: Image, box: Floats) -> Image:
    """The pixels that a box touches, at least one, as a view."""
    height, width = image.shape[:2]
    x1, y1 = np.clip(np.floor(box[:2]), 0, (width - 1, height - 1)).astype(int).tolist()
    x2, y2 = np.clip(np.ceil(box[2:]), (x1 + 1, y1 + 1), (width, height)).astype(int).tolist()
    return image[y1:y2, x1:x2]


def _window(image: Image, box: Floats, least: float, most: float = math.inf) -> Image:
    """The pixels around a box's middle, `least` to `most` a side, cut at the picture's edges."""
    middle, half = (box[:2] + box[2:]) / 2, np.clip(box[2:] - box[:2], least, most) / 2
    return _cut(image, np.concatenate([middle - half, middle + half]))


def _luma(image: Image) -> Floats:
    """(h, w) float32, 0..255."""
    return np.asarray(cv2.cvtColor(image.astype(np.float32), cv2.COLOR_RGB2GRAY), np.float32)


def _shrunk(image: Image, scale: float = 1.0, most: int = 160) -> Image:
    """Averaged to `scale` (at most 1), and to at most `most` pixels a side."""
    height, width = image.shape[:2]
    scale = min(scale, most / max(height, width))
    if scale >= 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _to_scale(image: Image, scale: float, noise: float) -> tuple[Floats, float]:
    """Luma at `scale`, and what is left of white noise after so much averaging."""
    small = _luma(_shrunk(image, scale))
    return small, noise * math.sqrt(small.size / (image.shape[0] * image.shape[1]))


def _noise(image: Image) -> tuple[float, float]:
    """Standard deviation of white noise, grey levels: root mean square of RGB, and of the luma.

    Immerkaer, "Fast noise variance estimation" (1996): a difference of two Laplacians that ignores
    edges; the lower quartile of its size instead of the mean, because a face is full of texture.
    """
    if min(image.shape[:2]) < 3:
        return 0.0, 0.0
    planes = np.dstack([image.astype(np.float32), _luma(image)])
    answer = np.abs(cv2.filter2D(planes, -1, _LAPLACIANS)[1:-1, 1:-1]).reshape(-1, 4)
    quartile = len(answer) // 4
    sigmas = np.partition(answer, quartile, axis=0)[quartile] / (_QUARTILE * _LAPLACIANS_GAIN)
    return float(np.sqrt(np.mean(sigmas[:3] ** 2))), float(sigmas[3])


def _noise_part(contrast: float, noise: float, seen_noise: float) -> float:
    """What is left of the pixels once they are averaged until noise does no harm."""
    # Noise widens the spread from the 5th to the 95th percentile: take its own share out.
    true_contrast = math.sqrt(max(contrast**2 - (3.29 * noise) ** 2, 0.0))
    return min(1.0, true_contrast / max(_CONTRAST_TO_NOISE * seen_noise, 1e-6))


def _sharpness(luma: Floats, noise: float, width: float) -> float:
    """0..1: the blur of a pixel over the blur of this face.

    In pictures of things amplitude falls as 1 / frequency (Field, "Relations between the statistics
    of natural images", 1987). The mean squared gradient after a Gaussian of deviation s then goes
    as 1 / (s^2 + t^2), t being the extent of the picture's own detail: two looks give t whatever
    the contrast. White noise adds a known amount to each look, taken out first. The square of the
    blur is what t^2 has beyond that of a sharp face so wide.
    """
    fine = _gradient_energy(luma, _FINE) - _noise_energy(_FINE) * noise**2
    coarse = _gradient_energy(luma, _COARSE) - _noise_energy(_COARSE) * noise**2
    if fine <= coarse or coarse <= 1e-4:  # nothing but noise and rounding
        return 0.0
    ratio = fine / coarse
    extent = max(0.0, _COARSE**2 - ratio * _FINE**2) / (ratio - 1)
    sharp = float(np.interp(width, _SHARP_WIDTHS, _SHARP_EXTENTS))
    return _PIXEL_BLUR / math.hypot(_PIXEL_BLUR, math.sqrt(max(0.0, extent - sharp**2)))


def _gradient_energy(luma: Floats, deviation: float) -> float:
    blurred = cv2.GaussianBlur(luma, (0, 0), deviation)
    steps = (np.diff(blurred, axis=axis) for axis in (0, 1))
    return sum(float(np.vdot(step, step)) / max(1, step.size) for step in steps)


@cache
def _noise_energy(deviation: float) -> float:
    """The gradient energy of white noise of variance 1: that of one point, summed."""
    point = np.zeros((33, 33), np.float32)
    point[16, 16] = 1
    return _gradient_energy(point, deviation) * 33 * 32


def _blockiness(luma: Floats) -> float:
    """0..1: the share of the step at the 8-pixel grid that its surroundings do not have.

    Where the grid lies is found, as a cut-out picture has lost it: the phase with the steepest
    steps against the second steepest, each the median over its lines so that one edge in the scene
    does not count. 0 where fewer than three lines of a grid are seen.
    """
    return (_grid_step(luma) + _grid_step(luma.T)) / 2


def _grid_step(luma: Floats) -> float:
    lines = np.abs(np.diff(luma, axis=1)).mean(axis=0)
    count = len(lines) // _GRID
    if count < 3:
        return 0.0
    phases = np.median(lines[: count * _GRID].reshape(count, _GRID), axis=0)
    second, best = np.sort(phases)[-2:]
    return float((best - second) / (best + 0.5))  # half a level: rounding is no block


def _ramp(value: float, low: float, high: float) -> float:
    return min(1.0, max(0.0, (value - low) / (high - low)))
