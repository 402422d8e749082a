"""How long somebody waits, in a real browser, from choosing a VGA picture to the first face's card.

python -m benchmarks.first_card [--visits N] [--threads N] [--out FILE]

Starts a fresh server and Chromium (`CHROMIUM` names another than /usr/bin/chromium) on this
machine, and takes the time by the page's own clock: reading the file, sending it, finding and
judging every face, the reply, loading the page of results and drawing it. The first visit is the
first that the server has: its models are loaded by then or meanwhile. Prints a table and one JSON
object, which --out keeps. Needs the web app built and its packages (`make web`).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import machine, table
from benchmarks.server import serving
from benchmarks.serving import picture

ROOT = Path(__file__).parents[1]


def waits(port: int, visits: int) -> list[float]:
    """Seconds of each visit; SystemExit where the browser fails."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "door.jpg"
        path.write_bytes(picture("VGA"))
        done = subprocess.run(
            [sys.executable, str(ROOT / "hatch_build.py"), "run", "--silent", "first-card"],
            env=os.environ
            | {
                "SERVER": f"http://127.0.0.1:{port}",
                "PICTURE": str(path),
                "VISITS": str(visits),
            },
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
    if done.returncode:
        raise SystemExit("the browser could not be worked: see above")
    return [value / 1000 for value in json.loads(done.stdout.splitlines()[-1])]


def measure(visits: int, threads: int) -> dict[str, Any]:
    """All of it."""
    before = machine.load_average()
    with serving(threads) as (port, _):
        first, *others = waits(port, visits)
    rest = others or [first]
    return {
        "machine": machine.describe(threads),
        "load_before": before,
        "load_after": machine.load_average(),
        "first_seconds": round(first, 2),
        "median_seconds": round(statistics.median(rest), 2),
        "longest_seconds": round(max(rest), 2),
        "visits": visits,
    }


def markdown(result: dict[str, Any]) -> str:
    """The figures as a table."""
    rows = [
        ("First visit of a fresh server", f"{result['first_seconds']:.2f} s"),
        (
            f"The {result['visits'] - 1} visits after it",
            f"median {result['median_seconds']:.2f} s, longest {result['longest_seconds']:.2f} s",
        ),
        ("Load of the machine", f"{result['load_before']} before, {result['load_after']} after"),
    ]
    return table.two_columns(rows, "VGA picture chosen, first card shown")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.first_card", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--visits", type=int, default=6, help="two at least (default: 6)")
    parser.add_argument("--threads", type=int, default=2, help="of the network (default: 2)")
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    given = parser.parse_args()
    if given.visits < 2:
        parser.error("--visits: two at least")
    result = measure(given.visits, given.threads)
    table.tell(result, markdown(result), given.out)


if __name__ == "__main__":
    main()
