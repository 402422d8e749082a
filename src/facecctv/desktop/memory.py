"""What the desktop app remembers between runs: the window's size and the user's settings.

No picture and no file name: `keep_settings` takes a few short words and numbers and nothing else.
"""

from __future__ import annotations

import json
import threading
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from facecctv.errors import InputError, OutputError
from facecctv.image import shown, write_atomic

LARGEST = 4096
"""Bytes of settings."""
_MOST = 32
_LONGEST = 40
_SCALARS = (str, int, float, bool, type(None))


@dataclass(frozen=True)
class WindowSize:
    """In logical pixels."""

    width: int = 1320
    height: int = 860
    maximised: bool = False

    def __post_init__(self) -> None:
        for field in fields(self):
            # bool is an int, and JSON's 1 is not true.
            if type(getattr(self, field.name)) is not type(field.default):
                raise ValueError(f"{field.name} has another type")
        if not (400 <= self.width <= 20_000 and 300 <= self.height <= 20_000):
            raise ValueError("no size for a window")


class Memory:
    """A JSON file; whatever in it makes no sense is as good as absent."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()

    @property
    def window(self) -> WindowSize:
        """As it was left."""
        try:
            return WindowSize(**self._read().get("window", {}))
        except (TypeError, ValueError):
            return WindowSize()

    @property
    def settings(self) -> dict[str, Any]:
        """The web app's, as it keeps them."""
        found = self._read().get("settings")
        return found if isinstance(found, dict) and _plain(found) else {}

    def keep_window(self, size: WindowSize) -> None:
        """Raises OutputError if it cannot be written."""
        self._write(window=asdict(size))

    def keep_settings(self, data: bytes) -> None:
        """Takes one JSON object of short words, numbers and switches.

        Raises InputError for anything else, OutputError if it cannot be written.
        """
        try:
            found = json.loads(data) if len(data) <= LARGEST else None
        except ValueError:
            found = None
        if not _plain(found):
            raise InputError("settings are one JSON object of short words and numbers")
        self._write(settings=found)

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(self._file.read_bytes())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _write(self, **parts: Any) -> None:
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{shown(self._file.parent)}: {error.strerror}") from error
        with self._lock:
            write_atomic(self._file, json.dumps(self._read() | parts, indent=2).encode())


def _plain(found: object) -> bool:
    if not isinstance(found, dict) or len(found) > _MOST:
        return False
    return all(
        len(key) <= _LONGEST
        and isinstance(value, _SCALARS)
        and (not isinstance(value, str) or len(value) <= _LONGEST)
        for key, value in found.items()
    )
