"""A set of labelled people that is no people: coarse patterns, one for each."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from skimage import data

from facecctv.image import encode


def patterns(folder: Path, people: int, each: int) -> None:
    """An `identities` set of coarse patterns, one a person, with the astronaut's five points."""
    head = "image,identity,split,x1,y1,x2,y2," + ",".join(
        f"l{a}{i}" for i in range(5) for a in "xy"
    )
    points = "38.3,51.7,73.5,51.5,56,71.7,41.5,92.4,70.7,92.2"
    folder.mkdir()
    lines = [head]
    face = data.astronaut()[20:132, 160:272]
    with zipfile.ZipFile(folder / "identities_0.zip", "w") as archive:
        for number in range(people * each):
            random = np.random.default_rng(number // each)
            pattern = np.kron(random.integers(0, 2, (4, 4)), np.ones((28, 28)))[..., None] * 255
            noise = np.random.default_rng((1, number)).normal(0, 60, (4, 4))
            noise = np.kron(noise, np.ones((28, 28)))[..., None]
            image = np.clip(0.2 * face + 0.7 * pattern + noise, 0, 255).astype(np.uint8)
            archive.writestr(f"{number}.png", encode(image))
            lines.append(f"{number}.png,{number // each},val,6,6,106,106,{points}")
    (folder / "identities.csv").write_text("\n".join(lines))
