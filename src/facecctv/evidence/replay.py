"""Recorded steps done once more, to see whether the same picture comes out.

Whoever is shown a processed picture can so convince himself that it is what its record says: these
steps, by these models, from this source, and nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from facecctv.errors import InputError, OtherModel, SettingError
from facecctv.evidence.provenance import QUALITY, SHOWS, Record, Sha256, embedded, versions
from facecctv.evidence.steps import Chain, Modelled, Process, Step, Tool
from facecctv.image import Format, Limits, Picture, carried, decode, encode, read_metadata
from facecctv.image.reading import open_header
from facecctv.image.writing import FORMATS, USUAL_QUALITY, quality_of
from facecctv.types import Image

SOFTWARE = "FaceCCTV "
USUAL = Limits()
_STEPS: TypeAdapter[tuple[Step, ...]] = TypeAdapter(tuple[Step, ...])

Verdict = Literal["same_bytes", "same_pixels", "differs"]
FileState = Literal["as_recorded", "altered", "missing"]


class Replayed(BaseModel):
    """What came of doing the steps once more."""

    model_config = ConfigDict(frozen=True)

    result: str
    """The record or the picture, as the caller named it."""
    source: str
    source_sha256: Sha256
    verdict: Verdict
    """Against the recorded result: the same file to the last byte; other bytes that show the same
    pixels; another picture.
    """
    file: FileState
    """Of the picture that the record names, or was handed in."""
    sha256: Sha256
    """Of the file that came out now."""
    largest_difference: Annotated[int, Field(ge=0, le=255)] | None = None
    """Grey levels, of any channel of any pixel; absent where there is nothing to compare with."""
    pixels_changed: Annotated[float, Field(ge=0, le=1)] | None = None
    """Share of them."""
    steps: tuple[Step, ...]
    other_versions: dict[str, tuple[str, str]] | None = None
    """Libraries whose version differs: then, and now."""

    @property
    def holds(self) -> bool:
        """Whether the result is what its record says."""
        return self.verdict != "differs" and self.file != "altered"

    def to_json(self) -> str:
        """One line of JSON without the keys that do not apply."""
        return self.model_dump_json(exclude_none=True, by_alias=True)


@dataclass(frozen=True)
class Claim:
    """What a processed picture says of how it came about."""

    source_sha256: str
    steps: tuple[Step, ...]
    version: str
    """Of the program."""
    format: Format
    quality: int
    sha256: str
    """Of the result's bytes."""
    file: FileState
    image: Image | None
    """The result, (H, W, 3) uint8 RGB; None where it is missing or altered."""
    versions: dict[str, str]
    """Of libraries, as far as they are known."""

    @classmethod
    def of_picture(
        cls, data: bytes | bytearray, limits: Limits = USUAL, picture: Picture | None = None
    ) -> Self:
        """What is written into a picture's own file; `picture` is what it decodes to, if at hand.

        Raises ImageError and LimitError as `decode`, InputError for a picture that names no source
        and steps.
        """
        picture = picture or decode(data, limits)
        words = read_metadata(bytes(data))
        software = words.get("Software", "")
        if not software.startswith(SOFTWARE) or not {"Source SHA-256", "Steps"} <= words.keys():
            raise InputError("says nothing of how it was made: not a result of FaceCCTV's steps")
        if SHOWS in words:
            raise InputError(f"not the result itself: it shows {words[SHOWS]}")
        try:
            steps = _STEPS.validate_json(words["Steps"])
        except ValidationError as error:
            raise InputError("its steps cannot be read") from error
        with open_header(data, limits) as (format, _):
            return cls(
                source_sha256=words["Source SHA-256"],
                steps=steps,
                version=software.removeprefix(SOFTWARE),
                format=_written(format),
                quality=_quality(words),
                sha256=picture.sha256,
                file="as_recorded",
                image=picture.image,
                versions={},
            )

    @classmethod
    def of_record(cls, record: Record, data: bytes | None, limits: Limits = USUAL) -> Self:
        """What a record says; `data` are the bytes of the picture that it names, None if missing.

        Raises InputError for a picture that is none of the formats results are written in.
        """
        picture = None if data is None else decode(data, limits)
        unaltered = picture is not None and picture.sha256 == record.output.sha256
        file: FileState = "as_recorded" if unaltered else "missing" if data is None else "altered"
        return cls(
            source_sha256=record.sha256,
            steps=record.steps,
            version=record.versions.get("facecctv", ""),
            format=_named(record.output.file),
            quality=record.output.quality or USUAL_QUALITY,
            sha256=record.output.sha256,
            file=file,
            image=picture.image if picture is not None and unaltered else None,
            versions=dict(record.versions),
        )


