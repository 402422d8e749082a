"""What the video commands share: progress over frames, and ending when asked to."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from facecctv.cli import batch
from facecctv.footage.decoding import Still
from facecctv.footage.video import Video
from facecctv.image import find
from facecctv.types import Frame

SUFFIXES = frozenset(
    {
        *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mts", ".m2ts", ".mpg"),
        *(".mpeg", ".vob", ".wmv", ".asf", ".flv", ".3gp", ".ogv", ".dav", ".h264", ".264"),
        *(".h265", ".265", ".mxf", ".y4m"),
    }
)
"""What counts as a video in a folder. A file named by the caller is taken whatever its name."""


def videos(
    inputs: Sequence[str],
    out: str | os.PathLike[str] | None = None,
    suffixes: frozenset[str] = SUFFIXES,
) -> list[str]:
    """The files meant by the inputs, each once; of folders those that end like videos.

    What lies in the folder `out` is left out unless named itself.
    """
    inside = None if out is None else os.path.join(os.path.realpath(out), "")
    found: dict[str, None] = {}
    for given in inputs:
        if os.path.isdir(given):
            for path in _within(given, suffixes):
                if inside is None or not os.path.realpath(path).startswith(inside):
                    found[path] = None
        else:
            found |= dict.fromkeys(find([given]))
    return list(found)


def _within(folder: str, suffixes: frozenset[str]) -> Iterable[str]:
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in suffixes:
                yield os.path.join(where, name)


def sha256_of(path: str) -> str:
    """Of the file's bytes. Raises OSError where it cannot be read."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def counted(video: Video, rounds: int = 1) -> Iterator[Callable[[Frame | Still], None]]:
    """To be told of each frame that is done with; shows rate and time left where someone watches.

    `rounds`: how often all frames are gone through.
    """
    total = rounds * (video.facts.frames or 0)
    done = 0
    with batch.counter() as tell:

        def count(frame: Frame | Still) -> None:
            nonlocal done
            done += 1
            if tell is not None:
                tell(done, max(total, done))

        yield count


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM then ends the command as an interruption from the keyboard does: in good order."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
