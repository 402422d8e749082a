"""Decoding by a device made for it, where there is one; without it nothing is lost but time.

Only what decodes the first frames of a file is used for it, and where the device fails later, the
frames after the last that it gave come from software. Nothing here has been tried on a real device
by the authors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import av.error
from av.codec.hwaccel import HWAccel, HWDeviceType, hwdevices_available

from facecctv.errors import SettingError
from facecctv.footage.decoding import stream_of
from facecctv.footage.memory import Source
from facecctv.footage.opening import opened

if TYPE_CHECKING:
    from av.container import InputContainer

OFF, AUTO = "off", "auto"
_FIRST = ("cuda", "vaapi", "videotoolbox", "d3d11va", "qsv")
"""Tried before others: they copy frames to where they are needed."""


class DeviceFailed(Exception):
    """A device is unknown here, cannot do this, or gave no picture where there should be one."""


FAILURES = (
    DeviceFailed,
    av.error.FFmpegError,
    OSError,
    RuntimeError,
    NotImplementedError,  # PyAV's, for a kind of device that it was built without
    ValueError,
)
"""What a device that is not there, or cannot do this, comes to."""


@dataclass(frozen=True)
class Hardware:
    """Which kinds of device to try, in order."""

    names: tuple[str, ...]
    open: Callable[[Source, str], InputContainer]
    """Opens a file so that a kind of device decodes it; raises one of FAILURES."""

    def first(self, source: Source) -> tuple[str | None, str]:
        """The first kind that decodes the beginning of a file, and a note on what became of it."""
        why = []
        for name in self.names:
            try:
                with self.open(source, name) as container:
                    next(iter(container.decode(stream_of(container))))
            except (*FAILURES, StopIteration) as error:
                why.append(f"{name}: {_line(error)}")
                continue
            return name, f"decoded by hardware ({name})"
        told = "; ".join(why) or "this build knows no device"
        return None, f"decoded without hardware: {told}"


def hardware(wish: str) -> Hardware | None:
    """What `off`, `auto` or the name of a kind of device means; SettingError for other words."""
    if wish == OFF:
        return None
    there = hwdevices_available()
    if wish == AUTO:
        ordered = sorted(there, key=lambda name: (name not in _FIRST, there.index(name)))
        return Hardware(tuple(ordered), _opened)
    known = sorted({kind.name for kind in HWDeviceType if kind.name != "none"})
    if wish not in known:
        raise SettingError(f"--hwaccel is off, auto or one of {', '.join(known)}, not {wish!r}")
    return Hardware((wish,), _opened)


def _opened(source: Source, name: str) -> InputContainer:
    if name not in hwdevices_available():
        raise DeviceFailed("this build of FFmpeg does not know it")
    container = opened(source, HWAccel(name, allow_software_fallback=False))
    if not stream_of(container).codec_context.is_hwaccel:
        container.close()
        raise DeviceFailed("cannot decode this codec")
    return container


def _line(error: Exception) -> str:
    if isinstance(error, StopIteration):
        return "gave no picture"
    said = getattr(error, "strerror", None) or str(error)
    return " ".join(str(said).split()) or type(error).__name__
