"""No face comes and goes unseen; a still scene is left in peace."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facecctv.errors import SettingError
from facecctv.footage.attention import AttentionOptions, Glance, attend
from facecctv.types import Frame


def frame(index, time, image):
    return Frame("x", index, Fraction(time), image)


def grey(level=90, size=(48, 64)):
    return np.full((*size, 3), level, np.uint8)


def looks(glances):
    return [glance.frame.index for glance in glances if glance.look]


def test_no_frames_no_looks():
    assert list(attend([])) == []


def test_one_frame_is_looked_at():
    (glance,) = attend([frame(0, 0, grey())])
    assert isinstance(glance, Glance)
    assert glance.look
    assert not glance.cut


def test_a_still_scene_is_looked_at_once_a_second():
    frames = [frame(i, Fraction(i, 25), grey()) for i in range(76)]
    assert looks(attend(frames)) == [0, 25, 50, 75]


def test_a_moving_scene_is_looked_at_five_times_a_second():
    moving = [frame(i, Fraction(i, 25), grey(60 + 7 * i)) for i in range(26)]
    assert looks(attend(moving)) == [0, 5, 10, 15, 20, 25]


def test_a_fast_walker_brings_the_next_look_forward():
    moving = [frame(i, Fraction(i, 25), grey(60 + 7 * i)) for i in range(11)]
    assert looks(attend(moving, next_look=lambda: 0.08)) == [0, 2, 4, 6, 8, 10]
    assert looks(attend(moving, next_look=lambda: 0.0)) == list(range(11))


def test_a_cut_is_noticed_at_once():
    frames = [frame(i, Fraction(i, 25), grey(60 if i < 7 else 150)) for i in range(12)]
    found = list(attend(frames))
    assert [glance.frame.index for glance in found if glance.cut] == [7]
    assert 7 in looks(found)


def test_every_frame_comes_out_once_and_in_order():
    frames = [frame(i, Fraction(i, 25), grey()) for i in range(9)]
    assert [glance.frame for glance in attend(frames)] == frames


def test_latency_nought_looks_at_every_change():
    moving = [frame(i, Fraction(i, 25), grey(60 + 7 * i)) for i in range(9)]
    assert looks(attend(moving, AttentionOptions(max_latency=0))) == list(range(9))


@pytest.mark.parametrize(
    "wrong",
    [{"max_latency": -1}, {"max_latency": math.nan}, {"rest": -1}, {"everywhere": -1}],
)
def test_impossible_options(wrong):
    with pytest.raises(SettingError):
        AttentionOptions(**wrong)


@given(
    steps=st.lists(st.integers(1, 250), min_size=2, max_size=60),
    latency=st.integers(0, 400),
    comes=st.integers(0, 3000),
    stays=st.integers(0, 2000),
    place=st.tuples(st.integers(0, 5), st.integers(0, 7)),
    flicker=st.integers(0, 40),
    hurry=st.one_of(st.just(math.inf), st.floats(0, 1)),
    partly=st.booleans(),
)
def test_no_new_face_is_missed_for_longer(
    steps, latency, comes, stays, place, flicker, hurry, partly
):
    """Whatever the frame rate, however still or restless the scene."""
    rng = np.random.default_rng(sum(steps))
    frames = []
    for index, time in enumerate(itertools.accumulate(steps)):
        image = grey()
        image[40:, 56:] += np.uint8(rng.integers(0, flicker + 1))
        if comes <= time <= comes + stays:
            y, x = place[0] * 8, place[1] * 8
            image[y : y + 8, x : x + 8] = 200
        frames.append(frame(index, Fraction(time, 1000), image))
    there = [f for f in frames if comes <= f.time * 1000 <= comes + stays]
    options = AttentionOptions(max_latency=latency / 1000)
    looked = {
        glance.frame.index
        for glance in attend(frames, options, lambda: hurry, partly=partly)
        # A look that does not go to where the face is would not notice it.
        if glance.look and (glance.where is None or glance.where[place])
    }
    if there and (there[-1].time - there[0].time) * 1000 > latency:
        assert looked & {f.index for f in there}
        first = next(f.time for f in there if f.index in looked)
        # Noticed in time: the next frame would have been too late.
        assert (first - there[0].time) * 1000 <= latency


@given(st.integers(0, 1000), st.integers(1, 30))
def test_going_on_after_an_interruption_changes_nothing(seed, stop):
    rng = np.random.default_rng(seed)
    levels = np.clip(np.cumsum(rng.integers(-3, 4, 40)) + 90, 0, 255)
    levels[25:] = 220
    times = np.cumsum(rng.integers(10, 90, 40))
    frames = [
        frame(i, Fraction(int(t), 1000), grey(int(v)))
        for i, (t, v) in enumerate(zip(times, levels, strict=True))
    ]
    whole = [(g.frame.index, g.look, g.cut) for g in attend(frames)]
    last = max(index for index, look, _ in whole[: stop + 1] if look)
    rest = attend(frames[last + 1 :], seen=frames[last])
    assert [(g.frame.index, g.look, g.cut) for g in rest] == whole[last + 1 :]


def test_partly_only_what_changed_is_searched():
    frames = []
    for index in range(26):
        image = grey()
        if index >= 3:
            image[16:24, 8:24] = 150
        frames.append(frame(index, Fraction(index, 25), image))
    found = [glance for glance in attend(frames, partly=True) if glance.look]
    # 3 would be early enough, but the next frame would be too late only from 4 on.
    assert [glance.frame.index for glance in found] == [0, 5, 25]
    assert found[0].where is None
    assert np.argwhere(found[1].where).tolist() == [[2, 1], [2, 2]]
    assert not found[2].where.any()


def test_looks_for_who_is_followed_put_no_search_off():
    moving = [frame(i, Fraction(i, 25), grey(60 + 7 * i)) for i in range(11)]
    found = [g for g in attend(moving, next_look=lambda: 0.08, partly=True) if g.look]
    followed = [g.frame.index for g in found if g.where is not None and not g.where.any()]
    searched = [g.frame.index for g in found if g.where is None or g.where.any()]
    assert searched == [0, 5, 10]
    assert followed == [2, 4, 7, 9]


def test_all_is_searched_from_time_to_time():
    frames = [frame(i, Fraction(i, 5), grey()) for i in range(61)]
    whole = [g.frame.index for g in attend(frames, partly=True) if g.look and g.where is None]
    assert whole == [0, 25, 50]


def test_what_fades_in_slowly_is_searched_although_something_else_moves():
    frames = []
    for index in range(60):
        image = grey()
        image[40:, 56:] += np.uint8(40 * (index % 2))
        image[:8, :8] += np.uint8(index // 5)
        frames.append(frame(index, Fraction(index, 25), image))
    options = AttentionOptions(everywhere=100)
    found = [g for g in attend(frames, options, partly=True) if g.look and g.where is not None]
    first = next(g for g in found if g.where[0, 0])
    # 6 levels are reached by frame 30, and the next search is at most 5 frames later.
    assert 30 <= first.frame.index <= 35
