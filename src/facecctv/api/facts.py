"""What the server says of itself: health, limits, models, privacy, counters."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request, Response

from facecctv import __version__
from facecctv.api import documents
from facecctv.api.desk import Desk, ServerSettings
from facecctv.api.metrics import MEDIA_TYPE
from facecctv.api.privacy import Privacy
from facecctv.api.problems import Problem, documented
from facecctv.api.security import client
from facecctv.errors import FaceCCTVError
from facecctv.models.card import Card
from facecctv.vision.attributes import TASK as ESTIMATOR
from facecctv.vision.compare import TASK as EMBEDDER

STUCK = 2.0
"""Work that runs this many times longer than it may says that a thread hangs."""


def _missing(settings: ServerSettings, cards: Sequence[Card]) -> set[str]:
    """Capabilities that lack a model, a calibration or a watch-list; all others need only the
    detector.
    """
    tasks = {card.task for card in cards}
    scaled = settings.calibration is not None or any(
        card.task == EMBEDDER and "calibration" in card.extra for card in cards
    )
    served = settings.watchlist
    there = {
        "attributes": ESTIMATOR in tasks,
        "enhance": "enhancer" in tasks,
        "colourise": "colouriser" in tasks,
        "compare": EMBEDDER in tasks and scaled,
        "search": EMBEDDER in tasks and scaled and served is not None,
        "watchlist": EMBEDDER in tasks and served is not None and served.enrolling is not None,
    }
    return {name for name, so in there.items() if not so}


def capabilities(
    openapi: dict[str, Any], cards: Sequence[Card], settings: ServerSettings
) -> list[str]:
    """The names below /v1/ that take pictures or videos, and whose needs are all there; `live`
    where cameras are watched.
    """
    missing = _missing(settings, cards)
    names = [
        path.removeprefix("/v1/")
        for path, methods in openapi["paths"].items()
        if path.startswith("/v1/") and path.count("/") == 2 and "post" in methods
    ]
    watched = [] if settings.live is None else ["live"]
    return [name for name in names if name not in missing] + watched


def routes(desk: Desk, openapi: Callable[[], dict[str, Any]]) -> APIRouter:
    """All of them; `openapi` describes the whole app, asked when it is complete."""
    router = APIRouter(tags=["server"], responses=documents.PLAIN_FAILURES)

    @router.get("/healthz", summary="Can it work?", responses=documented((503,)))
    async def healthz() -> dict[str, str]:
        """200 while the threads keep up; 503 when one hangs, and the server should be restarted."""
        if max(lane.oldest() for lane in desk.lanes) > STUCK * desk.limits.work_seconds:
            raise Problem(503, "a thread hangs: restart the server", {"Retry-After": "60"})
        return {"status": "ok", "version": __version__}

    @router.get("/v1/limits", summary="Limits in force")
    async def limits() -> dict[str, int]:
        """Bytes, pixels, seconds and numbers of requests."""
        return asdict(desk.limits)

    @router.get("/v1/privacy", summary="What is kept and what not")
    async def privacy() -> Privacy:
        """In short; docs/privacy.md has the reasons."""
        return Privacy.of(desk.settings.watchlist, watching=desk.settings.live is not None)

    @router.get("/v1/models", summary="What is installed", responses=documented((503,)))
    async def models() -> dict[str, list[str] | list[dict[str, str]]]:
        """Capabilities (each is `POST /v1/NAME`, but `GET /v1/live`) and the models behind them."""
        try:
            cards = await asyncio.to_thread(desk.workshop.cards)
        except FaceCCTVError as error:
            # Its message may name files of the server.
            raise Problem(503, "the model cannot be used", {"Retry-After": "60"}) from error
        described = [
            {"name": card.name, "task": card.task, "version": card.version} for card in cards
        ]
        return {
            "capabilities": capabilities(openapi(), cards, desk.settings),
            "models": described,
        }

    @router.get(
        "/metrics",
        summary="Counters for Prometheus",
        response_class=Response,
        responses={
            200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
            **documented((401,)),
        },
    )
    async def metrics(request: Request) -> Response:
        """In the text format; needs an API key where keys are in use."""
        client(request, desk.settings.keys)
        return Response(desk.metrics.text(), media_type=MEDIA_TYPE)

    return router
