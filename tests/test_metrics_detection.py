from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from facecctv.metrics import (
    HEIGHT_BANDS,
    Detections,
    Matches,
    Truth,
    at_false_positives,
    average_precision,
    by_height,
    landmark_error,
    match,
    precision_recall,
)

Box = tuple[float, float, float, float]


def box(x: float, y: float = 0, size: float = 20) -> Box:
    return (x, y, x + size, y + size)


NONE = Detections([], [])


def ap(found: Sequence[Detections], truth: Sequence[Truth], **options: object) -> float:
    return average_precision(match(found, truth), **options)  # type: ignore[arg-type]


def test_nothing_in_no_pictures() -> None:
    matches = match([], [])
    assert (matches.positives, matches.pictures, len(matches.scores)) == (0, 0, 0)
    assert matches.pairs.shape == (0, 3)
    assert math.isnan(average_precision(matches))
    point = at_false_positives(matches, 0.1)
    assert math.isnan(point.recall)
    assert math.isnan(point.precision)
    assert point.threshold == math.inf


FACE, OTHER, FAR = box(0), box(100), box(200)
TABLE = [
    # found: (box, score)..., faces, ignored, average precision
    ("nothing there, nothing found", [], [], [], math.nan),
    ("nothing there, one false", [(FACE, 0.9)], [], [], math.nan),
    ("one face, nothing found", [], [FACE], [], 0.0),
    ("one face found", [(FACE, 0.9)], [FACE], [], 1.0),
    ("overlap of exactly one half", [((0, 0, 20, 10), 0.9)], [FACE], [], 1.0),
    ("overlap of less", [((0, 0, 20, 9.9), 0.9)], [FACE], [], 0.0),
    ("false before true", [(FAR, 0.9), (FACE, 0.8)], [FACE], [], 0.5),
    ("true before false", [(FACE, 0.9), (FAR, 0.8)], [FACE], [], 1.0),
    ("equal scores are one threshold", [(FACE, 0.9), (FAR, 0.9)], [FACE], [], 0.5),
    ("found twice: the second is false", [(FACE, 0.9), (FACE, 0.8)], [FACE, OTHER], [], 0.5),
    ("one of two", [(FACE, 0.9)], [FACE, OTHER], [], 0.5),
    (
        "true false true",
        [(FACE, 0.9), (FAR, 0.8), (OTHER, 0.7)],
        [FACE, OTHER],
        [],
        0.5 + 0.5 * 2 / 3,
    ),
    ("the envelope lifts", [(FAR, 0.9), (FACE, 0.8), (OTHER, 0.7)], [FACE, OTHER], [], 2 / 3),
    ("ignored region", [(FAR, 0.95), (FACE, 0.9)], [FACE], [FAR], 1.0),
    ("half inside a region", [((200, 0, 240, 20), 0.95), (FACE, 0.9)], [FACE], [FAR], 1.0),
    ("less than half inside", [((200, 0, 241, 20), 0.95), (FACE, 0.9)], [FACE], [FAR], 0.5),
    ("many in a crowd", [(FAR, 0.9), (FAR, 0.8), (FACE, 0.7)], [FACE], [(190, -9, 300, 90)], 1.0),
    ("a face in a crowd still counts", [(FACE, 0.9)], [FACE, OTHER], [(-9, -9, 90, 90)], 0.5),
    ("only ignored", [(FAR, 0.9)], [], [FAR], math.nan),
    ("face too small", [(box(0, size=7), 0.9)], [box(0, size=7)], [], math.nan),
    (
        "small face, found in part",
        [(box(0, size=8.5), 0.9), (FAR, 0.8)],
        [box(0, size=7.9), FAR],
        [],
        1.0,
    ),
    ("small false alarm", [(box(50, size=7), 0.9), (FACE, 0.8)], [FACE], [], 1.0),
]


