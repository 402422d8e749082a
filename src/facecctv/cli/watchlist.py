"""`facecctv watchlist`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from facecctv import build
from facecctv.cli import options, people
from facecctv.errors import InputError, OutputError
from facecctv.identity import log
from facecctv.image import find, shown

if TYPE_CHECKING:
    from facecctv.identity.entries import Template
    from facecctv.identity.watchlist import Watchlist

watchlist = typer.Typer(
    help="Keep people to be looked for, sealed: with purpose, owner and expiry.",
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
)
logs = typer.Typer(
    help="The log of searches.", rich_markup_mode=None, add_completion=False, no_args_is_help=True
)
watchlist.add_typer(logs, name="log")

List = Annotated[Path, typer.Argument(metavar="LIST", help="The watch-list.", show_default=False)]
Name = Annotated[str, typer.Argument(help="Of somebody on the list.", show_default=False)]
Shots = Annotated[
    list[str], typer.Argument(metavar="PICTURE…", help="One face each.", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object per person.")]


@watchlist.command()
def create(
    path: List,
    purpose: Annotated[str, typer.Option(help="What the list is for.", show_default=False)],
    owner: Annotated[str, typer.Option(help="Who answers for it.", show_default=False)],
    key_file: people.KeyFile = None,
    new_key_file: Annotated[
        Path | None, typer.Option(help="Make this key file and use it.", show_default=False)
    ] = None,
    embedder: people.Embedder = build.FACE_EMBEDDER,
) -> int:
    """Make an empty list, sealed by a passphrase or a key file. There is no way in without."""
    from facecctv.identity.watchlist import Watchlist

    recogniser = build.recogniser(options.environment(), embedder)
    embedder, size = recogniser.name, recogniser.length
    if path.exists():
        raise OutputError(f"{shown(path)}: there is a file of this name")
    Watchlist.create(
        path,
        _new_secret(key_file, new_key_file, people.PASSPHRASE),
        purpose=purpose,
        owner=owner,
        embedder=embedder,
        size=size,
    )
    print(f"Made {shown(path)}")
    return 0


@watchlist.command()
def add(
    path: List,
    name: Annotated[str, typer.Argument(help="Of the person.", show_default=False)],
    shots: Shots,
    expires: Annotated[
        str | None,
        typer.Option(metavar="YYYY-MM-DD", help="Last day of the entry.", show_default=False),
    ] = None,
    purpose: Annotated[str | None, typer.Option(show_default="the list's")] = None,
    owner: Annotated[str | None, typer.Option(show_default="the list's")] = None,
    note: Annotated[str, typer.Option()] = "",
    more: Annotated[
        bool, typer.Option("--more", help="More pictures of somebody who is on the list.")
    ] = False,
    one_template: Annotated[
        bool,
        typer.Option(
            "--together",
            help="One template of all these pictures, sights of one moment: their mean by quality.",
        ),
    ] = False,
    keep_pictures: Annotated[
        bool, typer.Option("--keep-pictures", help="Keep the faces' pixels too, sealed.")
    ] = False,
    largest: people.Largest = False,
    key_file: people.KeyFile = None,
    model: options.Model = build.FACE_DETECTOR,
    embedder: people.Embedder = build.FACE_EMBEDDER,
) -> int:
    """Enrol a person by one or more pictures with one face each; all of them or none."""
    from facecctv.identity.entries import Person, together

    if more == (expires is not None):
        raise typer.BadParameter("--expires YYYY-MM-DD is for a new person, --more for a known one")
    last = _day(expires) if expires is not None else None
    faces = people.faces(model, embedder)
    with _opened(path, key_file) as listed:
        listed.check_embedder(faces.embedder)
        sights = _templates(faces, shots, largest, keep_pictures)
        templates = [together(sights)] if one_template else sights
        if last is None:
            listed.add_templates(name, templates)
        else:
            about = listed.about
            person = Person(
                name, purpose or about["purpose"], owner or about["owner"], last, note=note
            )
            listed.add(person, templates)
    sizes = ", ".join(f"{sight.face_px:.0f}" for sight in sights)
    joined = " in one template" if one_template and len(sights) > 1 else ""
    print(f"{name}: {_count(len(sights), 'picture')}{joined}, {sizes} px high")
    return 0


@watchlist.command()
def negative(
    path: List,
    name: Name,
    shots: Shots,
    largest: people.Largest = False,
    key_file: people.KeyFile = None,
    model: options.Model = build.FACE_DETECTOR,
    embedder: people.Embedder = build.FACE_EMBEDDER,
) -> int:
    """Say that these faces are not this person, however alike."""
    faces = people.faces(model, embedder)
    with _opened(path, key_file) as listed:
        listed.check_embedder(faces.embedder)
        listed.reject(name, _templates(faces, shots, largest, False))
    print(f"{name}: not matched any more with faces nearer to these")
    return 0


@watchlist.command("list")
def show(path: List, key_file: people.KeyFile = None, as_json: Json = False) -> int:
    """List the people, with purpose, owner and expiry; never a template."""
    from facecctv.identity.entries import today_utc

    with _opened(path, key_file) as listed:
        entries, about = listed.entries(), listed.about
    today = today_utc()
    if not as_json:
        print(f"{about['purpose']} ({about['owner']}): {_count(len(entries), 'person', 'people')}")
    for entry in entries:
        over = entry.person.expired(today)
        if as_json:
            counts: dict[str, Any] = {
                "templates": entry.templates, "negatives": entry.negatives,
                "pictures": entry.pictures, "expired": over,
            }  # fmt: skip
            print(json.dumps(entry.person.to_json() | counts))
        else:
            state = "EXPIRED" if over else f"until {entry.person.expires}"
            print(f"{entry.person.name}: {_count(entry.templates, 'template')}, {state}; "
                  f"{entry.person.purpose} ({entry.person.owner})")  # fmt: skip
    return 0


@watchlist.command()
def remove(path: List, name: Name, key_file: people.KeyFile = None) -> int:
    """Take somebody off the list and wipe every trace from the file."""
    with _opened(path, key_file) as listed:
        listed.remove(name)
    print(f"Removed {name}")
    return 0


@watchlist.command()
def expire(path: List, key_file: people.KeyFile = None) -> int:
    """Remove everybody whose time is over."""
    with _opened(path, key_file) as listed:
        gone = listed.expire()
    print(f"Removed {', '.join(gone)}" if gone else "Nobody's time is over")
    return 0


@watchlist.command()
def export(
    path: List,
    out: Annotated[Path, typer.Option("--out", "-o", help="A new file.", show_default=False)],
    key_file: people.KeyFile = None,
) -> int:
    """Write the whole list as lines of JSON that anybody can read. Keep them as you keep the key.

    Only you can read the file, and an existing one is not replaced.
    """
    with _opened(path, key_file) as listed:
        lines = listed.export()
        try:
            handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                try:
                    file.writelines(f"{line}\n" for line in lines)
                except BaseException:
                    out.unlink()
                    raise
        except OSError as error:
            raise OutputError(f"{shown(out)}: cannot be written: {error.strerror}") from error
    print(f"Exported to {shown(out)}: NOT sealed")
    return 0


@watchlist.command("import")
def import_(
    path: List,
    source: Annotated[Path, typer.Argument(help="An export.", show_default=False)],
    key_file: people.KeyFile = None,
) -> int:
    """Add everybody of an export, or nobody where a line is broken or a name is taken."""
    try:
        with source.open(encoding="utf-8") as lines, _opened(path, key_file) as listed:
            done = listed.import_(lines)
    except UnicodeDecodeError as error:
        raise InputError(f"{shown(source)}: not text") from error
    except FileNotFoundError as error:
        raise InputError(f"{shown(source)}: no such file") from error
    left = f"; {done.expired} left out, expired" if done.expired else ""
    print(f"Imported {_count(done.people, 'person', 'people')}{left}")
    return 0


@watchlist.command()
def rekey(
    path: List,
    key_file: people.KeyFile = None,
    new_key_file: Annotated[
        Path | None,
        typer.Option(
            help=f"Make this key file, instead of a passphrase ({people.NEW_PASSPHRASE}).",
            show_default=False,
        ),
    ] = None,
) -> int:
    """Seal the list under another passphrase or key file; the old one opens nothing any more."""
    with _opened(path, key_file) as listed:
        listed.rekey(_new_secret(None, new_key_file, people.NEW_PASSPHRASE))
    print("Sealed anew")
    return 0


@logs.command("verify")
def verify(
    path: List,
    anchor: Annotated[
        str | None,
        typer.Option(help="What an earlier verify printed, kept elsewhere.", show_default=False),
    ] = None,
) -> int:
    """Check that no search was changed, added or taken out of the list's log."""
    kept = None if anchor is None else log.Anchor.of(anchor)
    found = log.verify(log.log_of(path), kept)
    print(f"{_count(found.lines, 'line')}, whole. Anchor: {found}")
    return 0


