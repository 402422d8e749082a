"""How good the enhancers and the colouriser are, on sharp pictures that are made bad first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from facecctv import metrics
from facecctv.geometry import align
from facecctv.learn.data.detection import Sample, load_faces, load_identities, load_scenes
from facecctv.learn.data.restore import bicubic, standard_small
from facecctv.types import Face, Floats, Image

Restore = Callable[[Image], Image]
Embed = Callable[[Sequence[Image]], Floats]

BANDS: tuple[tuple[float, float], ...] = ((16, 24), (24, 32), (32, 48))
"""Heights of the face in the small picture, pixels."""


@dataclass(frozen=True, eq=False)
class SharpFace:
    """One face picture to be made small and recovered."""

    image: Image
    """(H, W, 3) uint8 RGB, sides divisible by the scale."""
    landmarks: Floats | None
    """(5, 2) float32 pixels; None where no face is known: identity is then not measured."""
    name: str = ""
    """Of the picture it comes from."""


def sharp_faces(
    data: Path, scale: int, low: float, high: float, most: int = 300
) -> list[SharpFace]:
    """Validation faces whose height, divided by the scale, is within a band.

    Pictures of larger faces are brought to the geometric middle of the band by area averaging;
    none is enlarged.
    """
    wanted = float(np.sqrt(low * high)) * scale
    found = []
    for sample in (*load_identities(data / "identities", "val"), *_with_large(data, low * scale)):
        heights = np.where(sample.ignore, 0, sample.boxes[:, 3] - sample.boxes[:, 1])
        index = int(np.argmax(heights))
        if heights[index] < low * scale or not np.isfinite(sample.landmarks[index]).all():
            continue
        found.append(_scaled(sample, index, min(1.0, wanted / float(heights[index])), scale))
    step = max(1, len(found) // most)
    return found[::step][:most]


def sharp_pictures(
    images: Iterable[Image], scale: int, detect: Callable[[Image], Sequence[Face]]
) -> list[SharpFace]:
    """Whole pictures, their sides cut to multiples of the scale; the largest found face counts."""
    found = []
    for image in images:
        height, width = (side // scale * scale for side in image.shape[:2])
        if min(height, width) < LEAST_SIDE * scale:
            continue
        part = np.ascontiguousarray(image[:height, :width])
        faces = sorted(detect(part), key=lambda face: -face.height)
        found.append(SharpFace(part, faces[0].landmarks if faces else None))
    return found


LEAST_SIDE = 12
"""Pixels of the small picture: smaller ones cannot be measured (SSIM looks at 11 of the large)."""


def _with_large(data: Path, least: float) -> list[Sample]:
    faces = load_faces(data / "faces", "val", trust_all=True)
    return [s for s in faces if (np.append(s.boxes[:, 3] - s.boxes[:, 1], 0)).max() >= least]


def _scaled(sample: Sample, index: int, factor: float, scale: int) -> SharpFace:
    """The face's surroundings, its sides divisible by the scale."""
    x1, y1, x2, y2 = sample.boxes[index]
    reach = 0.5 * float(max(x2 - x1, y2 - y1))
    height, width = sample.image.shape[:2]
    left, top = max(0, int(x1 - reach)), max(0, int(y1 - reach))
    part = sample.image[top : min(height, int(y2 + reach)), left : min(width, int(x2 + reach))]
    size = [max(scale, round(side * factor / scale) * scale) for side in part.shape[1::-1]]
    image = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
    ratio = np.array([size[0] / part.shape[1], size[1] / part.shape[0]])
    landmarks = (sample.landmarks[index] - (left, top)) * ratio
    return SharpFace(image, landmarks.astype(np.float32), sample.name)


def luma(image: Image) -> Floats:
    """Y of ITU-R BT.601 in 16..235, which PSNR-Y of the literature is measured on."""
    weights = np.array([65.481, 128.553, 24.966]) / 255
    return np.asarray(image @ weights + 16.0)


@dataclass(frozen=True)
class RestorationScore:
    """Means over the pictures of one set under one condition."""

    name: str
    pictures: int
    psnr: float
    """Of luma, decibels; a border of `scale` pixels is left out."""
    psnr_bicubic: float
    ssim: float
    ssim_bicubic: float
    similarity: float
    """Of the face to the true one, by the embedder; NaN without one."""
    similarity_bicubic: float
    lowered: float
    """Share of faces whose similarity is lower than that of plain interpolation."""


