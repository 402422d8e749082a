"""What the commands share that turn one picture into another: enhance and colourise."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from facecctv import __version__, build
from facecctv.cli import batch, options, outputs
from facecctv.errors import LimitError, SettingError
from facecctv.evidence.provenance import CHANGES, Output, Record, embedded, marks, versions
from facecctv.evidence.steps import Chain, Modelled, Process, Tool
from facecctv.image import (
    FORMATS,
    Carried,
    Format,
    Limits,
    Picture,
    carried,
    decode,
    encode,
    read_bytes,
    shown,
    write_atomic,
)
from facecctv.image.carrying import NOTHING
from facecctv.image.writing import USUAL_QUALITY, quality_of
from facecctv.schema import printable
from facecctv.types import Image
from facecctv.vision.drift import change_map

Out = Annotated[
    Path | None,
    typer.Option(
        "--out", "-o", help="Folder for the results, or the one result's file.", show_default=False
    ),
]
FileFormat = Annotated[
    Literal["png", "jpeg", "webp", "tiff"] | None,
    typer.Option(
        "--format",
        help="Of results in a folder; a file's is told by its name.",
        show_default="png, which loses nothing",
    ),
]
Quality = Annotated[int, typer.Option(min=1, max=100, help="Of JPEG and WebP.")]
Forensic = Annotated[
    bool,
    typer.Option("--forensic", help="Refuse steps that show what no camera recorded, as colour."),
]
ChangeMap = Annotated[
    bool,
    typer.Option("--change-map", help="Write as a picture too what was added, and where."),
]


@dataclass(frozen=True)
class Writing:
    """How results are to be written."""

    out: Path
    word: str
    """What was done, for names in a folder: NAME-WORD.png."""
    format: Format | None = None
    quality: int = USUAL_QUALITY
    change_map: bool = False


def chain(text: str) -> Chain:
    """The chain of --steps; one that is not of the grammar is wrong usage (typer.BadParameter)."""
    try:
        return Chain.parse(text)
    except SettingError as error:
        raise typer.BadParameter(f"--steps: {error}") from error


def run(
    inputs: Sequence[str],
    steps: Chain,
    writing: Writing,
    *,
    forensic: bool,
    as_json: bool,
    debug: bool,
) -> int:
    """Puts every input through the steps and returns the exit status.

    Models are loaded before the first input: one that cannot be used is no fault of any of them.
    """
    suffix = writing.out.suffix.lower()
    is_folder = writing.out.is_dir() or not suffix
    found = options.sources(inputs, writing.out if is_folder else None)
    target = _Folder(writing, found) if is_folder else _File(writing, found)
    settings = options.environment()

    def tool_for(step: Modelled) -> Tool:
        return build.tool(settings, step)

    try:
        process = Process(steps, tool_for, forensic=forensic)
    except SettingError as error:
        raise typer.BadParameter(str(error)) from error
    with outputs.workshop(target.folder) as workshop:
        job = _Job(process, build.limits(settings), target, writing, workshop)
        return batch.run(found, job, job.describe, as_json=as_json, debug=debug)


class _Sources:
    """The files that must not be written over, under whatever name."""

    def __init__(self, sources: Sequence[str]) -> None:
        self._known = {found for source in sources if (found := _identity(source)) is not None}

    def hold(self, path: Path) -> bool:
        return _identity(path) in self._known


def _identity(path: str | Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        # Not there, so nothing to lose; ValueError: a name with a zero byte.
        return None
    return status.st_dev, status.st_ino


def _beside(name: str) -> tuple[str, str]:
    """The names of a result's record and of its change map."""
    return f"{name}.json", f"{os.path.splitext(name)[0]}-change.png"


class _Folder:
    """Results as NAME-WORD.png and so on in a folder."""

    def __init__(self, writing: Writing, sources: Sequence[str]) -> None:
        self.folder, self._word = writing.out, writing.word
        self.format: Format = writing.format or "png"
        self._suffix = ".jpg" if self.format == "jpeg" else f".{self.format}"
        self._names, self._sources = outputs.Names(), _Sources(sources)

    def name(self, source: str) -> str:
        """A name of its own for each source, that of no source."""
        return self._full(self._names.give(source, self._is_taken))

    def _full(self, stem: str) -> str:
        return f"{stem}-{self._word}{self._suffix}"

    def _is_taken(self, stem: str) -> bool:
        name = self._full(stem)
        return any(self._sources.hold(self.folder / each) for each in (name, *_beside(name)))


