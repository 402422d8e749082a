"""Files as the caller names them: which to read, and how to write one whole or not at all."""

from __future__ import annotations

import glob
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path

from facecctv.errors import OutputError

SUFFIXES = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff"),
        *(".bmp", ".dib", ".gif", ".avif", ".heic", ".heif"),
    }
)
"""What counts as a picture in a folder. A file named by the caller is taken whatever its name."""


def shown(path: str | os.PathLike[str]) -> str:
    """A file name fit for a message: as the caller wrote it, on one line, valid Unicode."""
    name = os.fspath(path)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def find(paths: Iterable[str | os.PathLike[str]]) -> Iterator[str]:
    """The files meant by names, folders and patterns, in the order given, named as they were.

    Folders are searched recursively in sorted order for picture suffixes, hidden entries left
    out; each folder once, so loops of links end. A pattern (`*`, `?`, `[…]`, `**`) stands for its
    sorted matches unless a file has exactly that name. What does not exist, matches nothing or
    may not be listed is yielded as it is, so that reading it says why.
    """
    for given in paths:
        name = os.fspath(given)
        if glob.has_magic(name) and not os.path.lexists(name):
            for match in _matches(name) or [name]:
                yield from _files(match)
        else:
            yield from _files(name)


def _matches(pattern: str) -> list[str]:
    try:
        return sorted(glob.glob(pattern, recursive=True))
    except ValueError:
        # No file name can have a zero byte or half a character in it.
        return []


def _files(path: str) -> Iterator[str]:
    if os.path.isdir(path):
        yield from _walk(path, set())
    else:
        yield path


def _walk(folder: str, seen: set[tuple[int, int]]) -> Iterator[str]:
    try:
        identity = os.stat(folder)
        names = sorted(os.listdir(folder))
    except OSError:
        # Reading the folder as a picture then reports it in a line of its own.
        yield folder
        return
    key = (identity.st_dev, identity.st_ino)
    if key in seen:
        return
    seen.add(key)
    for name in names:
        path = os.path.join(folder, name)
        if name.startswith("."):
            continue
        if os.path.isdir(path):
            yield from _walk(path, seen)
        elif os.path.splitext(name)[1].lower() in SUFFIXES:
            yield path


def write_atomic(path: str | os.PathLike[str], data: bytes) -> None:
    """Writes a file whole or not at all: a temporary file beside it, synced, moved into place.

    Replaces an existing file. Whatever goes wrong, also an interruption, the temporary file is
    removed and an existing file stays as it was. Raises OutputError if the disk is full, the
    folder is missing or may not be written, or the path is a folder.
    """
    target = os.fspath(path)
    try:
        temporary = os.path.join(os.path.dirname(target), f".{secrets.token_hex(8)}.part")
        try:
            with open(temporary, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except (OSError, ValueError) as error:
        # ValueError: a name with a zero byte.
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{shown(target)}: cannot be written: {reason}") from error
