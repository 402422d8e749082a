"""One face from many sights: detail that no single frame has, and none that no frame has.

The sights are laid upon the best one, by landmarks first, then by maximising their correlation
(Evangelidis and Psarakis, "Parametric image alignment using enhanced correlation coefficient
maximization", 2008). On a finer grid they are averaged, and the average is then corrected until,
seen through the camera's pixels again, it gives the sights (Irani and Peleg, "Improving resolution
by image registration", 1991), which takes back the blur of pixels and averaging. Where a sight
disagrees with the rest it weighs less (Cauchy's weights, Holland and Welsch 1977).
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

_AROUND = 0.15
"""Of the face's sides, around it: what sights are laid upon each other by."""
_ALIKE = 0.5
"""Correlation below which two sights are not of one face in one pose."""
_ASTRAY = 0.25
"""Of the face's height: how far correlating may move a sight from where the landmarks put it."""
_ITERATIONS, _CLOSE = 60, 1e-5
_CORRECTIONS = 8
"""More of them sharpen noise rather than the face."""
_LEAST_NOISE = 1.0
"""Grey levels: rounding and compression stay in every sight."""
_GAIN = (0.7, 1.4)
_MEDIAN = 1.4826
"""Standard deviation of a normal variable over its median absolute value."""


@dataclass(frozen=True, eq=False)
class _Laid:
    """One sight and where it lies on the fine grid."""

    pixels: Floats
    """(h, w, 3) 0..255, native, lit as the first sight."""
    to_native: Floats
    """(2, 3) from the grid to the sight; both as OpenCV counts, from pixel centres."""
    weight: float
    frame: int


def fuse(sights: Sequence[Sighting], scale: int = 2, most: int = SIGHTS) -> Fused | None:
    """The face of the first sight, `scale` times enlarged, from the best `most` of them.

    Sights are best first and have crops (ValueError); those that do not fit upon the first are left
    out. None where fewer than two are left. Light and colours are those of the first sight.
    """
    if scale < 1:
        raise ValueError(f"a face is enlarged 1 or more times, not {scale}")
    chosen = list(sights[:most])
    crops = [_crop(sighting) for sighting in chosen]
    if len(crops) < 2:
        return None
    grid = _Grid(crops[0], scale)
    found = [grid.lay(crop, one) for crop, one in zip(crops, chosen, strict=True)]
    laid = [one for one in found if one is not None]
    if len(laid) < 2 or found[0] is None:
        return None
    mean, noise = grid.average(laid)
    sharp = grid.corrected(mean, laid, noise)
    image = np.clip(np.rint(sharp), 0, 255).astype(np.uint8)
    return Fused(image, scale, tuple(one.frame for one in laid), noise)


def _crop(sighting: Sighting) -> Crop:
    if sighting.crop is None:
        raise ValueError("sights are fused by their crops")
    return sighting.crop