@pytest.mark.parametrize(
    ("found", "faces", "ignored", "expected"), [t[1:] for t in TABLE], ids=[t[0] for t in TABLE]
)
def test_average_precision_by_hand(
    found: list[tuple[Box, float]], faces: list[Box], ignored: list[Box], expected: float
) -> None:
    detections = Detections([b for b, _ in found], [s for _, s in found])
    assert ap([detections], [Truth(faces, ignored)]) == pytest.approx(expected, nan_ok=True)


def test_scores_are_ordered_over_all_pictures() -> None:
    found = [Detections([FACE, FAR], [0.5, 0.9]), Detections([FACE], [0.7]), NONE]
    matches = match(found, [Truth([FACE]), Truth([FACE]), Truth([])])
    assert matches.scores.tolist() == [0.9, 0.7, 0.5]
    assert matches.hits.tolist() == [False, True, True]
    assert (matches.positives, matches.pictures) == (2, 3)
    assert matches.pairs.tolist() == [[0, 0, 0], [1, 0, 0]]


def test_the_surer_detection_takes_the_face_it_overlaps_most() -> None:
    near, nearer = box(0), box(4)
    matches = match([Detections([box(3), box(0)], [0.9, 0.8])], [Truth([near, nearer])])
    assert matches.pairs.tolist() == [[0, 0, 1], [0, 1, 0]]


def test_a_face_inside_the_heights_goes_first() -> None:
    small, large = (0, 0, 20, 15.0), (0, 0, 20, 20.0)
    matches = match([Detections([small], [0.9])], [Truth([small, large])], heights=(16, 99))
    assert (matches.positives, matches.hits.tolist()) == (1, [True])


def test_interpolations_by_hand() -> None:
    found = [Detections([FAR, FACE, OTHER], [0.9, 0.8, 0.7])]
    truth = [Truth([FACE, OTHER])]
    assert ap(found, truth, interpolation="none") == pytest.approx(0.5 * 1 / 2 + 0.5 * 2 / 3)
    assert ap(found, truth, interpolation="envelope") == pytest.approx(2 / 3)
    assert ap(found, truth, interpolation="coco") == pytest.approx(2 / 3)
    missed = [Truth([FACE, OTHER, box(300), box(400)])]
    assert ap(found, missed, interpolation="coco") == pytest.approx(51 / 101 * 2 / 3)


def test_the_curve_by_hand() -> None:
    found = [Detections([FACE, FAR, OTHER, box(300)], [0.9, 0.8, 0.8, 0.1]), NONE]
    curve = precision_recall(match(found, [Truth([FACE, OTHER]), Truth([])]))
    assert curve.thresholds.tolist() == [0.9, 0.8, 0.1]
    assert curve.precision.tolist() == [1, 2 / 3, 0.5]
    assert curve.recall.tolist() == [0.5, 1, 1]
    assert curve.false_positives.tolist() == [0, 0.5, 1]


@pytest.mark.parametrize(
    ("per_picture", "threshold", "recall", "false_positives"),
    [(0, 0.9, 0.5, 0), (0.49, 0.9, 0.5, 0), (0.5, 0.8, 1, 0.5), (1, 0.1, 1, 1), (9, 0.1, 1, 1)],
)
def test_operating_points_by_hand(
    per_picture: float, threshold: float, recall: float, false_positives: float
) -> None:
    found = [Detections([FACE, FAR, OTHER, box(300)], [0.9, 0.8, 0.8, 0.1]), NONE]
    point = at_false_positives(match(found, [Truth([FACE, OTHER]), Truth([])]), per_picture)
    assert (point.threshold, point.recall) == (threshold, recall)
    assert point.false_positives == false_positives


def test_no_threshold_is_strict_enough() -> None:
    point = at_false_positives(match([Detections([FAR], [0.9])], [Truth([FACE])]), 0.5)
    assert (point.threshold, point.recall) == (math.inf, 0)


