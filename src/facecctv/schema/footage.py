"""The JSON form of what was found in a video, and of what was covered in one."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field

from facecctv import types
from facecctv.footage import people, redact
from facecctv.footage.consistency import Consistency
from facecctv.footage.portray import Shown
from facecctv.schema import Colour, Enhancement, Face
from facecctv.schema import Quality as QualityForm
from facecctv.schema.basis import Fraction, Measure, Pixels, Text, _Model, _rounded

Seconds = Annotated[float, Field(ge=0.0), _rounded(3)]
Number = Annotated[int, Field(ge=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Passage(_Model):
    """One way of a person through the video."""

    number: Number
    first: Seconds
    last: Seconds
    sights: Number
    """In how many of the frames that were looked at the face was seen."""
    path: tuple[tuple[Seconds, Pixels, Pixels, Pixels, Pixels], ...]
    """Time, x_min, y_min, x_max, y_max, of each frame that was looked at meanwhile."""

    @classmethod
    def of(cls, track: types.Track) -> Self:
        """The same facts, rounded."""
        rows = zip(track.times.tolist(), track.boxes.tolist(), strict=True)
        return cls(
            number=track.number,
            first=float(track.first),
            last=float(track.last),
            sights=int(track.seen.sum()),
            path=tuple((max(0.0, time), *box) for time, box in rows),
        )


class Sight(_Model):
    """One sight of a face."""

    frame: Annotated[int, Field(ge=0)]
    time: Seconds
    face: Face

    @classmethod
    def of(cls, sighting: types.Sighting) -> Self:
        """With its quality where it was judged."""
        face = Face.of(sighting.face)
        if sighting.quality is not None:
            face = face.model_copy(update={"quality": QualityForm.of(sighting.quality)})
        return cls(frame=sighting.index, time=max(0.0, float(sighting.time)), face=face)


class Fusion(_Model):
    """A face made of several sights."""

    scale: Number
    frames: tuple[int, ...]
    """Index of each frame that was used."""
    noise: Measure
    """Grey levels that the frames disagree by."""
    step: Annotated[types.StepClass, Field(alias="class")]

    @classmethod
    def of(cls, fused: types.Fused) -> Self:
        """The same facts, rounded."""
        facts = {
            "scale": fused.scale,
            "frames": fused.frames,
            "noise": fused.noise,
            "class": fused.step,
        }
        return cls.model_validate(facts)


class PersonFiles(_Model):
    """What was written for one person; paths relative to the result's folder, with `/`."""

    crops: tuple[Text, ...]
    """Native pixels of the best sights, best first."""
    fused: Text | None = None
    changes: Text | None = None
    """What fusing changed, against the first crop enlarged; middle grey is nothing."""
    enhanced: Text | None = None
    sights: tuple[Text, ...] | None = None
    """The best sights enhanced one by one, in the order of `crops`."""
    coloured: tuple[Text, ...] | None = None
    """The best sights in estimated colours, in the order of `crops`."""


class Steadiness(_Model):
    """How much pictures of one person change from sight to sight, as `footage.Consistency`."""

    pairs: Number
    recorded: Annotated[float, Field(ge=0.0), _rounded(3)]
    """Mean CIELAB difference of consecutive sights, aligned, as recorded."""
    made: Annotated[float, Field(ge=0.0), _rounded(3)]
    """The same of what was made of them."""
    added: Annotated[float, _rounded(3)]
    """`made` less `recorded`: 0 or less is steady."""

    @classmethod
    def of(cls, found: Consistency) -> Self:
        """The same facts, rounded."""
        return cls(pairs=found.pairs, recorded=found.recorded, made=found.made, added=found.added)


