"""`facecctv replay`."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from facecctv import __version__, build
from facecctv.cli import batch, options, outputs
from facecctv.errors import InputError, LimitError
from facecctv.evidence.provenance import Record
from facecctv.evidence.replay import Claim, Replayed, Replayer
from facecctv.image import Limits, find, read_bytes, shown, write_atomic
from facecctv.schema import printable

RECORD = ".json"
"""At the end of a record's name, which is otherwise its picture's."""
CHANGES = "-change.png"


def replay(
    inputs: Annotated[
        list[str],
        typer.Argument(
            help="Processed pictures or their records: files, folders, globs.",
            show_default=False,
        ),
    ],
    source: Annotated[
        Path | None,
        typer.Option(help="The original, or a folder that holds it.", show_default="as recorded"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Keep the pictures made again here.", show_default=False),
    ] = None,
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> int:
    """Do recorded steps once more, and say whether the same picture comes out.

    Shows that a processed picture is what it says it is: these steps, by these models, from this
    original. The exit status is 1 where one is not.
    """
    found = [
        path
        for path in options.sources(inputs, out)
        if path in inputs or not path.endswith(CHANGES)
    ]
    settings = options.environment()
    limits = build.limits(settings)
    replayer = Replayer(lambda step: build.tool(settings, step), __version__, limits)
    if out is not None:
        outputs.folder(out)
    job = _Job(replayer, limits, source, out)
    status = batch.run(found, job, _described, as_json=as_json, debug=debug)
    return max(status, int(job.failed))


class _Job:
    """Replays one result after the other."""

    def __init__(
        self, replayer: Replayer, limits: Limits, source: Path | None, out: Path | None
    ) -> None:
        self._replayer, self._limits, self._source, self._out = replayer, limits, source, out
        self._names = outputs.Names()
        self.failed = False
        """Whether a result is not what it says."""

    def __call__(self, result: str) -> Replayed:
        try:
            return self._replayed(result)
        except MemoryError as error:
            raise LimitError("not enough memory for a picture of this size") from error

    def _replayed(self, result: str) -> Replayed:
        record_path = result if result.endswith(RECORD) else result + RECORD
        recorded = None
        if os.path.exists(record_path):
            record = _read(record_path)
            beside = os.path.join(os.path.dirname(record_path), record.output.file)
            data = read_bytes(beside, self._limits) if os.path.exists(beside) else None
            claim, recorded = Claim.of_record(record, data, self._limits), record.source
        elif result.endswith(RECORD):
            raise InputError("no such record")
        else:
            claim = Claim.of_picture(read_bytes(result, self._limits), self._limits)
        source = self._original(claim, recorded, os.path.dirname(record_path))
        data = read_bytes(source, self._limits)
        told, made = self._replayer(printable(result), claim, (printable(source), data))
        outputs.check_unchanged(source, claim.source_sha256)
        self._keep(result, claim, made)
        self.failed |= not told.holds
        return told

    def _original(self, claim: Claim, recorded: str | None, beside: str) -> str:
        """The file to start from; its bytes are checked later."""
        if self._source is not None and not self._source.is_dir():
            return str(self._source)
        if self._source is not None:
            for path in find([self._source]):
                if _sha256(path) == claim.source_sha256:
                    return path
            raise InputError(f"{shown(self._source)}: does not hold the original of this result")
        places = [] if recorded is None else [recorded, os.path.join(beside, _name(recorded))]
        for path in places:
            if os.path.exists(path):
                return path
        raise InputError("where is the original? name it with --source")

    def _keep(self, result: str, claim: Claim, made: bytes) -> None:
        if self._out is None:
            return
        suffix = ".jpg" if claim.format == "jpeg" else f".{claim.format}"
        ending = f"-again{suffix}"
        folder = self._out
        # No file is written over: it may be the result, or its original.
        stem = self._names.give(
            result.removesuffix(RECORD), lambda stem: (folder / f"{stem}{ending}").exists()
        )
        write_atomic(folder / f"{stem}{ending}", made)


def _read(path: str) -> Record:
    try:
        return Record.model_validate_json(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{shown(path)}: cannot be read: {error.strerror}") from error
    except (ValidationError, UnicodeDecodeError) as error:
        raise InputError(f"{shown(path)}: not a record of facecctv enhance or colourise") from error


def _sha256(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _name(recorded: str) -> str:
    # A record may come from another system, whose paths have backslashes.
    return recorded.replace("\\", "/").rpartition("/")[2]


WORDS = {
    "same_bytes": "holds: the same file, to the last byte",
    "same_pixels": "holds: the same pixels in another file",
    "differs": "DOES NOT HOLD: another picture comes out",
}


def _described(told: Replayed) -> str:
    words = ["FILE CHANGED" if told.file == "altered" else WORDS[told.verdict]]
    if told.verdict == "differs" and told.largest_difference is not None:
        share = told.pixels_changed or 0.0
        words.append(
            f"up to {told.largest_difference} grey levels apart, {share:.1%} of the pixels"
        )
    if told.file == "altered":
        which = "holds" if told.verdict == "same_bytes" else "does not hold either"
        words.append(f"it is not the picture of its record, which {which}")
    if told.file == "missing":
        words.append("the picture itself is not there")
    if told.other_versions:
        pairs = told.other_versions.items()
        words.append("made with " + ", ".join(f"{k} {a} (now {b})" for k, (a, b) in pairs))
    return "; ".join(words)
