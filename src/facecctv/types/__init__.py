"""The words of the project: what flows between stages, with shape, dtype and unit.

All types are frozen and checked when made. Pixel coordinates are continuous: the picture spans
0..width and 0..height, the centre of the top left pixel is (0.5, 0.5), and a box's right and bottom
are exclusive.
"""

from __future__ import annotations

from facecctv.types.basics import (
    AttributesVerdict,
    Decision,
    DriftVerdict,
    Floats,
    GenderValue,
    Image,
    StepClass,
    Use,
    check_image,
)
from facecctv.types.faces import (
    Body,
    Crop,
    Face,
    Pose,
    Quality,
)
from facecctv.types.passages import (
    Frame,
    Fused,
    Sighting,
    Track,
)
from facecctv.types.portraits import (
    Age,
    Attributes,
    Coloured,
    Drift,
    Enhanced,
    Gender,
    Match,
    Origin,
    Place,
    Portrait,
)

__all__ = [
    "Age",
    "Attributes",
    "AttributesVerdict",
    "Body",
    "Coloured",
    "Crop",
    "Decision",
    "Drift",
    "DriftVerdict",
    "Enhanced",
    "Face",
    "Floats",
    "Frame",
    "Fused",
    "Gender",
    "GenderValue",
    "Image",
    "Match",
    "Origin",
    "Place",
    "Portrait",
    "Pose",
    "Quality",
    "Sighting",
    "StepClass",
    "Track",
    "Use",
    "check_image",
]