@logs.command("show")
def show_log(path: List) -> int:
    """Print the log as it is, one JSON object per line."""
    for entry in log.entries(log.log_of(path)):
        print(json.dumps(entry, ensure_ascii=False))
    return 0


@logs.command("decide")
def decide(
    path: List,
    number: Annotated[int, typer.Argument(min=1, help="Of the search's line in the log.")],
    ruling: Annotated[Literal["confirmed", "rejected", "open"], typer.Argument(show_default=False)],
    name: Annotated[str, typer.Option(help="Of the candidate.")] = "",
    by: people.By = None,
    reason: Annotated[str, typer.Option()] = "",
) -> int:
    """Record what you made of a search: a result is a lead until somebody decides."""
    book = log.log_of(path)
    if number > log.verify(book).lines:
        raise InputError(f"the log has no line {number}")
    log.append(book, log.Ruling(number, ruling, name, people.who(by), reason))
    print(f"Line {number}: {ruling}")
    return 0


@contextmanager
def _opened(path: Path, key_file: Path | None) -> Iterator[Watchlist]:
    from facecctv.identity.watchlist import Watchlist  # late: needs cryptography

    with Watchlist(path, people.secret(key_file)) as listed:
        if listed.unwiped:
            print("facecctv: traces of removed people remain: run watchlist expire",
                  file=sys.stderr)  # fmt: skip
        yield listed


def _new_secret(key_file: Path | None, new_key_file: Path | None, variable: str) -> Any:
    from facecctv.identity.sealing import new_key_file as make

    if new_key_file is None:
        return people.secret(key_file, new=True, variable=variable)
    if key_file is not None:
        raise typer.BadParameter("--key-file or --new-key-file, not both")
    return make(new_key_file)


def _templates(faces: people.Faces, shots: list[str], largest: bool, keep: bool) -> list[Template]:
    made = []
    for source in find(shots):
        try:
            picture, one = faces.one(source, largest)
        except InputError as error:
            raise people.named(source, error) from error
        made.append(people.template(picture, one, keep=keep))
    return made


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"--expires is a day such as 2027-01-31, not {text}") from error


def _count(number: int, one: str, many: str = "") -> str:
    return f"1 {one}" if number == 1 else f"{number} {many or one + 's'}"
