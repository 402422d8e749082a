import numpy as np
import pytest

from facecctv.learn.data.detection import Sample
from facecctv.learn.data.mosaic import MIRRORED, Mosaic, Pool, compose

NO_BOXES = (np.zeros((0, 4), np.float32), np.zeros((0, 5, 2), np.float32), np.zeros(0, bool))
PLAIN = Mosaic(rotate=0, degrade=0, occlude=0, mixed=0, negative=0, extra=0)
COLOURS = np.array([(255, 0, 0), (0, 255, 0), (0, 0, 255)])


def painted(seed=0, size=(240, 320)):
    """Three faces as squares of pure colours on grey, with landmarks at known places in them."""
    rng = np.random.default_rng(seed)
    image = np.full((*size, 3), 90, np.uint8)
    boxes = []
    for number, colour in enumerate(COLOURS):
        side = int(rng.integers(40, 70))
        x, y = 10 + 100 * number + int(rng.integers(0, 20)), int(rng.integers(10, size[0] - 80))
        image[y : y + side, x : x + side] = colour
        boxes.append((x, y, x + side, y + side))
    boxes = np.array(boxes, np.float32)
    spread = np.array([(0.3, 0.3), (0.7, 0.3), (0.5, 0.55), (0.35, 0.8), (0.65, 0.8)], np.float32)
    landmarks = boxes[:, None, :2] + spread * (boxes[:, None, 2:] - boxes[:, None, :2])
    return Sample(f"p{seed}", image, boxes, landmarks, np.zeros(3, bool))


def empty(value=40):
    return Sample("empty", np.full((90, 120, 3), value, np.uint8), *NO_BOXES)


def extents(image, colour):
    """Bounds of the pixels that are more this colour than not."""
    rest = COLOURS.sum(axis=0) - colour
    lead = image[..., colour > 0].astype(int).min(axis=-1) - image[..., rest > 0].max(axis=-1)
    rows, columns = np.nonzero(lead > 127)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def one_cell(seed):
    """A canvas that is one picture with big faces: nothing is halved."""
    settings = Mosaic(**{**vars(PLAIN), "smallest": 60.0, "enlarge": 3.0})
    return compose(Pool([painted(seed)]), settings, 160, np.random.default_rng(seed))


def test_boxes_follow_the_pixels():
    compared = 0
    for seed in range(60):
        result = one_cell(seed)
        for box, marks in zip(result.boxes, result.landmarks, strict=True):
            x, y = np.clip((box[:2] + box[2:]) / 2, 0, 159).astype(int)
            colour = result.image[y, x]
            match = np.flatnonzero((np.abs(COLOURS - colour.astype(int)) < 60).all(axis=1))
            assert len(match) == 1
            found = extents(result.image, COLOURS[match[0]])
            np.testing.assert_allclose(box, found, atol=1.5)
            compared += 1
            if (box > 1).all() and (box < 159).all():
                assert (marks > box[:2]).all()
                assert (marks < box[2:]).all()
                assert marks[0, 0] < marks[1, 0]  # left as seen, also when mirrored
                assert marks[3, 0] < marks[4, 0]
                assert marks[:2, 1].max() < marks[3:, 1].min()
    assert compared > 60


def test_landmarks_keep_their_place_in_a_turned_face():
    settings = Mosaic(**{**vars(PLAIN), "rotate": 1.0, "smallest": 60.0})
    seen = 0
    for seed in range(80):
        result = compose(Pool([painted(seed)]), settings, 192, np.random.default_rng(seed))
        for box, marks in zip(result.boxes, result.landmarks, strict=True):
            if (box > 1).all() and (box < 191).all():
                side = (box[2:] - box[:2]).mean()
                # The middle of the five lies a little under the middle of the face.
                distance = np.linalg.norm(marks.mean(axis=0) - (box[:2] + box[2:]) / 2)
                assert distance < 0.15 * side
                seen += 1
    assert seen > 20


@pytest.mark.parametrize("size", [32, 64, 160, 257])
def test_any_canvas_is_whole_and_finite(size):
    pool = Pool([painted(1), painted(2)], [painted(3)], [empty()])
    for seed in range(15):
        result = compose(pool, Mosaic(), size, np.random.default_rng(seed))
        count = len(result.boxes)
        assert result.image.shape == (size, size, 3)
        assert result.image.dtype == np.uint8
        assert result.boxes.shape == (count, 4)
        assert result.landmarks.shape == (count, 5, 2)
        assert result.ignore.shape == (count,)
        assert result.boxes.dtype == result.landmarks.dtype == np.float32
        assert np.isfinite(result.boxes).all()
        assert np.isfinite(result.landmarks).all()
        assert (result.boxes >= 0).all()
        assert (result.boxes <= size).all()
        assert (result.boxes[:, :2] < result.boxes[:, 2:]).all()


def test_the_same_seed_gives_the_same_canvas_and_sources_stay_as_they_are():
    sample = painted()
    before = sample.image.copy()
    pool = Pool([sample], [], [empty()])
    first, again = (compose(pool, Mosaic(), 160, np.random.default_rng(4)) for _ in range(2))
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.boxes, again.boxes)
    np.testing.assert_array_equal(sample.image, before)


def test_a_pool_without_faces_gives_canvases_without_boxes():
    result = compose(Pool([empty()]), Mosaic(), 96, np.random.default_rng(0))
    assert result.boxes.shape == (0, 4)
    assert result.landmarks.shape == (0, 5, 2)


def test_unknown_landmarks_stay_unknown():
    sample = painted()
    sample.landmarks[:] = np.nan
    result = compose(Pool([sample]), Mosaic(), 160, np.random.default_rng(0))
    assert len(result.boxes)
    assert np.isnan(result.landmarks).all()


def test_ignored_faces_stay_ignored_and_cut_or_tiny_ones_become_so():
    sample = painted()
    ignored = Sample("i", sample.image, sample.boxes, sample.landmarks, np.ones(3, bool))
    for seed in range(10):
        result = compose(Pool([ignored]), Mosaic(), 160, np.random.default_rng(seed))
        assert result.ignore.all()
    tiny = cut = 0
    for seed in range(60):
        settings = Mosaic(**{**vars(PLAIN), "smallest": 3.0, "ignore_under": 12.0})
        result = compose(Pool([sample]), settings, 160, np.random.default_rng(seed))
        low = result.boxes[:, 3] - result.boxes[:, 1] < 11.9
        assert result.ignore[low].all()
        tiny += int(low.sum())
        # The faces are square: much less of one side than of the other was cut off.
        sides = result.boxes[:, 2:] - result.boxes[:, :2]
        cropped = sides.min(axis=1) < 0.45 * sides.max(axis=1)
        assert result.ignore[cropped].all()
        cut += int(cropped.sum())
    assert tiny > 0
    assert cut > 0


def test_mirroring_twice_is_nothing():
    assert [MIRRORED[i] for i in MIRRORED] == list(range(5))
