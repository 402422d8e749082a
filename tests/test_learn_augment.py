import hashlib
import json

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facecctv.errors import OutputError, SettingError
from facecctv.learn.data.augment import FACE_FROM, GONE_BELOW, Augmentation, Augmenter, library
from facecctv.learn.data.dataset import Dataset, Labelled, read_dataset
from facecctv.learn.data.detection import Sample
from facecctv.learn.data.enlarge import FOLDER, copy_seed, enlarge, previews

WIDTH, HEIGHT = 160, 120
PLAIN = Augmentation(brightness=0, gamma=0, rgb_shift=0, blur=0, cctv=0, size=0)


def sample(boxes, landmarks=None, image=None):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    marks = np.full((len(boxes), 5, 2), np.nan, np.float32) if landmarks is None else landmarks
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8) if image is None else image
    return Sample("a", pixels, boxes, np.array(marks, np.float32), np.zeros(len(boxes), bool))


def placed():
    """A picture whose pixels say where they come from: red is the column, green the row."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([x, y, np.full_like(x, 7)], axis=2).astype(np.uint8)


boxes = st.tuples(
    st.integers(0, WIDTH - 20), st.integers(0, HEIGHT - 20), st.integers(4, 20), st.integers(4, 20)
).map(lambda v: (v[0], v[1], v[0] + v[2], v[1] + v[3]))


@pytest.fixture(scope="module")
def augmenter():
    return Augmenter(PLAIN)


@settings(max_examples=60)
@given(box=boxes, seed=st.integers(0, 2**31 - 20))
def test_boxes_hold_exactly_the_pixels_they_held_before(augmenter, box, seed):
    """The picture's own pixels say which column and row each corner came from."""
    x1, y1, x2, y2 = box
    copy, kept = augmenter.copy(sample([box], image=placed()), seed)
    if not len(kept):
        inner = (copy.image[..., 0] >= x1) & (copy.image[..., 0] < x2)
        inner &= (copy.image[..., 1] >= y1) & (copy.image[..., 1] < y2)
        assert inner.sum() < GONE_BELOW * (x2 - x1) * (y2 - y1)
        return
    left, top, right, bottom = (round(float(v)) for v in copy.boxes[0])
    np.testing.assert_allclose(copy.boxes[0], [left, top, right, bottom], atol=1e-3)
    part = copy.image[top:bottom, left:right]
    columns, rows = part[..., 0].astype(int), part[..., 1].astype(int)
    # Every pixel of the box came from the old box, and none of the old box lies outside.
    assert columns.min() >= x1
    assert columns.max() < x2
    assert rows.min() >= y1
    assert rows.max() < y2
    from_box = (copy.image[..., 0] >= x1) & (copy.image[..., 0] < x2)
    from_box &= (copy.image[..., 1] >= y1) & (copy.image[..., 1] < y2)
    assert from_box.sum() == part.shape[0] * part.shape[1]
    share = part.shape[0] * part.shape[1] / ((x2 - x1) * (y2 - y1))
    assert copy.ignore[0] == (share < FACE_FROM)


@settings(max_examples=30)
@given(seed=st.integers(0, 2**31 - 20))
def test_landmarks_follow_and_stay_in_the_order_as_seen(augmenter, seed):
    marks = [[[70.5, 50.5], [90.5, 51.5], [80.5, 60.5], [72.5, 70.5], [88.5, 71.5]]]
    copy, kept = augmenter.copy(sample([(60, 40, 100, 80)], marks, placed()), seed)
    assert kept.tolist() == [0]
    left_eye, right_eye, _, left_mouth, right_mouth = copy.landmarks[0]
    assert left_eye[0] < right_eye[0]
    assert left_mouth[0] < right_mouth[0]
    mirrored = bool(copy.image[0, 0, 0] > copy.image[0, -1, 0])
    order = [1, 0, 2, 4, 3] if mirrored else range(5)
    for point, old in zip(copy.landmarks[0], order, strict=True):
        x, y = (int(v) for v in point)
        if 0 <= x < copy.image.shape[1] and 0 <= y < copy.image.shape[0]:
            assert copy.image[y, x, :2].tolist() == [int(v) for v in marks[0][old]]


def test_unknown_landmarks_stay_unknown(augmenter):
    copy, _ = augmenter.copy(sample([(60, 40, 100, 80)]), 3)
    assert np.isnan(copy.landmarks).all()


def test_shrinking_moves_boxes_with_the_picture():
    quiet = Augmenter(Augmentation(crop=0, flip=0, brightness=0, gamma=0, rgb_shift=0, blur=0,
                                   cctv=0, size=80))  # fmt: skip
    copy, _ = quiet.copy(sample([(20, 30, 100, 90)]), 0)
    assert copy.image.shape == (60, 80, 3)
    np.testing.assert_allclose(copy.boxes, [[10, 15, 50, 45]], atol=1e-4)


