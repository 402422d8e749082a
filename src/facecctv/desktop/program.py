"""Puts the desktop app together and runs it from start to end."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import platformdirs
from fastapi import FastAPI

from facecctv import build
from facecctv.api import pages
from facecctv.api.app import create_app
from facecctv.api.desk import ServerSettings, Workshop
from facecctv.api.limits import ServerLimits
from facecctv.api.served import ServedList
from facecctv.desktop.door import Door, Keyring, loopback
from facecctv.desktop.ending import on_signals
from facecctv.desktop.lock import Claim
from facecctv.desktop.memory import Memory
from facecctv.desktop.routes import routes
from facecctv.desktop.server import PrivateServer
from facecctv.desktop.shelf import Shelf
from facecctv.desktop.views import Browser, View
from facecctv.desktop.window import Rehearsal, Window, obstacle
from facecctv.errors import MissingExtra
from facecctv.identity.calibrate import Calibration
from facecctv.settings import Settings

Say = Callable[[str], None]

NOT_BUILT = "the web app is not built into this installation: 'make app' in a checkout builds it"


class Known(Protocol):
    """What is asked for of recognition."""

    def opened(self, workshop: build.Workshop) -> ServedList | None:
        """The watch-list to search in; may ask for its passphrase."""

    def calibrated(self, workshop: build.Workshop) -> Calibration | None:
        """A calibration of the user's own."""


def start(settings: Settings, say: Say, known: Known, *, browser: bool = False) -> None:
    """Runs the app until it is closed, or brings the one that runs already to the front.

    `say` is given single lines for the user; `known` is asked if this is the first. For the main
    thread: signals end the app as closing its window does. Raises FaceCCTVError, with nothing left
    running, if it cannot start.
    """
    if not (pages.WEB / "index.html").is_file():
        raise MissingExtra(NOT_BUILT)
    claim = Claim(_folder())
    try:
        if claim.hand_over():
            say("FaceCCTV is running already: there it is, with the options it was started with.")
            return
        _run(settings, say, claim, known, browser)
    finally:
        claim.release()


def _run(settings: Settings, say: Say, claim: Claim, known: Known, browser: bool) -> None:
    workshop = build.workshop(settings)
    with known.opened(workshop) or nullcontext() as listed:
        served = ServerSettings(calibration=known.calibrated(workshop), watchlist=listed)
        _show(settings, say, claim, workshop, served, browser)


def _show(
    settings: Settings,
    say: Say,
    claim: Claim,
    workshop: build.Workshop,
    served: ServerSettings,
    browser: bool,
) -> None:
    why_not = "as asked" if browser else obstacle()
    rehearsal = Rehearsal() if why_not is None else None
    workshop.cards()  # a model that is missing or damaged is said now, not on a page
    if rehearsal is not None:
        why_not = rehearsal.obstacle()
    memory = Memory(settings_file())
    view: View
    if why_not is None:
        view = Window(memory)
    else:
        if not browser:
            say(f"No window: {why_not}. FaceCCTV opens in the browser instead.")
        view = Browser(say)
    keyring = Keyring()
    host = loopback()
    app = private_app(workshop, settings, host, keyring, memory, view, served=served)
    with on_signals(view.close), PrivateServer(app, host, keyring) as server:
        claim.publish(server.address)
        view.run(server.entrance)


def private_app(
    workshop: Workshop,
    settings: Settings,
    host: str,
    keyring: Keyring,
    memory: Memory,
    view: View,
    web: Path = pages.WEB,
    served: ServerSettings | None = None,
) -> FastAPI:
    """The API and the web app for one visitor, who comes in by the keyring's ticket.

    `served` may bring a watch-list and a calibration; the rest of it is set here.
    """
    given = {"max_bytes": settings.max_bytes, "max_pixels": settings.max_pixels}
    limits = ServerLimits(
        # One user does not have to be kept from taking another's share.
        requests_per_minute=0,
        **{name: value for name, value in given.items() if value is not None},
    )
    own = replace(served or ServerSettings(), limits=limits, hosts=(host,))
    app = create_app(workshop, own, web)
    app.include_router(routes(memory, Shelf(), view))
    app.add_middleware(Door, keyring=keyring)
    return app


def _folder() -> Path:
    return Path(platformdirs.user_state_dir("facecctv", appauthor=False)) / "desktop"


def settings_file() -> Path:
    """Where the app remembers its settings."""
    return Path(platformdirs.user_config_dir("facecctv", appauthor=False)) / "desktop.json"
