"""Finds faces in a picture of any size.

Small faces are what matters here, so a picture is looked at in its native resolution, in tiles
where it is large, and enlarged where it is small. Coarser copies, each a third of the one before,
find the faces that are larger than a tile's overlap. Every pass trusts what it sees best; overlap
between passes is settled by non-maximum suppression.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import cv2
import numpy as np
import numpy.typing as npt

from facecctv.errors import SettingError
from facecctv.geometry import clip_boxes, iou, nms
from facecctv.models.card import Card
from facecctv.models.session import Runner
from facecctv.types import Body, Face, Floats, Image, check_image
from facecctv.vision.anchors import decode_boxes, decode_landmarks, grid
from facecctv.vision.looks import DetectOptions as DetectOptions  # named here for callers
from facecctv.vision.looks import Look, plan
from facecctv.vision.parts import CLOSER, Grid, expected_look, plan_parts

MOST = 3000
"""Predictions of one pass that go into non-maximum suppression, at most."""
SAME_FACE = 0.6
"""Intersection over union from which a suppressed box has a say in where the kept one lies."""
BATCH_PIXELS = 640 * 640 * 4


@dataclass(frozen=True, eq=False)
class Found:
    """Boxes before they become faces, best first."""

    boxes: Floats
    """(K, 4)."""
    scores: Floats
    """(K,)."""
    landmarks: Floats
    """(K, 5, 2); (K, 0, 2) from networks without landmarks."""


_NOTHING = Found(*(np.zeros(shape, np.float32) for shape in ((0, 4), 0, (0, 5, 2))))


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

    def within(self, image: Image, changed: Grid | None, near: Floats) -> list[Face]:
        """The faces in the parts of a picture where there may be other ones than before.

        `changed` lies over the picture as a grid of any size, true where it differs from what was
        searched before; None: nowhere. A face of any size that covers such a cell is looked for;
        where only faces of some height are asked for, no finer than they need.
        `near` are boxes (N, 4) of faces that are expected in the picture, changed or not. Each is
        looked at closely, and that look alone says whether there is one of about that size.
        """
        whole = self._plan(check_image(image))
        stated = self._session.card.extra.get("closer", CLOSER)
        closer = stated if isinstance(stated, int | float) else CLOSER
        closely = [expected_look(box, whole[0], image.shape, closer) for box in near]
        parts = plan_parts(whole, image.shape, changed, self._options.min_face)
        (expected,), (others,) = (
            self._seen([image], [(0, look) for look in looks]) for looks in (closely, parts)
        )
        found = [*expected, *(_apart(one, closely) for one in others)]
        return _faces(self._settle(found or [_NOTHING], image.shape[1], image.shape[0]))

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
        return [
            self._settle(found, image.shape[1], image.shape[0])
            for found, image in zip(self._seen(images, looks), images, strict=True)
        ]

    def _seen(self, images: Sequence[Image], looks: list[tuple[int, Look]]) -> list[list[Found]]:
        """What each look, at the picture of its number, may report; by picture."""
        parts: list[list[Found]] = [[] for _ in images]
        for chunk in _chunks(looks):
            width, height = chunk[0][1].padded
            pictures = np.zeros((len(chunk), 3, height, width), np.float32)
            for picture, (number, look) in zip(pictures, chunk, strict=True):
                _fill(picture, images[number], look)
            outputs = self._session.run(pictures)
            for row, (number, look) in enumerate(chunk):
                maps = [np.asarray(output[row], np.float32) for output in outputs]
                parts[number].append(self._read(maps, look))
        return parts

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


def _fill(network: Floats, image: Image, look: Look) -> None:
    """Writes a part of a picture into (3, H, W) float32, zeros so far, as 0..1."""
    x1, y1, x2, y2 = look.part
    part = image[y1:y2, x1:x2]
    width, height = look.size
    if (width, height) != (x2 - x1, y2 - y1):
        filters = cv2.INTER_AREA if look.scale < 1 else cv2.INTER_LINEAR
        part = np.asarray(cv2.resize(part, (width, height), interpolation=filters), np.uint8)
    for colour, pixels in zip(network, cv2.split(part), strict=True):
        np.multiply(pixels, np.float32(1 / 255), out=colour[:height, :width], dtype=np.float32)


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


def _apart(found: Found, looks: Sequence[Look]) -> Found:
    """Without what one of these looks would report."""
    apart = np.ones(len(found.boxes), np.bool_)
    for look in looks:
        apart &= ~_owned(found.boxes, look)
    return Found(found.boxes[apart], found.scores[apart], found.landmarks[apart])


def _sigmoid(values: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -30, 30))), np.float32)


def _faces(found: Found) -> list[Face]:
    rows = zip(found.boxes, found.landmarks, found.scores, strict=True)
    return [Face(box=box, landmarks=marks, score=float(score)) for box, marks, score in rows]
