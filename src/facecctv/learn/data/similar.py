"""Which pictures are the same, or nearly: hashes find candidates, correlation decides."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import PIL.Image

from facecctv.errors import ImageError
from facecctv.image import resize
from facecctv.image.reading import decode, open_header
from facecctv.learn.data.dataset import Dataset, Fault, Pictures
from facecctv.learn.data.manifest import digest

SIDE = 32
_HASH_SIDE = 8
_MOST_BITS = 10
_LEAST_CORRELATION = 0.95
_FLAT = 2.0
_FLAT_DIFFERENCE = 3.0


@dataclass(frozen=True, eq=False)
class Print:
    """What is kept of one picture for comparing it."""

    name: str
    sha256: str
    size: tuple[int, int]
    """Width and height, upright, pixels."""
    grey: np.ndarray
    """(32, 32) uint8: the whole picture, squeezed."""
    hash: int
    """64 bits: whether each of 8 x 9 grey values is brighter than its left neighbour (dHash,
    N. Krawetz, "Kind of like that", 2013)."""

    @property
    def brightness(self) -> float:
        """Mean grey, 0..1."""
        return float(self.grey.mean()) / 255


def fingerprint(name: str, data: bytes) -> Print:
    """Reads all of the picture, so damage shows; JPEG at reduced size. Raises ImageError."""
    with open_header(data) as (format, source):
        # Pillow draws JPEG at an eighth, a quarter or half of its size for a fraction of the time.
        if format == "jpeg" and source.mode in ("L", "RGB"):
            width, height = source.size
            source.draft("L", (2 * SIDE, 2 * SIDE))
            grey = np.asarray(source.convert("L"))
            turned = source.getexif().get(0x0112, 1)
            grey = _upright(grey, turned)
            size = (height, width) if turned in (5, 6, 7, 8) else (width, height)
        else:
            image = decode(data).image
            size = image.shape[1], image.shape[0]
            grey = np.asarray(PIL.Image.fromarray(image).convert("L"))
    return Print(name, digest(data), size, _squeezed(grey, SIDE, SIDE), difference_hash(grey))


def _upright(grey: np.ndarray, orientation: int) -> np.ndarray:
    buffer = io.BytesIO()
    if orientation in (1, None):
        return grey
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    PIL.Image.fromarray(grey).save(buffer, "PNG", exif=exif)
    return decode(buffer.getvalue()).image[..., 0]


def _squeezed(grey: np.ndarray, width: int, height: int) -> np.ndarray:
    return resize(np.repeat(grey[..., None], 3, axis=2), width, height)[..., 0]


def difference_hash(grey: np.ndarray) -> int:
    """64-bit difference hash of an (H, W) uint8 grey picture."""
    small = _squeezed(grey, _HASH_SIDE + 1, _HASH_SIDE).astype(np.int16)
    bits = (small[:, 1:] > small[:, :-1]).ravel()
    return int(np.packbits(bits).view(">u8")[0])


def fingerprints(
    dataset: Dataset, step: Callable[[], None] = lambda: None
) -> tuple[list[Print | None], list[Fault]]:
    """One print per item, None where the picture is unreadable, and a fault for each of those."""
    pictures, prints, faults = Pictures(), [], []
    for item in dataset:
        name = dataset.name(item)
        try:
            prints.append(fingerprint(name, pictures.data(item.path)))
        except ImageError as error:
            prints.append(None)
            detail = str(error).rsplit(": ", 1)[-1]
            faults.append(Fault(name, "unreadable picture", detail))
        step()
    return prints, faults


def clusters(prints: Sequence[Print]) -> np.ndarray:
    """(N,) intp: the number of each picture's group of near duplicates; alone, its own.

    Two pictures belong together if their hashes differ in at most 10 of 64 bits and their 32 x 32
    grey versions correlate by at least 0.95 (flat pictures: differ by under 3 grey levels). Groups
    are joined through any pair. Comparing all pairs takes about N squared / 2 nanoseconds.
    """
    count = len(prints)
    group = np.arange(count)
    if not count:
        return group
    hashes = np.array([p.hash for p in prints], np.uint64)
    grey = np.stack([p.grey for p in prints]).reshape(count, -1).astype(np.float32)
    means, spread = grey.mean(axis=1), grey.std(axis=1)
    unit = (grey - means[:, None]) / np.maximum(spread[:, None], 1e-3) / np.sqrt(grey.shape[1])
    for i in range(count - 1):
        near = np.bitwise_count(hashes[i + 1 :] ^ hashes[i]) <= _MOST_BITS
        others = np.flatnonzero(near) + i + 1
        # A pair already joined through a third needs no look: long takes stay linear.
        others = others[group[others] != group[i]]
        if not len(others):
            continue
        alike = unit[others] @ unit[i] >= _LEAST_CORRELATION
        flat = (spread[others] < _FLAT) & (spread[i] < _FLAT)
        alike |= flat & (np.abs(means[others] - means[i]) < _FLAT_DIFFERENCE)
        for other in others[alike]:
            if group[other] != group[i]:
                group[group == group[other]] = group[i]
    return group


def repeated(prints: Sequence[Print]) -> list[list[int]]:
    """Indices of pictures that are the same file byte for byte, group by group."""
    same: dict[str, list[int]] = {}
    for index, one in enumerate(prints):
        same.setdefault(one.sha256, []).append(index)
    return [group for group in same.values() if len(group) > 1]
