"""Files that the user chose in a dialog, each behind an address that works once.

The page never learns a path and can name none: it reads what was chosen for opening, and writes
what was chosen for saving.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Literal

Purpose = Literal["read", "write"]


class Shelf:
    """Tickets to paths, for the time of one run."""

    def __init__(self) -> None:
        self._files: dict[tuple[Purpose, str], Path] = {}

    def put(self, path: Path, purpose: Purpose) -> str:
        """A ticket for it."""
        ticket = secrets.token_urlsafe(32)
        self._files[purpose, ticket] = path
        return ticket

    def take(self, ticket: str, purpose: Purpose) -> Path | None:
        """The path, at the first time only and for its purpose only."""
        return self._files.pop((purpose, ticket), None)
