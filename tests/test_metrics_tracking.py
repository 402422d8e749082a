"""Pairing at least cost, and the figures that tracking is judged by."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from facecctv.metrics import Named, assign, tracking


def test_nothing_to_pair():
    for shape in ((0, 0), (0, 3), (3, 0)):
        rows, columns = assign(np.zeros(shape))
        assert (len(rows), len(columns)) == (0, 0)


def test_pairs_by_hand():
    rows, columns = assign([[4, 1, 3], [2, 0, 5], [3, 2, 2]])
    assert (rows.tolist(), columns.tolist()) == ([0, 1, 2], [1, 0, 2])
    rows, columns = assign([[9, 1], [1, 9], [0, 0]])
    assert sum([[9, 1], [1, 9], [0, 0]][r][c] for r, c in zip(rows, columns, strict=True)) == 1


@given(
    arrays.arrays(
        np.float64,
        st.tuples(st.integers(1, 5), st.integers(1, 5)),
        elements=st.integers(-20, 20).map(float),
    )
)
def test_no_other_pairing_is_cheaper(costs):
    rows, columns = assign(costs)
    few = min(costs.shape)
    assert len(set(rows.tolist())) == len(set(columns.tolist())) == few
    tall = costs if costs.shape[0] <= costs.shape[1] else costs.T
    every = itertools.permutations(range(tall.shape[1]), few)
    least = min(sum(tall[i, j] for i, j in enumerate(order)) for order in every)
    assert costs[rows, columns].sum() == least


def test_costs_must_be_a_finite_table():
    with pytest.raises(ValueError, match="finite"):
        assign([[1.0, math.inf]])
    with pytest.raises(ValueError, match="table"):
        assign([1.0, 2.0])


def frames(*rows):
    """Each frame {name: column}; boxes are 10 x 10 at that column."""
    return [Named(np.array([[x, 0, x + 10, 10] for x in row.values()]), tuple(row)) for row in rows]


NOBODY = frames({}, {}, {})
LEFT_AND_RIGHT = frames({1: 0, 2: 100}, {1: 2, 2: 98}, {1: 4, 2: 96}, {1: 6, 2: 94})


def test_nobody_at_all():
    found = tracking(NOBODY, NOBODY)
    assert math.isnan(found.idf1)
    assert math.isnan(found.mota)
    assert (found.switches, found.missed, found.false) == (0, 0, 0)


def test_a_perfect_answer_under_other_numbers():
    other = frames({7: 0, 5: 100}, {7: 2, 5: 98}, {7: 4, 5: 96}, {7: 6, 5: 94})
    found = tracking(LEFT_AND_RIGHT, other)
    assert (found.idf1, found.mota, found.switches, found.fragments) == (1, 1, 0, 0)


def test_numbers_that_are_swapped_halfway():
    other = frames({1: 0, 2: 100}, {1: 2, 2: 98}, {2: 4, 1: 96}, {2: 6, 1: 94})
    found = tracking(LEFT_AND_RIGHT, other)
    assert (found.idf1, found.switches, found.missed, found.false) == (0.5, 2, 0, 0)
    assert found.mota == 1 - 2 / 8


def test_a_gap_and_a_stranger():
    other = frames({1: 0, 2: 100}, {1: 2, 9: 300}, {1: 4, 2: 96}, {1: 6, 2: 94})
    found = tracking(LEFT_AND_RIGHT, other)
    assert (found.missed, found.false, found.switches, found.fragments) == (1, 1, 0, 1)
    assert found.idf1 == pytest.approx(14 / 16)


def test_frames_must_be_as_many():
    with pytest.raises(ValueError, match="frames"):
        tracking(NOBODY, NOBODY[:1])
    with pytest.raises(ValueError, match="name of its own"):
        Named(np.zeros((2, 4)), (1, 1))


def noisy_walk(seed):
    """Five walkers, and a tracker that jitters, misses, invents and swaps."""
    rng = np.random.default_rng(seed)
    truth, found = [], []
    places, names = rng.uniform(0, 200, 5), np.arange(5)
    for _ in range(60):
        places = places + rng.normal(0, 4, 5)
        there = rng.random(5) < 0.9
        if rng.random() < 0.15:
            names = rng.permutation(names)
        truth.append({n: float(places[n]) for n in range(5) if there[n]})
        seen = {
            int(names[n]) + 10: float(places[n] + rng.normal(0, 2))
            for n in range(5)
            if there[n] and rng.random() < 0.85
        }
        if rng.random() < 0.3:
            seen[99] = float(rng.uniform(0, 200))
        found.append(seen)
    return frames(*truth), frames(*found)


# Of TrackEval 1.3.0: IDF1, identity switches, fragments, missed, false.
PUBLIC = {
    0: (0.27480916, 44, 64, 48, 38),
    1: (0.29769392, 28, 69, 73, 34),
    2: (0.42884990, 24, 67, 72, 41),
    3: (0.33791749, 37, 58, 56, 31),
}


@pytest.mark.parametrize("seed", PUBLIC)
def test_figures_of_a_public_tool(seed):
    found = tracking(*noisy_walk(seed))
    idf1, *counts = PUBLIC[seed]
    assert found.idf1 == pytest.approx(idf1, abs=1e-6)
    assert [found.switches, found.fragments, found.missed, found.false] == counts
