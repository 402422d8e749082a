"""`facecctv schema`."""

from __future__ import annotations

import json

from pydantic import TypeAdapter

from facecctv.evidence.provenance import Record
from facecctv.schema import Failure, Result
from facecctv.schema.footage import Footage, Redacted
from facecctv.schema.live import CameraState, Sighted


def schema() -> None:
    """Print the JSON Schema of what --json prints.

    One line of output is one object: a result of a picture or a video, the record of a processed
    picture, what happens before a camera, or an error in its place.
    """
    either = TypeAdapter[Result | Footage | Redacted | Record | Sighted | CameraState | Failure](
        Result | Footage | Redacted | Record | Sighted | CameraState | Failure
    )
    print(json.dumps(either.json_schema(), indent=2))
