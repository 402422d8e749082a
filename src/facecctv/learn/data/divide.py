"""Which pictures a training learns from and which it is judged by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from facecctv.errors import InputError
from facecctv.image import find
from facecctv.learn.data.dataset import SPLITS, Dataset, Labelled, Pictures
from facecctv.learn.data.manifest import read_manifest
from facecctv.learn.data.split import By, make_split

MANIFEST = "split.json"
"""Where `data split` writes, in the set's folder."""


@dataclass(frozen=True, eq=False)
class Divided:
    """A data set in its splits."""

    train: tuple[Labelled, ...]
    val: tuple[Labelled, ...]
    test: tuple[Labelled, ...]
    how: str
    """In words, for people."""

    def part(self, name: str) -> tuple[Labelled, ...]:
        """The pictures of a split by name; InputError where it is empty."""
        if name not in SPLITS or not getattr(self, name):
            raise InputError(f"no picture is in the split {name!r}")
        return tuple(getattr(self, name))


def divide(dataset: Dataset, manifest: Path | None, by: By, seed: int = 0) -> Divided:
    """By a manifest, else by split.json in the set's folder, else by the source's own split, else
    60/20/20 here and now.

    Raises InputError and LabelError for a manifest that cannot be read or leaves train or val
    empty, and where the data set cannot be split `by` that.
    """
    beside = dataset.root / MANIFEST
    if manifest is None and beside.is_file():
        manifest = beside
    if manifest is not None:
        found = read_manifest(manifest)
        places = {name: entry.split for name, entry in found.files.items()}
        chosen = [(places.get(dataset.name(item)), item) for item in dataset]
        how = f"split by {manifest.name}"
    elif all(str(item.attributes.get("split")) in SPLITS for item in dataset):
        chosen = [(str(item.attributes["split"]), item) for item in dataset]
        how = "the data set's own split"
    else:
        made = make_split(dataset, by, seed=seed)
        places = {name: entry.split for name, entry in made.files.items()}
        chosen = [(places.get(dataset.name(item)), item) for item in dataset]
        how = f"split 60/20/20 by {by}, seed {seed}"
    parts = {name: tuple(item for place, item in chosen if place == name) for name in SPLITS}
    for name in ("train", "val"):
        if not parts[name]:
            raise InputError(
                f"no picture to {'learn from' if name == 'train' else 'judge by'}: "
                f"the split {name!r} is empty"
            )
    words = ", ".join(f"{len(parts[name])} {name}" for name in SPLITS if parts[name])
    return Divided(parts["train"], parts["val"], parts["test"], f"{words} ({how})")


def faceless(paths: Sequence[Path], pictures: Pictures) -> list[Labelled]:
    """Pictures that hold no face, from files, folders and zip files.

    Raises InputError where there is none, ImageError for one that cannot be read.
    """
    files: list[Path] = []
    for path in paths:
        archives = [path] if path.suffix.lower() == ".zip" else sorted(path.glob("*.zip"))
        files += [member for archive in archives for member in pictures.members(archive)]
        files += [] if path.suffix.lower() == ".zip" else list(find([path]))
    if not files:
        raise InputError(f"no picture in {', '.join(str(path) for path in paths)}")
    return [Labelled(file, *pictures.size(file)) for file in files]


def with_faceless(divided: Divided, extra: Sequence[Labelled]) -> Divided:
    """The same with faceless pictures dealt out: of every five, three, one and one."""
    places = [SPLITS[(0, 1, 0, 2, 0)[number % 5]] for number in range(len(extra))]
    if not divided.test:
        places = ["val" if place == "test" else place for place in places]
    more = {
        name: tuple(item for place, item in zip(places, extra, strict=True) if place == name)
        for name in SPLITS
    }
    return Divided(
        divided.train + more["train"],
        divided.val + more["val"],
        divided.test + more["test"],
        f"{divided.how}, {len(extra)} more without a face",
    )


def with_more(divided: Divided, extra: Sequence[Labelled]) -> Divided:
    """The same with more pictures to learn from, such as augmented copies of the training split."""
    how = f"{divided.how}, {len(extra)} more to learn from"
    return Divided(divided.train + tuple(extra), divided.val, divided.test, how)
