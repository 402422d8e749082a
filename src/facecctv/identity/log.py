"""The log of searches: a chain of lines in which no line can be changed unseen.

Each line is a JSON object with the SHA-256 of the line before, so a change, a gap or another order
breaks the chain. That the end was cut off shows in the head file beside the log (its name with
`.head`), which holds number and hash of the last line; keep a copy of the head elsewhere, as an
anchor, and nobody who can write both files can cut the end off unseen either. There are names of
candidates in it, and no image and no embedding.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final, Literal

from facecctv.errors import LogTampered, OutputError, WatchlistBusy
from facecctv.types import Decision

FIRST: Final = "0" * 64
"""What stands for the hash of the line before the first."""
_WAIT, _AGAIN = 10.0, 0.02
_BLOCK = 1 << 16
_HEAD = re.compile(r"(\d{1,18}) ([0-9a-f]{64})\n?")


@dataclass(frozen=True)
class Search:
    """One search, as it is logged."""

    what: str
    """`watchlist` or `sightings`."""
    target: str
    """The id of the list, or the name of the case."""
    source: str
    """SHA-256 of the picture that was searched for."""
    compared: int
    """With how many templates."""
    rate: float
    """The false-match rate asked for."""
    matched: tuple[str, ...]
    """Names of the candidates that were reported."""
    decision: Decision
    by: str
    """Who searched."""
    reason: str = ""


@dataclass(frozen=True)
class Ruling:
    """What a person made of a search; a result is a lead until somebody decides."""

    of: int
    """Number of the search's line."""
    ruling: Literal["confirmed", "rejected", "open"]
    name: str
    """Of the candidate, or empty."""
    by: str
    reason: str = ""


@dataclass(frozen=True)
class Anchor:
    """How far a log went at one moment."""

    lines: int
    last: str
    """SHA-256 of the last line, hexadecimal."""

    def __str__(self) -> str:
        return f"{self.lines} {self.last}"

    @classmethod
    def of(cls, text: str) -> Anchor:
        """Reads what `str` gives; LogTampered for anything else."""
        found = _HEAD.fullmatch(text)
        if found is None:
            raise LogTampered("the head of the log is damaged")
        return cls(int(found[1]), found[2])


def log_of(watchlist: Path) -> Path:
    """Where the searches of a list are logged: beside it."""
    return watchlist.with_name(f"{watchlist.name}.log")


def head_of(path: Path) -> Path:
    """Where the head file of a log lies."""
    return path.with_name(f"{path.name}.head")


def append(path: Path, event: Search | Ruling, moment: datetime | None = None) -> Anchor:
    """Writes one event to the end of the log, on the disk when this returns.

    Makes the log where there is none. Raises LogTampered where log and head do not fit each other,
    OutputError where it cannot be written, WatchlistBusy where another process holds it.
    """
    when = (moment or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="milliseconds")
    with _locked(path):
        before = _last(path)
        facts = {"number": before.lines + 1, "time": when, "previous": before.last}
        line = json.dumps(facts | asdict(event), ensure_ascii=False, sort_keys=True)
        after = Anchor(before.lines + 1, _hash(line))
        try:
            with _private(path) as file:
                file.write(line.encode("utf-8", "backslashreplace") + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise _unwritable(error) from error
        _write_head(path, after)
    return after


def verify(path: Path, anchor: Anchor | None = None) -> Anchor:
    """Checks every line and returns how far the log goes.

    Raises LogTampered, naming the first line that is not what was written, and where lines are
    missing at the end, by the head file or by an anchor that was kept. An empty log without a head
    is one to which nothing was written.
    """
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OutputError):  # a copy on a disk that cannot be written
            stack.enter_context(_locked(path))
        head = _read_head(path)
        found, passed = Anchor(0, FIRST), {Anchor(0, FIRST)}
        for found in _chain(path):
            if found in (head, anchor):
                passed.add(found)
    if found.lines and head is None:
        raise LogTampered("the head file is missing, so nobody knows where the log ended")
    # One line may be ahead: the head is written after it.
    if head is not None and (head not in passed or found.lines > head.lines + 1):
        raise LogTampered(f"the log ends at line {found.lines}, its head says {head.lines}")
    if anchor is not None and anchor not in passed:
        raise LogTampered(f"line {anchor.lines} is not the one of the anchor")
    return found


