"""Pairs for restoration: a sharp patch, and what a small bad camera makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as PillowImage

from facecctv.learn.data.aligned import load_portraits
from facecctv.learn.data.degrade import (
    Operator,
    compress,
    defocus,
    interlace,
    motion,
    night,
    noise,
    resample,
    tint,
    tone,
)
from facecctv.learn.data.detection import load_faces, load_identities, load_scenes
from facecctv.types import Image


@dataclass(frozen=True)
class Sharp:
    """Sharp pictures in memory, by kind."""

    aligned: np.ndarray
    """(N, 128, 128, 3) uint8 RGB upright faces."""
    heads: Sequence[Image]
    """One large face each."""
    crowds: Sequence[Image]
    """Several faces and their surroundings."""
    scenes: Sequence[Image]


def load_sharp(data: Path, split: str = "train", crowds: int = 2500) -> Sharp:
    """Everything of a split (about 2 GB); `crowds` is how many of the `faces` pictures to take."""
    faces = load_faces(data / "faces", split)
    step = max(1, len(faces) // crowds)
    return Sharp(
        load_portraits(data / "portraits", split).images,
        [sample.image for sample in load_identities(data / "identities", split)],
        [faces[i].image for i in range(0, len(faces), step)],
        [sample.image for sample in load_scenes(data / "scenes", split)],
    )


@dataclass(frozen=True)
class Patches:
    """How sharp patches are drawn."""

    side: int = 128
    """Pixels; not above 128, the side of the upright faces."""
    whole: float = 0.35
    """Share with one upright face that fills the patch."""
    quartet: float = 0.2
    """Share with four smaller upright faces."""
    heads: float = 0.2
    crowds: float = 0.1
    """The rest are scenes."""


def draw_patch(sharp: Sharp, how: Patches, rng: np.random.Generator) -> tuple[Image, bool]:
    """A (side, side, 3) patch, and whether it is one upright face as large as it can be."""
    kind = rng.random()
    if kind < how.whole:
        image = sharp.aligned[rng.integers(len(sharp.aligned))]
        if how.side != image.shape[0]:
            image = _shrunk(image, how.side, how.side)
        return _mirrored(image, rng), True
    if kind < how.whole + how.quartet:
        return _quartet(sharp.aligned, how.side, rng), False
    if kind < how.whole + how.quartet + how.heads:
        return _window(sharp.heads[rng.integers(len(sharp.heads))], how.side, rng, 1.0), False
    if kind < how.whole + how.quartet + how.heads + how.crowds:
        # These are stored at low quality: only smaller they are sharp.
        return _window(sharp.crowds[rng.integers(len(sharp.crowds))], how.side, rng, 0.75), False
    return _window(sharp.scenes[rng.integers(len(sharp.scenes))], how.side, rng, 1.0), False


def _quartet(aligned: np.ndarray, side: int, rng: np.random.Generator) -> Image:
    half = side // 2
    rows = []
    for _ in range(2):
        pair = [_shrunk(aligned[rng.integers(len(aligned))], half, half) for _ in range(2)]
        rows.append(np.concatenate([_mirrored(image, rng) for image in pair], axis=1))
    return np.concatenate(rows)


def _window(image: Image, side: int, rng: np.random.Generator, largest: float) -> Image:
    height, width = image.shape[:2]
    least = side / min(height, width)
    scale = max(least, largest * rng.uniform(0.5, 1.0))
    if scale != 1:
        size = (max(side, round(width * scale)), max(side, round(height * scale)))
        image = _shrunk(image, *size)
    y = int(rng.integers(image.shape[0] - side + 1))
    x = int(rng.integers(image.shape[1] - side + 1))
    return _mirrored(image[y : y + side, x : x + side], rng)


def _shrunk(image: Image, width: int, height: int) -> Image:
    smaller = width <= image.shape[1]
    how = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (width, height), interpolation=how), np.uint8)


def _mirrored(image: Image, rng: np.random.Generator) -> Image:
    return np.ascontiguousarray(image[:, ::-1] if rng.random() < 0.5 else image)


def bicubic(image: Image, width: int, height: int) -> Image:
    """Bicubic with antialiasing, as the super-resolution literature means it (MATLAB, Pillow)."""
    picture = PillowImage.fromarray(image)
    return np.asarray(picture.resize((width, height), PillowImage.Resampling.BICUBIC))


@dataclass(frozen=True)
class Camera:
    """How the small picture comes about."""

    scale: int = 4
    clean: float = 0.3
    """Share that is only made smaller, by `bicubic`."""
    photometric: float = 0.3
    """Share with other light, colour or night mode: both pictures get it, nothing undoes it."""
    nightly: float = 0.12
    """Share through an infra-red camera at its limit: grey, dim, with coarse grey grain."""
    least: float = 0.1
    """Lowest strength of the chain; drawn evenly up to 1."""


def small_and_sharp(sharp: Image, camera: Camera, rng: np.random.Generator) -> tuple[Image, Image]:
    """(H, W, 3) -> the small picture (H / scale, W / scale, 3) and the one to recover."""
    height, width = (side // camera.scale for side in sharp.shape[:2])
    if rng.random() < camera.nightly:
        return _nightly(sharp, camera, rng)
    if rng.random() < camera.photometric:
        operator: Operator = (tone, tint, night)[rng.integers(3)]
        sharp = operator(sharp, rng, 0.7)
    if rng.random() < camera.clean:
        return bicubic(sharp, width, height), sharp
    strength = rng.uniform(camera.least, 1.0)
    image = sharp
    if rng.random() < 0.6:
        image = defocus(image, rng, strength * min(1.0, camera.scale / 4))
    if rng.random() < 0.12:
        image = motion(image, rng, 0.6 * strength)
    small = _sampled(image, width, height, rng)
    chain = [(noise, 0.65, 0.7), (resample, 0.15, 0.3), (interlace, 0.04, 0.2)]
    for index in rng.permutation(len(chain)):
        operator, probability, share = chain[index]
        if rng.random() < probability:
            small = operator(small, rng, share * strength)
    if rng.random() < 0.75:
        small = compress(small, rng, 0.9 * strength)
    return small, sharp


def _nightly(sharp: Image, camera: Camera, rng: np.random.Generator) -> tuple[Image, Image]:
    """By night with the gain turned up. The light is not to be undone, the grain is.

    The grain of an infra-red camera is grey, and stronger for its picture than by day.
    """
    height, width = (side // camera.scale for side in sharp.shape[:2])
    sharp = night(sharp, rng, 0.8)
    levels = np.arange(256, dtype=np.float32) * rng.uniform(0.35, 1.0) + rng.uniform(0, 35)
    sharp = np.asarray(cv2.LUT(sharp, np.clip(levels, 0, 255).astype(np.uint8)), np.uint8)
    image = defocus(sharp, rng, 0.6 * rng.random() * min(1.0, camera.scale / 4))
    small = noise(_sampled(image, width, height, rng), rng, rng.uniform(0.2, 1.0))
    small = np.repeat(small[..., int(rng.integers(3)), None], 3, axis=2)
    if rng.random() < 0.75:
        small = compress(small, rng, 0.6 * rng.random())
    return np.ascontiguousarray(small), sharp


def _sampled(image: Image, width: int, height: int, rng: np.random.Generator) -> Image:
    kind = rng.random()
    if kind < 0.3:
        return bicubic(image, width, height)
    if kind < 0.75:
        return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR))


def standard_small(sharp: Image, scale: int, rng: np.random.Generator) -> tuple[Image, Image]:
    """The fixed chain of the evaluations: the small picture and the one to recover.

    Night mode for half (both pictures), then blur, mean over sensor pixels, noise and JPEG, each
    at strength 0.5.
    """
    if rng.random() < 0.5:
        sharp = night(sharp, rng, 0.5)
    height, width = (side // scale for side in sharp.shape[:2])
    image = defocus(sharp, rng, 0.5)
    small = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))
    return compress(noise(small, rng, 0.5), rng, 0.5), sharp
