import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facecctv.learn.data.detection import Sample
from facecctv.learn.targets import SUITS, make_targets
from facecctv.vision.anchors import BODY_LEVELS, FACE_LEVELS, grid

SIZE = 96
GRID = grid(SIZE, SIZE, FACE_LEVELS)
STRIDES = (4, 8, 16, 32)  # finest first, as the candidates are


def sample(boxes, ignore=None):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    count = len(boxes)
    flags = np.zeros(count, bool) if ignore is None else np.array(ignore, bool)
    image = np.zeros((SIZE, SIZE, 3), np.uint8)
    return Sample("s", image, boxes, np.full((count, 5, 2), np.nan, np.float32), flags)


def targets(boxes, ignore=None):
    return make_targets(sample(boxes, ignore), SIZE, FACE_LEVELS)


def test_no_faces():
    result = targets([])
    assert result.boxes.shape == (0, 4)
    assert result.landmarks.shape == (0, 5, 2)
    assert result.candidates.shape == (0, 36)
    assert result.silent.shape == (len(GRID.points),)
    assert not result.silent.any()


def brute_force(box):
    """Every grid index within one cell of the box's own cell, on each stride that suits."""
    centre, longest = (box[:2] + box[2:]) / 2, max(box[2:] - box[:2])
    wanted = set()
    for stride in STRIDES:
        low = 0 if stride == 4 else SUITS[0] * stride
        high = np.inf if stride == 32 else SUITS[1] * stride
        if not low <= longest <= high:
            continue
        home = np.floor(centre / stride)
        for index in np.flatnonzero(GRID.strides == stride):
            point = GRID.points[index]
            away = np.abs(np.floor(point / stride) - home).max()
            in_box = ((point > box[:2]) & (point < box[2:])).all()
            if away == 0 or (away == 1 and in_box):
                wanted.add(int(index))
    return wanted


@given(st.floats(1, 94), st.floats(1, 94), st.floats(1.5, 120), st.floats(1.5, 120))
def test_candidates_are_those_that_brute_force_finds(x, y, width, height):
    box = np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2], np.float32)
    candidates = targets([box]).candidates[0]
    found = candidates[candidates >= 0]
    assert len(set(found.tolist())) == len(found)
    assert set(found.tolist()) == brute_force(box)
    assert len(found)


@pytest.mark.parametrize("stride", STRIDES)
def test_each_level_has_a_box_that_suits_it_with_nine_points_inside(stride):
    side = 6 * stride
    box = np.array([48 - side / 2, 48 - side / 2, 48 + side / 2, 48 + side / 2]) + 0.3
    candidates = targets([box]).candidates[0]
    found = candidates[candidates >= 0]
    here = found[GRID.strides[found] == stride]
    # The coarsest has three cells across, so the point (48, 48) is in the middle one of them.
    assert len(here) == 9
    points = GRID.points[here]
    assert ((points > box[:2]) & (points < box[2:])).all()


def test_the_quarters_of_a_cell_are_found_one_by_one():
    for index in np.flatnonzero(GRID.strides == 4):
        x, y = GRID.points[index]
        candidates = targets([[x - 1, y - 1, x + 1, y + 1]]).candidates[0]
        assert candidates[candidates >= 0].tolist() == [index]


def test_silence_lies_over_ignored_boxes_and_half_a_cell_around():
    result = targets([[10, 10, 30, 34], [50, 20, 70, 60]], ignore=[True, False])
    assert result.boxes.tolist() == [[50, 20, 70, 60]]
    x, y = GRID.points.T
    reach = GRID.strides / 2
    inside = (x > 10 - reach) & (x < 30 + reach) & (y > 10 - reach) & (y < 34 + reach)
    np.testing.assert_array_equal(result.silent, inside)
    assert 0 < result.silent.sum() < len(x) / 4


def test_a_box_whose_centre_is_outside_has_no_candidate_outside_the_grid():
    result = targets([[-30, -30, 10, 10], [90, 90, 130, 130]])
    valid = result.candidates[result.candidates >= 0]
    assert (valid < len(GRID.points)).all()


@pytest.mark.parametrize("stride", BODY_LEVELS)
def test_each_level_for_bodies_has_a_box_that_suits_it(stride):
    size = 192
    points = grid(size, size, BODY_LEVELS)
    centre = stride * (1.5 if stride == 64 else size // stride // 2 + 0.5)
    side = 3 * stride
    box = np.float32([[centre - side / 2, centre - side / 2, centre + side / 2, centre + side / 2]])
    nowhere = np.full((1, 5, 2), np.nan, np.float32)
    image = np.zeros((size, size, 3), np.uint8)
    made = make_targets(Sample("s", image, box, nowhere, np.zeros(1, bool)), size, BODY_LEVELS)
    found = made.candidates[made.candidates >= 0]
    assert (points.strides[found] == stride).sum() == 9
    inside = (points.points[found] > box[0, :2]) & (points.points[found] < box[0, 2:])
    assert inside.all()


def test_a_body_as_large_as_the_picture_is_for_the_coarsest_levels():
    size = 384
    image, nowhere = np.zeros((size, size, 3), np.uint8), np.full((1, 5, 2), np.nan, np.float32)
    whole = Sample("s", image, np.float32([[0, 0, size, size]]), nowhere, np.zeros(1, bool))
    made = make_targets(whole, size, BODY_LEVELS)
    found = made.candidates[made.candidates >= 0]
    assert set(grid(size, size, BODY_LEVELS).strides[found].tolist()) == {32, 64}
