from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facecctv.errors import LimitError, ModelError, SettingError
from facecctv.geometry import crop
from facecctv.image import resize
from facecctv.models.session import Session
from facecctv.types import Face, Origin
from facecctv.vision import tiling
from facecctv.vision.enhance import (
    EnhanceOptions,
    Enhancer,
    FaceEnhancer,
    enhance_crop,
    enhance_faces,
)
from facecctv.vision.tiling import lay, ramp
from tests.tiny_enhancers import blur_enhancer, constant_colouriser, enhancer_card, nearest_enhancer
from tests.tiny_models import a_card

COLOUR = EnhanceOptions(luminance="off")
ORIGIN = Origin("enhancer-x2", "1.0", "0" * 64, "learned")


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def repeated(image, scale):
    return image.repeat(scale, axis=0).repeat(scale, axis=1)


def difference(a, b):
    assert a.shape == b.shape
    return int(np.abs(a.astype(int) - b).max())


def face_at(x1, y1, x2, y2):
    box = np.array([x1, y1, x2, y2], np.float32)
    points = [[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]]
    return Face(box, box[:2] + np.array(points) * (box[2:] - box[:2]), 0.9)


class Fake:
    """A network made of a function of (1, 3, H, W) float32."""

    def __init__(self, work, card=None):
        self.card, self._work = card or enhancer_card(2), work

    def run(self, array):
        return [self._work(array)]


class Greedy:
    """Cannot run more than so many pixels at once."""

    def __init__(self, model, most):
        self._session, self._most, self.tried = Session(model), most, []

    @property
    def card(self):
        return self._session.card

    def run(self, array):
        self.tried.append(array.shape[2] * array.shape[3])
        if self.tried[-1] > self._most:
            raise MemoryError("not enough memory")
        return self._session.run(array)


@pytest.fixture(scope="module")
def nearest():
    return Session(nearest_enhancer(2))


@pytest.fixture(scope="module")
def blur():
    return Session(blur_enhancer(2, 6))


class TestSizes:
    @pytest.mark.parametrize("scale", [2, 4])
    @pytest.mark.parametrize("size", [(1, 1), (2, 3), (3, 5000), (5000, 3), (4, 4), (7, 65)])
    def test_any_size(self, scale, size):
        image = noise(*size)
        enhancer = Enhancer(Session(nearest_enhancer(scale)), COLOUR)
        assert enhancer.scale == scale
        assert difference(enhancer(image), repeated(image, scale)) == 0

    @given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 80))
    def test_any_tiles(self, nearest, height, width, tile):
        image = noise(height, width)
        enhancer = Enhancer(nearest, EnhanceOptions(luminance="off", tile=tile))
        assert difference(enhancer(image), repeated(image, 2)) == 0


class TestTiles:
    @pytest.mark.parametrize("strength", [1.0, 0.5])
    @pytest.mark.parametrize("luminance", ["on", "off"])
    @pytest.mark.parametrize("tile", [1, 50, 64, 101])
    def test_tiled_equals_untiled(self, blur, strength, luminance, tile):
        image = noise(131, 203)
        whole = Enhancer(blur, EnhanceOptions(strength, luminance, 1000))(image)
        tiled = Enhancer(blur, EnhanceOptions(strength, luminance, tile))(image)
        assert difference(tiled, whole) <= 1

    def test_a_reach_that_is_stated_too_short_leaves_no_edge(self):
        image = cv2.GaussianBlur(noise(96, 160), (0, 0), 6)
        image = cv2.normalize(image, None, 60, 200, cv2.NORM_MINMAX)
        liar = Session(blur_enhancer(2, 6, stated=2))
        whole = Enhancer(liar, EnhanceOptions(luminance="off", tile=1000))(image).astype(int)
        tiled = Enhancer(liar, EnhanceOptions(luminance="off", tile=48))(image).astype(int)
        wrong = tiled - whole
        assert np.abs(wrong).max() > 1
        steps = np.abs(np.diff(wrong[:, 16:-16], axis=1))
        # A hard cut would step by 2 / 13 of up to 200 levels.
        assert steps.max() <= 2

    def test_out_of_memory_makes_smaller_tiles(self):
        image, model = noise(150, 170), blur_enhancer(2, 6)
        greedy = Greedy(model, 80 * 80)
        found = Enhancer(greedy, COLOUR)(image)
        assert greedy.tried[0] > 80 * 80 >= greedy.tried[-1]
        assert difference(found, Enhancer(Session(model), COLOUR)(image)) <= 1

    @pytest.mark.parametrize("size", [(150, 170), (3, 3)])
    def test_out_of_memory_in_the_smallest_tile_is_an_error(self, size):
        with pytest.raises(LimitError, match="not enough memory"):
            Enhancer(Greedy(blur_enhancer(2, 6), 1), COLOUR)(noise(*size))

    def test_a_result_beyond_the_free_memory_is_an_error_before_any_work(self, monkeypatch):
        monkeypatch.setattr(tiling, "available_memory", lambda: 1000)
        idle = Fake(lambda _: pytest.fail("the network ran"))
        with pytest.raises(LimitError, match="a result of 20 x 18 pixels"):
            Enhancer(idle, COLOUR)(noise(9, 10))

    @pytest.mark.parametrize(
        ("free", "side"), [(None, 512), (2**40, 512), (4 * 2048 * 100**2, 100), (0, 0)]
    )
    def test_side_by_memory(self, monkeypatch, free, side):
        monkeypatch.setattr(tiling, "available_memory", lambda: free)
        assert tiling.tile_side(2048, 512 * 2**20) == side

    def test_free_memory_of_a_container(self, tmp_path):
        assert tiling._cgroup(tmp_path) is None
        (tmp_path / "memory.max").write_text("1000\n")
        (tmp_path / "memory.current").write_text("700\n")
        (tmp_path / "memory.stat").write_text("anon 400\nfile 300\n")
        assert tiling._cgroup(tmp_path) == 600
        (tmp_path / "memory.max").write_text("max\n")
        assert tiling._cgroup(tmp_path) is None


