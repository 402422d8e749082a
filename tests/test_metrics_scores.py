from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, det_curve, roc_curve
from sklearn.model_selection import PredefinedSplit

from facecctv.metrics import (
    accuracy_by_folds,
    calibration,
    eer,
    normal_deviate,
    roc,
    tar_at_far,
)


def test_no_scores_have_no_rates() -> None:
    curve = roc([], [])
    assert curve.thresholds.tolist() == [math.inf]
    assert np.isnan([*curve.fpr, *curve.tpr]).all()
    assert math.isnan(eer([], []))
    assert np.isnan(tar_at_far([], [], 0.1)).all()


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_alone_has_no_error_rates(label: int) -> None:
    assert math.isnan(eer([0.1, 0.9], [label, label]))
    assert np.isnan(tar_at_far([0.1, 0.9], [label, label], 0.1)).all()


def test_the_curve_by_hand() -> None:
    curve = roc([0.9, 0.8, 0.8, 0.3], [1, 1, 0, 0])
    assert curve.thresholds.tolist() == [math.inf, 0.9, 0.8, 0.3]
    assert curve.fpr.tolist() == [0, 0, 0.5, 1]
    assert curve.tpr.tolist() == [0, 0.5, 1, 1]
    assert curve.fnr.tolist() == [1, 0.5, 0, 0]


@pytest.mark.parametrize(
    ("scores", "labels", "expected"),
    [
        ([2, 1], [1, 0], 0.0),
        ([2, 1], [0, 1], 1.0),
        ([1, 1], [0, 1], 0.5),
        ([4, 3, 2, 1], [1, 0, 1, 0], 0.5),
        ([0.9, 0.8, 0.8, 0.3], [1, 1, 0, 0], 0.25),
        ([5, 4, 3, 2, 1, 0], [1, 1, 0, 1, 0, 0], 1 / 3),
    ],
)
def test_equal_error_rates_by_hand(scores: list[float], labels: list[int], expected: float) -> None:
    assert eer(scores, labels) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("far", "expected"),
    [(0, (0.5, 0.9)), (0.49, (0.5, 0.9)), (0.5, (1.0, 0.8)), (1, (1.0, 0.3))],
)
def test_tar_at_far_by_hand(far: float, expected: tuple[float, float]) -> None:
    assert tar_at_far([0.9, 0.8, 0.8, 0.3], [1, 1, 0, 0], far) == expected


def test_no_score_is_strict_enough() -> None:
    assert tar_at_far([2, 1], [0, 1], 0) == (0, math.inf)


pairs = st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=2, max_size=40).filter(
    lambda pairs: len({label for _, label in pairs}) == 2
)


@given(pairs)
def test_parity_with_scikit_learn(pairs: list[tuple[int, bool]]) -> None:
    scores, labels = [s for s, _ in pairs], [label for _, label in pairs]
    curve = roc(scores, labels)
    fpr, tpr, thresholds = roc_curve(labels, scores, drop_intermediate=False)
    np.testing.assert_allclose(curve.fpr, fpr)
    np.testing.assert_allclose(curve.tpr, tpr)
    np.testing.assert_array_equal(curve.thresholds, thresholds)


@given(pairs)
def test_the_equal_error_rate_does_not_care_which_class_is_which(
    pairs: list[tuple[int, bool]],
) -> None:
    scores, labels = np.array([s for s, _ in pairs]), np.array([label for _, label in pairs])
    assert eer(scores, labels) == pytest.approx(eer(-scores, ~labels))


@pytest.mark.parametrize(
    ("scores", "labels"),
    [([0.1], []), ([[0.1]], [[1]]), ([math.nan], [1]), ([math.inf], [1]), ([0.1], [2])],
)
def test_what_does_not_fit_is_refused(scores: list[float], labels: list[int]) -> None:
    with pytest.raises(ValueError, match=r"scores|labels"):
        roc(scores, labels)


def test_rates_and_probabilities_are_fractions() -> None:
    with pytest.raises(ValueError, match=r"0\.\.1"):
        tar_at_far([2, 1], [0, 1], -0.1)
    with pytest.raises(ValueError, match=r"0\.\.1"):
        calibration([1.1], [1])


