"""Watch-lists: people enrolled with purpose, owner and expiry, sealed in one file.

Names, facts, templates and pictures are sealed row by row (`vault`); what is removed is wiped from
the file. A probe is never enrolled, and pictures are kept only where they are handed in.
"""

from __future__ import annotations

import json
import secrets
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np

from facecctv.closing import Closing
from facecctv.errors import EntryError
from facecctv.identity import exchange
from facecctv.identity.entries import Person, Template, facts_of, same_name, today_utc
from facecctv.identity.gallery import Gallery, gallery
from facecctv.identity.sealing import COST, Secret
from facecctv.identity.vault import WAIT, Row, Vault, Writer
from facecctv.types import Floats

_PERSON: Final = 1
_TEMPLATE: Final = 2
_NEGATIVE: Final = 3
_PICTURE: Final = 4
_NUMBER = struct.Struct(">q")


@dataclass(frozen=True)
class Entry:
    """A person and how much is known; no embeddings."""

    person: Person
    templates: int
    negatives: int
    pictures: int


@dataclass(frozen=True)
class Imported:
    """What an import brought."""

    people: int
    templates: int
    expired: int
    """People left out because their time is over."""


class Watchlist(Closing):
    """An open watch-list; a context manager. One object belongs to one thread.

    Errors are those of `vault.Vault`. Names are compared without regard to case.
    """

    def __init__(self, path: Path, secret: Secret, wait: float = WAIT) -> None:
        """Opens an existing list; WrongKey where the secret is another."""
        self._vault = Vault(path, secret, wait)
        self.about = self._vault.about
        """`id` (random, for the log), `purpose`, `owner`, and of the templates their `embedder`
        and `size`."""

    @classmethod
    def create(
        cls,
        path: Path,
        secret: Secret,
        *,
        purpose: str,
        owner: str,
        embedder: str,
        size: int = 128,
        cost: int = COST,
    ) -> None:
        """Makes an empty list; OutputError where a file of this name exists.

        Purpose and owner stand for people who are added without their own. `embedder` names the
        model and version whose templates it takes, `size` how many numbers each has.
        """
        checked = Person("x", purpose, owner, date.max)
        about = {"id": secrets.token_hex(8), "purpose": checked.purpose, "owner": checked.owner}
        Vault.create(path, secret, about | {"embedder": embedder, "size": size}, cost)

    def close(self) -> None:
        """Also done at the end of a `with` block."""
        self._vault.close()

    @property
    def unwiped(self) -> bool:
        """Whether traces of somebody removed are still in the file; `expire` wipes them."""
        return self._vault.unwiped

    @property
    def version(self) -> int:
        """Another number after every change that somebody else made to the file."""
        return self._vault.version

    def check_embedder(self, embedder: str) -> None:
        """Raises EntryError where the list's templates are of another model."""
        if embedder != self.about["embedder"]:
            raise EntryError(
                f"the list holds templates of {self.about['embedder']}, not of {embedder}: "
                "make a new list and enrol the pictures again"
            )

    def entries(self) -> list[Entry]:
        """Everyone on the list in order of names, expired ones too."""
        people: dict[int, Person] = {}
        counts: dict[int, list[int]] = {}
        for row in self._vault.rows(_PERSON, _TEMPLATE, _NEGATIVE, _PICTURE):
            if row.kind == _PERSON:
                people[row.person] = _person(row)
            else:
                counts.setdefault(row.person, [0, 0, 0])[row.kind - _TEMPLATE] += 1
        found = [Entry(who, *counts.get(number, (0, 0, 0))) for number, who in people.items()]
        return sorted(found, key=lambda entry: same_name(entry.person.name))

    def sources(self) -> list[tuple[str, str]]:
        """Name and SHA-256 of the picture, hexadecimal, of every template; expired ones too."""
        people: dict[int, str] = {}
        found = []
        for row in self._vault.rows(_PERSON, _TEMPLATE):
            if row.kind == _PERSON:
                people[row.person] = _person(row).name
            else:
                found.append((people[row.person], Template.from_bytes(row.plain).source))
        return found

    def add(self, person: Person, templates: Sequence[Template]) -> None:
        """Enrols somebody new; EntryError where the name is taken, expired or has no template."""
        if person.expired(today_utc()):
            raise EntryError(f"{person.name}: expires in the past")
        if not templates:
            raise EntryError(f"{person.name}: a person on the list has at least one template")
        self._check_size(templates)
        with self._vault.writing() as writer:
            _write(writer, person, templates, ())

    def add_templates(self, name: str, templates: Sequence[Template]) -> None:
        """More pictures of somebody on the list; EntryError where there is none of this name."""
        self._append(name, _TEMPLATE, templates)

    def reject(self, name: str, templates: Sequence[Template]) -> None:
        """Faces that are not this person, however alike; EntryError as in `add_templates`."""
        self._append(name, _NEGATIVE, templates)

    def _append(self, name: str, kind: int, templates: Sequence[Template]) -> None:
        self._check_size(templates)
        with self._vault.writing() as writer:
            person = self._number(name)
            for template in templates:
                _write_template(writer, person, kind, template)

    def person(self, name: str) -> Person:
        """Somebody on the list; EntryError where there is none of this name."""
        rows = self._vault.rows_of(self._number(name))
        return next(_person(row) for row in rows if row.kind == _PERSON)

    def remove(self, name: str) -> None:
        """Takes somebody off the list and wipes every trace; EntryError for an unknown name."""
        with self._vault.writing() as writer:
            writer.remove(self._number(name))

    def expire(self, today: date | None = None) -> list[str]:
        """Removes everybody whose time is over; returns their names. Wipes what is left over."""
        day = today or today_utc()
        over = [
            (row.person, who)
            for row in self._vault.rows(_PERSON)
            if (who := _person(row)).expired(day)
        ]
        if over:
            with self._vault.writing() as writer:
                for number, _ in over:
                    writer.remove(number)
        elif self.unwiped:
            self._vault.wipe()
        return [who.name for _, who in over]

    def rekey(self, secret: Secret, *, cost: int = COST) -> None:
        """Seals everything under another secret; the old one opens nothing any more."""
        self._vault.rekey(secret, _tag_of, cost)

    def gallery(self, today: date | None = None) -> Gallery:
        """Everybody whose time is not over, in memory, to be searched.

        Reads and checks the whole list: WatchlistError where any entry was changed or is missing.
        """
        day = today or today_utc()
        people: dict[int, str] = {}
        vectors = _Columns(self._vault.count(_TEMPLATE))
        rejected = _Columns(self._vault.count(_NEGATIVE))
        for row in self._vault.rows(_PERSON, _TEMPLATE, _NEGATIVE):
            if row.kind == _PERSON:
                who = _person(row)
                if not who.expired(day):
                    people[row.person] = who.name
            elif row.person in people:  # a person's row comes before its templates
                (vectors if row.kind == _TEMPLATE else rejected).put(row)
        place = {number: at for at, number in enumerate(people)}
        owners = [place[number] for number in vectors.people]
        wrong = [place[number] for number in rejected.people]
        sizes, embeddings = vectors.facts(), vectors.embeddings()
        refused = rejected.embeddings() if wrong else None
        return gallery(
            list(people.values()), owners, embeddings, sizes[:, 0], sizes[:, 1], wrong, refused
        )

    def export(self) -> Iterator[str]:
        """The whole list as lines of JSON, NOT sealed: a head, a line a person, an end.

        The people come in the order in which they were added.
        """
        for _ in self._vault.rows(_PERSON, _TEMPLATE, _NEGATIVE, _PICTURE):
            pass  # nothing is told of a list that was changed
        yield exchange.head(self.about)
        people = 0
        for row in self._vault.rows(_PERSON):
            yield self._line(row)
            people += 1
        yield exchange.end(people)

    def _line(self, row: Row) -> str:
        rows = self._vault.rows_of(row.person)
        pictures = dict(_read_picture(one) for one in rows if one.kind == _PICTURE)
        kinds: dict[int, list[Template]] = {_TEMPLATE: [], _NEGATIVE: []}
        for one in rows:
            if one.kind in kinds:
                template = Template.from_bytes(one.plain, pictures.get(one.id))
                kinds[one.kind].append(template)
        return exchange.line(_person(row), kinds[_TEMPLATE], kinds[_NEGATIVE])

    def import_(self, lines: Iterable[str], today: date | None = None) -> Imported:
        """Adds everybody of an export, line by line, all or nobody.

        Raises EntryError, naming the line, for one that is broken, for a name that is taken, for
        templates of another model and for an export that was cut off; nothing is added then.
        """
        day = today or today_utc()
        source = exchange.Source(lines)
        self.check_embedder(source.head.get("embedder", ""))
        people = templates = expired = 0
        with self._vault.writing() as writer:
            for found in source:
                with source.blame():
                    person, shots, refused = exchange.read(found)
                    self._check_size([*shots, *refused])
                    if person.expired(day):
                        expired += 1
                        continue
                    _write(writer, person, shots, refused)
                    people, templates = people + 1, templates + len(shots)
        return Imported(people, templates, expired)

    def _check_size(self, templates: Sequence[Template]) -> None:
        size = self.about["size"]
        for template in templates:
            if len(template.embedding) != size:
                raise EntryError(
                    f"an embedding of this list has {size} numbers, "
                    f"not {len(template.embedding)} numbers"
                )

    def _number(self, name: str) -> int:
        number = self._vault.find(same_name(name))
        if number is None:
            raise EntryError(f"nobody of this name is on the list: {name}")
        return number


