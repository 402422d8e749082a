"""Where the web app is shown: in a window of its own, or in the default browser."""

from __future__ import annotations

import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

Entrance = Callable[[], str]
"""Makes an address that lets in one visitor, once."""


class View(Protocol):
    """`run` is for the main thread; everything else may be called from any."""

    native: bool
    """Whether it has the dialogs of the system; without them the page uses the browser's."""

    def run(self, entrance: Entrance) -> None:
        """Shows the app until it is closed."""

    def show(self) -> bool:
        """Brings it to the front; False once it is closing."""

    def close(self) -> None:
        """Ends `run`, also if it has not begun yet."""

    def open_pictures(self) -> list[Path]:
        """Asks the user for files to read; empty if the user thinks better of it."""

    def save_as(self, name: str) -> Path | None:
        """Asks the user where to write a file, `name` being proposed."""


class Browser:
    """The default browser; the app ends with Ctrl-C."""

    native = False

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._closed = threading.Event()
        self._entrance: Entrance | None = None

    def run(self, entrance: Entrance) -> None:
        self._entrance = entrance
        self._open(entrance)
        self._say("Ctrl-C ends FaceCCTV.")
        # With a timeout, as Windows does not let Ctrl-C into a wait without one.
        while not self._closed.wait(1):
            pass

    def show(self) -> bool:
        if self._entrance is None or self._closed.is_set():
            return False
        self._open(self._entrance)
        return True

    def close(self) -> None:
        self._closed.set()

    def open_pictures(self) -> list[Path]:
        return []

    def save_as(self, name: str) -> Path | None:
        return None

    def _open(self, entrance: Entrance) -> None:
        if not webbrowser.open(entrance()):
            # Another ticket: a browser that failed may have used the first.
            self._say(f"Open this in a browser of this machine; it works once: {entrance()}")
