"""Labels on disk in one form, whatever format they came in.

`read_dataset` recognises the format and hands out a `Dataset` of `Labelled` pictures, none of them
decoded. `Pictures` decodes them: plain files, members of zip files (`faces.zip/a.webp`) and
pictures that labelme embedded in its JSON.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import ExifTags
from PIL.Image import Image as PillowImage

from facecctv.errors import ImageError, InputError, LabelError
from facecctv.image.files import shown
from facecctv.image.reading import decode, open_header
from facecctv.learn.data.detection import Sample
from facecctv.types import Floats, Image

FACE = "face"
"""The label of a box where the format names none."""
SPLITS = ("train", "val", "test")

Value = str | float


def _empty(*shape: int) -> Callable[[], Floats]:
    return lambda: np.zeros(shape, np.float32)


@dataclass(frozen=True, eq=False)
class Labelled:
    """What is known of one picture; its pixels stay on disk.

    Left out, `labels` are all "face", `landmarks` unknown and `ignore` false. Raises ValueError
    where the fields do not fit together.
    """

    path: Path
    """Of the picture: a file, a member of a zip file, or a labelme JSON with the picture in it."""
    width: int
    """Pixels, turned upright as EXIF says; so are all coordinates."""
    height: int
    boxes: Floats = field(default_factory=_empty(0, 4))
    """(N, 4) float32 x1 y1 x2 y2, pixels, right and bottom exclusive; as labelled, not clipped."""
    labels: tuple[str, ...] = ()
    """N names."""
    landmarks: Floats = field(default_factory=_empty(0, 5, 2))
    """(N, 5, 2) float32 pixels: left and right eye as seen, nose, left and right mouth corner;
    NaN where unknown."""
    ignore: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    """(N,) bool: may be a face or not; neither a hit nor a miss counts there."""
    identity: str | None = None
    """Who it is, where the picture shows one person."""
    attributes: Mapping[str, Value] = field(default_factory=dict)
    """Of the picture, as the source names them; `split` is the source's own split."""
    located: bool = True
    """False: nothing is said about where faces are, and `boxes` is empty. True and no boxes: there
    is no face."""

    def __post_init__(self) -> None:
        boxes = np.asarray(self.boxes, np.float32).reshape(-1, 4)
        count = len(boxes)
        given = np.asarray(self.landmarks, np.float32).reshape(-1, 5, 2)
        landmarks = given if len(given) else np.full((count, 5, 2), np.nan, np.float32)
        ignore = np.asarray(self.ignore, bool)
        ignore = ignore if len(ignore) else np.zeros(count, bool)
        labels = self.labels or (FACE,) * count
        if not len(labels) == len(landmarks) == len(ignore) == count:
            raise ValueError(
                f"{count} boxes, but {len(labels)} labels, {len(landmarks)} sets of landmarks and "
                f"{len(ignore)} ignore flags"
            )
        if count and not self.located:
            raise ValueError("a picture with boxes is located")
        if self.width < 1 or self.height < 1:
            raise ValueError(f"a picture has at least one pixel, not {self.width} x {self.height}")
        for name, value in (
            ("boxes", boxes),
            ("landmarks", landmarks),
            ("ignore", ignore),
            ("labels", tuple(labels)),
        ):
            object.__setattr__(self, name, value)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""
        return self.width, self.height

    def keep(self, which: np.ndarray) -> Labelled:
        """The same picture with the boxes that an index or mask (N,) selects."""
        order = np.arange(len(self.boxes))[which]
        return replace(
            self,
            boxes=self.boxes[order],
            labels=tuple(self.labels[i] for i in order),
            landmarks=self.landmarks[order],
            ignore=self.ignore[order],
        )


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with one file, in one line."""

    source: str
    """The file, relative to the data set."""
    kind: str
    """Short and fixed, for counting: `missing picture`, `broken label`, ..."""
    detail: str

    def __str__(self) -> str:
        return f"{shown(self.source)}: {self.detail}"


@dataclass(frozen=True, eq=False)
class Dataset:
    """All labelled pictures below one folder, and what could not be read there."""

    root: Path
    format: str
    items: tuple[Labelled, ...]
    faults: tuple[Fault, ...] = ()

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Labelled]:
        return iter(self.items)

    def name(self, item: Labelled) -> str:
        """How manifests and reports call the picture: its path below `root`, with slashes."""
        return name_below(self.root, item.path)

    def with_items(self, items: tuple[Labelled, ...]) -> Dataset:
        """The same data set with other pictures and no faults."""
        return replace(self, items=items, faults=())


def name_below(root: Path, path: Path) -> str:
    """The path below `root` with slashes, or whole where it lies elsewhere."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


