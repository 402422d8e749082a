"""`facecctv data`: from camera to training data, one step a command.

Every command prints what it did and what comes next. What single files have wrong is one line each
on stderr and makes the exit status 1; the rest goes on.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

_COMMANDS = {
    "collect": ("collect:collect", "Collect pictures from a camera, a video or a folder."),
    "prelabel": ("labels:prelabel", "Write first labels by the detector, to be corrected."),
    "annotate": ("labels:annotate", "Open labelme on a folder."),
    "import": ("labels:import_", "Bring labels of any format together in one CSV table."),
    "export": ("labels:export", "Write a data set in the format of another tool."),
    "check": ("judge:check", "Find what is wrong, and estimate whether it is enough."),
    "split": ("divide:split", "Divide into train, val and test."),
    "augment": ("divide:augment", "Make changed copies; boxes and landmarks follow."),
    "explore": ("judge:explore", "Show what a data set holds."),
    "pairs": ("divide:pairs", "Make pairs or triplets for recognition."),
}


def _load(name: str) -> Any:  # typer's command class is not public
    module, attribute = _COMMANDS[name][0].split(":")
    function = getattr(import_module(f"{__name__}.{module}"), attribute)
    alone = typer.Typer(rich_markup_mode=None, add_completion=False)
    alone.command(name)(function)
    command = typer.main.get_command(alone)
    command.name = name
    return command


class _LazyGroup(TyperGroup):
    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        return name, (command if name is None else _load(name)), rest


def _placeholder() -> None:
    raise AssertionError("stands in the list of commands; _LazyGroup never calls it")


def _root() -> None:
    """Collect, label, check, split, augment and explore training data."""


app = typer.Typer(cls=_LazyGroup, rich_markup_mode=None, no_args_is_help=True, add_completion=False)
app.callback()(_root)
for _name, (_, _summary) in _COMMANDS.items():
    app.command(_name, help=_summary)(_placeholder)
