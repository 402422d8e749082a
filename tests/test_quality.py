from __future__ import annotations

import itertools
import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from facecctv.demo import ASTRONAUT_BOX, ASTRONAUT_LANDMARKS, NOISY, Person, compressed, corridor
from facecctv.types import Face, Pose
from facecctv.vision.pose import MODEL, estimate_pose
from facecctv.vision.quality import GRADES, assess, assess_all

PORTRAIT = data.astronaut()
WIDTH = ASTRONAUT_BOX[2] - ASTRONAUT_BOX[0]
USES = tuple(GRADES)


def portrait(across):
    """The astronaut with a face so many pixels wide."""
    scale = across / WIDTH
    side = round(512 * scale)
    image = cv2.resize(PORTRAIT, (side, side), interpolation=cv2.INTER_AREA)
    exact = side / 512
    face = Face(np.array(ASTRONAUT_BOX) * exact, np.array(ASTRONAUT_LANDMARKS) * exact, 1.0)
    return image, face


def enlarged(image, face, times):
    big = cv2.resize(image, None, fx=times, fy=times, interpolation=cv2.INTER_CUBIC)
    return big, Face(face.box * times, face.landmarks * times, 1.0)


def noisy(image, sigma, alike=False):
    shape = (*image.shape[:2], 1) if alike else image.shape
    grain = np.random.default_rng(7).normal(0, sigma, shape)
    return np.clip(image + grain, 0, 255).round().astype(np.uint8)


def lit(image, gain):
    return np.clip(image.astype(np.float32) * gain, 0, 255).astype(np.uint8)


def blurred(image, sigma):
    return cv2.GaussianBlur(image, (0, 0), sigma) if sigma else image


def never_rises(values, tolerance=0.0):
    return all(later <= earlier + tolerance for earlier, later in itertools.pairwise(values))


def projected(yaw, pitch, roll, distance=math.inf):
    """The model face in a picture: nod, turn, lean, written out from the meaning of the signs."""
    y, p, r = np.deg2rad([yaw, pitch, roll])
    x0, y0, z0 = (MODEL - MODEL.mean(axis=0)).T
    y1, z1 = y0 * np.cos(p) + z0 * np.sin(p), z0 * np.cos(p) - y0 * np.sin(p)
    x2, z2 = x0 * np.cos(y) - z1 * np.sin(y), z1 * np.cos(y) + x0 * np.sin(y)
    x3, y3 = x2 * np.cos(r) - y1 * np.sin(r), y1 * np.cos(r) + x2 * np.sin(r)
    nearness = 1.0 if math.isinf(distance) else distance / (distance + z2)
    return np.column_stack([x3 * nearness, y3 * nearness]) * 40 + (200, 150)


class TestPose:
    @pytest.mark.parametrize("yaw", [-45, -20, 0, 30, 45])
    @pytest.mark.parametrize("pitch", [-30, 0, 20])
    @pytest.mark.parametrize("roll", [-40, 0, 15])
    def test_exact_for_a_far_camera_and_good_for_a_near_one(self, yaw, pitch, roll):
        truth = (yaw, pitch, roll)
        far = estimate_pose(projected(*truth))
        assert (far.yaw, far.pitch, far.roll) == pytest.approx(truth, abs=1e-3)
        near = estimate_pose(projected(*truth, distance=15))
        assert (near.yaw, near.pitch, near.roll) == pytest.approx(truth, abs=8)

    def test_signs_are_those_of_the_picture(self):
        straight = projected(0, 0, 0)
        right, up = straight.copy(), straight.copy()
        right[2, 0] += 8  # the nose moves to the right of the picture
        up[2, 1] -= 8
        assert estimate_pose(right).yaw > 10
        assert estimate_pose(up).pitch > 10
        assert estimate_pose(projected(0, 0, 20)).roll == pytest.approx(20)
        assert projected(0, 0, 20)[1, 1] > projected(0, 0, 20)[0, 1]  # the right eye is lower

    def test_points_a_pixel_off_still_tell_within_ten_degrees(self):
        rng = np.random.default_rng(3)
        errors = []
        for yaw in np.linspace(-45, 45, 19):
            pose = estimate_pose(projected(yaw, 5, 5) + rng.normal(0, 1.0, (5, 2)))
            errors.append([abs(pose.yaw - yaw), abs(pose.pitch - 5), abs(pose.roll - 5)])
        assert (np.mean(errors, axis=0) < 10).all()

    def test_an_upright_portrait_looks_into_the_camera(self):
        pose = estimate_pose(ASTRONAUT_LANDMARKS)
        assert max(abs(pose.yaw), abs(pose.pitch), abs(pose.roll)) < 15

    def test_one_point_tells_nothing(self):
        assert estimate_pose(np.full((5, 2), 1e6)) == Pose(yaw=0.0, pitch=0.0, roll=0.0)

    def test_wrong_shape(self):
        with pytest.raises(ValueError, match="shape"):
            estimate_pose(np.zeros((4, 2)))