class Pictures:
    """Reads the pictures of data sets; keeps zip files open, so make one per process."""

    def __init__(self) -> None:
        self._archives: dict[Path, zipfile.ZipFile] = {}

    def data(self, path: Path) -> bytes:
        """The bytes of the picture's file. Raises ImageError if they cannot be had."""
        try:
            archive = next((p for p in path.parents if p.suffix.lower() == ".zip"), None)
            if archive is not None and archive.is_file():
                return self._archive(archive).read(path.relative_to(archive).as_posix())
            data = path.read_bytes()
        except KeyError as error:
            raise ImageError(f"{shown(path)}: not in the zip file") from error
        except (OSError, zipfile.BadZipFile) as error:
            reason = getattr(error, "strerror", None) or error
            raise ImageError(f"{shown(path)}: cannot be read: {reason}") from error
        return _embedded(path, data) if path.suffix.lower() == ".json" else data

    def image(self, path: Path) -> Image:
        """(H, W, 3) uint8 RGB, upright. Raises ImageError."""
        data = self.data(path)
        try:
            return decode(data).image
        except ImageError as error:
            raise type(error)(f"{shown(path)}: {error}") from error

    def size(self, path: Path) -> tuple[int, int]:
        """Width and height, upright, from the header alone. Raises ImageError."""
        width, height, turned = self.header(path)
        return (height, width) if turned >= 5 else (width, height)

    def header(self, path: Path) -> tuple[int, int, int]:
        """Width and height as stored, and the EXIF orientation (1..8). Raises ImageError."""
        data = self.data(path)
        try:
            with open_header(data) as (format, source):
                return (*source.size, orientation(source, format, data))
        except ImageError as error:
            raise type(error)(f"{shown(path)}: {error}") from error

    def sample(self, item: Labelled) -> Sample:
        """The picture decoded, in the form that detectors are trained on. Raises ImageError."""
        image = self.image(item.path)
        return Sample(item.path.name, image, item.boxes, item.landmarks, item.ignore)

    def members(self, archive: Path) -> list[Path]:
        """Every file in a zip file, as paths that this class reads. Raises InputError."""
        try:
            names = self._archive(archive).namelist()
        except (OSError, zipfile.BadZipFile) as error:
            raise InputError(f"{shown(archive)}: {error}") from error
        return [archive / name for name in names if not name.endswith("/")]

    def _archive(self, path: Path) -> zipfile.ZipFile:
        if path not in self._archives:
            self._archives[path] = zipfile.ZipFile(path)
        return self._archives[path]


def orientation(source: PillowImage, format: str, data: bytes) -> int:
    """EXIF orientation, 1..8, of an opened picture; 1 where it states none or nonsense."""
    # Pillow decodes a whole PNG to look for EXIF behind the pixels. HEIC opens upright.
    if format == "heic" or (format == "png" and b"eXIf" not in data):
        return 1
    value = source.getexif().get(ExifTags.Base.Orientation, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _embedded(path: Path, data: bytes) -> bytes:
    try:
        return base64.b64decode(json.load(io.BytesIO(data))["imageData"], validate=False)
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise ImageError(f"{shown(path)}: holds no picture") from error


def read_dataset(path: Path, format: str = "auto") -> Dataset:
    """The labelled pictures below a folder (or of one label file).

    `format` is one of `facecctv.learn.data.formats.READERS`, or `auto`: told by the files that are
    there. What single files have wrong is in `faults`, and the rest is read.
    Raises InputError if there is no such folder or nothing to read, LabelError if the format is
    not recognised or a file that describes the whole set is broken.
    """
    from facecctv.learn.data import formats  # late: formats are written in terms of this module

    path = Path(path)
    if not path.exists():
        raise InputError(f"{shown(path)}: no such folder")
    name = formats.recognise(path) if format == "auto" else format
    if name not in formats.READERS:
        known = ", ".join(formats.READERS)
        raise LabelError(f"{format!r} is no label format; known are {known}")
    dataset = formats.READERS[name](path)
    if not dataset.items and not dataset.faults:
        raise InputError(f"{shown(path)}: no labelled picture ({name})")
    return dataset
