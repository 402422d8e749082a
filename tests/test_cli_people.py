"""embed, verify, search and watchlist from the command line, over models of a few bytes."""

from __future__ import annotations

import json

import numpy as np
import pytest

from facecctv import cli
from facecctv.identity import sealing
from facecctv.identity.watchlist import Watchlist
from tests.patterned import CALIBRATION, embedder, portrait

PASSPHRASE = "correct horse"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with pictures and models, as the current one; the passphrase is set."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACECCTV_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("FACECCTV_PASSPHRASE", PASSPHRASE)
    for method in (Watchlist.create.__func__, Watchlist.rekey):
        monkeypatch.setitem(method.__kwdefaults__, "cost", 2**10)
    (tmp_path / "models").mkdir()
    embedder(tmp_path / "models")
    files = {"ann": (1,), "ann2": (1,), "bob": (10,), "cid": (8,), "none": (), "both": (1, 10)}
    for name, people in files.items():
        (tmp_path / f"{name}.png").write_bytes(portrait(*people))
    return tmp_path


@pytest.fixture
def run(place, red_model, capsys):
    """Runs a command; returns status, stdout, stderr."""

    def call(*arguments, detects=True):
        more = ["--model", red_model] if detects else []
        status = cli.main([*map(str, arguments), *more])
        return status, *capsys.readouterr()

    return call


@pytest.fixture
def enrolled(place, run):
    """people.fwl with Ann."""
    make = ("watchlist", "create", "people.fwl", "--purpose", "theft", "--owner", "J. Doe")
    assert run(*make, detects=False) == (0, "Made people.fwl\n", "")
    status, out, err = run("watchlist", "add", "people.fwl", "Ann", "ann.png",
                           "--expires", "2999-01-01")  # fmt: skip
    assert (status, err) == (0, "")
    assert out == "Ann: 1 picture, 16 px high\n"
    return place / "people.fwl"


class TestEmbed:
    def test_every_face_has_its_numbers_and_no_face_none(self, run):
        status, out, err = run("embed", "both.png", "none.png", "--json")
        both, none = map(json.loads, out.splitlines())
        assert (status, err) == (0, "")
        assert none["faces"] == []
        for face in both["faces"]:
            assert sum(value**2 for value in face["embedding"]) == pytest.approx(1, abs=1e-4)
            assert set(face) == {"box", "landmarks", "quality", "embedding"}

    def test_for_people_and_a_bad_file(self, run, place):
        (place / "bad.png").write_bytes(b"x")
        status, out, err = run("embed", "ann.png", "bad.png", "none.png")
        assert status == 1
        assert out == "ann.png: 1 face, 16 numbers each\nnone.png: no faces\n"
        assert err.startswith("bad.png: ")

    def test_without_a_recogniser_there_is_one_error(self, run, place, monkeypatch):
        status, out, err = run("embed", "ann.png", "--embedder", "nowhere")
        assert (status, out) == (1, "")
        assert "nowhere" in err


