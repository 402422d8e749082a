"""How fast `facecctv footage` goes through a video, how much memory it takes, how right it is.

python -m benchmarks.footage [--sizes 1080p 720p] [--lengths 30 120] [--scene 10] [--threads 2]

Videos are made by code: a scene of five people, H.264 at 25 frames a second, repeated. Each run is
a process of its own on as many processors as threads, without fusing and enhancing. Against it
stands decoding alone. Then a short clip with exact ground truth: everybody once, identity F1, the
best sight, and what redaction covers. Writes benchmarks/results/footage.json.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import clips, machine
from benchmarks.__main__ import ROOT, Stopwatch, probe
from facecctv import cli
from facecctv.demo.clip import Shot, write_clip
from facecctv.footage.video import Video
from facecctv.geometry import iou
from facecctv.metrics import Named, tracking
from facecctv.schema.footage import Footage, Redacted

LONGEST = 3600.0
"""Seconds for all processes together."""
LEAST_PX = 16
"""Faces from this height on have to be covered."""
TOP = 0.10


@dataclass(frozen=True)
class Plan:
    """What is measured."""

    sizes: tuple[str, ...]
    lengths: tuple[int, ...]
    """Seconds, multiples of the scene's."""
    scene: int
    """Seconds that are made and repeated."""
    threads: int


def measure(plan: Plan) -> dict[str, Any]:
    watch = Stopwatch(LONGEST)
    result: dict[str, Any] = {
        "machine": machine.describe(plan.threads),
        "load_before": machine.load_average(),
        "scene_seconds": plan.scene,
    }
    with tempfile.TemporaryDirectory() as folder:
        result["sizes"] = {name: speed(plan, name, Path(folder), watch) for name in plan.sizes}
        result["checks"] = checks(Path(folder))
    result["load_after"] = machine.load_average()
    return result


