"""First labels by the detector, for people to correct, and labelme to correct them with."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facecctv.errors import ImageError, MissingExtra
from facecctv.image import find, read
from facecctv.learn.data.dataset import Fault, Labelled
from facecctv.learn.data.labelme import write_beside
from facecctv.types import Face, Image

Detect = Callable[[Image], Sequence[Face]]


@dataclass(frozen=True)
class Prelabelled:
    """What was done."""

    written: int
    faces: int
    kept: int
    """Pictures that had labels already, which were left alone."""
    faults: tuple[Fault, ...]


def prelabel(
    paths: Iterable[str | Path],
    detect: Detect,
    *,
    overwrite: bool = False,
    landmarks: bool = True,
    step: Callable[[], None] = lambda: None,
) -> Prelabelled:
    """Writes labelme JSON beside every picture; labels that are there stay unless `overwrite`.

    `detect` is a `facecctv.build.detector(...)` or any function from an (H, W, 3) uint8 RGB
    picture to faces. Raises OutputError where nothing can be written.
    """
    written = faces = kept = 0
    faults = []
    for path in map(Path, find(paths)):
        step()
        if path.with_suffix(".json").exists() and not overwrite:
            kept += 1
            continue
        try:
            image = read(path).image
        except ImageError as error:
            faults.append(Fault(str(path), "unreadable picture", str(error).rsplit(": ", 1)[-1]))
            continue
        found = detect(image)
        write_beside(
            Labelled(
                path,
                image.shape[1],
                image.shape[0],
                boxes=np.array([f.box for f in found], np.float32).reshape(-1, 4),
                landmarks=np.array([f.landmarks for f in found if landmarks], np.float32),
            )
        )
        written, faces = written + 1, faces + len(found)
    return Prelabelled(written, faces, kept, tuple(faults))


NO_FACE_FLAG = "no face"


def annotate(folder: Path, labels: Sequence[str] = ("face", "no face")) -> int:
    """Opens labelme on a folder and waits; its exit status. Raises MissingExtra without it."""
    program = shutil.which("labelme")
    if program is None:
        raise MissingExtra(
            "labelme is not installed: pip install labelme (into an environment of its own, as it "
            "brings a windowed OpenCV), then open the folder with it"
        )
    # The flag is a box to tick beside every picture. The last two are labelme 6's defaults, and it
    # still takes them.
    known = ["--labels", ",".join(labels), "--flags", NO_FACE_FLAG]
    arguments = [program, str(folder), *known, "--nodata", "--autosave"]
    return subprocess.run(arguments, check=False).returncode
