"""Filters against what they undo, and against values worked out by hand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydantic import ValidationError

from facecctv.errors import LimitError
from facecctv.metrics.pictures import psnr
from facecctv.vision import filters
from facecctv.vision.filters import FILTERS, deconvolve

SQUARE = {"top_left": (0, 0), "top_right": (3, 0), "bottom_right": (3, 2), "bottom_left": (0, 2)}
NEEDED = {"crop": {"x": 0, "y": 0, "width": 1, "height": 1}, "perspective": SQUARE}
"""Settings of the filters that have no default."""


@pytest.fixture(scope="module")
def face():
    return skimage.data.astronaut()[:160, 144:304]


def grey(*rows):
    """An (H, W, 3) picture of grey levels."""
    return np.repeat(np.array(rows, np.uint8)[..., None], 3, axis=2)


def levels_of(image):
    assert (image == image[..., :1]).all()
    return image[..., 0].tolist()


def noisy(image, sigma, seed=0):
    noise = np.random.default_rng(seed).normal(0, sigma, image.shape)
    return np.rint(image + noise).clip(0, 255).astype(np.uint8)


def blurred(image, psf):
    done = cv2.filter2D(image.astype(np.float32), -1, psf, borderType=cv2.BORDER_REFLECT)
    return np.rint(done).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("kind", FILTERS, ids=lambda kind: kind.name)
class TestAll:
    @pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 9), (3, 5000), (16, 16)])
    def test_any_size(self, kind, size):
        work = kind(**NEEDED.get(kind.name, {}))
        image = noisy(np.full((*size, 3), 128, np.uint8), 40)
        before = image.copy()
        if kind.name == "denoise":
            work = kind(window=3, patch=3)
        done = work(image)
        assert (image == before).all()
        assert done.dtype == np.uint8
        assert not np.shares_memory(done, image)
        assert (done.shape[1], done.shape[0]) == work.size_after(size[1], size[0])
        assert done.shape[2] == 3

    def test_grey_stays_grey(self, kind):
        image = grey(*np.random.default_rng(1).integers(0, 256, (24, 24)))
        done = kind(**NEEDED.get(kind.name, {}))(image)
        assert (done == done[..., :1]).all()

    def test_the_same_each_time(self, kind, face):
        image = face[:48, :48]
        work = kind(**NEEDED.get(kind.name, {}))
        assert (work(image) == work(image.copy())).all()

    def test_settings_are_frozen_and_known(self, kind):
        work = kind(**NEEDED.get(kind.name, {}))
        with pytest.raises(ValidationError):
            setattr(work, next(iter(kind.model_fields)), 1)
        with pytest.raises(ValidationError):
            kind(**NEEDED.get(kind.name, {}), nonsense=1)

    def test_its_record_makes_it_again(self, kind):
        work = kind(**NEEDED.get(kind.name, {}))
        assert kind(**work.recorded()) == work

    def test_class(self, kind):
        moves = {"deinterlace", "perspective", "rotate", "crop", "resize"}
        assert kind.step == ("geometric" if kind.name in moves else "photometric")


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("Denoise", {"h": -1}),
        ("Denoise", {"h": float("nan")}),
        ("Denoise", {"patch": 4}),
        ("Denoise", {"window": 53}),
        ("Deblock", {"quality": 0}),
        ("Deblur", {"method": "magic"}),
        ("Deblur", {"sigma": 0}),
        ("Deblur", {"length": 9}),
        ("Deblur", {"kernel": "motion", "sigma": 2}),
        ("Deblur", {"iterations": 3}),
        ("Levels", {"low": 10, "high": 10}),
        ("Levels", {"low": 256}),
        ("Levels", {"clip": 50}),
        ("Gamma", {"value": 0}),
        ("Clahe", {"tiles": 0}),
        ("Sharpen", {"amount": 6}),
        ("Deinterlace", {"field": "left"}),
        ("Perspective", {}),
        ("Perspective", {**SQUARE, "top_right": (-1, 0)}),
        ("Perspective", {**SQUARE, "top_left": (3, 0), "top_right": (0, 0)}),
        ("Perspective", {**SQUARE, "bottom_right": (2e4, 2)}),
        ("Rotate", {"angle": 361}),
        ("Crop", {"x": -1, "y": 0, "width": 1, "height": 1}),
        ("Resize", {"scale": 0}),
        ("Resize", {"scale": 2, "width": 5}),
    ],
)
def test_impossible_settings(kind, settings):
    with pytest.raises(ValidationError):
        getattr(filters, kind)(**settings)


class TestDenoise:
    @pytest.mark.parametrize("sigma", [5, 10, 20])
    def test_lowers_the_noise_and_nears_the_truth(self, face, sigma):
        bad = noisy(face, sigma)
        good = filters.Denoise(h=sigma, colour=sigma)(bad)
        assert psnr(face, good) > psnr(face, bad) + 2
        flat = noisy(np.full((48, 48, 3), 120, np.uint8), sigma)
        assert filters.Denoise(h=2 * sigma, colour=2 * sigma)(flat).std() < flat.std() / 3

    def test_luma_and_colour_each_on_their_own(self, face):
        bad = noisy(face, 15)
        before, kept_colour, kept_luma = (
            cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb).astype(int)
            for image in (
                bad,
                filters.Denoise(h=15, colour=0)(bad),
                filters.Denoise(h=0, colour=20)(bad),
            )
        )
        # RGB holds each of them to a level or two, where it is not clipped.
        inside = (bad > 40).all(axis=2) & (bad < 215).all(axis=2)
        assert np.abs(kept_colour - before)[inside][:, 1:].max() <= 2
        assert np.abs(kept_luma - before)[inside][:, 0].max() <= 2
        assert np.abs(kept_colour - before)[..., 0].mean() > 2
        assert np.abs(kept_luma - before)[..., 1:].mean() > 1

    def test_nothing_asked_nothing_done(self, face):
        assert (filters.Denoise(h=0, colour=0)(face) == face).all()


class TestDeblock:
    @pytest.mark.parametrize("quality", [10, 30])
    def test_nears_the_truth(self, face, quality):
        _, data = cv2.imencode(".jpg", face[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        bad = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1].copy()
        assert psnr(face, filters.Deblock(quality=quality)(bad)) > psnr(face, bad) + 0.2

    def test_longer_than_a_jpeg_may_be(self):
        with pytest.raises(LimitError, match="65,484"):
            filters.Deblock()(np.zeros((1, 65_485, 3), np.uint8))


class TestDeblur:
    BLURS = (
        ({"sigma": 2}, deconvolve.gauss(2)),
        ({"kernel": "motion", "length": 9, "angle": 30}, deconvolve.motion(9, 30)),
        ({"kernel": "disk", "radius": 3}, deconvolve.disk(3)),
    )

    @pytest.mark.parametrize("method", ["wiener", "richardson-lucy"])
    @pytest.mark.parametrize(("settings", "psf"), BLURS, ids=["gauss", "motion", "disk"])
    @pytest.mark.parametrize("noise", [0, 2])
    def test_nears_the_truth(self, face, method, settings, psf, noise):
        bad = noisy(blurred(face, psf), noise)
        good = filters.Deblur(method=method, **settings)(bad)
        assert psnr(face, good) > psnr(face, bad) + 1

    def test_edges_do_not_ring(self, face):
        """Blur from beyond the edge is unknown; mirrored or cut it would ring all through."""
        whole = skimage.data.astronaut()
        bad = blurred(whole, deconvolve.motion(9, 30))[:160, 144:304]
        good = filters.Deblur(kernel="motion", length=9, angle=30)(bad)
        assert psnr(face[16:-16, 16:-16], good[16:-16, 16:-16]) > psnr(face, bad) + 4
        assert psnr(face, good) > psnr(face, bad) + 3

    @pytest.mark.parametrize("method", ["wiener", "richardson-lucy"])
    def test_brightness_stays(self, face, method):
        assert abs(filters.Deblur(method=method)(face).mean() - face.mean()) < 1
        flat = np.full((9, 9, 3), 77, np.uint8)
        assert (filters.Deblur(method=method)(flat) == flat).all()

    def test_more_iterations_are_sharper(self, face):
        bad = blurred(face, deconvolve.gauss(1.5))
        few, many = (
            psnr(face, filters.Deblur(method="richardson-lucy", iterations=count)(bad))
            for count in (2, 20)
        )
        assert psnr(face, bad) < few < many

    def test_kernels(self):
        assert deconvolve.disk(0.5).shape == (3, 3)
        flat = deconvolve.motion(5, 0)
        assert np.allclose(flat.sum(axis=1)[[2, 3, 5, 6]], 0, atol=1e-6)
        assert flat.sum() == pytest.approx(1)
        upright = deconvolve.motion(5, 90)
        assert np.allclose(upright, flat.T, atol=1e-6)
        for psf in (deconvolve.motion(9, 30), deconvolve.gauss(1.3), deconvolve.disk(2.7)):
            assert psf.sum() == pytest.approx(1)
            assert np.allclose(psf, psf[::-1, ::-1], atol=1e-7)
        # Clockwise as seen: to the right and down.
        rows, columns = np.nonzero(deconvolve.motion(9, 30) > 0.01)
        assert np.corrcoef(rows, columns)[0, 1] > 0.8


class TestTone:
    def test_auto_levels_span_all(self):
        image = grey([60, 100], [120, 180])
        assert levels_of(filters.Levels(clip=0)(image)) == [[0, 85], [128, 255]]

    def test_auto_levels_of_a_dull_picture(self, face):
        dull = (face * 0.3 + 60).astype(np.uint8)
        done = filters.Levels()(dull)
        assert (done.min(), done.max()) == (0, 255)

    def test_clip_is_per_cent_at_each_end(self):
        image = grey([10, *[100] * 49, *[200] * 49, 250])
        spread = filters.Levels(clip=1)(image)
        assert levels_of(spread)[0] == [0, *[0] * 49, *[255] * 49, 255]
        assert levels_of(filters.Levels(clip=0.9)(image))[0][0:2] == [0, 96]

    def test_levels_by_hand(self):
        image = grey([0, 16, 125, 235, 255])
        assert levels_of(filters.Levels(low=16, high=235)(image)) == [[0, 0, 127, 255, 255]]
        assert levels_of(filters.Levels(low=0, high="auto", clip=0)(image[:, :3]))[0][2] == 255

    @pytest.mark.parametrize("settings", [{}, {"low": 200}])
    def test_nothing_to_spread(self, settings):
        flat = np.full((2, 2, 3), 90, np.uint8)
        assert (filters.Levels(**settings)(flat) == flat).all()

    def test_gamma(self):
        image = grey([0, 64, 128, 255])
        assert levels_of(filters.Gamma(value=2)(image)) == [[0, 128, 181, 255]]
        assert levels_of(filters.Gamma(value=0.5)(image)) == [[0, 16, 64, 255]]
        assert levels_of(filters.Gamma(value=1)(image)) == [[0, 64, 128, 255]]

    def test_clahe_raises_local_contrast_and_keeps_colour_differences(self, face):
        dull = (face * 0.25 + 90).astype(np.uint8)
        done = filters.Clahe()(dull)
        assert done[..., 0].std() > 1.5 * dull[..., 0].std()
        before, after = dull.astype(int), done.astype(int)
        inside = (done > 0).all(axis=2) & (done < 255).all(axis=2)
        shift = (after - before)[inside]
        assert (shift == shift[:, :1]).all()

    def test_sharpen(self, face):
        bad = blurred(face, deconvolve.gauss(1))
        assert psnr(face, filters.Sharpen(amount=1)(bad)) > psnr(face, bad) + 1
        assert (filters.Sharpen(amount=0)(face) == face).all()
        assert (filters.Sharpen(threshold=255)(face) == face).all()


@settings(max_examples=40)
@given(
    image=hnp.arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(3))),
    index=st.integers(0, len(FILTERS) - 1),
)
def test_any_picture_gives_the_size_that_was_said(image, index):
    kind = FILTERS[index]
    settings = {"window": 5, "patch": 3} if kind.name == "denoise" else NEEDED.get(kind.name, {})
    work = kind(**settings)
    done = work(image)
    assert (done.shape[1], done.shape[0]) == work.size_after(image.shape[1], image.shape[0])
