"""The watch-list that the doors with pages offer: options of `serve` and `app`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facecctv.cli import people
from facecctv.errors import SettingError
from facecctv.identity.calibrate import Calibration, calibration_of

if TYPE_CHECKING:
    from facecctv.api.served import ServedList
    from facecctv.build import Workshop

WatchlistFile = Annotated[
    Path | None,
    typer.Option("--watchlist", help="A watch-list to search in.", show_default=False),
]
EnrolDays = Annotated[
    int | None,
    typer.Option(
        "--enrol-days",
        min=1,
        max=3650,
        show_default=False,
        help="Let people be enrolled for so many days, and removed, through the pages and the API.",
    ),
]
EnrolPurpose = Annotated[
    str, typer.Option("--enrol-purpose", help="Of these people.", show_default="the list's")
]
EnrolOwner = Annotated[
    str, typer.Option("--enrol-owner", help="Of these people.", show_default="the list's")
]


@dataclass(frozen=True)
class Listed:
    """What was asked for of recognition."""

    watchlist: Path | None
    key_file: Path | None
    rate: float
    calibration: Path | None
    days: int | None
    purpose: str
    owner: str

    def check(self, *, keys: bool) -> None:
        """Raises what is wrong with the options; `keys` says that not everyone may ask."""
        people.check_rate(self.rate)
        if self.watchlist is None and (self.days is not None or self.key_file is not None):
            raise typer.BadParameter("--enrol-days and --key-file are for a --watchlist")
        if self.days is None and (self.purpose or self.owner):
            raise typer.BadParameter("--enrol-purpose and --enrol-owner are for --enrol-days")
        if self.watchlist is not None and not keys:
            raise SettingError("a watch-list beyond this machine needs --api-key-file")

    def calibrated(self, workshop: Workshop) -> Calibration | None:
        """The calibration of the file, which must fit the recogniser."""
        if self.calibration is None:
            return None
        return people.calibration_in(self.calibration, workshop.recogniser().name)

    def opened(self, workshop: Workshop) -> ServedList | None:
        """The list, read and held against the recogniser; asks for the passphrase if need be."""
        if self.watchlist is None:
            return None
        from facecctv.api.served import Enrolling, ServedList

        recogniser = workshop.recogniser()
        if self.calibration is None:
            calibration_of(recogniser.card)
        enrolling = None
        if self.days is not None:
            enrolling = Enrolling(self.days, self.purpose, self.owner)
        return ServedList(
            self.watchlist,
            people.secret(self.key_file),
            recogniser.name,
            rate=self.rate,
            enrolling=enrolling,
        )
