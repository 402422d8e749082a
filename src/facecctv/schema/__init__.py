"""The one JSON form of every result, used by the command line, the API and the web app.

Keys that were not asked for are absent: every optional field is None until it is filled, and None
is left out when written. Numbers are rounded here, at the edge, to what a measurement can mean.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import Field

from facecctv import types
from facecctv.schema.basis import (
    Component,
    Fraction,
    Measure,
    Pixels,
    Rate,
    Similarity,
    Text,
    _Model,
    _rounded,
)
from facecctv.schema.basis import printable as printable


class Box(_Model):
    """Pixels of the picture; right and bottom are exclusive."""

    x_min: Pixels
    y_min: Pixels
    x_max: Pixels
    y_max: Pixels
    probability: Fraction

    @classmethod
    def of(cls, found: types.Face | types.Body) -> Self:
        """The box of a face or body with its score."""
        x_min, y_min, x_max, y_max = (float(value) for value in found.box)
        return cls(x_min=x_min, y_min=y_min, x_max=x_max, y_max=y_max, probability=found.score)


class Pose(_Model):
    """Degrees, coarse; signs as in `facecctv.types.Pose`."""

    yaw: Measure
    pitch: Measure
    roll: Measure


class Quality(_Model):
    """How much the face's pixels can say; units as in `facecctv.types.Quality`."""

    score: Fraction
    face_px: Measure
    inter_eye_px: Measure
    verdict: str
    usable_for: tuple[types.Use, ...]
    sharpness: Fraction
    noise: Pixels
    brightness: Fraction
    contrast: Fraction
    blockiness: Fraction
    pose: Pose
    at_edge: bool

    @classmethod
    def of(cls, quality: types.Quality) -> Self:
        """The same facts, rounded."""
        pose = Pose(yaw=quality.pose.yaw, pitch=quality.pose.pitch, roll=quality.pose.roll)
        facts = {name: getattr(quality, name) for name in cls.model_fields if name != "pose"}
        return cls(pose=pose, **facts)


class Age(_Model):
    """Years, as they appear: the interval, ends included, holds the true age with `probability`."""

    low: Annotated[int, Field(ge=0)]
    high: Annotated[int, Field(ge=0)]
    estimate: Measure
    probability: Fraction

    @classmethod
    def of(cls, age: types.Age) -> Self:
        """The same facts, rounded."""
        return cls(low=age.low, high=age.high, estimate=age.estimate, probability=age.probability)


class Gender(_Model):
    """As it appears in the picture; `undetermined` where the picture does not say."""

    value: types.GenderValue
    probability: Fraction
    """That the value is right; of `undetermined`, that the likelier one would be."""

    @classmethod
    def of(cls, gender: types.Gender) -> Self:
        """The same facts, rounded."""
        return cls(value=gender.value, probability=gender.probability)


class Drift(_Model):
    """Whether an enhanced face is still the same person; as in `facecctv.types.Drift`."""

    verdict: types.DriftVerdict
    similarity: Similarity | None = None
    limit: Similarity | None = None
    at: str | None = None
    """The error rate that the limit was set at."""
    reason: str | None = None
    """Why it is unknown."""

    @classmethod
    def of(cls, drift: types.Drift) -> Self:
        """The same facts, rounded."""
        return cls(
            verdict=drift.verdict,
            similarity=drift.similarity,
            limit=drift.limit,
            at=drift.at or None,
            reason=drift.reason or None,
        )


