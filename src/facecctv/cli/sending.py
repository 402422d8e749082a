"""Events to somebody elsewhere, without ever holding up who has them."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import NamedTuple

from facecctv.footage.newest import Newest

ROOM = 256
"""Events that wait; of more the oldest are lost and counted."""
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""This machine: only there may events go readable."""


class Message(NamedTuple):
    """An event as it is sent."""

    text: str
    """One JSON object."""
    camera: str = ""
    kind: str = ""
    """`appeared`, `matched`, `left` or `camera`."""


class Sender(ABC):
    """Sends from a thread of its own what is put in, in order.

    A subclass starts `_thread` once it is ready.
    """

    def __init__(self, name: str, room: int = ROOM) -> None:
        self.name = name
        """Where it goes, without secrets."""
        self.failed = 0
        """Events that were not taken there."""
        self.trouble = ""
        """Why the last one was not."""
        self._taken = self._delivered = 0
        self._waiting = Newest[Message](room)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="facecctv-sender", daemon=True)

    @property
    def dropped(self) -> int:
        """Events that made way for newer ones."""
        return self._waiting.dropped

    def put(self, text: str, camera: str = "", kind: str = "") -> None:
        """Sends an event, soon; returns at once. For one thread."""
        self._taken += 1
        self._waiting.put(Message(text, camera, kind))

    def close(self, wait: float = 5.0) -> None:
        """Takes no more; what waits has so many seconds, and what is left then is lost."""
        if self._stopped.is_set():
            return
        self._waiting.end()
        self._thread.join(wait)
        self._stopped.set()

    def account(self) -> list[str]:
        """What went wrong, in sentences; of a closed sender."""
        # Not failed + dropped: the thread may still be at what was left.
        lost = self._taken - self._delivered
        reason = f": {self.trouble}" if self.trouble else ""
        return [f"{lost} event{'s' * (lost > 1)} did not reach {self.name}{reason}"] if lost else []

    @abstractmethod
    def _deliver(self, message: Message) -> bool:
        """Whether it was taken, however long that took; ends soon once `_stopped` is set."""

    def _work(self) -> None:
        for message in self._waiting:
            if not self._stopped.is_set() and self._deliver(message):
                self._delivered += 1
            else:
                self.failed += 1