def _written(format: str) -> Format:
    for known in ("png", "jpeg", "webp", "tiff"):
        if format == known:
            return known
    raise InputError(f"results are png, jpeg, webp or tiff, not {format}")


def _named(file: str) -> Format:
    suffix = PurePath(file).suffix.lower()
    if suffix not in FORMATS:
        raise InputError(f"results are {', '.join(FORMATS)}, not {suffix or 'without an ending'}")
    return FORMATS[suffix]


def _quality(words: dict[str, str]) -> int:
    said = words.get(QUALITY, str(USUAL_QUALITY))
    if not (said.isascii() and said.isdecimal() and 1 <= int(said) <= 100):
        raise InputError("its quality cannot be read")
    return int(said)


@dataclass(frozen=True)
class Replayer:
    """Does once more what was claimed."""

    tool_for: Callable[[Modelled], Tool]
    """As for `steps.Process`."""
    version: str
    """Of this program."""
    limits: Limits = USUAL

    def __call__(
        self,
        result: str,
        claim: Claim,
        source: tuple[str, bytes | bytearray],
        check: Callable[[], None] | None = None,
    ) -> tuple[Replayed, bytes]:
        """What came of it, and the bytes of the picture that was made.

        `result` and the first of `source` are names for the report; `check` is called before each
        step, and what it raises ends the work.

        Raises InputError where the source is not the one of the claim, or its steps are none of
        this version; OtherModel where a model is another one now; and what the steps raise.
        """
        name, data = source
        if hashlib.sha256(data).hexdigest() != claim.source_sha256:
            raise InputError(f"made from another source: SHA-256 {claim.source_sha256}")
        process = _process(claim, self.tool_for)
        made = self._made(claim, data, process, check)
        largest, changed = _difference(claim.image, decode(made, self.limits).image)
        sha256 = hashlib.sha256(made).hexdigest()
        verdict: Verdict = "same_pixels" if largest == 0 else "differs"
        now = versions(process.steps, self.version)
        then = claim.versions
        others = {key: (then[key], now[key]) for key in now if then.get(key, now[key]) != now[key]}
        replayed = Replayed(
            result=result,
            source=name,
            source_sha256=claim.source_sha256,
            verdict="same_bytes" if sha256 == claim.sha256 else verdict,
            file=claim.file,
            sha256=sha256,
            largest_difference=largest,
            pixels_changed=changed,
            steps=process.steps,
            other_versions=others or None,
        )
        return replayed, made

    def _made(
        self,
        claim: Claim,
        data: bytes | bytearray,
        process: Process,
        check: Callable[[], None] | None,
    ) -> bytes:
        picture, kept = decode(data, self.limits), carried(data, self.limits)
        process.chain.size_after(picture.width, picture.height, self.limits.max_pixels)
        image = process(picture.image, check)
        quality = quality_of(claim.format, claim.quality)
        words = embedded(picture.sha256, process.steps, claim.version, quality)
        return encode(image, claim.format, claim.quality, words, kept)


def _process(claim: Claim, tool_for: Callable[[Modelled], Tool]) -> Process:
    try:
        process = Process(Chain.of(claim.steps), tool_for)
    except SettingError as error:
        raise InputError(f"its steps are none of this version: {error}") from error
    for then, now in zip(claim.steps, process.steps, strict=True):
        for role in ("model", "found_by"):
            old, new = (getattr(step, f"{role}_sha256") for step in (then, now))
            if old != new:
                raise OtherModel(
                    f"{then.name} was done by {_model(then, role)}, and here is {_model(now, role)}"
                )
    return process


def _model(step: Step, role: str) -> str:
    name, sha256 = getattr(step, role), getattr(step, f"{role}_sha256")
    version = f" {step.model_version}" if role == "model" and step.model_version else ""
    return f"{name}{version} (SHA-256 {sha256[:12]}…)" if sha256 else "no model"


def _difference(then: Image | None, now: Image) -> tuple[int | None, float | None]:
    """The largest difference in grey levels, and the share of pixels that differ."""
    if then is None:
        return None, None
    if then.shape != now.shape:
        return 255, 1.0
    apart = np.abs(then.astype(np.int16) - now.astype(np.int16)).max(axis=2)
    return int(apart.max()), float((apart > 0).mean())
