"""The pictures of a person, and what is written into their files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from facecctv.footage.portray import Shown
from facecctv.types import Drift, Image
from facecctv.vision.drift import CHANGE_GAIN, change_map, enhanced_words, made_by


@dataclass(frozen=True, eq=False)
class Made:
    """One picture."""

    name: str
    """crop-01 and so on, best first; fused, changes or enhanced; enhanced-01 and coloured-01 and so
    on, of the crops of these numbers."""
    image: Image
    words: dict[str, str]
    """For the metadata of its file, beside those of the source."""


def pictures(shown: Shown) -> Iterator[Made]:
    """All of a person, the crops first. Raises ValueError for a sight without crop."""
    for number, sighting in enumerate(shown.best, 1):
        if sighting.crop is None:
            raise ValueError("a sight without crop")
        crop = sighting.crop
        at = f"frame {sighting.index}, {float(sighting.time):.3f} s, column {crop.x}, row {crop.y}"
        yield Made(f"crop-{number:02}", crop.image, {"Crop": at})
    if shown.fused is not None and shown.best[0].crop is not None:
        step = f"fused ({shown.fused.step}) of frames {', '.join(map(str, shown.fused.frames))}"
        yield Made("fused", shown.fused.image, {"Processing": step})
        changed = change_map(shown.best[0].crop.image, shown.fused.image)
        meaning = f"128 is no change; {CHANGE_GAIN:.0f} levels stand for one"
        yield Made("changes", changed, {"Change map": meaning})
    if shown.enhanced is not None:
        yield Made("enhanced", shown.enhanced.image, enhanced_words(shown.enhanced))
    yield from _sights(shown)
    yield from _coloured(shown)


def _sights(shown: Shown) -> Iterator[Made]:
    """The best sights enhanced one by one; their drift was not measured."""
    if shown.enhanced is None:
        return
    scale = shown.enhanced.scale // (1 if shown.fused is None else shown.fused.scale)
    for number, picture in enumerate(shown.sights, 1):
        drift = Drift("unknown", reason="not measured")
        one = replace(shown.enhanced, image=picture, scale=scale, drift=drift)
        yield Made(f"enhanced-{number:02}", picture, enhanced_words(one))


def _coloured(shown: Shown) -> Iterator[Made]:
    for number, one in enumerate(shown.coloured, 1):
        words = {"Processing": f"colour is estimated ({one.origin.step}), by {made_by(one.origin)}"}
        if number > 1:
            words["Colour"] = f"estimated for frame {shown.best[0].index} and laid over"
        yield Made(f"coloured-{number:02}", one.image, words)
