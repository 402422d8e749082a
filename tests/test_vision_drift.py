from __future__ import annotations

import numpy as np
import pytest

from facecctv.geometry import crop
from facecctv.image import resize
from facecctv.models.session import Session
from facecctv.types import Drift, Face
from facecctv.vision.drift import DriftMeter, change_map
from facecctv.vision.recognise import Recogniser
from tests.tiny_enhancers import mean_embedder


def face_at(x, y, side, points=None):
    usual = [[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]]
    corner = np.array([x, y])
    return Face([x, y, x + side, y + side], corner + np.array(points or usual) * side, 0.9)


def scene():
    """Soft blotches, so that coarse light and dark is the same at any size."""
    small = np.random.default_rng(3).integers(0, 256, (12, 16, 3), np.uint8)
    return resize(np.repeat(small[..., :1], 3, axis=2), 320, 240)


def meter(**facts):
    return DriftMeter(Recogniser(Session(mean_embedder(**facts))))


def enlarged(part, scale=4):
    rows, columns = part.image.shape[:2]
    return resize(part.image, columns * scale, rows * scale)


class TestVerdicts:
    def test_no_faces(self):
        assert meter()([], []) == []

    def test_plain_interpolation_keeps_and_the_negative_does_not(self):
        parts = [crop(scene(), face_at(x, 60, 80)) for x in (40, 150)]
        kept, drifted = meter()(parts, [enlarged(parts[0]), 255 - enlarged(parts[1])])
        assert kept.verdict == "kept"
        assert kept.similarity == pytest.approx(1, abs=0.01)
        assert drifted.verdict == "drifted"
        assert drifted.similarity == pytest.approx(-1, abs=0.01)
        assert (kept.limit, kept.at) == (pytest.approx(0.9), "1 % of faces, made by hand")

    def test_the_limit_is_the_cards(self):
        part = crop(scene(), face_at(40, 60, 80))
        negative = 255 - enlarged(part)
        assert meter(limit=-1.0)([part], [negative])[0].verdict == "kept"

    @pytest.mark.parametrize(("side", "verdict"), [(23.9, "unknown"), (24.1, "kept")])
    def test_faces_that_are_too_small_are_unknown(self, side, verdict):
        part = crop(scene(), face_at(60, 60, side))
        found = meter()([part], [enlarged(part)])[0]
        assert found.verdict == verdict
        assert (found.similarity is None) == (verdict == "unknown")
        assert found.reason == ("lower than 24 px" if verdict == "unknown" else "")

    def test_points_that_say_nothing_are_unknown(self):
        part = crop(scene(), face_at(60, 60, 80, [[0.5, 0.5]] * 5))
        good = crop(scene(), face_at(60, 60, 80))
        found = meter()([part, good], [enlarged(part), enlarged(good)])
        assert [drift.verdict for drift in found] == ["unknown", "kept"]
        assert found[0].reason == "its landmarks determine no upright face"

    def test_crops_at_the_edge(self):
        part = crop(scene(), face_at(-20, -30, 90))
        assert (part.x, part.y) == (0, 0)
        assert meter()([part], [enlarged(part, 2)])[0].verdict == "kept"


class TestCards:
    @pytest.mark.parametrize(
        ("facts", "says"),
        [
            ({"thresholds": {}}, "the card of face-embedder has no threshold identity-drift"),
            ({"extra": {}}, "the card of face-embedder names no least_face_px"),
            ({"extra": {"least_face_px": "small"}}, "names no least_face_px"),
            ({"extra": {"crop": "box", "least_face_px": 8}}, "takes no aligned faces"),
            ({"task": "face-detector"}, "takes no aligned faces"),
        ],
    )
    def test_a_recogniser_that_cannot_judge_leaves_it_unknown(self, facts, says):
        part = crop(scene(), face_at(60, 60, 80))
        (found,) = meter(**facts)([part], [enlarged(part)])
        assert found.verdict == "unknown"
        assert says in found.reason
        assert meter(**facts)([], []) == []

    def test_a_recogniser_of_another_size(self):
        part = crop(scene(), face_at(60, 60, 80))
        small = meter(side=56)
        assert small([part], [enlarged(part)])[0].verdict == "kept"

    def test_as_many_as_crops(self):
        with pytest.raises(ValueError):
            meter()([crop(scene(), face_at(60, 60, 80))], [])

    @pytest.mark.parametrize(
        "facts",
        [
            {"verdict": "unknown", "similarity": 1.0},
            {"verdict": "kept"},
            {"verdict": "kept", "similarity": 1.0, "reason": "because"},
        ],
    )
    def test_unknown_has_no_figure(self, facts):
        with pytest.raises(ValueError):
            Drift(**facts)


class TestChangeMap:
    @pytest.mark.parametrize(
        ("change", "level"),
        [(0, 128), (1, 130), (-1, 126), (10, 148), (60, 248), (64, 255), (-64, 0), (100, 255)],
    )
    def test_scale(self, change, level):
        before = np.full((3, 4, 3), 120, np.uint8)
        assert (change_map(before, before + np.uint8(change % 256)) == level).all()

    def test_against_plain_interpolation(self):
        before = scene()[:60, :70]
        assert (change_map(before, resize(before, 280, 240)) == 128).all()

    def test_by_channel(self):
        before = np.full((1, 1, 3), 100, np.uint8)
        after = np.array([[[110, 100, 95]]], np.uint8)
        assert change_map(before, after)[0, 0].tolist() == [148, 128, 118]
