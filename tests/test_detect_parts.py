"""Parts of a picture: what changed is searched at every scale, and little else."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from facecctv import build
from facecctv.demo import demo_scene
from facecctv.geometry import iou
from facecctv.settings import Settings
from facecctv.vision.detect import DetectOptions
from facecctv.vision.looks import TILE, plan
from facecctv.vision.parts import expected_look, plan_parts, rectangles

NOBODY = np.zeros((0, 4), np.float32)
FULL_HD = (1080, 1920, 3)


def parts(changed, shape=FULL_HD, least=0.0):
    whole = plan(shape[1], shape[0], DetectOptions())
    return plan_parts(whole, shape, changed, least)


def cells(*places, shape=(135, 240)):
    grid = np.zeros(shape, np.bool_)
    for row, column in places:
        grid[row, column] = True
    return grid


def work(looks):
    return sum(math.prod(look.padded) for look in looks)


def finds(looks, box):
    """Whether one of the looks sees a face with some of its surroundings and may report it."""
    x1, y1, x2, y2 = box
    centre, longest = ((x1 + x2) / 2, (y1 + y2) / 2), max(x2 - x1, y2 - y1)
    for look in looks:
        left, top, right, bottom = look.owned
        owned = left <= centre[0] < right and top <= centre[1] < bottom
        room = 0.2 * longest
        seen = (
            look.part[0] <= max(0, x1 - room)
            and look.part[1] <= max(0, y1 - room)
            and look.part[2] >= min(FULL_HD[1], x2 + room)
            and look.part[3] >= min(FULL_HD[0], y2 + room)
        )
        if owned and seen and look.smallest <= longest <= look.largest:
            return True
    return False


def test_nothing_changed_and_nobody_there_is_no_work():
    assert parts(None) == []
    assert parts(cells()) == []


def test_a_small_change_is_a_small_part_of_the_work():
    whole = work(plan(1920, 1080, DetectOptions()))
    assert work(parts(cells((60, 100)))) < 0.1 * whole


def test_where_everything_changed_the_whole_is_searched():
    assert parts(np.ones((135, 240), np.bool_)) == plan(1920, 1080, DetectOptions())


def test_only_large_faces_need_less():
    somewhere = cells(*((row, column) for row in range(30, 90) for column in range(60, 120)))
    assert work(parts(somewhere, least=24)) < 0.5 * work(parts(somewhere))


@settings(deadline=None)
@given(
    longest=st.floats(8, 900),
    slim=st.floats(0.6, 1),
    at=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    cell=st.tuples(st.floats(0, 0.999), st.floats(0, 0.999)),
    others=st.lists(st.tuples(st.integers(0, 134), st.integers(0, 239)), max_size=12),
)
def test_any_face_on_a_cell_that_changed_is_found(longest, slim, at, cell, others):
    """Of whatever size and wherever in its box the only cell lies that tells of it."""
    width, height = slim * longest, longest
    x, y = at[0] * (1920 - width), at[1] * (1080 - height)
    row, column = int((y + cell[1] * height) / 8), int((x + cell[0] * width) / 8)
    changed = cells((row, column), *others)
    assert finds(parts(changed), (x, y, x + width, y + height))


@given(st.integers(0, 2**32 - 1), st.integers(1, 70), st.integers(1, 90), st.floats(0, 1))
def test_rectangles_hold_every_block(seed, rows, columns, share):
    blocks = np.random.default_rng(seed).random((rows, columns)) < share**4
    held = np.zeros_like(blocks)
    for x1, y1, x2, y2 in rectangles(blocks):
        assert max(x2 - x1, y2 - y1) <= TILE // 32
        held[y1:y2, x1:x2] = True
    assert held[blocks].all()
    assert held.any() == blocks.any()


SHIFT = st.floats(-0.7, 0.7)


@given(st.floats(4, 700), st.floats(0, 1900), st.floats(0, 1060), SHIFT, SHIFT)
def test_who_is_expected_is_found_nearby(side, x, y, right, down):
    (finest, *_) = plan(FULL_HD[1], FULL_HD[0], DetectOptions())
    look = expected_look(np.array([x, y, x + side, y + side], np.float32), finest, FULL_HD)
    assert look.scale <= 2 * finest.scale
    assert math.prod(look.padded) <= 160 * 160
    assert look.owned[0] <= x + side / 2 + right * side < look.owned[2]
    assert look.owned[1] <= y + side / 2 + down * side < look.owned[3]
    assert look.smallest <= side <= look.largest


def test_the_detector_finds_in_parts_what_it_finds_in_all():
    scene = demo_scene()
    image = np.full((1080, 1920, 3), 110, np.uint8)
    rows, columns = scene.image.shape[:2]
    image[200 : 200 + rows, 300 : 300 + columns] = scene.image
    detect = build.detector(Settings(), DetectOptions(threshold=0.3))
    everywhere = detect(image)
    assert everywhere
    for face in everywhere:
        x, y = (face.box[:2] + face.box[2:]) / 2
        changed = cells((int(y / 8), int(x / 8)))
        for found in (
            detect.within(image, changed, NOBODY),
            detect.within(image, None, face.box[None]),
        ):
            assert iou(face.box[None], np.array([one.box for one in found])).max() > 0.6


def test_the_detector_does_nothing_where_there_is_nothing_to_do():
    detect = build.detector(Settings())
    assert detect.within(np.zeros((1080, 1920, 3), np.uint8), None, NOBODY) == []
