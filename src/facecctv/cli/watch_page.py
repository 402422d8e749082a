"""The page beside `facecctv watch`: the web app, with a room in which the cameras are seen."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

import typer

from facecctv.cli.loopback import is_loopback
from facecctv.errors import MissingExtra, SettingError
from facecctv.settings import Settings

if TYPE_CHECKING:
    from facecctv.build import Workshop
    from facecctv.footage.watched import Live


@dataclass(frozen=True)
class Page:
    """Where it is to be."""

    wanted: bool
    port: int | None = None
    """None: any that is free."""
    host: str | None = None
    """None: an address of this machine that only this run uses."""

    def check(self) -> None:
        """Raises what is wrong with the options, and MissingExtra where it cannot be served."""
        if not self.wanted:
            if self.port is not None or self.host is not None:
                raise typer.BadParameter("--port and --host are for a --page")
            return
        if self.host is not None and not is_loopback(self.host):
            raise SettingError(
                f"plain HTTP is for loopback addresses only, not {self.host}: the page is for "
                "this machine"
            )
        for package in ("fastapi", "uvicorn", "python_multipart", "cryptography"):
            if find_spec(package) is None:
                raise MissingExtra("--page needs more packages: pip install 'facecctv[serve]'")
        from facecctv.api import pages
        from facecctv.desktop.program import NOT_BUILT

        if not (pages.WEB / "index.html").is_file():
            raise MissingExtra(NOT_BUILT)

    @contextmanager
    def open(self, settings: Settings, workshop: Workshop, live: Live) -> Iterator[None]:
        """Served within the block, to nobody but the browsers that its addresses let in.

        Raises OutputError where it cannot listen.
        """
        # Late: watching without a page does without all of it.
        from facecctv.api.desk import ServerSettings
        from facecctv.desktop.door import Keyring, loopback
        from facecctv.desktop.memory import Memory
        from facecctv.desktop.program import private_app, settings_file
        from facecctv.desktop.server import PrivateServer
        from facecctv.desktop.views import Browser

        host = self.host or loopback()
        keyring = Keyring(redeemed=lambda: _say("For another browser", server.entrance()))
        app = private_app(
            workshop,
            settings,
            host,
            keyring,
            Memory(settings_file()),
            Browser(lambda line: None),  # nothing is opened: the address is printed
            served=ServerSettings(live=live),
        )
        server = PrivateServer(app, host, keyring, self.port or 0)
        with server:
            _say("Live page, for one browser", server.entrance())
            try:
                yield
            finally:
                live.end()


def _say(what: str, address: str) -> None:
    print(f"{what}: {address}#/live", file=sys.stderr, flush=True)
