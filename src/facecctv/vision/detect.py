"""Finds faces in a picture of any size.

Small faces are what matters here, so a picture is looked at in its native resolution, in tiles
where it is large, and enlarged where it is small. Coarser copies, each a third of the one before,
find the faces that are larger than a tile's overlap. Every pass trusts what it sees best; overlap
between passes is settled by non-maximum suppression.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from facecctv.errors import SettingError
from facecctv.geometry import clip_boxes, iou, nms
from facecctv.models.card import Card
from facecctv.models.session import Runner
from facecctv.types import Body, Face, Floats, Image, check_image
from facecctv.vision.anchors import decode_boxes, decode_landmarks, grid

Switch = Literal["auto", "off"]

WORKING_SIZE = 640
"""Longer side, pixels, that small pictures are enlarged to and the coarsest pass ends at."""
LARGEST_ENLARGEMENT = 4.0
COARSER = 3.0
"""Ratio between one pass and the next."""
TILE = 1472
"""Largest side of a tile, pixels: 1.3 megapixels keep the memory of one run near 150 MB."""
OVERLAP = 192
"""Of tiles, pixels at least."""
TRUSTED = 128
"""Longest side, network pixels, of the faces that a tile may report: the overlap holds them with
something of their surroundings."""
FROM = 40
"""Least longer side, network pixels, of the faces that a coarser look may report."""
MOST = 3000
"""Predictions of one pass that go into non-maximum suppression, at most."""
SAME_FACE = 0.6
"""Intersection over union from which a suppressed box has a say in where the kept one lies."""
BATCH_PIXELS = 640 * 640 * 4


@dataclass(frozen=True)
class DetectOptions:
    """How to look; the defaults suit pictures of all sizes."""

    threshold: float | None = None
    """Least score, 0..1; by default the card's working point."""
    min_face: float = 0.0
    """Least height of a face, pixels of the picture."""
    tiles: Switch = "auto"
    """`off`: one look at each resolution, whole; needs more memory for large pictures."""
    enlarge: Switch = "auto"
    """`off`: small pictures are not enlarged, and faces under about 8 px get lost."""
    overlap: float = 0.5
    """Intersection over union from which two boxes are one face."""

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 < self.threshold < 1:
            raise SettingError(f"threshold must lie between 0 and 1, not {self.threshold}")
        if not 0 <= self.min_face < math.inf:
            raise SettingError(f"the least face height is 0 or more pixels, not {self.min_face}")
        if not 0 < self.overlap < 1:
            raise SettingError(f"overlap must lie between 0 and 1, not {self.overlap}")


