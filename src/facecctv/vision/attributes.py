"""Aligned faces to age and gender: intervals that keep their promise, or no answer at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter, ValidationError

from facecctv.errors import ModelError
from facecctv.models.card import Card, one_line
from facecctv.models.session import Runner
from facecctv.types import Age, Attributes, Face, Floats, Gender, Image, check_image
from facecctv.vision.recognise import upright
from facecctv.vision.single import input_size, network_input

TASK = "face-attributes"
BATCH = 32
"""Faces in one run of the network, at most."""
KEY = "scale"
"""Where a card keeps its Scale."""
FACE_PX, GENDER = "face_px", "gender"
"""Thresholds of a card: the least height of a face, and the least probability of a gender."""
INSUFFICIENT = Attributes(verdict="insufficient_quality")


@dataclass(frozen=True)
class Scale:
    """What the network's logits are worth at each size of a face.

    Temperatures divide logits (Guo et al. 2017, "On calibration of modern neural networks");
    between the sizes they run straight over the logarithm of the pixels, outside they stay.
    Raises ValueError for parts that do not fit each other.
    """

    knots: tuple[float, ...]
    """(K,) heights of faces, pixels, rising."""
    age: tuple[float, ...]
    """(K,) temperature of the distribution over years; set for the interval's coverage."""
    gender: tuple[float, ...]
    """(K,) temperature of the gender."""
    widest: int
    """Years between the ends of the interval that holds people at large: where a face's is as
    wide, and its gender undetermined, the face says nothing."""
    level: float = 0.8
    """Share of faces whose interval holds their age."""
    conditions: str = ""
    """Of the fit, in words."""

    def __post_init__(self) -> None:
        if not self.knots or len({len(self.knots), len(self.age), len(self.gender)}) != 1:
            raise ValueError("every parameter has one value a knot")
        if min(self.knots[0], *self.age, *self.gender) <= 0 or not np.isfinite(self._all()).all():
            raise ValueError("sizes and temperatures are positive and finite")
        if any(b <= a for a, b in zip(self.knots, self.knots[1:], strict=False)):
            raise ValueError("knots rise")
        if not 0 < self.level < 1 or self.widest < 0:
            raise ValueError("level lies between 0 and 1, widest is not negative")

    def _all(self) -> npt.NDArray[np.float64]:
        return np.array([self.knots, self.age, self.gender], np.float64)

    def years(self, logits: Floats, px: npt.ArrayLike) -> Floats:
        """(N, A) logits, (N,) heights in pixels -> (N, A) probability of each year."""
        hot = np.asarray(logits, np.float64) / self._at(self.age, px)[:, None]
        shares = np.exp(hot - hot.max(axis=1, keepdims=True))
        return np.asarray(shares / shares.sum(axis=1, keepdims=True), np.float32)

    def female(self, logits: Floats, px: npt.ArrayLike) -> Floats:
        """(N,) logits, (N,) heights in pixels -> (N,) probability of "female"."""
        hot = np.asarray(logits, np.float64) / self._at(self.gender, px)
        return np.asarray(1 / (1 + np.exp(-np.clip(hot, -30, 30))), np.float32)

    def _at(self, values: Sequence[float], px: npt.ArrayLike) -> npt.NDArray[np.float64]:
        heights = np.log(np.maximum(np.asarray(px, np.float64), 1e-6))
        return np.asarray(np.interp(heights, np.log(self.knots), values))

    def to_json(self) -> dict[str, object]:
        """For `Card.extra`."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }


_SCALE = TypeAdapter(Scale)


def scale_of(card: Card) -> Scale:
    """That of a model's card; ModelError where it has none, or one that cannot be."""
    facts = card.extra.get(KEY)
    if not isinstance(facts, Mapping):
        raise ModelError(f"the card of {card.name} does not say what its answers are worth")
    unknown = set(facts) - {field.name for field in fields(Scale)}
    if unknown:
        raise ModelError(f"the card of {card.name}: {KEY} knows no {min(unknown)}")
    try:
        return _SCALE.validate_python(facts)
    except ValidationError as error:
        raise ModelError(f"the card of {card.name}: {KEY}: {one_line(error)}") from error


def interval(years: Floats, level: float) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """(N, A) probabilities of years -> first and last year, (N,) each, of the middle `level`.

    At most (1 - level) / 2 lies before the first, and as much after the last.
    """
    before = np.cumsum(np.asarray(years, np.float64), axis=1)
    tail = (1 - level) / 2
    # A hair, so that sums that are exact on paper do not depend on rounding.
    low = (before <= tail + 1e-6).sum(axis=1)
    high = (before < 1 - tail - 1e-6).sum(axis=1)
    last = years.shape[1] - 1
    return np.minimum(low, last), np.clip(high, low, last)


