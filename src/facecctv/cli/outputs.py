"""Where results go: names that never meet, folders that appear whole, sources left as they were."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from facecctv import __version__
from facecctv.errors import OutputError, SourceChanged
from facecctv.image.files import shown

INDEX = "index.html"
RESULT = "result.json"
_LONGEST_NAME = 180
"""Bytes of a name, so that what is appended still fits the 255 of a file system."""
_OURS = re.compile(
    r"annotated\.png|(sheet|before-after)(-\d+)?\.png|result\.json"
    r"|(crops|enhanced|changes|coloured)(/face-\d+\.png)?|crops/body-\d+\.png"
    r"|people(/person-\d+(/((crop|enhanced|coloured)-\d+|fused|changes|enhanced)\.png)?)?"
)


class Names:
    """One name for each source, from its own, different from all others given."""

    def __init__(self, reserved: Sequence[str] = ()) -> None:
        self._given = {name.casefold() for name in reserved}

    def give(self, source: str, is_taken: Callable[[str], bool]) -> str:
        """The source's name without suffix, and with a number where that is taken."""
        stem = _stem(source)
        for number in count(1):
            name = stem if number == 1 else f"{stem}-{number}"
            # Some file systems take "A" and "a" for one name.
            if name.casefold() not in self._given and not is_taken(name):
                self._given.add(name.casefold())
                return name
        raise AssertionError("counting never ends")


def _stem(source: str) -> str:
    stem = os.path.splitext(os.path.basename(source))[0].lstrip(".").rstrip(". ")
    while len(os.fsencode(stem)) > _LONGEST_NAME:
        stem = stem[:-1]
    return stem or "picture"


def provenance(sha256: str) -> dict[str, str]:
    """What a written picture says of itself; no path, which may tell more than it should."""
    return {"Software": f"FaceCCTV {__version__}", "Source SHA-256": sha256}


def folder(path: Path) -> Path:
    """Makes the output folder where needed; raises OutputError where that is impossible."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_write(path, error) from error
    return path


@contextmanager
def workshop(out: Path) -> Iterator[Path]:
    """A hidden folder inside `out` in which results are made; gone afterwards in any case.

    Raises OutputError, before any work is done, where nothing can be written.
    """
    folder(out)
    try:
        made = tempfile.TemporaryDirectory(prefix=".facecctv-", dir=out, ignore_cleanup_errors=True)
    except OSError as error:
        raise _cannot_write(out, error) from error
    with made as name:
        yield Path(name)


def holds_source(path: Path, sources: Sequence[str]) -> bool:
    """Whether one of the sources lies in this folder or below, links followed or not."""
    inside = os.path.join(os.path.realpath(path), "")
    return any(
        os.path.join(os.path.realpath(os.path.dirname(source)), "").startswith(inside)
        or os.path.realpath(source).startswith(inside)
        for source in sources
    )


def result_in(path: Path) -> dict[str, object] | None:
    """The result that a folder holds; None if it is anything but a whole result of `examine`."""
    if path.is_symlink() or not path.is_dir():
        return None
    try:
        entries = [entry.relative_to(path).as_posix() for entry in path.rglob("*")]
        found = json.loads((path / RESULT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        # Unreadable or no JSON: somebody else's.
        return None
    if not isinstance(found, dict) or not all(_OURS.fullmatch(entry) for entry in entries):
        return None
    return found


def publish(made: Path, target: Path) -> None:
    """Moves a finished folder into place; what was there before goes, but only once it can.

    Raises OutputError and leaves the earlier folder as it was where the move is impossible.
    """
    earlier = made.with_name(f"{made.name}.earlier")
    try:
        if target.exists():
            os.rename(target, earlier)
            try:
                os.rename(made, target)
            except BaseException:
                os.rename(earlier, target)
                raise
            shutil.rmtree(earlier)
        else:
            os.rename(made, target)
    except OSError as error:
        raise _cannot_write(target, error) from error


def publish_files(made: Path, folder: Path, names: Sequence[str]) -> None:
    """Moves finished files into a folder, in this order; each replaces one of its name.

    Raises OutputError where that is impossible; an earlier file is then as it was.
    """
    for name in names:
        try:
            os.replace(made / name, folder / name)
        except OSError as error:
            raise _cannot_write(folder / name, error) from error


def check_unchanged(source: str, sha256: str) -> None:
    """Raises SourceChanged unless the file's bytes are still those that were read."""
    try:
        with open(source, "rb") as file:
            same = hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except OSError as error:
        raise SourceChanged(f"gone while it was examined: {error.strerror}") from error
    if not same:
        raise SourceChanged("changed while it was examined, so there is no result; try again")


def _cannot_write(path: Path, error: OSError) -> OutputError:
    return OutputError(f"{shown(path)}: cannot be written: {error.strerror or error}")
