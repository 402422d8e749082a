"""Does an enhanced face stay the same person? Asked of the own embedder and of a stranger to it.

    pip install --no-deps --target FOLDER face_recognition_models
    PYTHONPATH=FOLDER python -m benchmarks.identity --data DATA --out runs/identity

DATA holds the folders identities and faces of the private training data; people of the validation
split alone are judged. Sharp faces are made small and bad as in `facecctv evaluate enhancer`, and
recovered by bicubic interpolation and by the enhancers. It prints a table a judge and scale, and
leaves all figures in OUT/identity.json. A judge and a scale take about half a minute of one core
for 100 faces of each size.

What is measured, a band of sizes and a condition at a time:

- similarity of the recovered face to the true one, and the share of faces for which the enhanced
  one is less similar than the bicubic one;
- the same beyond the scatter of the measurement: two takes of the same small picture, each with
  noise of 2 grey levels and JPEG of quality 90 of its own, are interpolated and judged; twice the
  standard deviation of the difference is the limit, and what lies beyond it to either side counts;
- verification: the recovered face against other pictures of the same person as stored, and against
  those of everybody else. Equal error rate of the sharp, the bicubic and the enhanced face, and the
  interval of the difference that holds 95 % of 200 draws of as many people with replacement.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from benchmarks.judges import Judge, dlib_resnet, own
from facecctv import build, metrics
from facecctv.cli.tables import aligned
from facecctv.errors import FaceCCTVError
from facecctv.image import write_atomic
from facecctv.learn.data.detection import load_identities, read_table
from facecctv.learn.data.restore import bicubic
from facecctv.learn.evaluate_restoring import BANDS, CONDITIONS, Restore, SharpFace, sharp_faces
from facecctv.settings import Settings
from facecctv.types import Floats, Image

TAKES_OF = 50
"""Faces of a set whose second take is judged."""
PER_PERSON = 4
"""Pictures of each person that recovered faces are compared with."""
LEAST = 64
"""Height of a face in such a picture, pixels."""
DRAWS = 200


@dataclass(frozen=True, eq=False)
class Gallery:
    """Pictures as stored, of people one knows."""

    names: Sequence[str]
    """Of the pictures."""
    people: np.ndarray
    """(N,) who is on each."""
    described: Floats
    """(N, D), by one judge."""


@dataclass(frozen=True)
class Verdict:
    """What one judge says of one set of faces under one condition."""

    faces: int
    similarity: float
    """Mean, of the enhanced face to the true one."""
    similarity_bicubic: float
    lowered: float
    """Share of faces less similar to the true one enhanced than interpolated."""
    scatter: float
    """Twice the standard deviation of the difference between two takes."""
    lowered_beyond: float
    """Share lowered by more than the scatter."""
    raised_beyond: float
    verified: int
    """Faces whose person is known: the equal error rates are theirs."""
    eer_sharp: float
    eer: float
    eer_bicubic: float
    eer_change: tuple[float, float]
    """Interval of `eer - eer_bicubic`, 95 %, over people drawn with replacement."""


def judged(
    judge: Judge,
    restore: Restore,
    scale: int,
    faces: Sequence[SharpFace],
    condition: str,
    gallery: Gallery,
    people: Mapping[str, str],
) -> Verdict:
    """Recovers each face (of those with landmarks) and lets the judge compare.

    `people` says who is on a picture, by its name; ValueError if there is no face to judge.
    """
    known = [face for face in faces if face.landmarks is not None]
    if not known:
        raise ValueError("no face with landmarks")
    marks = [face.landmarks for face in known if face.landmarks is not None]
    pairs = [CONDITIONS[condition](face.image, scale, n) for n, face in enumerate(known)]
    true = judge.describe([truth for _, truth in pairs], marks)
    ours = judge.describe([restore(small) for small, _ in pairs], marks)
    theirs = judge.describe([enlarged(small, scale) for small, _ in pairs], marks)
    alike, alike_bicubic = own_pairs(judge, ours, true), own_pairs(judge, theirs, true)
    change = alike - alike_bicubic
    some = np.unique(np.linspace(0, len(known) - 1, TAKES_OF).astype(int))
    limit = scatter(judge, [(pairs[i][0], marks[i], true[i]) for i in some], scale)
    rates = verification(
        judge, (true, ours, theirs), [face.name for face in known], gallery, people
    )
    return Verdict(
        len(known),
        float(alike.mean()),
        float(alike_bicubic.mean()),
        float((change < 0).mean()),
        limit,
        float((change < -limit).mean()),
        float((change > limit).mean()),
        *rates,
    )


def enlarged(small: Image, scale: int) -> Image:
    """Plain interpolation."""
    return bicubic(small, small.shape[1] * scale, small.shape[0] * scale)


def own_pairs(judge: Judge, a: Floats, b: Floats) -> Floats:
    """(N, D), (N, D) -> (N,) similarities of each row to its own."""
    return np.array([judge.alike(x[None], y[None])[0, 0] for x, y in zip(a, b, strict=True)])


def scatter(judge: Judge, shots: Sequence[tuple[Image, Floats, Floats]], scale: int) -> float:
    """Twice the standard deviation of how the similarity differs between two takes.

    Shots are the small picture, the landmarks in the large one, and the true face described.
    """
    likeness = []
    for number in range(2):
        takes = [take(small, 2 * i + number) for i, (small, _, _) in enumerate(shots)]
        found = judge.describe(
            [enlarged(t, scale) for t in takes], [marks for _, marks, _ in shots]
        )
        likeness.append(own_pairs(judge, found, np.array([true for _, _, true in shots])))
    # The difference has no sign of its own: its mean is zero by design.
    return float(2 * np.sqrt(((likeness[0] - likeness[1]) ** 2).mean()))


def take(small: Image, seed: int) -> Image:
    """The small picture taken once more: noise of 2 grey levels and JPEG of quality 90."""
    noise = np.random.default_rng(seed).normal(0, 2, small.shape)
    noisy = np.clip(np.rint(small + noise), 0, 255).astype(np.uint8)
    _, data = cv2.imencode(".jpg", noisy[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1])


def verification(
    judge: Judge,
    described: tuple[Floats, Floats, Floats],
    names: Sequence[str],
    gallery: Gallery,
    people: Mapping[str, str],
) -> tuple[int, float, float, float, tuple[float, float]]:
    """Faces of people one knows; EER sharp, enhanced, bicubic; interval of the difference."""
    rows = [i for i, name in enumerate(names) if people.get(name) in set(gallery.people)]
    if not rows:
        return 0, math.nan, math.nan, math.nan, (math.nan, math.nan)
    who = np.array([people[names[i]] for i in rows])
    same = who[:, None] == gallery.people[None]
    # A picture is never compared with itself.
    other = np.array([names[i] for i in rows])[:, None] != np.array(gallery.names)[None]
    scores = [judge.alike(part[rows], gallery.described) for part in described]
    sharp, ours, theirs = (_eer(score, same, other) for score in scores)
    rng = np.random.default_rng(0)
    groups = [np.flatnonzero(who == person) for person in np.unique(who)]
    changes = []
    for _ in range(DRAWS):
        chosen = np.concatenate([groups[g] for g in rng.integers(len(groups), size=len(groups))])
        drawn = [_eer(s[chosen], same[chosen], other[chosen]) for s in scores[1:]]
        changes.append(drawn[0] - drawn[1])
    low, high = np.nanpercentile(changes, [2.5, 97.5]).tolist()
    return len(rows), sharp, ours, theirs, (low, high)


def _eer(scores: Floats, same: np.ndarray, wanted: np.ndarray) -> float:
    return metrics.eer(scores[wanted], same[wanted])


def gallery_of(judge: Judge, data: Path, people: Mapping[str, str]) -> Gallery:
    """The first pictures of each validation person with a face that is large enough."""
    taken: dict[str, int] = {}
    pictures, marks, names = [], [], []
    for sample in load_identities(data / "identities", "val"):
        person, height = people[sample.name], float(sample.boxes[0, 3] - sample.boxes[0, 1])
        usable = height >= LEAST and np.isfinite(sample.landmarks[0]).all()
        if usable and taken.get(person, 0) < PER_PERSON:
            taken[person] = taken.get(person, 0) + 1
            pictures.append(sample.image)
            marks.append(sample.landmarks[0])
            names.append(sample.name)
    who = np.array([people[name] for name in names])
    return Gallery(names, who, judge.describe(pictures, marks))


def people_of(data: Path) -> dict[str, str]:
    """Who is on each picture of the identities set."""
    rows = read_table(data / "identities" / "identities.csv", ("image", "identity"))
    return {row["image"]: row["identity"] for row in rows}


HEAD = ("", "faces", "bicubic", "enhanced", "lowered", "scatter", "lowered beyond", "raised beyond",
        "EER sharp", "bicubic", "enhanced", "change, 95 %", "of faces")  # fmt: skip


def table(rows: Sequence[tuple[str, str, Verdict]]) -> str:
    """The verdicts of one judge for people: name of the set, condition, verdict."""
    lines: list[Sequence[str]] = [HEAD]
    for name, condition, v in rows:
        rates = [_percent(rate) for rate in (v.eer_sharp, v.eer_bicubic, v.eer)]
        interval = "-"
        if math.isfinite(v.eer_change[0]):
            interval = "{:+.1f} to {:+.1f}".format(*(100 * bound for bound in v.eer_change))
        lines.append(
            [
                f"{name}, {condition}",
                str(v.faces),
                *(f"{s:.3f}" for s in (v.similarity_bicubic, v.similarity)),
                _percent(v.lowered),
                f"{v.scatter:.3f}",
                *(_percent(share) for share in (v.lowered_beyond, v.raised_beyond)),
                *rates,
                interval,
                str(v.verified),
            ]
        )
    return aligned(lines)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if math.isfinite(share) else "-"


JUDGES: dict[str, Callable[[], Judge]] = {
    "own": lambda: own(Settings.from_environment(os.environ)),
    "dlib": dlib_resnet,
}


def main() -> None:
    """Measures what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/identity"))
    parser.add_argument("--judge", choices=JUDGES, action="append", help="both by default")
    parser.add_argument(
        "--scale", type=int, choices=(4, 2), action="append", help="both by default"
    )
    parser.add_argument("--limit", type=int, default=300, help="faces of each size")
    given = parser.parse_args()
    try:
        judges = [JUDGES[name]() for name in given.judge or JUDGES]
        results = measure(judges, given.scale or [4, 2], given.data, given.limit)
    except FaceCCTVError as error:
        raise SystemExit(f"identity: {error}") from error
    given.out.mkdir(parents=True, exist_ok=True)
    write_atomic(given.out / "identity.json", (json.dumps(results, indent=1) + "\n").encode())


def measure(
    judges: Sequence[Judge], scales: Sequence[int], data: Path, limit: int
) -> list[dict[str, object]]:
    """Every judge on every scale, printed as soon as it is known."""
    settings, people = Settings.from_environment(os.environ), people_of(data)
    results: list[dict[str, object]] = []
    for judge in judges:
        gallery = gallery_of(judge, data, people)
        for scale in scales:
            restore, rows = build.enhancer(settings, scale), []
            for low, high in BANDS:
                faces = sharp_faces(data, scale, low, high, limit)
                for condition in CONDITIONS:
                    found = judged(judge, restore, scale, faces, condition, gallery, people)
                    rows.append((f"{low:g}-{high:g} px", condition, found))
                    print(f"x{scale} {low:g}-{high:g} px {condition}: done", file=sys.stderr)
            card = restore.card
            about = {
                "judge": judge.name,
                "unit": judge.unit,
                "model": f"{card.name} {card.version}",
            }
            print(f"{about['model']}, judged by {judge.name} ({judge.unit})\n\n{table(rows)}\n")
            sys.stdout.flush()
            results += [
                about | {"set": name, "condition": condition} | asdict(verdict)
                for name, condition, verdict in rows
            ]
    return results


if __name__ == "__main__":
    main()
