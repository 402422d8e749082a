"""Filters that move pixels: lines of two moments, corners, turns, sizes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import skimage.data

from facecctv.errors import ImageError, LimitError
from facecctv.metrics.pictures import psnr
from facecctv.vision import filters
from tests.test_filters import SQUARE, grey, levels_of


@pytest.fixture(scope="module")
def face():
    return skimage.data.astronaut()[:160, 144:304]


class TestDeinterlace:
    def comb(self, face, shift=5):
        """The lines of two moments: the second one `shift` pixels further."""
        later = np.roll(face, shift, axis=1)
        both = face.copy()
        both[1::2] = later[1::2]
        return both, later

    @pytest.mark.parametrize("field", ["top", "bottom"])
    def test_bob_restores_the_lines_of_a_moment(self, face, field):
        both, later = self.comb(face)
        truth, first = (face, 0) if field == "top" else (later, 1)
        done = filters.Deinterlace(field=field)(both)
        assert (done[first::2] == truth[first::2]).all()
        assert psnr(truth, done) > psnr(truth, both) + 6

    @pytest.mark.parametrize("height", [1, 2, 3, 4, 5])
    @pytest.mark.parametrize("field", ["top", "bottom"])
    def test_few_lines(self, height, field):
        ramp = grey(*[[10 * row] for row in range(height)])
        done = np.array(levels_of(filters.Deinterlace(field=field)(ramp)))
        kept = slice(0 if field == "top" else 1, None, 2)
        assert (done[kept] == np.array(levels_of(ramp))[kept]).all()

    def test_a_ramp_stays_a_ramp(self):
        ramp = grey(*[[10 * row] for row in range(12)])
        done = np.ravel(levels_of(filters.Deinterlace()(ramp)))
        # The last lines lack neighbours below.
        assert done[2:9].tolist() == list(range(20, 90, 10))

    def test_blend(self):
        stripes = grey([0], [100], [0], [100], [0])
        done = levels_of(filters.Deinterlace(method="blend")(stripes))
        assert done == [[25], [50], [50], [50], [25]]


class TestShape:
    def test_a_rectangle_seen_askew_comes_back(self, face):
        """Corners exactly: the picture is laid into a quadrilateral, and taken out of it again."""
        corners = np.float32([(40, 30), (260, 55), (240, 250), (20, 220)])
        side = len(face)
        square = np.float32([(0, 0), (side, 0), (side, side), (0, side)])
        # From centres of pixels, OpenCV's whole numbers, to our halves.
        matrix = cv2.getPerspectiveTransform(square - 0.5, corners - 0.5)
        scene = cv2.warpPerspective(face, matrix, (300, 280), flags=cv2.INTER_CUBIC)
        names = ("top_left", "top_right", "bottom_right", "bottom_left")
        points = dict(zip(names, corners.tolist(), strict=True))
        done = filters.Perspective(**points, width=side, height=side)(scene)
        assert psnr(face[3:-3, 3:-3], done[3:-3, 3:-3]) > 28

    def test_the_whole_picture_is_itself(self, face):
        square = {
            "top_left": "0x0",
            "top_right": "160x0",
            "bottom_right": "160x160",
            "bottom_left": "0x160",
        }
        work = filters.Perspective(**square)
        assert work.size_after(1, 1) == (160, 160)
        assert (work(face) == face).all()

    def test_corners_are_the_corners_of_pixels(self):
        image = grey([1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12])
        part = {
            "top_left": (1, 1),
            "top_right": (3, 1),
            "bottom_right": (3, 3),
            "bottom_left": (1, 3),
        }
        assert levels_of(filters.Perspective(**part)(image)) == [[6, 7], [10, 11]]
        outside = {"top_left": (-2, 0), "top_right": (1, 0), "bottom_right": (1, 1)}
        done = filters.Perspective(**outside, bottom_left=(-2, 1))(image)
        assert levels_of(done)[0][0] == 114
        assert levels_of(done)[0][2] == 1

    @pytest.mark.parametrize(
        ("angle", "expected"),
        [
            (0, [[1, 2, 3], [4, 5, 6]]),
            (90, [[4, 1], [5, 2], [6, 3]]),
            (180, [[6, 5, 4], [3, 2, 1]]),
            (-90, [[3, 6], [2, 5], [1, 4]]),
            (270, [[3, 6], [2, 5], [1, 4]]),
            (360, [[1, 2, 3], [4, 5, 6]]),
        ],
    )
    def test_quarter_turns(self, angle, expected):
        assert levels_of(filters.Rotate(angle=angle)(grey([1, 2, 3], [4, 5, 6]))) == expected

    def test_there_and_back(self, face):
        away = filters.Rotate(angle=25)(face)
        back = filters.Rotate(angle=-25)(away)
        top, left = ((back.shape[i] - 160) // 2 for i in (0, 1))
        middle = back[top + 20 : top + 140, left + 20 : left + 140]
        assert psnr(face[20:140, 20:140], middle) > 24

    def test_clockwise(self):
        image = np.zeros((41, 41, 3), np.uint8)
        image[20, 30:] = 255
        rows, columns = np.nonzero(filters.Rotate(angle=30)(image)[..., 0] > 200)
        middle = filters.Rotate(angle=30).size_after(41, 41)[0] / 2
        assert rows.mean() > middle
        assert columns.mean() > middle

    @pytest.mark.parametrize("work", [filters.Rotate(angle=1), filters.Perspective(**SQUARE)])
    def test_too_long_to_warp(self, work):
        with pytest.raises(LimitError, match="32,766"):
            work(np.zeros((1, 40_000, 3), np.uint8))

    def test_crop(self):
        image = grey([1, 2, 3], [4, 5, 6])
        done = filters.Crop(x=1, y=0, width=2, height=2)(image)
        assert levels_of(done) == [[2, 3], [5, 6]]
        with pytest.raises(ImageError, match="out of the picture of 3 x 2"):
            filters.Crop(x=2, y=0, width=2, height=1)(image)

    @pytest.mark.parametrize(
        ("settings", "size"),
        [
            ({}, (200, 100)),
            ({"scale": 0.5}, (50, 25)),
            ({"scale": 0.01}, (1, 1)),
            ({"width": 50}, (50, 25)),
            ({"height": 100}, (200, 100)),
            ({"width": 7, "height": 9}, (7, 9)),
        ],
    )
    def test_resize(self, settings, size):
        done = filters.Resize(**settings)(np.zeros((50, 100, 3), np.uint8))
        assert (done.shape[1], done.shape[0]) == size