def test_the_table_by_height() -> None:
    faces = [
        box(0, size=7),
        box(100, size=8),
        box(200, size=16),
        box(300, size=31.9),
        box(400, size=64),
    ]
    found = Detections([*faces[:3], box(500, size=20), faces[4]], [0.9, 0.8, 0.7, 0.95, 0.6])
    rows = by_height([found], [Truth(faces)], per_picture=0)
    assert [(row.low, row.high) for row in rows] == [(8, math.inf), *HEIGHT_BANDS]
    assert [row.faces for row in rows] == [4, 1, 2, 0, 1]
    expected_ap = [0.75 * 0.75, 1.0, 0.25, math.nan, 1.0]
    np.testing.assert_allclose([row.ap for row in rows], expected_ap)
    np.testing.assert_allclose([row.recall for row in rows], [0, 1, 0, math.nan, 1])


@pytest.mark.parametrize(
    "make",
    [
        lambda: Detections([FACE], []),
        lambda: Detections([FACE], [math.nan]),
        lambda: Detections([(0, 0, 0, 1)], [0.5]),
        lambda: Detections([1, 2, 3], [0.5]),
        lambda: Truth([(0, 0, math.nan, 1)]),
        lambda: Truth([], [(5, 0, 1, 1)]),
        lambda: match([NONE], []),
        lambda: landmark_error(np.zeros((1, 5, 2)), np.zeros((2, 5, 2))),
        lambda: landmark_error(np.zeros((5, 2)), np.zeros((5, 2))),
    ],
)
def test_what_does_not_fit_is_refused(make: object) -> None:
    with pytest.raises(ValueError):
        make()  # type: ignore[operator]


def test_landmark_error_by_hand() -> None:
    assert landmark_error(np.zeros((0, 5, 2)), np.zeros((0, 5, 2))).shape == (0,)
    truth = np.array([[[10, 10], [20, 10], [15, 15], [11, 20], [19, 20]]] * 3, float)
    found = truth.copy()
    found[1] += (3, 4)
    found[2, 0, 0] += 5
    np.testing.assert_allclose(landmark_error(found, truth), [0, 0.5, 0.1])
    assert np.isnan(landmark_error(truth[:1], np.zeros((1, 5, 2)))).all()


def slow_iou(a: Box, b: Box) -> float:
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    if w <= 0 or h <= 0:
        return 0.0
    return w * h / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - w * h)


def slow_ap(found: list[tuple[int, Box, float]], faces: list[list[Box]]) -> float:
    """Average precision as one would write it down, without anything to ignore."""
    taken: set[tuple[int, int]] = set()
    hits = []
    for picture, where, _ in sorted(found, key=lambda d: -d[2]):
        ranked = sorted(
            (-slow_iou(where, face), k)
            for k, face in enumerate(faces[picture])
            if (picture, k) not in taken and slow_iou(where, face) >= 0.5
        )
        hits.append(bool(ranked))
        if ranked:
            taken.add((picture, ranked[0][1]))
    total = sum(len(f) for f in faces)
    points = [(sum(hits[:n]) / total, sum(hits[:n]) / n) for n in range(1, len(hits) + 1)]
    area, before = 0.0, 0.0
    for n, (recall, _) in enumerate(points):
        area += (recall - before) * max(p for _, p in points[n:])
        before = recall
    return area


sides = st.integers(8, 30)
places = st.integers(0, 40)
boxes = st.builds(lambda x, y, w, h: (x, y, x + w, y + h), places, places, sides, sides)


@given(
    st.lists(st.lists(boxes, max_size=4), min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(0, 2), boxes), max_size=12),
    st.randoms(use_true_random=False),
)
def test_average_precision_is_that_of_a_plain_reference(
    faces: list[list[Box]], placed: list[tuple[int, Box]], random: object
) -> None:
    scores = list(range(len(placed)))
    random.shuffle(scores)  # type: ignore[attr-defined]
    found = [(k % len(faces), b, s / 100) for (k, b), s in zip(placed, scores, strict=True)]
    detections = [
        Detections([b for k, b, _ in found if k == n], [s for k, _, s in found if k == n])
        for n in range(len(faces))
    ]
    ours = ap(detections, [Truth(f) for f in faces])
    if not any(faces):
        assert math.isnan(ours)
    else:
        assert ours == pytest.approx(slow_ap(found, faces))