class TestVerify:
    @pytest.mark.parametrize(
        ("b", "decision", "words"),
        [("ann2.png", "match", "the same person"), ("bob.png", "no_match", "different people")],
    )
    def test_the_same_or_not(self, run, b, decision, words):
        status, out, err = run("verify", "ann.png", b)
        assert (status, err) == (0, "")
        assert words in out
        assert "16 and 16 px high" in out
        status, out, _ = run("verify", "ann.png", b, "--json")
        found = json.loads(out)
        assert found["decision"] == decision
        assert list(found) == [
            "a", "b", "similarity", "false_match_rate", "log10_likelihood_ratio", "decision",
        ]  # fmt: skip
        assert "embedding" not in found["a"]["faces"][0]

    @pytest.mark.parametrize(
        ("b", "message"),
        [("none.png", "none.png: no face was found"), ("both.png", "both.png: 2 faces were found"),
         ("gone.png", "gone.png: "), ("bad.png", "bad.png: ")],
    )  # fmt: skip
    def test_what_is_not_one_face_is_told(self, run, place, b, message):
        (place / "bad.png").write_bytes(b"x")
        status, out, err = run("verify", "ann.png", b)
        assert (status, out) == (1, "")
        assert message in err

    def test_the_largest_of_several(self, run):
        status, out, _ = run("verify", "ann.png", "both.png", "--largest")
        assert status == 0
        assert out

    def test_several_sights_of_each(self, run):
        more = ("--more-a", "ann2.png", "--more-b", "bob.png")
        status, out, err = run("verify", "ann.png", "cid.png", *more, "--json")
        found = json.loads(out)
        assert (status, err) == (0, "")
        assert [one["source"] for one in found["more_a"]] == ["ann2.png"]
        assert [one["source"] for one in found["more_b"]] == ["bob.png"]
        names = ("ann.png", "ann2.png", "cid.png", "bob.png")
        rows = [json.loads(line) for line in run("embed", *names, "--json")[1].splitlines()]
        faces = [row["faces"][0] for row in rows]
        weighed = [np.multiply(one["embedding"], one["quality"]["score"]) for one in faces]
        first, second = weighed[0] + weighed[1], weighed[2] + weighed[3]
        cosine = first @ second / np.linalg.norm(first) / np.linalg.norm(second)
        assert found["similarity"] == pytest.approx(cosine, abs=2e-3)
        assert "16, 16 and 16, 16 px high" in run("verify", "ann.png", "cid.png", *more)[1]

    def test_a_sight_that_is_none_is_named(self, run):
        status, out, err = run("verify", "ann.png", "bob.png", "--more-b", "none.png")
        assert (status, out) == (1, "")
        assert "none.png: no face was found" in err

    def test_a_face_below_what_was_calibrated_is_insufficient(self, run, place):
        bigger = {**CALIBRATION.to_json(), "knots": [20.0, 48.0]}
        (place / "c.json").write_text(json.dumps(bigger))
        status, out, _ = run("verify", "ann.png", "ann2.png", "--calibration", "c.json", "--json")
        assert status == 0
        assert json.loads(out)["decision"] == "insufficient_quality"
        _, out, _ = run("verify", "ann.png", "ann2.png", "--calibration", "c.json")
        assert "similarity" not in out

    def test_a_calibration_that_does_not_belong_is_refused(self, run, place):
        (place / "c.json").write_text(json.dumps(CALIBRATION.to_json() | {"embedder": "other 2"}))
        (place / "d.json").write_text("{}")
        for file, message in (("c.json", "other 2"), ("d.json", "calibration"), ("e.json", "e.js")):
            status, _, err = run("verify", "ann.png", "bob.png", "--calibration", file)
            assert status == 1
            assert message in err

    def test_a_model_without_calibration_says_how_to_get_one(self, run, place):
        embedder(place / "models", extra={})
        status, _, err = run("verify", "ann.png", "bob.png")
        assert status == 1
        assert "evaluate recogniser" in err

    def test_impossible_rates_are_wrong_usage(self, run):
        assert run("verify", "ann.png", "bob.png", "--rate", "0")[0] == 2


