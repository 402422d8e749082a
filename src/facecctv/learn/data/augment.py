"""More pictures out of few: albumentations, with boxes and landmarks that follow exactly.

Corners and landmarks go through the same transforms as the pixels, and a box is the upright
rectangle around its four corners.

What stays of a face decides what it is afterwards: at least half of its box in the picture: a face,
its box cut at the edge. Under a tenth: gone, and a picture without other faces becomes "no face".
Between the two nobody can say, so another crop is drawn, ten times at most; what is left then is
marked `ignore`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from facecctv.errors import MissingExtra, SettingError
from facecctv.image import resize
from facecctv.learn.data import degrade
from facecctv.learn.data.detection import Sample
from facecctv.learn.data.mosaic import MIRRORED
from facecctv.types import Floats, Image

if TYPE_CHECKING:
    import albumentations

FACE_FROM = 0.5
"""Share of a box in the picture from which it still is a face."""
GONE_BELOW = 0.1
_TRIES = 10


@dataclass(frozen=True)
class Augmentation:
    """What is done, how strongly and how often; probabilities and shares are 0..1."""

    crop: float = 0.3
    """At most this share is cut off from each side."""
    flip: float = 0.5
    brightness: float = 0.5
    """Probability of other brightness and contrast, by up to 0.25."""
    gamma: float = 0.3
    rgb_shift: float = 0.3
    blur: float = 0.15
    cctv: float = 0.3
    """Probability of the degradations of surveillance cameras (degrade.py)."""
    cctv_strength: float = 0.6
    size: int = 480
    """Longer side of the result, pixels; larger pictures are shrunk. 0 keeps their size."""

    def __post_init__(self) -> None:
        names = ("flip", "brightness", "gamma", "rgb_shift", "blur", "cctv", "cctv_strength")
        for name in names:
            if not 0 <= getattr(self, name) <= 1:
                raise SettingError(f"{name} must be in 0..1, not {getattr(self, name)}")
        if not 0 <= self.crop < 0.5:
            raise SettingError(f"crop must be at least 0 and below 0.5, not {self.crop}")
        if self.size and self.size < 32:
            raise SettingError(f"size must be 0 or at least 32, not {self.size}")


def library() -> Any:
    """albumentations, imported without its look-up of newer versions on the network.

    Raises MissingExtra without it.
    """
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    try:
        import albumentations
    except ImportError as error:
        raise MissingExtra("augmenting needs facecctv[learn] (albumentations)") from error
    return albumentations


def cctv_transform(strength: float, p: float) -> albumentations.ImageOnlyTransform:
    """Our CCTV degradation as a transform of albumentations, for compositions of one's own."""
    a = library()
    schema = a.core.transforms_interface.BaseTransformInitSchema

    class CCTV(a.ImageOnlyTransform):  # type: ignore[misc, name-defined]
        """Lens, sensor, night mode, interlace, scaling and compression (`degrade.cctv`)."""

        class InitSchema(schema):  # type: ignore[misc, valid-type]
            strength: float

        def __init__(self, strength: float = 0.6, p: float = 0.5) -> None:
            super().__init__(p=p)
            self.strength = strength

        def get_params(self) -> dict[str, int]:
            return {"seed": self.py_random.getrandbits(32)}

        def apply(self, img: Image, seed: int, **_: Any) -> Image:
            rng = np.random.default_rng(seed)
            return degrade.cctv(img, rng, self.strength * (0.25 + 0.75 * rng.random()))

    return CCTV(strength=strength, p=p)