def a_scene(seed: int) -> tuple[list[Detections], list[Truth]]:
    """Returns 40 pictures of faces, jittered detections, misses, false alarms and crowds."""
    rng = np.random.default_rng(seed)
    detections, truths = [], []
    scores = iter(rng.permutation(40 * 17) / 1000)  # No two equal: the reference orders equals.
    for _ in range(40):
        corner, size = rng.uniform(0, 300, (8, 2)), rng.uniform(5, 90, (8, 1))
        faces = np.hstack([corner, corner + size * (1, 1.2)])
        false = rng.uniform(0, 300, (5, 2))
        false = np.hstack([false, false + rng.uniform(5, 90, (5, 1))])
        near = np.repeat(faces[:6], 2, axis=0)
        near = near + rng.normal(0, 0.12, near.shape) * (near[:, 2:3] - near[:, :1])
        found = np.vstack([near, false])
        crowd = rng.uniform(0, 200, (1, 2))
        truths.append(Truth(faces, np.hstack([crowd, crowd + 80])))
        detections.append(Detections(found, [next(scores) for _ in found]))
    return detections, truths


@pytest.mark.parametrize("heights", [(8, math.inf), (16, 32), (64, math.inf)])
def test_parity_with_cocos_own_tool(heights: tuple[float, float]) -> None:
    coco_tools = pytest.importorskip("pycocotools.coco")
    evaluation = pytest.importorskip("pycocotools.cocoeval")
    detections, truths = a_scene(1)
    wide = lambda b: [b[0], b[1], b[2] - b[0], b[3] - b[1]]  # noqa: E731
    labelled, found = [], []
    for n, (d, t) in enumerate(zip(detections, truths, strict=True), 1):
        for crowd, b in [(0, b) for b in t.boxes] + [(1, b) for b in t.ignore]:
            # The tool bands by "area", whatever that is: here the height.
            facts = {"image_id": n, "category_id": 1, "iscrowd": crowd, "area": b[3] - b[1]}
            labelled.append({"id": len(labelled) + 1, "bbox": wide(b), **facts})
        for b, s in zip(d.boxes, d.scores, strict=True):
            found.append({"image_id": n, "category_id": 1, "bbox": wide(b), "score": s})
    truth = coco_tools.COCO()
    images = [{"id": n} for n in range(1, len(truths) + 1)]
    truth.dataset = {
        "info": {},
        "images": images,
        "annotations": labelled,
        "categories": [{"id": 1}],
    }
    truth.createIndex()
    results = truth.loadRes(found)
    for annotation in results.dataset["annotations"]:
        annotation["area"] = annotation["bbox"][3]
    run = evaluation.COCOeval(truth, results, "bbox")
    run.params.iouThrs, run.params.maxDets = np.array([0.5]), [1000]
    run.params.areaRng, run.params.areaRngLbl = [[heights[0], min(heights[1], 1e9)]], ["all"]
    run.evaluate()
    run.accumulate()
    theirs = run.eval["precision"][0, :, 0, 0, 0].mean()

    matches = match(detections, truths, heights=heights)
    ours = average_precision(matches, "coco")
    assert 0.1 < ours < 0.9
    assert ours == pytest.approx(theirs, abs=1e-12)
    assert average_precision(matches) == pytest.approx(ours, abs=0.01)


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=20))
def test_parity_with_scikit_learn(ranked: list[tuple[int, bool]]) -> None:
    scores = np.array(sorted((s for s, _ in ranked), reverse=True), float)
    hits = np.array([h for _, h in ranked])
    matches = Matches(scores, hits, int(hits.sum()), 1, np.zeros((0, 3), np.intp))
    if hits.any():
        theirs = average_precision_score(hits, scores)
        assert average_precision(matches, "none") == pytest.approx(theirs)
    else:
        assert math.isnan(average_precision(matches, "none"))
