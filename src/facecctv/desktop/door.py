"""Nobody but the window that this process opened gets into its server.

Every program of every user of a machine reaches a loopback port. So the window is sent to an
address with a ticket that works once and brings a session cookie; without that cookie nothing is
answered, neither page nor API.
"""

from __future__ import annotations

import hmac
import secrets
import sys
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from facecctv.api.problems import Problem
from facecctv.api.security import PAGE_POLICY, headers

ENTER = "/desktop/enter"
SHOW = "/desktop/show"
COOKIE = "facecctv-session"

_ENTRANCE = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>FaceCCTV</title>'
    '<meta name="color-scheme" content="light dark">'
    '<script src="/desktop/enter.js"></script></head><body></body></html>'
)


class Keyring:
    """The secrets of one run, 256 random bits each; they are never written to disk but for
    `handover`, which goes into a file of the user's own.
    """

    def __init__(self, redeemed: Callable[[], None] = lambda: None) -> None:
        """`redeemed` is called when a ticket let somebody in."""
        self._session = secrets.token_urlsafe(32)
        self._redeemed = redeemed
        self._tickets: set[str] = set()
        self.handover = secrets.token_urlsafe(32)
        """By which a second start asks for the window to be shown; good for nothing else."""

    def ticket(self) -> str:
        """A new one, which lets in one visitor."""
        ticket = secrets.token_urlsafe(32)
        self._tickets.add(ticket)
        return ticket

    def redeem(self, ticket: str) -> str | None:
        """The session that the ticket brings, at its first use only."""
        try:
            self._tickets.remove(ticket)
        except KeyError:
            return None
        self._redeemed()
        return self._session

    def inside(self, cookie: str) -> bool:
        """Whether a Cookie header holds the session."""
        try:
            kept = SimpleCookie(cookie).get(COOKIE)
        except CookieError:
            return False
        return kept is not None and _same(kept.value, self._session)

    def may_show(self, authorization: str) -> bool:
        """Whether an Authorization header is that of a second start."""
        return _same(authorization, f"Bearer {self.handover}")


class Door:
    """ASGI middleware, the outermost: a cookie, a ticket, or 401."""

    def __init__(self, app: ASGIApp, keyring: Keyring) -> None:
        self._app = app
        self._keyring = keyring

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent = Headers(scope=scope)
        if scope["path"] == ENTER and scope["method"] == "GET":
            await self._enter(scope)(scope, receive, send)
        elif self._keyring.inside(sent.get("cookie", "")) or (
            scope["path"] == SHOW and self._keyring.may_show(sent.get("authorization", ""))
        ):
            await self._app(scope, receive, send)
        else:
            await _refusal()(scope, receive, send)

    def _enter(self, scope: Scope) -> Response:
        tickets = parse_qs(scope["query_string"].decode("latin-1")).get("ticket", [])
        session = self._keyring.redeem(tickets[0]) if len(tickets) == 1 else None
        if session is None:
            return _refusal()
        reply = _with_headers(
            HTMLResponse(_ENTRANCE, headers={"content-security-policy": PAGE_POLICY})
        )
        reply.set_cookie(COOKIE, session, httponly=True, samesite="strict")
        return reply


def loopback() -> str:
    """An address of this machine that only this run uses.

    Browsers send the cookies of an address to all of its ports, other users' servers included.
    Where the system answers on all of 127.0.0.0/8, each run takes an address at random; macOS has
    127.0.0.1 alone.
    """
    if sys.platform == "darwin":
        return "127.0.0.1"
    # Neither the first, which everyone knows, nor the last, which means all of them.
    host = 2 + secrets.randbelow(2**24 - 3)
    return f"127.{host >> 16}.{host >> 8 & 255}.{host & 255}"


def _refusal() -> Response:
    return _with_headers(
        Problem(
            401,
            "this server answers only the window or browser that it let in; open the newest "
            "address that it printed, or start FaceCCTV again",
            {"WWW-Authenticate": 'Ticket realm="facecctv"'},
        ).response()
    )


def _with_headers(reply: Response) -> Response:
    sent = MutableHeaders(raw=reply.raw_headers)
    for name, value in headers(https=False).items():
        sent.setdefault(name, value)
    return reply


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "surrogateescape"), other.encode())
