"""Watch-lists as text: one line of JSON a person, between a head and an end.

The head names the form and the model of the templates, the end how many people there are, so an
export that was cut off is known for one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from facecctv.errors import EntryError
from facecctv.identity.entries import Person, Template

_FORM: Final = {"facecctv": "watchlist", "version": 1}


def head(about: Mapping[str, Any]) -> str:
    """The first line; `about` as in `Watchlist.about`."""
    return json.dumps(_FORM | dict(about))


def line(person: Person, templates: Sequence[Template], negatives: Sequence[Template]) -> str:
    """One person."""
    parts = {
        "templates": [template.to_json() for template in templates],
        "negatives": [template.to_json() for template in negatives],
    }
    return json.dumps(person.to_json() | parts)


def end(people: int) -> str:
    """The last line."""
    return json.dumps({"end": people})


def read(found: Mapping[str, Any]) -> tuple[Person, list[Template], list[Template]]:
    """A person with templates and negatives; EntryError for anything but what `line` gives."""
    templates, negatives = found.get("templates"), found.get("negatives", [])
    if not isinstance(templates, list) or not templates or not isinstance(negatives, list):
        raise EntryError("a person has at least one template")
    return (
        Person.from_json(found),
        [Template.from_json(one) for one in templates],
        [Template.from_json(one) for one in negatives],
    )


class Source:
    """The people of an export, read line by line; raises EntryError where it breaks its form."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(enumerate(lines, 1))
        self._at = 0
        self.head = self._next()
        if any(self.head.get(key) != value for key, value in _FORM.items()):
            raise EntryError("line 1: no export of a watch-list, or one of another version")

    def __iter__(self) -> Iterator[dict[str, Any]]:
        people = 0
        while "end" not in (found := self._next()):
            people += 1
            yield found
        if found["end"] != people:
            raise EntryError(f"line {self._at}: {found['end']} people were exported, not {people}")

    @contextmanager
    def blame(self) -> Iterator[None]:
        """Adds the line's number to an EntryError."""
        try:
            yield
        except EntryError as error:
            raise EntryError(f"line {self._at}: {error}") from error

    def _next(self) -> dict[str, Any]:
        number, text = next(self._lines, (0, ""))
        if not number:
            raise EntryError("the export was cut off: its last line is missing")
        self._at = number
        try:
            found = json.loads(text)
        except ValueError as error:
            raise EntryError(f"line {number}: not JSON, or cut off") from error
        if not isinstance(found, dict):
            raise EntryError(f"line {number}: not a JSON object")
        return found
