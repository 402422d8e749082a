from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facecctv.errors import ModelError
from facecctv.models.session import Session
from facecctv.types import Body, Face
from facecctv.vision.bodies import BodyFinder, link
from facecctv.vision.detect import Detector
from tests.red_detector import body_of, green_bodies, red_detector, red_picture


def face(x, y, width, height=None):
    """At the top left corner x, y."""
    box = np.array([x, y, x + width, y + (height or width)], float)
    marks = np.array([[3, 4], [7, 4], [5, 6], [4, 8], [6, 8]]) / 10 * (box[2:] - box[:2]) + box[:2]
    return Face(box, marks, 0.9)


def body(x1, y1, x2, y2):
    return Body(np.array([x1, y1, x2, y2], float), 0.8)


STANDING = body(100, 100, 160, 260)  # 60 x 160: a face of about 20 px, 4 to 24 px under the top
HEAD = face(120, 104, 20)


@pytest.mark.parametrize(
    ("bodies", "faces", "links"),
    [
        ([], [], []),
        ([], [HEAD], []),
        ([STANDING], [], [None]),
        ([STANDING], [HEAD], [0]),
        ([STANDING], [face(300, 104, 20)], [None]),  # beside it
        ([STANDING], [face(120, 80, 20)], [None]),  # over it
        ([STANDING], [face(150, 104, 20)], [None]),  # half of it outside
        ([STANDING], [face(144, 104, 20)], [0]),  # most of it inside
        ([STANDING], [face(120, 220, 20)], [None]),  # at the feet
        ([STANDING], [face(120, 104, 8)], [None]),  # too small for the body: behind it
        ([STANDING], [face(60, 60, 140)], [None]),  # larger than the body
        ([body(100, 200, 260, 260)], [face(230, 220, 20)], [0]),  # lying
        ([body(0, 0, 100, 90)], [face(30, 20, 40)], [0]),  # head and shoulders
        ([STANDING], [face(300, 0, 20), HEAD], [1]),
        ([STANDING], [face(120, 150, 20), HEAD], [1]),  # of two, the one where heads are
        ([body(300, 100, 360, 260), STANDING], [HEAD], [None, 0]),
        # Somebody small stands before somebody tall: both heads lie in the tall one's box.
        ([body(90, 20, 170, 300), STANDING], [HEAD, face(120, 28, 24)], [1, 0]),
        # The tall one's face is turned away: the other's goes to its own body.
        ([body(90, 20, 170, 300), STANDING], [HEAD], [None, 0]),
        # As many as fit, though the first body would fit the second face better too.
        ([STANDING, body(100, 101, 160, 200)], [HEAD, face(125, 106, 20)], [0, 1]),
    ],
)
def test_whose_face_is_whose(bodies, faces, links):
    found = link(bodies, faces)
    assert [one.face for one in found] == links
    assert [one.box.tolist() for one in found] == [one.box.tolist() for one in bodies]
    assert [one.score for one in found] == [one.score for one in bodies]


# Whole numbers, so that scaling and moving them rounds nothing.
SIDE = st.integers(4, 80)
PLACE = st.integers(0, 200)
FACES = st.lists(st.builds(face, PLACE, PLACE, SIDE, SIDE), max_size=4)
BODIES = st.lists(
    st.builds(lambda x, y, w, h: body(x, y, x + 2 * w, y + 4 * h), PLACE, PLACE, SIDE, SIDE),
    max_size=4,
)


@given(BODIES, FACES)
def test_one_face_one_body_and_each_in_its_box(bodies, faces):
    found = link(bodies, faces)
    linked = [one.face for one in found if one.face is not None]
    assert len(found) == len(bodies)
    assert len(set(linked)) == len(linked)
    for one in found:
        if one.face is not None:
            middle = (faces[one.face].box[:2] + faces[one.face].box[2:]) / 2
            assert (one.box[:2] <= middle).all()
            assert (middle <= one.box[2:]).all()


@given(BODIES, FACES)
def test_as_many_as_can_be_linked_are(bodies, faces):
    fits = [[link([one], [other])[0].face == 0 for other in faces] for one in bodies]
    most = max(
        sum(fits[b][f] for b, f in zip(order, range(len(faces)), strict=False) if b is not None)
        for order in itertools.permutations([*range(len(bodies)), *[None] * len(faces)], len(faces))
    )
    assert sum(one.face is not None for one in link(bodies, faces)) == most


@given(BODIES, FACES, st.sampled_from([0.5, 2, 4]), st.integers(-64, 64))
def test_a_picture_scaled_and_moved_links_alike(bodies, faces, scale, shift):
    moved = link(
        [Body(one.box * scale + shift, one.score) for one in bodies],
        [Face(one.box * scale + shift, one.landmarks * scale + shift, 0.9) for one in faces],
    )
    assert [one.face for one in moved] == [one.face for one in link(bodies, faces)]


class TestFinder:
    def finder(self, model):
        return BodyFinder(Detector(Session(model, threads=1)))

    def test_nobody(self):
        assert self.finder(green_bodies())(red_picture(640, 480), []) == []

    def test_bodies_with_and_without_a_face(self):
        picture = red_picture(640, 480, green=[(20, 30), (60, 40)])
        found = self.finder(green_bodies())(picture, [face(156, 200, 16)])
        by_place = sorted(found, key=lambda one: one.box[0])
        assert [one.box.tolist() for one in by_place] == [
            pytest.approx(body_of(20, 30), abs=1e-3),
            pytest.approx(body_of(60, 40), abs=1e-3),
        ]
        assert [one.face for one in by_place] == [0, None]

    def test_a_model_of_another_task(self):
        with pytest.raises(ModelError, match="no body-detector"):
            _ = self.finder(red_detector()).card
