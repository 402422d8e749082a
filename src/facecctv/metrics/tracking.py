"""How well people are followed through a video: identity F1, switches, accuracy.

IDF1: Ristani et al., "Performance measures and a data set for multi-target, multi-camera tracking"
(2016). Switches, fragments and MOTA: Bernardin and Stiefelhagen, "Evaluating multiple object
tracking performance: the CLEAR MOT metrics" (2008), counted as the MOT challenge does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facecctv.geometry import iou
from facecctv.metrics.assignment import assign

_KEPT = 1000.0
"""Worth of a pair that was one in the frame before: more than all overlaps together."""


@dataclass(frozen=True, eq=False)
class Named:
    """Boxes of one frame and whose they are."""

    boxes: npt.NDArray[np.float32]
    """(N, 4) x1 y1 x2 y2."""
    names: tuple[int, ...]
    """N numbers, each at most once a frame."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "boxes", np.asarray(self.boxes, np.float32).reshape(-1, 4))
        if len(self.boxes) != len(self.names) or len(set(self.names)) != len(self.names):
            raise ValueError("every box of a frame has a name of its own")


@dataclass(frozen=True)
class Tracking:
    """What following people comes to over a video."""

    idf1: float
    """Harmonic mean of identity precision and recall, 0..1; NaN without any box."""
    idp: float
    """Share of the found boxes that bear the right identity."""
    idr: float
    """Share of the true boxes that are found under the right identity."""
    switches: int
    """How often a true person goes on under another number."""
    fragments: int
    """How often a true person is lost and found again."""
    missed: int
    """True boxes that no box was found for."""
    false: int
    """Found boxes that are nobody's."""
    mota: float
    """1 - (missed + false + switches) / true boxes, at most 1; NaN without true boxes."""


def tracking(truth: Sequence[Named], found: Sequence[Named], overlap: float = 0.5) -> Tracking:
    """Judges found boxes frame by frame; both have one entry a frame (ValueError).

    A pair of boxes may match from this intersection over union on.
    """
    if len(truth) != len(found):
        raise ValueError(f"{len(truth)} frames of truth, {len(found)} of what was found")
    shared = [iou(real.boxes, seen.boxes) for real, seen in zip(truth, found, strict=True)]
    true_positives = _identity(truth, found, shared, overlap)
    real, seen = (sum(len(frame.names) for frame in frames) for frames in (truth, found))
    switches, fragments, matched = _clear(truth, found, shared, overlap)
    missed, false = real - matched, seen - matched
    return Tracking(
        idf1=_ratio(2 * true_positives, real + seen),
        idp=_ratio(true_positives, seen),
        idr=_ratio(true_positives, real),
        switches=switches,
        fragments=fragments,
        missed=missed,
        false=false,
        mota=1 - _ratio(missed + false + switches, real),
    )


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def _identity(
    truth: Sequence[Named],
    found: Sequence[Named],
    shared: Sequence[npt.NDArray[np.float32]],
    overlap: float,
) -> int:
    """Boxes under the right identity when identities are paired once, for the whole video."""
    rows = {name: at for at, name in enumerate(sorted({n for f in truth for n in f.names}))}
    columns = {name: at for at, name in enumerate(sorted({n for f in found for n in f.names}))}
    together = np.zeros((len(rows), len(columns)))
    for real, seen, table in zip(truth, found, shared, strict=True):
        for i, j in zip(*np.nonzero(table >= overlap), strict=True):
            together[rows[real.names[i]], columns[seen.names[j]]] += 1
    best = assign(-together)
    return int(together[best].sum())


def _clear(
    truth: Sequence[Named],
    found: Sequence[Named],
    shared: Sequence[npt.NDArray[np.float32]],
    overlap: float,
) -> tuple[int, int, int]:
    """Switches, fragments and matched boxes, matching frame after frame."""
    known: dict[int, int] = {}
    """The number that each person was last found under."""
    before: dict[int, int] = {}
    """The same, of the frame before only."""
    passages: dict[int, int] = {}
    switches = matched = 0
    for real, seen, table in zip(truth, found, shared, strict=True):
        if not real.names or not seen.names:
            # As the challenge counts: a frame without anybody parts nobody.
            continue
        now: dict[int, int] = {}
        for i, j in _matched(real, seen, table, before, overlap):
            now[real.names[i]] = seen.names[j]
        switches += sum(known.get(name, number) != number for name, number in now.items())
        for name in now:
            if name not in before:
                passages[name] = passages.get(name, 0) + 1
        matched += len(now)
        known |= now
        before = now
    return switches, sum(passages.values()) - len(passages), matched


def _matched(
    real: Named,
    seen: Named,
    table: npt.NDArray[np.float32],
    before: dict[int, int],
    overlap: float,
) -> list[tuple[int, int]]:
    worth = table.astype(np.float64)
    for i, name in enumerate(real.names):
        for j, number in enumerate(seen.names):
            worth[i, j] += _KEPT * (before.get(name) == number)
    possible = table >= overlap - np.finfo(np.float32).eps
    worth[~possible] = 0
    pairs = zip(*assign(-worth), strict=True)
    return [(int(i), int(j)) for i, j in pairs if possible[i, j]]
