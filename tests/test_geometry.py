from __future__ import annotations

import math
import time

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from facecctv import geometry as g
from facecctv.types import Face

NO_BOXES = np.zeros((0, 4), np.float32)
coordinates = st.floats(-500, 500, width=32)
sizes = st.floats(0.5, 300, width=32)
boxes = st.lists(
    st.tuples(coordinates, coordinates, sizes, sizes).map(
        lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
    ),
    max_size=12,
)


def waves(x, y):
    """A smooth colour picture as a function of continuous coordinates, 0..255."""
    red = 127 + 100 * np.sin(x / 9) * np.cos(y / 11)
    green = 127 + 100 * np.cos(x / 13 + y / 17)
    blue = 127 + 100 * np.sin((x - y) / 15)
    return np.stack([red, green, blue], axis=-1)


def grid(width, height):
    return np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)


def picture(width=200, height=160):
    return np.rint(waves(*grid(width, height))).astype(np.uint8)


def turned(degrees, scale, x, y):
    c, s = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
    return np.array([[c, -s, x], [s, c, y]], np.float32)


class TestIou:
    @pytest.mark.parametrize(
        ("a", "b", "expected"),
        [
            (NO_BOXES, NO_BOXES, np.zeros((0, 0))),
            (NO_BOXES, [[0, 0, 1, 1]], np.zeros((0, 1))),
            ([], [[0, 0, 1, 1]], np.zeros((0, 1))),
            ([[0, 0, 2, 2]], [[0, 0, 2, 2]], [[1.0]]),
            ([[0, 0, 2, 2]], [[1, 1, 3, 3], [5, 5, 6, 6]], [[1 / 7, 0]]),
            ([[0, 0, 4, 4]], [[1, 1, 3, 3]], [[0.25]]),
            ([[0, 0, 2, 2]], [[2, 0, 4, 2]], [[0]]),
            ([[1, 1, 1, 1]], [[1, 1, 1, 1]], [[0]]),
        ],
    )
    def test_table(self, a, b, expected):
        result = g.iou(a, b)
        assert result.dtype == np.float32
        np.testing.assert_allclose(result, expected, rtol=1e-6)

    def test_wrong_shape(self):
        with pytest.raises(ValueError, match=r"\(N, 4\)"):
            g.iou([[0, 0, 1]], NO_BOXES)

    @settings(deadline=None)
    @given(boxes, boxes)
    def test_symmetric_and_bounded(self, a, b):
        result = g.iou(a, b)
        assert result.shape == (len(a), len(b))
        assert ((result >= 0) & (result <= 1)).all()
        np.testing.assert_array_equal(result, g.iou(b, a).T)
        np.testing.assert_allclose(np.diag(g.iou(a, a)), 1, rtol=1e-5)


def greedy(boxes, scores, threshold):
    """The textbook loop, one box at a time."""
    kept = []
    for index in sorted(range(len(scores)), key=lambda i: -scores[i]):
        if all(g.iou([boxes[index]], [boxes[k]])[0, 0] <= threshold for k in kept):
            kept.append(index)
    return kept


class TestNms:
    @pytest.mark.parametrize(
        ("boxes", "scores", "expected"),
        [
            ([], [], []),
            ([[0, 0, 1, 1]], [0.3], [0]),
            ([[0, 0, 10, 10], [1, 0, 11, 10]], [0.3, 0.4], [1]),
            ([[0, 0, 10, 10], [20, 0, 30, 10]], [0.3, 0.4], [1, 0]),
            # The middle box falls to the first, so the third survives although it met the middle.
            ([[0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]], [0.9, 0.8, 0.7], [0, 2]),
            ([[0, 0, 10, 10], [0, 0, 10, 10]], [0.5, 0.5], [0]),
        ],
    )
    def test_table(self, boxes, scores, expected):
        assert g.nms(boxes, scores, 0.4).tolist() == expected

    def test_scores_of_another_length(self):
        with pytest.raises(ValueError, match="scores"):
            g.nms([[0, 0, 1, 1]], [0.1, 0.2], 0.5)

    @settings(max_examples=50, deadline=None)
    @given(boxes, st.integers(0, 9), st.randoms(use_true_random=False))
    def test_equals_the_textbook_loop(self, boxes, tenths, random):
        scores = [random.random() for _ in boxes]
        assert g.nms(boxes, scores, tenths / 10).tolist() == greedy(boxes, scores, tenths / 10)

    def test_more_boxes_than_a_block(self):
        rng = np.random.default_rng(1)
        corner = rng.uniform(0, 300, (300, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(10, 60, (300, 2))], axis=1)
        scores = rng.uniform(size=300).tolist()
        assert g.nms(boxes, scores, 0.3).tolist() == greedy(boxes, scores, 0.3)

    def test_two_thousand_boxes_that_all_stay(self):
        corner = np.stack(np.meshgrid(np.arange(50), np.arange(40)), -1).reshape(-1, 2) * 20.0
        boxes = np.concatenate([corner, corner + 15], axis=1).astype(np.float32)
        start = time.process_time()
        kept = g.nms(boxes, np.linspace(1, 0, 2000), 0.5)
        assert len(kept) == 2000
        assert time.process_time() - start < 0.5  # about 0.02 s; one at a time it takes seconds


