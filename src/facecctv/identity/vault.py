"""One SQLite file of sealed rows: what the rows hold, only the key's holder can read.

In the clear are the number of rows, their kinds, which belong to one person (a random number), and
the salt. Each row is bound to its place, and the sealed head holds count and fingerprint of each
kind, so changed, swapped, dropped and re-inserted rows are found. What cannot be found is a whole
file put back to an earlier state.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from facecctv.closing import Closing
from facecctv.errors import EntryError, OutputError, WatchlistBusy, WatchlistError, WrongKey
from facecctv.identity.sealing import COST, SALT, Key, Secret

APPLICATION: Final = 0x46434356  # "FCCV"
VERSION: Final = 1
WAIT: Final = 10.0
"""Seconds that one process waits for another."""

_SCHEMA = """
CREATE TABLE head (
    id INTEGER PRIMARY KEY CHECK (id = 1), vault BLOB NOT NULL, secret TEXT NOT NULL,
    salt BLOB NOT NULL, cost INTEGER NOT NULL, unwiped INTEGER NOT NULL, sealed BLOB NOT NULL
) STRICT;
CREATE TABLE entry (
    id INTEGER PRIMARY KEY, person INTEGER NOT NULL, kind INTEGER NOT NULL,
    tag BLOB UNIQUE, sealed BLOB NOT NULL
) STRICT;
CREATE INDEX entry_person ON entry (person);
"""
_HEAD = 0
_MARKS = ("application_id", "user_version")
_BUSY = {"SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_PROTOCOL"}
_DAMAGED = {"SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_ERROR", "SQLITE_MISMATCH"}


@dataclass(frozen=True)
class Row:
    """One opened row."""

    id: int
    person: int
    kind: int
    """1 or more; what it stands for is the caller's choice."""
    plain: bytes


@dataclass
class _State:
    """The head's content: what the file is about, and count and fingerprint of each kind."""

    about: dict[str, Any]
    kinds: dict[int, tuple[int, int]]

    def note(self, kind: int, mark: int, step: int) -> None:
        count, prints = self.kinds.get(kind, (0, 0))
        self.kinds[kind] = (count + step, prints ^ mark)

    def to_bytes(self) -> bytes:
        return json.dumps({"about": self.about, "kinds": list(self.kinds.items())}).encode()

    @classmethod
    def from_bytes(cls, plain: bytes) -> Self:
        found = json.loads(plain)
        kinds = {int(kind): (int(count), int(prints)) for kind, (count, prints) in found["kinds"]}
        return cls(found["about"], kinds)


