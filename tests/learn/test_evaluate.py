import json
import math

import numpy as np
import pytest

from facecctv.learn.data.detection import Sample
from facecctv.learn.evaluate import (
    CONDITIONS,
    DetectorReport,
    contact_sheets,
    evaluate_detector,
    half,
)
from facecctv.learn.plots import precision_recall
from facecctv.types import Face

CLEAN = CONDITIONS[:1]
MARKS = np.array([(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)], np.float32)


def marks(box):
    box = np.array(box, np.float32)
    return box[:2] + MARKS * (box[2:] - box[:2])


def sample(name, boxes=(), ignore=(), value=128):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    flags = np.isin(np.arange(len(boxes)), list(ignore))
    landmarks = np.array([marks(box) for box in boxes], np.float32).reshape(-1, 5, 2)
    return Sample(name, np.full((100, 200, 3), value, np.uint8), boxes, landmarks, flags)


def finder(answers, shift=0.0):
    """A detector that knows a picture by its brightness."""

    def detect(image):
        found = answers.get(int(image[0, 0, 0]), ())
        return [Face(box, marks(box) + np.float32([shift, 0]), score) for box, score in found]

    return detect


A, B, C = (10, 10, 50, 60), (100, 10, 120, 30), (150, 20, 160, 30)


def measure(samples, answers, **options):
    options = {"threshold": 0.5, "conditions": CLEAN, **options}
    report = evaluate_detector(finder(answers, options.pop("shift", 0.0)), samples, **options)
    return report.conditions[0]


def test_no_pictures():
    part = measure([], {})
    assert part.bands[0].faces == 0
    assert math.isnan(part.bands[0].ap)
    assert math.isnan(part.landmarks.mean)
    assert (part.misses, part.false_alarms, part.curve.recall) == ((), (), ())


def test_all_found():
    part = measure([sample("a", [A, B])], {128: [(A, 0.9), (B, 0.8)]})
    assert [band.faces for band in part.bands] == [2, 0, 1, 1, 0]
    assert part.bands[0].ap == 1
    assert part.at_threshold.precision == part.at_threshold.recall == 1
    assert part.at_threshold.false_positives == 0
    assert part.landmarks.faces == 1  # the other is too low
    assert part.landmarks.mean == pytest.approx(0, abs=1e-6)
    assert (part.misses, part.false_alarms) == ((), ())


def test_landmark_errors_are_in_distances_between_the_eyes():
    part = measure([sample("a", [A])], {128: [(A, 0.9)]}, shift=4.0)
    assert part.landmarks.mean == pytest.approx(4 / 16)
    assert part.landmarks.median == pytest.approx(4 / 16)
    assert measure([sample("a", [A])], {128: [(A, 0.4)]}, shift=4.0).landmarks.faces == 0


def test_worst_cases_in_order():
    samples = [sample("a", [A, B], value=1), sample("b", [C], value=2)]
    answers = {1: [(B, 0.3), ((60, 60, 90, 90), 0.6)], 2: [((10, 70, 30, 90), 0.8)]}
    part = measure(samples, answers)
    assert [(c.image, c.box, round(c.score, 3)) for c in part.misses] == [
        ("a", A, 0.0),
        ("b", C, 0.0),
        ("a", B, 0.3),
    ]
    assert [(c.image, c.number, round(c.score, 3)) for c in part.false_alarms] == [
        ("b", 1, 0.8),
        ("a", 0, 0.6),
    ]
    assert part.at_threshold.recall == part.at_threshold.precision == 0
    assert part.at_threshold.false_positives == 1
    short = measure(samples, answers, worst=1)
    assert (len(short.misses), len(short.false_alarms)) == (1, 1)


def test_ignored_boxes_count_neither_way():
    part = measure([sample("a", [A, B], ignore=[1])], {128: [(A, 0.9), (B, 0.8)]})
    assert part.bands[0].faces == 1
    assert part.bands[0].ap == 1
    assert part.false_alarms == ()
    assert measure([sample("a", [A, B], ignore=[1])], {128: [(A, 0.9)]}).misses == ()


def test_working_points():
    samples = [sample(str(n), [A], value=n) for n in range(10)]
    answers = {n: [(A, 0.9 - n / 100), ((60, 60, 90, 90), 0.3)] for n in range(10)}
    answers[0].append(((100, 60, 130, 90), 0.85))
    often, seldom = measure(samples, answers).working_points
    assert often.recall == 1
    assert often.threshold == pytest.approx(0.81)
    assert seldom.threshold == pytest.approx(0.86)
    assert seldom.recall == pytest.approx(0.5)


