"""Containers for reading, from files and from memory; nothing else is opened by them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import av

from facecctv.footage.memory import Bytes, Source

if TYPE_CHECKING:
    from av.codec.hwaccel import HWAccel
    from av.container import InputContainer


def possible() -> bool:
    """Whether videos can be read and written: a bundled program may leave FFmpeg out."""
    return not getattr(av, "LEFT_OUT", "")  # only what stands in for PyAV has it (packaging/)


def opened(source: Source, device: HWAccel | None = None) -> InputContainer:
    """What FFmpeg makes of a file, or of the bytes of one, to be decoded by a device where given.

    A file may lead to other files and to nothing else; bytes lead nowhere. Raises what PyAV does.
    """
    if not isinstance(source, (bytes, bytearray)):
        options = {"protocol_whitelist": "file"}
        return av.open(f"file:{os.fspath(source)}", options=options, hwaccel=device)
    # No protocol has this name, so whatever the bytes refer to stays closed.
    options = {"protocol_whitelist": "none"}
    return av.open(Bytes(source), mode="r", options=options, hwaccel=device)
