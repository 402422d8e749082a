from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage import color, data
from skimage import metrics as theirs

from facecctv.metrics import ciede2000, colourfulness, psnr, ssim


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    return np.ascontiguousarray(data.astronaut()[30:171, 150:300])


@pytest.fixture(scope="module")
def noisy(face: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 20, face.shape)
    return (face + noise).clip(0, 255).astype(np.uint8)


def test_psnr_by_hand() -> None:
    assert math.isnan(psnr([], []))
    assert psnr([7, 7], [7, 7]) == math.inf
    assert psnr([0.0], [255.0]) == 0
    assert psnr(np.zeros(4, np.uint8), np.full(4, 51, np.uint8)) == pytest.approx(
        20 * math.log10(5)
    )
    assert psnr([0.0], [0.1], data_range=1) == pytest.approx(20)


def test_psnr_parity(face: np.ndarray, noisy: np.ndarray) -> None:
    assert psnr(face, noisy) == pytest.approx(theirs.peak_signal_noise_ratio(face, noisy))


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize(
    ("window", "options"),
    [
        ("gaussian", {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}),
        ("uniform", {}),
    ],
)
def test_ssim_parity(
    face: np.ndarray, noisy: np.ndarray, window: str, options: dict[str, object], grey: bool
) -> None:
    a, b = (face[..., 1], noisy[..., 1]) if grey else (face, noisy)
    axis = None if grey else -1
    expected = theirs.structural_similarity(a, b, channel_axis=axis, data_range=255, **options)
    assert ssim(a, b, window=window) == pytest.approx(expected, abs=1e-9)  # type: ignore[arg-type]
    assert 0.1 < expected < 0.9


def test_ssim_of_a_picture_with_itself(face: np.ndarray) -> None:
    assert ssim(face, face) == pytest.approx(1)
    assert ssim(face / 255, face / 255, data_range=1, window="uniform") == pytest.approx(1)


@pytest.mark.parametrize("shape", [(0, 0), (10, 11), (11, 10, 3), (11,), (11, 11, 3, 1)])
def test_ssim_needs_room_for_its_window(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="at least 11 pixels"):
        ssim(np.zeros(shape), np.zeros(shape))


def test_pictures_of_different_shapes_are_refused() -> None:
    for measure in (psnr, ssim, ciede2000):
        with pytest.raises(ValueError, match="different shapes"):
            measure(np.zeros((20, 20, 3)), np.zeros((20, 1, 3)))


SHARMA = [  # L1 a1 b1, L2 a2 b2, difference: from the paper's table of test data.
    (50, 2.6772, -79.7751, 50, 0, -82.7485, 2.0425),
    (50, 3.1571, -77.2803, 50, 0, -82.7485, 2.8615),
    (50, 2.8361, -74.0200, 50, 0, -82.7485, 3.4412),
    (50, -1.3802, -84.2814, 50, 0, -82.7485, 1.0000),
    (50, -1.1848, -84.8006, 50, 0, -82.7485, 1.0000),
    (50, -0.9009, -85.5211, 50, 0, -82.7485, 1.0000),
    (50, 0, 0, 50, -1, 2, 2.3669),
    (50, -1, 2, 50, 0, 0, 2.3669),
    (50, 2.4900, -0.0010, 50, -2.4900, 0.0009, 7.1792),
    (50, 2.4900, -0.0010, 50, -2.4900, 0.0010, 7.1792),
    (50, 2.4900, -0.0010, 50, -2.4900, 0.0011, 7.2195),
    (50, 2.4900, -0.0010, 50, -2.4900, 0.0012, 7.2195),
    (50, -0.0010, 2.4900, 50, 0.0009, -2.4900, 4.8045),
    (50, -0.0010, 2.4900, 50, 0.0010, -2.4900, 4.8045),
    (50, -0.0010, 2.4900, 50, 0.0011, -2.4900, 4.7461),
    (50, 2.5, 0, 50, 0, -2.5, 4.3065),
    (50, 2.5, 0, 73, 25, -18, 27.1492),
    (50, 2.5, 0, 61, -5, 29, 22.8977),
    (50, 2.5, 0, 56, -27, -3, 31.9030),
    (50, 2.5, 0, 58, 24, 15, 19.4535),
    (50, 2.5, 0, 50, 3.1736, 0.5854, 1.0000),
    (50, 2.5, 0, 50, 3.2972, 0, 1.0000),
    (50, 2.5, 0, 50, 1.8634, 0.5757, 1.0000),
    (50, 2.5, 0, 50, 3.2592, 0.3350, 1.0000),
    (60.2574, -34.0099, 36.2677, 60.4626, -34.1751, 39.4387, 1.2644),
    (63.0109, -31.0961, -5.8663, 62.8187, -29.7946, -4.0864, 1.2630),
    (61.2901, 3.7196, -5.3901, 61.4292, 2.2480, -4.9620, 1.8731),
    (35.0831, -44.1164, 3.7933, 35.0232, -40.0716, 1.5901, 1.8645),
    (22.7233, 20.0904, -46.6940, 23.0331, 14.9730, -42.5619, 2.0373),
    (36.4612, 47.8580, 18.3852, 36.2715, 50.5065, 21.2231, 1.4146),
    (90.8027, -2.0831, 1.4410, 91.1528, -1.6435, 0.0447, 1.4441),
    (90.9257, -0.5406, -0.9208, 88.6381, -0.8985, -0.7239, 1.5381),
    (6.7747, -0.2908, -2.4247, 5.8714, -0.0985, -2.2286, 0.6377),
    (2.0776, 0.0795, -1.1350, 0.9033, -0.0636, -0.5514, 0.9082),
]


def test_ciede2000_of_nothing() -> None:
    assert ciede2000(np.zeros((0, 3)), np.zeros((0, 3))).shape == (0,)


def test_ciede2000_is_that_of_the_papers_table() -> None:
    table = np.array(SHARMA)
    np.testing.assert_allclose(ciede2000(table[:, :3], table[:, 3:6]), table[:, 6], atol=5e-5)


def test_ciede2000_parity(face: np.ndarray, noisy: np.ndarray) -> None:
    a, b = color.rgb2lab(face), color.rgb2lab(noisy)
    np.testing.assert_allclose(ciede2000(a, b), color.deltaE_ciede2000(a, b), atol=1e-9)


lab = st.tuples(st.integers(0, 100), st.integers(-60, 60), st.integers(-60, 60))


@given(lab, lab)
def test_ciede2000_is_zero_only_for_equals_and_the_same_both_ways(
    a: tuple[int, ...], b: tuple[int, ...]
) -> None:
    there, back = float(ciede2000(a, b)), float(ciede2000(b, a))
    assert there == pytest.approx(back, abs=1e-9)
    assert (there == 0) == (a == b)


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (np.full((2, 2, 3), 90), 0.0),
        # Red and green side by side: rg is 255, -255; yb is 127.5 twice.
        (np.array([[[255, 0, 0], [0, 255, 0]]]), 255 + 0.3 * 127.5),
    ],
)
def test_colourfulness_by_hand(picture: np.ndarray, expected: float) -> None:
    assert colourfulness(picture) == pytest.approx(expected)


def test_colourfulness_of_nothing_and_of_something_else() -> None:
    assert np.isnan(colourfulness(np.zeros((0, 4, 3))))
    with pytest.raises(ValueError, match=r"\(height, width, 3\)"):
        colourfulness(np.zeros((4, 4)))