def test_half_moves_labels_with_the_pixels():
    image = np.zeros((101, 151, 3), np.uint8)
    image[20:60, 30:70] = 255
    box = np.array([[30, 20, 70, 60]], np.float32)
    small = half(Sample("s", image, box, marks(box[0])[None], np.zeros(1, bool)))
    rows, columns = np.nonzero(small.image[..., 0] > 127)
    assert small.image.shape[:2] == (50, 76)
    found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    np.testing.assert_allclose(small.boxes[0], found, atol=1.01)
    np.testing.assert_allclose(small.landmarks[0], marks(small.boxes[0]), atol=1e-4)
    tiny = half(Sample("t", image[:1, :1], box, marks(box[0])[None], np.zeros(1, bool)))
    assert tiny.image.shape == (1, 1, 3)


def test_the_cctv_condition_is_repeatable_and_differs_from_picture_to_picture():
    apply = CONDITIONS[2].apply
    one = sample("a", [A])
    np.testing.assert_array_equal(apply(one, 3).image, apply(one, 3).image)
    assert (apply(one, 3).image != apply(one, 4).image).any()
    np.testing.assert_array_equal(apply(one, 3).boxes, one.boxes)


def test_a_limit_spreads_over_the_set_and_keeps_the_numbers():
    asked = []

    class Counted(list):
        def __getitem__(self, index):
            asked.append(index)
            return super().__getitem__(index)

    samples = Counted(sample(str(n)) for n in range(10))
    done = []
    report = evaluate_detector(
        finder({128: [(A, 0.9)]}),
        samples,
        threshold=0.5,
        conditions=CLEAN,
        limit=3,
        progress=lambda *numbers: done.append(numbers),
    )
    assert asked == [1, 5, 8]
    assert report.pictures == 3
    assert [case.number for case in report.conditions[0].false_alarms] == [1, 5, 8]
    assert done == [(1, 3), (2, 3), (3, 3)]


def report(answers=None):
    samples = [sample("a", [A, B], value=1), sample("b", [C], value=2)]
    answers = {1: [(A, 0.9), ((60, 60, 90, 90), 0.6)]} if answers is None else answers
    return evaluate_detector(finder(answers), samples, threshold=0.5), samples, finder(answers)


def test_json_holds_everything_and_null_where_nothing_was_measured():
    made, _, _ = report()
    value = json.loads(made.to_json())
    assert [part["name"] for part in value["conditions"]] == ["clean", "half", "cctv"]
    assert value["threshold"] == 0.5
    clean = value["conditions"][0]
    assert clean["bands"][0] == {
        "low": 8.0,
        "high": None,
        "faces": 3,
        "ap": pytest.approx(1 / 3, abs=1e-5),
        "recall": pytest.approx(1 / 3, abs=1e-5),
    }
    assert clean["bands"][4]["ap"] is None
    assert len(clean["curve"]["recall"]) == len(clean["curve"]["precision"]) == 2
    assert "\n" not in made.to_json()


def test_the_curve_is_thinned_but_keeps_its_ends():
    boxes = [(x, y, x + 9, y + 9) for x in range(0, 190, 10) for y in range(0, 90, 10)]
    wanted = boxes * 3
    samples = [sample(str(n), boxes, value=n) for n in range(3)]
    scores = np.linspace(0.99, 0.02, len(wanted))
    answers = {
        n: [(box, float(s)) for box, s in zip(boxes, scores[n::3], strict=True)] for n in range(3)
    }
    curve = measure(samples, answers).curve
    assert 190 <= len(curve.recall) <= 200
    assert curve.thresholds[0] == pytest.approx(0.99)
    assert curve.recall[-1] == 1


@pytest.mark.parametrize("answers", [None, {}])
def test_plots_are_files_of_their_kind_and_repeatable(answers):
    made, _, _ = report(answers)
    files, again = precision_recall(made), precision_recall(made)
    assert files == again
    assert files["png"].startswith(b"\x89PNG\r\n")
    assert b"<svg" in files["svg"]
    empty = DetectorReport("m", "d", 0, 0.5, (measure([], {}),))
    assert set(precision_recall(empty)) == {"png", "svg"}


def test_sheets_show_the_cases():
    made, samples, detect = report()
    sheets = contact_sheets(made, samples, detect)
    assert list(sheets) == [
        f"{name}-{kind}"
        for name in ("clean", "half", "cctv")
        for kind in ("misses", "false-alarms")
    ]
    for sheet in sheets.values():
        assert sheet.dtype == np.uint8
        assert sheet.shape[2] == 3
    amber = (np.abs(sheets["clean-misses"].astype(int) - (255, 190, 60)) < 8).all(axis=2)
    assert amber.sum() > 200