class TestBoxes:
    def test_clip(self):
        assert g.clip_boxes([], 9, 9).shape == (0, 4)
        clipped = g.clip_boxes([[-1, 2, 12, 8], [20, 20, 30, 30]], 10, 6)
        assert clipped.tolist() == [[0, 2, 10, 6], [10, 6, 10, 6]]

    def test_expand(self):
        assert g.expand_box([10, 10, 20, 30], 0.5).tolist() == [5, 0, 25, 40]
        assert g.expand_box([10, 10, 20, 30], 0).tolist() == [10, 10, 20, 30]


def face(x1, y1, x2, y2):
    return Face(np.array([x1, y1, x2, y2]), np.zeros((5, 2)), 1.0)


class TestCrop:
    @pytest.mark.parametrize(
        ("box", "margin", "x", "y", "width", "height"),
        [
            ((10, 10, 20, 20), 0.0, 10, 10, 10, 10),
            ((10.5, 10.5, 19.5, 19.5), 0.0, 10, 10, 10, 10),
            ((10, 10, 20, 30), 0.5, 5, 0, 20, 40),
            ((-5, -5, 5, 5), 0.0, 0, 0, 5, 5),
            ((190, 150, 260, 220), 0.1, 183, 143, 17, 17),
            ((500, 500, 510, 510), 0.0, 199, 159, 1, 1),
            ((-50, -50, -40, -40), 0.0, 0, 0, 1, 1),
        ],
    )
    def test_table(self, box, margin, x, y, width, height):
        image = picture()
        cut = g.crop(image, face(*box), margin)
        assert (cut.x, cut.y) == (x, y)
        assert cut.image.shape == (height, width, 3)
        np.testing.assert_array_equal(cut.image, image[y : y + height, x : x + width])
        assert not np.shares_memory(cut.image, image)

    @settings(deadline=None)
    @given(coordinates, coordinates, sizes, sizes, st.integers(1, 40), st.integers(1, 40))
    def test_never_empty_never_outside(self, x, y, w, h, width, height):
        image = np.zeros((height, width, 3), np.uint8)
        cut = g.crop(image, face(x, y, x + w, y + h))
        assert cut.image.size
        assert cut.x + cut.image.shape[1] <= width
        assert cut.y + cut.image.shape[0] <= height


points = st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=8)


