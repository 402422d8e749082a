"""`facecctv app`."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from typing import Annotated

import typer

from facecctv.cli import listed, people
from facecctv.errors import MissingExtra, OutputError
from facecctv.identity.calibrate import RATE


def app(
    browser: Annotated[
        bool, typer.Option("--browser", help="In the default browser instead of a window.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Say whether a window can be opened here, and end.")
    ] = False,
    watchlist: listed.WatchlistFile = None,
    key_file: people.KeyFile = None,
    rate: people.Rate = RATE,
    calibration: people.CalibrationFile = None,
    enrol_days: listed.EnrolDays = None,
    enrol_purpose: listed.EnrolPurpose = "",
    enrol_owner: listed.EnrolOwner = "",
) -> None:
    """Open the desktop app.

    It works on a server of its own that answers nobody else and ends with the window. Where no
    window can be opened it uses the browser. A second start brings the first to the front. With a
    watch-list its passphrase is asked for here, before the window opens, and every search is
    written to its log (LIST.log).
    """
    if check:
        _check()
        return
    known = listed.Listed(
        watchlist, key_file, rate, calibration, enrol_days, enrol_purpose, enrol_owner
    )
    known.check(keys=True)  # nobody but the window gets in
    for package in ("fastapi", "uvicorn", "python_multipart", "cryptography"):
        if find_spec(package) is None:
            raise MissingExtra("the app needs more packages: pip install 'facecctv[desktop]'")
    # Late: --help does without all of it.
    from facecctv.desktop.program import start
    from facecctv.settings import Settings

    start(Settings.from_environment(os.environ), _say, known, browser=browser)


def _check() -> None:
    from facecctv.desktop.window import obstacle, rehearse

    found = obstacle()
    if found is not None:
        raise OutputError(f"no window: {found}")
    rehearse()
    print("A window can be opened here.")


def _say(line: str) -> None:
    print(f"facecctv: {line}", file=sys.stderr, flush=True)
