"""Arrays and words that all types are made of, and what they are checked by."""

from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Image: TypeAlias = npt.NDArray[np.uint8]
"""(H, W, 3) uint8, RGB."""

Floats: TypeAlias = npt.NDArray[np.float32]

Use = Literal["presence", "observation", "recognition", "identification"]
"""What a face is good enough for, after the four grades of EN/IEC 62676-4."""

Decision = Literal["match", "no_match", "inconclusive", "insufficient_quality"]
"""What a comparison of faces comes to; nobody is matched for being nearest."""

StepClass = Literal["geometric", "photometric", "multi_frame", "learned", "generative"]
"""How far what comes out of a step departs from the pixels that went in."""

DriftVerdict = Literal["kept", "drifted", "unknown"]

GenderValue = Literal["male", "female", "undetermined"]
AttributesVerdict = Literal["estimated", "insufficient_quality"]


def check_image(image: Image) -> Image:
    """Returns the image; raises ValueError unless it is (H, W, 3) uint8 with at least one pixel."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        raise ValueError(f"an image is a uint8 array, not {getattr(image, 'dtype', type(image))}")
    if image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ValueError(f"an image has the shape (height, width, 3), not {image.shape}")
    return image


def frozen(name: str, values: npt.ArrayLike, shape: tuple[int, ...]) -> Floats:
    """A copy that nobody writes to; raises ValueError for another shape or what is not finite."""
    array = np.array(values, np.float32)
    if array.shape != shape:
        raise ValueError(f"{name} has the shape {shape}, not {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite")
    array.flags.writeable = False
    return array


def check_box(box: npt.ArrayLike) -> Floats:
    """(4,) float32 x1 y1 x2 y2; raises ValueError unless x1 < x2 and y1 < y2."""
    array = frozen("box", box, (4,))
    if array[2] <= array[0] or array[3] <= array[1]:
        raise ValueError(f"box must be x1 y1 x2 y2 with x1 < x2 and y1 < y2, not {array.tolist()}")
    return array


def check_fraction(name: str, value: float) -> None:
    """Raises ValueError unless 0 <= value <= 1."""
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{name} must be in 0..1, not {value}")
