"""The pictures of a person, and what is written into their files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from facecctv.footage.portray import Shown
from facecctv.types import Image
from facecctv.vision.drift import CHANGE_GAIN, change_map, enhanced_words


@dataclass(frozen=True, eq=False)
class Made:
    """One picture."""

    name: str
    """crop-01 and so on, best first; fused, changes or enhanced."""
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
