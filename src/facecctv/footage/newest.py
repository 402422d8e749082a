"""A short queue between a source that does not wait and work that may be slower."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

_PATIENCE = 0.2
"""Seconds between two looks at whether there is an interruption from the keyboard."""


class Newest(Generic[T]):
    """A few items in order; where there is no room the oldest makes way and is counted."""

    def __init__(self, room: int) -> None:
        self._room, self._items = room, deque[T]()
        self._changed = threading.Condition()
        self._ended = False
        self._error: BaseException | None = None
        self.dropped = 0
        """Items that made way."""

    def put(self, item: T, *, wait: bool = False) -> None:
        """Adds an item; with `wait` once there is room. After the end it is of no use any more."""
        with self._changed:
            while wait and len(self._items) >= self._room and not self._ended:
                self._changed.wait(_PATIENCE)
            if self._ended:
                return
            if len(self._items) >= self._room:
                self._items.popleft()
                self.dropped += 1
            self._items.append(item)
            self._changed.notify_all()

    def end(self, error: BaseException | None = None) -> None:
        """Nothing comes any more; the first end counts. An error is raised by the iteration."""
        with self._changed:
            if not self._ended:
                self._ended, self._error = True, error
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        """What is put in, as it comes, until the end; what waits then still comes."""
        while True:
            with self._changed:
                while not self._items and not self._ended:
                    self._changed.wait(_PATIENCE)
                if not self._items:
                    if self._error is not None:
                        raise self._error
                    return
                item = self._items.popleft()
                self._changed.notify_all()
            yield item
