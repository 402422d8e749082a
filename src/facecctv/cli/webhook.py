"""Events to an address of the user's, without ever holding up who has them."""

from __future__ import annotations

import base64
import http.client
import ssl
import threading
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from facecctv import __version__
from facecctv.errors import SettingError
from facecctv.footage.camera import shown_address
from facecctv.footage.newest import Newest

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_AGAIN_LATER = frozenset({408, 425, 429})


@dataclass(frozen=True)
class WebhookOptions:
    """How hard it is tried."""

    timeout: float = 5.0
    """Seconds to connect, and to answer."""
    room: int = 256
    """Events that wait; of more the oldest are lost and counted."""
    tries: int = 5
    pause: float = 1.0
    """Seconds before the second try; each pause is twice the one before."""


class Webhook:
    """Posts JSON to one address from a thread of its own.

    The address is https://, or http:// on this machine (SettingError otherwise). Certificates are
    checked, redirections are not followed, proxies not used. User and password of the address go
    as Basic authorisation, `token` as Bearer.
    """

    def __init__(
        self,
        address: str,
        token: str = "",
        options: WebhookOptions | None = None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.name = shown_address(address)
        """The address without secrets."""
        self.failed = 0
        """Events that were not taken, however often they were sent."""
        self.trouble = ""
        """Why the last one was not."""
        self._options = options or WebhookOptions()
        self._parts = urlsplit(address)
        if not self._parts.hostname or self._parts.scheme not in ("https", "http"):
            raise SettingError(f"--webhook is an https:// address, not {self.name}")
        if self._parts.scheme == "http" and self._parts.hostname not in _LOOPBACK:
            raise SettingError(f"--webhook: {self.name} would be sent readable: use https://")
        self._context = context or ssl.create_default_context()
        self._headers = _headers(self._parts.username, self._parts.password, token)
        self._waiting = Newest[str](self._options.room)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="facecctv-webhook", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Events that made way for newer ones."""
        return self._waiting.dropped

    def put(self, text: str) -> None:
        """Sends an event, soon; returns at once."""
        self._waiting.put(text)

    def close(self, wait: float = 5.0) -> None:
        """Takes no more; what waits has so many seconds, and what is left then is lost."""
        self._waiting.end()
        self._thread.join(wait)
        self._stopped.set()

    def _work(self) -> None:
        for text in self._waiting:
            if self._stopped.is_set():
                self.failed += 1
            else:
                self._send(text.encode())

    def _send(self, body: bytes) -> None:
        pause = self._options.pause
        for number in range(self._options.tries):
            if number and self._stopped.wait(pause * 2 ** (number - 1)):
                break
            try:
                status = self._posted(body)
            except (OSError, http.client.HTTPException) as error:
                self.trouble = getattr(error, "strerror", None) or type(error).__name__
                continue
            if 200 <= status < 300:
                return
            self.trouble = f"answered {status}"
            if status < 500 and status not in _AGAIN_LATER:
                break
        self.failed += 1

    def _posted(self, body: bytes) -> int:
        parts, timeout = self._parts, self._options.timeout
        host = parts.hostname or ""
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            connection = http.client.HTTPSConnection(
                host, parts.port, timeout=timeout, context=self._context
            )
        else:
            connection = http.client.HTTPConnection(host, parts.port, timeout=timeout)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            connection.request("POST", target, body, self._headers)
            return connection.getresponse().status
        finally:
            connection.close()


def _headers(user: str | None, password: str | None, token: str) -> dict[str, str]:
    headers = {"Content-Type": "application/json", "User-Agent": f"facecctv/{__version__}"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    elif user is not None:
        pair = f"{unquote(user)}:{unquote(password or '')}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    return headers
