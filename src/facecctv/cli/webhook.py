"""Events posted to an address of the user's."""

from __future__ import annotations

import base64
import http.client
import ssl
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from facecctv import __version__
from facecctv.cli.sending import LOOPBACK, ROOM, Message, Sender
from facecctv.errors import SettingError
from facecctv.footage.camera import shown_address

_AGAIN_LATER = frozenset({408, 425, 429})


@dataclass(frozen=True)
class WebhookOptions:
    """How hard it is tried."""

    timeout: float = 5.0
    """Seconds to connect, and to answer."""
    room: int = ROOM
    tries: int = 5
    pause: float = 1.0
    """Seconds before the second try; each pause is twice the one before."""


class Webhook(Sender):
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
        self._options = options or WebhookOptions()
        super().__init__(shown_address(address), self._options.room)
        self._parts = urlsplit(address)
        if not self._parts.hostname or self._parts.scheme not in ("https", "http"):
            raise SettingError(f"--webhook is an https:// address, not {self.name}")
        if self._parts.scheme == "http" and self._parts.hostname not in LOOPBACK:
            raise SettingError(f"--webhook: {self.name} would be sent readable: use https://")
        self._context = context or ssl.create_default_context()
        self._headers = _headers(self._parts.username, self._parts.password, token)
        self._thread.start()

    def _deliver(self, message: Message) -> bool:
        body = message.text.encode()
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
                return True
            self.trouble = f"answered {status}"
            if status < 500 and status not in _AGAIN_LATER:
                break
        return False

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
