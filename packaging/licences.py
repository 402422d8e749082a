"""Whether the installed PyAV may go into the bundle: FFmpeg with x264 or x265 is under the GPL."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, files
from pathlib import PurePath

COPYLEFT = ("x264", "x265", "xvid", "xavs", "davs2", "rubberband", "vidstab", "frei0r", "cdio")
"""Libraries under the GPL that FFmpeg can be built with (its own LICENSE.md lists them)."""


def copyleft_in(names: Iterable[str]) -> list[str]:
    """Those of these files, or of these options of FFmpeg's build, that are under the GPL."""
    found = []
    for name in names:
        word = PurePath(name).name.lower()
        if any(word.startswith((f"lib{part}", part, f"--enable-lib{part}")) for part in COPYLEFT):
            found.append(PurePath(name).name)
    return sorted(found)


def why_not_av() -> str:
    """Why PyAV stays out of the bundle, in words; empty where nothing speaks against it."""
    try:
        brought = files("av") or []
    except PackageNotFoundError:
        return "it is not installed"
    carried = copyleft_in(map(str, brought))
    if carried:
        return f"its wheel carries {', '.join(carried)}, which are under the GPL"
    from av._core import library_meta  # public by no other name

    for library in library_meta.values():
        if library["license"].startswith("GPL"):
            return f"its FFmpeg is under the {library['license']}"
        linked = copyleft_in(library["configuration"].split())
        if linked:
            return f"its FFmpeg was built with {', '.join(linked)}: under the GPL"
    return ""