class Person(_Model):
    """Somebody in the video, once."""

    number: Number
    first: Seconds
    last: Seconds
    sights: Number
    passages: tuple[Passage, ...]
    best: tuple[Sight, ...]
    """Best first."""
    fusion: Fusion | None = None
    enhancement: Enhancement | None = None
    """Of the fused face where there is one, else of the best crop; `scale` is of both together."""
    steadiness: Steadiness | None = None
    """Of the best sights enhanced one by one."""
    colour: Colour | None = None
    """Estimated once, from the best sight."""
    colour_steadiness: Steadiness | None = None
    files: PersonFiles | None = None

    @classmethod
    def of(
        cls,
        person: people.Person,
        best: tuple[types.Sighting, ...],
        fused: types.Fused | None = None,
        enhanced: types.Enhanced | None = None,
        files: PersonFiles | None = None,
    ) -> Self:
        """`best` are the sights that are shown."""
        return cls(
            number=person.number,
            first=float(person.first),
            last=float(person.last),
            sights=person.sights,
            passages=tuple(Passage.of(track) for track in person.tracks),
            best=tuple(Sight.of(one) for one in best),
            fusion=None if fused is None else Fusion.of(fused),
            enhancement=None if enhanced is None else Enhancement.of(enhanced),
            files=files,
        )

    @classmethod
    def of_shown(cls, shown: Shown, files: PersonFiles | None = None) -> Self:
        """All that is shown of somebody, and where it was written."""
        found = cls.of(shown.person, shown.best, shown.fused, shown.enhanced, files)
        steady, colours = shown.steadiness, shown.colour_steadiness
        return found.model_copy(
            update={
                "steadiness": None if steady is None else Steadiness.of(steady),
                "colour": Colour.of_coloured(shown.coloured[0]) if shown.coloured else None,
                "colour_steadiness": None if colours is None else Steadiness.of(colours),
            }
        )


class Edit(_Model):
    """What was changed by hand, as in `facecctv.footage.people.Edit`."""

    kind: Literal["merge", "split"]
    people: tuple[Number, ...]
    passage: Number | None = None


class Footage(_Model):
    """What was found in one video."""

    source: Text
    """As the caller named it."""
    sha256: Sha256
    """Of the file's bytes."""
    width: Number
    """Of the upright frames in square pixels."""
    height: Number
    duration: Seconds
    """Time of the last frame."""
    frames: Number
    """How many were decoded."""
    looks: Number
    """How many of them were searched for faces; the others showed nothing new."""
    damaged: Annotated[int, Field(ge=0)]
    """Packets and frames that could not be decoded whole."""
    people: tuple[Person, ...]
    joined_by: str | None = None
    """The recogniser that passages were joined into people by; absent: every passage by itself."""
    edits: tuple[Edit, ...] | None = None
    sheet: Text | None = None
    """Contact sheet of all people, relative to the result's folder."""
    notes: tuple[str, ...] | None = None


class Review(_Model):
    """Frames that somebody should look at."""

    first: Annotated[int, Field(ge=0)]
    last: Annotated[int, Field(ge=0)]
    start: Seconds
    end: Seconds
    why: Literal["filled", "unsure", "found after"]

    @classmethod
    def of(cls, review: redact.Review) -> Self:
        """The same facts, rounded."""
        return cls(
            first=review.first,
            last=review.last,
            start=max(0.0, float(review.start)),
            end=max(0.0, float(review.end)),
            why=review.why,
        )


class Redacted(_Model):
    """What became of a video or picture in which faces were covered."""

    source: Text
    sha256: Sha256
    output: Text
    output_sha256: Sha256
    style: Literal["solid", "blur", "mosaic"]
    sound: Literal["kept", "muted", "none"]
    frames: Number
    covered_frames: Annotated[int, Field(ge=0)]
    covers: Annotated[int, Field(ge=0)]
    """Faces covered, counted in each frame."""
    filled: Annotated[int, Field(ge=0)]
    """Of these, where no face was found in that frame but before and after."""
    coverage: Fraction
    """Covered faces over all that are known, before or after."""
    checked: Annotated[int, Field(ge=0)]
    """Frames of the output that were searched again."""
    found_after: Annotated[int, Field(ge=0)]
    """Faces found in these."""
    kept: tuple[Number, ...] | None = None
    """People who were left to be seen."""
    references: tuple[Sha256, ...] | None = None
    """Pictures of those who were left to be seen."""
    spared: Annotated[int, Field(ge=0)] | None = None
    """Passages, or faces of a picture, that were left to be seen."""
    review: tuple[Review, ...] = ()

    @classmethod
    def of(cls, done: redact.Redaction, **facts: Any) -> Self:
        """What was covered, with the other fields as they are given."""
        return cls(
            frames=done.frames,
            covered_frames=done.covered_frames,
            covers=done.covers,
            filled=done.filled,
            coverage=done.coverage,
            checked=done.checked,
            found_after=done.found_after,
            review=tuple(Review.of(one) for one in done.review),
            **facts,
        )
