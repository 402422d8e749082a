"""Pictures of "people" that the red detector finds and the mean embedder tells apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from facecctv.identity.calibrate import Calibration
from facecctv.image import encode
from tests.red_detector import red_picture
from tests.tiny_enhancers import mean_embedder

CALIBRATION = Calibration(
    knots=(12.0, 48.0),
    mean=(0.0, 0.0),
    spread=(0.25, 0.25),
    start=(1.6, 1.6),
    scale=(0.35, 0.35),
    shape=-0.2,
    same_mean=(0.97, 0.97),
    same_spread=(0.03, 0.03),
    bias=(-2.0, -2.0),
    slope=(1.5, 1.5),
    quality_shift=0.0,
    quality_stretch=0.0,
    same=10_000,
    different=1_000_000,
    embedder="face-embedder 1.0",
    conditions="made by hand",
)


def embedder(folder: Path, **changes: object) -> None:
    """Writes face-embedder.onnx, calibrated, into a folder of models."""
    facts = {"extra": {"calibration": CALIBRATION.to_json()}} | changes
    (folder / "face-embedder.onnx").write_bytes(mean_embedder(**facts))


def portrait(*people: int, width: int = 704, height: int = 320) -> bytes:
    """A PNG with one face of 16 px for each person, side by side; 0 faces: plain grey."""
    cells = [(10 + 20 * number, 15) for number in range(len(people))]
    image = red_picture(width, height, *cells)
    for person, (column, row) in zip(people, cells, strict=True):
        around = np.random.default_rng(person).integers(0, 2, (6, 6)) * 255
        block = np.kron(around, np.ones((8, 8))).astype(np.uint8)[..., None]
        # The face's own cell stays red, its surroundings tell who it is.
        y, x = (row - 2) * 8 - 4, (column - 2) * 8 - 4
        patch = np.repeat(block, 3, axis=2)
        keep = image[row * 8 : row * 8 + 8, column * 8 : column * 8 + 8].copy()
        image[y : y + 48, x : x + 48] = patch
        image[row * 8 - 4 : row * 8 + 12, column * 8 - 4 : column * 8 + 12] = 90
        image[row * 8 : row * 8 + 8, column * 8 : column * 8 + 8] = keep
    return encode(image)
