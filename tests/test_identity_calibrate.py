"""Calibration: what is stated is what is measured, on scores whose law is known."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facecctv.errors import InputError, ModelError
from facecctv.identity.calibrate import Calibration, Evidence, calibration_of, read_calibration
from facecctv.identity.fitting import fit
from facecctv.metrics import calibration as reliability
from tests.tiny_models import a_card

BY_HAND = Calibration(
    knots=(12.0, 48.0),
    mean=(0.2, 0.0),
    spread=(0.2, 0.1),
    start=(1.6, 1.7),
    scale=(0.4, 0.5),
    shape=-0.1,
    same_mean=(0.45, 0.7),
    same_spread=(0.15, 0.1),
    bias=(-1.0, -2.0),
    slope=(1.0, 0.8),
    quality_shift=0.2,
    quality_stretch=0.3,
    same=1000,
    different=100_000,
)
similarities = st.floats(-1, 1)
sizes = st.floats(6, 200)
qualities = st.one_of(st.none(), st.floats(0, 1))
shapes = st.sampled_from([-0.3, -0.1, 0.0, 0.2])


def scores(size: int, seed: int, px=None) -> tuple[np.ndarray, ...]:
    """Pairs as a recogniser might give them: worse pictures, more alike strangers, fewer friends.

    Strangers are skewed (gamma), so nothing about the law is what is fitted.
    """
    random = np.random.default_rng(seed)
    height = np.exp2(random.uniform(3.5, 6.6, size)) if px is None else np.full(size, float(px))
    same = random.random(size) < 0.2
    quality = random.uniform(0.2, 0.9, size)
    blur = (6.6 - np.log2(height)) / 3.1
    mean, spread = 0.02 + 0.15 * blur**2, 0.09 + 0.06 * blur
    strangers = mean + spread * (random.gamma(16, 1, size) - 16) / 4
    friends = random.normal(0.72 - 0.35 * blur, 0.1 + 0.05 * blur, size)
    return np.clip(np.where(same, friends, strangers), -1, 1), same, height, quality


@pytest.fixture(scope="module")
def fitted() -> Calibration:
    return fit(*scores(100_000, 1), embedder="tiny 1", conditions="made by code")


@pytest.mark.parametrize("px", [12, 14, 20, 24, 32, 40, 64, 90])
def test_the_stated_rate_is_the_measured_one_at_every_size(fitted, px):
    s, same, height, quality = scores(120_000, 2, px)
    for rate in (0.2, 1e-2, 1e-3):
        passed = s[~same] >= fitted.threshold(rate, height[~same], quality[~same])
        assert rate / 2 < passed.mean() < rate * 2


def test_the_likelihood_ratio_is_a_probability_when_made_one(fitted):
    s, same, px, quality = scores(30_000, 3)
    odds = np.power(10, fitted.llr(s, px, quality)) * 0.2 / 0.8
    assert reliability(odds / (1 + odds), same.astype(int)).error < 0.03


def test_quality_counts_where_it_is_known():
    random = np.random.default_rng(4)
    quality = random.uniform(0, 1, 40_000)
    same = random.random(40_000) < 0.3
    noise = random.normal(0, 0.1 * np.exp(0.8 * (quality - 0.5)))
    s = np.where(same, random.normal(0.7, 0.1, 40_000), 0.1 * (quality - 0.5) + noise)
    found = fit(s, same, np.full(40_000, 40.0), quality)
    for low in (0.0, 0.25, 0.5, 0.75):
        inside = ~same & (quality >= low) & (quality < low + 0.25)
        measured = (s[inside] >= found.threshold(0.01, 40, quality[inside])).mean()
        assert 0.005 < measured < 0.02
    assert fit(s, same, np.full(40_000, 40.0)).quality_shift == 0


@given(similarities, st.floats(1e-3, 1), sizes, qualities, shapes)
def test_a_higher_similarity_is_rarer_among_strangers_and_stronger_evidence(s, more, px, q, shape):
    found = replace(BY_HAND, shape=shape)
    # So far below all strangers that the rate rounds to 1 there is nothing left to rise.
    assert found.fmr(s + more, px, q) < found.fmr(s, px, q) or found.fmr(s + more, px, q) == 1
    assert found.llr(s + more, px, q) >= found.llr(s, px, q)
    assert 0 < found.fmr(s, px, q) <= 1


@given(st.floats(-12, -0.01).map(math.exp), sizes, qualities, shapes)
def test_threshold_and_rate_are_inverse(rate, px, quality, shape):
    found = replace(BY_HAND, shape=shape)
    threshold = found.threshold(rate, px, quality)
    assert found.fmr(threshold, px, quality) == pytest.approx(rate, rel=1e-6)


def test_arrays_go_in_and_come_out_in_one_shape():
    rates = BY_HAND.fmr(np.zeros((3, 1)), np.array([12.0, 20, 48, 90]))
    assert rates.shape == (3, 4)
    assert BY_HAND.threshold([0.1, 1e-4], 20).shape == (2,)
    assert BY_HAND.fmr(0.5, 48) == BY_HAND.fmr(0.5, 500)


def decide(*found: Evidence, px=48.0, compared=1, rate=1e-3, by=BY_HAND):
    return by.decide(found, px, compared=compared, rate=rate)


def test_nobody_at_all_is_no_match():
    verdict = decide()
    assert (verdict.decision, verdict.judgements, verdict.gap) == ("no_match", (), None)


@pytest.mark.parametrize(
    ("similarity", "compared", "decision"),
    [(0.9, 1, "match"), (0.1, 1, "no_match"), (0.28, 1, "inconclusive"), (0.36, 1, "match"),
     (0.36, 1000, "no_match"), (0.65, 100, "match"), (1.0, 1, "match")],
)  # fmt: skip
def test_one_candidate(similarity, compared, decision):
    verdict = decide(Evidence(similarity, 48), compared=compared)
    assert verdict.decision == decision
    assert verdict.judgements[0].decision == decision


def test_the_rate_of_a_whole_search_grows_with_the_gallery():
    one, many = (decide(Evidence(0.4, 48), compared=n).judgements[0] for n in (1, 500))
    single = float(BY_HAND.fmr(0.4, 48))
    assert one.false_match_rate == pytest.approx(single)
    assert many.false_match_rate == pytest.approx(1 - (1 - single) ** 500)


def test_the_worse_face_of_the_two_counts():
    small = decide(Evidence(0.5, 48), px=16).judgements[0]
    assert small == decide(Evidence(0.5, 16), px=48).judgements[0]
    assert small.false_match_rate > decide(Evidence(0.5, 48)).judgements[0].false_match_rate


def test_a_face_of_eight_pixels_is_insufficient_whatever_it_resembles():
    assert decide(px=8).decision == "insufficient_quality"
    assert decide(Evidence(0.99, 48), px=8).decision == "insufficient_quality"
    hopeless = replace(BY_HAND, same_mean=(0.21, 0.7), same_spread=(0.2, 0.1))
    assert decide(Evidence(0.99, 48), px=12, by=hopeless).decision == "insufficient_quality"


def test_a_small_face_on_record_spoils_only_its_own_candidate():
    verdict = decide(Evidence(0.9, 48), Evidence(0.8, 8))
    assert [one.decision for one in verdict.judgements] == ["match", "insufficient_quality"]
    assert verdict.decision == "match"
    assert verdict.gap == pytest.approx(0.1)


def test_two_who_match_alike_leave_it_open_and_a_clear_gap_does_not():
    assert decide(Evidence(0.9, 48), Evidence(0.88, 48)).decision == "inconclusive"
    verdict = decide(Evidence(0.9, 48), Evidence(0.6, 48))
    assert [one.decision for one in verdict.judgements] == ["match", "inconclusive"]
    assert verdict.decision == "match"


def test_a_rate_beyond_what_was_measured_matches_nobody():
    assert BY_HAND.least_rate == pytest.approx(1e-7)
    assert decide(Evidence(1.0, 48), rate=1e-7).decision == "match"
    assert decide(Evidence(1.0, 48), rate=9e-8).decision == "inconclusive"


@pytest.mark.parametrize(("rate", "compared"), [(0, 1), (1, 1), (0.1, 0)])
def test_impossible_rates_are_refused(rate, compared):
    with pytest.raises(ValueError, match="rate"):
        decide(rate=rate, compared=compared)
    with pytest.raises(ValueError, match="rate"):
        BY_HAND.threshold([0.5, 0], 20)


def test_strangers_at_the_default_rate_are_hardly_ever_matched(fitted):
    s, same, px, quality = scores(4_000, 6)
    judged = [
        fitted.decide([Evidence(a, b, c)], b, c).decision
        for a, b, c in zip(s[~same], px[~same], quality[~same], strict=True)
    ]
    assert judged.count("match") <= 10  # of about 3,200 at 1e-3
    assert judged.count("no_match") > 2_000


def test_it_survives_json_and_the_card(fitted):
    text = json.dumps(fitted.to_json())
    assert read_calibration(text) == fitted
    assert calibration_of(a_card(extra={"calibration": json.loads(text)})) == fitted
    assert fitted.embedder == "tiny 1"
    assert fitted.knots == (12.0, 16.0, 24.0, 32.0, 48.0, 64.0, 96.0)


@pytest.mark.parametrize(
    "changes",
    [{"form": "x"}, {"knots": []}, {"knots": [48, 12]}, {"mean": [0.1]}, {"spread": [0.1, 0]},
     {"slope": [1, "steep"]}, {"shape": 2}, {"different": 0}, {"scale": [0.1, float("nan")]}],
)  # fmt: skip
def test_a_broken_calibration_is_refused(changes):
    found = BY_HAND.to_json() | changes
    with pytest.raises(InputError, match="calibration"):
        read_calibration(json.dumps(found))


def test_no_calibration_is_told():
    with pytest.raises(ModelError, match="evaluate recogniser"):
        calibration_of(a_card())
    with pytest.raises(ModelError, match="card of tiny"):
        calibration_of(a_card(extra={"calibration": 3}))
    with pytest.raises(InputError, match="not JSON"):
        read_calibration("{")


@pytest.mark.parametrize("size", [0, 100])
def test_too_few_pairs_are_refused(size):
    with pytest.raises(InputError, match="too few pairs"):
        fit(*scores(size, 1))


def test_pairs_that_cannot_be_fitted_are_refused():
    same = np.arange(1000) % 2 == 0
    with pytest.raises(InputError, match="nothing to fit"):
        fit(np.zeros(1000), same, np.full(1000, 40.0))
    with pytest.raises(InputError, match="finite"):
        fit(np.full(1000, np.nan), same, np.full(1000, 40.0))
    with pytest.raises(ValueError, match="one shape"):
        fit(np.zeros(999), same, np.full(1000, 40.0))


def test_pairs_of_one_size_make_one_knot():
    s, same, px, _ = scores(20_000, 1, px=30)
    found = fit(s, same, px)
    assert found.knots == (30.0,)
    assert found.fmr(0.3, 30) == found.fmr(0.3, 60)
