"""Measures, writes benchmarks/results/NAME.json and fills the table in README.md.

python -m benchmarks [--name NAME] [--repeat N] [--threads N]
python -m benchmarks --table benchmarks/results/NAME.json     (the table only, nothing measured)

It ends within five minutes: on a busy machine what there was no time for is null.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import machine, table

ROOT = Path(__file__).parent.parent
ESTIMATOR = ROOT / "src/facecctv/models/shipped/face-attributes.onnx"
GALLERIES = (10_000, 100_000, 1_000_000)
"""Templates."""
LONGEST = 260.0
"""Seconds for all; a process that would run longer is ended."""
STAGES = (
    ("x4", "160x120"),
    ("x4", "320x240"),
    ("x2", "160x120"),
    ("x2", "320x240"),
    ("x2", "12 MP"),
    ("colourise", "512x512"),
    ("colourise", "1080p"),
    ("embed", "160x120"),
    ("bodies", "VGA"),
    ("attributes", "160x120"),
)
"""Stages by name, and the picture each is measured on."""


class Stopwatch:
    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        return max(self._end - time.monotonic(), 0.0)


def probe(watch: Stopwatch, threads: int, *arguments: object) -> dict[str, Any] | None:
    """Runs one probe; adds the seconds that its whole process took. None when time ran out."""
    environment = {
        **os.environ,
        "FACECCTV_THREADS": str(threads),
        "OMP_NUM_THREADS": str(threads),
        "PYTHONPATH": os.pathsep.join(
            filter(None, (str(ROOT), str(ROOT / "src"), os.environ.get("PYTHONPATH")))
        ),
    }
    command = [sys.executable, "-m", "benchmarks.probe", *map(str, arguments)]
    began = time.perf_counter()
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env=environment,
            timeout=watch.left,
        )
    except subprocess.TimeoutExpired:
        print(f"no time left for: {' '.join(map(str, arguments))}", file=sys.stderr)
        return None
    seconds = time.perf_counter() - began
    lines = done.stderr.strip().splitlines() or ["nothing"]
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, arguments))}: {lines[-1]}")
    result = json.loads(lines[-1])
    if result.get("status"):
        raise SystemExit(f"{' '.join(map(str, arguments))}: {' '.join(lines[:-1])}")
    return {"whole_seconds": seconds, **result}


def median_seconds(
    watch: Stopwatch, repeat: int, threads: int, key: str, *arguments: object
) -> dict[str, Any] | None:
    """The median of as many runs as asked for, or of those there was time for."""
    seconds: list[float] = []
    while len(seconds) < repeat and (not seconds or watch.left > LONGEST / 2):
        run = probe(watch, threads, *arguments)
        if run is None:
            break
        seconds.append(run[key])
    if not seconds:
        return None
    return {"seconds": round(statistics.median(seconds), 3), "runs": len(seconds)}


def measure(repeat: int, threads: int) -> dict[str, Any]:
    watch = Stopwatch(LONGEST)
    result: dict[str, Any] = {
        "machine": machine.describe(threads),
        "load_before": machine.load_average(),
        "repeat": repeat,
    }
    with tempfile.TemporaryDirectory() as folder:
        files = {
            name: Path(folder, f"{name.replace(' ', '')}.jpg")
            for name in ("VGA", "1080p", "100 MP")
        }
        for name, path in files.items():
            if probe(watch, threads, "write", name, path) is None:
                raise SystemExit("too busy a machine: not even the pictures could be made in time")
        starts = {
            "import": ("seconds", "import"),
            "help": ("whole_seconds", "command", "--help"),
            "detect_vga": ("whole_seconds", "command", "detect", files["VGA"], "--json"),
        }
        result["start"] = {
            name: median_seconds(watch, repeat, threads, key, *arguments)
            for name, (key, *arguments) in starts.items()
        }
        result["detect"] = {
            name: probe(watch, threads, "detect", name, threads, 10 * repeat, 6)
            for name in ("VGA", "1080p", "4K")
        }
        result["stages"] = {
            f"{name} {picture}": probe(
                watch, threads, "stage", name, picture, threads, 10 * repeat, 3
            )
            for name, picture in STAGES
            if name != "attributes" or ESTIMATOR.exists()
        }
        result["search"] = {
            f"{templates:,}": probe(watch, threads, "search", templates, 20 * repeat, 3)
            for templates in GALLERIES
        }
        result["files"] = {
            name: probe(watch, threads, "command", "detect", files[name], "--json")
            for name in ("1080p", "100 MP")
        }
    result["load_after"] = machine.load_average()
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--name", default="latest", help="of the file in benchmarks/results")
    parser.add_argument("--repeat", type=int, default=5, help="runs of each whole process")
    parser.add_argument("--threads", type=int, default=2, help="of the network (default: 2)")
    parser.add_argument("--table", type=Path, help="only fill README.md from these results")
    parser.add_argument("--no-readme", action="store_true", help="leave README.md as it is")
    arguments = parser.parse_args()
    if arguments.table:
        result = json.loads(arguments.table.read_text())
    else:
        result = measure(arguments.repeat, arguments.threads)
        path = ROOT / "benchmarks" / "results" / f"{arguments.name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(result, indent=1) + "\n")
    print(table.markdown(result))
    if not arguments.no_readme:
        table.fill(ROOT / "README.md", table.markdown(result))


if __name__ == "__main__":
    main()
