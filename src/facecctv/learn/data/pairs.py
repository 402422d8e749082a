"""Pairs and triplets of pictures for teaching who is who.

Seeded, by count, never a picture with itself. Give the pictures of one split: then no person can
leak into another. Mining after Schroff et al., "FaceNet: a unified embedding for face recognition
and clustering" (2015).
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from facecctv.errors import InputError, LabelError
from facecctv.image import shown, write_atomic
from facecctv.learn.data.dataset import Dataset, Labelled, Pictures
from facecctv.types import Floats, Image

Mining = Literal["random", "semi-hard", "hard"]
Embed = Callable[[Sequence[Image]], Floats]
MARGIN = 0.2
"""Of semi-hard triplets, in squared Euclidean distance of unit-length embeddings (FaceNet)."""
_BATCH = 64
_BLOCK = 256


@dataclass(frozen=True, eq=False)
class Pairs:
    """Index pairs into a list of pictures."""

    first: np.ndarray
    """(N,) intp."""
    second: np.ndarray
    same: np.ndarray
    """(N,) bool: both show one person."""

    def __len__(self) -> int:
        return len(self.first)


@dataclass(frozen=True, eq=False)
class Triplets:
    """Index triplets: anchor and positive show one person, the negative another."""

    anchor: np.ndarray
    """(N,) intp."""
    positive: np.ndarray
    negative: np.ndarray

    def __len__(self) -> int:
        return len(self.anchor)


class People:
    """Which pictures show whom. Raises InputError unless two people and one with two pictures."""

    def __init__(self, identities: Sequence[str | None]) -> None:
        groups: dict[str, list[int]] = defaultdict(list)
        for index, identity in enumerate(identities):
            if identity is not None:
                groups[identity].append(index)
        if len(groups) < 2:
            who = f"only {next(iter(groups))!r}" if groups else "nobody"
            raise InputError(f"pairs need at least two people, and there is {shown(who)}")
        self.groups = [np.array(groups[name]) for name in sorted(groups)]
        self.several = [i for i, group in enumerate(self.groups) if len(group) > 1]
        if not self.several:
            raise InputError("pairs need one person with two pictures; everybody has one")
        self.owner = np.full(len(identities), -1)
        for number, group in enumerate(self.groups):
            self.owner[group] = number

    @property
    def matching(self) -> int:
        """How many pairs of one person there are."""
        return sum(len(g) * (len(g) - 1) // 2 for g in self.groups)

    @property
    def different(self) -> int:
        """How many pairs of two people there are."""
        sizes = np.array([len(g) for g in self.groups])
        return int((sizes.sum() ** 2 - (sizes**2).sum()) // 2)

    def two_of_one(self, rng: np.random.Generator) -> tuple[int, int]:
        """Two pictures of one person; every person with two has the same chance."""
        group = self.groups[self.several[rng.integers(len(self.several))]]
        a, b = rng.choice(group, 2, replace=False)
        return int(a), int(b)

    def two_people(self, rng: np.random.Generator) -> tuple[int, int]:
        """One picture each of two people; every person has the same chance."""
        i, j = rng.choice(len(self.groups), 2, replace=False)
        return int(rng.choice(self.groups[i])), int(rng.choice(self.groups[j]))


def make_pairs(
    identities: Sequence[str | None],
    count: int,
    seed: int = 0,
    mining: Mining = "random",
    embeddings: Floats | None = None,
) -> Pairs:
    """`count` different pairs, half of them of one person, shuffled.

    `hard` and `semi-hard` pick the different people that look most alike: each picture's nearest
    stranger, and one of the ten nearest; their matching pairs are random.
    Raises InputError if there are not that many different pairs.
    """
    people, rng = People(identities), np.random.default_rng(seed)
    wanted = {True: (count + 1) // 2, False: count // 2}
    for same, there in ((True, people.matching), (False, people.different)):
        if wanted[same] > there:
            kind = "of one person" if same else "of two people"
            raise InputError(f"{wanted[same]:,} pairs {kind} are wanted, and there are {there:,}")
    matching = _distinct(
        lambda: people.two_of_one(rng), wanted[True], people.matching, people, True
    )
    if mining == "random":
        strangers = _distinct(
            lambda: people.two_people(rng), wanted[False], people.different, people, False
        )
    else:
        near = _nearest_strangers(people, _unit(embeddings, identities), mining, rng)
        if len(near) < wanted[False]:
            raise InputError(f"{mining} mining finds {len(near):,} pairs, not {wanted[False]:,}")
        strangers = [near[i] for i in rng.permutation(len(near))[: wanted[False]]]
    rows = np.array([*matching, *strangers]).reshape(-1, 2)
    same = np.arange(len(rows)) < len(matching)
    order = rng.permutation(len(rows))
    return Pairs(rows[order, 0], rows[order, 1], same[order])


def _distinct(
    draw: Callable[[], tuple[int, int]], count: int, there: int, people: People, same: bool
) -> list[tuple[int, int]]:
    """Draws until there are `count` different pairs; where most are wanted, lists all."""
    found: dict[tuple[int, int], tuple[int, int]] = {}
    for _ in range(4 * count):
        if len(found) == count:
            break
        pair = draw()
        found.setdefault((min(pair), max(pair)), pair)
    if len(found) < count:  # nearly all of them: drawing would not end
        for pair in _every(people, same):
            if len(found) == count:
                break
            found.setdefault(pair, pair)
    return list(found.values())


def _every(people: People, same: bool) -> list[tuple[int, int]]:
    known = np.flatnonzero(people.owner >= 0)
    first, second = (known[i] for i in np.triu_indices(len(known), 1))
    chosen = (people.owner[first] == people.owner[second]) == same
    return list(zip(first[chosen].tolist(), second[chosen].tolist(), strict=True))


def _unit(embeddings: Floats | None, identities: Sequence[str | None]) -> Floats:
    if embeddings is None:
        raise InputError("semi-hard and hard mining need embeddings")
    array = np.asarray(embeddings, np.float32)
    if array.ndim != 2 or len(array) != len(identities):
        raise InputError(
            f"embeddings of shape {array.shape} do not fit {len(identities)} pictures: one row each"
        )
    if not np.isfinite(array).all():
        raise InputError("embeddings must be finite")
    return array / np.maximum(np.linalg.norm(array, axis=1, keepdims=True), 1e-9)


def _nearest_strangers(
    people: People, unit: Floats, mining: Mining, rng: np.random.Generator
) -> list[tuple[int, int]]:
    known = np.flatnonzero(people.owner >= 0)
    reach = 1 if mining == "hard" else 10
    found: dict[tuple[int, int], None] = {}
    for start in range(0, len(known), _BLOCK):
        block = known[start : start + _BLOCK]
        likeness = unit[block] @ unit[known].T
        likeness[people.owner[block][:, None] == people.owner[known][None]] = -np.inf
        strangers = (likeness > -np.inf).sum(axis=1).min()
        nearest = np.argsort(-likeness, axis=1)[:, : min(reach, strangers)]
        for row, index in enumerate(block):
            other = int(known[nearest[row, rng.integers(nearest.shape[1])]])
            found[min(int(index), other), max(int(index), other)] = None
    return list(found)


def make_triplets(
    identities: Sequence[str | None],
    count: int,
    seed: int = 0,
    mining: Mining = "random",
    embeddings: Floats | None = None,
    margin: float = MARGIN,
) -> Triplets:
    """`count` triplets; anchor and positive are always two different pictures.

    `hard`: the negative is the stranger nearest to the anchor. `semi-hard`: a stranger farther away
    than the positive by less than `margin` (squared distance); where there is none, the nearest
    beyond the positive, and else the nearest of all. Triplets may repeat only where there are fewer
    than `count` different ones.
    """
    people, rng = People(identities), np.random.default_rng(seed)
    unit = None if mining == "random" else _unit(embeddings, identities)
    known = np.flatnonzero(people.owner >= 0)
    found: dict[tuple[int, int, int], None] = {}
    spare: list[tuple[int, int, int]] = []
    for _ in range(6 * count):
        if len(found) == count:
            break
        anchor, positive = people.two_of_one(rng)
        strangers = known[people.owner[known] != people.owner[anchor]]
        if unit is None:
            negative = int(rng.choice(strangers))
        else:
            negative = _mined(unit, anchor, positive, strangers, mining, margin, rng)
        triplet = (anchor, positive, negative)
        if triplet in found:
            spare.append(triplet)
        found[triplet] = None
    rows = np.array([*found, *spare][:count], np.intp).reshape(-1, 3)
    return Triplets(rows[:, 0], rows[:, 1], rows[:, 2])


def _mined(
    unit: Floats,
    anchor: int,
    positive: int,
    strangers: np.ndarray,
    mining: Mining,
    margin: float,
    rng: np.random.Generator,
) -> int:
    distance = 2 - 2 * unit[strangers] @ unit[anchor]
    if mining == "hard":
        return int(strangers[np.argmin(distance)])
    beyond = distance - float(2 - 2 * unit[positive] @ unit[anchor])
    candidates = np.flatnonzero((beyond > 0) & (beyond < margin))
    if len(candidates):
        return int(strangers[rng.choice(candidates)])
    farther = np.where(beyond > 0, beyond, np.inf)
    return int(strangers[np.argmin(farther if np.isfinite(farther).any() else distance)])


def load_embeddings(path: Path) -> Floats:
    """(N, D) float32 from a .npy file, row i of picture i. Raises InputError and LabelError."""
    try:
        array = np.load(path, allow_pickle=False)
    except OSError as error:
        raise InputError(f"{shown(path)}: {error.strerror or error}") from error
    except ValueError as error:
        raise LabelError(f"{shown(path)}: not a .npy file of numbers") from error
    if not isinstance(array, np.ndarray) or array.ndim != 2:
        raise LabelError(f"{shown(path)}: embeddings are a table of two dimensions")
    return array.astype(np.float32)


def embed_dataset(dataset: Dataset, embed: Embed, side: int = 112, margin: float = 0.1) -> Floats:
    """(N, D): one embedding a picture by a function of (M, side, side, 3) uint8 RGB faces."""
    from facecctv.learn.data.faces import face_picture  # late: draws on the picture readers

    pictures, parts, batch = Pictures(), [], []
    for item in dataset:
        batch.append(face_picture(pictures, item, side, margin))
        if len(batch) == _BATCH:
            parts.append(np.asarray(embed(batch)))
            batch = []
    if batch:
        parts.append(np.asarray(embed(batch)))
    return np.concatenate(parts).astype(np.float32)


def identities_of(items: Sequence[Labelled]) -> list[str | None]:
    """Who is on each picture."""
    return [item.identity for item in items]


def write_pairs(path: Path, names: Sequence[str], found: Pairs | Triplets) -> None:
    """CSV: `first,second,same` or `anchor,positive,negative`. Raises OutputError."""
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    if isinstance(found, Pairs):
        table.writerow(("first", "second", "same"))
        for a, b, same in zip(found.first, found.second, found.same, strict=True):
            table.writerow((names[a], names[b], int(same)))
    else:
        table.writerow(("anchor", "positive", "negative"))
        for a, p, n in zip(found.anchor, found.positive, found.negative, strict=True):
            table.writerow((names[a], names[p], names[n]))
    write_atomic(path, text.getvalue().encode("utf-8", "surrogateescape"))


def read_pairs(path: Path, names: Sequence[str]) -> Pairs | Triplets:
    """Reads what `write_pairs` wrote. Raises InputError, and LabelError for unknown pictures."""
    index = {name: i for i, name in enumerate(names)}
    try:
        text = path.read_bytes().decode("utf-8", "surrogateescape")
    except OSError as error:
        raise InputError(f"{shown(path)}: {error.strerror}") from error
    rows = list(csv.reader(io.StringIO(text, newline="")))
    try:
        if rows and rows[0] == ["first", "second", "same"]:
            table = np.array([[index[a], index[b], int(s)] for a, b, s in rows[1:]], np.intp)
            table = table.reshape(-1, 3)
            return Pairs(table[:, 0], table[:, 1], table[:, 2] == 1)
        if rows and rows[0] == ["anchor", "positive", "negative"]:
            table = np.array([[index[n] for n in row] for row in rows[1:]], np.intp).reshape(-1, 3)
            return Triplets(table[:, 0], table[:, 1], table[:, 2])
    except KeyError as error:
        raise LabelError(f"{shown(path)}: {error} is not in the data set") from error
    except ValueError as error:
        raise LabelError(f"{shown(path)}: a row has the wrong number of columns") from error
    raise LabelError(f"{shown(path)}: neither a table of pairs nor of triplets")
