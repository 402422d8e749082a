"""Describes the API for the web app's types: `python web/openapi.py` writes web/openapi.json."""

import json
from pathlib import Path

from facecctv.api.app import create_app
from facecctv.build import workshop
from facecctv.settings import Settings

FILE = Path(__file__).with_suffix(".json")


def described() -> str:
    """The OpenAPI document of a server with all that ships; the version is not the web app's."""
    document = create_app(workshop(Settings())).openapi()
    document["info"]["version"] = "any"
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    FILE.write_text(described(), encoding="utf-8")
