"""What enhancing did: whether a face is still the same person, and where a picture changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import cv2
import numpy as np

from facecctv.geometry import align
from facecctv.image.sizes import resize
from facecctv.models.card import Card
from facecctv.types import Crop, Drift, DriftVerdict, Enhanced, Floats, Image, Origin, check_image
from facecctv.vision.compare import TASK, comparison_of, crop_of
from facecctv.vision.recognise import Recogniser

LIMIT = "identity-drift"
"""The threshold of the recogniser's card: least similarity of a face that stayed the same."""

NO_RECOGNISER = "no recogniser is installed"
"""Why a drift is unknown where there is no meter."""

CHANGE_MIDDLE = 128
"""Grey level of a change map where nothing changed."""
CHANGE_GAIN = 2.0
"""Grey levels of a change map for one level of change, so it shows changes of up to 64 levels."""


class DriftMeter:
    """Compares each enhanced face with the original through a recogniser.

    Both faces are brought upright by plain interpolation first. Every drift is unknown, with the
    reason, where the recogniser takes no aligned faces or its card lacks the limit, named
    "identity-drift", or the least height of a face that it can tell anything about,
    `least_face_px` in its extra facts. Raises ModelError for a model that cannot be used at all.
    """

    def __init__(self, recogniser: Recogniser) -> None:
        self._recogniser = recogniser

    def __call__(self, crops: Sequence[Crop], enhanced: Sequence[Image]) -> list[Drift]:
        """One for each crop; `enhanced` are the same pixels enlarged, (k * h, k * w, 3) uint8 RGB.

        Raises ValueError unless there are as many of them as crops.
        """
        if len(crops) != len(enhanced):
            raise ValueError(f"{len(crops)} crops, {len(enhanced)} enhanced pictures")
        card = self._recogniser.card
        hindrance, least = _hindrance(card), _least(card)
        if hindrance or least is None or not crops:
            return [Drift("unknown", reason=hindrance)] * len(crops)
        side = self._recogniser.side
        pairs = [_aligned(*pair, side) for pair in zip(crops, enhanced, strict=True)]
        drifts = [
            Drift("unknown", reason=_reason(crop, pair, least))
            for crop, pair in zip(crops, pairs, strict=True)
        ]
        usable = [index for index, drift in enumerate(drifts) if not drift.reason]
        if not usable:
            return drifts
        limit = card.threshold(LIMIT)
        for index, similarity in zip(usable, self._compare(pairs, usable), strict=True):
            verdict: DriftVerdict = "kept" if similarity >= limit else "drifted"
            drifts[index] = Drift(verdict, float(similarity), limit, card.thresholds[LIMIT].at)
        return drifts

    def _compare(self, pairs: Sequence[tuple[Image, ...]], usable: Sequence[int]) -> Floats:
        found = self._recogniser.embed([face for index in usable for face in pairs[index]])
        rule = comparison_of(self._recogniser.card)
        return np.clip(rule(found[::2], found[1::2]), -1, 1)


def _hindrance(card: Card) -> str:
    """Why this recogniser can say nothing about any face; empty if it can."""
    if card.task != TASK or crop_of(card) != "aligned":
        return f"{card.name} takes no aligned faces"
    if LIMIT not in card.thresholds:
        return f"the card of {card.name} has no threshold {LIMIT}"
    return "" if _least(card) is not None else f"the card of {card.name} names no least_face_px"


def _least(card: Card) -> float | None:
    least = card.extra.get("least_face_px")
    return float(least) if isinstance(least, int | float) else None


def _reason(crop: Crop, pair: tuple[Image, ...], least: float) -> str:
    if crop.face.height < least:
        return f"lower than {least:g} px"
    return "" if pair else "its landmarks determine no upright face"


def _aligned(crop: Crop, enhanced: Image, side: int) -> tuple[Image, ...]:
    """The face upright, before and after; empty where its landmarks determine nothing."""
    scale = check_image(enhanced).shape[1] / crop.image.shape[1]
    landmarks = crop.face.landmarks - np.array([crop.x, crop.y], np.float32)
    try:
        before = align(crop.image, landmarks, side)
        return before, align(enhanced, landmarks * np.float32(scale), side)
    except ValueError:
        # Landmarks in one point: drawn by hand, or no face at all.
        return ()


def change_map(before: Image, after: Image) -> Image:
    """What processing added to a picture, against plain interpolation: (H, W, 3) uint8 RGB.

    `before` (h, w, 3) is enlarged to the size of `after` (H, W, 3) by cubic interpolation. Middle
    grey, 128, is no change; brighter is brighter than before. Two levels stand for one level of
    change in that channel, changes beyond 64 levels are black or white.
    """
    rows, columns = check_image(after).shape[:2]
    plain = resize(before, columns, rows)
    # One pass over the bytes, rounded and saturated by OpenCV.
    shown = cv2.addWeighted(after, CHANGE_GAIN, plain, -CHANGE_GAIN, CHANGE_MIDDLE)
    return np.asarray(shown, np.uint8)


class Measured(Protocol):
    """A drift, as the stages or as JSON has it."""

    @property
    def verdict(self) -> DriftVerdict:
        """Whether it still is the same person."""

    @property
    def similarity(self) -> float | None:
        """Of the face to itself before; None where nothing could be told."""

    @property
    def limit(self) -> float | None:
        """Least similarity of a face that stayed the same."""

    @property
    def reason(self) -> str | None:
        """Why nothing could be told."""


def drift_words(drift: Measured) -> str:
    """Whether it still is the same person, in one line."""
    if drift.similarity is None or drift.limit is None:
        return f"identity unknown: {drift.reason or 'nothing to tell by'}"
    figures = f"similarity {drift.similarity:.2f}, limit {drift.limit:.2f}"
    if drift.verdict == "kept":
        return f"identity kept ({figures})"
    return f"identity drifted ({figures}): may look like somebody else"


def enhanced_words(enhanced: Enhanced) -> dict[str, str]:
    """What the metadata of an enhanced crop say."""
    how = f"x{enhanced.scale}, strength {enhanced.strength:g}"
    if enhanced.luminance_only:
        how += ", luminance only"
    step = f"enhanced ({enhanced.origin.step}), {how}, by {made_by(enhanced.origin)}"
    return {"Processing": step, "Drift": drift_words(enhanced.drift)}


def made_by(origin: Origin) -> str:
    """The model that made something, in words."""
    return f"{origin.model} {origin.version} (SHA-256 {origin.sha256})"
