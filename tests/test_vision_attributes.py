from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from facecctv.errors import ModelError
from facecctv.models.session import Session
from facecctv.types import Age, Attributes, Face, Gender
from facecctv.vision.attributes import (
    BATCH,
    INSUFFICIENT,
    AttributeEstimator,
    interval,
    median,
    scale_of,
)
from tests.tiny_enhancers import mean_embedder
from tests.tiny_estimator import estimator_card, tiny_estimator, tiny_scale


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


def plain(red, green, side=112):
    return np.broadcast_to(np.array([red, green, 7], np.uint8), (side, side, 3)).copy()


def face(height, x=0.0, y=0.0, score=0.9):
    marks = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]]) * height
    return Face([x, y, x + height, y + height], marks + np.array([x, y]), score)


def rows(*lists):
    return np.array(lists, np.float32)


class TestIntervals:
    @pytest.mark.parametrize(
        ("shares", "level", "expected"),
        [
            ([1.0], 0.8, (0, 0)),
            ([0, 0, 1, 0], 0.8, (2, 2)),
            ([0.1] * 10, 0.8, (1, 8)),  # a tenth on either side
            ([0.05, 0.05, 0.8, 0.05, 0.05], 0.8, (2, 2)),
            ([0.06, 0.05, 0.78, 0.05, 0.06], 0.8, (1, 3)),
            ([0.25, 0.25, 0.25, 0.25], 0.5, (1, 2)),
            ([0.5, 0, 0, 0.5], 0.8, (0, 3)),
        ],
    )
    def test_by_hand(self, shares, level, expected):
        low, high = interval(rows(shares), level)
        assert (low[0], high[0]) == expected

    @pytest.mark.parametrize(
        ("shares", "expected"),
        [
            ([0, 1, 0], 1.0),
            ([0.5, 0.5], 0.5),  # the border between the two
            ([0.25, 0.5, 0.25], 1.0),
            ([0.2, 0.6, 0.2], 1.0),
            ([0.4, 0.2, 0.4], 1.0),
            ([0.8, 0.2], 0.125),  # -0.5 + 0.5 / 0.8
            ([1, 0], 0.0),
        ],
    )
    def test_medians_by_hand(self, shares, expected):
        assert median(rows(shares))[0] == pytest.approx(expected, abs=1e-6)

    @given(arrays(np.int64, (4, 20), elements=st.integers(1, 1000)))
    def test_an_interval_holds_its_share_and_the_median(self, weights):
        shares = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
        low, high = interval(shares, 0.8)
        middle = median(shares)
        for row, (a, b) in enumerate(zip(low, high, strict=True)):
            assert shares[row, a : b + 1].sum() >= 0.8 - 1e-4
            assert shares[row, :a].sum() <= 0.1 + 1e-4
            assert shares[row, b + 1 :].sum() <= 0.1 + 1e-4
            assert a - 0.5 - 1e-4 <= middle[row] <= b + 0.5 + 1e-4


class TestScales:
    def test_temperatures_run_straight_over_the_logarithm_of_the_size(self):
        scale = tiny_scale(age=(4.0, 2.0), gender=(1.0, 3.0))
        logits = rows([0, np.log(2) * 4, 0]).repeat(4, axis=0)
        years = scale.years(logits, [1, 16, 64, 999])
        np.testing.assert_allclose(years[:2], [[0.25, 0.5, 0.25]] * 2, rtol=1e-5)
        np.testing.assert_allclose(years[2:], [[1 / 6, 4 / 6, 1 / 6]] * 2, rtol=1e-5)
        # 32 is half the way from 16 to 64: the temperature is 2.
        female = scale.female(np.float32([2.0]), [32])
        assert female[0] == pytest.approx(1 / (1 + np.exp(-1)))

    def test_a_card_keeps_it(self):
        scale = tiny_scale(age=(2.5, 1.25), conditions="by hand")
        assert scale_of(estimator_card(scale)) == scale

    @pytest.mark.parametrize(
        "changes",
        [
            {"knots": ()},
            {"age": (1.0,)},
            {"knots": (64.0, 16.0)},
            {"gender": (1.0, 0.0)},
            {"age": (1.0, float("inf"))},
            {"level": 1.0},
            {"widest": -1},
        ],
    )
    def test_impossible_ones(self, changes):
        with pytest.raises(ValueError, match=r"knot|positive|rise|level"):
            tiny_scale(**changes)

    @pytest.mark.parametrize(
        "facts",
        [None, [], {}, {"knots": [1]}, tiny_scale().to_json() | {"knots": [9, 3]},
         tiny_scale().to_json() | {"temper": 1}],
    )  # fmt: skip
    def test_cards_without_one_are_refused(self, facts):
        with pytest.raises(ModelError, match="face-attributes"):
            scale_of(estimator_card(extra={} if facts is None else {"scale": facts}))