class TestSearch:
    def test_who_is_on_the_list_is_named_and_nobody_else(self, run, enrolled):
        status, out, err = run(
            "search", "both.png", "none.png", "--watchlist", "people.fwl", "--json"
        )
        both, none = map(json.loads, out.splitlines())
        assert (status, err) == (0, "")
        assert none["faces"] == []
        by_place = sorted(both["faces"], key=lambda face: face["box"]["x_min"])
        ann, bob = by_place
        assert ann["decision"] == "match"
        assert [one["name"] for one in ann["candidates"]] == ["Ann"]
        assert ann["candidates"][0]["decision"] == "match"
        assert ann["candidates"][0]["false_match_rate"] < 1e-3
        assert (bob["decision"], bob["candidates"]) == ("no_match", [])
        assert "embedding" not in ann

    def test_for_people(self, run, enrolled):
        status, out, _ = run("search", "ann2.png", "cid.png", "none.png", "--watchlist", enrolled)
        assert status == 0
        lines = out.splitlines()
        assert lines[0].startswith("ann2.png: face 1 match: Ann (1.00, false matches")
        assert lines[1:] == ["cid.png: face 1 no match", "none.png: no faces"]

    def test_every_search_is_logged_and_the_log_shows_changes(self, run, enrolled, place):
        run("search", "ann2.png", "bob.png", "--watchlist", "people.fwl", "--by", "J. Doe",
            "--reason", "case 7")  # fmt: skip
        status, out, _ = run("watchlist", "log", "verify", "people.fwl", detects=False)
        assert (status, out.startswith("2 lines, whole. Anchor: 2 ")) == (0, True)
        anchor = out.strip().removeprefix("2 lines, whole. Anchor: ")
        _, out, _ = run("watchlist", "log", "show", "people.fwl", detects=False)
        first, second = map(json.loads, out.splitlines())
        assert (first["matched"], first["decision"], first["by"]) == (["Ann"], "match", "J. Doe")
        assert (second["matched"], second["reason"]) == ([], "case 7")
        decide = ("watchlist", "log", "decide", "people.fwl", "1", "rejected", "--by", "J. Doe")
        assert run(*decide, detects=False)[:2] == (0, "Line 1: rejected\n")
        assert run(*decide[:4], "9", "open", detects=False)[0] == 1
        verify = ("watchlist", "log", "verify", "people.fwl", "--anchor")
        assert run(*verify, anchor, detects=False)[0] == 0
        assert run(*verify, "nonsense", detects=False)[0] == 1
        book = place / "people.fwl.log"
        book.write_bytes(book.read_bytes().replace(b"J. Doe", b"J. Poe", 1))
        status, out, err = run("watchlist", "log", "verify", "people.fwl", detects=False)
        assert (status, out) == (1, "")
        assert "line 2 does not follow" in err

    def test_a_rejected_face_is_named_no_more(self, run, enrolled):
        status, out, _ = run("watchlist", "negative", "people.fwl", "ann", "ann2.png")
        assert status == 0
        _, out, _ = run("search", "ann2.png", "--watchlist", "people.fwl")
        assert out == "ann2.png: face 1 no match\n"

    def test_another_model_is_refused(self, run, enrolled, place):
        embedder(place / "models", version="9")
        status, out, err = run("search", "ann.png", "--watchlist", "people.fwl")
        assert (status, out) == (1, "")
        assert "make a new list" in err

    def test_without_the_passphrase_nothing_is_searched(self, run, enrolled, monkeypatch):
        monkeypatch.setenv("FACECCTV_PASSPHRASE", "wrong horse")
        status, out, err = run("search", "ann.png", "--watchlist", "people.fwl", "--json")
        assert status == 1
        assert json.loads(out)["error"]["type"] == "WrongKey"
        monkeypatch.delenv("FACECCTV_PASSPHRASE")
        status, _, err = run("search", "ann.png", "--watchlist", "people.fwl")
        assert status == 1
        assert "FACECCTV_PASSPHRASE" in err