class _Grid:
    """The fine grid over the first crop."""

    def __init__(self, crop: Crop, scale: int) -> None:
        self._scale, self._first = scale, crop
        rows, columns = crop.image.shape[:2]
        self._size = (columns * scale, rows * scale)
        self._own = within(crop)
        x1, y1, x2, y2 = expand_box(self._own.box, _AROUND)
        self._face = (
            slice(max(0, math.floor(y1)), min(rows, math.ceil(y2))),
            slice(max(0, math.floor(x1)), min(columns, math.ceil(x2))),
        )
        self._colours = crop.image.astype(np.float32)

    def lay(self, crop: Crop, sighting: Sighting) -> _Laid | None:
        """A sight on the grid; None if it does not fit upon the first one."""
        if crop is self._first:
            alike, matrix = 1.0, np.eye(2, 3, dtype=np.float32)
        else:
            start = self._by_landmarks(crop)
            found = None if start is None else self._by_pixels(crop.image, start)
            if found is None:
                return None
            alike, matrix = found
        weight = max(worth(sighting), 1e-3) * alike**2
        lit = self._relit(crop.image.astype(np.float32), matrix)
        return _Laid(lit, _finer(matrix, self._scale), weight, sighting.index)

    def average(self, laid: Sequence[_Laid]) -> tuple[Floats, float]:
        """The robust mean of all sights, and the standard deviation of their disagreement."""
        stack = np.stack([self._enlarged(one.pixels, one.to_native) for one in laid])
        weights = np.stack([self._inside(one) * one.weight for one in laid])[..., None]
        middle = np.median(stack, axis=0)
        spread = max(_MEDIAN * float(np.median(np.abs(stack - middle))), _LEAST_NOISE)
        mean = middle
        for _ in range(2):
            trust = weights * _trust(stack - mean, spread)
            mean = (trust * stack).sum(axis=0) / trust.sum(axis=0)
        # The mean of few follows each of them a little: what they differ by is more than it seems.
        noise = spread * math.sqrt(len(laid) / (len(laid) - 1))
        return np.asarray(mean, np.float32), noise

    def corrected(self, guess: Floats, laid: Sequence[_Laid], noise: float) -> Floats:
        """The guess changed until the camera's pixels would show what the sights show."""
        total = sum(self._inside(one) * one.weight for one in laid)
        shares = [one.weight / np.maximum(total, 1e-6)[..., None] for one in laid]
        found = guess
        for _ in range(_CORRECTIONS):
            change = np.zeros_like(found)
            for one, share in zip(laid, shares, strict=True):
                error = one.pixels - self._seen(found, one)
                error *= _trust(error, noise)
                change += share * self._spread(error, one.to_native)
            found = found + change
        return found

    def _by_landmarks(self, crop: Crop) -> Floats | None:
        """(2, 3) from the first crop to another, from pixel centres."""
        try:
            found = similarity(self._own.landmarks, within(crop).landmarks)
        except ValueError:
            # Landmarks in one point: nothing to lay it by.
            return None
        half = np.full(2, 0.5, np.float32)
        return np.column_stack([found[:, :2], found[:, 2] + found[:, :2] @ half - half])

    def _by_pixels(self, image: Image, start: Floats) -> tuple[float, Floats] | None:
        """Correlation of the faces, and the matrix that maximises it."""
        rows, columns = self._face
        template = _luma(self._colours[rows, columns])
        corner = np.array([columns.start, rows.start], np.float32)
        local = np.column_stack([start[:, :2], start[:, 2] + start[:, :2] @ corner])
        local = local.astype(np.float32)
        criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, _ITERATIONS, _CLOSE)
        try:
            alike, refined = cv2.findTransformECC(
                template,
                _luma(image.astype(np.float32)),
                local.copy(),
                cv2.MOTION_AFFINE,
                criteria,
                np.full(image.shape[:2], 255, np.uint8),
                3,
            )
        except cv2.error:
            # It found no way to a better fit: the sights are too different.
            return None
        moved = np.asarray(refined, np.float32)
        height, width = template.shape
        corners = np.array([[x, y, 1] for x in (0, width) for y in (0, height)], np.float32)
        distance = float(np.abs(corners @ (moved - local).T).max())
        if alike < _ALIKE or distance > max(1.5, _ASTRAY * self._own.height):
            return None
        shift = moved[:, 2] - moved[:, :2] @ corner
        return float(alike), np.column_stack([moved[:, :2], shift])

    def _relit(self, pixels: Floats, matrix: Floats) -> Floats:
        """With mean and spread of the first sight on the face, channel by channel."""
        rows, columns = self._colours.shape[:2]
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        edge = cv2.BORDER_REPLICATE
        over = cv2.warpAffine(pixels, matrix, (columns, rows), flags=flags, borderMode=edge)
        here, there = np.asarray(over)[self._face], self._colours[self._face]
        axes = (0, 1)
        spread = np.maximum(here.std(axis=axes), 1e-3)
        gain = np.clip(there.std(axis=axes) / spread, *_GAIN)
        lit = (pixels - here.mean(axis=axes)) * gain + there.mean(axis=axes)
        return np.asarray(lit, np.float32)

    def _enlarged(self, pixels: Floats, to_native: Floats) -> Floats:
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        edge = cv2.BORDER_REPLICATE
        return np.asarray(
            cv2.warpAffine(pixels, to_native, self._size, flags=flags, borderMode=edge), np.float32
        )

    def _spread(self, error: Floats, to_native: Floats) -> Floats:
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpAffine(error, to_native, self._size, flags=flags), np.float32)

    def _inside(self, one: _Laid) -> Floats:
        """(H, W) 1 where the sight has pixels; the first one has them everywhere."""
        ones = np.ones(one.pixels.shape[:2], np.float32)
        flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpAffine(ones, one.to_native, self._size, flags=flags), np.float32)

    def _seen(self, found: Floats, one: _Laid) -> Floats:
        """The grid through the pixels of the camera: each the mean of what it covers."""
        rows, columns = one.pixels.shape[:2]
        scale = self._scale
        inverse = np.asarray(cv2.invertAffineTransform(one.to_native), np.float32)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        fine = cv2.warpAffine(
            found,
            _finer(inverse, scale),
            (columns * scale, rows * scale),
            flags=flags,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(cv2.resize(fine, (columns, rows), interpolation=cv2.INTER_AREA))


def _finer(matrix: Floats, scale: int) -> Floats:
    """The same transform from a grid that is `scale` times as fine; both from pixel centres."""
    half = np.full(2, 0.5 / scale - 0.5, np.float32)
    shift = matrix[:, 2] + matrix[:, :2] @ half
    return np.column_stack([matrix[:, :2] / np.float32(scale), shift]).astype(np.float32)


def _trust(away: Floats, spread: float) -> Floats:
    return np.asarray(1 / (1 + np.square(away / (2 * spread))), np.float32)


def _luma(pixels: Floats) -> Floats:
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.float32)