class TestBlur:
    @pytest.mark.parametrize("across", [24, 48, 95])
    def test_more_blur_is_less_sharp_and_worth_less(self, across):
        image, face = portrait(across)
        found = [assess(blurred(image, sigma), face) for sigma in (0, 0.7, 1, 1.5, 2, 3, 5)]
        assert never_rises([quality.sharpness for quality in found])
        assert never_rises([quality.score for quality in found])
        assert never_rises([len(quality.usable_for) for quality in found])
        assert found[0].sharpness > 0.75
        assert found[-1].sharpness < 0.3

    def test_blur_is_named(self):
        image, face = portrait(95)
        assert assess(blurred(image, 5), face).verdict.startswith("Too blurred to recognise anyone")

    @pytest.mark.parametrize("across", [16, 24, 32, 48, 64, 95])
    def test_size_alone_is_not_blur(self, across):
        assert assess(*portrait(across)).sharpness > 0.7

    def test_enlarging_adds_no_detail(self):
        small = portrait(24)
        found = [assess(*small), *(assess(*enlarged(*small, times)) for times in (2, 4, 8))]
        assert never_rises([quality.sharpness for quality in found], 0.02)
        assert found[2].sharpness < 0.5
        assert all("identification" not in quality.usable_for for quality in found)

    def test_does_not_depend_on_contrast(self):
        image, face = portrait(64)
        grey = (image * 0.5 + 64).astype(np.uint8)
        assert assess(grey, face).sharpness == pytest.approx(
            assess(image, face).sharpness, abs=0.02
        )


class TestNoise:
    @pytest.mark.parametrize("across", [16, 48, 120])
    @pytest.mark.parametrize("sigma", [5, 10, 20, 30])
    @pytest.mark.parametrize("alike", [False, True])
    def test_estimated_within_a_factor(self, across, sigma, alike):
        image, face = portrait(across)
        assert sigma / 1.5 < assess(noisy(image, sigma, alike), face).noise < sigma * 1.5

    def test_a_clean_face_has_little(self):
        assert all(assess(*portrait(across)).noise < 4 for across in (16, 32, 64, 120))

    @pytest.mark.parametrize("blur", [0, 1, 3])
    @pytest.mark.parametrize("alike", [False, True])
    def test_is_not_taken_for_sharpness(self, blur, alike):
        image, face = portrait(64)
        soft = blurred(image, blur)
        clean = assess(soft, face).sharpness
        for sigma in (5, 10, 20, 30):
            assert assess(noisy(soft, sigma, alike), face).sharpness < clean + 0.15

    def test_pure_noise_has_no_detail(self):
        image, face = portrait(64)
        assert assess(noisy(np.full_like(image, 128), 20), face).usable_for == ()

    def test_strong_noise_lowers_the_score_and_is_named(self):
        image, face = portrait(48)
        found = [assess(noisy(image, sigma), face) for sigma in (0, 15, 30, 45)]
        assert never_rises([quality.score for quality in found], 0.02)
        assert found[-1].score < 0.5
        assert found[-1].verdict.startswith("Too noisy")


class TestLight:
    def test_darker_is_worth_less(self):
        image, face = portrait(64)
        found = [assess(lit(image, gain), face) for gain in (1, 0.6, 0.3, 0.15, 0.08, 0.04)]
        assert never_rises([quality.brightness for quality in found])
        assert never_rises([quality.contrast for quality in found])
        assert never_rises([quality.score for quality in found], 0.02)
        assert found[-1].score < 0.2
        assert found[-1].verdict.startswith("Too dark")

    def test_glare_is_clipped_and_named(self):
        image, face = portrait(64)
        quality = assess(lit(image, 2.5), face)
        assert quality.clipped > 0.5
        assert quality.verdict.startswith("Too bright")
        assert "identification" not in quality.usable_for

    def test_haze_is_named(self):
        image, face = portrait(64)
        hazy = (image * 0.06 + 120).astype(np.uint8)
        assert assess(hazy, face).verdict.startswith("Too low in contrast")

    def test_by_hand(self):
        image = np.full((200, 200, 3), 51, np.uint8)
        image[:, 100:] = 153
        quality = assess(image, portrait_at(60, 60, 80))
        assert quality.brightness == pytest.approx(0.4, abs=0.005)
        assert quality.contrast == pytest.approx(0.4, abs=0.005)
        assert quality.clipped == 0


