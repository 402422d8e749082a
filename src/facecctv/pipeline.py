"""The one pipeline: picture in, portraits out. Stages are functions and are handed in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from facecctv.geometry import crop
from facecctv.types import (
    Attributes,
    Body,
    Coloured,
    Crop,
    Decision,
    Enhanced,
    Face,
    Floats,
    Image,
    Match,
    Portrait,
    Quality,
    check_image,
)

Detect = Callable[[Image], Sequence[Face]]
Assess = Callable[[Image, Face], Quality]
Enhance = Callable[[Image, Sequence[Crop]], Sequence[Enhanced | None]]
Embed = Callable[[Image, Sequence[Face]], Floats]
"""(N, D) float32 of unit length, a row for each face."""
Estimate = Callable[[Image, Sequence[Face]], Sequence[Attributes]]
"""Age and gender, of each face."""
Identify = Callable[[Portrait], tuple[tuple[Match, ...], Decision]]
"""Sees a portrait with its embedding and quality."""
Colourise = Callable[[Image, Sequence[Portrait]], Sequence[Coloured | None]]
"""Sees what was learnt so far, enhanced crops among it."""

FindBodies = Callable[[Image, Sequence[Face]], Sequence[Body]]
"""Sees the faces found, to link each to its body."""


@dataclass(frozen=True)
class Pipeline:
    """What is done to a picture, in this order. A stage that is None is left out."""

    detect: Detect
    assess: Assess | None = None
    margin: float = 0.35
    """Around each crop, as a share of the face's sides."""
    enhance: Enhance | None = None
    """Sees the original pixels, as all stages do but `colourise`."""
    colourise: Colourise | None = None
    embed: Embed | None = None
    identify: Identify | None = None
    """Needs `embed`."""
    attributes: Estimate | None = None
    """Nothing else sees what it says."""
    bodies: FindBodies | None = None
    """People, faces visible or not. No part of a portrait: call it with the picture and the faces
    of its portraits."""

    def image(self, image: Image) -> list[Portrait]:
        """Every face of an (H, W, 3) uint8 RGB picture, best first; an empty list when none."""
        return self.portraits(image, self.detect(check_image(image)))

    def portraits(self, image: Image, faces: Sequence[Face]) -> list[Portrait]:
        """The same for faces that are known already, such as boxes drawn by hand."""
        crops = [crop(image, face, self.margin) for face in faces]
        enhanced = self.enhance(image, crops) if self.enhance else [None] * len(crops)
        portraits = [
            Portrait(
                face=part.face,
                crop=part,
                quality=self.assess(image, part.face) if self.assess else None,
                enhanced=better,
            )
            for part, better in zip(crops, enhanced, strict=True)
        ]
        portraits = self._estimated(image, self._recognised(image, portraits))
        if self.colourise is None:
            return portraits
        coloured = self.colourise(image, portraits)
        return [
            replace(portrait, coloured=found)
            for portrait, found in zip(portraits, coloured, strict=True)
        ]

    def _estimated(self, image: Image, portraits: list[Portrait]) -> list[Portrait]:
        if self.attributes is None or not portraits:
            return portraits
        found = self.attributes(image, [portrait.face for portrait in portraits])
        return [
            replace(portrait, attributes=attributes)
            for portrait, attributes in zip(portraits, found, strict=True)
        ]

    def _recognised(self, image: Image, portraits: list[Portrait]) -> list[Portrait]:
        if self.embed is None or not portraits:
            return portraits
        vectors = self.embed(image, [portrait.face for portrait in portraits])
        known = [
            replace(portrait, embedding=vector)
            for portrait, vector in zip(portraits, vectors, strict=True)
        ]
        if self.identify is None:
            return known
        answers = [self.identify(portrait) for portrait in known]
        return [
            replace(portrait, candidates=candidates, decision=decision)
            for portrait, (candidates, decision) in zip(known, answers, strict=True)
        ]
