"""Which passages are one person, by the recogniser where there is one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from facecctv.footage.people import Known, joined, known
from facecctv.identity.calibrate import Calibration
from facecctv.types import Sighting, Track
from facecctv.vision.recognise import Recogniser

NOT_JOINED = (
    "passages are not joined into people: the model face-embedder is not installed, "
    "so somebody who comes back is counted again"
)


@dataclass(frozen=True)
class Joiner:
    """What passages are joined by."""

    recogniser: Recogniser
    calibration: Calibration

    @property
    def name(self) -> str:
        """Of the recogniser, with its version."""
        card = self.recogniser.card
        return f"{card.name} {card.version}"


def groups(
    tracks: Sequence[Track],
    joiner: Joiner | None,
    with_crops: Callable[[Sequence[Sighting]], tuple[Sighting, ...]] = tuple,
) -> list[tuple[int, ...]]:
    """Numbers of the passages of each person, people in order of appearance.

    Without a joiner each passage is a person. `with_crops` gives sights their crops.
    """
    ordered = sorted(tracks, key=lambda track: (track.first, track.number))
    if joiner is None:
        return [(track.number,) for track in ordered]
    knowledge: dict[int, Known] = {}
    for track in ordered:
        whole = replace(track, best=with_crops(track.best))
        found = known(whole, joiner.recogniser.faces)
        if found is not None:
            knowledge[track.number] = found
    return joined(ordered, knowledge, joiner.calibration)