class _Made(_Model):
    """By which model pixels were made."""

    model: str
    version: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Of the model file."""
    step: Annotated[types.StepClass, Field(alias="class")]
    """How far the result departs from the original pixels."""


class Enhancement(_Made):
    """How a face was enhanced, and what became of it."""

    scale: Annotated[int, Field(ge=1)]
    strength: Fraction
    luminance_only: bool
    drift: Drift

    @classmethod
    def of(cls, enhanced: types.Enhanced) -> Self:
        """The same facts, rounded."""
        return cls.model_validate(
            _origin(enhanced.origin)
            | {
                "scale": enhanced.scale,
                "strength": enhanced.strength,
                "luminance_only": enhanced.luminance_only,
                "drift": Drift.of(enhanced.drift),
            }
        )


class Colour(_Made):
    """Where a face's colour comes from."""

    estimated: Literal[True] = True
    """Colour of a grey picture is a guess, always."""
    saturation: Annotated[float, Field(ge=0.0), _rounded(4)]
    of: Literal["crop", "enhanced"]
    """What was coloured."""

    @classmethod
    def of_coloured(cls, coloured: types.Coloured) -> Self:
        """The same facts, rounded."""
        facts = {"saturation": coloured.saturation, "of": coloured.of}
        return cls.model_validate(_origin(coloured.origin) | facts)


def _origin(origin: types.Origin) -> dict[str, object]:
    return {
        "model": origin.model,
        "version": origin.version,
        "sha256": origin.sha256,
        "class": origin.step,
    }


class Seen(_Model):
    """Where a face of the sightings was seen."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Of the file."""
    frame: Annotated[int, Field(ge=0)]
    time: float | None = None
    """Seconds from the stream's start; absent for a picture."""
    box: tuple[Pixels, Pixels, Pixels, Pixels]
    """x1, y1, x2, y2 in pixels of the frame."""

    @classmethod
    def of(cls, place: types.Place) -> Self:
        """The same facts, rounded."""
        return cls(sha256=place.sha256, frame=place.frame, time=place.time, box=place.box)


class Candidate(_Model):
    """One entry of a watch-list or of the sightings that may be this person."""

    name: Text
    similarity: Similarity
    false_match_rate: Rate
    """At this quality and gallery size."""
    decision: types.Decision
    seen: Seen | None = None
    """For sightings."""

    @classmethod
    def of(cls, match: types.Match) -> Self:
        """The same facts, rounded."""
        return cls(
            name=match.name,
            similarity=match.similarity,
            false_match_rate=match.false_match_rate,
            decision=match.decision,
            seen=None if match.seen is None else Seen.of(match.seen),
        )


class Face(_Model):
    """All that was learnt about one face."""

    box: Box
    landmarks: Annotated[tuple[tuple[Pixels, Pixels], ...], Field(min_length=5, max_length=5)]
    """Left eye as seen, right eye as seen, nose, left and right mouth corner."""
    landmarks_from: Literal["average"] | None = None
    """`average`: seen by no model, but those of an average upright face in the box; pose and the
    distance between the eyes then follow from the box alone."""
    quality: Quality | None = None
    """Of the original pixels, never of enhanced ones."""
    enhancement: Enhancement | None = None
    colour: Colour | None = None
    age: Age | None = None
    gender: Gender | None = None
    attributes: Literal["insufficient_quality"] | None = None
    """In the place of age and gender where the pixels say nothing of either."""
    embedding: tuple[Component, ...] | None = None
    candidates: tuple[Candidate, ...] | None = None
    decision: types.Decision | None = None

    @classmethod
    def of(cls, face: types.Face) -> Self:
        """Where it is, and nothing else."""
        landmarks = tuple((float(x), float(y)) for x, y in face.landmarks)
        return cls(box=Box.of(face), landmarks=landmarks)

    @classmethod
    def of_portrait(cls, portrait: types.Portrait) -> Self:
        """What the pipeline learnt; what it was not asked for stays absent."""
        found: dict[str, object] = {}
        if portrait.quality is not None:
            found["quality"] = Quality.of(portrait.quality)
        if portrait.enhanced is not None:
            found["enhancement"] = Enhancement.of(portrait.enhanced)
        if portrait.coloured is not None:
            found["colour"] = Colour.of_coloured(portrait.coloured)
        if portrait.attributes is not None:
            found |= _attributes(portrait.attributes)
        if portrait.embedding is not None:
            found["embedding"] = tuple(round(float(value), 6) for value in portrait.embedding)
        if portrait.candidates is not None:
            found["candidates"] = tuple(Candidate.of(match) for match in portrait.candidates)
        if portrait.decision is not None:
            found["decision"] = portrait.decision
        return cls.of(portrait.face).model_copy(update=found)


