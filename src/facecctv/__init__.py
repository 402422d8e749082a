"""Find, judge, enhance and compare faces in surveillance pictures and footage.

Importing this package loads nothing heavy: each public name is fetched when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from facecctv.build import (
        body_finder,
        colouriser,
        enhancer,
        estimator,
        examine,
        face_colouriser,
        face_enhancer,
        load_pipeline,
    )
    from facecctv.draw import outline
    from facecctv.errors import FaceCCTVError
    from facecctv.image import Picture, find, read
    from facecctv.pipeline import Pipeline
    from facecctv.settings import Settings
    from facecctv.types import (
        Age,
        Attributes,
        Body,
        Coloured,
        Crop,
        Drift,
        Enhanced,
        Face,
        Gender,
        Image,
        Portrait,
        Pose,
        Quality,
        Use,
    )
    from facecctv.vision.colourise import ColouriseOptions
    from facecctv.vision.detect import DetectOptions
    from facecctv.vision.enhance import EnhanceOptions

__version__ = "0.1.0"

__all__ = [
    "Age",
    "Attributes",
    "Body",
    "Coloured",
    "ColouriseOptions",
    "Crop",
    "DetectOptions",
    "Drift",
    "EnhanceOptions",
    "Enhanced",
    "Face",
    "FaceCCTVError",
    "Gender",
    "Image",
    "Picture",
    "Pipeline",
    "Portrait",
    "Pose",
    "Quality",
    "Settings",
    "Use",
    "__version__",
    "body_finder",
    "colouriser",
    "enhancer",
    "estimator",
    "examine",
    "face_colouriser",
    "face_enhancer",
    "find",
    "load_pipeline",
    "outline",
    "read",
]

_HOMES = {
    "ColouriseOptions": "facecctv.vision.colourise",
    "DetectOptions": "facecctv.vision.detect",
    "EnhanceOptions": "facecctv.vision.enhance",
    "FaceCCTVError": "facecctv.errors",
    "Picture": "facecctv.image",
    "Pipeline": "facecctv.pipeline",
    "Settings": "facecctv.settings",
    "body_finder": "facecctv.build",
    "colouriser": "facecctv.build",
    "enhancer": "facecctv.build",
    "estimator": "facecctv.build",
    "examine": "facecctv.build",
    "face_colouriser": "facecctv.build",
    "face_enhancer": "facecctv.build",
    "find": "facecctv.image",
    "load_pipeline": "facecctv.build",
    "outline": "facecctv.draw",
    "read": "facecctv.image",
} | dict.fromkeys(
    (
        *("Age", "Attributes", "Body", "Coloured", "Crop", "Drift", "Enhanced", "Face"),
        *("Gender", "Image", "Portrait", "Pose", "Quality", "Use"),
    ),
    "facecctv.types",
)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
