from __future__ import annotations

import io

import numpy as np
import PIL.Image
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.color import rgb2lab

from facecctv.errors import ModelError, SettingError
from facecctv.models.card import ModelInput
from facecctv.models.session import Session
from facecctv.types import Crop, Drift, Enhanced, Face, Origin, Portrait
from facecctv.vision import colourise
from facecctv.vision.colourise import (
    ColouriseOptions,
    Colouriser,
    FaceColouriser,
    is_grey,
)
from tests.red_detector import red_picture
from tests.tiny_enhancers import UNIT, constant_colouriser, nearest_enhancer
from tests.tiny_models import a_card

ROUNDING = 0.3
"""Half a level in all channels, in L*: a level is at most 0.55 apart from the next."""


def grey(image):
    return np.repeat(np.asarray(PIL.Image.fromarray(image).convert("L"))[..., None], 3, axis=2)


def tinted(image, factors, offsets=(0, 0, 0)):
    return np.clip(image * np.array(factors) + offsets, 0, 255).round().astype(np.uint8)


def jpeg(image, quality):
    buffer = io.BytesIO()
    PIL.Image.fromarray(image).save(buffer, "JPEG", quality=quality, subsampling=2)
    return np.asarray(PIL.Image.open(buffer))


def noisy(image, sigma, coloured):
    rng = np.random.default_rng(1)
    shape = image.shape if coloured else (*image.shape[:2], 1)
    return np.clip(image + rng.normal(0, sigma, shape), 0, 255).round().astype(np.uint8)


def stamped(image):
    """A yellow time stamp in a corner."""
    copy = image.copy()
    copy[8:20, 8:80:3] = (255, 230, 0)
    return copy


ASTRONAUT = skimage.data.astronaut()
GREY = grey(ASTRONAUT)
NIGHT = tinted(GREY, (0.5, 0.5, 0.5), (20, 20, 20))


class TestIsGrey:
    @pytest.mark.parametrize(
        "image",
        [
            np.zeros((1, 1, 3), np.uint8),
            np.full((1, 1, 3), 90, np.uint8),
            GREY,
            GREY[:3, :2],
            jpeg(noisy(GREY, 12, coloured=False), 30),
            noisy(NIGHT, 10, coloured=True),
            jpeg(noisy(NIGHT, 10, coloured=True), 40),
            tinted(NIGHT, (1.0, 0.85, 1.1)),
            tinted(NIGHT, (1.0, 1.0, 1.0), (18, 0, 14)),
            tinted(GREY, (1.0, 0.92, 0.75)),
            stamped(GREY),
            np.full((40, 60, 3), (120, 90, 100), np.uint8),
        ],
        ids=[
            *("black pixel", "grey pixel", "grey", "six pixels", "jpeg", "colour noise"),
            *("jpeg of colour noise", "infra-red", "offset", "sepia", "time stamp", "flat tint"),
        ],
    )
    def test_grey(self, image):
        assert is_grey(image)

    @pytest.mark.parametrize(
        "image",
        [
            ASTRONAUT,
            ASTRONAUT[40:200, 150:290],
            jpeg(tinted(ASTRONAUT, (0.4, 0.4, 0.4)), 40),
            skimage.data.cat(),
            skimage.data.coffee(),
            red_picture(
                640, 480, *[(column, row) for column in range(20, 40) for row in range(20, 23)]
            ),
            np.array([[[90, 90, 90], [200, 40, 40]]], np.uint8),
        ],
        ids=["portrait", "face", "dark jpeg", "cat", "coffee", "red spots", "two pixels"],
    )
    def test_coloured(self, image):
        assert not is_grey(image)


def lightness(image):
    return rgb2lab(image)[..., 0]


class Fake:
    """A network made of a function of lightness (h, w) 0..1 to (2, h, w) a*, b*."""

    def __init__(self, work, **extra):
        self._work, self.seen = work, []
        facts = {"side": 64, "chroma_unit": UNIT} | extra
        rules = ModelInput(colour="L", mean=(0.0,), std=(1.0,), multiple_of=16)
        self.card = a_card(task="colouriser", step="generative", input=rules, extra=facts)

    def run(self, array):
        self.seen.append(array)
        return [np.asarray(self._work(array[0, 0]), np.float32)[None] / np.float32(UNIT)]


@pytest.fixture(scope="module")
def warm():
    return Colouriser(Session(constant_colouriser(20.0, 10.0)))


class TestLightness:
    @pytest.mark.parametrize("size", [(1, 1), (3, 5000), (5000, 3), (65, 64)])
    def test_any_size(self, warm, size):
        image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
        found = warm(image)
        assert found.shape == image.shape
        assert np.abs(lightness(found) - lightness(image)).max() < ROUNDING

    @pytest.mark.parametrize("chroma", [(0, 0), (20, 10), (-90, 80), (100, 100), (60, -110)])
    @pytest.mark.parametrize("image", [ASTRONAUT, GREY], ids=["coloured", "grey"])
    def test_stays_whatever_the_colour(self, image, chroma):
        found = Colouriser(Session(constant_colouriser(*chroma)))(image[::3, ::3])
        assert np.abs(lightness(found) - lightness(image[::3, ::3])).max() < ROUNDING

    @given(st.integers(0, 255), st.integers(-128, 127), st.integers(-128, 127))
    @settings(max_examples=60)
    def test_of_any_grey_in_any_colour(self, level, a, b):
        image = np.full((2, 2, 3), level, np.uint8)
        found = Colouriser(Fake(lambda light: np.full((2, *light.shape), [[[a]], [[b]]])))(image)
        assert np.abs(lightness(found) - lightness(image)).max() < ROUNDING