class TestStrength:
    def test_none_is_plain_interpolation_without_the_network(self):
        idle = Fake(lambda _: pytest.fail("the network ran"))
        image = noise(9, 12)
        found = Enhancer(idle, EnhanceOptions(strength=0))(image)
        assert difference(found, resize(image, 24, 18)) == 0

    @pytest.mark.parametrize("strength", [0.25, 0.5, 1.0])
    def test_mixes(self, nearest, strength):
        image = noise(20, 24)
        found = Enhancer(nearest, EnhanceOptions(strength, "off"))(image)
        plain = resize(image, 48, 40)
        mixed = plain + strength * (repeated(image, 2).astype(float) - plain)
        assert np.abs(found - mixed).max() <= 0.51

    def test_what_the_network_overshoots_is_clipped(self):
        def beyond(array):
            big = array.repeat(2, axis=2).repeat(2, axis=3)
            return np.where(big > 0.5, 3, -2).astype(np.float32)

        image = noise(8, 8)
        found = Enhancer(Fake(beyond), COLOUR)(image)
        assert difference(found, np.where(repeated(image, 2) > 127, 255, 0)) == 0


def reddening(array):
    """Nearest, brighter by 0.1, and red by 0.3 on top."""
    big = array.repeat(2, axis=2).repeat(2, axis=3) + np.float32(0.1)
    big[:, 0] += 0.3
    return big


class TestLuminance:
    def test_grey_pictures_stay_grey_without_being_told(self):
        level = noise(30, 40)[..., :1] // 2
        found = Enhancer(Fake(reddening))(np.repeat(level, 3, axis=2))
        assert difference(found[..., :1], found[..., 1:2]) == 0
        assert difference(found[..., :1], found[..., 2:]) == 0
        # 0.1 in all channels, and the red's share of 0.299 in luma.
        assert np.median(found - repeated(level, 2).astype(float)) == pytest.approx(48, abs=1)

    def test_coloured_ones_are_the_networks_unless_told(self):
        image = np.zeros((16, 16, 3), np.uint8)
        image[:8], image[8:] = (20, 120, 60), (120, 30, 90)
        free = Enhancer(Fake(reddening))(image)
        assert free[4, 4].tolist() == [122, 146, 86]
        held = Enhancer(Fake(reddening), EnhanceOptions(luminance="on"))(image)
        assert held[4, 4].tolist() == [68, 168, 108]
        assert difference(Enhancer(Fake(reddening))(image, True), held) == 0


class TestCard:
    @pytest.mark.parametrize(
        ("card", "says"),
        [
            (a_card(), "is no enhancer"),
            (enhancer_card(extra={"reach": 3}), "names no scale"),
            (enhancer_card(extra={"scale": 2}), "names no reach"),
            (enhancer_card(extra={"scale": "2", "reach": 3}), "names no scale"),
        ],
    )
    def test_facts_that_are_missing(self, card, says):
        with pytest.raises(ModelError, match=says):
            Enhancer(Fake(lambda array: array, card), COLOUR)(noise(4, 4))

    def test_an_output_that_is_not_what_the_card_says(self):
        with pytest.raises(ModelError, match="where its card says"):
            Enhancer(Fake(lambda array: array), COLOUR)(noise(4, 4))

    def test_another_kind_of_model(self):
        with pytest.raises(ModelError, match="is no enhancer"):
            Enhancer(Session(constant_colouriser()), COLOUR)(noise(4, 4))

    @pytest.mark.parametrize(
        "options", [{"strength": -0.1}, {"strength": 1.1}, {"luminance": "yes"}, {"tile": 0}]
    )
    def test_impossible_options(self, options):
        with pytest.raises(SettingError):
            EnhanceOptions(**options)

    def test_what_is_no_picture(self, nearest):
        with pytest.raises(ValueError):
            Enhancer(nearest)(np.zeros((4, 4), np.uint8))


