"""One measurement in a process of its own, so that it starts fresh and its memory is its own.

python -m benchmarks.probe write NAME FILE | detect NAME THREADS REPEAT SECONDS
                           | stage STAGE NAME THREADS REPEAT SECONDS
                           | search TEMPLATES REPEAT SECONDS | decode FILE | import
                           | command ARGUMENT…

Prints one JSON object on stderr's last line (stdout belongs to what is measured).
"""

from __future__ import annotations

import json
import operator
import resource
import statistics
import sys
import time
from pathlib import Path


def main(arguments: list[str]) -> int:
    began = time.perf_counter()
    kind, *rest = arguments
    if kind == "import":
        import facecctv  # noqa: F401

        result: dict[str, object] = {"seconds": time.perf_counter() - began}
    elif kind == "write":
        from benchmarks.scenes import write

        write(rest[0], Path(rest[1]))
        result = {}
    elif kind == "detect":
        result = detect(rest[0], int(rest[1]), int(rest[2]), float(rest[3]))
    elif kind == "stage":
        result = stage(rest[0], rest[1], int(rest[2]), int(rest[3]), float(rest[4]))
    elif kind == "search":
        result = search(int(rest[0]), int(rest[1]), float(rest[2]))
    elif kind == "decode":
        from benchmarks.clips import decode

        began, before = time.perf_counter(), time.process_time()
        result = {
            "frames": decode(Path(rest[0])),
            "seconds": time.perf_counter() - began,
            "cpu_seconds": time.process_time() - before,
        }
    elif kind == "command":
        from facecctv.cli import main as command

        status = command(rest)
        result = {
            "status": status,
            "seconds": time.perf_counter() - began,
            "cpu_seconds": time.process_time(),
        }
    else:
        raise SystemExit(__doc__)
    print(json.dumps({**result, "peak_mb": peak_mb()}), file=sys.stderr)
    return 0


def peak_mb() -> float:
    """The most memory this process has held at once, MiB."""
    status = Path("/proc/self/status")
    if status.exists():  # unlike ru_maxrss not inherited from the process that started this one
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return round(int(line.split()[1]) / 1024, 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 1024), 1)


def detect(name: str, threads: int, repeat: int, seconds: float) -> dict[str, object]:
    """Median times of the detector on one picture in memory, milliseconds."""
    from benchmarks.scenes import scene
    from facecctv import build
    from facecctv.models.card import Card
    from facecctv.models.session import Array, Runner
    from facecctv.settings import Settings
    from facecctv.vision.detect import Detector

    class Timed:
        """A model that adds up the time it takes."""

        def __init__(self, runner: Runner) -> None:
            self._runner, self.spent = runner, 0.0

        @property
        def card(self) -> Card:
            return self._runner.card

        def run(self, *arrays: Array) -> list[Array]:
            began = time.perf_counter()
            outputs = self._runner.run(*arrays)
            self.spent += time.perf_counter() - began
            return outputs

    image = scene(name)
    network = Timed(build.session(Settings(threads=threads), build.FACE_DETECTOR))
    detector = Detector(network)
    faces = len(detector(image))  # also loads the model and warms up
    totals, networks = [], []
    began = time.perf_counter()
    while len(totals) < repeat and (not totals or time.perf_counter() - began < seconds):
        network.spent = 0.0
        start = time.perf_counter()
        detector(image)
        totals.append(time.perf_counter() - start)
        networks.append(network.spent)
    total, inside = statistics.median(totals), statistics.median(networks)
    return {
        "runs": len(totals),
        "faces": faces,
        "total_ms": round(1000 * total, 2),
        "network_ms": round(1000 * inside, 2),
        "rest_ms": round(1000 * statistics.median(map(operator.sub, totals, networks)), 2),
        "faces_per_second": round(faces / total, 1),
    }


def stage(name: str, picture: str, threads: int, repeat: int, seconds: float) -> dict[str, object]:
    """Median time of one stage on one picture in memory, milliseconds."""
    from benchmarks.scenes import scene
    from facecctv import build
    from facecctv.settings import Settings

    settings = Settings(threads=threads)
    image = scene(picture)
    if name == "embed":
        recogniser = build.recogniser(settings)
        faces = [image[:112, :112]] * 8

        def work() -> object:
            return recogniser.embed(faces)
    elif name == "attributes":
        estimator = build.estimator(settings)
        faces = [image[:112, :112]] * 8

        def work() -> object:
            return estimator.estimate(faces, [112.0] * 8)
    elif name == "colourise":
        colouriser = build.colouriser(settings)

        def work() -> object:
            return colouriser(image)
    elif name == "bodies":
        finder = build.body_finder(settings)

        def work() -> object:
            return finder(image, [])
    else:
        enhancer = build.enhancer(settings, int(name.removeprefix("x")))

        def work() -> object:
            return enhancer(image)

    work()  # loads the model
    totals: list[float] = []
    began = time.perf_counter()
    while len(totals) < repeat and (not totals or time.perf_counter() - began < seconds):
        start = time.perf_counter()
        work()
        totals.append(time.perf_counter() - start)
    return {"runs": len(totals), "total_ms": round(1000 * statistics.median(totals), 2)}


def search(templates: int, repeat: int, seconds: float) -> dict[str, object]:
    """Median time of an exact search of a gallery in memory, milliseconds.

    Random unit vectors of 128 numbers: an exact search takes as long whatever they hold. Threads
    are those of the matrix product, which OMP_NUM_THREADS sets.
    """
    import numpy as np

    from facecctv.identity.gallery import gallery

    random = np.random.default_rng(0)
    vectors = random.standard_normal((templates, 128), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    probes, ones = vectors[:: max(1, templates // 64)].copy(), np.ones(templates, np.float32)
    names = [str(number) for number in range(templates)]
    people = gallery(names, np.arange(templates), vectors, ones, ones)
    people.search(probes[0])
    totals: list[float] = []
    began = time.perf_counter()
    while len(totals) < repeat and (not totals or time.perf_counter() - began < seconds):
        start = time.perf_counter()
        people.search(probes[len(totals) % len(probes)])
        totals.append(time.perf_counter() - start)
    return {
        "runs": len(totals),
        "total_ms": round(1000 * statistics.median(totals), 3),
        "vectors_mb": round(vectors.nbytes / 2**20, 1),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
