"""What an examination has seen so far, on disk: a line a look, and the crops that it kept.

A line is written whole before the next look begins; what a sudden end leaves of a last one is
dropped. Nothing else is needed to go on: everything an examination knows follows from its looks.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np

from facecctv.closing import Closing
from facecctv.errors import OutputError
from facecctv.types import Crop, Face, Pose, Quality, Sighting, Track

FORM: Final = "facecctv-journal-2"
_LINES, _CROPS = "looks.jsonl", "crops.bin"
_SYNCED_EVERY = 25
"""Looks after which the disk is told to keep what was written: against a power cut."""

Place = tuple[int, int, int, int, int, int]
"""Offset and length of a crop in its file; its column and row in the picture; height, width."""


@dataclass(frozen=True, eq=False)
class Entry:
    """One look: what was found, and what of it was asked for."""

    index: int
    time: Fraction
    damaged: int
    """As in `video.Mark`."""
    cut: bool
    faces: tuple[Face, ...]
    qualities: Mapping[int, Quality] = field(default_factory=dict)
    """By place of the face."""
    crops: Mapping[int, Crop] = field(default_factory=dict)
    whole: bool = True
    """Whether all of the frame was searched: from such a look on all can be done again."""

    def quality(self, place: int) -> Quality:
        """KeyError where it was not asked for."""
        return self.qualities[place]

    def crop(self, place: int) -> Crop:
        """KeyError where it was not asked for."""
        return self.crops[place]


class Journal(Closing):
    """A folder of its own; a context manager.

    `about` says what the journal is of (source, settings, models): one that is of something else is
    begun anew. Raises OutputError where nothing can be written.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any]) -> None:
        self.folder = folder
        self._head = json.dumps({"form": FORM, "about": dict(about)}, sort_keys=True)
        self._places: dict[tuple[int, float], Place] = {}
        """Of crops, by frame and left side of the box: no two faces of a frame begin there."""
        self._looks = 0
        self.last: Entry | None = None
        """The look that was written down or replayed last."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lines, self._crops = self._opened()
        except OSError as error:
            raise self._failed(error) from error

    @property
    def looks(self) -> int:
        """How many are written down."""
        return self._looks

    def close(self) -> None:
        """What is written down stays."""
        self._lines.close()
        self._crops.close()

    def replay(self) -> Iterator[Entry]:
        """The looks that are written down, in order; what is broken at the end is dropped."""
        self._lines.seek(0)
        self._lines.readline()
        end = self._lines.tell()
        kept = 0
        self._looks = 0
        for line in self._lines:
            entry = self._entry(line)
            if entry is None:
                break
            end += len(line)
            self._looks += 1
            self.last = entry
            kept = max([kept, *(sum(place[:2]) for place in self._of(line))])
            at = self._lines.tell()
            yield entry
            self._lines.seek(at)
        self._lines.seek(end)
        self._lines.truncate()
        self._crops.seek(kept)
        self._crops.truncate()

    def write(self, entry: Entry) -> None:
        """Writes a look down. Raises OutputError where the disk is full."""
        try:
            places = {at: self._store(entry, crop) for at, crop in entry.crops.items()}
            self._crops.flush()
            self._lines.write(_line(entry, places))
            self._lines.flush()
            self._looks += 1
            self.last = entry
            if self._looks % _SYNCED_EVERY == 0:
                os.fsync(self._crops.fileno())
                os.fsync(self._lines.fileno())
        except OSError as error:
            raise self._failed(error) from error

    def without_crops(self, track: Track) -> Track:
        """The track without the pixels of its sights, which are here."""
        return replace(track, best=tuple(replace(one, crop=None) for one in track.best))

    def with_crops(self, sights: Sequence[Sighting]) -> tuple[Sighting, ...]:
        """The sights with the crops that were written down for them."""
        return tuple(
            replace(one, crop=self._load(self._places[_key(one)], one.face)) for one in sights
        )

    def remove(self) -> None:
        """Ends the journal: its work is done."""
        self._lines.close()
        self._crops.close()
        for name in (_LINES, _CROPS):
            (self.folder / name).unlink(missing_ok=True)
        self.folder.rmdir()

    def _opened(self) -> tuple[BinaryIO, BinaryIO]:
        paths = self.folder / _LINES, self.folder / _CROPS
        for path in paths:
            path.touch()
        lines, crops = (open(path, "r+b", buffering=1 << 16) for path in paths)  # noqa: SIM115, PTH123
        if lines.readline().rstrip(b"\n") != self._head.encode():
            for file in (lines, crops):
                file.seek(0)
                file.truncate()
            lines.write(f"{self._head}\n".encode())
            lines.flush()
        return lines, crops

    def _store(self, entry: Entry, crop: Crop) -> Place:
        data = zlib.compress(crop.image.tobytes(), 1)
        offset = self._crops.tell()
        self._crops.write(data)
        place = (offset, len(data), crop.x, crop.y, crop.image.shape[0], crop.image.shape[1])
        self._places[entry.index, float(crop.face.box[0])] = place
        return place

    def _load(self, place: Place, face: Face) -> Crop:
        offset, length, x, y, rows, columns = place
        end = self._crops.tell()
        self._crops.seek(offset)
        data = zlib.decompress(self._crops.read(length))
        self._crops.seek(end)
        pixels = np.frombuffer(data, np.uint8).reshape(rows, columns, 3).copy()
        return Crop(pixels, x, y, face)

    def _of(self, line: bytes) -> list[Place]:
        return [tuple(place) for place in json.loads(line)["crops"].values()]

    def _entry(self, line: bytes) -> Entry | None:
        """None for a line that is not whole, or whose crops are not."""
        try:
            found = json.loads(line)
            faces = tuple(_face(numbers) for numbers in found["faces"])
            crops = {}
            for at, place in found["crops"].items():
                face = faces[int(at)]
                crops[int(at)] = self._load(tuple(place), face)
                self._places[found["index"], float(face.box[0])] = tuple(place)
            return Entry(
                found["index"],
                Fraction(found["time"]),
                found["damaged"],
                found["cut"],
                faces,
                {int(at): _quality(facts) for at, facts in found["qualities"].items()},
                crops,
                found["whole"],
            )
        except (ValueError, KeyError, TypeError, IndexError, zlib.error):
            # Cut short by a sudden end; the look is taken again.
            return None

    def _failed(self, error: OSError) -> OutputError:
        return OutputError(f"{self.folder}: cannot be written: {error.strerror or error}")


def _key(sighting: Sighting) -> tuple[int, float]:
    return sighting.index, float(sighting.face.box[0])


def _line(entry: Entry, places: Mapping[int, Place]) -> bytes:
    faces = [
        [*map(float, face.box), *map(float, face.landmarks.ravel()), float(face.score)]
        for face in entry.faces
    ]
    found = {
        "index": entry.index,
        "time": str(entry.time),
        "damaged": entry.damaged,
        "cut": entry.cut,
        "whole": entry.whole,
        "faces": faces,
        "qualities": {str(at): asdict(quality) for at, quality in entry.qualities.items()},
        "crops": {str(at): place for at, place in places.items()},
    }
    return f"{json.dumps(found, separators=(',', ':'))}\n".encode()


def _face(numbers: Sequence[float]) -> Face:
    values = np.array(numbers[:14], np.float32)
    return Face(values[:4], values[4:].reshape(5, 2), float(numbers[14]))


def _quality(facts: dict[str, Any]) -> Quality:
    pose = Pose(**facts["pose"])
    return Quality(**facts | {"pose": pose, "usable_for": tuple(facts["usable_for"])})
