"""What is shown of a person: the best sights, one face fused of many, and that enhanced."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from facecctv.footage.examine import best_passage
from facecctv.footage.fuse import fuse
from facecctv.footage.people import Person
from facecctv.types import Drift, Enhanced, Fused, Sighting
from facecctv.vision.enhance import FaceEnhancer

LARGE = 160
"""Height of a face in pixels from which on its best sight needs no help from others."""
SHOWN = 5
"""Best sights that are shown."""


@dataclass(frozen=True, eq=False)
class Shown:
    """One person, ready to be shown."""

    person: Person
    best: tuple[Sighting, ...]
    """With crops, best first."""
    fused: Fused | None = None
    enhanced: Enhanced | None = None
    """Of the fused face where there is one, else of the best crop; its scale is of both."""


def portray(
    person: Person,
    with_crops: Callable[[Sequence[Sighting]], tuple[Sighting, ...]] = tuple,
    scale: int | None = 2,
    enhance: FaceEnhancer | None = None,
) -> Shown:
    """What is shown of a person; scale None: nothing is fused.

    `with_crops` gives sights their crops, such as `Journal.with_crops`.
    """
    best = with_crops(person.best[:SHOWN])
    if not best:
        return Shown(person, ())
    fused = None
    if scale is not None and best[0].face.height < LARGE:
        fused = fuse(with_crops(best_passage(person.tracks).best), scale)
    if enhance is None or best[0].face.height >= enhance.below:
        return Shown(person, best, fused)
    return Shown(person, best, fused, _enhanced(best[0], fused, enhance))


def _enhanced(best: Sighting, fused: Fused | None, stage: FaceEnhancer) -> Enhanced | None:
    crop = best.crop
    if crop is None:
        return None
    grey = stage.enhancer.luminance_only(crop.image)
    picture = stage.enhancer(crop.image if fused is None else fused.image, grey)
    drift = Drift("unknown") if stage.meter is None else stage.meter([crop], [picture])[0]
    scale = stage.enhancer.scale * (1 if fused is None else fused.scale)
    strength = stage.enhancer.options.strength
    return Enhanced(picture, scale, stage.origin, strength, grey, drift)
