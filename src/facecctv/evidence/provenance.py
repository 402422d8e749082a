"""What a processed picture says of itself: inside its file, and in a record beside it."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from typing import Annotated

import cv2
import numpy as np
import PIL
from pydantic import BaseModel, ConfigDict, Field

from facecctv.evidence.steps import Step

COLOUR_MARK = "colour is estimated by a model, not recorded by the camera"
DETAIL_MARK = "detail is estimated by a model, not recorded by the camera"

QUALITY = "Quality"
SHOWS = "Shows"
CHANGES = "what processing changed: middle grey is no change"

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Output(_Part):
    """A picture that was written."""

    file: str
    """Relative to the record's folder."""
    sha256: Sha256
    """Of the file's bytes."""
    width: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]
    quality: Annotated[int, Field(ge=1, le=100)] | None = None
    """Of JPEG and WebP."""


class Record(_Part):
    """One processed picture: from what, by which steps, with which versions, into what."""

    source: str
    """As the caller named it."""
    sha256: Sha256
    """Of the source's bytes, before and after."""
    width: Annotated[int, Field(ge=1)]
    """Of the source, pixels, upright."""
    height: Annotated[int, Field(ge=1)]
    modified: str | None = None
    """When the source's file was last written, ISO 8601, UTC, as its file system says."""
    notes: tuple[str, ...] | None = None
    """What was changed or left out on the way to 8-bit RGB."""
    output: Output
    change_map: Output | None = None
    """Middle grey is no change, two levels are one level of change, as in `vision.drift`."""
    steps: tuple[Step, ...]
    """In the order in which they were done."""
    detail: str | None = None
    """Present where detail is an estimate: any step but colour is learned or generative."""
    colour: str | None = None
    """Present where the colour is an estimate."""
    versions: dict[str, str]
    """Of this program and of the libraries that made the pixels."""

    def to_json(self) -> str:
        """One line of JSON without the keys that do not apply."""
        return self.model_dump_json(exclude_none=True)


def marks(steps: Sequence[Step]) -> dict[str, str]:
    """What of a picture is an estimate: `detail` and `colour`, as they apply."""
    found = {}
    guessing = {step.name for step in steps if step.step_class in ("learned", "generative")}
    if guessing - {"colourise"}:
        found["detail"] = DETAIL_MARK
    if "colourise" in guessing:
        found["colour"] = COLOUR_MARK
    return found


def embedded(
    sha256: str,
    steps: Sequence[Step],
    version: str,
    quality: int | None = None,
    shows: str = "",
) -> dict[str, str]:
    """What is written into a processed picture's file; no path, which may tell more than it should.

    `sha256` is that of the source's bytes, `version` this program's, `quality` that of a JPEG or
    WebP file. `shows` says what is seen where that is not the result itself, as CHANGES does.
    """
    done = [step.model_dump(mode="json", exclude_none=True) for step in steps]
    titled = {key.capitalize(): value for key, value in marks(steps).items()}
    return {
        "Software": f"FaceCCTV {version}",
        "Source SHA-256": sha256,
        "Steps": json.dumps(done, ensure_ascii=False, separators=(",", ":")),
        **titled,
        **({} if quality is None else {QUALITY: str(quality)}),
        **({SHOWS: shows} if shows else {}),
    }


def versions(steps: Sequence[Step], version: str) -> dict[str, str]:
    """Of all that has a say in the result of these steps; `version` is this program's."""
    found = {
        "facecctv": version,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "pillow": PIL.__version__,
    }
    if any(step.model for step in steps):
        import onnxruntime  # late: filters do without

        found["onnxruntime"] = onnxruntime.__version__
    return found
