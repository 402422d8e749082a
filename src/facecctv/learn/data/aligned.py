"""Upright faces with the embedding that a teacher gives to the clean picture, in memory."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from facecctv.errors import LabelError
from facecctv.geometry import TEMPLATE, similarity, warp
from facecctv.learn.data.degrade import compress, defocus, motion, night, noise, tint, tone
from facecctv.learn.data.detection import LANDMARK_COLUMNS, Archives, Row, floats, read_table
from facecctv.types import Floats, Image

SIDE = 128
"""Stored side: the recognition square of 112 px with a border of 8 px, room for jitter."""
BORDER = 8
FACE_HEIGHT = 108.0
"""Height of the face in the recognition square, pixels: what detectors box, in the median."""


@dataclass(frozen=True, eq=False)
class AlignedFaces:
    """Faces in one order in all arrays."""

    names: tuple[str, ...]
    images: np.ndarray
    """(N, 128, 128, 3) uint8 RGB."""
    embeddings: Floats
    """(N, 128) float32, unit length, of the clean picture."""
    identities: np.ndarray
    """(N,) int64, -1 where unknown."""

    def __len__(self) -> int:
        return len(self.names)


def load_portraits(folder: Path, split: str) -> AlignedFaces:
    """The `portraits` set: aligned already, each face another person."""
    rows = read_table(folder / "portraits.csv", ("image", "split"))
    archives = Archives(folder)
    keep = _of_split(rows, split)
    images = _in_threads(lambda i: archives.read(rows[i]["image"]), keep)
    embeddings = _embeddings(folder / "portraits_embeddings.npy", len(rows))
    return AlignedFaces(
        tuple(rows[i]["image"] for i in keep),
        np.stack(images),
        embeddings[keep],
        np.full(len(keep), -1),
    )


def load_people_aligned(folder: Path, split: str) -> AlignedFaces:
    """The `identities` set, turned upright by its landmarks; its identities are numbered from 0."""
    rows = read_table(folder / "identities.csv", ("image", "split", "identity"))
    archives = Archives(folder)
    landmarks = floats(rows, LANDMARK_COLUMNS).reshape(-1, 5, 2)
    keep = _of_split(rows, split)
    target = TEMPLATE + np.float32(BORDER)

    def upright(index: int) -> Image:
        image = archives.read(rows[index]["image"])
        return warp(image, similarity(landmarks[index], target), SIDE, SIDE)

    people = [int(rows[i]["identity"]) for i in keep]
    number = {person: i for i, person in enumerate(sorted(set(people)))}
    return AlignedFaces(
        tuple(rows[i]["image"] for i in keep),
        np.stack(_in_threads(upright, keep)),
        _embeddings(folder / "identities_embeddings.npy", len(rows))[keep],
        np.array([number[person] for person in people]),
    )


def _of_split(rows: list[Row], split: str) -> list[int]:
    keep = [i for i, row in enumerate(rows) if row["split"] == split]
    if not keep:
        raise LabelError(f"no pictures of the split {split!r}")
    return keep


def _in_threads(make: Callable[[int], Image], indices: list[int]) -> list[Image]:
    with ThreadPoolExecutor() as pool:
        return list(pool.map(make, indices))


def _embeddings(path: Path, rows: int) -> Floats:
    values = np.load(path).astype(np.float32)
    if values.ndim != 2 or len(values) != rows:
        raise LabelError(f"{path.name}: {len(values)} rows for {rows} pictures")
    return values / np.linalg.norm(values, axis=1, keepdims=True)


@dataclass(frozen=True)
class Sight:
    """How a camera may see a face on its way into the recognition square."""

    clean: float = 0.35
    """Share that keeps its full resolution and is not degraded."""
    least: float = 8.0
    """Lowest face height, pixels; heights are drawn evenly in their logarithm up to the full."""
    strength: float = 0.8
    occluded: float = 0.1
    shift: float = 0.02
    """Standard deviation of the aligned square's position, as a share of its side; at the lowest
    height three times as much, since landmarks of small faces are rough."""


def see(image: Image, sight: Sight, rng: np.random.Generator) -> Image:
    """One (112, 112, 3) view of a (128, 128, 3) upright face; mirrored half of the time."""
    if rng.random() < 0.5:
        image = image[:, ::-1]
    if rng.random() < sight.clean:
        return _place(image, 1.0, 0.4 * sight.shift, rng)
    height = sight.least * (FACE_HEIGHT / sight.least) ** rng.random()
    scale = height / FACE_HEIGHT
    if rng.random() < sight.occluded:
        image = _cover(image, rng)
    image = small_camera(image, scale, sight.strength, rng)
    return _place(image, image.shape[0] / SIDE, sight.shift * (1 + 2 * (1 - scale) ** 2), rng)


def small_camera(image: Image, scale: float, strength: float, rng: np.random.Generator) -> Image:
    """The face as a CCTV camera delivers it: fewer pixels, in random quality."""
    chain = (
        (tone, 0.4),
        (tint, 0.3),
        (night, 0.3),
    )
    for operator, probability in chain:
        if rng.random() < probability:
            image = operator(image, rng, strength)
    if scale < 0.95:
        image = shrink(image, scale, rng)
    small = ((motion, 0.08), (defocus, 0.25), (noise, 0.5), (compress, 0.6))
    for operator, probability in small:
        if rng.random() < probability:
            # Blur counts in pixels of the small picture, where the same sigma destroys more.
            image = operator(image, rng, strength * (0.5 if operator in (motion, defocus) else 1))
    return image


def shrink(image: Image, scale: float, rng: np.random.Generator) -> Image:
    """Fewer pixels through a lens: optical blur, then the mean over each sensor pixel."""
    side = max(4, round(image.shape[0] * scale))
    if rng.random() < 0.5:
        image = cv2.GaussianBlur(image, (0, 0), 0.05 + rng.uniform(0.1, 0.6) / scale)
    kind = cv2.INTER_AREA if rng.random() < 0.7 else cv2.INTER_LINEAR
    return cv2.resize(image, (side, side), interpolation=kind)


def _place(image: Image, scale: float, shift: float, rng: np.random.Generator) -> Image:
    """Into the recognition square, as `geometry.warp` does it, a little off."""
    angle, grow = rng.normal(0, 2 * shift), float(np.exp(rng.normal(0, 1.5 * shift)))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * grow
    centre = 0.5 * image.shape[0]
    linear = turn / scale
    offset = 56 + rng.normal(0, 112 * shift, 2) - linear @ np.array([centre, centre])
    return warp(np.ascontiguousarray(image), np.column_stack([linear, offset]), 112, 112)


def _cover(image: Image, rng: np.random.Generator) -> Image:
    """A bar, cap, scarf or hand over part of the face."""
    image = image.copy()
    side = image.shape[0]
    share = rng.uniform(0.15, 0.4)
    extent = int(side * share)
    start = int(rng.integers(0, side - extent))
    part = (slice(start, start + extent), slice(None))
    if rng.random() < 0.4:
        part = part[::-1]
    image[part] = rng.integers(0, 256, 3) if rng.random() < 0.7 else image[part][::-1]
    return image
