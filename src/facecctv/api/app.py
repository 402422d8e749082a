"""Puts the rooms of the API together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.security import APIKeyHeader
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from facecctv import __version__
from facecctv.api import (
    classic,
    compreface,
    compreface_people,
    demo,
    facts,
    making,
    native,
    pages,
    people,
    replaying,
    steps,
    videos,
    watching,
)
from facecctv.api.allocator import keep_tidy
from facecctv.api.around import Around
from facecctv.api.desk import Desk, ServerSettings, Workshop
from facecctv.api.problems import Problem

ROOMS = (
    native.routes,
    making.routes,
    replaying.routes,
    steps.routes,
    people.routes,
    videos.routes,
    classic.routes,
    compreface.routes,
    compreface_people.routes,
    demo.routes,
    watching.routes,
)
OF_THE_API = ("/v1/", "/task/", "/api/")

DESCRIPTION = (
    "Finds faces in pictures and says what each is good enough for. Pictures are kept in memory "
    "for the time of one request. Errors are application/problem+json (RFC 9457)."
)
NOT_HERE = (
    "nothing answers here; this server may lack what you are looking for (GET /v1/models lists "
    "what is installed)"
)

_NO_TELEMETRY: Any = dict.fromkeys(
    ("tracing", "metrics", "logs", "operation_spans", "auto_configure"), False
)
"""FastAPI would export requests to whatever OpenTelemetry is set up in the environment."""


def create_app(
    workshop: Workshop, settings: ServerSettings | None = None, web: Path = pages.WEB
) -> FastAPI:
    """The whole API and, where it is built, the web app.

    What is installed shows in the routes: a stage that the workshop's pipelines lack has none.
    Nothing is loaded before the first request, except by the workshop itself.
    """
    settings = settings or ServerSettings()
    desk = Desk(workshop, settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        tidying = asyncio.create_task(keep_tidy())
        yield
        tidying.cancel()
        desk.close()

    app = FastAPI(
        title="FaceCCTV",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        # The usual pages load scripts from elsewhere; ours is made in pages.py.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry=_NO_TELEMETRY,
    )
    key = APIKeyHeader(name="x-api-key", auto_error=False, description="Where keys are in use.")
    for room in ROOMS:
        app.include_router(room(desk), dependencies=[Depends(key)])
    app.include_router(facts.routes(desk, lambda: app.openapi()))

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return pages.api_page(app.openapi())

    _handle_errors(app, web)
    if settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["x-api-key", "content-type"],
            expose_headers=[
                "X-Input-SHA256",
                "X-Faces",
                *making.HEADERS,
                "Retry-After",
                "Location",
            ],
        )
    app.add_middleware(
        Around,
        metrics=desk.metrics,
        https=settings.https,
        hosts=settings.hosts,
        origins=settings.origins,
        idle_seconds=settings.limits.idle_seconds,
    )
    app.state.desk = desk
    return app


def _handle_errors(app: FastAPI, web: Path) -> None:
    async def http(request: Request, error: HTTPException) -> Response:
        path = request.url.path
        if error.status_code == 404 and request.method in ("GET", "HEAD"):
            found = None if path.startswith(OF_THE_API) else pages.page(path, web)
            if found is not None:
                return found
        detail = NOT_HERE if error.status_code == 404 else str(error.detail).lower()
        return Problem(error.status_code, detail, error.headers).response()

    async def invalid(_: Request, error: RequestValidationError) -> Response:
        return Problem(
            422, "; ".join(_plain(one) for one in error.errors()), reason="option"
        ).response()

    async def problem(_: Request, error: Problem) -> Response:
        return error.response()

    app.add_exception_handler(HTTPException, http)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, invalid)  # type: ignore[arg-type]
    app.add_exception_handler(Problem, problem)  # type: ignore[arg-type]


def _plain(error: dict[str, Any]) -> str:
    """Names the option, not the value that was sent."""
    return f"{error['loc'][-1]}: {error['msg']}"
