"""Best sights, passages joined into people, and what is changed by hand."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import numpy as np
import pytest

from facecctv.errors import EntryError
from facecctv.footage.people import (
    BestSights,
    Edit,
    Known,
    Person,
    gathered,
    joined,
    known,
    within,
    worth,
)
from facecctv.geometry import crop
from facecctv.identity.calibrate import Calibration
from facecctv.types import Face, Pose, Quality, Sighting, Track

CALIBRATION = Calibration(
    knots=(16.0, 64.0),
    mean=(0.0, 0.0),
    spread=(0.1, 0.1),
    start=(1.6, 1.6),
    scale=(0.4, 0.4),
    shape=0.0,
    same_mean=(0.8, 0.8),
    same_spread=(0.1, 0.1),
    bias=(-2.0, -2.0),
    slope=(0.8, 0.8),
    quality_shift=0.0,
    quality_stretch=0.0,
    same=1000,
    different=100_000,
)


def quality(score):
    return Quality(score, 40, 16, 0.5, 2, 0.5, 0.5, 0, Pose(0, 0, 0), False, "fine")


def sighting(index, score=0.5, x=20.0, image=None):
    face = Face([x, 10, x + 40, 50], [[x + 10, 25]] * 4 + [[x + 30, 40]], 1.0)
    cut = None if image is None else crop(image, face)
    return Sighting(index, Fraction(index, 25), face, quality(score), cut)


def track(number, first, last, best=()):
    frames = np.arange(first, last + 1)
    boxes = np.tile(np.array([0, 0, 10, 10], np.float32), (len(frames), 1))
    scores = np.full(len(frames), 0.9, np.float32)
    times = frames / 25
    return Track(
        number, frames, times, boxes, scores, Fraction(first, 25), Fraction(last, 25), best
    )


def test_the_best_sights_are_kept_best_first():
    best = BestSights(3)
    assert best.take(1) == ()
    for index, score in enumerate((0.2, 0.9, 0.5, 0.9, 0.1, 0.6)):
        one = sighting(index, score)
        assert best.wants(1, worth(one)) == (index != 4)
        if best.wants(1, worth(one)):
            best.add(1, one)
    best.add(2, sighting(9))
    assert [one.index for one in best.take(1)] == [1, 3, 5]
    assert best.take(1) == ()
    assert [one.index for one in best.take(2)] == [9]


def test_a_face_in_pixels_of_its_crop():
    image = np.zeros((80, 120, 3), np.uint8)
    part = sighting(0, image=image).crop
    face = within(part)
    assert face.box + np.tile([part.x, part.y], 2) == pytest.approx(part.face.box)
    assert face.landmarks + np.array([part.x, part.y]) == pytest.approx(part.face.landmarks)


def mean_colour(image, faces):
    vector = image.mean(axis=(0, 1)) + 1e-3
    return np.array([vector / np.linalg.norm(vector)] * len(faces), np.float32)


def test_an_embedding_is_that_of_the_best_sights():
    red, blue = np.zeros((2, 80, 120, 3), np.uint8)
    red[..., 0] = blue[..., 2] = 200
    found = known(
        track(1, 0, 9, (sighting(1, 0.9, image=red), sighting(2, 0.1, image=blue))), mean_colour
    )
    assert found.embedding[0] > 0.98
    assert (found.face_px, found.quality) == (40, 0.9)
    assert known(track(1, 0, 9), mean_colour) is None
    assert known(track(1, 0, 9, (sighting(1),)), mean_colour) is None


def vector(angle):
    return Known(np.array([np.cos(angle), np.sin(angle)], np.float32), 48.0, 0.8)


def test_nobody_to_join():
    assert joined([], {}, CALIBRATION) == []


def test_passages_of_one_face_are_one_person():
    tracks = [track(3, 50, 60), track(1, 0, 10), track(2, 20, 30)]
    knowledge = {1: vector(0), 2: vector(1.5), 3: vector(0.1)}
    assert joined(tracks, knowledge, CALIBRATION) == [(1, 3), (2,)]


def test_nobody_is_in_one_picture_twice():
    tracks = [track(1, 0, 30), track(2, 20, 50), track(3, 60, 70)]
    knowledge = dict.fromkeys((1, 2, 3), vector(0))
    groups = joined(tracks, knowledge, CALIBRATION)
    assert len(groups) == 2
    assert all(not {1, 2} <= set(group) for group in groups)


def test_what_is_not_known_stays_by_itself():
    tracks = [track(1, 0, 10), track(2, 20, 30)]
    assert joined(tracks, {1: vector(0)}, CALIBRATION) == [(1,), (2,)]


def test_poor_faces_are_not_joined():
    tiny = dataclasses.replace(vector(0), face_px=6.0)
    tracks = [track(1, 0, 10), track(2, 20, 30)]
    assert joined(tracks, {1: tiny, 2: tiny}, CALIBRATION) == [(1,), (2,)]


TRACKS = [track(1, 0, 10), track(2, 20, 30), track(3, 40, 50)]


def people(*edits, groups=((1, 3), (2,))):
    return [
        (person.number, tuple(t.number for t in person.tracks))
        for person in gathered(TRACKS, groups, edits)
    ]


def test_people_of_their_passages():
    assert gathered([], []) == []
    (person,) = gathered(TRACKS, [(3, 1)])
    assert isinstance(person, Person)
    assert (person.number, person.first, person.last, person.sights) == (1, 0, 2, 22)
    assert [t.number for t in person.tracks] == [1, 3]


def test_joined_and_parted_by_hand():
    assert people() == [(1, (1, 3)), (2, (2,))]
    assert people(Edit("merge", (2, 1))) == [(2, (1, 2, 3))]
    assert people(Edit("split", (1,), 3)) == [(1, (1,)), (2, (2,)), (3, (3,))]
    both = [Edit("split", (1,), 3), Edit("merge", (2, 3))]
    assert people(*both) == [(1, (1,)), (2, (2, 3))]


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (Edit("merge", (1, 9)), "no person 9"),
        (Edit("split", (9,), 1), "no person 9"),
        (Edit("split", (1,), 2), "no passage 2"),
        (Edit("split", (2,), 2), "no other passage"),
    ],
)
def test_edits_of_what_is_not_there(edit, words):
    with pytest.raises(EntryError, match=words):
        people(edit)


@pytest.mark.parametrize(
    "wrong", [("merge", (1,)), ("merge", (1, 1)), ("split", (1,)), ("split", (1, 2), 3)]
)
def test_edits_that_say_nothing(wrong):
    with pytest.raises(ValueError, match="names"):
        Edit(*wrong)
