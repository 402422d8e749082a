"""The watch-list that a server was started with."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TypeVar

from facecctv.closing import Closing
from facecctv.errors import EntryError
from facecctv.identity import log
from facecctv.identity.calibrate import RATE
from facecctv.identity.entries import Person, Template, same_name, today_utc
from facecctv.identity.gallery import Gallery
from facecctv.identity.sealing import Secret
from facecctv.identity.watchlist import Entry, Watchlist

T = TypeVar("T")


@dataclass(frozen=True)
class Enrolling:
    """What is written of people whom clients of the server enrol."""

    days: int
    """After today, on which an entry counts; clients may ask for fewer."""
    purpose: str = ""
    """By default the list's."""
    owner: str = ""
    """By default the list's."""


class ServedList(Closing):
    """One open list for all requests; any thread may call it. A context manager.

    The people who may be found are held in memory, unsealed, and read anew when the list was
    changed or the day is over. Methods raise as those of `Watchlist` and `log.append`.
    """

    def __init__(
        self,
        path: Path,
        secret: Secret,
        embedder: str,
        *,
        rate: float = RATE,
        enrolling: Enrolling | None = None,
    ) -> None:
        """Opens the list and reads it; EntryError where its templates are of another embedder.

        `rate` is how often a whole search may find a stranger. Without `enrolling` clients can
        only search.
        """
        self.rate, self.enrolling = rate, enrolling
        self._path = path
        self._state: tuple[date, int] | None = None
        # SQLite's connection belongs to one thread.
        self._pool = ThreadPoolExecutor(1, "facecctv-watchlist")
        try:
            self._list = self._pool.submit(Watchlist, path, secret).result()
            self.about: dict[str, str] = self._do(lambda listed: listed.about)
            self._do(lambda listed: listed.check_embedder(embedder))
            self.gallery()
        except BaseException:
            self._pool.shutdown()
            raise

    def close(self) -> None:
        """Also done at the end of a `with` block."""
        self._do(Watchlist.close)
        self._pool.shutdown()

    def gallery(self) -> Gallery:
        """Everybody whose time is not over."""
        return self._do(self._fresh)

    def entries(self) -> list[Entry]:
        """Everyone on the list in order of names, expired ones too."""
        return self._do(Watchlist.entries)

    def sources(self) -> list[tuple[str, str]]:
        """Name and SHA-256 of the picture of every template."""
        return self._do(Watchlist.sources)

    def add(
        self, name: str, template: Template, expires: date | None = None, note: str = ""
    ) -> Person:
        """Enrols somebody new, whose entry lasts as long as the server lets it, or to the day
        given where that is earlier; EntryError for a name that is taken, or a day that is over.
        """
        return self._do(lambda listed: self._enrol(listed, name, template, expires, note))

    def add_more(self, name: str, template: Template) -> Person:
        """One more picture of somebody on the list; enrols whoever is not."""

        def more(listed: Watchlist) -> Person:
            known = {same_name(entry.person.name): entry.person for entry in listed.entries()}
            person = known.get(same_name(name))
            if person is None:
                return self._enrol(listed, name, template)
            self._forget()
            listed.add_templates(name, [template])
            return person

        return self._do(more)

    def remove(self, name: str) -> Person:
        """Takes somebody off the list and wipes every trace; EntryError for an unknown name."""

        def take(listed: Watchlist) -> Person:
            person = listed.person(name)
            self._forget()
            listed.remove(name)
            return person

        return self._do(take)

    def note(self, event: log.Search) -> None:
        """Writes a search to the list's log, on the disk when this returns."""
        self._do(lambda _: log.append(log.log_of(self._path), event))

    def _enrol(
        self,
        listed: Watchlist,
        name: str,
        template: Template,
        expires: date | None = None,
        note: str = "",
    ) -> Person:
        how = self.enrolling
        if how is None:
            raise EntryError("this server lets nobody change its watch-list")
        last = today_utc() + timedelta(days=how.days)
        person = Person(
            name,
            how.purpose or self.about["purpose"],
            how.owner or self.about["owner"],
            min(expires or last, last),
            note=note,
        )
        self._forget()
        listed.add(person, [template])
        return person

    def _do(self, work: Callable[[Watchlist], T]) -> T:
        return self._pool.submit(lambda: work(self._list)).result()

    def _forget(self) -> None:
        """Own changes do not show in the list's version."""
        self._state = None

    def _fresh(self, listed: Watchlist) -> Gallery:
        state = (today_utc(), listed.version)
        if state != self._state:
            self._gallery = listed.gallery()
            self._state = state
        return self._gallery
