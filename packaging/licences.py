"""What may go into the bundle: nothing that is under the GPL alone.

FFmpeg with x264 or x265 is, so is GNU Readline, and so are modules of Qt that PySide6's wheel has
beside those under the LGPL (Charts, Quick 3D, Virtual Keyboard, …) and that PyInstaller takes in as
plug-ins of QML, which the window does without.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, files
from pathlib import PurePath

COPYLEFT = ("x264", "x265", "xvid", "xavs", "davs2", "rubberband", "vidstab", "frei0r", "cdio",
            "readline", "gdbm")  # fmt: skip
"""Libraries under the GPL; all but the last two are FFmpeg's (its LICENSE.md lists them)."""

QT = {"Core", "DBus", "Gui", "Network", "OpenGL", "OpenGLWidgets", "Positioning", "PrintSupport",
      "Qml", "QmlMeta", "QmlModels", "QmlWorkerScript", "Quick", "QuickWidgets", "Svg",
      "WaylandClient", "WebChannel", "WebEngineCore", "WebEngineWidgets", "Widgets",
      "WlShellIntegration", "XcbQpa"}  # fmt: skip
"""Modules of Qt, all under the LGPL, that a window with a web view loads on Linux."""
_QT_LIBRARY = re.compile(r"libQt6(\w+)\.so")


def copyleft_in(names: Iterable[str]) -> list[str]:
    """Those of these files, or of these options of FFmpeg's build, that are under the GPL."""
    found = []
    for name in names:
        word = PurePath(name).name.lower()
        if any(word.startswith((f"lib{part}", part, f"--enable-lib{part}")) for part in COPYLEFT):
            found.append(PurePath(name).name)
    return sorted(found)


def belongs(place: str, needs: Iterable[str] = ()) -> bool:
    """Whether a file of the bundle may stay: by its place there and the libraries it needs."""
    parts, names = PurePath(place).parts, (place, *needs)
    if "PySide6" in parts and "qml" in parts:
        return False
    libraries = (_QT_LIBRARY.match(PurePath(name).name) for name in names)
    return not copyleft_in(names) and all(found is None or found[1] in QT for found in libraries)


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
