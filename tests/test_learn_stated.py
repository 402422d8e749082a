"""Stated against measured rates: halves of people, intervals, and a law that is known."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facecctv import cli, metrics
from facecctv.errors import InputError
from facecctv.learn.stated import RATES, StatedRate, calibrated, halves, judge, stated_rates
from facecctv.learn.verification import PeopleSeen, draw_pairs
from tests.labelled_people import patterns
from tests.tiny_enhancers import mean_embedder


def crowd(people: int, each: int, seed: int = 0) -> PeopleSeen:
    """Directions by chance, a person's pictures about one; the probe is a worse sight."""
    random = np.random.default_rng(seed)
    names = np.repeat(np.arange(people), each)
    centres = random.normal(size=(people, 24))[names]

    def sight(noise: float) -> np.ndarray:
        rows = centres + noise * random.normal(size=centres.shape)
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    stored = np.full(len(names), 90.0, np.float32)
    return PeopleSeen(names, stored, sight(0.4), {None: sight(0.4), 16: sight(0.9)})


@pytest.mark.parametrize("people", [0, 1, 2, 7, 60])
def test_halves_are_of_people_and_even(people):
    names = np.repeat(np.arange(people), 3)
    found = halves(names, seed=1)
    assert found.tolist() == np.repeat(found[::3], 3).tolist()
    assert abs((found[::3] == 0).sum() - (found[::3] == 1).sum()) <= 1
    assert (halves(names, seed=1) == found).all()


def test_another_seed_draws_others():
    names = np.arange(60)
    assert (halves(names, 0) != halves(names, 1)).any()


def test_what_is_stated_is_measured_on_other_people():
    judged = judge(crowd(80, 12))
    assert list(judged) == [None, 16]
    for rates in judged.values():
        assert [one.stated for one in rates] == list(RATES)
        assert len({one.pairs for one in rates}) == 1
        for one in rates:
            assert one.stated / 2 < one.measured < one.stated * 2


def test_nobody_is_in_both_halves(monkeypatch):
    """With pictures that are their own person's number, the pairs that were asked for are seen."""
    seen, asked = crowd(40, 8), []
    monkeypatch.setattr(
        PeopleSeen,
        "similarities",
        lambda self, pairs, size: asked.append(pairs) or _true_similarities(self, pairs, size),
    )
    judge(seen)
    half = halves(seen.people)
    sides = [set(half[np.concatenate([one.first, one.second])].tolist()) for one in asked]
    assert sides == [{1}, {1}, {0}, {0}, {0}, {0}, {1}, {1}]


_true_similarities = PeopleSeen.similarities


def test_too_few_people_are_refused():
    with pytest.raises(InputError, match="too few pairs"):
        judge(crowd(4, 3))


def test_a_calibration_knows_its_sizes_and_conditions():
    seen = crowd(60, 10)
    found = calibrated(seen, draw_pairs(seen.people, 2_000), "tiny 1")
    assert (found.knots[0], found.knots[-1]) == (16.0, 64.0)
    assert (found.embedder, found.same, found.different) == ("tiny 1", 4_000, 4_000)
    assert "identities val" in found.conditions


def test_rates_by_hand():
    assert math.isnan(stated_rates(np.array([]))[0].measured)
    found = {one.stated: one.passed for one in stated_rates(np.array([0.5, 0.1, 0.02, 0.001]))}
    assert found == {0.1: 3, 0.03: 2, 0.01: 1, 0.003: 1, 0.001: 1}
    low, high = StatedRate(0.01, 10, 1000).interval
    assert (low, high) == (pytest.approx(0.00544, abs=1e-5), pytest.approx(0.01831, abs=1e-5))


@pytest.mark.parametrize(
    ("hits", "count", "bounds"),
    [(0, 0, (0, 1)), (0, 10, (0, 0.27753)), (10, 10, (0.72247, 1)), (5, 10, (0.23659, 0.76341))],
)
def test_intervals_by_hand(hits, count, bounds):
    assert metrics.share_interval(hits, count) == pytest.approx(bounds, abs=1e-5)


@given(st.integers(1, 10**6), st.floats(0, 1), st.floats(0.01, 0.999))
def test_an_interval_holds_the_share(count, share, level):
    hits = round(share * count)
    low, high = metrics.share_interval(hits, count, level)
    assert 0 <= low <= hits / count + 1e-12
    assert hits / count - 1e-12 <= high <= 1


@pytest.mark.parametrize(("hits", "count", "level"), [(-1, 2, 0.9), (3, 2, 0.9), (1, 2, 1.0)])
def test_impossible_shares(hits, count, level):
    with pytest.raises(ValueError, match="hits"):
        metrics.share_interval(hits, count, level)


def test_the_command_writes_report_and_plot(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FACECCTV_MODELS", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "face-embedder.onnx").write_bytes(mean_embedder())
    assert cli.main(["evaluate", "embedder", "data"]) == 1
    assert "no folder identities" in capsys.readouterr().err
    (tmp_path / "data").mkdir()
    patterns(tmp_path / "data" / "identities", 30, 4)
    assert cli.main(["evaluate", "embedder", "data", "-o", "out", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report == json.loads((tmp_path / "out" / "report.json").read_text())
    assert (report["people"], report["pictures"]) == (30, 120)
    assert [size["probe_px"] for size in report["sizes"]] == [None, 64, 48, 32, 24, 16, 12]
    rate = report["sizes"][0]["stated"][0]
    assert rate["rate"] == 0.1
    assert rate["low"] < rate["measured"] < rate["high"]
    assert rate["passed"] <= rate["pairs"] == 2 * 15 * 14 // 2 * 16
    assert (tmp_path / "out" / "calibration.png").read_bytes().startswith(b"\x89PNG")
    assert cli.main(["evaluate", "embedder", "data"]) == 0
    assert "30 people, 120 pictures\n\nprobe" in capsys.readouterr().out
