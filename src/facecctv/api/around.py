"""What surrounds every request: time, counters, one line of log, headers, and no tracebacks."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from facecctv.api.metrics import Metrics
from facecctv.api.problems import Problem
from facecctv.api.security import check_place, headers

log = logging.getLogger("facecctv.api")

_PIECE = 256 * 1024
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Around:
    """ASGI middleware; the only place that logs a request, and never more than its shape."""

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        *,
        https: bool,
        hosts: tuple[str, ...],
        origins: tuple[str, ...],
        idle_seconds: float,
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._headers = headers(https)
        self._hosts = hosts
        self._origins = origins
        self._idle = idle_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        reply = _Reply(send, self._headers, self._idle)
        began = time.perf_counter()
        try:
            await self._answer(scope, receive, reply)
        finally:
            seconds = time.perf_counter() - began
            route = _template(scope)
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._metrics.count(method, route, reply.status, seconds)
            log.info(
                "%s %s %d %.0f ms %d B", method, route, reply.status, seconds * 1000, reply.size
            )

    async def _answer(self, scope: Scope, receive: Receive, reply: _Reply) -> None:
        try:
            sent = Headers(scope=scope)
            check_place(sent.get("host", ""), sent.get("origin"), self._hosts, self._origins)
            await self._app(scope, receive, reply)
        except Problem as problem:
            await problem.response()(scope, receive, reply)
        except _Stalled:
            log.info("the client stopped taking its reply")
        except Exception as error:  # noqa: BLE001 - the door: a bug must not show its insides
            log.error("bug: %s", where(error))
            if not reply.status:
                await Problem(500, "a bug in this server").response()(scope, receive, reply)


class _Stalled(Exception):
    """The client takes nothing of its reply; the server closes the line."""


class _Reply:
    """Sends with the headers added; gives up on a client that takes nothing."""

    def __init__(self, send: Send, always: dict[str, str], idle: float) -> None:
        self._send = send
        self._always = always
        self._idle = idle
        self.status = 0
        self.size = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            sent = MutableHeaders(raw=message["headers"])
            for name, value in self._always.items():
                sent.setdefault(name, value)
            message = {**message, "headers": sent.raw}
            await self._in_time(message)
            return
        body, more = memoryview(message.get("body", b"")), message.get("more_body", False)
        self.size += len(body)
        # In pieces, so that a slow client is told from one that takes nothing at all.
        for start in range(0, max(1, len(body)), _PIECE):
            piece = bytes(body[start : start + _PIECE])
            last = start + _PIECE >= len(body)
            await self._in_time({**message, "body": piece, "more_body": more or not last})

    async def _in_time(self, message: Message) -> None:
        try:
            async with asyncio.timeout(self._idle):
                await self._send(message)
        except TimeoutError as error:
            raise _Stalled from error


def _template(scope: Scope) -> str:
    """The route as written in the code, so that no address as sent gets into a log."""
    return getattr(scope.get("route"), "path", "other")


def where(error: BaseException) -> str:
    """Kind and line of an error without its message, which may quote the request."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    if place is None:
        return type(error).__name__
    name = Path(place.tb_frame.f_code.co_filename).name
    return f"{type(error).__name__} at {name}:{place.tb_lineno}"
