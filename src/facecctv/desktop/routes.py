"""What the private server answers beside the API and the web app.

The page reaches the system's dialogs by requests, not by the functions that a web view can put
into it: those are made with eval, which the content security policy forbids.
"""

from __future__ import annotations

import asyncio
import json

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from facecctv.api.problems import Problem
from facecctv.desktop import memory
from facecctv.desktop.memory import Memory
from facecctv.desktop.shelf import Shelf
from facecctv.desktop.views import View
from facecctv.errors import InputError, OutputError
from facecctv.image import write_atomic

LARGEST_SAVED = 2**30
"""Bytes of one file saved from the page, which are held in memory until they are whole."""

_ENTER = """\
localStorage.setItem('facecctv.settings', {settings});
sessionStorage.setItem('facecctv.desktop', '{view}');
location.replace('/' + location.hash);
"""


class Proposed(BaseModel):
    """A file that the page wants to save."""

    name: str = Field(max_length=200)


class Place(BaseModel):
    """A file that the user chose: its name, and where its bytes are read from or written to."""

    name: str
    address: str


def routes(kept: Memory, shelf: Shelf, view: View) -> APIRouter:
    """All below /desktop but the entrance, which is the door's own."""
    router = APIRouter(prefix="/desktop", include_in_schema=False)
    _for_starting(router, kept, view)
    _for_files(router, shelf, view)
    return router


def _for_starting(router: APIRouter, kept: Memory, view: View) -> None:
    @router.get("/enter.js")
    async def enter() -> Response:
        """The page's settings as they were left: at each start its origin is new to the browser."""
        text = _ENTER.replace("{view}", "window" if view.native else "browser")
        settings = json.dumps(json.dumps(kept.settings))
        return Response(text.replace("{settings}", settings), media_type="text/javascript")

    @router.put("/settings", status_code=204)
    async def keep(request: Request) -> None:
        body = await _body(request, memory.LARGEST)
        try:
            await asyncio.to_thread(kept.keep_settings, body)
        except InputError as error:
            raise Problem(422, str(error)) from error
        except OutputError as error:
            raise Problem(503, "the settings cannot be kept") from error

    @router.post("/show", status_code=204)
    async def show() -> None:
        if not await asyncio.to_thread(view.show):
            raise Problem(503, "the app is about to end")


def _for_files(router: APIRouter, shelf: Shelf, view: View) -> None:
    one_dialog = asyncio.Lock()

    @router.post("/open")
    async def choose() -> list[Place]:
        async with one_dialog:
            paths = await asyncio.to_thread(view.open_pictures)
        return [_place(shelf.put(path, "read"), path.name) for path in paths]

    @router.post("/save")
    async def propose(proposed: Proposed) -> Place | None:
        async with one_dialog:
            path = await asyncio.to_thread(view.save_as, proposed.name)
        return None if path is None else _place(shelf.put(path, "write"), path.name)

    @router.get("/files/{ticket}")
    async def read(ticket: str) -> Response:
        path = shelf.take(ticket, "read")
        if path is None:
            raise Problem(404, "this file was not chosen, or has been read already")
        try:
            data = await asyncio.to_thread(path.read_bytes)
        except OSError as error:
            raise Problem(404, f"the file cannot be read: {error.strerror}") from error
        return Response(data, media_type="application/octet-stream")

    @router.put("/files/{ticket}", status_code=204)
    async def write(ticket: str, request: Request) -> None:
        path = shelf.take(ticket, "write")
        if path is None:
            raise Problem(404, "no place was chosen for this file, or it has been saved already")
        body = await _body(request, LARGEST_SAVED)
        try:
            await asyncio.to_thread(write_atomic, path, body)
        except OutputError as error:
            raise Problem(503, "the file cannot be saved there: choose another place") from error


def _place(ticket: str, name: str) -> Place:
    return Place(name=name, address=f"/desktop/files/{ticket}")


async def _body(request: Request, most: int) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > most:
            raise Problem(413, f"at most {most} bytes")
    return bytes(body)
