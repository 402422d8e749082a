"""Work that runs ahead in a thread of its own, by a few items and no more."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from typing import TypeVar

T = TypeVar("T")

_PATIENCE = 0.1
"""Seconds between two looks at whether anybody still wants the next item."""


class _End:
    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def ahead(items: Iterable[T], depth: int = 4) -> Generator[T]:
    """The same items, produced by a thread that is at most `depth` of them ahead.

    What the thread raises is raised here. Closing the generator ends the thread, and with it the
    iteration over `items`, before it returns.
    """
    waiting: queue.Queue[T | _End] = queue.Queue(maxsize=depth)
    stopped = threading.Event()
    producer = threading.Thread(
        target=_produce, args=(items, waiting, stopped), name="facecctv-ahead", daemon=True
    )
    producer.start()
    try:
        while True:
            item = waiting.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        stopped.set()
        producer.join()


def _produce(items: Iterable[T], waiting: queue.Queue[T | _End], stopped: threading.Event) -> None:
    end = _End()
    source = iter(items)
    try:
        for item in source:
            if not _put(waiting, item, stopped):
                break
    except BaseException as error:  # noqa: BLE001 - raised again by whoever waits
        end = _End(error)
    finally:
        close = getattr(source, "close", None)
        if close is not None:
            close()
    _put(waiting, end, stopped)


def _put(waiting: queue.Queue[T | _End], item: T | _End, stopped: threading.Event) -> bool:
    while not stopped.is_set():
        try:
            waiting.put(item, timeout=_PATIENCE)
        except queue.Full:
            continue
        return True
    return False
