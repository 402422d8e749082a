"""Work off the event loop: few threads, short queues, and no wait without an end.

A thread cannot be stopped from outside. When a client leaves or its time is up, what still waits
is dropped, and what runs is told through its `Leave`: it stops at its next step. One call into a
decoder or a network is the longest that goes on; its result is thrown away, and its thread serves
nobody until it returns, so the lane never runs more at once than it has threads.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from facecctv.api.problems import busy

T = TypeVar("T")


class Left(Exception):
    """Nobody waits for the result any more."""


class Leave:
    """Told by the event loop, asked by the thread."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def tell(self) -> None:
        """Nobody waits any more."""
        self._event.set()

    def check(self) -> None:
        """Raises Left if so."""
        if self._event.is_set():
            raise Left


class Lane:
    """A number of threads and the queue before them."""

    def __init__(self, name: str, threads: int, queue: int) -> None:
        self.name = name
        self._pool: ThreadPoolExecutor | None = None
        self._threads = threads
        self._queue = queue
        self._running: dict[Future[object], float] = {}
        self._lock = threading.Lock()
        self._inside = 0
        self.dropped = 0
        """Work that was never begun because nobody waited for it any more."""

    @property
    def waiting(self) -> int:
        """Work that has not begun."""
        return max(0, self._inside - self._threads)

    def oldest(self) -> float:
        """Seconds that the longest running work has been running; 0 if none is."""
        with self._lock:
            began = min(self._running.values(), default=None)
        return 0.0 if began is None else time.monotonic() - began

    async def run(self, work: Callable[[], T], leave: Leave, seconds: float) -> T:
        """The result of the work, or what it raised.

        Raises Problem 429 if the queue is full, or the seconds are over before the work has begun:
        others are the reason, and the same work may go through later. 503 when they are over while
        it runs. Being cancelled is how the caller says that nobody waits any more.
        """
        with self._lock:
            if self._inside >= self._threads + self._queue:
                raise busy(429, "too much is waiting already", 2)
            self._inside += 1
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, f"facecctv-{self.name}")
        future: Future[T] = self._pool.submit(self._timed, work, leave)
        future.add_done_callback(self._count_out)
        result = asyncio.wrap_future(future)
        # What it raises when nobody waits any more is nobody's business.
        result.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(result)
        except TimeoutError as error:
            if not future.running() and not future.done():
                detail = f"too much was waiting: not begun within {seconds:.0f} seconds"
                raise busy(429, detail, 5) from error
            raise busy(503, f"not done within {seconds:.0f} seconds", 5) from error
        finally:
            if not future.done():
                leave.tell()
                if future.cancel():
                    self.dropped += 1

    def _timed(self, work: Callable[[], T], leave: Leave) -> T:
        leave.check()
        mark: Future[object] = Future()
        with self._lock:
            self._running[mark] = time.monotonic()
        try:
            return work()
        finally:
            with self._lock:
                del self._running[mark]

    def _count_out(self, _: Future[T]) -> None:
        with self._lock:
            self._inside -= 1

    def close(self) -> None:
        """Ends the threads when they have done what they are at, and drops the rest.

        Work that comes later, as when a server starts its app again, gets new ones.
        """
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None
