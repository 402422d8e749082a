"""Divides pictures into train, val and test: by picture, by person or by group of look-alikes.

Whole groups are dealt out, largest first, each to the split that lacks most of its share; with
equal needs chance decides, from the seed. Stratified, each stratum is dealt out for itself.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np

from facecctv.errors import InputError, SettingError
from facecctv.learn.data.dataset import Dataset, Labelled
from facecctv.learn.data.manifest import Entry, Manifest
from facecctv.learn.data.similar import Print, clusters, fingerprints

By = Literal["picture", "identity", "cluster", "given"]
RATIOS = {"train": 0.6, "val": 0.2, "test": 0.2}


def parse_ratios(text: str) -> dict[str, float]:
    """`60/20/20`, `80/20` or `0.7/0.2/0.1` as shares of train, val and test.

    Raises SettingError.
    """
    try:
        shares = [float(part) for part in text.split("/")]
    except ValueError:
        shares = []
    if not 2 <= len(shares) <= 3 or not np.isfinite(shares).all() or min(shares) <= 0:
        raise SettingError(f"ratios are two or three positive numbers such as 60/20/20: {text!r}")
    names = ("train", "val", "test")
    return {name: share / sum(shares) for name, share in zip(names, shares, strict=False)}


def make_split(
    dataset: Dataset,
    by: By = "picture",
    ratios: Mapping[str, float] = RATIOS,
    stratify: str | None = None,
    seed: int = 0,
    step: Callable[[], None] = lambda: None,
) -> Manifest:
    """The manifest of a split; the same seed and pictures give the same one.

    `by`: what must not be torn apart. `picture`: nothing, except files that are equal byte for
    byte. `identity`: a person. `cluster`: near duplicates, such as neighbouring frames. `given`
    takes the source's own split. `stratify`: an attribute's name, or `face` for face and no face,
    whose shares are kept alike.
    Raises InputError where the data set does not allow it; unreadable pictures are left out.
    """
    if not len(dataset):
        raise InputError("nothing to split: the data set has no pictures")
    prints, _ = fingerprints(dataset, step)
    kept = [(item, p) for item, p in zip(dataset, prints, strict=True) if p is not None]
    items, readable = [item for item, _ in kept], [p for _, p in kept]
    if by == "given":
        places = [_given(item, dataset) for item in items]
    else:
        groups = _groups(items, readable, by, len(ratios))
        strata = [_stratum(item, stratify, dataset) for item in items]
        places = deal(groups, strata, ratios, seed)
    files = {p.name: Entry(s, p.sha256) for p, s in zip(readable, places, strict=True)}
    how = {"by": by, "ratios": dict(ratios), "stratify": stratify}
    return Manifest(files, seed, how)


def _given(item: Labelled, dataset: Dataset) -> str:
    if not (split := item.attributes.get("split")):
        raise InputError(f"{dataset.name(item)}: the source names no split for it")
    return str(split)


def _groups(items: Sequence[Labelled], prints: Sequence[Print], by: By, splits: int) -> list[str]:
    if by == "identity":
        if nobody := sum(item.identity is None for item in items):
            raise InputError(f"cannot split by identity: {nobody} pictures do not say who it is")
        groups = [str(item.identity) for item in items]
        if (people := len(set(groups))) < splits:
            raise InputError(f"cannot split by identity: {people} people for {splits} splits")
        return groups
    if by == "cluster":
        return [str(number) for number in clusters(prints)]
    return [p.sha256 for p in prints]


def _stratum(item: Labelled, stratify: str | None, dataset: Dataset) -> str:
    if stratify is None:
        return ""
    if stratify == "face":
        return "face" if len(item.boxes) else "no face"
    if stratify not in item.attributes:
        raise InputError(f"{dataset.name(item)}: no attribute {stratify!r} to stratify by")
    return str(item.attributes[stratify])


def deal(
    groups: Sequence[str], strata: Sequence[str], ratios: Mapping[str, float], seed: int
) -> list[str]:
    """The split of each picture, from its group and stratum. A group keeps together.

    A group with pictures of several strata counts to its most frequent one.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        members[group].append(index)
    by_stratum: dict[str, list[str]] = defaultdict(list)
    for group, indices in members.items():
        stratum = Counter(strata[i] for i in indices).most_common(1)[0][0]
        by_stratum[stratum].append(group)
    rng = np.random.default_rng(seed)
    names, shares = list(ratios), np.array(list(ratios.values()))
    places = [""] * len(groups)
    # What one stratum could not divide evenly, the next makes up for.
    owed = np.zeros(len(names))
    for stratum in sorted(by_stratum):
        order = rng.permutation(sorted(by_stratum[stratum]))
        sizes = {group: len(members[group]) for group in order}
        owed += shares * sum(sizes.values())
        for group in sorted(order, key=lambda g: -sizes[g]):
            chosen = int(np.argmax(owed))
            owed[chosen] -= sizes[group]
            for index in members[group]:
                places[index] = names[chosen]
    return _none_empty(places, members, names)


def _none_empty(places: list[str], members: Mapping[str, list[int]], names: list[str]) -> list[str]:
    """Gives an empty split the smallest group of the split with most groups, where there is one."""
    for empty in [name for name in names if name not in places]:
        groups: dict[str, list[str]] = defaultdict(list)
        for group, indices in members.items():
            groups[places[indices[0]]].append(group)
        richest = max(groups, key=lambda name: len(groups[name]), default=None)
        if richest is None or len(groups[richest]) < 2:
            break
        for index in members[min(groups[richest], key=lambda g: len(members[g]))]:
            places[index] = empty
    return places