def test_no_probabilities_are_not_calibrated() -> None:
    result = calibration([], [], bins=3)
    assert math.isnan(result.error)
    assert result.count.tolist() == [0, 0, 0]
    assert np.isnan(result.confidence).all()


def test_calibration_by_hand() -> None:
    said = [0.0, 0.2, 0.5, 0.9, 1.0, 1.0]
    came = [0, 1, 0, 1, 1, 0]
    result = calibration(said, came, bins=2)
    assert result.count.tolist() == [2, 4]
    np.testing.assert_allclose(result.confidence, [0.1, 0.85])
    np.testing.assert_allclose(result.frequency, [0.5, 0.5])
    assert result.error == pytest.approx((2 * 0.4 + 4 * 0.35) / 6)


@pytest.mark.parametrize(
    ("said", "came", "error"), [(1, 1, 0), (1, 0, 1), (0, 0, 0), (0.7, 1, 0.3)]
)
def test_calibration_of_one(said: float, came: int, error: float) -> None:
    assert calibration([said], [came]).error == pytest.approx(error)


def test_no_pairs_have_no_accuracy() -> None:
    found = accuracy_by_folds([], [])
    assert math.isnan(found.mean)
    assert len(found.accuracies) == 10


def test_accuracy_in_two_folds_by_hand() -> None:
    scores, labels, folds = [0.9, 0.1, 0.8, 0.85], [1, 0, 1, 0], [0, 0, 1, 1]
    found = accuracy_by_folds(scores, labels, folds)
    # Fold 1 alone is best judged at "never" or at 0.8: one of two is right, so the highest counts.
    assert found.thresholds.tolist() == [math.inf, 0.9]
    assert found.accuracies.tolist() == [0.5, 0.5]
    assert (found.mean, found.standard_error) == (0.5, 0)


def test_pairs_are_dealt_out_by_class() -> None:
    found = accuracy_by_folds([2.0] * 20 + [1.0] * 20, [1] * 20 + [0] * 20)
    assert (found.mean, found.standard_error) == (1, 0)
    assert found.thresholds.tolist() == [2] * 10


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans(), st.integers(0, 2)), min_size=6))
def test_accuracy_by_folds_has_parity_with_scikit_learn(rows: list[tuple[int, bool, int]]) -> None:
    scores, labels, folds = (np.array(column) for column in zip(*rows, strict=True))
    found = accuracy_by_folds(scores, labels, folds)
    splits = PredefinedSplit(folds).split()
    for (train, test), accuracy in zip(splits, found.accuracies, strict=True):
        if not len(train):
            assert math.isnan(accuracy)
            continue
        candidates = [math.inf, *sorted(set(scores[train]), reverse=True)]
        right = [accuracy_score(labels[train], scores[train] >= t) for t in candidates]
        best = candidates[int(np.argmax(np.round(right, 12)))]
        assert accuracy == pytest.approx(accuracy_score(labels[test], scores[test] >= best))


@given(pairs)
def test_the_det_curve_has_parity_with_scikit_learn(pairs: list[tuple[int, bool]]) -> None:
    scores, labels = [s for s, _ in pairs], [label for _, label in pairs]
    curve = roc(scores, labels)
    ours = {
        (round(a, 9), round(b, 9)) for a, b in zip(curve.fpr, curve.fnr, strict=True)
    }  # fmt: skip
    fpr, fnr, _ = det_curve(labels, scores)
    assert {(round(a, 9), round(b, 9)) for a, b in zip(fpr, fnr, strict=True)} <= ours


def test_normal_deviates_by_hand() -> None:
    found = normal_deviate([0, 0.5, 0.158655, 0.977250, 1])
    np.testing.assert_allclose(found, [-np.inf, 0, -1, 2, np.inf], atol=1e-5)


def test_folds_have_the_shape_of_scores() -> None:
    with pytest.raises(ValueError, match="folds"):
        accuracy_by_folds([1, 2], [0, 1], [0])
