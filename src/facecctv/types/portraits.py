"""What is learnt about one face, and what is made of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from facecctv.types.basics import (
    AttributesVerdict,
    Decision,
    DriftVerdict,
    Floats,
    GenderValue,
    Image,
    StepClass,
    check_fraction,
    check_image,
)
from facecctv.types.faces import Crop, Face, Quality


@dataclass(frozen=True)
class Drift:
    """Whether an enhanced face is still the same person to a network that compares faces."""

    verdict: DriftVerdict
    """`unknown` where nothing can be said: face too small, or no network to compare with."""
    similarity: float | None = None
    """Of the original and the enhanced face, -1..1; None where unknown."""
    limit: float | None = None
    """Least similarity of a kept face."""
    at: str = ""
    """The error rate that the limit was set at, in words."""
    reason: str = ""
    """Why it is unknown, in words."""

    def __post_init__(self) -> None:
        if (self.verdict == "unknown") != (self.similarity is None):
            raise ValueError("a drift is unknown if and only if there is no similarity")
        if self.reason and self.verdict != "unknown":
            raise ValueError("only an unknown drift has a reason")


@dataclass(frozen=True)
class Age:
    """Years as they appear in the picture, not as they are on a passport."""

    low: int
    """Whole years; the first of the interval."""
    high: int
    """The last of the interval, itself within it."""
    estimate: float
    """In the interval; as many years speak for more as for less."""
    probability: float
    """How often such an interval holds the true age, 0..1."""

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.estimate <= self.high:
            raise ValueError(f"0 <= low <= estimate <= high, not {self}")
        check_fraction("probability", self.probability)


@dataclass(frozen=True)
class Gender:
    """As it appears in the picture; who somebody is only they can say."""

    value: GenderValue
    """`undetermined` where the picture does not say."""
    probability: float
    """That the value is right, 0.5..1; of `undetermined`, that the likelier one would be."""

    def __post_init__(self) -> None:
        if not 0.5 <= self.probability <= 1.0:
            raise ValueError(f"probability must be in 0.5..1, not {self.probability}")


@dataclass(frozen=True)
class Attributes:
    """What a face looks like to a network that has seen many labelled ones: an estimate."""

    age: Age | None = None
    gender: Gender | None = None
    verdict: AttributesVerdict = "estimated"
    """`insufficient_quality`: the pixels say no more than is known of people at large."""

    def __post_init__(self) -> None:
        known = self.age is not None or self.gender is not None
        if known != (self.verdict == "estimated"):
            raise ValueError("attributes are estimated if and only if there are any")


@dataclass(frozen=True)
class Origin:
    """The model that pixels come from."""

    model: str
    """Its name."""
    version: str
    sha256: str
    """Of its file, 64 hexadecimal digits."""
    step: StepClass


@dataclass(frozen=True, eq=False)
class Enhanced:
    """A crop with more pixels and less blur and noise. Not what the camera saw."""

    image: Image
    """(scale * h, scale * w, 3) uint8 RGB of an (h, w, 3) crop."""
    scale: int
    origin: Origin
    strength: float
    """0..1: share of the network's picture against plain interpolation."""
    luminance_only: bool
    """Colour is that of plain interpolation, as in a grey picture."""
    drift: Drift
    seen: tuple[int, int, int, int] | None = None
    """x1 y1 x2 y2, pixels of the picture: what had a say in it. None: the crop alone."""

    def __post_init__(self) -> None:
        check_image(self.image)
        check_fraction("strength", self.strength)


@dataclass(frozen=True, eq=False)
class Coloured:
    """A crop, or an enhanced one, with estimated colour. Lightness is that of its source."""

    image: Image
    """(h, w, 3) uint8 RGB, of the size of its source."""
    origin: Origin
    saturation: float
    """1: as the network says."""
    of: Literal["crop", "enhanced"]

    def __post_init__(self) -> None:
        check_image(self.image)


@dataclass(frozen=True)
class Place:
    """Where a face was seen."""

    sha256: str
    """Of the file, hexadecimal."""
    frame: int
    """0 for a picture."""
    time: float | None
    """Seconds from the stream's start; None for a picture."""
    box: tuple[float, float, float, float]
    """x1, y1, x2, y2 in pixels of the frame."""


@dataclass(frozen=True)
class Match:
    """Somebody of a watch-list or of the sightings who may be this person."""

    name: str
    similarity: float
    """-1..1, higher for the same person."""
    false_match_rate: float
    """0..1, at this quality and gallery size."""
    decision: Decision
    seen: Place | None = None
    """For sightings."""


@dataclass(frozen=True, eq=False)
class Portrait:
    """All that was learnt about one face; what was not asked for is None."""

    face: Face
    crop: Crop | None = None
    quality: Quality | None = None
    """Of the original pixels, never of enhanced ones."""
    enhanced: Enhanced | None = None
    coloured: Coloured | None = None
    embedding: Floats | None = None
    """(D,) float32, unit length; of the original pixels."""
    candidates: tuple[Match, ...] | None = None
    """Who it may be, most similar first."""
    decision: Decision | None = None
    """What the search for this face comes to."""
    attributes: Attributes | None = None
    """Of the original pixels; never a reason to find or to leave out a candidate."""
