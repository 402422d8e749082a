"""Pairs of the user's own: reading, error rates by size, calibration, the command."""

from __future__ import annotations

import json

import numpy as np
import pytest

from facecctv import cli
from facecctv.errors import FaceCountError, InputError, LabelError
from facecctv.identity.calibrate import read_calibration
from facecctv.learn import pair_plots
from facecctv.learn.pair_report import (
    Pair,
    PairScores,
    compare_pairs,
    crossed_rates,
    people_of,
    read_pairs,
    report,
)
from facecctv.learn.stated import RATES, halves
from facecctv.types import Face, Portrait, Pose, Quality
from tests.patterned import embedder, portrait


def scores(count: int, seed: int = 0) -> PairScores:
    random = np.random.default_rng(seed)
    px = np.exp2(random.uniform(3.3, 6.5, count))
    same = random.random(count) < 0.3
    found = np.where(same, random.normal(0.6, 0.12, count), random.normal(0.05, 0.1, count))
    quality = random.uniform(0.1, 0.9, count)
    first = random.integers(0, 400, count)
    second = np.where(same, first, (first + random.integers(1, 400, count)) % 400)
    people = np.stack([first, second], axis=1)
    return PairScores(np.clip(found, -1, 1), same, px, quality, people, ())


def test_no_rows_are_no_pairs(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("image_a,image_b,same\n")
    assert read_pairs(path) == []


def test_rows_are_relative_to_the_table(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("note,same,image_a,image_b\nx,1,a.png,sub/b.png\n,No,a.png,/c.png\n")
    assert read_pairs(path) == [
        Pair(str(tmp_path / "a.png"), str(tmp_path / "sub/b.png"), True),
        Pair(str(tmp_path / "a.png"), "/c.png", False),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "columns"), ("image_a,image_b\n", "columns"), ("image_a,image_b,same\na,b,2\n", "line 2"),
     ("image_a,image_b,same\na,b,1\na,,1\n", "line 3"), ("image_a,image_b,same\na\n", "line 2")],
)  # fmt: skip
def test_a_broken_table_is_refused(tmp_path, text, message):
    path = tmp_path / "p.csv"
    path.write_text(text)
    with pytest.raises(LabelError, match=message):
        read_pairs(path)


