"""What is made of a person's sights is held against how much the sights themselves change."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest

from facecctv.demo import Person as Standing
from facecctv.demo import corridor
from facecctv.footage.consistency import carried, consistency
from facecctv.footage.people import Person
from facecctv.footage.portray import portray
from facecctv.geometry import TEMPLATE, crop
from facecctv.types import Origin, Pose, Quality, Sighting, Track
from facecctv.vision.colourise import Colouriser, FaceColouriser
from facecctv.vision.enhance import Enhancer, FaceEnhancer

ORIGIN = Origin("made", "1.0", "0" * 64, "learned")
MARKS = np.array(TEMPLATE, np.float32)


def flat(level, size=112):
    return np.full((size, size, 3), level, np.uint8)


def lab(image):
    return cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)


def test_fewer_than_two_sights_say_nothing():
    assert consistency([], [], []) is None
    assert consistency([flat(9)], [flat(9)], [MARKS]) is None


def test_black_and_white_differ_by_a_hundred():
    black, white = flat(0), flat(255)
    found = consistency([black, black, black], [black, white, black], [MARKS] * 3)
    assert found.pairs == 2
    assert found.recorded == 0
    assert found.made == pytest.approx(100, abs=0.1)
    assert found.added == pytest.approx(100, abs=0.1)


def test_what_is_enlarged_alike_adds_nothing():
    rng = np.random.default_rng(0)
    pictures = [cv2.GaussianBlur(rng.integers(0, 255, (112, 112, 3), np.uint8), (0, 0), 3)] * 2
    pictures[1] = np.clip(pictures[1].astype(int) + 9, 0, 255).astype(np.uint8)
    larger = [cv2.resize(one, (224, 224), interpolation=cv2.INTER_LINEAR) for one in pictures]
    found = consistency(pictures, larger, [MARKS] * 2)
    assert found.recorded > 1
    assert abs(found.added) < 0.2


def test_a_face_that_moves_is_followed():
    picture = cv2.GaussianBlur(
        np.random.default_rng(0).integers(0, 255, (160, 160, 3), np.uint8), (0, 0), 3
    )
    moved = np.roll(picture, (7, 11), (0, 1))
    marks, shift = MARKS + 20, np.float32([11, 7])
    found = consistency([picture, moved], [picture, moved], [marks, marks + shift])
    assert found.recorded < 0.5
    assert consistency([picture, moved], [picture, moved], [marks, marks]).recorded > 3


def test_pictures_that_do_not_fit():
    with pytest.raises(ValueError, match="as many"):
        consistency([flat(0)], [], [MARKS])
    with pytest.raises(ValueError, match="multiple"):
        consistency([flat(0)] * 2, [flat(0), flat(0, 200)], [MARKS] * 2)


def test_colours_are_laid_over_by_the_landmarks():
    coloured = flat(128, 64)
    coloured[:, :32], coloured[:, 32:] = (150, 110, 100), (100, 120, 160)
    marks = np.array([[20, 20], [44, 20], [32, 32], [22, 44], [42, 44]], np.float32)
    ramp = np.repeat(np.linspace(60, 180, 128).astype(np.uint8)[:, None], 128, axis=1)
    target = np.repeat(ramp[..., None], 3, axis=2)
    # Twice as large and moved: what was at 32 is at 80.
    result = carried(coloured, marks, target, marks * 2 + 16)
    assert np.abs(lab(result)[..., 0] - lab(target)[..., 0]).max() < 1.5
    for column, source in ((40, 10), (120, 50)):
        expected, found = lab(coloured)[30, source, 1:], lab(result)[:, column, 1:]
        assert np.abs(found - expected).max() < 3
    assert carried(coloured, marks, coloured, marks) == pytest.approx(coloured, abs=2)


def quality(score):
    return Quality(score, 40, 16, 0.5, 2, 0.5, 0.5, 0, Pose(0, 0, 0), False, "fine")


def somebody(grey=False):
    """A person of three sights, the middle one best."""
    best = []
    for index, score in ((5, 0.9), (0, 0.6), (9, 0.5)):
        standing = Standing(x=80 + 2 * index, face_px=40)
        scene = corridor((160, 120), (standing,), np.random.default_rng(index))
        image = scene.image
        if grey:
            image = np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
        (face,) = scene.faces
        found = Sighting(index, Fraction(index, 25), face, quality(score), crop(image, face))
        best.append(found)
    frames = np.array([0, 5, 9])
    boxes = np.array([best[at].face.box for at in (1, 0, 2)])
    ends = Fraction(0), Fraction(9, 25)
    track = Track(1, frames, frames / 25, boxes, np.ones(3, np.float32), *ends, tuple(best))
    return Person(1, (track,))


class Flickering(Enhancer):
    """Doubles pixels and makes every second picture darker."""

    def __init__(self, darker):
        self._darker, self._count, self.greys = darker, 0, []

    scale = 2

    def luminance_only(self, image):
        return False

    class options:  # noqa: N801 - stands for an attribute
        strength = 1.0

    def __call__(self, image, luminance_only=None):
        self.greys.append(luminance_only)
        self._count += 1  # the first one is of the best sight, or of the fused face
        large = np.repeat(np.repeat(image, 2, axis=0), 2, axis=1)
        return (large * (self._darker if self._count % 2 else 1)).astype(np.uint8)


@pytest.mark.parametrize(("darker", "steady"), [(1.0, True), (0.7, False)])
def test_a_flicker_is_measured(darker, steady):
    enhancer = Flickering(darker)
    stage = FaceEnhancer(enhancer, ORIGIN, None)
    assert portray(somebody(), scale=None, enhance=stage).sights == ()
    enhancer = Flickering(darker)
    stage = FaceEnhancer(enhancer, ORIGIN, None)
    shown = portray(somebody(), scale=None, enhance=stage, each=True)
    assert len(shown.sights) == len(shown.best) == 3
    assert shown.steadiness.pairs == 2
    assert set(enhancer.greys) == {False}
    assert (shown.steadiness.added < 1) == steady
    assert (shown.steadiness.added > 5) != steady
    assert shown.coloured == ()
    assert shown.colour_steadiness is None


class Painter(Colouriser):
    """Another tint at each call."""

    def __init__(self):
        self.calls = 0

    class options:  # noqa: N801
        saturation = 1.0

    def __call__(self, image):
        self.calls += 1
        tint = np.array([[-20, 0, 20], [20, 0, -20]][self.calls % 2])
        return np.clip(image.astype(int) + tint, 0, 255).astype(np.uint8)


def test_colours_are_estimated_once_for_a_person():
    painter = Painter()
    stage = FaceColouriser(painter, ORIGIN)
    shown = portray(somebody(grey=True), scale=None, colourise=stage)
    assert painter.calls == 1
    assert len(shown.coloured) == 3
    for one, sighting in zip(shown.coloured, shown.best, strict=True):
        assert one.image.shape == sighting.crop.image.shape
        assert lab(one.image)[..., 2].mean() > 5
    # Two estimates would differ by more than 20.
    assert shown.colour_steadiness.added < 2
    assert portray(somebody(), scale=None, colourise=stage).coloured == ()
    assert painter.calls == 1
