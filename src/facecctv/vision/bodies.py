"""Finds people, and says which face is whose.

A body is found by itself, so one whose face is turned away, covered or too small is still found.
Faces are linked to bodies by geometry alone: a link says that a face lies where this body's head
should be, not that anybody was recognised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from facecctv.metrics.assignment import assign
from facecctv.models.card import Card
from facecctv.types import Body, Face, Image
from facecctv.vision.detect import Detector

TASK = "body-detector"

INSIDE = 0.6
"""Least share of a face that lies in the body's box."""
UPPER = 0.6
"""Of an upright body's height from the top: the middle of its face lies in there. Bodies that are
wider than high lie, bend over or are cut off; their heads can be anywhere."""
SMALLEST_SHARE = 1 / 16
"""Least height of a face, in longer sides of its body: a standing person is some eight or nine
faces high."""
UNDER_THE_TOP = 0.8
"""Where the middle of a face is expected: so many face heights under the top of the body."""

_Costs = npt.NDArray[np.float64]


@dataclass(frozen=True)
class BodyFinder:
    """The stage that finds the people of a picture; call it with the picture and its faces."""

    detector: Detector

    @property
    def card(self) -> Card:
        """The model's own account of itself; ModelError for a model of another task."""
        return self.detector.card.of_task(TASK)

    def __call__(self, image: Image, faces: Sequence[Face]) -> list[Body]:
        """All people in an (H, W, 3) uint8 RGB picture, best first, each linked to its face.

        A body without a face among `faces` is a result too; an empty list when there is nobody.
        """
        return link(self.detector.bodies(image), faces)


def link(bodies: Sequence[Body], faces: Sequence[Face]) -> list[Body]:
    """The same bodies, each with the index of its face, or None.

    Every face goes to one body at most and every body to one face: as many as fit, and of all ways
    to do so the one whose faces lie nearest to where heads are expected.
    """
    links: dict[int, int] = {}
    if bodies and faces:
        costs = _misfits(bodies, faces)
        # No sum of costs that are possible comes near one that is not.
        impossible = 4.0 * (min(costs.shape) + 1)
        rows, columns = assign(np.where(np.isfinite(costs), costs, impossible))
        links = {
            int(body): int(face)
            for body, face in zip(rows, columns, strict=True)
            if np.isfinite(costs[body, face])
        }
    return [replace(body, face=links.get(number)) for number, body in enumerate(bodies)]


def _misfits(bodies: Sequence[Body], faces: Sequence[Face]) -> _Costs:
    """(B, F): 0 where a face is just where the head should be, below 2; infinite if not its own."""
    body = np.stack([one.box for one in bodies]).astype(np.float64)[:, None]
    face = np.stack([one.box for one in faces]).astype(np.float64)[None]
    body_size, face_size = body[..., 2:] - body[..., :2], face[..., 2:] - face[..., :2]
    low, high = np.maximum(body[..., :2], face[..., :2]), np.minimum(body[..., 2:], face[..., 2:])
    inside = (high - low).clip(min=0).prod(axis=-1) / face_size.prod(axis=-1)
    middle = (face[..., :2] + face[..., 2:]) / 2
    # From the top left corner of the body, in its widths and heights.
    place = (middle - body[..., :2]) / body_size
    upright = body_size[..., 1] >= body_size[..., 0]
    fits = (inside >= INSIDE) & ((place >= 0) & (place <= 1)).all(axis=-1)
    fits &= ~upright | (place[..., 1] <= UPPER)
    fits &= face_size[..., 1] >= SMALLEST_SHARE * body_size.max(axis=-1)
    expected = UNDER_THE_TOP * face_size[..., 1] / body_size[..., 1]
    aside = 2 * np.abs(place[..., 0] - 0.5)
    return np.where(fits, aside + np.abs(place[..., 1] - expected).clip(max=1), np.inf)
