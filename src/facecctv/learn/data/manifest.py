"""The split manifest: which picture belongs to train, val and test, without copying any."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from facecctv.errors import InputError, LabelError
from facecctv.image.files import shown, write_atomic
from facecctv.learn.data.dataset import Dataset, Pictures

VERSION = 1


@dataclass(frozen=True)
class Entry:
    """One picture's place."""

    split: str
    sha256: str
    """Of the picture's file, 64 hexadecimal digits."""


@dataclass(frozen=True)
class Manifest:
    """A split: names of pictures, as `Dataset.name` gives them, to their place."""

    files: Mapping[str, Entry]
    seed: int = 0
    how: Mapping[str, Any] = field(default_factory=dict)
    """How it was made: by what, in which ratios, stratified by what."""

    def select(self, dataset: Dataset, split: str) -> Dataset:
        """The pictures of one split, in the data set's order.

        Raises InputError if none is in it: a misspelt split must not train on nothing.
        """
        chosen = tuple(
            item
            for item in dataset
            if (entry := self.files.get(dataset.name(item))) and entry.split == split
        )
        if not chosen:
            there = ", ".join(self.splits()) or "none"
            raise InputError(f"no picture of the data set is in the split {split!r}: {there}")
        return dataset.with_items(chosen)

    def splits(self) -> list[str]:
        """The splits that occur, in order of first occurrence."""
        return list(dict.fromkeys(entry.split for entry in self.files.values()))

    def changed(self, dataset: Dataset, pictures: Pictures) -> list[str]:
        """Names of pictures whose bytes are no longer those of the manifest."""
        return [
            name
            for item in dataset
            if (entry := self.files.get(name := dataset.name(item)))
            and digest(pictures.data(item.path)) != entry.sha256
        ]

    def write(self, path: Path) -> None:
        """Writes it as JSON, whole or not at all. Raises OutputError."""
        files = {n: {"split": e.split, "sha256": e.sha256} for n, e in self.files.items()}
        body = {"version": VERSION, "seed": self.seed, "how": dict(self.how), "files": files}
        write_atomic(path, (json.dumps(body, indent=1) + "\n").encode())


def digest(data: bytes) -> str:
    """SHA-256, 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def read_manifest(path: Path) -> Manifest:
    """Reads what `Manifest.write` wrote. Raises InputError and LabelError."""
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        if body["version"] != VERSION:
            raise LabelError(f"{shown(path)}: split manifest of version {body['version']}, not 1")
        files = {n: Entry(str(e["split"]), str(e["sha256"])) for n, e in body["files"].items()}
        return Manifest(files, int(body["seed"]), dict(body["how"]))
    except OSError as error:
        raise InputError(f"{shown(path)}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LabelError(f"{shown(path)}: not a split manifest") from error
