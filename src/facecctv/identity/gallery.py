"""Templates in memory, and the nearest people to a face: exact, in one matrix product."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from facecctv.errors import EntryError
from facecctv.types import Floats

Indices = npt.NDArray[np.intp]

_BLOCK = 512


@dataclass(frozen=True)
class Hit:
    """One person of a gallery, by the template nearest to a face."""

    name: str
    similarity: float
    """Inner product of unit vectors, -1..1."""
    face_px: float
    """Height of the face that the template was made from, pixels."""
    quality: float
    """0..1, of the same."""


@dataclass(frozen=True, eq=False)
class Gallery:
    """Some people with their templates: immutable, so any number of threads may search it.

    Raises ValueError where the parts do not fit each other.
    """

    names: tuple[str, ...]
    """(P,), different people."""
    person: Indices
    """(T,) which person a template shows, rising; every person has at least one."""
    embeddings: Floats
    """(T, D) float32, unit length. Not copied: 512 bytes each at D = 128."""
    face_px: Floats
    """(T,) float32, pixels."""
    quality: Floats
    """(T,) float32, 0..1."""
    rejected_person: Indices
    """(R,) who a rejected face is not."""
    rejected: Floats
    """(R, D) float32, unit length."""
    _starts: Indices = field(init=False, repr=False)

    def __post_init__(self) -> None:
        count = len(self.person)
        if self.embeddings.ndim != 2 or len(self.embeddings) != count:
            raise ValueError(f"embeddings have the shape ({count}, D)")
        steps = np.diff(self.person, prepend=-1, append=len(self.names))
        if (count and (steps[:-1] < 0).any()) or steps.max(initial=0) > 1:
            raise ValueError("templates are in the order of their people, and nobody has none")
        starts = np.flatnonzero(np.diff(self.person, prepend=-1))
        object.__setattr__(self, "_starts", starts)

    def __len__(self) -> int:
        """Templates: with how many a face is compared."""
        return len(self.person)

    def search(self, embeddings: npt.ArrayLike, limit: int = 10) -> list[list[Hit]]:
        """The people nearest to each of (N, D) unit embeddings, nearest first, at most `limit`.

        A person counts by the nearest template, and not at all where the face is at least as near
        to one that was rejected for this person. Nearest does not mean near: `Calibration.decide`
        says what a similarity is worth. Raises EntryError for embeddings of another length.
        """
        probes = np.atleast_2d(np.asarray(embeddings, np.float32))
        if not self.names or not probes.size:
            return [[] for _ in probes]
        if probes.shape[1] != self.embeddings.shape[1]:
            raise EntryError(
                f"embeddings of {probes.shape[1]} numbers do not compare with "
                f"{self.embeddings.shape[1]}: they are of another model"
            )
        return [self._nearest(probe, limit) for probe in probes]

    def _nearest(self, probe: Floats, limit: int) -> list[Hit]:
        scores = self.embeddings @ probe
        single = len(self.names) == len(scores)
        best = scores if single else np.maximum.reduceat(scores, self._starts)
        if len(self.rejected):
            best = self._without_rejected(best, probe)
        return [self._hit(int(p), scores) for p in largest(best, limit) if np.isfinite(best[p])]

    def _without_rejected(self, best: Floats, probe: Floats) -> Floats:
        alike = np.full(len(self.names), -np.inf, np.float32)
        np.maximum.at(alike, self.rejected_person, self.rejected @ probe)
        return np.where(alike >= best, np.float32(-np.inf), best)

    def _hit(self, person: int, scores: Floats) -> Hit:
        first, last = np.searchsorted(self.person, (person, person + 1))
        at = int(first + np.argmax(scores[first:last]))
        similarity = min(max(float(scores[at]), -1.0), 1.0)
        return Hit(self.names[person], similarity, float(self.face_px[at]), float(self.quality[at]))


def gallery(
    names: Sequence[str],
    person: npt.ArrayLike,
    embeddings: Floats,
    face_px: npt.ArrayLike,
    quality: npt.ArrayLike,
    rejected_person: npt.ArrayLike = (),
    rejected: Floats | None = None,
) -> Gallery:
    """A gallery of templates in any order; people without a template are left out."""
    owners = np.asarray(person, np.intp)
    sizes, qualities = np.asarray(face_px, np.float32), np.asarray(quality, np.float32)
    if (np.diff(owners) < 0).any():
        order = np.argsort(owners, kind="stable")
        owners, embeddings = owners[order], embeddings[order]
        sizes, qualities = sizes[order], qualities[order]
    kept, owners = np.unique(owners, return_inverse=True)
    place = np.full(len(names), -1, np.intp)
    place[kept] = np.arange(len(kept))
    wrong = place[np.asarray(rejected_person, np.intp)]
    vectors = np.empty((0, embeddings.shape[1]), np.float32) if rejected is None else rejected
    return Gallery(
        tuple(names[at] for at in kept),
        owners.astype(np.intp),
        embeddings,
        sizes,
        qualities,
        wrong[wrong >= 0],
        vectors[wrong >= 0],
    )


def largest(values: Floats, limit: int) -> Indices:
    """Where the `limit` largest of (N,) values are, largest first; of equal ones the earlier.

    Looks at the largest of each block first, so that few values are ever sorted.
    """
    if limit < 1:
        return np.empty(0, np.intp)
    whole = len(values) // _BLOCK
    chosen = np.arange(len(values))
    if whole > limit:
        tops = values[: whole * _BLOCK].reshape(whole, _BLOCK).max(axis=1)
        least = np.partition(tops, whole - limit)[whole - limit]
        chosen = np.flatnonzero(values >= least)
    return chosen[np.argsort(-values[chosen], kind="stable")[:limit]]
