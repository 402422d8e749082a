"""What is shown of a person: the best sights, one face fused of many, that enhanced, and colours.

The best sights may be enhanced too, one by one, and coloured from one estimate: how steady they
are from sight to sight is measured then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from facecctv.footage.consistency import Consistency, carried, consistency
from facecctv.footage.examine import best_passage
from facecctv.footage.fuse import fuse
from facecctv.footage.people import Person, within
from facecctv.types import Coloured, Crop, Drift, Enhanced, Floats, Fused, Image, Sighting
from facecctv.vision.colourise import FaceColouriser, is_grey
from facecctv.vision.drift import NO_RECOGNISER
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
    sights: tuple[Image, ...] = ()
    """The best sights enhanced, in their order, where that was asked for."""
    steadiness: Consistency | None = None
    """Of these."""
    coloured: tuple[Coloured, ...] = ()
    """The best sights in colours that were estimated from the first."""
    colour_steadiness: Consistency | None = None


def portray(
    person: Person,
    with_crops: Callable[[Sequence[Sighting]], tuple[Sighting, ...]] = tuple,
    scale: int | None = 2,
    enhance: FaceEnhancer | None = None,
    colourise: FaceColouriser | None = None,
    *,
    each: bool = False,
) -> Shown:
    """What is shown of a person; scale None: nothing is fused.

    `with_crops` gives sights their crops, such as `Journal.with_crops`. With `each` the best sights
    are enhanced one by one too, which tells how steady that is.
    """
    best = with_crops(person.best[:SHOWN])
    crops = [sighting.crop for sighting in best if sighting.crop is not None]
    if not crops or len(crops) != len(best):
        return Shown(person, best)
    fused = None
    if scale is not None and best[0].face.height < LARGE:
        fused = fuse(with_crops(best_passage(person.tracks).best), scale)
    enhanced: Enhanced | None = None
    sights: tuple[Image, ...] = ()
    if enhance is not None and best[0].face.height < enhance.below:
        # Whether a picture is grey is decided once: a face may not flicker between the two ways.
        grey = enhance.enhancer.luminance_only(crops[0].image)
        enhanced = _enhanced(crops[0], fused, enhance, grey)
        sights = tuple(enhance.enhancer(crop.image, grey) for crop in crops if each)
    coloured = () if colourise is None else _coloured(crops, colourise)
    steady = _steadiness(best, crops, sights)
    colours = _steadiness(best, crops, [one.image for one in coloured])
    return Shown(person, best, fused, enhanced, sights, steady, coloured, colours)


def _enhanced(crop: Crop, fused: Fused | None, stage: FaceEnhancer, grey: bool) -> Enhanced:
    picture = stage.enhancer(crop.image if fused is None else fused.image, grey)
    drift = Drift("unknown", reason=NO_RECOGNISER)
    if stage.meter is not None:
        (drift,) = stage.meter([crop], [picture])
    scale = stage.enhancer.scale * (1 if fused is None else fused.scale)
    strength = stage.enhancer.options.strength
    return Enhanced(picture, scale, stage.origin, strength, grey, drift)


def _coloured(crops: Sequence[Crop], stage: FaceColouriser) -> tuple[Coloured, ...]:
    """Every crop in the colours estimated for the first; none where that has its own."""
    first, *others = crops
    if stage.only_grey and not is_grey(first.image):
        return ()
    estimate = stage.colouriser(first.image)
    pictures = [estimate]
    pictures += [carried(estimate, _marks(first), one.image, _marks(one)) for one in others]
    saturation = stage.colouriser.options.saturation
    return tuple(Coloured(one, stage.origin, saturation, "crop") for one in pictures)


def _marks(crop: Crop) -> Floats:
    return within(crop).landmarks


def _steadiness(
    best: Sequence[Sighting], crops: Sequence[Crop], made: Sequence[Image]
) -> Consistency | None:
    """Of what was made of the crops, in order of time."""
    if not made:
        return None
    order = np.argsort([sighting.index for sighting in best], kind="stable").tolist()
    return consistency(
        [crops[at].image for at in order],
        [made[at] for at in order],
        [_marks(crops[at]) for at in order],
    )
