"""`detect --bodies`, `examine --bodies`, `evaluate detector --bodies`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from facecctv import cli
from facecctv.errors import ModelNotFound
from facecctv.image import encode, read, read_metadata
from tests.red_detector import body_of, green_bodies, red_detector, red_picture

# A body with its face, a body without, a face without.
PICTURE = red_picture(640, 480, (20, 25), (70, 10), green=[(20, 30), (50, 40)])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder: a.png with two bodies, none.png with nothing."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "body-detector.onnx").write_bytes(green_bodies())
    monkeypatch.setenv("FACECCTV_MODELS", str(tmp_path / "models"))
    Path("a.png").write_bytes(encode(PICTURE))
    Path("none.png").write_bytes(encode(red_picture(640, 480)))
    return tmp_path


@pytest.fixture
def run(folder, red_model, capsys):
    def call(command, *arguments):
        status = cli.main([command, *map(str, arguments), "--model", red_model])
        return status, *capsys.readouterr()

    return call


def bodies_of(row):
    """Box and linked face's left edge (None without), from left to right."""
    found = []
    for body in row["bodies"]:
        box = list(body["box"].values())[:4]
        face = row["faces"][body["face"]]["box"]["x_min"] if "face" in body else None
        found.append((box, face))
    return sorted(found)


EXPECTED = [(body_of(20, 30), 156), (body_of(50, 40), None)]


class TestDetect:
    def test_nothing_found(self, run):
        status, out, err = run("detect", "none.png", "--bodies", "--json")
        row = json.loads(out)
        assert (status, err) == (0, "")
        assert (row["faces"], row["bodies"]) == ([], [])
        assert run("detect", "none.png", "--bodies")[1] == "none.png: no faces; no bodies\n"

    def test_json(self, run):
        _, out, _ = run("detect", "a.png", "--bodies", "--json")
        row = json.loads(out)
        assert len(row["faces"]) == 2
        assert bodies_of(row) == EXPECTED

    def test_unless_asked_there_is_no_key(self, run):
        assert "bodies" not in json.loads(run("detect", "a.png", "--json")[1])

    def test_for_people(self, run):
        _, out, _ = run("detect", "a.png", "--bodies")
        assert out == "a.png: 2 faces, 16, 16 px high; 2 bodies, 1 without a face\n"

    def test_crops_and_the_annotated_picture(self, run):
        _, out, _ = run("detect", "a.png", "--bodies", "--json", "--crops", "--annotate", "-o", "o")
        row = json.loads(out)
        assert row["files"]["bodies"] == ["a-body-01.png", "a-body-02.png"]
        for body, name in zip(row["bodies"], row["files"]["bodies"], strict=True):
            x_min, y_min, x_max, y_max = (int(side) for side in list(body["box"].values())[:4])
            pixels = read(f"o/{name}").image
            assert (pixels == PICTURE[y_min:y_max, x_min:x_max]).all()
            words = read_metadata(Path("o", name).read_bytes())
            assert words["Crop"] == f"from column {x_min}, row {y_min}"
        _, plain, _ = run("detect", "a.png", "--json", "--annotate", "-o", "plain")
        assert "bodies" not in json.loads(plain)["files"]
        with_bodies, without = read("o/a-annotated.png").image, read("plain/a-annotated.png").image
        assert (with_bodies != without).any()

    def test_a_source_is_not_overwritten(self, run):
        Path("o").mkdir()
        Path("o/a-body-01.png").write_bytes(before := encode(PICTURE))
        _, out, _ = run(
            "detect", "a.png", "o/a-body-01.png", "--bodies", "--json", "--crops", "-o", "o"
        )
        first = json.loads(out.splitlines()[0])
        assert first["files"]["bodies"][0] == "a-2-body-01.png"
        assert Path("o/a-body-01.png").read_bytes() == before

    def test_not_installed(self, run, monkeypatch):
        def nowhere(self, model):
            raise ModelNotFound(f"no model {model!r}")

        monkeypatch.setattr("facecctv.models.store.Store._find", nowhere)
        # The face detector is missing as well, but it is the bodies that are asked about.
        assert cli.main(["detect", "a.png", "--bodies"]) == 1

    def test_a_body_detector_finds_no_faces(self, folder, capsys):
        status = cli.main(["detect", "a.png", "--model", "models/body-detector.onnx"])
        assert status == 1
        assert "finds bodies, not faces" in capsys.readouterr().err

    def test_a_model_of_another_task(self, run):
        Path("models/body-detector.onnx").write_bytes(red_detector())
        status, out, err = run("detect", "a.png", "--bodies")
        assert (status, out) == (1, "")
        assert "is no body-detector" in err


class TestExamine:
    def test_results(self, run):
        status, out, _ = run("examine", "a.png", "none.png", "--bodies", "--json", "-o", "out")
        row, nothing = (json.loads(line) for line in out.splitlines())
        assert status == 0
        assert bodies_of(row) == EXPECTED
        assert row["files"]["bodies"] == ["a/crops/body-01.png", "a/crops/body-02.png"]
        assert all(Path("out", name).is_file() for name in row["files"]["bodies"])
        assert (nothing["bodies"], nothing["files"]["bodies"]) == ([], [])
        saved = json.loads(Path("out/a/result.json").read_text())
        assert saved["bodies"] == row["bodies"]
        page = Path("out/index.html").read_text()
        assert page.count("<h3>Bodies</h3>") == 1
        assert "no face found" in page
        assert "No bodies found." in page
        assert 'src="a/crops/body-02.png"' in page

    def test_again_takes_the_place_of_the_earlier_result(self, run):
        run("examine", "a.png", "--bodies", "-o", "out")
        run("examine", "a.png", "-o", "out")
        assert sorted(path.name for path in Path("out").iterdir()) == ["a", "index.html"]
        assert not list(Path("out/a/crops").glob("body-*"))


class TestEvaluate:
    def test_a_table(self, folder, capsys):
        rows = [["a.png", *body_of(20, 30)], ["a.png", *body_of(50, 40)], ["none.png", *[""] * 4]]
        lines = [",".join(map(str, row)) for row in [["image", "x1", "y1", "x2", "y2"], *rows]]
        Path("boxes.csv").write_text("\n".join(lines))
        arguments = ["boxes.csv", "--bodies", "--condition", "clean"]
        assert cli.main(["evaluate", "detector", *arguments]) == 0
        out = capsys.readouterr().out.splitlines()
        assert "body-detector 1 on boxes.csv (person, val): 2 pictures" in out[0]
        bands = ["8-32", "32-64", "64-128", "128-256", "256+"]
        assert [word for word in out[2].split()[4:] if word != "px"] == ["all", *bands]
        assert out[3].split() == ["clean", "1.000", "-", "-", "1.000", "-", "-"]
        assert out[4].split() == ["bodies", "2", "0", "0", "2", "0", "0"]

    def test_only_the_set_with_bodies(self, folder, capsys):
        arguments = ["boxes.csv", "--bodies", "--set", "faces"]
        assert cli.main(["evaluate", "detector", *arguments]) != 0
        assert "--bodies measures on the set person" in capsys.readouterr().err