def median(years: Floats) -> Floats:
    """(N, A) probabilities -> (N,) the age that as much lies under as over; each year's share is
    spread evenly over half a year to both sides.
    """
    shares = np.asarray(years, np.float64)
    before = np.cumsum(shares, axis=1)
    at = np.minimum((before < 0.5).sum(axis=1), shares.shape[1] - 1)
    rows = np.arange(len(shares))
    share = np.maximum(shares[rows, at], 1e-12)
    under = before[rows, at] - shares[rows, at]
    return np.asarray(np.maximum(at - 0.5 + (0.5 - under) / share, 0), np.float32)


class AttributeEstimator:
    """Estimates age and gender of faces with one network; a stage of the pipeline.

    Raises ModelError when the model cannot be used, is none for this, or does not say what its
    answers are worth.
    """

    def __init__(self, session: Runner) -> None:
        self._session = session

    @property
    def card(self) -> Card:
        """The model's own account of itself."""
        return self._session.card

    def check(self) -> None:
        """Loads the model; raises what any call would, where it cannot be used."""
        self._side()
        scale_of(self.card)
        for name in (FACE_PX, GENDER):
            self.card.threshold(name)

    def __call__(self, image: Image, faces: Sequence[Face]) -> list[Attributes]:
        """Of faces of an (H, W, 3) uint8 RGB picture, each made upright first, in one batch.

        Faces under the card's least height are not looked at.
        """
        side, least = self._side(), self.card.threshold(FACE_PX)
        large = [number for number, face in enumerate(faces) if face.height >= least]
        found = [INSUFFICIENT] * len(faces)
        crops = [upright(image, faces[number], side) for number in large]
        heights = [faces[number].height for number in large]
        for number, attributes in zip(large, self.estimate(crops, heights), strict=True):
            found[number] = attributes
        return found

    def estimate(self, crops: Sequence[Image], heights: Sequence[float]) -> list[Attributes]:
        """Of aligned faces, and how high each was in its picture, pixels.

        `crops` are (S, S, 3) uint8 RGB as `geometry.align` makes them, S the side that the card
        names. Raises ValueError for crops of another size.
        """
        card = self.card
        scale, least, sure = scale_of(card), card.threshold(FACE_PX), card.threshold(GENDER)
        ages, genders = self.logits(crops)
        if not len(crops):
            return []
        years, female = scale.years(ages, heights), scale.female(genders, heights)
        low, high = interval(years, scale.level)
        middle = np.clip(median(years), low, high)
        found = []
        for row, height in enumerate(heights):
            gender = _gender(float(female[row]), sure)
            nothing = high[row] - low[row] >= scale.widest and gender.value == "undetermined"
            if height < least or nothing:
                found.append(INSUFFICIENT)
                continue
            span = int(low[row]), int(high[row])
            found.append(Attributes(Age(*span, float(middle[row]), scale.level), gender))
        return found

    def logits(self, crops: Sequence[Image]) -> tuple[Floats, Floats]:
        """(N, A) over years and (N,) for "female", of aligned faces as `estimate` takes them."""
        side = self._side()
        for crop in crops:
            if check_image(crop).shape[:2] != (side, side):
                raise ValueError(f"aligned faces are {side} x {side} pixels, not {crop.shape}")
        if not crops:
            return np.zeros((0, 1), np.float32), np.zeros(0, np.float32)
        parts = [self._some(crops[at : at + BATCH]) for at in range(0, len(crops), BATCH)]
        ages, genders = zip(*parts, strict=True)
        return np.concatenate(ages), np.concatenate(genders)

    def _some(self, crops: Sequence[Image]) -> tuple[Floats, Floats]:
        views = [list(crops)]
        if self.card.extra.get("mirror", False):
            views.append([crop[:, ::-1] for crop in crops])
        found = [self._session.run(network_input(view, self.card)) for view in views]
        ages = np.mean([np.asarray(ages, np.float32) for ages, _ in found], axis=0)
        genders = np.mean([np.asarray(gender, np.float32) for _, gender in found], axis=0)
        if not (np.isfinite(ages).all() and np.isfinite(genders).all()):
            raise ModelError(f"{self.card.name} answers with what is no number")
        return ages, genders.reshape(len(crops))

    def _side(self) -> int:
        card = self.card.of_task(TASK)
        height, width = input_size(card)
        if height != width:
            raise ModelError(f"{card.name} takes {width} x {height} pixels; faces are square")
        return height


def _gender(female: float, sure: float) -> Gender:
    probability = max(female, 1 - female)
    if probability < sure:
        return Gender("undetermined", probability)
    return Gender("female" if female >= 0.5 else "male", probability)