def test_any_geometry_of_albumentations_keeps_boxes_around_their_pixels():
    a = library()
    white = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    white[40:80, 60:100] = 255
    turning = Augmenter(PLAIN, geometry=[a.Rotate((90, 90), p=1), a.VerticalFlip(p=1)], light=[])
    for seed in range(3):
        copy, _ = turning.copy(sample([(60, 40, 100, 80)], image=white), seed)
        rows, columns = np.nonzero(copy.image[..., 0] > 127)
        found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_allclose(copy.boxes[0], found, atol=1.01)


def test_a_box_that_leaves_becomes_no_face():
    a = library()
    away = Augmenter(PLAIN, geometry=[a.Crop(100, 0, 160, 120, p=1)], light=[])
    copy, kept = away.copy(sample([(10, 10, 50, 50), (120, 20, 140, 60)]), 0)
    assert kept.tolist() == [1]
    np.testing.assert_array_equal(copy.boxes, [[20, 20, 40, 60]])
    copy, kept = away.copy(sample([(10, 10, 50, 50)]), 0)
    assert copy.boxes.shape == (0, 4)


def test_what_can_only_be_cut_to_a_third_is_marked_ignore():
    a = library()
    cut = Augmenter(PLAIN, geometry=[a.Crop(100, 0, 160, 120, p=1)], light=[])
    copy, _ = cut.copy(sample([(70, 10, 115, 50)]), 0)
    np.testing.assert_array_equal(copy.boxes, [[0, 10, 15, 50]])
    assert copy.ignore.tolist() == [True]


def test_no_boxes_at_all_and_the_same_seed_gives_the_same_copy():
    tool = Augmenter(Augmentation(cctv=1))
    first, _ = tool.copy(sample([], image=placed()), 5)
    second, _ = tool.copy(sample([], image=placed()), 5)
    other, _ = tool.copy(sample([], image=placed()), 6)
    np.testing.assert_array_equal(first.image, second.image)
    assert first.image.shape != other.image.shape or (first.image != other.image).any()


def test_the_given_sample_stays_as_it_was():
    given_sample = sample([(60, 40, 100, 80)], image=placed())
    Augmenter()(given_sample, np.random.default_rng(0))
    np.testing.assert_array_equal(given_sample.image, placed())
    np.testing.assert_array_equal(given_sample.boxes, [[60, 40, 100, 80]])


@pytest.mark.parametrize("wrong", [{"flip": 1.5}, {"crop": 0.5}, {"size": 8}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(SettingError):
        Augmentation(**wrong)


@pytest.fixture
def two(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    items = []
    for name in ("a.png", "b.png"):
        PIL.Image.fromarray(placed()).save(folder / name)
        items.append(Labelled(folder / name, WIDTH, HEIGHT, boxes=[[60, 40, 100, 80]]))
    return Dataset(folder, "made", tuple(items))


def contents(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*-*")}


def test_a_run_that_was_interrupted_goes_on_to_the_same_result(tmp_path, two):
    done = enlarge(two, tmp_path / "whole", 3, workers=1)
    assert (done.made, done.already_there, done.faults) == (6, 0, ())
    whole = contents(tmp_path / "whole")
    enlarge(two.with_items(two.items[:1]), tmp_path / "part", 2, workers=1)
    (tmp_path / "part" / FOLDER / ".a-02.jpg.part").write_bytes(b"half")
    done = enlarge(two, tmp_path / "part", 3, workers=1)
    assert (done.made, done.already_there) == (4, 2)
    assert contents(tmp_path / "part") == whole
    back = read_dataset(tmp_path / "part")
    assert (len(back), back.faults) == (6, ())
    assert previews(tmp_path / "part").ndim == 3


def test_several_processes_make_the_same_copies(tmp_path, two):
    enlarge(two, tmp_path / "one", 2, workers=1)
    enlarge(two, tmp_path / "two", 2, workers=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_an_unreadable_picture_is_a_fault_and_the_rest_goes_on(tmp_path, two):
    two.items[0].path.write_bytes(b"no picture")
    done = enlarge(two, tmp_path / "out", 2, workers=1)
    assert done.made == 2
    assert [fault.source for fault in done.faults] == ["a.png"]


def test_copies_of_other_settings_are_not_mixed(tmp_path, two):
    enlarge(two, tmp_path / "out", 1, workers=1)
    with pytest.raises(OutputError, match="other settings"):
        enlarge(two, tmp_path / "out", 1, Augmentation(flip=0), workers=1)
    (tmp_path / "out/augment.json").write_text("{")
    with pytest.raises(OutputError, match="other settings"):
        enlarge(two, tmp_path / "out", 1, workers=1)
    assert json.loads((tmp_path / "out" / FOLDER / "a-00.json").read_text())["imageData"] is None


def test_seeds_differ_by_picture_copy_and_seed():
    seeds = {copy_seed(s, n, k) for s in (0, 1) for n in "ab" for k in range(3)}
    assert len(seeds) == 12
    assert all(0 <= seed < 2**31 for seed in seeds)
