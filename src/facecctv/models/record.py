"""A folder's record of what its files must be: SHA256SUMS, in the form of the tool sha256sum."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from facecctv.errors import ModelError, OutputError

RECORD = "SHA256SUMS"


def read_record(folder: Path) -> dict[str, str]:
    """Returns file name -> SHA-256 in lower-case hexadecimal; empty when there is no record.

    Raises ModelError when the record cannot be read or has a line of another form, because half a
    record would let a changed file pass as one of the user's own.
    """
    try:
        text = (folder / RECORD).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"cannot read the record of models {RECORD}: {error}") from error
    record = {}
    for number, line in enumerate(text.splitlines(), 1):
        parts = re.fullmatch(r"([0-9a-fA-F]{64}) [ *]([^/\\]+)", line)
        if parts is None:
            raise ModelError(f"line {number} of {RECORD} is not of the form of sha256sum")
        record[parts[2]] = parts[1].lower()
    return record


def write_record(folder: Path, record: dict[str, str]) -> None:
    """Replaces the record in one step; raises OutputError when it cannot be written."""
    text = "".join(f"{digest}  {name}\n" for name, digest in sorted(record.items()))
    temporary = None
    try:
        with tempfile.NamedTemporaryFile("w", dir=folder, delete=False, encoding="utf-8") as file:
            temporary = Path(file.name)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(folder / RECORD)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise OutputError(f"cannot write the record of models: {error.strerror}") from error


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Makes the folder if need be and keeps other processes from writing to it meanwhile.

    The operating system lets go of the lock when the process ends, however it ends. Raises
    ModelError when another holds it, OutputError when the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("wb")
    except OSError as error:
        raise OutputError(f"cannot write to the model cache: {error.strerror}") from error
    with file:
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ModelError("another fetch into the model cache is under way") from error
        yield