class TestSimilarity:
    def test_identity_and_hand_computed(self):
        square = [[0, 0], [1, 0], [1, 1], [0, 1]]
        np.testing.assert_allclose(g.similarity(square, square), [[1, 0, 0], [0, 1, 0]], atol=1e-7)
        quarter = g.similarity(square, [[5, 5], [5, 7], [3, 7], [3, 5]])
        np.testing.assert_allclose(quarter, [[0, -2, 5], [2, 0, 5]], atol=1e-6)
        assert quarter.dtype == np.float32

    @settings(deadline=None)
    @given(st.floats(-180, 180), st.floats(0.1, 20), coordinates, coordinates)
    def test_recovers_what_was_applied(self, degrees, scale, x, y):
        truth = turned(degrees, scale, x, y)
        found = g.similarity(g.TEMPLATE, g.transform_points(truth, g.TEMPLATE))
        np.testing.assert_allclose(found, truth, rtol=1e-3, atol=1e-3 * (1 + scale))

    def test_least_squares(self):
        """No small change of the four parameters brings noisy points nearer."""
        rng = np.random.default_rng(0)
        target = g.TEMPLATE * 1.7 + rng.normal(0, 4, (5, 2)).astype(np.float32)
        best = g.similarity(g.TEMPLATE, target)

        def error(matrix):
            return float(np.square(g.transform_points(matrix, g.TEMPLATE) - target).sum())

        for change in np.eye(4) * 0.01:
            for sign in (1, -1):
                a, b, x, y = sign * change
                other = best + np.array([[a, -b, x], [b, a, y]], np.float32)
                assert error(other) > error(best)

    @pytest.mark.parametrize(
        ("source", "target"),
        [
            ([[3, 3]] * 5, g.TEMPLATE),
            (g.TEMPLATE, [[3, 3]] * 5),
            ([[1000.1, 1000.1]] * 5, g.TEMPLATE),
            ([[np.nan, 0]] * 5, g.TEMPLATE),
            ([[1, 2]], [[3, 4]]),
            ([], []),
            ([[0, 0], [1, 1]], [[0, 0], [1, 1], [2, 2]]),
            # A square against its mirror image: every turn is as bad as every other.
            ([[-1, -1], [1, -1], [1, 1], [-1, 1]], [[1, -1], [-1, -1], [-1, 1], [1, 1]]),
        ],
    )
    def test_undetermined(self, source, target):
        with pytest.raises(ValueError):
            g.similarity(source, target)

    @settings(deadline=None)
    @given(st.floats(-180, 180), st.floats(0.1, 20), coordinates, coordinates, points)
    def test_invert(self, degrees, scale, x, y, points):
        matrix = turned(degrees, scale, x, y)
        there_and_back = g.transform_points(g.invert(matrix), g.transform_points(matrix, points))
        np.testing.assert_allclose(there_and_back, points, atol=2e-2)

    def test_invert_flat(self):
        with pytest.raises(ValueError, match="flattens"):
            g.invert(np.zeros((2, 3)))


class TestWarp:
    def test_identity_is_exact(self):
        image = picture()
        np.testing.assert_array_equal(g.warp(image, turned(0, 1, 0, 0), 200, 160), image)

    def test_whole_shift_is_exact(self):
        image = picture()
        np.testing.assert_array_equal(
            g.warp(image, turned(0, 1, -30, -20), 100, 90), image[20:110, 30:130]
        )

    @pytest.mark.parametrize("degrees", [0, 17, 90, -140])
    @pytest.mark.parametrize("scale", [0.25, 0.5, 0.74, 0.9, 1, 1.5, 4])
    def test_truth(self, degrees, scale):
        """Any result pixel shows the scene at the place where its centre comes from.

        Half a pixel too far would show as an error of several grey levels.
        """
        centre = np.array([400.0, 300.0])
        linear = turned(degrees, scale, 0, 0)[:, :2]
        matrix = np.column_stack([linear, [32.0, 32.0] - linear @ centre])
        x, y = grid(800, 600)
        wave = max(1.0, 0.5 / scale)
        image = np.rint(waves(x / wave, y / wave)).astype(np.uint8)
        result = g.warp(image, matrix, 64, 64)
        u, v = grid(64, 64)
        back = g.transform_points(g.invert(matrix), np.stack([u, v], -1).reshape(-1, 2))
        truth = waves(back[:, 0] / wave, back[:, 1] / wave).reshape(64, 64, 3)
        error = result - truth
        assert np.abs(error).mean() < 1.2
        # An offset of half a pixel would be 3 to 5 levels along the gradient of the scene.
        slope = np.gradient(truth, axis=1)
        offset = (error * slope).sum() / np.square(slope).sum()
        assert abs(offset) < 0.06

    def test_strong_shrinking_does_not_alias(self):
        """A one-pixel checkerboard shrunk 7 times is grey, not a moire of black and white."""
        board = np.zeros((700, 700, 3), np.uint8)
        board[::2, ::2] = board[1::2, 1::2] = 255
        small = g.warp(board, turned(20, 1 / 7, 0, 0), 60, 60)[5:-5, 25:-5]
        assert abs(small.mean() - 127.5) < 3
        assert small.std() < 8

    def test_beyond_the_edge_the_border_repeats(self):
        image = np.full((20, 20, 3), 80, np.uint8)
        assert (g.warp(image, turned(30, 2, 500, 500), 50, 50) == 80).all()
        assert (g.warp(image[:1, :1], turned(5, 0.1, 0, 0), 9, 9) == 80).all()


