"""Find, judge, enhance and compare faces in surveillance pictures and footage.

Importing this package loads nothing heavy: each public name is fetched when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from facecctv.errors import FaceCCTVError
    from facecctv.types import Body, Crop, Face, Image, Portrait, Pose, Quality, Use

__version__ = "0.1.0"

__all__ = [
    "Body",
    "Crop",
    "Face",
    "FaceCCTVError",
    "Image",
    "Portrait",
    "Pose",
    "Quality",
    "Use",
    "__version__",
]

_HOMES = {"FaceCCTVError": "facecctv.errors"} | dict.fromkeys(
    ("Body", "Crop", "Face", "Image", "Portrait", "Pose", "Quality", "Use"), "facecctv.types"
)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
