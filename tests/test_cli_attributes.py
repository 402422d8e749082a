"""Age and gender from the command line, over models of a few bytes."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from facecctv import cli
from facecctv.image import encode
from facecctv.schema import Result
from tests.learn.test_aligned import write_set
from tests.red_detector import red_picture
from tests.tiny_enhancers import mean_embedder
from tests.tiny_estimator import tiny_estimator


@pytest.fixture
def place(tmp_path, monkeypatch):
    """a.png with two faces of 16 px, none.png, and an estimator; the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACECCTV_MODELS", str(tmp_path / "models"))
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "face-attributes.onnx").write_bytes(tiny_estimator())
    (tmp_path / "a.png").write_bytes(encode(red_picture(640, 480, (20, 30), (50, 10))))
    (tmp_path / "none.png").write_bytes(encode(red_picture(640, 300)))
    return tmp_path


@pytest.fixture
def run(place, red_model, capsys):
    def call(*arguments, detects=True):
        more = ["--model", red_model] if detects else []
        status = cli.main([*map(str, arguments), *more])
        return status, *capsys.readouterr()

    return call


class TestAttributes:
    def test_every_face_has_an_age_and_a_gender_and_nothing_else_is_learnt(self, run):
        status, out, err = run("attributes", "a.png", "none.png", "--json")
        found, none = map(json.loads, out.splitlines())
        assert (status, err) == (0, "")
        assert none["faces"] == []
        assert len(found["faces"]) == 2
        for face in found["faces"]:
            assert set(face) == {"box", "landmarks", "age", "gender"}
            assert set(face["age"]) == {"low", "high", "estimate", "probability"}
            assert face["age"]["low"] <= face["age"]["estimate"] <= face["age"]["high"]
            assert face["age"]["probability"] == 0.8
            assert face["gender"] == {"value": "male", "probability": pytest.approx(1, abs=1e-3)}

    def test_for_people_and_a_bad_file(self, run, place):
        (place / "bad.png").write_bytes(b"x")
        status, out, err = run("attributes", "a.png", "bad.png", "none.png")
        assert status == 1
        first, second = out.splitlines()
        years = r"\d+-\d+, probably male"
        assert re.fullmatch(rf"a\.png: 2 faces, estimated: {years}; {years}", first)
        assert second == "none.png: no faces"
        assert err.startswith("bad.png: ")

    def test_faces_that_are_too_small_get_no_answer(self, run, place):
        card = {"thresholds": {"face_px": {"value": 17, "at": ""},
                               "gender": {"value": 0.75, "at": ""}}}  # fmt: skip
        (place / "models" / "face-attributes.onnx").write_bytes(tiny_estimator(**card))
        _, out, _ = run("attributes", "a.png", "--json")
        for face in json.loads(out)["faces"]:
            assert set(face) == {"box", "landmarks", "attributes"}
            assert face["attributes"] == "insufficient_quality"
        _, out, _ = run("attributes", "a.png")
        assert "too little to tell age or gender" in out

    @pytest.mark.parametrize("model", [None, b"x", mean_embedder()])
    def test_without_a_model_for_it_there_is_one_error(self, run, place, monkeypatch, model):
        path = place / "models" / "other.onnx"
        if model is not None:
            path.write_bytes(model)
        status, out, err = run("attributes", "a.png", "none.png", "--estimator", path)
        assert (status, out) == (1, "")
        assert len(err.splitlines()) == 1


class TestExamine:
    def test_only_on_request(self, run, place):
        _, out, _ = run("examine", "a.png", "--enhance", "off", "--json")
        assert not {"age", "gender", "attributes"} & set(json.loads(out)["faces"][0])
        page = (place / "facecctv-results" / "index.html").read_text()
        assert "Estimated" not in page

    def test_in_the_result_on_the_page_and_in_words(self, run, place):
        status, out, _ = run("examine", "a.png", "--enhance", "off", "--attributes")
        assert status == 0
        assert re.search(r"; estimated: (\d+-\d+, probably male(; )?){2}\n", out)
        result = Result.model_validate_json(
            (place / "facecctv-results" / "a" / "result.json").read_text()
        )
        assert {face.gender.value for face in result.faces} == {"male"}
        assert result.faces[0].quality is not None
        page = (place / "facecctv-results" / "index.html").read_text()
        assert len(re.findall(r"<p>Estimated: \d+-\d+, probably male</p>", page)) == 2


class TestEvaluate:
    @pytest.fixture
    def data(self, place):
        """Forty-eight faces, each as red as its bin's age says, alike in every split."""
        ages = [("0", "2", 1), ("20", "29", 24), ("50", "59", 55)] * 16
        rows = [
            {"image": f"{split}{number}.png", "split": split, "age_min": low, "age_max": high,
             "gender": ("male", "female")[number % 2], "race": ("a", "b")[number % 2]}
            for split in ("train", "val")
            for number, (low, high, _) in enumerate(ages)
        ]  # fmt: skip
        images = []
        for number, row in enumerate(rows):
            age = ages[number % len(ages)][2]
            green = 255 if row["gender"] == "female" else 0
            shade = np.array([round(2.55 * age), green, 0], np.uint8)
            images.append(np.broadcast_to(shade, (128, 128, 3)))
        return write_set(place / "portraits", "portraits", rows, images)

    def test_the_report_and_its_plots(self, run, place, data):
        status, out, err = run(
            "evaluate", "attributes", place, "--refit", "-o", "report", detects=False
        )
        assert (status, err) == (0, "")
        assert out.startswith("face-attributes 1.0 on portraits, val; calibration: each half")
        report = json.loads((place / "report" / "report.json").read_text())
        everybody = {row["px"]: row for row in report["rows"]["all"]}
        assert set(everybody) == {16, 24, 32, 48, 64, 112}
        assert everybody[112]["exact"] == everybody[112]["gender"] == 1
        assert everybody[112]["mae"] < 1
        names = {path.name for path in (place / "report").iterdir()}
        assert {"confusion-112.png", "confusion-24.svg", "gender-calibration.png",
                "sizes.svg"} <= names  # fmt: skip
        status, printed, _ = run("evaluate", "attributes", data, "--json", detects=False)
        assert status == 0
        assert json.loads(printed)["calibration"] == "the model's own"

    def test_elsewhere_there_is_nothing_to_measure(self, run, place):
        status, out, err = run("evaluate", "attributes", place / "models", detects=False)
        assert (status, out) == (1, "")
        assert "no portraits.csv" in err
