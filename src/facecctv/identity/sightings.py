"""Every face seen in a case: kept in a folder, searched by face, grouped, listed, erased.

One LanceDB table a case, in a folder or at an object store's address (`s3://…`), so a case is
erased by dropping its table: no version of it is left. Unlike watch-lists, sightings are not
sealed: keep the folder on an encrypted disk. Needs the extra `identity`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from facecctv.errors import EntryError, MissingExtra, SightingsError
from facecctv.identity.entries import check_embedding
from facecctv.types import Floats

EXACT: Final = 200_000
"""Faces up to which every one is compared; beyond, an index picks those that are."""
NONE: Final = -1
"""The group of a face that belongs to none."""
_CASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FACTS = ("source", "name", "frame", "time", "box", "face_px", "quality")
_VERSION = "1"


@dataclass(frozen=True, eq=False)
class Sight:
    """One face in one picture or frame. Raises EntryError for values that cannot be."""

    source: str
    """SHA-256 of the file, hexadecimal."""
    name: str
    """Of the file, as its finder named it."""
    box: tuple[float, float, float, float]
    """x1, y1, x2, y2 in pixels of the frame."""
    quality: float
    """0..1."""
    embedding: Floats
    """(D,) float32, unit length."""
    frame: int = 0
    """Number in its stream, from 0; 0 for a picture."""
    time: float | None = None
    """Seconds from the stream's start; None for a picture."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "embedding", check_embedding(self.embedding))
        x1, y1, x2, y2 = self.box
        if not (x1 < x2 and y1 < y2 and all(map(math.isfinite, self.box))):
            raise EntryError(f"box must be x1 y1 x2 y2 with x1 < x2 and y1 < y2, not {self.box}")
        if not _SHA256.fullmatch(self.source):
            raise EntryError("source is a SHA-256 of 64 hexadecimal digits")
        if not 0 <= self.quality <= 1 or self.frame < 0:
            raise EntryError("quality is in 0..1, and frames count from 0")
        if self.time is not None and not math.isfinite(self.time):
            raise EntryError("time is a number of seconds, or None")

    @property
    def face_px(self) -> float:
        """Height, pixels."""
        return self.box[3] - self.box[1]

    def __str__(self) -> str:
        if self.time is None:
            return self.name
        return f"{self.name} at {timedelta(seconds=round(self.time))}, frame {self.frame}"


@dataclass(frozen=True)
class Found:
    """A sight and how alike it is."""

    sight: Sight
    similarity: float


class Sightings:
    """All cases at one place. Errors of the store are SightingsError.

    Raises MissingExtra without LanceDB.
    """

    def __init__(self, place: str, embedder: str) -> None:
        """`place` is a folder (made when first written to) or an object store's address.

        `embedder` names model and version: cases of another are refused with EntryError.
        """
        try:
            import lancedb
        except ImportError as error:
            raise MissingExtra("sightings need more: pip install 'facecctv[identity]'") from error
        self._embedder = embedder
        with _told("opened"):
            self._db = lancedb.connect(place)

    def cases(self) -> list[str]:
        """Their names, sorted."""
        names: list[str] = []
        token: str | None = None
        with _told("listed"):
            while True:
                page = self._db.list_tables(page_token=token)
                names += page.tables
                token = page.page_token
                if not token:
                    return sorted(names)

    def add(self, case: str, sights: Sequence[Sight]) -> None:
        """Keeps the sights, all or none; makes the case where there is none of this name."""
        if not _CASE.fullmatch(case):
            raise EntryError("a case's name is letters, digits, dots and dashes, at most 64")
        if not sights:
            return
        if len({len(sight.embedding) for sight in sights}) > 1:
            raise EntryError("embeddings of one case have one length")
        rows = _table(sights, self._embedder)
        if case in self.cases():
            table = self._open(case)
            if table.schema.field("vector").type != rows.schema.field("vector").type:
                raise EntryError("the case holds embeddings of another length")
            with _told("written"):
                table.add(rows)
        else:
            with _told("written"):
                self._db.create_table(case, data=rows)

    def count(self, case: str) -> int:
        """Faces of a case."""
        table = self._open(case)
        with _told("read"):
            return int(table.count_rows())

    def search(
        self, case: str, embedding: npt.ArrayLike, limit: int = 10, *, exact: bool | None = None
    ) -> list[Found]:
        """The sights of a case nearest to a face, nearest first; near or not.

        Every face is compared unless the case has an index (`index`) and more than EXACT faces;
        `exact` says it once for all. EntryError for an embedding of another length.
        """
        probe, table = check_embedding(embedding), self._open(case)
        if table.schema.field("vector").type.list_size != len(probe):
            raise EntryError("the case holds embeddings of another length")
        with _told("read"):
            query = table.search(probe, vector_column_name="vector").distance_type("dot")
            everything = table.count_rows() <= EXACT if exact is None else exact
            query = query.bypass_vector_index() if everything else query.nprobes(_probes(table))
            rows = query.limit(limit).to_arrow().to_pylist()
        return [Found(_sight(row), _within(1 - row["_distance"])) for row in rows]

    def index(self, case: str) -> None:
        """Makes or renews the index that `search` uses beyond EXACT faces."""
        from lancedb.index import IvfFlat

        table = self._open(case)
        with _told("indexed"):
            parts = max(1, round(math.sqrt(table.count_rows())))
            table.create_index("vector", config=IvfFlat(distance_type="dot", num_partitions=parts))

    def recall(self, case: str, queries: int = 100, limit: int = 10, seed: int = 0) -> float:
        """Which share of the true nearest sights the index finds, 0..1, for faces of the case.

        1 where there is no index, since every face is then compared.
        """
        vectors = self._vectors(case)
        chosen = np.random.default_rng(seed).permutation(len(vectors))[:queries]
        shares = []
        for number in chosen:
            exact, fast = (
                {(f.sight.source, f.sight.frame, f.sight.box)
                 for f in self.search(case, vectors[number], limit, exact=every)}
                for every in (True, False)
            )  # fmt: skip
            shares.append(len(exact & fast) / len(exact))
        return float(np.mean(shares)) if shares else 1.0

    def timeline(self, case: str) -> list[Sight]:
        """Every sight of a case: by file, then by time."""
        table = self._open(case)
        with _told("read"):
            rows = table.to_arrow().to_pylist()
        sights = [_sight(row) for row in rows]
        return sorted(sights, key=lambda one: (one.name, one.source, one.frame, one.box))

    def erase(self, case: str) -> None:
        """Removes a case with all its versions and files."""
        self._open(case)
        with _told("erased"):
            self._db.drop_table(case)

    def _vectors(self, case: str) -> Floats:
        return np.stack([sight.embedding for sight in self.timeline(case)])

    def _open(self, case: str) -> Any:  # LanceDB's table
        if case not in self.cases():
            raise EntryError(f"no case of this name: {case}")
        with _told("opened"):
            table = self._db.open_table(case)
            facts: Mapping[bytes, bytes] = table.schema.metadata or {}
        if facts.get(b"facecctv") != _VERSION.encode():
            raise SightingsError(f"{case}: not a case of this program, or of another version")
        kept = facts.get(b"embedder", b"").decode("utf-8", "replace")
        if kept != self._embedder:
            raise EntryError(f"{case} holds faces of {kept}, not of {self._embedder}")
        return table


