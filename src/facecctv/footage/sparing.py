"""Who stays to be seen when everybody else is covered: known by pictures of them.

Only a match by the calibrated rule spares a face. Whoever cannot be told, or was not seen well
enough, is covered: a cover too many can be taken away later, one too few cannot be undone.
"""

from __future__ import annotations

from dataclasses import dataclass

from facecctv.footage.joining import Joiner
from facecctv.footage.people import Known, known
from facecctv.identity.calibrate import RATE, Evidence
from facecctv.types import Face, Image, Track
from facecctv.vision.quality import assess

SIGHTS = 5
"""Best sights by which a passage is compared."""


@dataclass(frozen=True, eq=False)
class Spared:
    """People by their pictures, and what faces are compared by."""

    people: tuple[Known, ...]
    joiner: Joiner
    rate: float = RATE
    """How often a whole video or picture may spare a stranger."""

    def passage(self, track: Track, passages: int) -> bool:
        """Whether a passage, one of so many, is of one of them; its sights have crops."""
        found = known(track, self.joiner.recogniser.faces)
        return found is not None and self._is_one(found, passages)

    def face(self, image: Image, face: Face, faces: int) -> bool:
        """Whether a face of a picture (H, W, 3) uint8 RGB, one of so many, is of one of them."""
        (vector,) = self.joiner.recogniser.faces(image, [face])
        found = Known(vector, face.height, assess(image, face).score)
        return self._is_one(found, faces)

    def _is_one(self, found: Known, others: int) -> bool:
        compared = max(1, others * len(self.people))
        for person in self.people:
            similarity = min(max(float(found.embedding @ person.embedding), -1.0), 1.0)
            evidence = [Evidence(similarity, person.face_px, person.quality)]
            verdict = self.joiner.calibration.decide(
                evidence, found.face_px, found.quality, compared=compared, rate=self.rate
            )
            if verdict.decision == "match":
                return True
        return False
