"""One face from many sights: detail that no single frame has, and none that no frame has.

The sights are laid upon the best one, by landmarks first, then by maximising their correlation
(Evangelidis and Psarakis, "Parametric image alignment using enhanced correlation coefficient
maximization", 2008). On a finer grid each pixel becomes the mean of all sights, those that
disagree with the rest weighing less (iterated reweighting, Holland and Welsch 1977, Cauchy's
weights); then the blur of the camera's pixels is taken back by Wiener's filter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from facecctv.footage.people import SIGHTS, within, worth
from facecctv.geometry import expand_box, similarity
from facecctv.types import Crop, Floats, Fused, Image, Sighting
from facecctv.vision.filters.deconvolve import gauss, wiener

_AROUND = 0.1
"""Of the face's sides, around it: what sights are laid upon each other by."""
_ALIKE = 0.5
"""Correlation below which two sights are not of one face in one pose."""
_ASTRAY = 0.3
"""Of the face's height: how far correlating may move a sight from where the landmarks put it."""
_ROUNDS = 2
_ITERATIONS, _CLOSE = 40, 1e-4
_PIXEL = 0.45
"""Standard deviation of a camera pixel's blur, of its interpolation and of what is left of
misplacement, native pixels."""
_LEAST_NOISE = 0.7
"""Grey levels: rounding and compression stay in every mean."""
_GAIN = (0.7, 1.4)
_MEDIAN = 1.4826
"""Standard deviation of a normal variable over its median absolute value."""


@dataclass(frozen=True, eq=False)
class _Laid:
    """One sight on the fine grid."""

    pixels: Floats
    """(H, W, 3)."""
    inside: Floats
    """(H, W) 1 where the sight has pixels, else 0."""
    weight: float
    frame: int


def fuse(sights: Sequence[Sighting], scale: int = 2, most: int = SIGHTS) -> Fused | None:
    """The face of the first sight, `scale` times enlarged, from the best `most` of them.

    Sights are best first and have crops (ValueError); those that do not fit upon the first are left
    out. None where fewer than two are left. Colours are those of the first sight.
    """
    if scale < 1:
        raise ValueError(f"a face is enlarged 1 or more times, not {scale}")
    chosen = list(sights[:most])
    crops = [_crop(sighting) for sighting in chosen]
    if len(crops) < 2:
        return None
    grid = _Grid(crops[0], scale)
    reference = grid.enlarged(crops[0].image)
    laid: list[_Laid] = []
    mean, noise = reference, 0.0
    for _ in range(_ROUNDS):
        found = [
            grid.lay(crop, sighting, mean, reference)
            for crop, sighting in zip(crops, chosen, strict=True)
        ]
        laid = [one for one in found if one is not None]
        if len(laid) < 2 or laid[0].frame != chosen[0].index:
            return None
        mean, noise = _merged(laid, reference)
    sharp = _sharpened(mean, scale, noise / math.sqrt(len(laid)))
    frames = tuple(one.frame for one in laid)
    return Fused(np.clip(np.rint(sharp), 0, 255).astype(np.uint8), scale, frames, noise)


def _crop(sighting: Sighting) -> Crop:
    if sighting.crop is None:
        raise ValueError("sights are fused by their crops")
    return sighting.crop


