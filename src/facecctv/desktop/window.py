"""The window: pywebview over the system's web view, which on Linux is Qt's."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from facecctv.desktop.memory import Memory, WindowSize
from facecctv.desktop.views import Entrance
from facecctv.errors import OutputError

CHECK_SECONDS = 60
_SMALLEST = (480, 480)
_PICTURES = (
    "Pictures (*.jpg;*.jpeg;*.png;*.webp;*.tif;*.tiff;*.bmp;*.gif;*.heic;*.heif;*.avif)",
    "All files (*.*)",
)
_ROOT = (
    "Qt's web view does not run as root with its sandbox on "
    "(QTWEBENGINE_CHROMIUM_FLAGS=--no-sandbox takes it off)"
)


class Window:
    """A window of its own. One for each process, and once."""

    native = True

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._window: Any = None  # pywebview's, made by run
        self._maximised = False
        self._lock = threading.Lock()
        self._closing = False

    def run(self, entrance: Entrance) -> None:
        """Raises OutputError if there is no window after all."""
        webview = _webview()
        size = self._memory.window
        with self._lock:
            if self._closing:
                return
            self._window = webview.create_window(
                "FaceCCTV", entrance(), width=size.width, height=size.height,
                maximized=size.maximised, min_size=_SMALLEST, text_select=True, zoomable=True,
            )  # fmt: skip
        self._maximised = size.maximised
        self._size = size
        self._window.events.maximized += self._on_maximised
        self._window.events.restored += self._on_restored
        self._window.events.resized += self._on_resized
        self._window.events.closing += self._on_closing
        try:
            # Private: cookies, cache and what pages store live in memory only.
            webview.start(private_mode=True, gui="qt" if sys.platform == "linux" else None)
        except webview.WebViewException as error:
            raise OutputError(f"no window: {error}") from error
        self._memory.keep_window(WindowSize(self._size.width, self._size.height, self._maximised))

    def show(self) -> bool:
        window = self._open_window()
        if window is None:
            return False
        window.show()
        # Brings it to the front, but to its normal size too.
        window.restore()
        if self._maximised:
            window.maximize()
        return True

    def close(self) -> None:
        with self._lock:
            self._closing = True
        if self._window is not None:
            self._window.destroy()

    def open_pictures(self) -> list[Path]:
        window = self._open_window()
        if window is None:
            return []
        dialog = _webview().FileDialog.OPEN
        chosen = window.create_file_dialog(dialog, allow_multiple=True, file_types=_PICTURES)
        return [Path(name) for name in chosen or ()]

    def save_as(self, name: str) -> Path | None:
        window = self._open_window()
        if window is None:
            return None
        chosen = window.create_file_dialog(_webview().FileDialog.SAVE, save_filename=name)
        # One name or a tuple with one, depending on the system.
        first = chosen if isinstance(chosen, str) else next(iter(chosen or ()), "")
        return Path(first) if first else None

    def _open_window(self) -> Any:
        with self._lock:
            return None if self._closing else self._window

    def _on_maximised(self) -> None:
        self._maximised = True

    def _on_restored(self) -> None:
        self._maximised = False

    def _on_resized(self, width: int, height: int) -> None:
        # Sizes while maximised are the screen's, not the user's.
        if not self._maximised:
            self._size = WindowSize(max(400, int(width)), max(300, int(height)))

    def _on_closing(self) -> None:
        with self._lock:
            self._closing = True


def obstacle() -> str | None:
    """Why no window can be opened here, as far as can be told without opening one."""
    if find_spec("webview") is None:
        return "pywebview is not installed (pip install 'facecctv[desktop]')"
    if sys.platform != "linux":
        return None
    if find_spec("PySide6") is None or find_spec("qtpy") is None:
        return "Qt is not installed (pip install 'facecctv[desktop]')"
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return "there is no display"
    flags = os.environ.get("QTWEBENGINE_CHROMIUM_FLAGS", "")
    off = "--no-sandbox" in flags or os.environ.get("QTWEBENGINE_DISABLE_SANDBOX") == "1"
    return _ROOT if os.geteuid() == 0 and not off else None


def rehearse() -> None:
    """Starts the web view without showing anything.

    Where Qt misses a library or does not reach the display it ends the process on the spot, so
    this is for a process that does nothing else.
    """
    if sys.platform != "linux":
        return
    os.environ.setdefault("QT_API", "pyside6")
    from qtpy.QtWebEngineCore import QWebEngineProfile  # before the application, as Qt wants it
    from qtpy.QtWidgets import QApplication

    application = QApplication([])
    QWebEngineProfile(application)


class Rehearsal:
    """`facecctv app --check` in a process of its own, while this one does other things."""

    def __init__(self) -> None:
        own = [] if getattr(sys, "frozen", False) else ["-m", "facecctv"]
        self._process = subprocess.Popen(  # noqa: S603 - ourselves
            [sys.executable, *own, "app", "--check"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def obstacle(self) -> str | None:
        """Waits for its end; why no window can be opened, if so."""
        try:
            failed = self._process.wait(CHECK_SECONDS) != 0
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            failed = True
        return "Qt cannot open one here (facecctv app --check says more)" if failed else None


def _webview() -> Any:
    """pywebview, which sets up logging when imported: only errors of its own are wanted."""
    os.environ.setdefault("QT_API", "pyside6")
    import webview

    logging.getLogger("pywebview").setLevel(logging.ERROR)
    return webview
