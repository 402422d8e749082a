import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.data import astronaut

from facecctv.learn.data import degrade

OPERATORS = [stage.operator for stage in degrade.OPTICS_TO_TRANSPORT]
TINY = [(1, 1), (1, 2), (2, 1), (1, 9), (9, 1), (2, 2), (3, 5), (7, 7), (8, 16), (17, 33)]


def noise_picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def named(operator):
    return operator.__name__


@pytest.mark.parametrize("operator", OPERATORS, ids=named)
@pytest.mark.parametrize("size", TINY, ids=str)
@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_any_size_and_strength_keeps_shape_type_and_the_original(operator, size, strength):
    image = noise_picture(*size)
    before = image.copy()
    for seed in range(4):
        result = operator(image, np.random.default_rng(seed), strength)
        assert result.shape == image.shape
        assert result.dtype == np.uint8
        np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("operator", OPERATORS, ids=named)
def test_the_same_generator_state_gives_the_same_pixels(operator):
    image = astronaut()[:97, 150:251]
    first, again = (operator(image, np.random.default_rng(5), 1.0) for _ in range(2))
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("operator", OPERATORS, ids=named)
def test_another_generator_state_gives_other_pixels(operator):
    image = astronaut()[:97, 150:251]
    results = {operator(image, np.random.default_rng(seed), 1.0).tobytes() for seed in range(8)}
    assert len(results) > 1


# Mean change, grey levels, of a smooth picture. The lens, the motion, the sensor and JPEG have a
# least amount by design; night mode is grey at any strength.
@pytest.mark.parametrize(
    ("operator", "most"),
    [
        (degrade.tone, 0.6),
        (degrade.tint, 0.6),
        (degrade.interlace, 0.0),
        (degrade.resample, 0.0),
        (degrade.defocus, 0.5),
        (degrade.motion, 4.0),
        (degrade.noise, 2.5),
        (degrade.compress, 2.0),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_strength_0_is_nearly_the_picture_itself(operator, most):
    y, x = np.mgrid[:60, :80]
    image = np.stack([2 * x + 40, 3 * y + 20, x + y + 30], axis=-1).astype(np.uint8)
    for seed in range(10):
        result = operator(image, np.random.default_rng(seed), 0.0)
        assert np.abs(result.astype(int) - image).mean() <= most


def test_night_is_grey():
    result = degrade.night(noise_picture(20, 30), np.random.default_rng(0), 1.0)
    assert (result[..., 0] == result[..., 1]).all()
    assert (result[..., 0] == result[..., 2]).all()


def test_interlacing_moves_the_odd_lines_only():
    image = noise_picture(21, 30)
    result = degrade.interlace(image, np.random.default_rng(1), 1.0)
    np.testing.assert_array_equal(result[::2], image[::2])
    assert (result[1::2] != image[1::2]).any()


def test_compression_keeps_the_order_of_the_colours():
    image = np.zeros((32, 32, 3), np.uint8)
    image[..., 0] = 200
    result = degrade.compress(image, np.random.default_rng(0), 0.5)
    assert result[..., 0].mean() > 150
    assert result[..., 2].mean() < 50


@pytest.mark.parametrize("grain_and_size", [(300, 200), (301, 203)])
def test_noise_has_no_bias_and_a_bounded_spread(grain_and_size):
    height, width = grain_and_size
    image = np.full((height, width, 3), 128, np.uint8)
    for seed in range(12):
        difference = degrade.noise(image, np.random.default_rng(seed), 1.0).astype(int) - 128
        assert abs(difference.mean()) < 2.0
        assert 0 < difference.std() < 42


@pytest.mark.parametrize("size", TINY, ids=str)
def test_the_chain_of_training_and_that_of_evaluations_take_any_size(size):
    for seed in range(20):
        for stages in (degrade.OPTICS_TO_TRANSPORT, degrade.STANDARD):
            rng = np.random.default_rng(seed)
            result = degrade.cctv(noise_picture(*size), rng, 1.0, stages)
            assert result.shape == (*size, 3)


def test_the_chain_without_stages_is_the_picture_itself():
    image = noise_picture(5, 6)
    np.testing.assert_array_equal(degrade.cctv(image, np.random.default_rng(0), 1.0, ()), image)


def test_the_chain_of_evaluations_is_repeatable_and_leaves_the_picture_recognisable():
    image = astronaut()[::2, ::2]
    first, again = (
        degrade.cctv(image, np.random.default_rng(3), 0.5, degrade.STANDARD) for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)
    grey = [picture.mean(axis=2).ravel() for picture in (image, first)]
    assert np.corrcoef(*grey)[0, 1] > 0.8


class TestOcclude:
    def test_no_face_no_change(self):
        image = noise_picture(20, 20)
        before = image.copy()
        result = degrade.occlude(image, np.zeros((0, 4)), np.random.default_rng(0), 1.0)
        np.testing.assert_array_equal(result, before)

    def test_probability_0_covers_nothing(self):
        image = noise_picture(40, 40)
        before = image.copy()
        degrade.occlude(image, np.array([[5, 5, 35, 35.0]]), np.random.default_rng(0), 0.0)
        np.testing.assert_array_equal(image, before)

    def test_at_most_half_of_a_face_and_nothing_else_is_covered(self):
        covered = []
        for seed in range(200):
            image = noise_picture(60, 70, seed)
            before = image.copy()
            degrade.occlude(image, np.array([[15, 12, 47, 52.0]]), np.random.default_rng(seed), 1)
            changed = (image != before).any(axis=2)
            share = changed[12:52, 15:47].mean()
            changed[12:52, 15:47] = False
            assert not changed.any()
            assert share <= 0.5
            covered.append(share)
        assert min(covered) > 0.1

    @given(
        st.integers(1, 12),
        st.integers(1, 12),
        st.tuples(*[st.floats(-20, 30)] * 2, *[st.floats(0.1, 40)] * 2),
        st.integers(0, 100),
    )
    def test_a_face_that_reaches_out_of_the_picture_is_no_error(self, height, width, face, seed):
        x, y, w, h = face
        image = noise_picture(height, width)
        boxes = np.array([[x, y, x + w, y + h]])
        result = degrade.occlude(image, boxes, np.random.default_rng(seed), 1.0)
        assert result.shape == (height, width, 3)
