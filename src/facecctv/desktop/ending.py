"""Ctrl-C and kill end the app as closing its window does."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from types import FrameType

_SIGNALS = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
    if hasattr(signal, name)
]


@contextlib.contextmanager
def on_signals(close: Callable[[], None]) -> Iterator[None]:
    """Calls `close`, from a thread, when the process is asked to end within the block.

    For the main thread. Python runs its own handlers only between its instructions, which a
    window's event loop may not come to for hours; the byte that every signal writes to the
    wake-up socket arrives at once.
    """
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)

    def wait() -> None:
        # An empty read is the end of the block.
        if ours.recv(1):
            close()

    thread = threading.Thread(target=wait, name="facecctv-signals")
    before = {number: signal.signal(number, _nothing) for number in _SIGNALS}
    previous = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(previous)
        for number, handler in before.items():
            signal.signal(number, handler)
        theirs.close()
        thread.join()
        ours.close()


def _nothing(number: int, frame: FrameType | None) -> None:
    """The wake-up socket has the byte already; without a handler there would be none."""