def test_a_missing_or_binary_table_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_pairs(tmp_path / "p.csv")
    (tmp_path / "p.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(LabelError, match="UTF-8"):
        read_pairs(tmp_path / "p.csv")


def seen(name: str) -> Portrait:
    if name == "empty":
        raise FaceCountError("no face was found in it")
    size = 20 if name == "small" else 60
    face = Face((0, 0, size, size), [[1, 1], [3, 1], [2, 2], [1, 3], [3, 3]], 0.9)
    quality = Quality(0.2 if name == "small" else 0.8, size, 9, 1, 0, 0.5, 0.5, 0,
                      Pose(0, 0, 0), False, "")  # fmt: skip
    vector = np.array([0, 1] if name == "other" else [1, 0], np.float32)
    return Portrait(face, quality=quality, embedding=vector)


def test_pairs_are_compared_by_the_worse_face_and_unusable_ones_left_out():
    told = []
    found = compare_pairs(
        [Pair("a", "small", True), Pair("a", "other", False), Pair("a", "empty", True)],
        seen,
        lambda done, of: told.append((done, of)),
    )
    assert found.similarity.tolist() == [1, 0]
    assert found.same.tolist() == [True, False]
    assert found.face_px.tolist() == [20, 60]
    assert found.quality.tolist() == [0.2, 0.8]
    assert found.people.tolist() == [[0, 0], [0, 1]]
    assert found.skipped == (("empty", "no face was found in it"),)
    assert told[-1] == (4, 4)


def test_no_pairs_have_a_report_of_nothing():
    found = report(compare_pairs([], seen), "tiny 1")
    assert all(band.eer is None and band.same == 0 for band in found.bands)
    assert json.loads(found.to_json())["bands"][0]["accuracy"] is None


def test_the_report_by_size():
    given = scores(20_000)
    found = report(given, "tiny 1")
    everything, *bands = found.bands
    assert everything.same == given.same.sum()
    assert sum(band.same + band.different for band in bands) == 20_000
    assert everything.eer < 0.02
    assert everything.accuracy > 0.98
    for band in (everything, *bands):
        for stated in ("0.03", "0.01"):
            assert float(stated) / 2 < band.measured[stated] < float(stated) * 2
        assert 0.4 < band.judged / band.different < 0.6  # strangers of one half each
    assert (found.people, found.unjudged) == (400, None)
    assert [one.stated for one in everything.stated] == list(RATES)
    assert everything.stated[2].passed == round(everything.measured["0.01"] * everything.judged)


def test_no_pair_is_judged_by_a_calibration_that_knew_its_people():
    """One half of the people resemble each other more: those fitted to it would state less."""
    given = scores(30_000)
    half = halves(np.arange(400))
    inside = (half[given.people] == 1).all(axis=1) & ~given.same
    given.similarity[inside] = np.clip(given.similarity[inside] + 0.1, -1, 1)
    stated = crossed_rates(given)
    across = half[given.people[:, 0]] != half[given.people[:, 1]]
    assert np.isnan(stated[across]).all()
    assert np.isfinite(stated[~across]).all()
    alike = inside & np.isfinite(stated)
    assert (stated[alike] <= 0.01).mean() > 0.03
    others = ~inside & ~given.same & np.isfinite(stated)
    assert (stated[others] <= 0.01).mean() < 0.003


def test_pictures_are_joined_to_people():
    assert people_of([]).shape == (0, 2)
    pairs = [("a", "b", True), ("c", "d", True), ("b", "c", True), ("a", "e", False)]
    found = people_of([Pair(*one) for one in [*pairs, ("f", "d", False)]])
    assert found.tolist() == [[0, 0], [0, 0], [0, 0], [0, 1], [2, 0]]


def test_too_few_people_state_nothing_and_say_so():
    given = scores(100)
    with pytest.raises(InputError, match="too few pairs"):
        crossed_rates(given)
    found = report(given, "tiny 1")
    assert found.unjudged.startswith("in halves of the 145 people: too few pairs")
    assert found.bands[0].measured["0.01"] is None
    assert (found.bands[0].stated, found.bands[0].judged) == ((), 0)
    assert found.bands[0].eer is not None


def test_plots_are_drawn():
    given = scores(3_000)
    plots = pair_plots.all_plots(given, report(given, "tiny 1"))
    assert set(pair_plots.stated_and_measured({})) == {"png", "svg"}
    assert set(plots) == {"det", "roc", "similarities", "calibration"}
    for files in plots.values():
        assert files["png"].startswith(b"\x89PNG")
        assert b"<svg" in files["svg"]


def test_the_command_writes_table_plots_and_calibration(tmp_path, monkeypatch, red_model, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACECCTV_MODELS", str(tmp_path))
    embedder(tmp_path)
    rows = ["image_a,image_b,same"]
    for person in range(24):
        (tmp_path / f"{person}.png").write_bytes(portrait(person))
        (tmp_path / f"{person}b.png").write_bytes(portrait(person, height=352))
    rows += [f"{person}.png,{person}b.png,1" for person in range(24)] * 2
    rows += [f"{a}.png,{b}.png,0" for a in range(24) for b in range(a)]
    (tmp_path / "pairs.csv").write_text("\n".join(rows))
    command = ["evaluate", "recogniser", "pairs.csv", "--model", red_model]
    assert cli.main([*command, "-o", "out", "--calibrate", "c.json"]) == 0
    out, err = capsys.readouterr()
    assert "not measured: in halves of the 24 people: too few pairs" in err
    assert out.startswith("face-embedder 1.0\n\nworse face")
    assert "12-16 px" not in out
    assert "16-24 px      48        276" in out
    assert (tmp_path / "out" / "calibration.svg").is_file()
    found = read_calibration((tmp_path / "c.json").read_text())
    assert (found.same, found.different) == (48, 276)
    assert found.embedder == "face-embedder 1.0"
    (tmp_path / "none.png").write_bytes(portrait())
    (tmp_path / "pairs.csv").write_text("\n".join([*rows[:5], "0.png,none.png,1"]))
    assert cli.main([*command, "--json"]) == 1
    found, error = capsys.readouterr()
    assert json.loads(found)["bands"][0]["same"] == 4
    assert "none.png: no face was found" in error
    assert cli.main([*command, "--calibrate", "d.json"]) == 1
    assert "too few pairs" in capsys.readouterr().err
    assert not (tmp_path / "d.json").exists()
