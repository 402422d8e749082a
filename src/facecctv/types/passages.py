"""Faces in time: frames of a video, sights and passages of people."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from facecctv.types.basics import Floats, Image, StepClass, check_image
from facecctv.types.faces import Crop, Face, Quality


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
