"""Videos that lie in memory: FFmpeg reads and writes them as it would files."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

Source = str | os.PathLike[str] | bytes | bytearray
"""A video file by its path, or the bytes of one."""

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class Bytes(io.RawIOBase):
    """Reads a buffer without a second copy of it; any number may read one at once."""

    def __init__(self, data: bytes | bytearray) -> None:
        self._view = memoryview(data)
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        """At most so many bytes from here; all that are left for -1."""
        end = len(self._view) if size is None or size < 0 else self._at + size
        found = bytes(self._view[self._at : end])
        self._at += len(found)
        return found

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: len(self._view)}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def close(self) -> None:
        """Lets go of the buffer, which cannot change its size before."""
        self._view.release()
        super().close()


class Sink(io.RawIOBase):
    """Takes a video that is written; the buffer `data` grows up to `most` bytes.

    `grown` is told of each so many bytes more, and may raise an OSError as a full disk does.
    """

    def __init__(
        self, most: int | None = None, grown: Callable[[int], None] = lambda count: None
    ) -> None:
        self.data = bytearray()
        self._most, self._grown = most, grown
        self._at = 0

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def write(self, data: ReadableBuffer) -> int:
        """Raises OSError (no space) for more than `most`."""
        with memoryview(data) as view:
            end = self._at + view.nbytes
            if self._most is not None and end > self._most:
                raise OSError(errno.ENOSPC, f"would be larger than {self._most:,} bytes")
            more = max(0, end - len(self.data))
            if more:
                self._grown(more)
                # What a seek beyond the end leaves open reads as zeros, as in files.
                self.data.extend(bytes(more))
            self.data[self._at : end] = view
            self._at = end
            return view.nbytes

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: len(self.data)}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def empty(self) -> None:
        """Overwrites what was written with zeros; its size stays."""
        wipe(self.data)


def wipe(data: bytearray) -> None:
    """Overwrites a buffer with zeros, in place and without a second one of its size."""
    with memoryview(data) as view:
        zeros = bytes(min(len(data), 65536))
        for start in range(0, len(data), 65536):
            part = view[start : start + 65536]
            part[:] = zeros[: len(part)]
