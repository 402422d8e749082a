"""The made video: who is where, at which time, and the same each time."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from facecctv.demo import Person
from facecctv.demo.clip import Walker, clip, steady

NEAR = Walker(2, Person(x=60, face_px=40), 100, 40, 0.0, 1.0)
FAR = Walker(1, Person(x=20, face_px=20), 140, 20, 0.5, 1.0)


def test_nobody():
    (shot,) = clip((160, 120), (), [Fraction(0)])
    assert (shot.faces, shot.names) == ((), ())
    assert shot.frame.image.shape == (120, 160, 3)


def test_walkers_are_where_they_are_said_to_be():
    shots = list(clip((160, 120), (NEAR, FAR), [Fraction(0), Fraction(1, 2), Fraction(2)]))
    assert [shot.names for shot in shots] == [(2,), (1, 2), ()]
    assert [shot.frame.time for shot in shots] == [0, Fraction(1, 2), 2]
    for shot, x in ((shots[0], 60), (shots[1], 80)):
        box = shot.faces[-1].box
        assert abs((box[0] + box[2]) / 2 - x) < 0.01
        assert abs(box[3] - box[1] - 40) < 0.01


def test_who_stands_behind_somebody_is_not_to_be_found():
    behind = Walker(1, Person(x=80, face_px=20), 80, 20, 0.0, 1.0)
    (shot,) = clip((160, 120), (NEAR, behind), [Fraction(1, 2)])
    assert shot.names == (2,)


def test_the_same_arguments_give_the_same_pixels():
    one, other = (next(clip((160, 120), (NEAR,), steady(0.1), night=True)) for _ in range(2))
    assert np.array_equal(one.frame.image, other.frame.image)