def small_clean(sharp: Image, scale: int, number: int) -> tuple[Image, Image]:
    """Antialiased bicubic and nothing else."""
    height, width = sharp.shape[:2]
    return bicubic(sharp, width // scale, height // scale), sharp


def small_cctv(sharp: Image, scale: int, number: int) -> tuple[Image, Image]:
    """The standard chain of restore.py; the number is the seed."""
    return standard_small(sharp, scale, np.random.default_rng(number))


CONDITIONS: dict[str, Callable[[Image, int, int], tuple[Image, Image]]] = {
    "clean": small_clean,
    "cctv": small_cctv,
}


def score_restoration(
    restore: Restore,
    scale: int,
    faces: Sequence[SharpFace],
    condition: str,
    embed: Embed | None = None,
) -> RestorationScore:
    """Recovers each picture from its small version, and compares with bicubic interpolation."""
    rows = []
    squares: list[list[Image]] = [[], [], []]
    for number, face in enumerate(faces):
        small, truth = CONDITIONS[condition](face.image, scale, number)
        restored = restore(small)
        plain = bicubic(small, truth.shape[1], truth.shape[0])
        inner = (slice(scale, -scale), slice(scale, -scale))
        y = [luma(picture)[inner] for picture in (truth, restored, plain)]
        rows.append(
            [
                *(metrics.psnr(y[0], other) for other in y[1:]),
                *(metrics.ssim(y[0], other) for other in y[1:]),
            ]
        )
        if face.landmarks is not None:
            for square, picture in zip(squares, (truth, restored, plain), strict=True):
                square.append(align(picture, face.landmarks))
    means = np.mean(rows, axis=0)
    similarity = [float("nan")] * 3
    if embed and squares[0]:
        true, ours, theirs = (_embedded(embed, square) for square in squares)
        with_ours, with_theirs = (true * ours).sum(axis=1), (true * theirs).sum(axis=1)
        lowered = float((with_ours < with_theirs).mean())
        similarity = [float(with_ours.mean()), float(with_theirs.mean()), lowered]
    return RestorationScore(condition, len(faces), *means.tolist(), *similarity)


def _embedded(embed: Embed, squares: Sequence[Image]) -> Floats:
    return np.concatenate([embed(squares[i : i + 32]) for i in range(0, len(squares), 32)])


@dataclass(frozen=True)
class ColourScore:
    """Means over the pictures of one set."""

    name: str
    pictures: int
    error: float
    """Distance of a*, b* to the truth, units of CIELAB, mean over all pixels."""
    error_grey: float
    """The same when every pixel is left grey."""
    colourfulness: float
    """Of the coloured pictures over that of the true ones (Hasler and Süsstrunk 2003)."""

    @property
    def gain(self) -> float:
        """How far the error is below grey's, as a share of it."""
        return 1 - self.error / self.error_grey


def score_colour(colourise: Restore, pictures: Sequence[Image], name: str) -> ColourScore:
    """Takes the colour away, estimates it, and compares with the truth."""
    rows = []
    for image in pictures:
        grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        coloured = colourise(np.asarray(grey, np.uint8))
        true, ours = _chroma(image), _chroma(coloured)
        error = np.linalg.norm(true - ours, axis=2).mean()
        rows.append(
            [
                error,
                np.linalg.norm(true, axis=2).mean(),
                *map(metrics.colourfulness, (coloured, image)),
            ]
        )
    error, grey_error, ours_colour, true_colour = np.mean(rows, axis=0).tolist()
    return ColourScore(name, len(pictures), error, grey_error, ours_colour / true_colour)


def _chroma(image: Image) -> Floats:
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return np.asarray(lab[..., 1:])


def colour_sets(data: Path, most: int = 300) -> dict[str, list[Image]]:
    """Validation pictures with colour: faces, and scenes."""
    people = [sample.image for sample in load_identities(data / "identities", "val")]
    scenes = [sample.image for sample in load_scenes(data / "scenes", "val")]
    step = max(1, len(people) // most)
    return {"faces": people[::step][:most], "scenes": scenes}