class _File:
    """The one result of the one source, in the file named."""

    def __init__(self, writing: Writing, sources: Sequence[str]) -> None:
        suffix = writing.out.suffix.lower()
        if suffix not in FORMATS:
            raise typer.BadParameter(
                f"-o {shown(writing.out)}: pictures are written as {', '.join(FORMATS)}; "
                "a folder has no such ending, or exists"
            )
        if len(sources) > 1:
            raise typer.BadParameter(f"-o: {len(sources)} pictures need a folder, not one file")
        if writing.format not in (None, FORMATS[suffix]):
            raise typer.BadParameter(f"--format {writing.format} contradicts -o …{suffix}")
        self.folder, self.format, self._name = writing.out.parent, FORMATS[suffix], writing.out.name
        known = _Sources(sources)
        if any(known.hold(self.folder / each) for each in (self._name, *_beside(self._name))):
            raise typer.BadParameter("-o: would write over the input")

    def name(self, source: str) -> str:
        """The one that was given, whatever the source."""
        return self._name


class _Job:
    """Processes one picture after the other."""

    def __init__(
        self,
        process: Process,
        limits: Limits,
        target: _Folder | _File,
        writing: Writing,
        workshop: Path,
    ) -> None:
        self._process, self._limits = process, limits
        self._target, self._writing, self._workshop = target, writing, workshop

    def __call__(self, source: str) -> Record:
        try:
            return self._processed(source)
        except MemoryError as error:
            raise LimitError("not enough memory for a picture of this size") from error

    def describe(self, record: Record) -> str:
        before, after = record, record.output
        size = f"{before.width} x {before.height} px"
        if (before.width, before.height) != (after.width, after.height):
            size = f"{size} to {after.width} x {after.height}"
        guessed = ", colour estimated" if record.colour else ""
        return f"{size}{guessed}, {shown(self._target.folder / after.file)}"

    def _processed(self, source: str) -> Record:
        data = read_bytes(source, self._limits)
        picture, kept = decode(data, self._limits), carried(data, self._limits)
        del data
        chain = self._process.chain
        chain.size_after(picture.width, picture.height, self._limits.max_pixels)
        result = self._process(picture.image)
        name = self._target.name(source)
        record_name, change_name = _beside(name)
        made = [self._write(name, self._target.format, result, picture, kept)]
        if self._writing.change_map:
            shift = change_map(chain.plain(picture.image), result)
            made.append(self._write(change_name, "png", shift, picture))
        record = self._record(source, picture, kept, made)
        write_atomic(self._workshop / record_name, f"{record.to_json()}\n".encode())
        outputs.check_unchanged(source, picture.sha256)
        # The picture last: what is there has its record.
        names = [record_name, *([change_name] if self._writing.change_map else []), name]
        outputs.publish_files(self._workshop, self._target.folder, names)
        return record

    def _write(
        self,
        name: str,
        format: Format,
        image: Image,
        picture: Picture,
        kept: Carried | None = None,
    ) -> Output:
        quality = quality_of(format, self._writing.quality)
        shows = CHANGES if kept is None else ""
        words = embedded(picture.sha256, self._process.steps, __version__, quality, shows)
        data = encode(image, format, self._writing.quality, words, kept or NOTHING)
        write_atomic(self._workshop / name, data)
        height, width = image.shape[:2]
        sha256 = hashlib.sha256(data).hexdigest()
        return Output(
            file=printable(name), sha256=sha256, width=width, height=height, quality=quality
        )

    def _record(
        self, source: str, picture: Picture, kept: Carried, made: Sequence[Output]
    ) -> Record:
        steps = self._process.steps
        written = datetime.fromtimestamp(int(os.stat(source).st_mtime), UTC)
        return Record(
            source=printable(source),
            sha256=picture.sha256,
            width=picture.width,
            height=picture.height,
            modified=written.isoformat().replace("+00:00", "Z"),
            notes=(*picture.notes, *kept.notes) or None,
            output=made[0],
            change_map=made[1] if len(made) > 1 else None,
            steps=steps,
            versions=versions(steps, __version__),
            **marks(steps),
        )
