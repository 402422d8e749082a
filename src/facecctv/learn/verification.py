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


def draw_pairs(
    identities: Sequence[int] | np.ndarray, count: int, seed: int = 0, different: int | None = None
) -> FacePairs:
    """`count` pairs of one person and as many (or `different`) of two, none with itself or twice.

    All there are where there are fewer.
    """
    people = np.asarray(identities)
    i, j = np.triu_indices(len(people), 1)
    same = people[i] == people[j]
    rng = np.random.default_rng(seed)
    wanted = {True: count, False: count if different is None else different}
    chosen = [
        rng.choice(np.flatnonzero(same == truth), min(n, int((same == truth).sum())), False)
        for truth, n in wanted.items()
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


@dataclass(frozen=True, eq=False)
class PeopleSeen:
    """Pictures of known people and what an embedder says of them, clean and made small."""

    people: np.ndarray
    """(N,) which person each picture shows."""
    stored: Floats
    """(N,) heights of the faces as stored, pixels."""
    clean: Floats
    """(N, D) float32 embeddings of the pictures as stored."""
    probes: dict[int | None, Floats]
    """Size of the probe -> (N, D) float32 embeddings; None: as stored."""

    def heights(self, pairs: FacePairs, size: int | None) -> Floats:
        """(P,) of the worse face, pixels, where the second of each pair was brought to a size."""
        worse = np.minimum(self.stored[pairs.first], self.stored[pairs.second])
        return worse if size is None else np.minimum(worse, size)

    def similarities(self, pairs: FacePairs, size: int | None) -> Floats:
        """(P,) cosine of the clean first picture with the second, brought to a size."""
        return (self.clean[pairs.first] * self.probes[size][pairs.second]).sum(axis=1)


def see_people(
    embed: Embed, folder: Path, *, split: str = "val", sizes: Sequence[int | None] = SIZES
) -> PeopleSeen:
    """The `identities` set as the embedder sees it, as stored and brought to each size.

    Faces are made upright by the stored landmarks, so that only the embedder is measured. Raises
    InputError and LabelError as `load_identities` does.
    """
    loaded = list(load_identities(folder, split))
    rows = read_table(folder / "identities.csv", ("image", "identity"))
    person = {row["image"]: int(row["identity"]) for row in rows}
    clean = _embed_all(embed, loaded)
    probes: dict[int | None, Floats] = {}
    for size in sizes:
        probes[size] = clean
        if size is not None:
            small = [
                shrink_face(sample, size, np.random.default_rng((size, number)))
                for number, sample in enumerate(loaded)
            ]
            probes[size] = _embed_all(embed, small)
    return PeopleSeen(
        np.array([person[sample.name] for sample in loaded]),
        np.array([sample.boxes[0, 3] - sample.boxes[0, 1] for sample in loaded]),
        clean,
        probes,
    )


def verification(seen: PeopleSeen, pairs: FacePairs) -> list[SizeReport]:
    """Error rates of these pairs at each size, the first face clean, the second the probe."""
    labels = pairs.same.astype(int)
    reports = []
    for size in seen.probes:
        found = seen.similarities(pairs, size)
        tar = {far: metrics.tar_at_far(found, labels, far)[0] for far in (1e-2, 1e-3)}
        heights = seen.heights(pairs, size)
        reports.append(SizeReport(size, heights, found, metrics.eer(found, labels), tar))
    return reports


def _embed_all(embed: Embed, samples: Sequence[Sample]) -> Floats:
    faces = [align(sample.image, sample.landmarks[0]) for sample in samples]
    return np.concatenate([embed(faces[i : i + 64]) for i in range(0, len(faces), 64)])