@dataclass(frozen=True)
class Look:
    """One run of the network: a part of the picture at a scale."""

    part: tuple[int, int, int, int]
    """x1 y1 x2 y2, pixels of the picture."""
    owned: tuple[float, float, float, float]
    """Only faces whose centre lies in here are this look's to report; pixels of the picture."""
    scale: float
    """Network pixels per picture pixel."""
    largest: float
    """Longest side of a face it may report, pixels of the picture."""
    smallest: float = 0.0
    """Least longer side of a face it may report: a finer look sees smaller ones better."""
    multiple: int = 32
    """Network pixels: width and height are padded to multiples of this."""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in network pixels, before padding."""
        x1, y1, x2, y2 = self.part
        return max(1, round((x2 - x1) * self.scale)), max(1, round((y2 - y1) * self.scale))

    @property
    def padded(self) -> tuple[int, int]:
        """(width, height) in network pixels, multiples of `multiple`."""
        width, height = (-(-side // self.multiple) * self.multiple for side in self.size)
        return width, height


@dataclass(frozen=True, eq=False)
class Found:
    """Boxes before they become faces, best first."""

    boxes: Floats
    """(K, 4)."""
    scores: Floats
    """(K,)."""
    landmarks: Floats
    """(K, 5, 2); (K, 0, 2) from networks without landmarks."""


def plan(
    width: int,
    height: int,
    options: DetectOptions,
    multiple: int = 32,
    largest: float = math.inf,
) -> list[Look]:
    """The looks at a picture of this size in pixels, finest first.

    `multiple` is that of the network's input; `largest`, network pixels, is the longest side that
    it was trained to find: what may be longer is left to coarser looks.
    """
    looks = _looks(width, height, options)
    while max(width, height) * looks[-1].scale > largest:
        looks.append(_whole(width, height, looks[-1].scale / 2, FROM))
    finer = [replace(look, largest=min(look.largest, largest / look.scale)) for look in looks[:-1]]
    return [replace(look, multiple=multiple) for look in (*finer, looks[-1])]


def _looks(width: int, height: int, options: DetectOptions) -> list[Look]:
    longest = max(width, height)
    if longest < WORKING_SIZE:
        if options.enlarge == "off":
            return [_whole(width, height, 1.0)]
        scale = min(WORKING_SIZE / longest, LARGEST_ENLARGEMENT)
        # Enlarged, a face that fills the picture outgrows what the network was trained on.
        return [_whole(width, height, scale), _whole(width, height, scale / 2, FROM)]
    looks: list[Look] = []
    scale = 1.0
    while longest * scale > WORKING_SIZE:
        smallest = FROM if scale < 1 else 0.0
        if options.tiles == "auto":
            looks += _tiles(width, height, scale, smallest)
        else:
            looks.append(_whole(width, height, scale, smallest))
        scale /= COARSER
    # The coarsest look takes in everything, however large.
    last = min(1.0, max(scale, WORKING_SIZE / 2 / longest))
    looks.append(_whole(width, height, last, FROM if looks else 0.0))
    return looks


def _whole(width: int, height: int, scale: float, smallest: float = 0.0) -> Look:
    everywhere = (-math.inf, -math.inf, math.inf, math.inf)
    return Look((0, 0, width, height), everywhere, scale, math.inf, smallest / scale)


def _tiles(width: int, height: int, scale: float, smallest: float) -> Iterator[Look]:
    across, down = _spans(width, scale), _spans(height, scale)
    largest = math.inf if len(across) == len(down) == 1 else TRUSTED / scale
    for y1, y2, top, bottom in down:
        for x1, x2, left, right in across:
            owned = (left, top, right, bottom)
            yield Look((x1, y1, x2, y2), owned, scale, largest, smallest / scale)


def _spans(length: int, scale: float) -> list[tuple[int, int, float, float]]:
    """Start and end of each tile along one side, and of the stretch that it owns."""
    total = length * scale
    if total <= TILE:
        return [(0, length, -math.inf, math.inf)]
    overlap = OVERLAP + 32  # tiles begin at multiples of 32, so that they see the whole's grid
    count = math.ceil((total - overlap) / (TILE - overlap))
    size = (total + (count - 1) * overlap) / count
    starts = [math.floor(i * (total - size) / (count - 1) / 32) * 32 for i in range(count)]
    begins = [round(start / scale) for start in starts]
    ends = [min(length, math.ceil((start + size) / scale)) for start in starts[:-1]] + [length]
    borders = [(end + begin) / 2 for end, begin in zip(ends, begins[1:], strict=False)]
    return list(zip(begins, ends, [-math.inf, *borders], [*borders, math.inf], strict=True))


class Detector:
    """Finds faces (or bodies) with one network; call it with a picture.

    Raises ModelError through the session when the model cannot be used, SettingError when its card
    lacks the grid of a detector.
    """

    def __init__(self, session: Runner, options: DetectOptions | None = None) -> None:
        self._session = session
        self._options = options or DetectOptions()

    @property
    def card(self) -> Card:
        """The model's own account of itself."""
        return self._session.card

    @property
    def threshold(self) -> float:
        """The least score that counts."""
        given = self._options.threshold
        return self._session.card.threshold() if given is None else given

    def __call__(self, image: Image) -> list[Face]:
        """All faces in an (H, W, 3) uint8 RGB picture, best first; an empty list when none."""
        return self.batch([image])[0]

    def batch(self, images: Sequence[Image]) -> list[list[Face]]:
        """The faces of several pictures; pictures of one size share runs of the network."""
        return [_faces(found) for found in self._find(images)]

    def bodies(self, image: Image) -> list[Body]:
        """All bodies in a picture, best first, from a network that was trained on bodies."""
        found = self._find([image])[0]
        pairs = zip(found.boxes, found.scores, strict=True)
        return [Body(box=box, score=float(score)) for box, score in pairs]

    def _find(self, images: Sequence[Image]) -> list[Found]:
        looks = [
            (number, look)
            for number, image in enumerate(images)
            for look in self._plan(check_image(image))
        ]
        parts: list[list[Found]] = [[] for _ in images]
        for chunk in _chunks(looks):
            pictures = np.stack([_network_input(images[number], look) for number, look in chunk])
            outputs = self._session.run(pictures)
            for row, (number, look) in enumerate(chunk):
                maps = [np.asarray(output[row], np.float32) for output in outputs]
                parts[number].append(self._read(maps, look))
        return [
            self._settle(found, image.shape[1], image.shape[0])
            for found, image in zip(parts, images, strict=True)
        ]

    def _plan(self, image: Image) -> list[Look]:
        card = self._session.card
        largest = card.extra.get("largest", math.inf)
        if not isinstance(largest, int | float) or largest < 1:
            raise SettingError(f"{card.name} is no detector: its card says largest {largest!r}")
        multiple = max(32, card.input.multiple_of)
        return plan(image.shape[1], image.shape[0], self._options, multiple, largest)

    def _read(self, maps: list[Floats], look: Look) -> Found:
        """Raw maps of one look -> what it may report, in pixels of the picture."""
        levels = {int(k): int(v) for k, v in _levels(self._session.card).items()}
        values, index = _above(maps, list(levels.values()), self.threshold)
        width, height = look.padded
        layout = grid(height, width, levels)
        points, strides = layout.points[index], layout.strides[index]
        boxes = decode_boxes(values[:, 1:5], points, strides)
        landmarks = decode_landmarks(values[:, 5:15], points, strides)
        # Rounding to whole pixels makes the two scales differ by a hair.
        x1, y1, x2, y2 = look.part
        scale = np.array([look.size[0] / (x2 - x1), look.size[1] / (y2 - y1)], np.float32)
        corner = np.array([x1, y1], np.float32)
        corners = boxes.reshape(-1, 2, 2) / scale + corner
        boxes = np.asarray(corners.reshape(-1, 4), np.float32)
        landmarks = np.asarray(landmarks / scale + corner, np.float32)
        keep = _owned(boxes, look)
        return Found(boxes[keep], _sigmoid(values[keep, 0]), landmarks[keep])

    def _settle(self, found: list[Found], width: int, height: int) -> Found:
        boxes = np.concatenate([f.boxes for f in found])
        scores = np.concatenate([f.scores for f in found])
        landmarks = np.concatenate([f.landmarks for f in found])
        boxes = clip_boxes(boxes, width, height)
        sides = boxes[:, 2:] - boxes[:, :2]
        usable = np.flatnonzero(sides.min(axis=1) > 0)
        kept = usable[nms(boxes[usable], scores[usable], self._options.overlap)]
        settled = _vote(Found(boxes, scores, landmarks), kept)
        tall = settled.boxes[:, 3] - settled.boxes[:, 1] >= self._options.min_face
        return Found(settled.boxes[tall], settled.scores[tall], settled.landmarks[tall])


