"""The demo scenes for those who have no picture at hand: `GET /v1/demo`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from fastapi import APIRouter, Response
from pydantic import BaseModel

from facecctv import schema
from facecctv.api import documents
from facecctv.api.desk import Desk
from facecctv.api.problems import Problem, documented
from facecctv.demo import Scene, demo_scenes
from facecctv.errors import MissingExtra
from facecctv.image import encode


class DemoScene(BaseModel):
    """One scene, and where its faces are: whoever shows results can say what was missed."""

    name: str
    width: int
    height: int
    faces: tuple[schema.Box, ...]


@dataclass(frozen=True)
class _Exhibit:
    described: DemoScene
    jpeg: bytes


def routes(desk: Desk) -> APIRouter:
    """Both of them. Without scikit-image the list is empty."""
    router = APIRouter(prefix="/v1/demo", tags=["server"], responses=documents.PLAIN_FAILURES)
    composing = asyncio.Lock()
    exhibits: dict[str, _Exhibit] = {}

    async def gallery() -> dict[str, _Exhibit]:
        """Composed at the first request, as most servers are never asked."""
        async with composing:
            if not exhibits:
                exhibits.update(await asyncio.to_thread(_composed))
        return exhibits

    @router.get("", summary="Demo scenes")
    async def scenes() -> list[DemoScene]:
        """What there is to see; the box of every face in it, probability 1."""
        return [exhibit.described for exhibit in (await gallery()).values()]

    @router.get(
        "/{name}",
        summary="One demo scene",
        response_class=Response,
        responses={
            200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}},
            **documented((404,)),
        },
    )
    async def scene(name: str) -> Response:
        """The picture, as JPEG."""
        exhibit = (await gallery()).get(name)
        if exhibit is None:
            raise Problem(404, "there is no demo scene of this name (GET /v1/demo lists them)")
        return Response(exhibit.jpeg, media_type="image/jpeg")

    return router


def _composed() -> dict[str, _Exhibit]:
    try:
        scenes = demo_scenes()
    except MissingExtra:
        return {}
    return {name: _exhibit(name, scene) for name, scene in scenes.items()}


def _exhibit(name: str, scene: Scene) -> _Exhibit:
    height, width = scene.image.shape[:2]
    boxes = tuple(schema.Box.of(face) for face in scene.faces)
    described = DemoScene(name=name, width=width, height=height, faces=boxes)
    return _Exhibit(described, encode(scene.image, "jpeg"))