class TestAlign:
    @pytest.mark.parametrize("size", [32, 112, 256])
    @pytest.mark.parametrize("scale", [0.1, 0.5, 1.0, 3.0])
    def test_dots_land_on_the_template(self, size, scale):
        """Five bright discs drawn at the landmarks have their centroids at the template."""
        place = turned(25, scale, 0, 0)
        corner = g.transform_points(place, g.TEMPLATE).min(axis=0)
        place[:, 2] = 60.0 - corner
        landmarks = g.transform_points(place, g.TEMPLATE)
        side = int(200 + 150 * scale)
        x, y = grid(side, side)
        image = np.zeros((side, side, 3), np.uint8)
        for lx, ly in landmarks:
            disc = 255 * np.exp(-(np.square(x - lx) + np.square(y - ly)) / (5 * scale) ** 2)
            image = np.maximum(image, disc[..., None].astype(np.uint8))
        aligned = g.align(image, landmarks, size)
        assert aligned.shape == (size, size, 3)
        assert aligned.dtype == np.uint8
        u, v = grid(size, size)
        for tx, ty in g.TEMPLATE * size / 112:
            near = np.hypot(u - tx, v - ty) < 7 * size / 112
            mass = aligned[..., 0] * near
            centroid = (u * mass).sum() / mass.sum(), (v * mass).sum() / mass.sum()
            # In pixels of the result; faces of a few pixels cannot place a dot more finely.
            tolerance = 0.15 + 0.1 * size / 112 / scale
            assert math.dist(centroid, (tx, ty)) < tolerance

    def test_scaled_template_means_the_same_picture(self):
        image = data.astronaut()
        landmarks = np.array([[206, 110], [245, 109], [226, 135], [210, 155], [242, 155]])
        small = g.align(image, landmarks, 112).astype(float)
        large = g.align(image, landmarks, 224)
        halved = large.reshape(112, 2, 112, 2, 3).mean(axis=(1, 3))
        assert np.abs(small - halved).mean() < 4

    def test_coinciding_landmarks(self):
        with pytest.raises(ValueError, match="no similarity"):
            g.align(picture(), [[5, 5]] * 5)


class TestPasteBack:
    def test_identity_gives_the_patch(self):
        image, patch = picture(), 255 - picture()
        before = image.copy()
        result = g.paste_back(image, patch, turned(0, 1, 0, 0), feather=0)
        np.testing.assert_array_equal(result, patch)
        np.testing.assert_array_equal(image, before)

    @pytest.mark.parametrize("enlarge", [1, 2, 4])
    def test_round_trip_changes_almost_nothing(self, enlarge):
        image = picture(400, 300)
        matrix = turned(20, 1.0, -60, -90) * np.float32(enlarge)
        patch = g.warp(image, matrix, 112 * enlarge, 112 * enlarge)
        result = g.paste_back(image, patch, matrix, feather=0.1)
        assert np.abs(result.astype(int) - image).max() <= 3

    def test_outside_is_untouched_and_the_middle_is_the_patch(self):
        image = np.zeros((200, 200, 3), np.uint8)
        patch = np.full((50, 50, 3), 200, np.uint8)
        result = g.paste_back(image, patch, turned(0, 1, -70, -70), feather=0.2)
        assert (result[80:110, 80:110] == 200).all()
        outside = result.copy()
        outside[70:120, 70:120] = 0
        assert not outside.any()
        row = result[95, 70:95, 0].astype(int)
        assert (np.diff(row) >= 0).all()
        assert row[0] < 20 < row[4] < 200

    def test_patch_outside_the_picture(self):
        image = picture()
        result = g.paste_back(image, picture(30, 30), turned(0, 1, 900, 900))
        np.testing.assert_array_equal(result, image)
        assert not np.shares_memory(result, image)

    def test_feather_out_of_range(self):
        with pytest.raises(ValueError, match="feather"):
            g.paste_back(picture(), picture(), turned(0, 1, 0, 0), feather=0.6)


def test_opencv_agrees_on_where_pixels_are():
    """cv2.resize uses pixel areas: halving a picture equals the warp with scale one half."""
    image = picture(200, 160)
    expected = cv2.resize(image, (100, 80), interpolation=cv2.INTER_AREA).astype(int)
    assert np.abs(g.warp(image, turned(0, 0.5, 0, 0), 100, 80) - expected).max() <= 1