def _vote(found: Found, kept: npt.NDArray[np.intp]) -> Found:
    """The kept boxes, each moved to the mean of all that say nearly the same, surer ones first.

    Box voting (Gidaris and Komodakis 2015): neighbouring predictions err independently, so their
    mean is more precise than the best of them.
    """
    overlap = iou(found.boxes[kept], found.boxes)
    weights = np.where(overlap >= SAME_FACE, overlap * found.scores**3, 0)
    weights /= weights.sum(axis=1, keepdims=True)
    return Found(
        np.asarray(weights @ found.boxes, np.float32),
        found.scores[kept],
        np.asarray(np.einsum("kn,npc->kpc", weights, found.landmarks), np.float32),
    )


def _levels(card: Card) -> dict[str, int]:
    levels = card.extra.get("levels")
    if not isinstance(levels, dict):
        raise SettingError(f"{card.name} is no detector: its card names no levels")
    return levels  # type: ignore[return-value]


def _chunks(looks: list[tuple[int, Look]]) -> Iterator[list[tuple[int, Look]]]:
    """Looks of one padded size together, as many as the memory of a run allows."""
    ordered = sorted(looks, key=lambda item: item[1].padded)
    for (width, height), group in groupby(ordered, key=lambda item: item[1].padded):
        alike = list(group)
        count = max(1, BATCH_PIXELS // (width * height))
        for start in range(0, len(alike), count):
            yield alike[start : start + count]


def _network_input(image: Image, look: Look) -> Floats:
    """(3, H, W) float32 0..1, padded with black on the right and below."""
    x1, y1, x2, y2 = look.part
    part = image[y1:y2, x1:x2]
    width, height = look.size
    if (width, height) != (x2 - x1, y2 - y1):
        filters = cv2.INTER_AREA if look.scale < 1 else cv2.INTER_LINEAR
        part = np.asarray(cv2.resize(part, (width, height), interpolation=filters), np.uint8)
    padded_width, padded_height = look.padded
    result = np.zeros((3, padded_height, padded_width), np.float32)
    pixels = part.transpose(2, 0, 1)
    np.multiply(pixels, np.float32(1 / 255), out=result[:, :height, :width], dtype=np.float32)
    return result


def _above(
    maps: Sequence[Floats], predictions: Sequence[int], threshold: float
) -> tuple[Floats, npt.NDArray[np.intp]]:
    """The predictions (K, C) whose score passes, the best MOST of them, and their grid indices.

    Only the score channel is read in full: the rest of the maps is gathered for what passes.
    """
    least = math.log(threshold / (1 - threshold))
    rows, places, start = [], [], 0
    for values, count in zip(maps, predictions, strict=True):
        split = values.reshape(count, values.shape[0] // count, -1)
        which, where = np.nonzero(split[:, 0] >= least)
        rows.append(split[which, :, where])
        places.append(start + which * split.shape[2] + where)
        start += count * split.shape[2]
    raw, index = np.concatenate(rows), np.concatenate(places)
    if len(raw) > MOST:
        best = np.argpartition(-raw[:, 0], MOST)[:MOST]
        raw, index = raw[best], index[best]
    return raw, index


def _owned(boxes: Floats, look: Look) -> npt.NDArray[np.bool_]:
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    low, high = np.array(look.owned[:2], np.float32), np.array(look.owned[2:], np.float32)
    inside = ((centres >= low) & (centres < high)).all(axis=1)
    longest = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0)
    owned: npt.NDArray[np.bool_] = inside & (longest <= look.largest) & (longest >= look.smallest)
    return owned


def _sigmoid(values: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -30, 30))), np.float32)


def _faces(found: Found) -> list[Face]:
    rows = zip(found.boxes, found.landmarks, found.scores, strict=True)
    return [Face(box=box, landmarks=marks, score=float(score)) for box, marks, score in rows]
