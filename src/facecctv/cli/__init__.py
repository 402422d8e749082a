"""The command line.

Commands live in modules of their own that are imported when called, so that `--help` answers at
once and a command pays only for what it uses.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from facecctv import __version__
from facecctv.errors import FaceCCTVError

COMMANDS = {
    "examine": (
        "facecctv.cli.examine:examine",
        "Find the faces in pictures, cut them out, and say what each is good enough for.",
    ),
    "detect": ("facecctv.cli.detect:detect", "Find the faces in pictures, and people if asked."),
    "enhance": (
        "facecctv.cli.enhance:enhance",
        "Enlarge pictures, take blur and noise away, or put them through steps of your own.",
    ),
    "colourise": (
        "facecctv.cli.colourise:colourise",
        "Give grey pictures colour, which is an estimate.",
    ),
    "replay": (
        "facecctv.cli.replay:replay",
        "Do recorded steps once more, and say whether the same picture comes out.",
    ),
    "footage": (
        "facecctv.cli.footage:footage",
        "Find every person in videos once, at their best.",
    ),
    "watch": (
        "facecctv.cli.watch:watch",
        "Watch cameras: say who appears and leaves, and who of a watch-list it may be.",
    ),
    "redact": ("facecctv.cli.redact:redact", "Cover the faces in videos and pictures."),
    "attributes": (
        "facecctv.cli.attributes:attributes",
        "Estimate age and gender of every face, as others would perceive them.",
    ),
    "embed": (
        "facecctv.cli.embed:embed",
        "Turn every face into an embedding: numbers that lie close together for one person.",
    ),
    "verify": (
        "facecctv.cli.verify:verify",
        "Say whether two pictures show one person, and how sure that is.",
    ),
    "search": (
        "facecctv.cli.search:search",
        "Say for every face who of a watch-list it may be, or where in a case it was seen.",
    ),
    "sightings": (
        "facecctv.cli.sightings:sightings",
        "Keep every face seen in a case, to be searched, grouped and erased.",
    ),
    "watchlist": (
        "facecctv.cli.watchlist:watchlist",
        "Keep people to be looked for, sealed: with purpose, owner and expiry.",
    ),
    "app": ("facecctv.cli.app:app", "Open the desktop app."),
    "serve": ("facecctv.cli.serve:serve", "Serve the REST API and the web app."),
    "data": (
        "facecctv.cli.data:app",
        "Collect, label, check, split, augment and explore training data.",
    ),
    "train": ("facecctv.cli.train:app", "Teach a network on your own pictures."),
    "evaluate": ("facecctv.cli.evaluate:app", "Measure a model on labelled pictures."),
    "models": ("facecctv.cli.models:models", "List, verify and fetch models."),
    "doctor": ("facecctv.cli.doctor:doctor", "Check in seconds that everything works here."),
    "demo": ("facecctv.cli.demo:demo", "Compose the demo pictures."),
    "schema": ("facecctv.cli.schema:schema", "Print the JSON Schema of what --json prints."),
}
"""Name to (module:function or module:Typer, the first line of its help)."""

INTERRUPTED = 130


def load(name: str) -> Any:  # typer's command class is not public
    """The command of this name, with its module imported."""
    module, attribute = COMMANDS[name][0].split(":")
    target = getattr(import_module(module), attribute)
    if not isinstance(target, typer.Typer):
        function, target = target, typer.Typer(rich_markup_mode=None, add_completion=False)
        target.command(name)(function)
    command = typer.main.get_command(target)
    command.name = name
    return command


class _LazyGroup(TyperGroup):
    """Lists its commands by name and help only, and imports the one that is called."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        return name, (command if name is None else load(name)), rest


def _placeholder() -> None:
    raise AssertionError("stands in the list of commands; _LazyGroup never calls it")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"facecctv {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print it, exit."),
    ] = False,
) -> None:
    """Find, judge, enhance and compare faces in surveillance pictures and footage."""


def _app() -> typer.Typer:
    # Rich takes three times as long to import as plain help takes to print.
    app = typer.Typer(cls=_LazyGroup, rich_markup_mode=None, no_args_is_help=True)
    app.callback()(_root)
    for name, (_, summary) in COMMANDS.items():
        app.command(name, help=summary)(_placeholder)
    return app


def _show_usage(error: typer.TyperException) -> None:
    # Typer's errors of wrong usage know the command's usage line; its base class does not.
    if hasattr(error, "show"):
        error.show()
    else:
        print(f"facecctv: {error}", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit status: 0 well, 1 failed, 2 used wrongly.

    `arguments` are those of the process unless given. 130 means interrupted from the keyboard.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    command = typer.main.get_command(_app())
    try:
        status = command.main(
            args=given,
            prog_name="facecctv",
            standalone_mode=False,
        )
        sys.stdout.flush()
    except FaceCCTVError as error:
        if "--json" in given:
            from facecctv.schema import Failure  # late: the rest does without pydantic

            print(Failure.of(None, error).to_json())
        print(f"facecctv: {error}", file=sys.stderr)
        return 1
    except typer.TyperException as error:
        _show_usage(error)
        return error.exit_code
    except BrokenPipeError:
        # Whoever read the output has seen enough. Python flushes once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    if status == INTERRUPTED:
        print("facecctv: interrupted", file=sys.stderr)
    return status or 0
