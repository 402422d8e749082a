"""The words of the project: what flows between stages, with shape, dtype and unit.

All types are frozen and checked when made. Pixel coordinates are continuous: the picture spans
0..width and 0..height, the centre of the top left pixel is (0.5, 0.5), and a box's right and bottom
are exclusive.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Image: TypeAlias = npt.NDArray[np.uint8]
"""(H, W, 3) uint8, RGB."""

Floats: TypeAlias = npt.NDArray[np.float32]

Use = Literal["presence", "observation", "recognition", "identification"]
"""What a face is good enough for, after the four grades of EN/IEC 62676-4."""

Decision = Literal["match", "no_match", "inconclusive", "insufficient_quality"]
"""What a comparison of faces comes to; nobody is matched for being nearest."""

StepClass = Literal["geometric", "photometric", "multi_frame", "learned", "generative"]
"""How far what comes out of a step departs from the pixels that went in."""

DriftVerdict = Literal["kept", "drifted", "unknown"]


def check_image(image: Image) -> Image:
    """Returns the image; raises ValueError unless it is (H, W, 3) uint8 with at least one pixel."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        raise ValueError(f"an image is a uint8 array, not {getattr(image, 'dtype', type(image))}")
    if image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ValueError(f"an image has the shape (height, width, 3), not {image.shape}")
    return image


def _frozen(name: str, values: npt.ArrayLike, shape: tuple[int, ...]) -> Floats:
    array = np.array(values, np.float32)
    if array.shape != shape:
        raise ValueError(f"{name} has the shape {shape}, not {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite")
    array.flags.writeable = False
    return array


def _check_box(box: npt.ArrayLike) -> Floats:
    array = _frozen("box", box, (4,))
    if array[2] <= array[0] or array[3] <= array[1]:
        raise ValueError(f"box must be x1 y1 x2 y2 with x1 < x2 and y1 < y2, not {array.tolist()}")
    return array


def _check_fraction(name: str, value: float) -> None:
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{name} must be in 0..1, not {value}")


@dataclass(frozen=True, eq=False)
class Face:
    """Where a face is. Geometry only."""

    box: Floats
    """(4,) float32: x1, y1, x2, y2 in pixels of the picture; right and bottom exclusive."""
    landmarks: Floats
    """(5, 2) float32, pixels: left and right eye as seen, nose, left and right mouth corner."""
    score: float
    """0..1."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "box", _check_box(self.box))
        object.__setattr__(self, "landmarks", _frozen("landmarks", self.landmarks, (5, 2)))
        _check_fraction("score", self.score)

    @property
    def width(self) -> float:
        """Pixels."""
        return float(self.box[2] - self.box[0])

    @property
    def height(self) -> float:
        """Pixels."""
        return float(self.box[3] - self.box[1])


@dataclass(frozen=True, eq=False)
class Body:
    """Where a person is."""

    box: Floats
    """(4,) float32, as in Face."""
    score: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "box", _check_box(self.box))
        _check_fraction("score", self.score)


@dataclass(frozen=True, eq=False)
class Crop:
    """Native pixels around a face, with margin."""

    image: Image
    """(h, w, 3) uint8 RGB, copied from the picture without any resampling."""
    x: int
    """Column of the picture at which the crop begins."""
    y: int
    """Row of the picture at which the crop begins."""
    face: Face
    """In pixels of the picture, not of the crop."""

    def __post_init__(self) -> None:
        check_image(self.image)
        if self.x < 0 or self.y < 0:
            raise ValueError(f"a crop begins inside its picture, not at ({self.x}, {self.y})")


@dataclass(frozen=True)
class Pose:
    """Degrees, estimated from five landmarks: coarse, good to about ten degrees.

    The head nods (pitch), then turns (yaw), then leans (roll); all 0 faces the camera upright.
    """

    yaw: float
    """-90..90; positive: the face looks to the right of the picture."""
    pitch: float
    """-180..180; positive: the face looks up."""
    roll: float
    """-180..180; positive: the head leans clockwise as seen, the slope of the eye line."""


@dataclass(frozen=True)
class Quality:
    """How much a face's pixels can say."""

    score: float
    """0..1: the weakest of the measures below, so one bad property is enough."""
    face_px: float
    """Height of the face, pixels."""
    inter_eye_px: float
    """Distance between the eyes, pixels, foreshortened by yaw as seen."""
    sharpness: float
    """0..1: detail left, against a sharp face of this many pixels (64 across at the most).

    A sharp face enlarged k times has about 1 / k.
    """
    noise: float
    """Standard deviation of the noise in the picture's pixels, grey levels of 255 in a channel."""
    brightness: float
    """Mean luma of the face, 0..1."""
    contrast: float
    """Spread of luma over the face (5th to 95th percentile), 0..1."""
    blockiness: float
    """0..1: how much steeper the 8-pixel grid of JPEG and MPEG is than its surroundings."""
    pose: Pose
    at_edge: bool
    """The face's box touches the picture's edge: part of it may be missing."""
    verdict: str
    """One plain sentence for the person at the screen."""
    usable_for: tuple[Use, ...] = field(default=())
    """Easiest first; a face that serves one serves all before it."""
    clipped: float = 0.0
    """Share of the face's pixels that are black or white beyond telling, 0..1."""

    def __post_init__(self) -> None:
        for name in ("score", "sharpness", "brightness", "contrast", "blockiness", "clipped"):
            _check_fraction(name, getattr(self, name))


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

    def __post_init__(self) -> None:
        if (self.verdict == "unknown") != (self.similarity is None):
            raise ValueError("a drift is unknown if and only if there is no similarity")


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

    def __post_init__(self) -> None:
        check_image(self.image)
        _check_fraction("strength", self.strength)


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
class Match:
    """Somebody of a watch-list or of the sightings who may be this person."""

    name: str
    similarity: float
    """-1..1, higher for the same person."""
    false_match_rate: float
    """0..1, at this quality and gallery size."""
    decision: Decision


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
