"""What the figures were measured on; nothing that names a person, a host or a place."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

import facecctv
from facecctv import build
from facecctv.models.session import physical_cores
from facecctv.settings import Settings

PACKAGES = ("numpy", "onnxruntime", "opencv-python-headless", "pillow")


def describe(threads: int) -> dict[str, object]:
    model = build.store(Settings()).load(build.FACE_DETECTOR)
    return {
        "cpu": _cpu(),
        "cores": physical_cores() or os.cpu_count(),
        "hardware_threads": os.cpu_count(),
        "threads_used": threads,
        "memory_gb": _memory(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "facecctv": facecctv.__version__,
        "model": {"name": model.name, "version": model.card.version, "sha256": model.sha256},
        **{package: version(package) for package in PACKAGES},
    }


def load_average() -> float:
    """Processes that wanted to run in the last minute: figures of a busy machine are worth less."""
    return round(os.getloadavg()[0], 2)


def _cpu() -> str:
    facts = _table(Path("/proc/cpuinfo"))
    return facts.get("model name") or platform.processor() or platform.machine()


def _memory() -> float | None:
    total = _table(Path("/proc/meminfo")).get("MemTotal")
    return round(int(total.split()[0]) / 2**20, 1) if total else None


def _table(path: Path) -> dict[str, str]:
    """The first value of each name in a file of "name: value" lines; empty where there is none."""
    if not path.exists():
        return {}
    rows = [line.split(":", 1) for line in path.read_text().splitlines() if ":" in line]
    return {name.strip(): value.strip() for name, value in reversed(rows)}
