"""`facecctv models`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from facecctv import build
from facecctv.cli import options
from facecctv.models.catalogue import Catalogue, Offer
from facecctv.models.download import Progress
from facecctv.models.store import Entry

models = typer.Typer(
    help="List, verify and fetch models.",
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object per model.")]
Catalogues = Annotated[
    list[Path] | None,
    typer.Option("--catalogue", help="Offers of your own, as a TOML file; may be repeated."),
]

_HEADER = ("NAME", "TASK", "VERSION", "MB", "ORIGIN", "STATE")


@models.command("list")
def show(as_json: Json = False, catalogue: Catalogues = None) -> int:
    """List the models that are here, and those that can be fetched.

    Of two models with one name the first is used.
    """
    entries = build.store(options.environment()).list()
    here = {entry.name for entry in entries}
    offers = [offer for offer in Catalogue.read(*catalogue or ()) if offer.name not in here]
    facts = [*map(_facts, entries), *map(_offered, offers)]
    _print(facts, as_json=as_json)
    return 0


@models.command()
def verify(as_json: Json = False) -> int:
    """Compare every model file with its SHA-256 on record.

    The exit status is 1 if one is missing, damaged or changed. `unknown` is a file of your own
    that is on no record.
    """
    entries = build.store(options.environment()).verify()
    _print([_facts(entry) for entry in entries], as_json=as_json)
    return int(any(entry.error for entry in entries))


@models.command()
def fetch(
    name: Annotated[str, typer.Argument(help="As `models list` names it.", show_default=False)],
    accept_licence: Annotated[
        bool,
        typer.Option("--accept-licence", help="Accept a licence for non-commercial use only."),
    ] = False,
    catalogue: Catalogues = None,
    url: Annotated[
        str | None, typer.Option(help="Another place to take the same bytes from.")
    ] = None,
) -> int:
    """Download a model into the cache, checked against its SHA-256; resumes what was cut off."""
    settings = options.environment()
    path = build.store(settings).fetch(
        name,
        catalogues=catalogue or (),
        accept_licence=accept_licence,
        offline=settings.offline,
        url=url,
        progress=_progress(name) if sys.stderr.isatty() else None,
    )
    print(path)
    return 0


def _facts(entry: Entry) -> dict[str, Any]:
    card = entry.card
    facts = {
        "name": entry.name,
        "task": card.task if card else None,
        "version": card.version if card else None,
        "licence": card.licence if card else None,
        "size": entry.size,
        "origin": entry.origin,
        "state": entry.state,
        "sha256": entry.sha256,
        "path": str(entry.path),
        "error": entry.error,
    }
    return {key: value for key, value in facts.items() if value not in (None, "")}


def _offered(offer: Offer) -> dict[str, Any]:
    facts = offer.model_dump(include={"name", "licence", "size", "sha256", "purpose"})
    return facts | {"origin": "catalogue", "state": "not fetched"}


def _print(facts: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        for one in facts:
            print(json.dumps(one))
        return
    rows = [
        (
            one["name"],
            one.get("task", "-"),
            one.get("version", "-"),
            f"{one['size'] / 1e6:.1f}",
            one["origin"],
            one["state"],
        )
        for one in facts
    ]
    _print_table([_HEADER, *rows])
    for one in facts:
        if "error" in one:
            print(f"{one['name']}: {one['error']}", file=sys.stderr)


def _print_table(rows: Iterable[Sequence[str]]) -> None:
    table = list(rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


def _progress(name: str) -> Progress:
    def show_progress(have: int, total: int) -> None:
        end = "\n" if have >= total else ""
        print(f"\r{name}: {have / 1e6:.1f} of {total / 1e6:.1f} MB", end=end, file=sys.stderr)

    return show_progress
