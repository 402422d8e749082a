from __future__ import annotations

import numpy as np
import pytest

from facecctv.errors import ModelError
from facecctv.models.session import Session
from facecctv.vision.recognise import BATCH, Recogniser
from tests.tiny_enhancers import mean_embedder, nearest_enhancer


class Counting:
    """A session that notes the size of each batch."""

    def __init__(self, model):
        self._session, self.batches = Session(model), []

    @property
    def card(self):
        return self._session.card

    def run(self, *arrays):
        self.batches.append(len(arrays[0]))
        return self._session.run(*arrays)


def crops(count, seed=0):
    return list(np.random.default_rng(seed).integers(0, 256, (count, 112, 112, 3), np.uint8))


def test_no_faces_need_no_network():
    session = Counting(mean_embedder())
    assert Recogniser(session).embed([]).shape[0] == 0
    assert session.batches == []


def test_rows_are_unit_vectors_in_order():
    recogniser, faces = Recogniser(Session(mean_embedder())), crops(3)
    found = recogniser.embed(faces)
    assert found.shape == (3, 16)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-6)
    for face, row in zip(faces, found, strict=True):
        np.testing.assert_allclose(recogniser.embed([face])[0], row, atol=1e-6)


def test_batches_are_bounded():
    session = Counting(mean_embedder())
    assert Recogniser(session).embed(crops(2 * BATCH + 1)).shape == (2 * BATCH + 1, 16)
    assert session.batches == [BATCH, BATCH, 1]


def test_with_its_mirror_image_a_face_and_its_mirror_image_are_the_same():
    recogniser = Recogniser(Session(mean_embedder()), mirror=True)
    face = crops(1)[0]
    face[:, :56] //= 3
    one, other = recogniser.embed([face, face[:, ::-1]])
    np.testing.assert_allclose(one, other, atol=1e-6)
    assert np.linalg.norm(one) == pytest.approx(1)
    plain = Recogniser(Session(mean_embedder())).embed([face, face[:, ::-1]])
    assert plain[0] @ plain[1] < 0.9


def test_faces_of_another_size_are_refused():
    with pytest.raises(ValueError, match="112 x 112"):
        Recogniser(Session(mean_embedder())).embed([np.zeros((96, 112, 3), np.uint8)])


@pytest.mark.parametrize(
    "model",
    [nearest_enhancer(), mean_embedder(extra={"crop": "box"})],
    ids=["another task", "faces not aligned"],
)
def test_other_models_are_refused(model):
    with pytest.raises(ModelError):
        Recogniser(Session(model)).embed(crops(1))