def _chain(path: Path) -> Iterator[Anchor]:
    """How far the log goes, after each of its lines."""
    last = FIRST
    for number, line in enumerate(_lines(path), 1):
        facts = _facts(line, number)
        if facts.get("number") != number or facts.get("previous") != last:
            raise LogTampered(f"line {number} does not follow the one before it")
        last = _hash(line)
        yield Anchor(number, last)


def entries(path: Path) -> Iterator[dict[str, Any]]:
    """The lines as objects, in order, unchecked; LogTampered for one that is no object."""
    for number, line in enumerate(_lines(path), 1):
        yield dict(_facts(line, number))


def _facts(line: str, number: int) -> Mapping[str, Any]:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise LogTampered(f"line {number} is cut off or damaged") from error
    if not isinstance(found, dict):
        raise LogTampered(f"line {number} is no object")
    return found


def _hash(line: str) -> str:
    return hashlib.sha256(line.encode("utf-8", "backslashreplace")).hexdigest()


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    raise LogTampered(f"line {number} is cut off or damaged")
                try:
                    yield line[:-1].decode()
                except UnicodeDecodeError as error:
                    raise LogTampered(f"line {number} is cut off or damaged") from error
    except FileNotFoundError:
        return
    except OSError as error:
        raise OutputError(f"the log cannot be read: {error.strerror}") from error


def _read_head(path: Path) -> Anchor | None:
    try:
        return Anchor.of(head_of(path).read_text())
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise LogTampered("the head of the log cannot be read") from error


def _last(path: Path) -> Anchor:
    """The end of the log, which must be what the head says; a crash between the two is mended.

    The line is written first and the head second, so the log may be one whole line ahead, or have
    the beginning of one that was never finished.
    """
    head = _read_head(path)
    tail = _tail(path)
    if head is None:
        if not tail:
            return Anchor(0, FIRST)
        head = Anchor(0, FIRST)
    whole, dot, rest = tail.rpartition(b"\n")
    if rest:  # never finished, so never told to anybody
        with path.open("r+b") as file:
            file.truncate(file.seek(0, os.SEEK_END) - len(rest))
    if not dot:
        if head.lines:
            raise LogTampered("the log is empty, its head says otherwise")
        return head
    line = whole.rpartition(b"\n")[2].decode("utf-8", "surrogateescape")
    if _hash(line) == head.last:
        return head
    facts = _facts(line, head.lines + 1)
    if facts.get("number") == head.lines + 1 and facts.get("previous") == head.last:
        return Anchor(head.lines + 1, _hash(line))
    raise LogTampered(f"the log does not end with line {head.lines}, which its head names")


def _tail(path: Path) -> bytes:
    """The last two lines at least, or all there is."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            reach = _BLOCK
            while True:
                file.seek(max(0, size - reach))
                tail = file.read()
                if tail.count(b"\n") > 2 or reach >= size:
                    return tail
                reach *= 2
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise _unwritable(error) from error


def _write_head(path: Path, anchor: Anchor) -> None:
    made = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with _private(made) as file:
            file.write(f"{anchor}\n".encode())
            file.flush()
            os.fsync(file.fileno())
        made.replace(head_of(path))
    except OSError as error:
        raise _unwritable(error) from error
    finally:
        made.unlink(missing_ok=True)


def _private(path: Path) -> IO[bytes]:
    """At the end of a file that only its owner can read."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time; the lock goes with the process that holds it, however it ends."""
    place = path.with_name(f"{path.name}.lock")
    try:
        handle = os.open(place, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise _unwritable(error) from error
    try:
        end = time.monotonic() + _WAIT
        while not _lock(handle):
            if time.monotonic() > end:
                raise WatchlistBusy("another process holds the search log; try again later")
            time.sleep(_AGAIN)
        yield
    finally:
        os.close(handle)


def _unwritable(error: OSError) -> OutputError:
    return OutputError(f"the search log cannot be written: {error.strerror}")


if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> bool:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _lock(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
