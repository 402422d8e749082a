"""Every person once: the best sights of each passage, passages joined into people.

Two passages are one person when the calibrated rule of `identity.calibrate` calls their faces a
match and they do not overlap in time: nobody is in one picture twice. What a person at the screen
joins or parts by hand stands above that and is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np

from facecctv.errors import EntryError
from facecctv.identity.calibrate import RATE, Calibration, Evidence
from facecctv.types import Crop, Face, Floats, Image, Sighting, Track

SIGHTS = 15
"""Best sights that are kept of each passage."""
_NEAR = 160.0
"""Height of a face in pixels from which on more are no better."""
EMBEDDED = 5
"""Best sights whose embeddings are averaged."""

Embed = Callable[[Image, Sequence[Face]], Floats]
"""(H, W, 3) uint8 RGB and faces in it -> (N, D) float32 of unit length."""


def worth(sighting: Sighting) -> float:
    """0..1: how good a sight is: quality, size, and how sure it is a face.

    Quality is the weakest of several measures, of which those of light and sharpness err by more
    than neighbouring sights differ; how near somebody is does not, so it counts beside them. How
    sure it is a face differs from look to look by chance, so little of it counts.
    """
    quality = sighting.quality
    if quality is None:
        return 0.0
    return float(sighting.face.score**0.25) * quality.score * min(1.0, quality.face_px / _NEAR)


class BestSights:
    """The best few sights of each track, as they come."""

    def __init__(self, most: int = SIGHTS) -> None:
        self._most = most
        self._kept: dict[int, list[Sighting]] = {}

    def wants(self, number: int, value: float) -> bool:
        """Whether a sight of this worth would be kept."""
        kept = self._kept.get(number, [])
        return len(kept) < self._most or value > worth(kept[-1])

    def add(self, number: int, sighting: Sighting) -> None:
        """Keeps a sight; the least of too many goes. Of equals the earlier one stays."""
        kept = [*self._kept.get(number, []), sighting]
        kept.sort(key=lambda one: (-worth(one), one.index))
        self._kept[number] = kept[: self._most]

    def best(self, number: int) -> Sighting | None:
        """The best so far of a track; None where there is none."""
        kept = self._kept.get(number)
        return kept[0] if kept else None

    def take(self, number: int) -> tuple[Sighting, ...]:
        """Those of a track that has ended, best first; they are forgotten here."""
        return tuple(self._kept.pop(number, ()))


@dataclass(frozen=True, eq=False)
class Known:
    """What the face of a passage is compared by."""

    embedding: Floats
    """(D,) float32, unit length."""
    face_px: float
    """Height of the best sight, pixels."""
    quality: float
    """Of the best sight, 0..1."""


@dataclass(frozen=True, eq=False)
class Person:
    """Somebody in a video, with every passage through it."""

    number: int
    """From 1, in order of appearance; one that was parted by hand comes after all others."""
    tracks: tuple[Track, ...]
    """In order of time."""

    @property
    def first(self) -> Fraction:
        """When first seen, seconds."""
        return min(track.first for track in self.tracks)

    @property
    def last(self) -> Fraction:
        """When last seen, seconds."""
        return max(track.last for track in self.tracks)

    @property
    def sights(self) -> int:
        """In how many frames that were looked at the person was seen."""
        return sum(int(track.seen.sum()) for track in self.tracks)

    @property
    def best(self) -> tuple[Sighting, ...]:
        """The best sights of all passages, best first."""
        found = [sighting for track in self.tracks for sighting in track.best]
        return tuple(sorted(found, key=lambda one: (-worth(one), one.index)))


def within(crop: Crop) -> Face:
    """The face in pixels of its crop."""
    corner = np.array([crop.x, crop.y], np.float32)
    face = crop.face
    return Face(face.box - np.tile(corner, 2), face.landmarks - corner, face.score)


def known(track: Track, embed: Embed) -> Known | None:
    """Embeds the best sights of a track; None where it has none with crop and quality.

    The mean is weighted by worth, so that a blurred sight does not spoil a sharp one.
    """
    sights = [one for one in track.best if one.crop is not None and one.quality is not None]
    if not sights:
        return None
    vectors = []
    for sighting in sights[:EMBEDDED]:
        assert sighting.crop is not None
        vectors.append(embed(sighting.crop.image, [within(sighting.crop)])[0])
    weights = np.array([max(worth(one), 1e-3) for one in sights[:EMBEDDED]])
    best = sights[0]
    score = 0.0 if best.quality is None else best.quality.score
    return Known(_unit(weights @ np.array(vectors)), best.face.height, score)


def _unit(vector: Floats) -> Floats:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12), np.float32)


@dataclass
class _Group:
    numbers: list[int]
    tracks: list[Track]
    known: Known | None


def joined(
    tracks: Sequence[Track],
    knowledge: Mapping[int, Known],
    calibration: Calibration,
    rate: float = RATE,
) -> list[tuple[int, ...]]:
    """Numbers of the tracks of each person, people in order of appearance.

    The most alike pair that may be one person is joined, their embeddings averaged, and so on until
    no pair is a match. `rate` is how often a video may join two strangers, so each of its pairs has
    its share of it. Tracks without an entry in `knowledge` stay by themselves.
    """
    groups = [_Group([t.number], [t], knowledge.get(t.number)) for t in _in_order(tracks)]
    pairs = max(1, len(groups) * (len(groups) - 1) // 2)
    while True:
        found = [
            (evidence, i, j)
            for i, one in enumerate(groups)
            for j, other in enumerate(groups[i + 1 :], i + 1)
            if (evidence := _evidence(one, other, calibration, rate, pairs)) is not None
        ]
        if not found:
            return [tuple(sorted(group.numbers)) for group in groups]
        _, i, j = max(found, key=lambda item: (item[0], -item[1], -item[2]))
        groups[i] = _together(groups[i], groups.pop(j))


def _in_order(tracks: Iterable[Track]) -> list[Track]:
    return sorted(tracks, key=lambda track: (track.first, track.number))


def _evidence(
    one: _Group, other: _Group, calibration: Calibration, rate: float, pairs: int
) -> float | None:
    """How strongly the faces speak for one person; None where they may not be joined."""
    if one.known is None or other.known is None or _meet(one.tracks, other.tracks):
        return None
    similarity = float(one.known.embedding @ other.known.embedding)
    candidate = Evidence(similarity, other.known.face_px, other.known.quality)
    verdict = calibration.decide(
        [candidate], one.known.face_px, one.known.quality, compared=pairs, rate=rate
    )
    return similarity if verdict.decision == "match" else None


def _meet(some: Sequence[Track], others: Sequence[Track]) -> bool:
    return any(a.first <= b.last and b.first <= a.last for a in some for b in others)


def _together(one: _Group, other: _Group) -> _Group:
    assert one.known is not None
    assert other.known is not None
    counts = [sum(int(track.seen.sum()) for track in group.tracks) for group in (one, other)]
    weights = np.array(counts, np.float64) / max(1, sum(counts))
    embedding = _unit(weights @ np.array([one.known.embedding, other.known.embedding]))
    better = max((one.known, other.known), key=lambda known: (known.quality, known.face_px))
    return _Group(
        one.numbers + other.numbers,
        one.tracks + other.tracks,
        Known(embedding, better.face_px, better.quality),
    )


@dataclass(frozen=True)
class Edit:
    """What a person at the screen changed."""

    kind: Literal["merge", "split"]
    people: tuple[int, ...]
    """merge: two or more people who are one, the first number stays. split: whose passage it is."""
    track: int | None = None
    """split: the passage that is somebody else's."""

    def __post_init__(self) -> None:
        if self.kind == "merge" and (len(set(self.people)) < 2 or self.track is not None):
            raise ValueError("a merge names at least two people")
        if self.kind == "split" and (len(self.people) != 1 or self.track is None):
            raise ValueError("a split names one person and one passage")


def gathered(
    tracks: Sequence[Track], groups: Sequence[Sequence[int]], edits: Sequence[Edit] = ()
) -> list[Person]:
    """People from the numbers of their tracks, with what was changed by hand done in that order.

    Raises EntryError for an edit of a person or passage that is not there.
    """
    by_number = {track.number: track for track in tracks}
    people = {at: list(numbers) for at, numbers in enumerate(groups, 1)}
    newest = len(people)
    for edit in edits:
        missing = [number for number in edit.people if number not in people]
        if missing:
            raise EntryError(f"there is no person {missing[0]}")
        if edit.kind == "merge":
            into, *rest = dict.fromkeys(edit.people)
            people[into] += [number for other in rest for number in people.pop(other)]
            continue
        (person,) = edit.people
        if edit.track not in people[person]:
            raise EntryError(f"person {person} has no passage {edit.track}")
        if len(people[person]) == 1:
            raise EntryError(f"person {person} has no other passage to part from {edit.track}")
        people[person].remove(edit.track)
        newest += 1
        people[newest] = [edit.track]
    return [
        Person(number, tuple(_in_order(by_number[n] for n in numbers)))
        for number, numbers in sorted(people.items())
    ]
