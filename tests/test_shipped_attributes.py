"""The shipped estimator on the one portrait that may be looked at: of a woman in her forties."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data

from facecctv.build import estimator
from facecctv.geometry import align
from facecctv.settings import Settings
from facecctv.types import Face

EYES = np.array([[201, 107], [242, 107], [222, 133], [207, 152], [237, 152]], np.float32)
BOX = [185, 65, 260, 173]


@pytest.fixture(scope="module")
def estimate():
    return estimator(Settings())


def test_a_sharp_face_is_answered_in_colour_and_grey(estimate):
    image = data.astronaut()
    grey = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
    for picture in (image, grey):
        (found,) = estimate(picture, [Face(BOX, EYES, 0.9)])
        assert found.verdict == "estimated"
        assert found.gender.value != "male"
        assert found.age.low >= 10


def test_upside_down_it_knows_less(estimate):
    upright = align(data.astronaut(), EYES)
    found, turned = estimate.estimate([upright, upright[::-1]], [108, 108])
    if turned.verdict == "estimated":
        assert turned.age.high - turned.age.low > found.age.high - found.age.low
        assert turned.gender.probability < found.gender.probability


def test_a_face_of_four_pixels_gets_no_answer(estimate):
    small = np.ascontiguousarray(data.astronaut()[65:173:27, 185:260:25])
    points = (EYES - np.float32([185, 65])) / 27
    (found,) = estimate(small, [Face([0, 0, 3, 4], points, 0.9)])
    assert found.verdict == "insufficient_quality"