class Augmenter:
    """Applies an Augmentation; make one per process. Raises MissingExtra without albumentations.

    `geometry` and `light` replace the standard compositions, for transforms of one's own.
    """

    def __init__(
        self,
        settings: Augmentation | None = None,
        geometry: Sequence[Any] | None = None,
        light: Sequence[Any] | None = None,
    ) -> None:
        a = library()
        self._settings = s = settings or Augmentation()
        if geometry is None:
            crop = a.RandomCropFromBorders(s.crop, s.crop, s.crop, s.crop, p=1.0 if s.crop else 0.0)
            geometry = [crop, a.HorizontalFlip(p=s.flip)]
        if light is None:
            light = [
                a.RandomBrightnessContrast(0.25, 0.25, p=s.brightness),
                a.RandomGamma((70, 140), p=s.gamma),
                a.RGBShift(20, 20, 20, p=s.rgb_shift),
                a.Blur((3, 5), p=s.blur),
                cctv_transform(s.cctv_strength, s.cctv),
            ]
        points = a.KeypointParams("xy", remove_invisible=False)
        self._geometry = a.Compose(geometry, keypoint_params=points)
        self._light = a.Compose(light)

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """One changed copy; the given sample stays as it was."""
        return self.copy(sample, int(rng.integers(2**31)))[0]

    def copy(self, sample: Sample, seed: int) -> tuple[Sample, np.ndarray]:
        """One changed copy, and the indices (K,) of the boxes that are still in it.

        The same sample and seed give the same copy.
        """
        for attempt in range(_TRIES):
            self._geometry.set_random_seed(seed + attempt)
            moved, shares = self._moved(sample)
            if not ((shares >= GONE_BELOW) & (shares < FACE_FROM) & ~sample.ignore).any():
                break
        kept = np.flatnonzero(shares >= GONE_BELOW)
        self._light.set_random_seed(seed)
        result = replace(
            moved,
            image=self._light(image=moved.image)["image"],
            boxes=moved.boxes[kept],
            landmarks=moved.landmarks[kept],
            ignore=(moved.ignore | (shares < FACE_FROM))[kept],
        )
        return result, kept

    def _moved(self, sample: Sample) -> tuple[Sample, Floats]:
        """The geometry alone: all boxes, cut at the edge, and which share of each is inside."""
        count = len(sample.boxes)
        unknown = np.isnan(sample.landmarks)
        points = np.concatenate([corners(sample.boxes), np.where(unknown, 0, sample.landmarks)], 1)
        # albumentations counts from the centre of the first pixel, this package from its corner.
        flat = points.reshape(-1, 2) - 0.5
        moved = self._geometry(image=sample.image, keypoints=flat)
        image = self._fitted(moved["image"])
        scale = np.array(image.shape[1::-1]) / np.array(moved["image"].shape[1::-1])
        there = (np.asarray(moved["keypoints"], np.float32).reshape(count, 9, 2) + 0.5) * scale
        quads, landmarks = there[:, :4], there[:, 4:].copy()
        mirrored = _turn(quads) < 0
        landmarks[unknown] = np.nan
        landmarks[mirrored] = landmarks[mirrored][:, MIRRORED]
        whole = np.concatenate([quads.min(axis=1), quads.max(axis=1)], axis=1)
        boxes = np.clip(whole, 0, np.tile(image.shape[1::-1], 2)).astype(np.float32)
        area = np.prod(whole[:, 2:] - whole[:, :2], axis=1)
        shares = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) / np.maximum(area, 1e-6)
        found = replace(sample, image=image, boxes=boxes, landmarks=landmarks.astype(np.float32))
        return found, shares

    def _fitted(self, image: Image) -> Image:
        longest = max(image.shape[:2])
        if not self._settings.size or longest <= self._settings.size:
            return np.ascontiguousarray(image)
        scale = self._settings.size / longest
        width, height = (max(1, round(side * scale)) for side in image.shape[1::-1])
        return resize(image, width, height)


def corners(boxes: Floats) -> Floats:
    """(N, 4) boxes -> (N, 4, 2) corners, clockwise as seen from the top left."""
    return boxes[:, [[0, 1], [2, 1], [2, 3], [0, 3]]]


def _turn(quads: Floats) -> Floats:
    """(N,) positive where the corners still run clockwise; mirroring makes it negative."""
    across, down = quads[:, 1] - quads[:, 0], quads[:, 3] - quads[:, 0]
    return across[:, 0] * down[:, 1] - across[:, 1] * down[:, 0]


def one_thread() -> None:
    """For worker processes: OpenCV must not start threads of its own in each."""
    cv2.setNumThreads(1)