class TestEstimating:
    def test_no_faces_need_no_network(self):
        session = Counting(tiny_estimator())
        estimate = AttributeEstimator(session)
        assert estimate(np.zeros((8, 8, 3), np.uint8), []) == []
        assert estimate.estimate([], []) == []
        assert session.batches == []

    def test_a_known_face(self):
        # Red 102 of 255 is 40 years; 1.2816 standard deviations of 5 years to either side.
        (found,) = AttributeEstimator(Session(tiny_estimator())).estimate([plain(102, 255)], [64])
        assert found.verdict == "estimated"
        assert (found.age.low, found.age.high) == (34, 46)
        assert found.age.estimate == pytest.approx(40, abs=0.01)
        assert found.age.probability == 0.8
        assert found.gender.value == "female"
        assert found.gender.probability == pytest.approx(1.0)

    @pytest.mark.parametrize(
        ("green", "value", "probability"),
        [
            (0, "male", 1.0),
            # 40 * (green / 255 - 1 / 2) as a logit
            (119, "male", 0.79),
            (124, "undetermined", 0.634),
            (131, "undetermined", 0.634),
            (136, "female", 0.79),
        ],
    )
    def test_a_gender_that_the_picture_does_not_show(self, green, value, probability):
        estimate = AttributeEstimator(Session(tiny_estimator()))
        (found,) = estimate.estimate([plain(100, green)], [64])
        assert found.gender.value == value
        assert found.gender.probability == pytest.approx(probability, abs=0.01)

    def test_smaller_faces_have_wider_intervals_where_the_scale_says_so(self):
        scale = tiny_scale(age=(4.0, 1.0))
        estimate = AttributeEstimator(Session(tiny_estimator(scale=scale)))
        small, large = estimate.estimate([plain(102, 0)] * 2, [16, 64])
        assert (large.age.low, large.age.high) == (34, 46)
        assert (small.age.low, small.age.high) == (27, 53)  # twice the spread

    def test_faces_of_a_picture_in_one_batch_and_small_ones_not_at_all(self):
        session = Counting(tiny_estimator())
        image = plain(102, 255, side=200)
        faces = [face(40, 10, 10), face(11.9, 100, 100), face(60, 120, 30), face(4)]
        found = AttributeEstimator(session)(image, faces)
        assert session.batches == [2]
        assert found[1] == found[3] == INSUFFICIENT
        assert [one.verdict for one in found] == [
            "estimated", "insufficient_quality", "estimated", "insufficient_quality",
        ]  # fmt: skip

    def test_batches_are_bounded(self):
        session = Counting(tiny_estimator())
        found = AttributeEstimator(session).estimate(
            [plain(9, 9)] * (BATCH + 1), [50] * (BATCH + 1)
        )
        assert len(found) == BATCH + 1
        assert session.batches == [BATCH, 1]

    def test_where_it_knows_no_more_than_of_people_at_large_it_says_so(self):
        # Years as good as evenly spread, and no gender: a wall, noise, the back of a head.
        estimate = AttributeEstimator(Session(tiny_estimator(spread=1000)))
        even, known = estimate.estimate([plain(127, 128), plain(127, 255)], [64, 64])
        assert even == INSUFFICIENT
        assert known.verdict == "estimated"  # the gender is worth something
        assert known.age.high - known.age.low >= 55

    def test_a_picture_of_four_pixels(self):
        image = np.random.default_rng(0).integers(0, 256, (4, 4, 3), np.uint8)
        assert AttributeEstimator(Session(tiny_estimator()))(image, [face(4)]) == [INSUFFICIENT]

    def test_landmarks_in_one_point(self):
        spot = Face([5, 5, 65, 65], np.full((5, 2), 30), 0.5)
        (found,) = AttributeEstimator(Session(tiny_estimator()))(plain(102, 0, 80), [spot])
        assert found.gender.value == "male"

    def test_with_its_mirror_image_a_face_and_its_mirror_image_are_the_same(self):
        session = Counting(tiny_estimator(extra={"scale": tiny_scale().to_json(), "mirror": True}))
        crop = plain(50, 200)
        crop[:, :40] = 0
        ages, genders = AttributeEstimator(session).logits([crop, crop[:, ::-1]])
        assert session.batches == [2, 2]
        np.testing.assert_allclose(ages[0], ages[1], rtol=1e-5)
        np.testing.assert_allclose(genders[0], genders[1], rtol=1e-5)

    def test_faces_of_another_size_are_refused(self):
        with pytest.raises(ValueError, match="112 x 112"):
            AttributeEstimator(Session(tiny_estimator())).logits([np.zeros((96, 96, 3), np.uint8)])

    @pytest.mark.parametrize(
        "model",
        [mean_embedder(), tiny_estimator(extra={}), tiny_estimator(thresholds={})],
        ids=["another task", "no scale", "no thresholds"],
    )
    def test_other_models_are_refused(self, model):
        estimate = AttributeEstimator(Session(model))
        with pytest.raises(ModelError):
            estimate.check()
        with pytest.raises(ModelError):
            estimate(plain(1, 1), [face(50)])


class TestTypes:
    @pytest.mark.parametrize(
        "facts", [(-1, 5, 3.0, 0.8), (5, 4, 5.0, 0.8), (5, 9, 9.5, 0.8), (5, 9, 7.0, 1.8)]
    )
    def test_impossible_ages(self, facts):
        with pytest.raises(ValueError, match=r"low|probability"):
            Age(*facts)

    def test_a_gender_less_likely_than_the_other(self):
        with pytest.raises(ValueError, match=r"0\.5"):
            Gender("male", 0.4)

    def test_a_verdict_that_contradicts_itself(self):
        with pytest.raises(ValueError, match="if and only if"):
            Attributes()
        with pytest.raises(ValueError, match="if and only if"):
            Attributes(gender=Gender("male", 0.9), verdict="insufficient_quality")