class TestWatchlist:
    def test_a_list_is_shown_without_its_templates(self, run, enrolled):
        _, out, _ = run("watchlist", "list", "people.fwl", detects=False)
        assert out == (
            "theft (J. Doe): 1 person\nAnn: 1 template, until 2999-01-01; theft (J. Doe)\n"
        )
        _, out, _ = run("watchlist", "list", "people.fwl", "--json", detects=False)
        found = json.loads(out)
        assert (found["name"], found["templates"], found["pictures"]) == ("Ann", 1, 0)
        assert not found["expired"]

    def test_more_pictures_and_kept_ones(self, run, enrolled):
        more = ("watchlist", "add", "people.fwl", "ann", "ann2.png", "--more", "--keep-pictures")
        assert run(*more)[0] == 0
        found = json.loads(run("watchlist", "list", "people.fwl", "--json", detects=False)[1])
        assert (found["templates"], found["pictures"]) == (2, 1)

    def test_sights_of_one_moment_make_one_template(self, run, enrolled):
        command = ("watchlist", "add", "people.fwl", "Bob", "bob.png", "cid.png", "--together")
        status, out, _ = run(*command, "--expires", "2999-01-01")
        assert (status, out) == (0, "Bob: 2 pictures in one template, 16, 16 px high\n")
        rows = run("watchlist", "list", "people.fwl", "--json", detects=False)[1].splitlines()
        assert [json.loads(row)["templates"] for row in rows] == [1, 1]

    def test_a_list_is_exported_emptied_and_imported(self, run, enrolled, place):
        assert run("watchlist", "export", "people.fwl", "-o", "out.jsonl", detects=False)[0] == 0
        assert (place / "out.jsonl").stat().st_mode & 0o077 == 0
        again = run("watchlist", "export", "people.fwl", "-o", "out.jsonl", detects=False)
        assert again[0] == 1
        taken = run("watchlist", "import", "people.fwl", "out.jsonl", detects=False)
        assert (taken[0], "line 2: somebody" in taken[2]) == (1, True)
        assert run("watchlist", "remove", "people.fwl", "ANN", detects=False)[0] == 0
        assert "0 people" in run("watchlist", "list", "people.fwl", detects=False)[1]
        status, out, _ = run("watchlist", "import", "people.fwl", "out.jsonl", detects=False)
        assert (status, out) == (0, "Imported 1 person\n")
        assert run("watchlist", "import", "people.fwl", "gone", detects=False)[0] == 1
        expired = run("watchlist", "expire", "people.fwl", detects=False)
        assert expired[:2] == (0, "Nobody's time is over\n")

    def test_a_list_is_given_another_key(self, run, enrolled, place, monkeypatch):
        rekey = ("watchlist", "rekey", "people.fwl", "--new-key-file", "key")
        assert run(*rekey, detects=False)[:2] == (0, "Sealed anew\n")
        assert run("watchlist", "list", "people.fwl", detects=False)[0] == 1
        keyed = ("watchlist", "list", "people.fwl", "--key-file", "key")
        assert run(*keyed, detects=False)[0] == 0
        monkeypatch.setenv("FACECCTV_NEW_PASSPHRASE", "battery staple")
        back = ("watchlist", "rekey", "people.fwl", "--key-file", "key")
        assert run(*back, detects=False)[0] == 0
        monkeypatch.setenv("FACECCTV_PASSPHRASE", "battery staple")
        assert run("watchlist", "list", "people.fwl", detects=False)[0] == 0

    @pytest.mark.parametrize(
        ("arguments", "status", "message"),
        [
            (("Bob", "bob.png"), 2, "--expires"),
            (("Bob", "bob.png", "--more", "--expires", "2999-01-01"), 2, "--expires"),
            (("Bob", "bob.png", "--expires", "soon"), 2, "2027"),
            (("Bob", "bob.png", "--expires", "2000-01-01"), 1, "past"),
            (("Bob", "none.png", "--expires", "2999-01-01"), 1, "none.png: no face"),
            (("Bob", "bob.png", "both.png", "--expires", "2999-01-01"), 1, "both.png: 2 faces"),
            (("ann", "bob.png", "--expires", "2999-01-01"), 1, "on the list already"),
            (("Bob", "bob.png", "--more"), 1, "nobody of this name"),
        ],
    )
    def test_who_cannot_be_enrolled_is_not(self, run, enrolled, arguments, status, message):
        got, out, err = run("watchlist", "add", "people.fwl", *arguments)
        assert (got, out) == (status, "")
        assert message in err
        assert "1 person" in run("watchlist", "list", "people.fwl", detects=False)[1]

    def test_an_existing_file_is_not_made_anew(self, run, enrolled):
        make = ("watchlist", "create", "people.fwl", "--purpose", "a", "--owner", "b")
        status, _, err = run(*make, detects=False)
        assert status == 1
        assert "there is a file" in err

    def test_a_short_passphrase_is_refused(self, run, monkeypatch):
        monkeypatch.setenv("FACECCTV_PASSPHRASE", "short")
        make = ("watchlist", "create", "new.fwl", "--purpose", "a", "--owner", "b")
        status, _, err = run(*make, detects=False)
        assert (status, "8 characters" in err) == (1, True)
        assert sealing.COST == 2**17


