"""Where faces and bodies are, what is cut out, and how good it is."""

from __future__ import annotations

from dataclasses import dataclass, field

from facecctv.types.basics import Floats, Image, Use, check_box, check_fraction, check_image, frozen


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
        object.__setattr__(self, "box", check_box(self.box))
        object.__setattr__(self, "landmarks", frozen("landmarks", self.landmarks, (5, 2)))
        check_fraction("score", self.score)

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
        object.__setattr__(self, "box", check_box(self.box))
        check_fraction("score", self.score)
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

    @property
    def area(self) -> tuple[int, int, int, int]:
        """x1 y1 x2 y2, pixels of the picture."""
        height, width = self.image.shape[:2]
        return self.x, self.y, self.x + width, self.y + height


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
            check_fraction(name, getattr(self, name))