class TestFaces:
    @pytest.mark.parametrize(
        "box", [(40, 30, 80, 80), (-5, -5, 20, 20), (150, 90, 170, 130), (0, 0, 160, 120)]
    )
    def test_a_crop_is_that_part_of_the_whole(self, blur, box):
        image = noise(120, 160)
        enhancer = Enhancer(blur, COLOUR)
        part = crop(image, face_at(*box))
        rows, columns = part.image.shape[:2]
        whole = enhancer(image)
        y, x = 2 * part.y, 2 * part.x
        expected = whole[y : y + 2 * rows, x : x + 2 * columns]
        assert difference(enhance_crop(image, part, enhancer), expected) <= 1

    def test_without_faces_it_is_plain_interpolation(self, nearest):
        image = noise(20, 30)
        assert difference(enhance_faces(image, [], Enhancer(nearest)), resize(image, 60, 40)) == 0

    def test_faces_fade_in_without_seams(self):
        image = np.full((120, 160, 3), 100, np.uint8)
        image[::2] = 110

        def bright(array):
            return array.repeat(2, axis=2).repeat(2, axis=3) + np.float32(40 / 255)

        faces = [face_at(40, 40, 80, 90), face_at(60, 50, 100, 100)]
        found = enhance_faces(image, faces, Enhancer(Fake(bright), COLOUR))
        plain = resize(image, 320, 240)
        added = found.astype(int) - plain
        for face in faces:
            x1, y1, x2, y2 = (2 * face.box).astype(int)
            assert (added[y1 + 8 : y2 - 8, x1 + 8 : x2 - 8] >= 32).all()
        assert (added[:10] == 0).all()
        assert (added[:, -40:] == 0).all()
        # Forty levels over the fade, and the cubic ripple of the stripes.
        assert np.abs(np.diff(added, axis=1)).max() <= 8

    def test_the_stage_leaves_large_faces_alone(self, nearest):
        image = noise(200, 300)
        crops = [crop(image, face_at(10, 10, 60, 109)), crop(image, face_at(100, 10, 180, 110))]
        stage = FaceEnhancer(Enhancer(nearest, COLOUR), ORIGIN, below=100)
        assert stage(image, []) == []
        small, large = stage(image, crops)
        assert large is None
        assert difference(small.image, repeated(crops[0].image, 2)) == 0
        assert (small.scale, small.origin, small.strength) == (2, ORIGIN, 1.0)
        assert (small.drift.verdict, small.drift.similarity) == ("unknown", None)
        assert stage(image, crops[1:]) == [None]


class TestLaying:
    def test_a_ramp(self):
        assert ramp(3, 0, 0).tolist() == [1, 1, 1]
        # t t (3 - 2 t) at the middles of two pixels.
        assert ramp(4, 2, 0).tolist() == pytest.approx([0.15625, 0.84375, 1, 1])
        assert ramp(4, 0, 2).tolist() == pytest.approx([1, 1, 0.84375, 0.15625])

    def test_in_place(self):
        canvas = np.zeros((4, 6, 3), np.uint8)
        lay(canvas, np.full((2, 4, 3), 200, np.uint8), 1, 1, (2, 0, 0, 0))
        assert canvas[1, :, 0].tolist() == [0, 31, 169, 200, 200, 0]
        assert canvas[[0, 3]].max() == 0


MEMORY = """
import re, sys
from pathlib import Path
import numpy as np
from facecctv.models.session import Session
from facecctv.vision.colourise import Colouriser
from facecctv.vision.enhance import Enhancer
image = np.ascontiguousarray(np.broadcast_to(np.arange(4000)[None, :, None] % 251, (3000, 4000, 3)),
                             dtype=np.uint8)
stage = {"enhancer": Enhancer, "colouriser": Colouriser}[sys.argv[1]]
result = stage(Session(Path(sys.argv[2]).read_bytes()))(image)
assert result.shape[2] == 3
print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("stage", "model", "most"),
    [("enhancer", blur_enhancer(2, 1), 1500), ("colouriser", constant_colouriser(), 500)],
)
def test_twelve_megapixels_in_bounded_memory(tmp_path, stage, model, most):
    (tmp_path / "model.onnx").write_bytes(model)
    arguments = [sys.executable, "-c", MEMORY, stage, str(tmp_path / "model.onnx")]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert int(done.stdout) / 1024 < most
