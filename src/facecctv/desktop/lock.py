"""One desktop app for each user: the first runs, the second brings it to the front."""

from __future__ import annotations

import http.client
import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from facecctv.desktop.door import SHOW
from facecctv.errors import OutputError
from facecctv.image import shown

PATIENCE = 20.0
"""Seconds for which a second start waits for the first to be ready, or gone."""
_AGAIN = 0.1


@dataclass(frozen=True)
class Address:
    """Where the first is reached, as a file that only its user can read."""

    host: str
    port: int
    handover: str

    def write(self, file: Path) -> None:
        """Raises OutputError if it cannot."""
        try:
            file.unlink(missing_ok=True)
            with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:  # noqa: PTH123
                json.dump(asdict(self), out)
        except OSError as error:
            raise OutputError(f"{shown(file)}: {error.strerror}") from error

    @classmethod
    def read(cls, file: Path) -> Address | None:
        """None if there is none yet, or none that makes sense."""
        try:
            found = json.loads(file.read_bytes())
            return cls(str(found["host"]), int(found["port"]), str(found["handover"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def show(self) -> bool:
        """Asks the app there to come to the front; whether it answered that it does."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=5)
        try:
            connection.request("POST", SHOW, headers={"Authorization": f"Bearer {self.handover}"})
            return connection.getresponse().status == 204
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


class Claim:
    """Being the first. The system takes it back when the process ends, however that happens."""

    def __init__(self, folder: Path) -> None:
        """Raises OutputError if the folder cannot be used."""
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise OutputError(f"{shown(folder)}: {error.strerror}") from error
        self._address = folder / "address.json"
        self.held = False

    def take(self) -> bool:
        """Whether this process is the first; does not wait."""
        self.held = self.held or _lock(self._file)
        return self.held

    def publish(self, address: Address) -> None:
        """Says to later starts where this one is."""
        address.write(self._address)

    def hand_over(self, patience: float = PATIENCE) -> bool:
        """True once another app has been brought to the front; False if this is the first.

        The other may not be ready yet, or be about to end: both are waited for. Raises
        OutputError if it is there and does not answer.
        """
        end = time.monotonic() + patience
        while not self.take():
            address = Address.read(self._address)
            if address is not None and address.show():
                return True
            if time.monotonic() > end:
                raise OutputError("FaceCCTV is running already but does not answer: end it first")
            time.sleep(_AGAIN)
        return False

    def release(self) -> None:
        """Lets the next one be the first."""
        if self.held:
            # Before the lock goes: afterwards it may be the next one's.
            self._address.unlink(missing_ok=True)
        os.close(self._file)
        self.held = False


if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> bool:
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _lock(file: int) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
