"""Describes the API for the web app's types: `python web/openapi.py` writes web/openapi.json."""

import json
from pathlib import Path

from facecctv.api.app import create_app
from facecctv.api.desk import ServerSettings
from facecctv.build import workshop
from facecctv.footage.watched import Live
from facecctv.settings import Settings

FILE = Path(__file__).with_suffix(".json")


def described() -> str:
    """The OpenAPI document of a server with all that ships, watching cameras; the version is not
    the web app's.
    """
    watching = ServerSettings(live=Live([]))
    document = create_app(workshop(Settings()), watching).openapi()
    document["info"]["version"] = "any"
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    FILE.write_text(described(), encoding="utf-8")
