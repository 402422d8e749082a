"""Where model files are: found by name, verified when loaded, fetched only when asked.

Look-up order of a name: the caller's own folder, the models shipped in this package, the user's
cache. A path is taken as it is. Each folder may keep a record of its files in SHA256SUMS, in the
form of the tool sha256sum; a file that is on record is used only if its bytes are those recorded.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import platformdirs

from facecctv.errors import LicenceRequired, ModelError, ModelNotFound, ModelTampered
from facecctv.models.card import NAME, Card
from facecctv.models.catalogue import Catalogue
from facecctv.models.download import Progress, download
from facecctv.models.record import only_writer, read_record, write_record

SHIPPED = Path(__file__).with_name("shipped")
SUFFIX = ".onnx"

Origin = Literal["path", "folder", "shipped", "cache"]
State = Literal["ok", "unknown", "tampered", "missing"]
"""Against the record: as recorded, not on record, other bytes, recorded but not there."""


@dataclass(frozen=True)
class ModelFile:
    """A model's bytes, as they were verified: what is run is what was hashed."""

    name: str
    path: Path
    origin: Origin
    sha256: str
    recorded: bool
    """Whether the hash is on record, and equal; a file of the user's own has no record."""
    data: bytes = field(repr=False)

    @property
    def card(self) -> Card:
        """What the file says of itself; raises ModelError when it carries no valid card."""
        return Card.from_model(self.data)


@dataclass(frozen=True)
class Entry:
    """One line of the list of models. Where a name comes twice, the first is the one used."""

    name: str
    path: Path
    origin: Origin
    state: State
    size: int = 0
    """Bytes."""
    sha256: str = ""
    card: Card | None = None
    error: str = ""
    """Why there is no card, or why the file cannot be used."""


class Store:
    """The folders that models are looked for in.

    `folder` is the caller's own, searched first; `cache` is where fetched models go (the user's
    cache folder of this platform unless given). Neither has to exist.
    """

    def __init__(
        self, folder: Path | None = None, *, shipped: Path = SHIPPED, cache: Path | None = None
    ) -> None:
        self._cache = cache or Path(
            platformdirs.user_cache_dir("facecctv", appauthor=False), "models"
        )
        self._folders: dict[Origin, Path] = {"shipped": shipped, "cache": self._cache}
        if folder is not None:
            self._folders = {"folder": folder, **self._folders}

    def load(self, model: str | Path) -> ModelFile:
        """Reads and verifies a model: a path, or a name to look up.

        A string is a path when it ends in .onnx or holds a separator. Raises ModelNotFound,
        ModelTampered (the bytes are not those on record) and ModelError (unreadable).
        """
        path, origin = self._find(model)
        try:
            data = path.read_bytes()
        except FileNotFoundError as error:
            raise ModelNotFound(f"no model file {model}") from error
        except OSError as error:
            raise ModelError(f"cannot read the model {model}: {error.strerror}") from error
        digest = hashlib.sha256(data).hexdigest()
        expected = None if origin == "path" else read_record(path.parent).get(path.name)
        if expected not in (None, digest):
            raise ModelTampered(f"the model {model} is not the file on record (SHA-256 {digest})")
        return ModelFile(path.stem, path, origin, digest, expected is not None, data)

    def _find(self, model: str | Path) -> tuple[Path, Origin]:
        text = os.fspath(model)
        if isinstance(model, Path) or text.endswith(SUFFIX) or "/" in text or os.sep in text:
            return Path(model), "path"
        if not re.fullmatch(NAME, text):
            raise ModelNotFound(f"{text!r} is not the name of a model")
        for origin, folder in self._folders.items():
            if (folder / f"{text}{SUFFIX}").is_file():
                return folder / f"{text}{SUFFIX}", origin
        raise ModelNotFound(f"no model {text!r} (looked in: {', '.join(self._folders)})")

    def list(self) -> tuple[Entry, ...]:
        """Returns every model file in the folders, in look-up order, with its state and card."""
        return tuple(
            self._entry(path, origin)
            for origin, folder in self._folders.items()
            for path in sorted(folder.glob(f"*{SUFFIX}"))
        )

    def verify(self) -> tuple[Entry, ...]:
        """Returns the list, and with it the files that are on record but not there."""
        missing = (
            Entry(Path(name).stem, folder / name, origin, "missing", error="on record, not there")
            for origin, folder in self._folders.items()
            for name in read_record(folder)
            if not (folder / name).is_file()
        )
        return self.list() + tuple(missing)

    def _entry(self, path: Path, origin: Origin) -> Entry:
        try:
            data = path.read_bytes()
            expected = read_record(path.parent).get(path.name)
        except (OSError, ModelError) as error:
            return Entry(path.stem, path, origin, "unknown", error=str(error))
        digest = hashlib.sha256(data).hexdigest()
        card, reason = None, ""
        if expected not in (None, digest):
            state: State = "tampered"
            reason = "not the file on record (SHA-256)"
        else:
            state = "unknown" if expected is None else "ok"
            try:
                card = Card.from_model(data)
            except ModelError as error:
                reason = str(error)
        return Entry(path.stem, path, origin, state, len(data), digest, card, reason)

    def fetch(
        self,
        name: str,
        *,
        catalogues: Sequence[Path] = (),
        accept_licence: bool = False,
        offline: bool = False,
        url: str | None = None,
        timeout: float = 30.0,
        progress: Progress | None = None,
    ) -> Path:
        """Brings a model of the catalogue into the cache and returns its path.

        Already there and intact: returned without any connection. `catalogues` are files whose
        offers come on top of the shipped ones; `url` is another place to take the same bytes from;
        `timeout` is in seconds of silence. An interrupted download is resumed by the next call.

        Raises ModelNotFound (not in the catalogue, or gone from the server), LicenceRequired
        (non-commercial and not accepted), ModelTampered, ModelError and OutputError, as download.
        """
        offer = Catalogue.read(*catalogues)[name]
        target = self._cache / f"{name}{SUFFIX}"
        there = target.is_file() and _sha256(target) == offer.sha256
        if there and read_record(self._cache).get(target.name) == offer.sha256:
            return target
        if not there and not offer.commercial_use and not accept_licence:
            raise LicenceRequired(
                f"{name} is under {offer.licence}, for non-commercial use only; accept it to fetch"
            )
        if not there and offline:
            raise ModelError(f"{name} is not in the cache, and fetching is off (offline)")
        with only_writer(self._cache):
            if not there:
                download(offer, url or offer.url, target, timeout=timeout, progress=progress)
            write_record(self._cache, read_record(self._cache) | {target.name: offer.sha256})
        return target


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