def speed(plan: Plan, name: str, folder: Path, watch: Stopwatch) -> dict[str, Any]:
    """Of one size, at each length."""
    scene = folder / f"{name}.mp4"
    clips.write_scene(scene, name, plan.scene)
    found: dict[str, Any] = {}
    for seconds in plan.lengths:
        path, out = folder / f"{name}-{seconds}.mp4", folder / f"{name}-{seconds}"
        clips.repeat(scene, path, seconds // plan.scene)
        alone = probe(watch, plan.threads, "decode", path)
        options = ("--fuse", "off", "--enhance", "off", "--json")
        whole = probe(watch, plan.threads, "command", "footage", path, "-o", out, *options)
        if alone is None or whole is None:
            found[str(seconds)] = None
            continue
        result = Footage.model_validate_json((out / path.stem / "result.json").read_bytes())
        found[str(seconds)] = {
            "seconds": round(whole["whole_seconds"], 2),
            "decode_seconds": round(alone["seconds"], 2),
            "times_real_time": round(seconds / whole["whole_seconds"], 2),
            "ratio_to_decode": round(whole["whole_seconds"] / alone["seconds"], 2),
            "cpu_seconds": round(whole["cpu_seconds"], 2),
            "cpu_ratio_to_decode": round(whole["cpu_seconds"] / alone["cpu_seconds"], 2),
            "peak_mb": whole["peak_mb"],
            "frames": result.frames,
            "looks": result.looks,
            "people": len(result.people),
            "passages": sum(len(person.passages) for person in result.people),
        }
    return found


def checks(folder: Path) -> dict[str, Any]:
    """How right it is, on a clip whose faces are known."""
    shots = clips.growing()
    path, out = folder / "growing.mp4", folder / "growing"
    write_clip(path, iter(shots), clips.BASE)
    status = cli.main(["footage", str(path), "-o", str(out), "--fuse", "off", "--enhance", "off"])
    if status:
        raise SystemExit("footage failed")
    found = Footage.model_validate_json((out / "growing" / "result.json").read_bytes())
    return {
        "people": len(found.people),
        "people_there": len(clips.GROWING),
        "idf1": identity(shots, found),
        "idf1_24_px": identity(shots, found, only=3),
        "best_sight_rank": rank(shots, found),
        **covered(path, shots, folder / "covered.mp4"),
    }


def identity(shots: list[Shot], found: Footage, only: int | None = None) -> float:
    """Identity F1 in the frames that were looked at; of one walker alone where asked.

    Of one walker alone, paths that are another's for most of the time do not count.
    """
    rows = {
        (person.number, row[0]): row[1:]
        for person in found.people
        for passage in person.passages
        for row in passage.path
    }
    looked = sorted({time for _, time in rows})
    truth, seen = [], []
    for shot in shots:
        time = next((t for t in looked if abs(t - float(shot.frame.time)) < 0.01), None)
        if time is None:
            continue
        here = {number: row for (number, at), row in rows.items() if at == time}
        names = [name for name in shot.names if only in (None, name)]
        boxes = [f.box for f, name in zip(shot.faces, shot.names, strict=True) if name in names]
        if only is not None:
            here = {n: row for n, row in here.items() if _owner(shots, found, n) == only}
        truth.append(Named(np.array(boxes, np.float32).reshape(-1, 4), tuple(names)))
        seen.append(Named(np.array(list(here.values()), np.float32).reshape(-1, 4), tuple(here)))
    return round(tracking(truth, seen).idf1, 4)


def _owner(shots: list[Shot], found: Footage, number: int) -> int:
    """Whose face the best sight of a person is; 0 for nobody's."""
    person = next(person for person in found.people if person.number == number)
    shot, box = shots[person.best[0].frame], person.best[0].face.box
    if not shot.faces:
        return 0
    place = np.array([[box.x_min, box.y_min, box.x_max, box.y_max]], np.float32)
    shared = iou(place, np.array([face.box for face in shot.faces]))[0]
    return shot.names[int(shared.argmax())] if shared.max() > 0.3 else 0


def rank(shots: list[Shot], found: Footage) -> float:
    """The worst place of a best sight among all there were, as a share: 0 is the best one.

    All frames of the clip are degraded alike, so the truth is how high the face is.
    """
    worst = 0.0
    for person in found.people:
        name = _owner(shots, found, person.number)
        heights = {
            shot.frame.index: face.height
            for shot in shots
            for face, one in zip(shot.faces, shot.names, strict=True)
            if one == name
        }
        if not heights or max(heights.values()) < 1.2 * min(heights.values()):
            continue  # all sights are as good
        own = heights[person.best[0].frame]
        worst = max(worst, sum(height > own for height in heights.values()) / len(heights))
    return round(worst, 4)


def covered(path: Path, shots: list[Shot], out: Path) -> dict[str, Any]:
    """What redaction covers of the faces that are there, and what is found in its result."""
    status = cli.main(["redact", str(path), "-o", str(out), "--check", "0"])
    record = Redacted.model_validate_json(out.with_name(f"{out.name}.json").read_bytes())
    faces = hidden = 0
    with Video(out) as video:
        for shot, frame in zip(shots, video.frames(), strict=True):
            for face in shot.faces:
                if face.height < LEAST_PX:
                    continue
                x1, y1, x2, y2 = np.rint(face.box).astype(int)
                part = frame.image[max(0, y1) : y2, max(0, x1) : x2]
                faces += 1
                hidden += bool((part.max(axis=2) < 60).mean() > 0.97)
    return {
        "faces": faces,
        "covered": hidden,
        "found_after": record.found_after,
        "redact_status": status,
    }


def markdown(result: dict[str, Any]) -> str:
    """The figures as two tables."""
    lines = [
        "| Video | Whole | Times real time | Decoding alone | Ratio | Of CPU time | Peak memory |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, lengths in result["sizes"].items():
        for seconds, part in lengths.items():
            what = f"{name}, {seconds} s"
            if part is None:
                lines.append(f"| {what} | not measured | | | | | |")
                continue
            lines.append(
                f"| {what} | {part['seconds']:.1f} s | {part['times_real_time']:.2f} | "
                f"{part['decode_seconds']:.1f} s | {part['ratio_to_decode']:.1f} | "
                f"{part['cpu_ratio_to_decode']:.1f} | "
                f"{part['peak_mb']:.0f} MB |"
            )
    check = result["checks"]
    above = check["best_sight_rank"]
    lines += [
        "",
        "| Against the truth | Result | Wanted |",
        "|---|---|---|",
        f"| people | {check['people']} | {check['people_there']} |",
        f"| identity F1, all | {check['idf1']:.3f} | |",
        f"| identity F1, face of 24 px | {check['idf1_24_px']:.3f} | 0.9 or more |",
        f"| share of sights better than the best | {above:.3f} | {TOP} or less |",
        f"| faces covered | {check['covered']} of {check['faces']} | all |",
        f"| faces found after | {check['found_after']} | 0 |",
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.footage", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--sizes", nargs="*", default=["1080p"], choices=clips.SIZES)
    parser.add_argument("--lengths", nargs="+", type=int, default=[30, 120])
    parser.add_argument("--scene", type=int, default=10, help="seconds that are made and repeated")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--out", type=Path, default=ROOT / "benchmarks" / "results" / "footage.json"
    )
    given = parser.parse_args(arguments)
    if any(length % given.scene for length in given.lengths):
        parser.error("--lengths are multiples of --scene")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: given.threads])
    result = measure(Plan(tuple(given.sizes), tuple(given.lengths), given.scene, given.threads))
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=1) + "\n")
    print(markdown(result))


if __name__ == "__main__":
    main()
