"""Containers for reading, from files and from memory; nothing else is opened by them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import av

from facecctv.footage.memory import Bytes, Source

if TYPE_CHECKING:
    from av.container import InputContainer


def possible() -> bool:
    """Whether videos can be read and written: a bundled program may leave FFmpeg out."""
    return not getattr(av, "LEFT_OUT", "")  # only what stands in for PyAV has it (packaging/)


def opened(source: Source) -> InputContainer:
    """What FFmpeg makes of a file, or of the bytes of one.

    A file may lead to other files and to nothing else; bytes lead nowhere. Raises what PyAV does.
    """
    if not isinstance(source, (bytes, bytearray)):
        return av.open(f"file:{os.fspath(source)}", options={"protocol_whitelist": "file"})
    # No protocol has this name, so whatever the bytes refer to stays closed.
    return av.open(Bytes(source), mode="r", options={"protocol_whitelist": "none"})
