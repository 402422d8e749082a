"""A watch-list that is searched for as long as a camera is watched."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from facecctv.cli import people
from facecctv.footage.people import within
from facecctv.identity import log
from facecctv.identity.calibrate import Calibration
from facecctv.identity.entries import today_utc
from facecctv.identity.matching import Matcher
from facecctv.image import encode
from facecctv.types import Portrait, Sighting
from facecctv.vision.recognise import Recogniser

if TYPE_CHECKING:
    from facecctv.identity.watchlist import Watchlist


@dataclass(frozen=True)
class Asking:
    """How a list is searched, and what the log says of it."""

    calibration: Calibration
    rate: float
    limit: int
    by: str
    reason: str


class LookingFor:
    """Says who a sight may be; every search is in the list's log before it is answered.

    The list is read again when it was changed and when a day begins, so that nobody is found after
    the last day of the entry. For one thread.
    """

    def __init__(self, path: Path, opened: Watchlist, recogniser: Recogniser, how: Asking) -> None:
        self._opened, self._recogniser = opened, recogniser
        self._path, self._how = path, how
        self._read: tuple[int, date] | None = None
        self._searching = self._current()

    def __call__(self, sighting: Sighting) -> Portrait:
        """The sight with candidates and decision; ValueError for one without crop.

        Raises OutputError where the search cannot be logged, and as `Watchlist` does.
        """
        if sighting.crop is None:
            raise ValueError("a sight without crop cannot be compared")
        searching = self._current()
        crop = sighting.crop
        vector = self._recogniser.faces(crop.image, [within(crop)])[0]
        bare = Portrait(sighting.face, crop, sighting.quality, embedding=vector)
        candidates, decision = searching.matcher(bare)
        portrait = replace(bare, candidates=candidates, decision=decision)
        searching.note(hashlib.sha256(encode(crop.image)).hexdigest(), [portrait])
        return replace(portrait, embedding=None)

    def _current(self) -> people.Searching:
        state = self._opened.version, today_utc()
        if self._read != state:
            how = self._how
            matcher = Matcher(self._opened.gallery(), how.calibration, how.rate, how.limit)
            target, book = str(self._opened.about["id"]), log.log_of(self._path)
            self._searching = people.Searching(matcher, target, book, how.by, how.reason)
            self._read = state
        return self._searching
