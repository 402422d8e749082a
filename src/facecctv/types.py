"""The words of the project: what flows between stages, with shape, dtype and unit.

All types are frozen and checked when made. Pixel coordinates are continuous: the picture spans
0..width and 0..height, the centre of the top left pixel is (0.5, 0.5), and a box's right and bottom
are exclusive.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
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

GenderValue = Literal["male", "female", "undetermined"]
AttributesVerdict = Literal["estimated", "insufficient_quality"]


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
    """0..1."""
    face: int | None = None
    """Index of the person's face among the faces of the picture; None where it was not found."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "box", _check_box(self.box))
        _check_fraction("score", self.score)
        if self.face is not None and self.face < 0:
            raise ValueError(f"the index of a face is 0 or more, not {self.face}")


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
        _check_fraction("probability", self.probability)


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


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a video."""

    stream: str
    """The video, as the caller named it."""
    index: int
    """0 for the first frame that was decoded."""
    time: Fraction
    """Presentation time in seconds, exact, from the file's beginning."""
    image: Image
    """(H, W, 3) uint8 RGB, upright, of square pixels."""

    def __post_init__(self) -> None:
        check_image(self.image)
        if self.index < 0:
            raise ValueError(f"frames are counted from 0, not {self.index}")


@dataclass(frozen=True, eq=False)
class Sighting:
    """One sight of a face in a frame of a video."""

    index: int
    """Of the frame."""
    time: Fraction
    """Of the frame, seconds."""
    face: Face
    quality: Quality | None = None
    crop: Crop | None = None


@dataclass(frozen=True, eq=False)
class Fused:
    """One face from several sights. Measured by the camera, but in no single frame."""

    image: Image
    """(scale * h, scale * w, 3) uint8 RGB of the (h, w, 3) crop of the first sight."""
    scale: int
    frames: tuple[int, ...]
    """Index of each frame that was used, the one that all others were laid upon first."""
    noise: float
    """Standard deviation of what the frames disagree about, grey levels of 255."""
    step: StepClass = "multi_frame"

    def __post_init__(self) -> None:
        check_image(self.image)
        if self.scale < 1 or not self.frames:
            raise ValueError("a fused face has a scale of 1 or more and at least one frame")


@dataclass(frozen=True, eq=False)
class Track:
    """One passage of a person through a video."""

    number: int
    """From 1, in order of appearance."""
    frames: npt.NDArray[np.int64]
    """(N,) index of each frame that was looked at while the face was there, rising."""
    times: npt.NDArray[np.float64]
    """(N,) seconds, of these frames."""
    boxes: Floats
    """(N, 4), as in Face; where it was not seen, between where it was."""
    scores: Floats
    """(N,) 0..1; 0 where it was not seen."""
    first: Fraction
    """When it was seen first, seconds."""
    last: Fraction
    """When it was seen last, seconds."""
    best: tuple[Sighting, ...] = ()
    """With crop and quality, best first."""

    def __post_init__(self) -> None:
        count = len(self.frames)
        shapes = (self.times.shape, self.scores.shape, self.boxes.shape)
        if not count or shapes != ((count,), (count,), (count, 4)):
            raise ValueError(f"a track has one row for each of its frames, not {shapes}")
        if (np.diff(self.frames) <= 0).any():
            raise ValueError("frames of a track rise")

    @property
    def seen(self) -> npt.NDArray[np.bool_]:
        """(N,) whether a face was found, not only supposed between two others."""
        return np.asarray(self.scores > 0)