class _Grid:
    """The fine grid over the first crop."""

    def __init__(self, crop: Crop, scale: int) -> None:
        self._scale = scale
        self._rows, self._columns = (side * scale for side in crop.image.shape[:2])
        face = within(crop)
        self._landmarks = face.landmarks * np.float32(scale)
        x1, y1, x2, y2 = expand_box(face.box, _AROUND) * scale
        self._face = (
            slice(max(0, math.floor(y1)), min(self._rows, math.ceil(y2))),
            slice(max(0, math.floor(x1)), min(self._columns, math.ceil(x2))),
        )
        self._astray = _ASTRAY * face.height

    def enlarged(self, image: Image) -> Floats:
        """(h, w, 3) uint8 -> (rows, columns, 3) float32."""
        size = (self._columns, self._rows)
        grown = cv2.resize(image.astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
        return np.asarray(grown, np.float32)

    def lay(self, crop: Crop, sighting: Sighting, target: Floats, colours: Floats) -> _Laid | None:
        """A sight on the grid, with brightness and contrast of `colours`; None if it fits not."""
        matrix = self._by_landmarks(crop)
        if matrix is None:
            return None
        found = self._by_pixels(crop, matrix, target)
        if found is None:
            return None
        alike, matrix = found
        size = (self._columns, self._rows)
        pixels = crop.image.astype(np.float32)
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        warped = np.asarray(
            cv2.warpAffine(pixels, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE),
            np.float32,
        )
        ones = np.ones(pixels.shape[:2], np.float32)
        nearest = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
        inside = np.asarray(cv2.warpAffine(ones, matrix, size, flags=nearest), np.float32)
        lit = self._relit(warped, colours, inside)
        weight = max(worth(sighting), 1e-3) * alike**2
        return _Laid(lit, inside, weight, sighting.index)

    def _by_landmarks(self, crop: Crop) -> Floats | None:
        """(2, 3) from the grid to the crop, as OpenCV counts: pixel centres at whole numbers."""
        try:
            back = similarity(self._landmarks, within(crop).landmarks)
        except ValueError:
            # Landmarks in one point: nothing to lay it by.
            return None
        shift = back[:, 2] + back[:, :2] @ np.array([0.5, 0.5], np.float32) - np.float32(0.5)
        return np.column_stack([back[:, :2], shift]).astype(np.float32)

    def _by_pixels(self, crop: Crop, matrix: Floats, target: Floats) -> tuple[float, Floats] | None:
        """Correlation with the target on the face, and the matrix that maximises it."""
        rows, columns = self._face
        template = _luma(target[rows, columns])
        corner = np.array([columns.start, rows.start], np.float32)
        local = np.column_stack([matrix[:, :2], matrix[:, 2] + matrix[:, :2] @ corner])
        criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, _ITERATIONS, _CLOSE)
        try:
            alike, refined = cv2.findTransformECC(
                template,
                _luma(crop.image.astype(np.float32)),
                local.astype(np.float32),
                cv2.MOTION_AFFINE,
                criteria,
                None,
                3,
            )
        except cv2.error:
            # It found no way to a better fit: the sights are too different.
            return None
        moved = np.asarray(refined, np.float32)
        corners = np.array(
            [[x, y, 1] for x in (0, template.shape[1]) for y in (0, template.shape[0])], np.float32
        )
        distance = np.abs(corners @ (moved - local).T).max()
        if alike < _ALIKE or distance > max(1.0, self._astray):
            return None
        shift = moved[:, 2] - moved[:, :2] @ corner
        return float(alike), np.column_stack([moved[:, :2], shift]).astype(np.float32)

    def _relit(self, pixels: Floats, colours: Floats, inside: Floats) -> Floats:
        """With mean and spread of the first sight, channel by channel, on the face."""
        seen = inside[self._face] > 0
        here, there = pixels[self._face][seen], colours[self._face][seen]
        if len(here) < 2:
            return pixels
        spread = np.maximum(here.std(axis=0), 1e-3)
        gain = np.clip(there.std(axis=0) / spread, *_GAIN)
        return np.asarray((pixels - here.mean(axis=0)) * gain + there.mean(axis=0), np.float32)


def _luma(pixels: Floats) -> Floats:
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.float32)


def _merged(laid: Sequence[_Laid], reference: Floats) -> tuple[Floats, float]:
    """The robust mean of all sights, and the standard deviation of their disagreement."""
    stack = np.stack([one.pixels for one in laid])
    weights = np.stack([one.inside * one.weight for one in laid])[..., None]
    # Where no sight but the first one reaches, the first one stands.
    weights[0] = np.maximum(weights[0], 1e-6)
    middle = np.asarray(np.median(stack, axis=0), np.float32)
    away = np.abs(stack - middle)
    spread = max(_MEDIAN * float(np.median(away)), _LEAST_NOISE)
    mean = middle
    for _ in range(2):
        trust = weights / (1 + np.square((stack - mean) / (2 * spread)))
        total = trust.sum(axis=0)
        mean = (trust * stack).sum(axis=0) / total
    mean = np.where(weights.sum(axis=0) > 1e-5, mean, reference)
    # The median of so few is itself noisy: what it took away is put back.
    count = len(laid)
    return np.asarray(mean, np.float32), spread * math.sqrt(count / (count - 1))


def _sharpened(mean: Floats, scale: int, noise: float) -> Floats:
    psf = gauss(_PIXEL * scale)
    level = max(noise, _LEAST_NOISE)
    planes = [wiener(np.ascontiguousarray(mean[..., c]), psf, level) for c in range(3)]
    return np.dstack(planes)
