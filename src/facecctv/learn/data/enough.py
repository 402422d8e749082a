"""Is this enough? A learning curve of a quick learner, continued by a power law.

The learner is small on purpose (gradient histograms and a closed-form linear classifier, seconds on
a CPU), so its error is not what a network will reach. What carries over is the curve's shape:
whether the error still falls as pictures are added, or has levelled out. The law error(n) =
c + a n^-b is that of Hestness et al., "Deep learning scaling is predictable, empirically" (2017).
Its interval comes from resampling the repeats; it knows nothing of pictures unlike those at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from facecctv.errors import ImageError
from facecctv.geometry import iou
from facecctv.image import resize
from facecctv.learn.data.dataset import Dataset, Labelled, Pictures
from facecctv.learn.data.faces import face_picture
from facecctv.metrics.scores import eer
from facecctv.types import Floats, Image

LEAST = 24
"""Pictures or people below which no curve is fitted."""
_MOST_PICTURES = 1500
_PER_PICTURE = 3
_CELL, _ANGLES = 8, 9
_FACE_SIDE = 48
_REPEATS = 6
_POINTS = 6
_HELD_OUT = 0.3
_RIDGES = np.geomspace(1e-3, 10, 9)
_MOST_AXES = 96
_TOO_WEAK = 0.25
_RESAMPLES = 200

Score = Callable[[np.ndarray], float]


@dataclass(frozen=True)
class Curve:
    """The error of the quick learner against how much it learnt from."""

    task: str
    unit: str
    """What is counted: pictures or people."""
    sizes: tuple[int, ...]
    errors: tuple[float, ...]
    """Mean error at each size, 0..1, on pictures that were held out."""
    now: int
    """How many of the unit there are."""
    forecast: tuple[tuple[float, float, float, float], ...]
    """(count, low, middle, high): the fitted error with its 90 % interval, up to four times."""

    def at(self, times: float) -> tuple[float, float, float]:
        """The forecast (low, middle, high) nearest to `times` the present count."""
        row = min(self.forecast, key=lambda f: abs(np.log(f[0] / (times * self.now))))
        return row[1], row[2], row[3]

    @property
    def verdict(self) -> str:
        """Plain sentences, with the uncertainty."""
        error = self.at(1)[1]
        low, middle, high = self.at(2)
        gain = (error - middle) / max(error, 1e-9)
        now, then, best, worst = (f"{100 * share:.1f} %" for share in (error, middle, low, high))
        figures = (
            f"The quick learner errs in {now} of cases with {self.now:,} {self.unit}; with twice "
            f"as many {then} are to be expected (90 % interval: {best} to {worst})."
        )
        if error > _TOO_WEAK:
            advice = "It is too weak for these pictures to tell whether more would help."
        elif high - low > error:
            advice = "The curve is too uncertain to say whether more would help."
        elif error < 0.005:
            advice = "That is too easy for it: the curve says nothing more about these pictures."
        elif gain >= 0.15:
            advice = "Still falling: more of the same kind will help."
        elif gain >= 0.05:
            advice = "Falling slowly: more will help a little."
        else:
            advice = "Level: other places, light and people will help, more of the same will not."
        return f"{figures} {advice}"


def estimate(
    dataset: Dataset,
    groups: Sequence[int] | np.ndarray,
    seed: int = 0,
    step: Callable[[], None] = lambda: None,
) -> Curve | str:
    """The learning curve, or a sentence why there is none.

    With at least 24 people of two pictures each: telling people apart, by the number of people.
    Else with boxes: telling faces from background, by the number of pictures. `groups` (N,) numbers
    near duplicates, which are never on both sides. `step` is called for every picture looked at.
    """
    rng = np.random.default_rng(seed)
    people: dict[str, list[int]] = {}
    for index, item in enumerate(dataset):
        if item.identity is not None:
            people.setdefault(item.identity, []).append(index)
    people = {name: indices for name, indices in people.items() if len(indices) > 1}
    if len(people) >= LEAST:
        return _people_curve(dataset, people, rng, step)
    located = [i for i, item in enumerate(dataset) if item.located]
    faces = sum(bool(len(dataset.items[i].boxes)) for i in located)
    if faces < LEAST:
        return (
            f"not estimated: {faces} pictures with boxes and {len(people)} people of two pictures, "
            f"and a curve needs {LEAST} of either"
        )
    return _face_curve(dataset, located, np.asarray(groups), rng, step)


def features(patch: Image, side: int = 32) -> Floats:
    """(h, w, 3) uint8 RGB -> gradient histograms of 8-pixel cells, (side**2 / 64 * 9,) float32.

    After Dalal and Triggs, "Histograms of oriented gradients for human detection" (2005), each cell
    set against the strength of its neighbourhood. Unit length.
    """
    grey = resize(patch, side, side).astype(np.float32).mean(axis=2)
    down, right = np.gradient(grey)
    strength = np.hypot(down, right)
    angle = np.arctan2(down, right) / np.pi % 1 * _ANGLES
    lower = np.floor(angle).astype(int)
    upper_share = angle - lower
    cells = side // _CELL
    y, x = np.indices(grey.shape) // _CELL
    place, count = (y * cells + x) * _ANGLES, cells * cells * _ANGLES
    histogram = np.zeros(count)
    for index, weight in ((lower, 1 - upper_share), (lower + 1, upper_share)):
        flat = (place + index % _ANGLES).ravel()
        histogram += np.bincount(flat, (strength * weight).ravel(), count)
    blocks = histogram.reshape(cells, cells, _ANGLES)
    energy = np.sqrt((blocks**2).sum(axis=2))
    around = cv2.blur(energy, (3, 3), borderType=cv2.BORDER_REPLICATE)
    lit = np.sqrt(blocks / (around[..., None] + 0.05 * energy.mean() + 1e-3)).ravel()
    return (lit / (np.linalg.norm(lit) + 1e-6)).astype(np.float32)


def _face_curve(
    dataset: Dataset,
    located: list[int],
    groups: np.ndarray,
    rng: np.random.Generator,
    step: Callable[[], None],
) -> Curve:
    chosen = rng.permutation(located)[:_MOST_PICTURES]
    rows, labels, owners = [], [], []
    pictures = Pictures()
    for number, index in enumerate(chosen):
        step()
        try:
            image = pictures.image(dataset.items[index].path)
        except ImageError:  # already a fault of the check
            continue
        for patch, is_face in _patches(image, dataset.items[index], rng):
            rows.append(features(patch))
            labels.append(is_face)
            owners.append(number)
    x, y, owner = np.array(rows), np.array(labels), np.array(owners)
    blocks = groups[chosen]

    def run(seed: int, share: float) -> float:
        draw = np.random.default_rng(seed)
        order = draw.permutation(np.unique(blocks))
        held = set(order[: max(2, round(_HELD_OUT * len(order)))].tolist())
        test = np.array([blocks[o] in held for o in owner])
        pool = draw.permutation(np.unique(owner[~test]))
        learnt = np.isin(owner, pool[: max(4, round(share * len(pool)))])
        return _linear_error(x[learnt], y[learnt], x[test], y[test])

    usable = len(np.unique(owner))
    shares = np.geomspace(min(0.5, 8 / usable), 1, _POINTS)
    sizes = [max(4, round(s * usable * (1 - _HELD_OUT))) for s in shares]
    errors = [[run(r, float(s)) for r in range(_REPEATS)] for s in shares]
    return _curve("telling faces from background", "pictures", sizes, errors, len(located))


def _patches(image: Image, item: Labelled, rng: np.random.Generator) -> list[tuple[Image, bool]]:
    height, width = image.shape[:2]
    sure = item.boxes[~item.ignore]
    picked = [b for b in rng.permutation(sure)[:_PER_PICTURE] if min(b[2:] - b[:2]) >= 6]
    found = [(_cut(image, box), True) for box in picked]
    for i in range(_PER_PICTURE):
        model = picked[i % len(picked)] if picked else np.zeros(4)
        side = float(np.max(model[2:] - model[:2]))
        side = min(side or rng.uniform(0.15, 0.5) * min(width, height), 0.8 * min(width, height))
        for _ in range(8):  # in crowded pictures there may be no free place
            x, y = rng.uniform(0, width - side), rng.uniform(0, height - side)
            box = np.array([x, y, x + side, y + side], np.float32)
            if not len(item.boxes) or iou(box[None], item.boxes).max() < 0.15:
                found.append((_cut(image, box), False))
                break
    return [(patch, is_face) for patch, is_face in found if patch.size]


def _cut(image: Image, box: np.ndarray) -> Image:
    x1, y1, x2, y2 = np.rint(box).astype(int)
    return image[max(y1, 0) : max(y2, 0), max(x1, 0) : max(x2, 0)]


def _linear_error(x: Floats, y: np.ndarray, x_test: Floats, y_test: np.ndarray) -> float:
    """Mean of the two classes' error rates of a ridge classifier; a half where one class lacks.

    The ridge is chosen by the leave-one-out error of the training rows, in closed form.
    """
    if len(np.unique(y)) < 2 or len(np.unique(y_test)) < 2:
        return 0.5
    mean = x.mean(axis=0)
    weight = np.sqrt(np.where(y, 0.5 / y.mean(), 0.5 / (1 - y.mean())))
    u, size, axes = np.linalg.svd((x - mean) * weight[:, None], full_matrices=False)
    wanted = np.where(y, 1.0, -1.0) * weight
    turned = u.T @ wanted
    least, solved = np.inf, np.zeros(x.shape[1])
    for ridge in _RIDGES * (size**2).mean():
        share = size**2 / (size**2 + ridge)
        missed = wanted - u @ (share * turned)
        alone = missed / np.maximum(1 - (u**2) @ share, 1e-3)
        if (loss := float((alone**2).mean())) < least:
            least, solved = loss, axes.T @ (size / (size**2 + ridge) * turned)
    says = (x_test - mean) @ solved > 0
    return float(np.mean([(~says[y_test]).mean(), says[~y_test].mean()]))


def _people_curve(
    dataset: Dataset,
    people: dict[str, list[int]],
    rng: np.random.Generator,
    step: Callable[[], None],
) -> Curve:
    names = rng.permutation(sorted(people))
    per_person = max(2, min(8, 2 * _MOST_PICTURES // len(names)))
    rows, owners = [], []
    pictures = Pictures()
    for number, name in enumerate(names):
        for index in rng.permutation(people[str(name)])[:per_person]:
            step()
            try:
                face = face_picture(pictures, dataset.items[index], _FACE_SIDE)
            except ImageError:  # already a fault of the check
                continue
            rows.append(features(face, _FACE_SIDE))
            owners.append(number)
    x, owner = np.array(rows), np.array(owners)

    def run(seed: int, share: float) -> float:
        draw = np.random.default_rng(seed)
        order = draw.permutation(len(names))
        held = max(6, round(_HELD_OUT * len(names)))
        learnt = order[held : held + max(3, round(share * (len(names) - held)))]
        return _verification_error(x, owner, learnt, order[:held])

    shares = np.geomspace(min(0.5, 6 / len(names)), 1, _POINTS)
    sizes = [max(3, round(s * len(names) * (1 - _HELD_OUT))) for s in shares]
    errors = [[run(r, float(s)) for r in range(_REPEATS)] for s in shares]
    return _curve("telling people apart", "people", sizes, errors, len(names))


def _verification_error(
    x: Floats, owner: np.ndarray, learnt: np.ndarray, held: np.ndarray
) -> float:
    """Equal-error rate on held-out people, after whitening what varies within a learnt person."""
    train = np.isin(owner, learnt)
    mean = x[train].mean(axis=0)
    _, size, axes = np.linalg.svd(x[train] - mean, full_matrices=False)
    main = axes[: min(_MOST_AXES, len(size) - 1)].T
    inner = (x - mean) @ main
    centred = inner[train] - np.stack([inner[owner == o].mean(axis=0) for o in owner[train]])
    within = centred.T @ centred / len(centred)
    within += np.eye(len(within)) * (np.trace(within) / len(within) * 0.3 + 1e-9)
    values, turned = np.linalg.eigh(within)
    test = np.isin(owner, held)
    white = inner[test] @ (turned / np.sqrt(values))
    white /= np.linalg.norm(white, axis=1, keepdims=True) + 1e-9
    similar = white @ white.T
    first, second = np.triu_indices(len(similar), 1)
    same = owner[test][first] == owner[test][second]
    return eer(similar[first, second], same)


def _curve(
    task: str, unit: str, sizes: Sequence[int], errors: Sequence[Sequence[float]], now: int
) -> Curve:
    measured = np.array(errors)
    rng = np.random.default_rng(0)
    counts = np.geomspace(sizes[0], 4 * now, 25)
    counts = np.sort(np.concatenate([counts, [now, 2 * now]]))
    fits = []
    for _ in range(_RESAMPLES):
        pick = rng.integers(0, measured.shape[1], measured.shape)
        fits.append(_power_law(sizes, np.take_along_axis(measured, pick, 1).mean(axis=1), counts))
    low, middle, high = np.percentile(fits, (5, 50, 95), axis=0)
    forecast = tuple(
        zip(counts.tolist(), low.tolist(), middle.tolist(), high.tolist(), strict=True)
    )
    return Curve(task, unit, tuple(sizes), tuple(measured.mean(axis=1).tolist()), now, forecast)


def _power_law(sizes: Sequence[int], errors: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The law c + a n^-b at `counts`, fitted to (sizes, errors): c on a grid, the rest in logs."""
    x = np.log(sizes)
    centred = x - x.mean()
    best, least = np.full(len(counts), errors.mean()), ((errors - errors.mean()) ** 2).sum()
    for floor in np.linspace(0, errors.min() * 0.95, 12):
        rest = np.log(np.maximum(errors - floor, 1e-4))
        slope = min(float(centred @ rest / (centred @ centred)), 0.0)
        height = rest.mean() - slope * x.mean()
        miss = ((floor + np.exp(height + slope * x) - errors) ** 2).sum()
        if miss < least:
            best, least = floor + np.exp(height + slope * np.log(counts)), miss
    return best
