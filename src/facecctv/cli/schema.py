"""`facecctv schema`."""

from __future__ import annotations

import json

from pydantic import TypeAdapter

from facecctv.schema import Failure, Result


def schema() -> None:
    """Print the JSON Schema of what --json prints.

    One line of output is one object: a result, or an error in its place.
    """
    print(json.dumps(TypeAdapter[Result | Failure](Result | Failure).json_schema(), indent=2))