def _write(
    writer: Writer, person: Person, templates: Sequence[Template], refused: Sequence[Template]
) -> None:
    number = secrets.randbits(62)
    try:
        writer.add(_PERSON, number, person.to_bytes(), same_name(person.name))
    except EntryError as error:
        raise EntryError(f"somebody of this name is on the list already: {person.name}") from error
    for template in templates:
        _write_template(writer, number, _TEMPLATE, template)
    for template in refused:
        _write_template(writer, number, _NEGATIVE, template)


def _write_template(writer: Writer, person: int, kind: int, template: Template) -> None:
    row = writer.add(kind, person, template.to_bytes())
    if template.picture is not None:
        writer.add(_PICTURE, person, _NUMBER.pack(row) + template.picture)


def _read_picture(row: Row) -> tuple[int, bytes]:
    """Of which template's row it is, and the picture."""
    return int(_NUMBER.unpack_from(row.plain)[0]), row.plain[_NUMBER.size :]


def _person(row: Row) -> Person:
    return Person.from_json(json.loads(row.plain))


def _tag_of(row: Row) -> bytes | None:
    return same_name(_person(row).name) if row.kind == _PERSON else None


class _Columns:
    """Templates' facts gathered row by row into arrays that grow where they must."""

    def __init__(self, expected: int) -> None:
        self.people: list[int] = []
        self._facts = np.empty((max(expected, 1), 2), np.float32)
        self._vectors = np.empty((max(expected, 1), 0), np.float32)

    def put(self, row: Row) -> None:
        face_px, quality, embedding = facts_of(row.plain)
        at = len(self.people)
        if not at:
            self._vectors = np.empty((len(self._facts), len(embedding)), np.float32)
        elif at == len(self._facts):  # somebody was added since the rows were counted
            self._facts = np.concatenate([self._facts, np.empty_like(self._facts)])
            self._vectors = np.concatenate([self._vectors, np.empty_like(self._vectors)])
        self._facts[at] = face_px, quality
        self._vectors[at] = embedding
        self.people.append(row.person)

    def facts(self) -> Floats:
        """(N, 2): face_px and quality."""
        return self._facts[: len(self.people)]

    def embeddings(self) -> Floats:
        """(N, D)."""
        return self._vectors[: len(self.people)]