def _attributes(found: types.Attributes) -> dict[str, object]:
    if found.verdict == "insufficient_quality":
        return {"attributes": found.verdict}
    return {
        "age": None if found.age is None else Age.of(found.age),
        "gender": None if found.gender is None else Gender.of(found.gender),
    }


class Body(_Model):
    """Where a person is."""

    box: Box
    face: Annotated[int, Field(ge=0)] | None = None
    """Which of `faces`, from 0, lies where this body's head is; absent where none does."""

    @classmethod
    def of(cls, body: types.Body) -> Self:
        """Its box and score, and its face."""
        return cls(box=Box.of(body), face=body.face)


class Files(_Model):
    """What was written for one picture; paths relative to the output folder, with `/`."""

    annotated: Text | None = None
    """The picture with its faces, and bodies where asked for, outlined."""
    crops: tuple[Text, ...] | None = None
    """One for each face, in their order."""
    bodies: tuple[Text, ...] | None = None
    """Crops of people, one for each body, in their order."""
    sheets: tuple[Text, ...] | None = None
    """Contact sheets of all faces."""
    enhanced: tuple[Text, ...] | None = None
    """Crops with more pixels, of the faces that were enhanced; names end in the face's number."""
    changes: tuple[Text, ...] | None = None
    """What enhancing added to each of these."""
    coloured: tuple[Text, ...] | None = None
    """Crops whose colour is estimated."""
    comparisons: tuple[Text, ...] | None = None
    """Sheets that show each face before and after, at one scale."""


class Result(_Model):
    """What was found in one picture."""

    source: Text
    """As the caller named it."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Of the file's bytes."""
    width: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]
    faces: tuple[Face, ...]
    bodies: tuple[Body, ...] | None = None
    """People, faces visible or not; absent where they were not asked for."""
    files: Files | None = None

    @classmethod
    def of(
        cls,
        source: str,
        sha256: str,
        size: tuple[int, int],
        portraits: Iterable[types.Portrait],
        bodies: Iterable[types.Body] | None = None,
        files: Files | None = None,
        landmarks_from: Literal["average"] | None = None,
    ) -> Self:
        """Joins what the pipeline learnt about one picture; `size` is (width, height), pixels."""
        faces = (Face.of_portrait(portrait) for portrait in portraits)
        if landmarks_from is not None:
            faces = (face.model_copy(update={"landmarks_from": landmarks_from}) for face in faces)
        return cls(
            source=source,
            sha256=sha256,
            width=size[0],
            height=size[1],
            faces=tuple(faces),
            bodies=None if bodies is None else tuple(Body.of(body) for body in bodies),
            files=files,
        )


class Verification(_Model):
    """Whether two pictures show one person."""

    a: Result
    """With the one face that was compared."""
    b: Result
    more_a: tuple[Result, ...] | None = None
    """Further sights of the first person, where they were handed in."""
    more_b: tuple[Result, ...] | None = None
    similarity: Similarity
    false_match_rate: Rate
    """How often different people are at least so alike, at this quality."""
    log10_likelihood_ratio: Measure
    """Base-10 logarithm: how much likelier so if one person, than if two."""
    decision: types.Decision


class Error(_Model):
    """Why one input gave no result."""

    type: str
    """Name of the error's class, such as ImageError."""
    detail: Text


class Failure(_Model):
    """Stands in the place of a result for an input that could not be used."""

    source: Text | None = None
    """Absent where no single input is at fault, as with a missing model."""
    error: Error

    @classmethod
    def of(cls, source: str | None, error: Exception) -> Self:
        """The error on one line."""
        detail = " ".join(str(error).split()) or "no further detail"
        return cls(source=source, error=Error(type=type(error).__name__, detail=detail))
