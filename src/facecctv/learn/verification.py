"""How well an embedder tells people apart when one of the two faces is small and bad."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from facecctv import metrics
from facecctv.geometry import align
from facecctv.learn.data.detection import Sample, load_identities, read_table
from facecctv.types import Floats, Image

SIZES: tuple[int | None, ...] = (None, 64, 48, 32, 24, 16, 12)
"""Heights of the probe's face, pixels; None: as stored."""

Embed = Callable[[Sequence[Image]], Floats]
"""Upright (112, 112, 3) uint8 RGB faces -> (N, D) float32 of unit length."""


@dataclass(frozen=True, eq=False)
class FacePairs:
    """Two numbers of pictures a row."""

    first: np.ndarray
    second: np.ndarray
    same: np.ndarray
    """(N,) bool: the same person."""


def draw_pairs(identities: Sequence[int], count: int, seed: int = 0) -> FacePairs:
    """`count` pairs of one person and as many of two, no picture with itself, none twice."""
    people = np.asarray(identities)
    i, j = np.triu_indices(len(people), 1)
    same = people[i] == people[j]
    rng = np.random.default_rng(seed)
    chosen = [
        rng.choice(np.flatnonzero(same == truth), min(count, int((same == truth).sum())), False)
        for truth in (True, False)
    ]
    rows = np.concatenate(chosen)
    return FacePairs(i[rows], j[rows], same[rows])


def shrink_face(sample: Sample, height: float, rng: np.random.Generator) -> Sample:
    """The picture with its face brought to a height: blur, mean over sensor pixels, noise, JPEG.

    Blur of half a small pixel (standard deviation), noise of 6 grey levels, JPEG of quality 40 to
    75. A face that is smaller already keeps its size. The landmarks shrink with the picture.
    """
    scale = min(1.0, height / float(sample.boxes[0, 3] - sample.boxes[0, 1]))
    rows, columns = sample.image.shape[:2]
    size = (max(4, round(columns * scale)), max(4, round(rows * scale)))
    image = sample.image
    if scale < 1:
        image = cv2.GaussianBlur(image, (0, 0), 0.5 / scale)
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    noisy = image + rng.normal(0, 6, image.shape)
    image = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
    quality = int(rng.integers(40, 76))
    _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    image = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]
    factor = np.array([size[0] / columns, size[1] / rows], np.float32)
    return Sample(
        sample.name,
        np.ascontiguousarray(image),
        sample.boxes * np.tile(factor, 2),
        sample.landmarks * factor,
        sample.ignore,
    )


@dataclass(frozen=True, eq=False)
class SizeReport:
    """One probe size."""

    height: int | None
    heights: Floats
    """(N,) of the worse face of each pair, pixels."""
    similarities: Floats
    eer: float
    tar: dict[float, float]
    """False acceptance rate -> true acceptance rate."""


def evaluate_embedder(
    embed: Embed,
    folder: Path,
    *,
    split: str = "val",
    count: int = 6000,
    sizes: Sequence[int | None] = SIZES,
) -> tuple[FacePairs, list[SizeReport]]:
    """Verification on the `identities` set, the first face clean, the second brought to each size.

    Faces are made upright by the stored landmarks, so that only the embedder is measured.
    """
    samples = load_identities(folder, split)
    rows = read_table(folder / "identities.csv", ("image", "identity"))
    person = {row["image"]: int(row["identity"]) for row in rows}
    loaded = list(samples)
    pairs = draw_pairs([person[sample.name] for sample in loaded], count)
    stored = np.array([sample.boxes[0, 3] - sample.boxes[0, 1] for sample in loaded])
    clean = _embed_all(embed, loaded)
    reports = []
    for size in sizes:
        probes = clean
        if size is not None:
            small = [
                shrink_face(sample, size, np.random.default_rng((size, number)))
                for number, sample in enumerate(loaded)
            ]
            probes = _embed_all(embed, small)
        heights = np.minimum(stored[pairs.first], stored[pairs.second])
        if size is not None:
            heights = np.minimum(stored[pairs.first], np.minimum(stored[pairs.second], size))
        similarities = (clean[pairs.first] * probes[pairs.second]).sum(axis=1)
        reports.append(_report(size, heights, similarities, pairs.same))
    return pairs, reports


def _report(
    size: int | None, heights: Floats, similarities: Floats, same: np.ndarray
) -> SizeReport:
    labels = same.astype(int)
    tar = {far: metrics.tar_at_far(similarities, labels, far)[0] for far in (1e-2, 1e-3)}
    return SizeReport(size, heights, similarities, metrics.eer(similarities, labels), tar)


def _embed_all(embed: Embed, samples: Sequence[Sample]) -> Floats:
    faces = [align(sample.image, sample.landmarks[0]) for sample in samples]
    return np.concatenate([embed(faces[i : i + 64]) for i in range(0, len(faces), 64)])
