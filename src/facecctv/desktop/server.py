"""The private server: on a port of this machine, in a thread, for as long as the window lives."""

from __future__ import annotations

import os
import socket
import threading
from types import TracebackType
from typing import Self

import uvicorn
from starlette.types import ASGIApp

from facecctv.api.allocator import share_arenas
from facecctv.api.server import config
from facecctv.desktop.door import ENTER, Keyring
from facecctv.desktop.lock import Address
from facecctv.errors import OutputError

GRACE_SECONDS = 2
"""For requests in work at the end: the window that waited for them is gone."""


class PrivateServer:
    """Context manager: listens from the first line of the block to its end."""

    def __init__(self, app: ASGIApp, host: str, keyring: Keyring, port: int = 0) -> None:
        """`app` lets nobody in without the keyring (`facecctv.desktop.door.Door`); on port 0 it
        takes any that is free.
        """
        self._keyring = keyring
        self._socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        if os.name == "posix":  # elsewhere this would let others take the port from us
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        options = config(app, host, 0)
        options.timeout_graceful_shutdown = GRACE_SECONDS
        self._server = uvicorn.Server(options)
        self._place = host, port
        self._thread = threading.Thread(target=self._run, name="facecctv-server")

    def __enter__(self) -> Self:
        """Raises OutputError if it cannot listen."""
        try:
            self._socket.bind(self._place)
            # From here on connections wait for the server instead of being refused.
            self._socket.listen()
        except OSError as error:
            self._socket.close()
            host, port = self._place
            what = f"port {port} of {host} is not free" if port else f"no port of {host} is free"
            raise OutputError(f"{what}: {error.strerror}") from error
        share_arenas()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        place: TracebackType | None,
    ) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    @property
    def address(self) -> Address:
        """Where a later start finds it."""
        host, port = self._socket.getsockname()[:2]
        return Address(host, port, self._keyring.handover)

    def entrance(self) -> str:
        """An address that lets in one visitor, once."""
        host, port = self._socket.getsockname()[:2]
        name = f"[{host}]" if ":" in host else host
        return f"http://{name}:{port}{ENTER}?ticket={self._keyring.ticket()}"

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])