class TestSightings:
    def test_a_case_is_kept_searched_grouped_and_erased(self, run, place):
        pytest.importorskip("lancedb")
        status, out, err = run("sightings", "add", "seen", "case-1", "ann.png", "both.png",
                               "cid.png", "none.png")  # fmt: skip
        assert (status, err) == (0, "")
        assert out.splitlines()[1::2] == ["both.png: kept 2 faces", "none.png: no faces"]
        assert run("sightings", "list", "seen", detects=False)[1] == "case-1: 4 faces\n"
        search = ("search", "ann2.png", "--sightings", "seen", "--case")
        status, out, _ = run(*search, "case-1", "--json")
        (face,) = json.loads(out)["faces"]
        assert status == 0
        assert face["decision"] == "match"
        assert [one["name"] for one in face["candidates"]] == ["ann.png", "both.png"]
        assert {one["decision"] for one in face["candidates"]} == {"match"}
        assert face["candidates"][0]["seen"]["frame"] == 0
        assert (place / "seen" / "searches.log").is_file()
        assert run(*search, "case-2")[0] == 1
        _, out, _ = run("sightings", "timeline", "seen", "case-1", "--json", detects=False)
        assert [json.loads(line)["name"] for line in out.splitlines()] == [
            "ann.png", "both.png", "both.png", "cid.png"
        ]  # fmt: skip
        grouped = ("sightings", "groups", "seen", "case-1", "--least", "2")
        assert len(run(*grouped, detects=False)[1].splitlines()) == 4
        assert run("sightings", "index", "seen", "case-1", detects=False)[0] == 0
        assert run("sightings", "erase", "seen", "case-1", detects=False)[:2] == (
            0, "Erased case-1\n"
        )  # fmt: skip
        assert run("sightings", "list", "seen", detects=False)[1] == ""

    @pytest.mark.parametrize(
        "what",
        [(), ("--sightings", "seen"), ("--case", "c"), ("--watchlist", "a", "--case", "c"),
         ("--watchlist", "a", "--sightings", "b", "--case", "c")],
    )  # fmt: skip
    def test_what_to_search_is_named_once(self, run, what):
        assert run("search", "ann.png", *what)[0] == 2


class TestExamine:
    def test_page_json_and_log_say_who_it_may_be(self, run, place, enrolled):
        searched = ("--watchlist", enrolled, "--by", "J. Doe", "--reason", "theft")
        status, out, _ = run(
            "examine", "both.png", "none.png", "-o", "out", "--enhance", "off", *searched
        )
        assert status == 0
        assert "match: Ann" in out
        faces = json.loads((place / "out/both/result.json").read_text())["faces"]
        assert sorted(face["decision"] for face in faces) == ["match", "no_match"]
        assert all("embedding" not in face for face in faces)
        page = (place / "out/index.html").read_text()
        assert "<strong>Ann</strong>" in page
        assert page.count("a person decides") == 2
        lines = (place / "people.fwl.log").read_text().splitlines()
        assert [json.loads(line)["by"] for line in lines] == ["J. Doe", "J. Doe"]

    def test_options_of_a_list_need_one(self, run):
        status, _, err = run("examine", "ann.png", "-o", "out", "--key-file", "key")
        assert status == 2
        assert "--watchlist" in err
