"""Runs the app on a socket, patiently but not for ever."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from facecctv.api.allocator import share_arenas

HEAD_SECONDS = 10
"""From the connection to the end of its first request's head, the TLS handshake not included."""
HEAD_BYTES = 32 * 1024
CONNECTIONS = 512
GRACE_SECONDS = 10
"""For requests in work when the server is asked to end."""


class _Impatient(H11Protocol):
    """Uvicorn waits for ever for the first request of a connection; this does not."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _give_up(self) -> None:
        # Uvicorn's `cycle` is None, whatever its annotation says, until a request's head is read.
        begun: object | None = self.cycle
        if begun is None and not self.transport.is_closing():
            self.transport.abort()


def config(app: ASGIApp, host: str, port: int, tls: ssl.SSLContext | None = None) -> uvicorn.Config:
    """How the app is served: HTTP/1.1, no log of addresses or queries, no trust in proxies.

    With `tls` every connection is encrypted by it.
    """
    options: dict[str, Any] = {}
    if tls is not None:
        options["ssl_context_factory"] = lambda _config, _default: tls
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=_Impatient,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=CONNECTIONS,
        h11_max_incomplete_event_size=HEAD_BYTES,
        timeout_graceful_shutdown=GRACE_SECONDS,
        **options,
    )


def run(app: ASGIApp, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
    """Serves until the process is asked to end."""
    share_arenas()
    uvicorn.Server(config(app, host, port, tls)).run()