class TestCompression:
    @pytest.mark.parametrize("across", [24, 48, 95])
    @pytest.mark.parametrize("shift", [(0, 0), (3, 5)])
    def test_rises_wherever_the_grid_lies(self, across, shift):
        image, face = portrait(across)
        x, y = shift
        moved = Face(face.box - np.array([x, y, x, y]), face.landmarks - np.array(shift), 1.0)
        found = [
            assess(compressed(image, quality)[y:, x:], moved).blockiness
            for quality in (90, 50, 20, 10)
        ]
        assert never_rises(found[::-1])
        assert found[-1] - found[0] > 0.25

    @pytest.mark.parametrize("across", [16, 24, 48, 64, 95, 140])
    def test_low_where_nothing_was_compressed(self, across):
        assert assess(*portrait(across)).blockiness < 0.12

    def test_one_edge_in_the_scene_is_no_grid(self):
        image, face = portrait(64)
        image[:, :: image.shape[1] // 2] = 255
        assert assess(image, face).blockiness < 0.12

    def test_is_named(self):
        image, face = portrait(95)
        quality = assess(compressed(image, 6), face)
        assert quality.verdict.startswith("Too strongly compressed")


class TestSizeAndPose:
    def test_smaller_serves_less(self):
        found = [assess(*portrait(across)) for across in (64, 32, 14, 7, 3)]
        assert [quality.usable_for for quality in found] == [USES[:n] for n in (4, 3, 2, 1, 0)]
        assert never_rises([quality.score for quality in found])
        assert found[2].verdict == (
            "Too small (14 pixels across) to recognise anyone: "
            "look for a frame in which the person is nearer."
        )
        assert found[0].verdict == (
            "Enough pixels (64 across) to identify the person if nothing covers the face."
        )

    def test_measures_are_those_of_the_face(self):
        image, face = portrait(95)
        quality = assess(image, face)
        assert quality.face_px == pytest.approx(face.height)
        assert quality.inter_eye_px == pytest.approx(43.15, abs=0.1)

    def test_a_profile_is_turned_not_small(self):
        image, face = portrait(64)
        left, top, right, bottom = face.box
        middle = (left + right) / 2
        landmarks = projected(80, 0, 0)
        scale = face.height / 90
        landmarks = (landmarks - landmarks.mean(axis=0)) * scale + (middle, (top + bottom) / 2)
        narrow = Face([middle - 12, top, middle + 12, bottom], landmarks, 1.0)
        quality = assess(image, narrow)
        assert quality.inter_eye_px < 10
        assert quality.verdict.startswith("Too far turned away to recognise anyone")

    def test_a_face_cut_by_the_edge(self):
        image, face = portrait(95)
        whole = assess(image, face)
        cut = assess(image[:, int(face.box[0]) + 75 :], moved_left(face, int(face.box[0]) + 75))
        assert not whole.at_edge
        assert cut.at_edge
        assert cut.score < 0.3
        assert cut.verdict.startswith("Too much cut off by the picture's edge")


def moved_left(face, columns):
    shift = np.array([columns, 0])
    return Face(face.box - np.tile(shift, 2), face.landmarks - shift, face.score)


def portrait_at(x, y, side):
    """A face box with landmarks where a face would have them."""
    points = np.array([[0.3, 0.35], [0.7, 0.35], [0.5, 0.55], [0.33, 0.75], [0.67, 0.75]])
    return Face([x, y, x + side, y + side], points * side + (x, y), 0.9)


class TestAnyInput:
    def test_no_faces(self):
        assert assess_all(PORTRAIT, []) == []

    def test_many_faces_keep_their_order(self):
        people = (*NOISY, Person(x=230, face_px=9))
        scene = corridor((420, 360), people, np.random.default_rng(0))
        found = assess_all(scene.image, scene.faces)
        assert [quality.face_px for quality in found] == [face.height for face in scene.faces]
        assert {quality.usable_for for quality in found} >= {USES, USES[:1]}

    def test_no_image(self):
        with pytest.raises(ValueError, match="image"):
            assess(np.zeros((5, 5)), portrait_at(0, 0, 4))

    @pytest.mark.parametrize("level", [0, 128, 255])
    @pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (2, 2), (9, 9), (200, 200)])
    def test_a_constant_picture_serves_nothing(self, shape, level):
        quality = assess(np.full((*shape, 3), level, np.uint8), portrait_at(0, 0, 90))
        assert quality.sharpness == quality.score == quality.contrast == quality.noise == 0
        assert quality.usable_for == ()

    @settings(max_examples=150, deadline=None)
    @given(
        shape=st.tuples(st.integers(1, 90), st.integers(1, 90)),
        corner=st.tuples(st.floats(-300, 300), st.floats(-300, 300)),
        size=st.tuples(st.floats(0.5, 2000), st.floats(0.5, 2000)),
        points=st.lists(st.floats(-1e4, 1e4), min_size=10, max_size=10),
        seed=st.integers(0, 9),
    )
    def test_every_value_is_finite_and_in_range(self, shape, corner, size, points, seed):
        image = np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)
        box = [*corner, corner[0] + size[0], corner[1] + size[1]]
        quality = assess(image, Face(box, np.reshape(points, (5, 2)), 0.5))
        pose = quality.pose
        values = [quality.face_px, quality.inter_eye_px, quality.noise, pose.yaw, pose.roll]
        assert np.isfinite([*values, pose.pitch]).all()
        assert quality.noise >= 0
        assert quality.verdict.endswith(".")
        assert quality.usable_for == USES[: len(quality.usable_for)]
