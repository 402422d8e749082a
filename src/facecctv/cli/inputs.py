"""What the user named on the command line, as a list of files."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator

import typer

PICTURES = frozenset(
    "." + name
    for name in (
        *("avif", "bmp", "gif", "heic", "heif", "jfif", "jpe"),
        *("jpeg", "jpg", "png", "tif", "tiff", "webp"),
    )
)
"""Suffixes looked for inside folders. A file that is named itself is tried whatever its name."""


def expand(inputs: Iterable[str], suffixes: frozenset[str] = PICTURES) -> list[str]:
    """Files as named, folders with all inside, globs: in the order given, each file once.

    A path that does not exist, and a folder that cannot be read, stand for themselves, so that
    reading them gives that input's own error. Nothing at all is wrong usage (typer.BadParameter).
    """
    named = list(inputs)
    found = list(dict.fromkeys(path for text in named for path in _matches(text, suffixes)))
    if not found:
        raise typer.BadParameter(f"nothing to read in {', '.join(named)}")
    return found


def _matches(text: str, suffixes: frozenset[str]) -> Iterator[str]:
    if os.path.isdir(text):
        yield from _inside(text, suffixes)
    elif glob.has_magic(text) and not os.path.lexists(text):
        for path in sorted(glob.iglob(text, recursive=True)):
            if not os.path.isdir(path):
                yield path
            elif "**" not in text:  # which has walked into the folder already
                yield from _inside(path, suffixes)
    else:
        yield text


def _inside(folder: str, suffixes: frozenset[str]) -> Iterator[str]:
    unreadable: list[str] = []
    for parent, folders, files in os.walk(folder, onerror=lambda e: unreadable.append(e.filename)):
        folders.sort()
        for name in sorted(files):
            if os.path.splitext(name)[1].lower() in suffixes:
                yield os.path.join(parent, name)
    yield from unreadable
