"""Faces followed: numbers, gaps, cuts, and identity F1 on paths with exact ground truth."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facecctv.errors import SettingError
from facecctv.footage.kalman import Motion
from facecctv.footage.track import Tracker, TrackOptions, between, held
from facecctv.metrics import Named, tracking
from facecctv.types import Face


def face(x, y, size=24.0, score=0.9):
    box = np.array([x - size / 2, y - size / 2, x + size / 2, y + size / 2], np.float32)
    return Face(box, np.full((5, 2), (x, y), np.float32), score)


def at(index, rate=25):
    return Fraction(index, rate)


def test_nobody():
    tracker = Tracker()
    for index in range(5):
        step = tracker(index, at(index), [])
        assert (step.numbers, step.ended) == ((), ())
    assert tracker.end() == ()
    assert tracker.next_look() == np.inf


def test_numbers_are_in_the_order_of_the_faces():
    tracker = Tracker()
    assert tracker(0, at(0), [face(50, 50), face(200, 50), face(90, 90, score=0.2)]).numbers == (
        1,
        2,
        0,
    )
    assert tracker(1, at(1), [face(201, 50), face(400, 50), face(51, 50)]).numbers == (2, 3, 1)


def test_an_unsure_face_continues_a_track_but_begins_none():
    tracker = Tracker()
    tracker(0, at(0), [face(50, 50)])
    for index in range(1, 20):
        assert tracker(index, at(index), [face(50 + index, 50, score=0.15)]).numbers == (1,)
    (track,) = tracker.end()
    assert track.seen.all()
    assert len(track.frames) == 20


def test_who_is_gone_too_long_is_somebody_else():
    tracker = Tracker(TrackOptions(patience=0.5))
    tracker(0, at(0), [face(50, 50)])
    ended = []
    for index in range(1, 30):
        ended += tracker(index, at(index), []).ended
    (track,) = ended
    assert (track.first, track.last, track.frames.tolist()) == (0, 0, [0])
    assert tracker(30, at(30), [face(50, 50)]).numbers == (2,)


def test_time_in_which_nobody_looked_does_not_count():
    tracker = Tracker(TrackOptions(patience=0.5))
    for index in range(5):
        tracker(index, at(index), [face(50, 50)])
    assert tracker(500, at(500), [face(50, 50)]).numbers == (1,)


def test_who_is_gone_stays_gone_while_nobody_looks():
    tracker = Tracker(TrackOptions(patience=0.5))
    for index in range(5):
        tracker(index, at(index), [face(50, 50)])
    assert tracker(6, at(6), []).ended == ()
    assert tracker(100, at(100), [face(50, 50)]).numbers == (2,)


def test_gaps_are_filled_on_a_straight_line():
    tracker = Tracker()
    for index in range(11):
        seen = [] if 4 <= index <= 6 else [face(50 + 5 * index, 50)]
        tracker(index, at(index), seen)
    for index in range(11, 14):
        tracker(index, at(index), [])
    (track,) = tracker.end()
    assert track.frames.tolist() == list(range(11))
    assert track.seen.tolist() == [not 4 <= index <= 6 for index in range(11)]
    centres = track.boxes[:, [0, 2]].mean(axis=1)
    assert centres == pytest.approx([50 + 5 * index for index in range(11)])


def test_a_cut_ends_every_track():
    tracker = Tracker()
    tracker(0, at(0), [face(50, 50)])
    step = tracker(1, at(1), [face(50, 50)], cut=True)
    assert step.numbers == (2,)
    assert [track.number for track in step.ended] == [1]


def test_the_next_look_is_soon_while_little_is_known():
    tracker = Tracker()
    tracker(0, at(0), [face(50, 50)])
    assert tracker.next_look() == 0
    for index in range(1, 10):
        tracker(index, at(index), [face(50 + 4 * index, 50)])
    assert tracker.next_look() == pytest.approx(0.75 * 24 / 100, rel=0.2)


def test_frames_come_in_order():
    tracker = Tracker()
    tracker(3, at(3), [])
    with pytest.raises(ValueError, match="order of time"):
        tracker(4, at(3), [])


@pytest.mark.parametrize("wrong", [{"high": 0}, {"overlap": 1}, {"patience": -1}, {"growth": -1}])
def test_impossible_options(wrong):
    with pytest.raises(SettingError):
        TrackOptions(**wrong)


@given(st.integers(0, 10_000), st.floats(0.02, 0.2))
def test_a_filter_learns_a_steady_walk(seed, step):
    rng = np.random.default_rng(seed)
    velocity = rng.uniform(-60, 60, 2)
    motion = Motion(face(300, 200).box)
    for number in range(1, 30):
        motion.predict(step)
        x, y = np.array([300, 200]) + velocity * step * number + rng.normal(0, 0.3, 2)
        motion.correct(face(x, y).box)
    assert motion.state[:2, 1] == pytest.approx(velocity, abs=15)
    assert motion.state[2:, 0] == pytest.approx([24, 24], abs=1)


def test_boxes_between_and_beyond():
    known, boxes = np.array([1.0, 2.0]), np.array([[0, 0, 10, 10], [10, 20, 30, 40]], np.float32)
    found = between(known, boxes, np.array([0.0, 1.0, 1.5, 2.0, 9.0]))
    assert found.tolist() == [
        [0, 0, 10, 10],
        [0, 0, 10, 10],
        [5, 10, 20, 25],
        [10, 20, 30, 40],
        [10, 20, 30, 40],
    ]


def test_a_track_is_held_at_both_ends():
    tracker = Tracker()
    for index in range(25, 51):
        tracker(index, at(index), [face(50, 50)])
    (track,) = tracker.end()
    _, inside = held(track, [0.4, 0.6, 1.5, 2.4, 2.6], hold=0.5)
    assert inside.tolist() == [False, True, True, True, False]


def walkers(seed, every):
    """Six faces of 24 px that walk, meet and pass behind things, as a detector reports them."""
    rng = np.random.default_rng(seed)
    starts, speeds = rng.uniform(40, 600, 6), rng.uniform(-70, 70, 6)
    heights = np.array([60, 66, 130, 138, 220, 300.0])
    hidden = rng.uniform(1, 7, 6)
    truth, reports = [], []
    for index in range(0, 200, every):
        time = float(at(index))
        xs = starts + speeds * time
        there = [n for n in range(6) if 0 < xs[n] < 640 and not hidden[n] < time < hidden[n] + 0.6]
        boxes = [face(xs[n], heights[n]).box for n in there]
        truth.append(Named(np.array(boxes), tuple(there)))
        seen = []
        for n in there:
            if rng.random() < 0.92:
                x, y = np.array([xs[n], heights[n]]) + rng.normal(0, 1.2, 2)
                seen.append(face(x, y, 24 * rng.normal(1, 0.05), float(rng.uniform(0.2, 0.95))))
        if rng.random() < 0.05:
            seen.append(face(*rng.uniform(50, 300, 2), 24, 0.55))
        reports.append((index, seen))
    return truth, reports


@pytest.mark.parametrize("every", [1, 3, 5])
@pytest.mark.parametrize("seed", range(3))
def test_small_walkers_keep_their_identity(seed, every):
    truth, reports = walkers(seed, every)
    tracker = Tracker()
    tracks = [t for index, seen in reports for t in tracker(index, at(index), seen).ended]
    tracks += tracker.end()
    found = []
    for index, _ in reports:
        rows = [(t, int(np.searchsorted(t.frames, index))) for t in tracks]
        here = [(t, n) for t, n in rows if n < len(t.frames) and t.frames[n] == index]
        boxes, names = [t.boxes[n] for t, n in here], tuple(t.number for t, _ in here)
        found.append(Named(np.array(boxes), names))
    result = tracking(truth, found)
    assert result.idf1 >= 0.9
    assert result.switches <= 2


def test_an_unsure_face_of_another_size_continues_nobody():
    """Whoever is hidden comes back: no ear of the one in front takes the track along."""
    tracker = Tracker()
    for index in range(5):
        (number,) = tracker(index, at(index, 5), [face(10 * index, 20, 20)]).numbers
    assert tracker(5, at(5, 5), [face(54, 24, 10, score=0.3)]).numbers == (0,)
    assert tracker(6, at(6, 5), [face(60, 20, 20, score=0.3)]).numbers == (0,)
    assert tracker(7, at(7, 5), [face(70, 20, 20)]).numbers == (number,)


def test_an_unsure_face_of_the_same_size_continues_the_track():
    tracker = Tracker()
    for index in range(5):
        (number,) = tracker(index, at(index, 5), [face(10 * index, 20, 20)]).numbers
    assert tracker(5, at(5, 5), [face(50, 20, 15, score=0.3)]).numbers == (number,)