def groups(sights: Sequence[Sight], least: int = 3) -> npt.NDArray[np.intp]:
    """(N,) which sights may be one person: 0, 1 … by size, NONE where nothing is near.

    Density-based clustering, HDBSCAN (Campello, Moulavi, Sander 2013), on unit vectors; a group has
    at least `least` sights. A group is a lead, not an identity. Raises MissingExtra without
    scikit-learn.
    """
    if least < 2:
        raise ValueError(f"a group has at least two sights, not {least}")
    if len(sights) < least:
        return np.full(len(sights), NONE, np.intp)
    try:
        from sklearn.cluster import HDBSCAN
    except ImportError as error:
        raise MissingExtra("grouping needs more: pip install 'facecctv[identity]'") from error
    vectors = np.stack([sight.embedding for sight in sights]).astype(np.float64)
    # Copies of one file would be groups of their own, which is as well.
    found = HDBSCAN(min_cluster_size=least, allow_single_cluster=True, copy=True).fit(vectors)
    labels = np.asarray(found.labels_, np.intp)
    names, counts = np.unique(labels[labels >= 0], return_counts=True)
    order = {int(name): at for at, name in enumerate(names[np.argsort(-counts, kind="stable")])}
    return np.array([order.get(int(label), NONE) for label in labels], np.intp)


def _table(sights: Sequence[Sight], embedder: str) -> Any:  # pyarrow's table
    import pyarrow as pa

    size = len(sights[0].embedding)
    vectors = np.stack([sight.embedding for sight in sights])
    schema = pa.schema(
        [
            ("source", pa.string()),
            ("name", pa.string()),
            ("frame", pa.int64()),
            ("time", pa.float64()),
            ("box", pa.list_(pa.float32(), 4)),
            ("face_px", pa.float32()),
            ("quality", pa.float32()),
            ("vector", pa.list_(pa.float32(), size)),
        ],
        metadata={"facecctv": _VERSION, "embedder": embedder},
    )
    columns: dict[str, Any] = {name: [getattr(sight, name) for sight in sights] for name in _FACTS}
    columns["vector"] = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), size)
    return pa.table(columns, schema=schema)


def _sight(row: Mapping[str, Any]) -> Sight:
    x1, y1, x2, y2 = row["box"]
    return Sight(
        source=row["source"],
        name=row["name"],
        box=(x1, y1, x2, y2),
        quality=min(max(row["quality"], 0.0), 1.0),
        embedding=np.array(row["vector"], np.float32),
        frame=row["frame"],
        time=row["time"],
    )


def _probes(table: Any) -> int:
    """How many parts of the index are looked through: one in ten, for the recall."""
    return max(8, round(math.sqrt(table.count_rows()) / 10))


def _within(similarity: float) -> float:
    return min(max(float(similarity), -1.0), 1.0)


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Says the store's errors in the words of this package."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        line = " ".join(str(error).split())[:200]
        raise SightingsError(f"the sightings cannot be {what}: {line}") from error