class TestColour:
    def test_what_the_network_says(self, warm):
        found = rgb2lab(warm(np.full((40, 50, 3), 120, np.uint8)))
        assert np.abs(found[..., 1] - 20).max() < 0.7
        assert np.abs(found[..., 2] - 10).max() < 0.7

    @pytest.mark.parametrize(("saturation", "a"), [(0.0, 0.0), (0.5, 10.0), (1.5, 30.0)])
    def test_saturation(self, saturation, a):
        session = Session(constant_colouriser(20.0, 10.0))
        image = np.full((40, 50, 3), 120, np.uint8)
        found = rgb2lab(Colouriser(session, ColouriseOptions(saturation))(image))
        assert np.abs(found[..., 1] - a).max() < 0.7

    def test_without_saturation_a_grey_picture_is_unchanged(self):
        session = Session(constant_colouriser(20.0, 10.0))
        found = Colouriser(session, ColouriseOptions(0.0))(GREY)
        assert np.abs(found.astype(int) - GREY).max() == 0

    def test_the_network_sees_lightness_at_its_size_in_multiples(self):
        fake = Fake(lambda light: np.zeros((2, *light.shape)))
        image = np.full((100, 200, 3), 119, np.uint8)
        Colouriser(fake)(image)
        (seen,) = fake.seen
        assert seen.shape == (1, 1, 32, 64)
        np.testing.assert_allclose(seen, lightness(image[:1, :1]).item() / 100, atol=1e-4)

    def test_ends_where_the_picture_has_its_edge(self):
        """The network's boundary is coarse; the picture's own is sharp and stays so."""
        image = np.full((512, 512, 3), 60, np.uint8)
        edge = 261
        image[:, edge:] = 190
        found = rgb2lab(Colouriser(Fake(_halves))(image))[200]
        assert found[: edge - 12, 1] == pytest.approx(25, abs=3)
        assert found[edge + 12 :, 1] == pytest.approx(-25, abs=3)
        # At the network's size a pixel is 8 of these.
        assert found[edge - 1, 1] > 8
        assert found[edge, 1] < -8

    def test_strips_do_not_show(self, monkeypatch, warm):
        fake = Fake(_halves)
        whole = Colouriser(fake)(GREY)
        monkeypatch.setattr(colourise, "STRIP_PIXELS", 7 * 512)
        np.testing.assert_array_equal(Colouriser(fake)(GREY), whole)


def _halves(light):
    """a* 25 where it is dark, -25 where it is bright."""
    return np.stack([np.where(light < 0.5, 25.0, -25.0), np.zeros_like(light)])


class TestCard:
    @pytest.mark.parametrize("fact", ["side", "chroma_unit"])
    @pytest.mark.parametrize("value", [None, 0, "256"])
    def test_facts_that_are_missing(self, fact, value):
        fake = Fake(lambda light: np.zeros((2, *light.shape)), **{fact: value})
        with pytest.raises(ModelError, match=f"names no {fact}"):
            Colouriser(fake)(GREY)

    def test_another_kind_of_model(self):
        with pytest.raises(ModelError, match="is no colouriser"):
            Colouriser(Session(nearest_enhancer()))(GREY)

    def test_an_output_that_is_not_chroma(self):
        fake = Fake(lambda light: np.zeros((2, 4, 4)))
        with pytest.raises(ModelError, match="made"):
            Colouriser(fake)(GREY)

    @pytest.mark.parametrize("saturation", [-0.1, 5.0, float("nan")])
    def test_impossible_options(self, saturation):
        with pytest.raises(SettingError):
            ColouriseOptions(saturation)


class TestStage:
    ORIGIN = Origin("colouriser", "1.0", "0" * 64, "generative")

    def portrait(self, **more):
        points = [[13, 14], [17, 14], [15, 16], [13, 18], [17, 18]]
        face = Face([10, 10, 20, 20], points, 0.9)
        return Portrait(face, Crop(GREY[8:24, 8:24], 8, 8, face), **more)

    def test_nobody(self, warm):
        assert FaceColouriser(warm, self.ORIGIN)(GREY, []) == []

    def test_coloured_pictures_only_when_told(self, warm):
        portraits = [self.portrait()]
        assert FaceColouriser(warm, self.ORIGIN)(ASTRONAUT, portraits) == [None]
        (found,) = FaceColouriser(warm, self.ORIGIN, only_grey=False)(ASTRONAUT, portraits)
        assert found.of == "crop"

    def test_a_coloured_face_in_a_grey_scene_is_left_alone(self, warm):
        image = GREY.copy()
        image[10:20, 10:20] = ASTRONAUT[90:100, 200:210]
        assert is_grey(image)
        face = self.portrait().face
        portrait = Portrait(face, Crop(image[8:24, 8:24], 8, 8, face))
        assert FaceColouriser(warm, self.ORIGIN)(image, [portrait]) == [None]

    def test_the_enhanced_crop_where_there_is_one(self, warm):
        better = GREY[16:48, 16:48].copy()
        enhanced = Enhanced(better, 2, self.ORIGIN, 1.0, True, Drift("unknown"))
        portraits = [self.portrait(), self.portrait(enhanced=enhanced)]
        plain, fine = FaceColouriser(warm, self.ORIGIN)(GREY, portraits)
        assert (plain.of, fine.of) == ("crop", "enhanced")
        assert (plain.image.shape, fine.image.shape) == ((16, 16, 3), (32, 32, 3))
        np.testing.assert_array_equal(fine.image, warm(better))
        assert (fine.origin, fine.saturation) == (self.ORIGIN, 1.0)
