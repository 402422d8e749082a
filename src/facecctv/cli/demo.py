"""`facecctv demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from facecctv.demo import practice_scenes, write_demo
from facecctv.errors import OutputError
from facecctv.image import encode, shown, write_atomic


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the pictures.")] = Path(
        "facecctv-demo"
    ),
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another grain.")] = 0,
    labelled: Annotated[
        int, typer.Option(min=0, help="Instead: so many pictures with labelme JSON, for teaching.")
    ] = 0,
    clip: Annotated[bool, typer.Option("--clip", help="A video of ten seconds as well.")] = False,
) -> None:
    """Compose the demo pictures.

    Corridors with one public-domain face at many sizes: by day, by night, noisy, and all in one.
    Pictures of the same names are replaced.
    """
    if labelled:
        _write_labelled(out, labelled, seed)
        print(f"{out}: {labelled} pictures with labelme JSON")
        print(f"Next: facecctv data check {out}")
        return
    for path in write_demo(out, seed):
        print(path)
    if clip:
        from facecctv.demo.clip import write_demo_clip

        write_demo_clip(out / "corridor.mp4", seed)
        print(out / "corridor.mp4")


def _write_labelled(out: Path, count: int, seed: int) -> None:
    from facecctv.learn.data.dataset import Labelled
    from facecctv.learn.data.labelme import write_beside

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{shown(out)}: cannot be made: {error.strerror}") from error
    for number, scene in enumerate(practice_scenes(count, seed)):
        path = out / f"{number:04d}.jpg"
        write_atomic(path, encode(scene.image, "jpeg", 90))
        height, width = scene.image.shape[:2]
        boxes = np.array([face.box for face in scene.faces], np.float32).reshape(-1, 4)
        write_beside(Labelled(path, width, height, boxes=boxes))
