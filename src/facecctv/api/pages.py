"""Pages for people: the web app's built files, and plain pages made here."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

from starlette.responses import FileResponse, HTMLResponse, Response

from facecctv.api.security import PAGE_POLICY

WEB = Path(__file__).parent.parent / "web"
"""Where the build puts the web app."""
_KEEP = "public, max-age=31536000, immutable"
_ASK = "no-cache"


def page(path: str, folder: Path = WEB) -> Response | None:
    """The file of the web app at this path; its index for addresses that only the app knows.

    None where nothing is: a path with a suffix that is no file, or no built web app.
    """
    index = folder / "index.html"
    if not index.is_file():
        return _not_built() if path == "/" else None
    file = _inside(folder, path.lstrip("/")) if path.strip("/") else index
    if file is None:
        if Path(path).suffix:
            return None
        file = index
    # Vite names what it puts here by content, so it never changes.
    fixed = file.parent == folder / "assets"
    return FileResponse(
        file,
        headers={
            "cache-control": _KEEP if fixed else _ASK,
            "content-security-policy": PAGE_POLICY,
        },
    )


def _inside(folder: Path, path: str) -> Path | None:
    try:
        file = (folder / path).resolve()
        inside = file.is_relative_to(folder.resolve()) and file.is_file()
    except (OSError, ValueError):
        # Names that the file system cannot hold.
        return None
    return file if inside else None


def _not_built() -> Response:
    return _plain(
        "FaceCCTV",
        "<p>The server runs. The web app is not built into this installation.</p>"
        '<p><a href="/docs">The API</a></p>',
    )


def api_page(openapi: dict[str, Any]) -> Response:
    """The API as one page, without scripts and without a request to anywhere."""
    parts = [f"<p>{_text(openapi['info']['description'])}</p>"]
    parts.append('<p>For machines: <a href="/openapi.json">openapi.json</a></p>')
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            parts.append(_operation(path, method, operation))
    return _plain("FaceCCTV API", "".join(parts))


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    rows = [
        f"<li><code>{_text(one['name'])}</code> {_text(one.get('description', ''))}</li>"
        for one in operation.get("parameters", ())
    ]
    statuses = [
        f"<li><code>{_text(status)}</code> {_text(reply.get('description', ''))}</li>"
        for status, reply in sorted(operation["responses"].items())
    ]
    options = f"<p>Query:</p><ul>{''.join(rows)}</ul>" if rows else ""
    return (
        f"<h2><code>{method.upper()} {_text(path)}</code></h2>"
        f"<p>{_text(operation.get('description', ''))}</p>{options}"
        f"<details><summary>Replies</summary><ul>{''.join(statuses)}</ul></details>"
    )


def _text(value: str) -> str:
    return html.escape(str(value))


def _plain(title: str, body: str) -> Response:
    return HTMLResponse(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width"></head>'
        f"<body><h1>{title}</h1>{body}</body></html>",
        headers={"content-security-policy": PAGE_POLICY},
    )
