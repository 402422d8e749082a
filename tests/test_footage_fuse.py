"""Many noisy sights of one face, laid upon each other, come nearer to the truth than the best."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from facecctv import build
from facecctv.demo import ASTRONAUT_BOX, ASTRONAUT_LANDMARKS
from facecctv.footage.fuse import fuse
from facecctv.geometry import align, crop
from facecctv.metrics import psnr
from facecctv.settings import Settings
from facecctv.types import Face, Pose, Quality, Sighting

PX = 24
"""Height of the face in the sights."""


def quality(score):
    return Quality(score, PX, 9, 0.5, 2, 0.5, 0.5, 0, Pose(0, 0, 0), False, "fine")


def seen(scale, shift, size):
    """The portrait with the face `scale` times as large, moved by `shift`: (size, size, 3)."""
    picture = astronaut()
    # What becomes one pixel is averaged first, as on a sensor.
    over = 4
    # OpenCV counts from pixel centres, everything else here from the picture's corner.
    x, y = np.asarray(shift) * over + 0.5 * scale * over - 0.5
    matrix = np.array([[scale * over, 0, x], [0, scale * over, y]])
    large = cv2.warpAffine(picture, matrix, (size * over, size * over), flags=cv2.INTER_AREA)
    return cv2.resize(large, (size, size), interpolation=cv2.INTER_AREA)


def sights(count, noise, seed=0, grow=0.0):
    rng = np.random.default_rng(seed)
    x1, y1, x2, y2 = ASTRONAUT_BOX
    found = []
    for index in range(count):
        scale = PX / (y2 - y1) * (1 + grow * index / max(1, count - 1))
        shift = np.array([12 - x1 * scale, 12 - y1 * scale]) + rng.uniform(-2, 2, 2) * (index > 0)
        image = seen(scale, shift, 48).astype(np.float32)
        image = np.clip(image + rng.normal(0, noise, image.shape), 0, 255).astype(np.uint8)
        box = np.array([x1, y1, x2, y2]) * scale + np.tile(shift, 2)
        marks = np.array(ASTRONAUT_LANDMARKS) * scale + shift + rng.normal(0, 0.3, (5, 2))
        face = Face(box, marks, 0.9)
        part = crop(image, face)
        found.append(Sighting(index, Fraction(index, 25), face, quality(0.6 - 0.01 * index), part))
    return found


def truth(sighting, scale):
    """What the first sight shows, `scale` times enlarged, without noise."""
    x1, y1, _, y2 = ASTRONAUT_BOX
    size = PX / (y2 - y1)
    shift = np.array([12 - x1 * size, 12 - y1 * size])
    whole = seen(size * scale, shift * scale, 48 * scale)
    part = sighting.crop
    rows, columns = part.image.shape[:2]
    x, y = part.x * scale, part.y * scale
    return whole[y : y + rows * scale, x : x + columns * scale]


def luma(image):
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


def on_face(image, sighting, scale):
    part = sighting.crop
    x1, y1, x2, y2 = (sighting.face.box - np.tile([part.x, part.y], 2)) * scale
    return luma(image)[round(y1) : round(y2), round(x1) : round(x2)]


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("noise", [4.0, 12.0])
def test_fifteen_sights_beat_the_best_one(scale, noise):
    found = sights(15, noise)
    fused = fuse(found, scale)
    real = truth(found[0], scale)
    assert fused.image.shape == real.shape
    rows, columns = real.shape[:2]
    single = cv2.resize(found[0].crop.image, (columns, rows), interpolation=cv2.INTER_CUBIC)
    gain = psnr(on_face(fused.image, found[0], scale), on_face(real, found[0], scale)) - psnr(
        on_face(single, found[0], scale), on_face(real, found[0], scale)
    )
    assert gain >= 1.5
    assert len(fused.frames) >= 12
    assert fused.frames[0] == 0
    assert fused.step == "multi_frame"


def test_a_person_who_comes_nearer():
    found = sights(15, 8.0, grow=0.3)
    fused = fuse(found, 2)
    real = truth(found[0], 2)
    rows, columns = real.shape[:2]
    single = cv2.resize(found[0].crop.image, (columns, rows), interpolation=cv2.INTER_CUBIC)
    better, before = (on_face(image, found[0], 2) for image in (fused.image, single))
    assert psnr(better, on_face(real, found[0], 2)) > psnr(before, on_face(real, found[0], 2)) + 1.5


def test_a_stranger_among_the_sights_is_left_out():
    found = sights(10, 4.0)
    rng = np.random.default_rng(5)
    other = found[4].crop
    noise = rng.integers(0, 255, other.image.shape, np.uint8)
    found[4] = Sighting(
        4,
        found[4].time,
        found[4].face,
        found[4].quality,
        type(other)(noise, other.x, other.y, other.face),
    )
    assert 4 not in fuse(found, 2).frames


def test_too_few_sights():
    assert fuse([], 2) is None
    assert fuse(sights(1, 4.0), 2) is None
    with pytest.raises(ValueError, match="enlarged"):
        fuse([], 0)
    bare = [Sighting(0, Fraction(0), one.face) for one in sights(2, 4.0)]
    with pytest.raises(ValueError, match="crops"):
        fuse(bare, 2)


def test_the_same_sights_give_the_same_pixels():
    one, other = fuse(sights(6, 6.0), 2), fuse(sights(6, 6.0), 2)
    assert np.array_equal(one.image, other.image)


def test_to_a_recogniser_a_fused_face_is_more_like_the_truth():
    recogniser = build.recogniser(Settings())
    x1, y1, _, y2 = ASTRONAUT_BOX
    gains = []
    for seed in range(4):
        found = sights(15, 12.0, seed)
        real = truth(found[0], 2)
        rows, columns = real.shape[:2]
        single = cv2.resize(found[0].crop.image, (columns, rows), interpolation=cv2.INTER_CUBIC)
        part, size = found[0].crop, PX / (y2 - y1)
        shift = np.array([12 - x1 * size, 12 - y1 * size])
        marks = (np.array(ASTRONAUT_LANDMARKS) * size + shift - (part.x, part.y)) * 2
        faces = [align(image, marks) for image in (real, fuse(found, 2).image, single)]
        whole, fused, alone = recogniser.embed(faces)
        gains.append(float(whole @ fused - whole @ alone))
    assert np.mean(gains) > 0
