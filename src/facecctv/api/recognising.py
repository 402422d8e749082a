"""What the routes about people share: the one face that is meant, and what recognises it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
from fastapi import Query, Request

from facecctv import schema
from facecctv.api import boxes
from facecctv.api.desk import Desk, Seen
from facecctv.api.options import Looking
from facecctv.api.problems import Problem
from facecctv.api.security import client
from facecctv.api.served import ServedList
from facecctv.errors import EntryError
from facecctv.identity import log
from facecctv.identity.calibrate import Calibration, calibration_of
from facecctv.identity.entries import Template
from facecctv.identity.matching import Matcher
from facecctv.pipeline import Identify, Pipeline
from facecctv.types import Face, Portrait
from facecctv.vision.recognise import Recogniser

UNCALIBRATED = "the recogniser here has no calibration, so what a similarity is worth is unknown"
NO_LIST = "this server has no watch-list (facecctv serve --watchlist FILE)"
CLOSED = "this server lets nobody change its watch-list (facecctv serve --enrol-days DAYS)"

Threshold = Annotated[
    float | None,
    Query(ge=0.001, le=0.999, description="Least score of a face; else the model's own."),
]
Largest = Annotated[
    bool, Query(description="Of several faces take the largest instead of refusing.")
]


def looking_for_one(threshold: float | None) -> Looking:
    """How to look for the one face of a picture."""
    return Looking(threshold=threshold, min_face=0.0, tiles="auto", margin=0.35, limit=None)


@dataclass(frozen=True)
class Recognition:
    """What recognises the faces of one request."""

    desk: Desk
    seen: Seen
    recogniser: Recogniser

    @classmethod
    def of(cls, desk: Desk, seen: Seen) -> Recognition:
        """Raises ModelNotFound where there is no recogniser."""
        return cls(desk, seen, desk.workshop.during(seen.leave.check).recogniser())

    def calibration(self) -> Calibration:
        """The server's own, or that of the recogniser's card; Problem 503 where it has none."""
        if self.desk.settings.calibration is not None:
            return self.desk.settings.calibration
        card = self.recogniser.card
        if "calibration" not in card.extra:
            raise Problem(503, UNCALIBRATED, reason="not-installed")
        return calibration_of(card)

    def portraits(
        self,
        pipeline: Pipeline,
        seen: Seen,
        faces: Sequence[Face],
        identify: Identify | None = None,
    ) -> list[Portrait]:
        """Faces with quality, embedding and, where asked, who they may be."""
        full = replace(pipeline, embed=self.recogniser.faces, identify=identify)
        found = []
        for face in faces:
            self.seen.leave.check()
            found += full.portraits(seen.picture.image, [face])
        return found


@dataclass(frozen=True)
class Meant:
    """The one face of a picture."""

    face: Face
    landmarks_from: Literal["average"] | None = None


def one_face(
    desk: Desk, seen: Seen, looking: Looking, *, largest: bool = False, box: str | None = None
) -> Meant:
    """The face in the box (four numbers with commas between), or the only or largest one.

    Raises Problem 422 with reason `no-face` or `several-faces`, or for an impossible box.
    """
    image = seen.picture.image
    if box is not None:
        given = [[float(number) for number in box.split(",")]]
        checked = boxes.checked(given, image.shape[1], image.shape[0], 1)
        detect = desk.workshop.pipeline(boxes.FAINT).detect
        (drawn,) = boxes.look(image, checked, detect, seen.leave.check)
        return Meant(drawn.face, None if drawn.seen else "average")
    found = looking.faces(desk, looking.pipeline(desk), image)
    if not found:
        raise Problem(422, "no face was found in the picture", reason="no-face")
    if len(found) > 1 and not largest:
        detail = f"{len(found)} faces were found in the picture: say which, or take the largest"
        raise Problem(422, detail, reason="several-faces")
    return Meant(max(found, key=lambda face: face.width * face.height))


def told(seen: Seen, portrait: Portrait, meant: Meant) -> schema.Result:
    """One face as every door gives it; without its embedding."""
    size = (seen.picture.width, seen.picture.height)
    plain = replace(portrait, embedding=None)
    return schema.Result.of(
        seen.name, seen.picture.sha256, size, [plain], landmarks_from=meant.landmarks_from
    )


def listed(desk: Desk, *, changing: bool = False) -> ServedList:
    """The server's watch-list; Problem 503 where it has none, 403 where nobody may change it."""
    found = desk.settings.watchlist
    if found is None:
        raise Problem(503, NO_LIST, reason="not-installed")
    if changing and found.enrolling is None:
        raise Problem(403, CLOSED)
    return found


def who(desk: Desk, request: Request, by: str = "") -> str:
    """Who searches, for the log: as the client says, and by what the server knows it.

    Raises Problem 401 without a known key where keys are needed.
    """
    known = client(request, desk.settings.keys)
    kind = "key" if desk.settings.keys.hashes else "address"
    return f"{by} ({kind} {known})" if by else f"{kind} {known}"


def search(
    desk: Desk,
    seen: Seen,
    faces: Sequence[Face],
    pipeline: Pipeline,
    by: str,
    reason: str = "",
    limit: int = 10,
) -> list[Portrait]:
    """Who of the server's watch-list each face may be; all are logged before this returns."""
    served = listed(desk)
    recognition = Recognition.of(desk, seen)
    matcher = Matcher(served.gallery(), recognition.calibration(), served.rate, limit)
    found = recognition.portraits(pipeline, seen, faces, matcher)
    for portrait in found:
        served.note(
            log.Search(
                what="watchlist",
                target=str(served.about["id"]),
                source=seen.picture.sha256,
                compared=matcher.compared,
                rate=matcher.rate,
                matched=tuple(match.name for match in portrait.candidates or ()),
                decision=portrait.decision or "no_match",
                by=by,
                reason=reason,
            )
        )
    return found


def template(desk: Desk, seen: Seen, face: Face, looking: Looking) -> Template:
    """What the watch-list keeps of a face; no pixels."""
    recognition = Recognition.of(desk, seen)
    (portrait,) = recognition.portraits(looking.pipeline(desk), seen, [face])
    quality = 0.0 if portrait.quality is None else portrait.quality.score
    embedding = np.zeros(0, np.float32) if portrait.embedding is None else portrait.embedding
    return Template(embedding, face.height, quality, seen.picture.sha256)


def refused(error: EntryError) -> Problem:
    """An entry that cannot be, in the words of the list."""
    return Problem(422, str(error), reason="option")
