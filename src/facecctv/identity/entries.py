"""What a watch-list holds, and how it is written: people, templates, and lines of an export."""

from __future__ import annotations

import base64
import binascii
import json
import re
import struct
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from facecctv.errors import EntryError
from facecctv.types import Floats

_FACTS: Final = struct.Struct("<ffq32s")  # face_px, quality, seconds since 1970, SHA-256
_PAD: Final = 256
_LONGEST = {"name": 200, "purpose": 500, "owner": 200, "note": 2000}
_UNIT = 1e-3
_LEAST_WEIGHT = 1e-3
"""Of a sight of no quality at all, so that several of these still have a mean."""
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Person:
    """Somebody on the list, and why.

    Raises EntryError for a text that is missing, too long or unprintable.
    """

    name: str
    purpose: str
    owner: str
    """Who answers for the entry."""
    expires: date
    """The last day on which the entry counts."""
    added: datetime = field(default_factory=lambda: datetime.now(UTC))
    note: str = ""

    def __post_init__(self) -> None:
        for part, longest in _LONGEST.items():
            text = " ".join(unicodedata.normalize("NFC", getattr(self, part)).split())
            if not text and part != "note":
                raise EntryError(f"a person on the list has a {part}")
            if len(text) > longest or not text.isprintable():
                raise EntryError(f"{part}: at most {longest} printable characters")
            object.__setattr__(self, part, text)

    def expired(self, today: date) -> bool:
        """Whether the entry counts no more."""
        return self.expires < today

    def to_json(self) -> dict[str, Any]:
        """All fields, dates as ISO 8601."""
        days = {"expires": self.expires.isoformat(), "added": _moment(self.added)}
        return (
            {"name": self.name, "purpose": self.purpose, "owner": self.owner}
            | days
            | ({"note": self.note} if self.note else {})
        )

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Person:
        """Raises EntryError for anything but what `to_json` gives."""
        texts = {part: found.get(part, "") for part in _LONGEST}
        if not all(isinstance(text, str) for text in texts.values()):
            raise EntryError("name, purpose, owner and note are texts")
        try:
            expires, added = date.fromisoformat(found["expires"]), _read_moment(found["added"])
        except (KeyError, TypeError, ValueError) as error:
            raise EntryError("expires and added are dates of ISO 8601") from error
        return cls(**texts, expires=expires, added=added)

    def to_bytes(self) -> bytes:
        """JSON, padded so that its length tells nothing."""
        plain = json.dumps(self.to_json()).encode()
        return plain.ljust(-(-len(plain) // _PAD) * _PAD)


@dataclass(frozen=True, eq=False)
class Template:
    """What one picture says of a face. Raises EntryError for values that cannot be."""

    embedding: Floats
    """(D,) float32, unit length."""
    face_px: float
    """Height of the face, pixels of the picture."""
    quality: float
    """0..1, as in `facecctv.types.Quality.score`."""
    source: str
    """SHA-256 of the picture's file, hexadecimal."""
    added: datetime = field(default_factory=lambda: datetime.now(UTC))
    picture: bytes | None = None
    """The face as PNG, where it was asked to be kept."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "embedding", check_embedding(self.embedding))
        if not (0 < self.face_px < 1e6 and 0 <= self.quality <= 1):
            raise EntryError("face_px is positive, quality in 0..1")
        if not _SHA256.fullmatch(self.source):
            raise EntryError("source is a SHA-256 of 64 hexadecimal digits")

    def to_bytes(self) -> bytes:
        """Without the picture."""
        seconds, digest = int(self.added.timestamp()), bytes.fromhex(self.source)
        facts = _FACTS.pack(self.face_px, self.quality, seconds, digest)
        return facts + self.embedding.astype("<f4").tobytes()

    @classmethod
    def from_bytes(cls, plain: bytes, picture: bytes | None = None) -> Template:
        """What `to_bytes` gave."""
        face_px, quality, seconds, digest = _FACTS.unpack_from(plain)
        embedding = np.frombuffer(plain, "<f4", offset=_FACTS.size).astype(np.float32)
        added = datetime.fromtimestamp(seconds, UTC)
        return cls(embedding, face_px, quality, digest.hex(), added, picture)

    def to_json(self) -> dict[str, Any]:
        """All fields; the embedding as base64 of little-endian float32."""
        facts = {
            "embedding": _base64(self.embedding.astype("<f4").tobytes()),
            "face_px": round(self.face_px, 3),
            "quality": round(self.quality, 4),
            "source": self.source,
            "added": _moment(self.added),
        }
        return facts if self.picture is None else facts | {"picture": _base64(self.picture)}

    @classmethod
    def from_json(cls, found: object) -> Template:
        """Raises EntryError for anything but what `to_json` gives."""
        if not isinstance(found, dict):
            raise EntryError("a template is an object")
        try:
            embedding = np.frombuffer(_unbase64(found["embedding"]), "<f4").astype(np.float32)
            picture = found.get("picture")
            return cls(
                embedding,
                float(found["face_px"]),
                float(found["quality"]),
                found["source"],
                _read_moment(found["added"]),
                None if picture is None else _unbase64(picture),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            detail = f"lacks {error}" if isinstance(error, KeyError) else str(error)
            raise EntryError(f"a template that is none: {detail}") from error


def together(templates: Sequence[Template]) -> Template:
    """One template of several sights of one face: their mean, weighted by quality.

    Its height and quality are the means by the same weights, its source and picture those of the
    best sight. Raises EntryError for none, for embeddings of different lengths, and for sights so
    unlike that they cancel each other.
    """
    if not templates:
        raise EntryError("a template is made of at least one sight")
    if len(templates) == 1:
        return templates[0]
    if len({len(one.embedding) for one in templates}) > 1:
        raise EntryError("embeddings of different lengths do not compare")
    weights = np.maximum([one.quality for one in templates], _LEAST_WEIGHT)
    weights /= weights.sum()
    mean = weights @ np.stack([one.embedding for one in templates])
    length = float(np.linalg.norm(mean))
    if length < _UNIT:
        raise EntryError("these sights have nothing in common: they show different people")
    best = max(templates, key=lambda one: one.quality)
    return replace(
        best,
        embedding=mean / length,
        face_px=float(weights @ [one.face_px for one in templates]),
        quality=min(1.0, float(weights @ [one.quality for one in templates])),
    )


def facts_of(plain: bytes) -> tuple[float, float, npt.NDArray[np.float32]]:
    """face_px, quality and the embedding of a template's bytes, without a copy."""
    face_px, quality, _, _ = _FACTS.unpack_from(plain)
    return face_px, quality, np.frombuffer(plain, "<f4", offset=_FACTS.size)


def check_embedding(values: npt.ArrayLike) -> Floats:
    """(D,) float32 of unit length; EntryError for anything else."""
    array = np.array(values, np.float32)
    if array.ndim != 1 or not array.size:
        raise EntryError(f"an embedding has the shape (D,), not {array.shape}")
    length = float(np.linalg.norm(array))
    if not abs(length - 1) < _UNIT:  # also refuses NaN
        raise EntryError(f"an embedding has unit length, not {length:.4g}")
    array.flags.writeable = False
    return array


def same_name(name: str) -> bytes:
    """Equal for names that a person would call equal: case and spaces do not count."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split()).encode()


def today_utc() -> date:
    """The day by which entries expire: the same everywhere."""
    return datetime.now(UTC).date()


def _moment(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="seconds")


def _read_moment(text: str) -> datetime:
    value = datetime.fromisoformat(text)
    if value.tzinfo is None:
        raise ValueError("a moment without time zone")
    return value


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _unbase64(text: object) -> bytes:
    if not isinstance(text, str):
        raise ValueError("base64 is a text")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error