class Vault(Closing):
    """An open vault; a context manager. One object belongs to one thread.

    Other processes may read while one writes. Every method raises WatchlistBusy where another
    process holds the file for longer than it waits, WatchlistError where the file is damaged or
    was changed, WrongKey where it was given another key meanwhile, OutputError where it cannot be
    written.
    """

    def __init__(self, path: Path, secret: Secret, wait: float = WAIT) -> None:
        """Opens an existing vault; raises WrongKey where the secret is not its own."""
        if not path.is_file():
            raise WatchlistError("no such watch-list: make it with watchlist create")
        with _told():
            self._db = _connect(path, wait)
        try:
            with _told():
                self._vault, kind, salt, cost = self._outline()
            if kind != secret.kind:
                raise WrongKey(f"this watch-list opens with a {kind}, not with a {secret.kind}")
            self._key = secret.key(salt, cost)
            with _told():
                self._read_head()
        except BaseException:
            self._db.close()
            raise

    @classmethod
    def create(cls, path: Path, secret: Secret, about: dict[str, Any], cost: int = COST) -> None:
        """Makes an empty vault that only its owner can read; OutputError where there is a file.

        `about` is kept sealed and given back by `about`; `cost` is that of scrypt.
        """
        made = path.with_name(f".{secrets.token_hex(8)}.part")
        try:
            if path.exists():
                raise FileExistsError(17, "there is a file of this name")
            os.close(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            with _told():
                db = _connect(made, WAIT)
                try:
                    _fill(db, secret, about, cost)
                finally:
                    db.close()
            made.rename(path)
        except OSError as error:
            raise OutputError(f"the watch-list cannot be made: {error.strerror}") from error
        finally:
            made.unlink(missing_ok=True)

    def close(self) -> None:
        """Also done at the end of a `with` block."""
        with _told():
            self._db.close()

    @property
    def about(self) -> dict[str, Any]:
        """What was given at the making."""
        with _told():
            return self._read_head().about

    def count(self, kind: int) -> int:
        """Rows of this kind."""
        with _told():
            return self._read_head().kinds.get(kind, (0, 0))[0]

    def rows(self, *kinds: int) -> Iterator[Row]:
        """All rows of these kinds, as they were at one moment, in order of their making.

        Raises WatchlistError at the end at the latest where rows are missing or were put back.
        """
        with _told(), self._reading():
            expected = self._read_head()
            met = _State({}, {})
            marks = ",".join("?" * len(kinds))
            query = (
                f"SELECT id, person, kind, sealed FROM entry WHERE kind IN ({marks}) ORDER BY id"  # noqa: S608 - question marks only
            )
            for row, person, kind, sealed in self._db.execute(query, kinds):
                place = _place(self._vault, kind, person, row)
                met.note(kind, self._key.fingerprint(sealed, place), 1)
                yield Row(row, person, kind, self._key.open(sealed, place))
            for kind in kinds:
                if met.kinds.get(kind, (0, 0)) != expected.kinds.get(kind, (0, 0)):
                    raise WatchlistError("entries of the watch-list are missing or were put back")

    def rows_of(self, person: int) -> list[Row]:
        """The rows of one person, each opened."""
        query = "SELECT id, person, kind, sealed FROM entry WHERE person = ? ORDER BY id"
        with _told():
            return [
                Row(row, of, kind, self._key.open(sealed, _place(self._vault, kind, of, row)))
                for row, of, kind, sealed in self._db.execute(query, (person,)).fetchall()
            ]

    def find(self, tag: bytes) -> int | None:
        """The person of the row that was added with this tag."""
        with _told():
            query = "SELECT person FROM entry WHERE tag = ?"
            found = self._db.execute(query, (self._key.tag(tag),)).fetchone()
        return None if found is None else int(found[0])

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        """All that is written inside happens at its end, or not at all after an exception."""
        with _told():
            self._db.execute("BEGIN IMMEDIATE")
        try:
            writer = Writer(self._db, self._vault, self._key, self._read_head())
            with _told():
                yield writer
                writer.finish()
                self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        if writer.removed:
            self.wipe()

    def wipe(self) -> None:
        """Rewrites the file so that no byte of what was removed is left in it or beside it.

        Done after every removal; raises WatchlistBusy where readers keep the old state from being
        overwritten. The removal holds all the same, and the next wipe makes up for it.
        """
        try:
            with _told():
                self._db.execute("VACUUM")
                busy, _, _ = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                if busy:
                    raise WatchlistBusy("another process reads the old state")
                self._db.execute("UPDATE head SET unwiped = 0")
        except WatchlistBusy as error:
            raise WatchlistBusy(
                "done, but traces of what was removed stay in the file until another process "
                "that holds it ends: then run watchlist expire"
            ) from error

    @property
    def version(self) -> int:
        """Another number after every change that another connection made."""
        with _told():
            return int(self._db.execute("PRAGMA data_version").fetchone()[0])

    @property
    def unwiped(self) -> bool:
        """Whether traces of something removed are still in the file."""
        with _told():
            return bool(self._db.execute("SELECT unwiped FROM head").fetchone()[0])

    def rekey(
        self, secret: Secret, tag_of: Callable[[Row], bytes | None], cost: int = COST
    ) -> None:
        """Seals everything anew under another secret; the old one opens nothing any more.

        `tag_of` gives the tag that a row was added with. Whole or not at all.
        """
        salt = os.urandom(SALT)
        key = secret.key(salt, cost)
        with self.writing() as writer:
            state = _State(writer.state.about, {})
            for row in self.rows(*writer.state.kinds):
                place = _place(self._vault, row.kind, row.person, row.id)
                sealed = key.seal(row.plain, place)
                state.note(row.kind, key.fingerprint(sealed, place), 1)
                tag = tag_of(row)
                writer.replace(row.id, sealed, None if tag is None else key.tag(tag))
            query = "UPDATE head SET secret = ?, salt = ?, cost = ?"
            self._db.execute(query, (secret.kind, salt, cost))
            writer.state, writer.key, writer.removed = state, key, True
        self._key = key

    def _outline(self) -> tuple[bytes, str, bytes, int]:
        marks = [self._db.execute(f"PRAGMA {p}").fetchone()[0] for p in _MARKS]
        if marks[0] != APPLICATION:
            raise WatchlistError("this file is no watch-list")
        if marks[1] != VERSION:
            raise WatchlistError(f"a watch-list of form {marks[1]}; this version reads {VERSION}")
        found = self._db.execute("SELECT vault, secret, salt, cost FROM head").fetchone()
        if found is None:
            raise WatchlistError("the head of the watch-list is missing")
        return found[0], found[1], found[2], found[3]

    def _read_head(self) -> _State:
        sealed = self._db.execute("SELECT sealed FROM head").fetchone()[0]
        try:
            return _State.from_bytes(self._key.open(sealed, _place(self._vault, _HEAD, 0, 0)))
        except WatchlistError as error:
            raise WrongKey(
                "wrong passphrase or key file, or the file's head was changed"
            ) from error

    @contextmanager
    def _reading(self) -> Iterator[None]:
        if self._db.in_transaction:  # inside `writing` its state is the one to be read
            yield
            return
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            self._db.execute("ROLLBACK")


class Writer:
    """What may be changed inside `Vault.writing`."""

    def __init__(self, db: sqlite3.Connection, vault: bytes, key: Key, state: _State) -> None:
        self._db, self._vault = db, vault
        self.key, self.state, self.removed = key, state, False
        self._last = int(db.execute("SELECT coalesce(max(id), 0) FROM entry").fetchone()[0])

    def add(self, kind: int, person: int, plain: bytes, tag: bytes | None = None) -> int:
        """Seals one row and returns its number; EntryError where the tag is taken."""
        row = self._last + 1
        place = _place(self._vault, kind, person, row)
        sealed = self.key.seal(plain, place)
        mark = None if tag is None else self.key.tag(tag)
        query = "INSERT INTO entry (id, person, kind, tag, sealed) VALUES (?, ?, ?, ?, ?)"
        try:
            self._db.execute(query, (row, person, kind, mark, sealed))
        except sqlite3.IntegrityError as error:
            raise EntryError("the name is taken") from error
        self._last = row
        self.state.note(kind, self.key.fingerprint(sealed, place), 1)
        return row

    def replace(self, row: int, sealed: bytes, mark: bytes | None) -> None:
        """Puts other bytes into a row, sealed already; the state is the caller's to set."""
        query = "UPDATE entry SET sealed = ?, tag = ? WHERE id = ?"
        self._db.execute(query, (sealed, mark, row))

    def remove(self, person: int) -> int:
        """Removes all rows of a person and returns how many there were."""
        query = "DELETE FROM entry WHERE person = ? RETURNING id, kind, sealed"
        gone = self._db.execute(query, (person,)).fetchall()
        for row, kind, sealed in gone:
            place = _place(self._vault, kind, person, row)
            self.state.note(kind, self.key.fingerprint(sealed, place), -1)
        self.removed = self.removed or bool(gone)
        return len(gone)

    def finish(self) -> None:
        """Writes the head; called at the end of `Vault.writing`."""
        sealed = self.key.seal(self.state.to_bytes(), _place(self._vault, _HEAD, 0, 0))
        query = "UPDATE head SET sealed = ?, unwiped = max(unwiped, ?)"
        self._db.execute(query, (sealed, int(self.removed)))


def _place(vault: bytes, kind: int, person: int, row: int) -> bytes:
    """33 bytes that name one row of one vault, for the seal."""
    numbers = (kind.to_bytes(1, "big"), person.to_bytes(8, "big"), row.to_bytes(8, "big"))
    return vault + b"".join(numbers)


def _fill(db: sqlite3.Connection, secret: Secret, about: dict[str, Any], cost: int) -> None:
    vault, salt = os.urandom(16), os.urandom(SALT)
    key = secret.key(salt, cost)
    sealed = key.seal(_State(about, {}).to_bytes(), _place(vault, _HEAD, 0, 0))
    # Readers and a writer at once.
    db.execute("PRAGMA journal_mode = WAL").fetchall()
    db.execute("BEGIN")
    for statement in _SCHEMA.split(";"):
        db.execute(statement)
    db.execute(
        "INSERT INTO head VALUES (1, ?, ?, ?, ?, 0, ?)", (vault, secret.kind, salt, cost, sealed)
    )
    db.execute(f"PRAGMA application_id = {APPLICATION}")
    db.execute(f"PRAGMA user_version = {VERSION}")
    db.execute("COMMIT")


def _connect(path: Path, wait: float) -> sqlite3.Connection:
    # The connection begins and ends no transactions of its own accord.
    uri = f"{path.absolute().as_uri()}?mode=rw"
    db = sqlite3.connect(uri, uri=True, timeout=wait, isolation_level=None)
    try:
        # A commit is on the disk; what is removed is overwritten.
        for pragma in ("synchronous = FULL", "secure_delete = ON"):
            db.execute(f"PRAGMA {pragma}").fetchall()
    except BaseException:
        db.close()
        raise
    return db


@contextmanager
def _told() -> Iterator[None]:
    """Says SQLite's errors in the words of this package."""
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "")
        kind = "_".join(name.split("_")[:2])
        if kind in _BUSY:
            raise WatchlistBusy("another process holds the watch-list; try again later") from error
        if kind in _DAMAGED or not isinstance(error, sqlite3.OperationalError):
            raise WatchlistError("no watch-list, or one that was cut off or damaged") from error
        raise OutputError(f"the watch-list cannot be used: {error}") from error
