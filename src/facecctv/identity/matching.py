"""From a face to candidates: nearest people of a gallery, judged by a calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from facecctv.identity.calibrate import RATE, Calibration, Evidence, Verdict
from facecctv.identity.entries import Template
from facecctv.identity.gallery import Gallery
from facecctv.identity.sightings import Sightings
from facecctv.types import Decision, Match, Place, Portrait

LIMIT = 10
"""Candidates looked at; more than one so that the runner-up is known."""


@dataclass(frozen=True)
class Matcher:
    """Says who a portrait may be; call it with one."""

    gallery: Gallery
    calibration: Calibration
    rate: float = RATE
    """How often a search of this gallery may find a stranger."""
    limit: int = LIMIT

    @property
    def compared(self) -> int:
        """Templates of the gallery."""
        return len(self.gallery)

    def __call__(self, portrait: Portrait) -> tuple[tuple[Match, ...], Decision]:
        """Those that match or may match, most similar first, and what it all comes to.

        Nobody else is named, however near. ValueError for a portrait without embedding.
        """
        if portrait.embedding is None:
            raise ValueError("a portrait without embedding cannot be compared")
        (hits,) = self.gallery.search(portrait.embedding, max(2, self.limit))
        quality = None if portrait.quality is None else portrait.quality.score
        found = [Evidence(hit.similarity, hit.face_px, hit.quality) for hit in hits]
        verdict = self.calibration.decide(
            found,
            portrait.face.height,
            quality,
            compared=max(1, self.compared),
            rate=self.rate,
        )
        names = [hit.name for hit in hits]
        return matches(names, found, verdict)[: self.limit], verdict.decision


@dataclass(frozen=True)
class SightMatcher:
    """Says where in a case a portrait may have been seen; call it with one."""

    sightings: Sightings
    case: str
    calibration: Calibration
    rate: float = RATE
    limit: int = LIMIT

    @property
    def compared(self) -> int:
        """Faces of the case."""
        return self.sightings.count(self.case)

    def __call__(self, portrait: Portrait) -> tuple[tuple[Match, ...], Decision]:
        """As `Matcher`; a person may be found any number of times."""
        if portrait.embedding is None:
            raise ValueError("a portrait without embedding cannot be compared")
        hits = self.sightings.search(self.case, portrait.embedding, self.limit)
        found = [Evidence(hit.similarity, hit.sight.face_px, hit.sight.quality) for hit in hits]
        verdict = self.calibration.decide(
            found,
            portrait.face.height,
            None if portrait.quality is None else portrait.quality.score,
            compared=max(1, self.compared),
            rate=self.rate,
            different_people=False,
        )
        sights = [hit.sight for hit in hits]
        places = [Place(one.source, one.frame, one.time, one.box) for one in sights]
        return matches(list(map(str, sights)), found, verdict, places), verdict.decision


def matches(
    names: Sequence[str],
    found: Sequence[Evidence],
    verdict: Verdict,
    places: Sequence[Place] | None = None,
) -> tuple[Match, ...]:
    """Those of the candidates that match or may match."""
    if verdict.decision == "insufficient_quality":
        return ()
    where: Sequence[Place | None] = [None] * len(names) if places is None else places
    return tuple(
        Match(name, one.similarity, judged.false_match_rate, judged.decision, place)
        for name, one, judged, place in zip(names, found, verdict.judgements, where, strict=True)
        if judged.decision in ("match", "inconclusive")
    )


def compare(
    calibration: Calibration, a: Portrait, b: Portrait, rate: float = RATE
) -> tuple[Evidence, Verdict]:
    """Whether two portraits show one person; ValueError where one has no embedding."""
    if a.embedding is None or b.embedding is None:
        raise ValueError("a portrait without embedding cannot be compared")
    similarity = min(max(float(a.embedding @ b.embedding), -1.0), 1.0)
    scores = [None if one.quality is None else one.quality.score for one in (a, b)]
    found = Evidence(similarity, b.face.height, scores[1])
    return found, calibration.decide([found], a.face.height, scores[0], rate=rate)


def compare_templates(
    calibration: Calibration, a: Template, b: Template, rate: float = RATE
) -> tuple[Evidence, Verdict]:
    """Whether two templates, of one sight or of several, show one person."""
    similarity = min(max(float(a.embedding @ b.embedding), -1.0), 1.0)
    found = Evidence(similarity, b.face_px, b.quality)
    return found, calibration.decide([found], a.face_px, a.quality, rate=rate)
