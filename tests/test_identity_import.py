"""Imports of many people in a process of their own: all or nobody, in bounded memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="memory is measured by POSIX means")

ROOT = Path(__file__).parents[1]
MEBIBYTE = 2**20

IMPORT = """
import json, pathlib, sys, time
import numpy as np
from facecctv.errors import EntryError
from facecctv.identity import exchange
from facecctv.identity.entries import Person, Template
from facecctv.identity.watchlist import Watchlist
from tests.test_identity_watchlist import CHEAP, LATER, SECRET, SOURCE

path, count, broken = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
size = 128


def lines():
    yield exchange.head({"embedder": "tiny 1"})
    shot = Template(np.full(size, size**-0.5, np.float32), 40.0, 0.5, SOURCE)
    about = {"purpose": "theft", "owner": "J. Doe", "expires": LATER}
    for number in range(count):
        line = exchange.line(Person(f"Person {number}", **about), [shot], [])
        yield line[:-3] if number == broken else line
    yield exchange.end(count)


if not path.exists():
    about = {"purpose": "theft", "owner": "J. Doe", "embedder": "tiny 1"}
    Watchlist.create(path, SECRET, size=size, cost=CHEAP, **about)
began, busy, said = time.perf_counter(), time.process_time(), ""
with Watchlist(path, SECRET) as people:
    try:
        people.import_(lines())
    except EntryError as error:
        said = str(error)
    spent, busy = time.perf_counter() - began, time.process_time() - busy
    # Unlike ru_maxrss not inherited from the process that started this one.
    status = pathlib.Path("/proc/self/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0]) * 1024
    anybody = next(people._vault.rows(1), None) is not None
    counts = {"people": people._vault.count(1), "templates": people._vault.count(2)}
size = sum(file.stat().st_size for file in path.parent.glob(path.name + "*"))
print(json.dumps({
    "said": said, "seconds": spent, "cpu_seconds": busy, "peak": peak, "bytes": size,
    "anybody": anybody, **counts,
}))
"""


def imported(path: Path, count: int, broken: int) -> dict[str, object]:
    """What came of it; the broken line's number counts from 0, -1 is none."""
    places = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    done = subprocess.run(
        [sys.executable, "-c", IMPORT, str(path), str(count), str(broken)],
        env={**os.environ, "PYTHONPATH": places}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    print(f"{count} people, line {broken} broken: {found}")
    return found


@pytest.mark.parametrize(
    ("count", "most"),
    [(500, 200 * MEBIBYTE), pytest.param(1_000_000, 400 * MEBIBYTE, marks=pytest.mark.large)],
)
def test_one_broken_row_and_nobody_is_added_its_line_is_named(tmp_path, count, most):
    path = tmp_path / "people.fwl"
    spoilt = imported(path, count, broken=count - 2)
    # A line for the head, and people are counted from 0.
    assert spoilt["said"] == f"line {count}: not JSON, or cut off"
    assert (spoilt["people"], spoilt["templates"], spoilt["anybody"]) == (0, 0, False)
    assert spoilt["peak"] < most
    assert spoilt["bytes"] < MEBIBYTE
    whole = imported(path, count, broken=-1)
    assert (whole["said"], whole["people"], whole["templates"]) == ("", count, count)
    assert whole["peak"] < most
