from __future__ import annotations

import json
import os

import pytest

from facecctv import cli
from facecctv.image import decode, encode, read, read_metadata
from tests.red_detector import box_of, red_picture

FACE_KEYS = ["box", "landmarks"]


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """Two pictures: a.png with two faces, sub/b.jpg with none; the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "a.png").write_bytes(encode(red_picture(640, 480, (20, 30), (50, 10))))
    (tmp_path / "in" / "sub" / "b.jpg").write_bytes(encode(red_picture(700, 300), "jpeg"))
    return tmp_path


@pytest.fixture
def detect(red_model, capsys):
    """Runs the command; returns status, stdout, stderr."""

    def run(*arguments):
        status = cli.main(["detect", "--model", red_model, *map(str, arguments)])
        return status, *capsys.readouterr()

    return run


class TestOutput:
    def test_json_keeps_the_contract(self, pictures, detect):
        status, out, err = detect("in", "--json")
        rows = [json.loads(line) for line in out.splitlines()]
        assert (status, err) == (0, "")
        assert [list(row) for row in rows] == [["source", "sha256", "width", "height", "faces"]] * 2
        first, second = rows
        assert first["source"] == "in/a.png"
        assert first["sha256"] == read("in/a.png").sha256
        assert (first["width"], first["height"]) == (640, 480)
        assert second["source"] == "in/sub/b.jpg"
        assert second["faces"] == []
        found = []
        for face in first["faces"]:
            assert list(face) == FACE_KEYS
            assert list(face["box"]) == ["x_min", "y_min", "x_max", "y_max", "probability"]
            assert [len(point) for point in face["landmarks"]] == [2] * 5
            found.append(list(face["box"].values())[:4])
        assert sorted(found) == sorted([box_of(20, 30), box_of(50, 10)])

    def test_for_people(self, pictures, detect):
        status, out, err = detect("in")
        assert (status, err) == (0, "")
        assert out == "in/a.png: 2 faces, 16, 16 px high\nin/sub/b.jpg: no faces\n"

    def test_names_stay_as_given(self, pictures, detect):
        _, out, _ = detect("./in/a.png", pictures / "in" / "a.png", "--json")
        names = [json.loads(line)["source"] for line in out.splitlines()]
        assert names == ["./in/a.png", str(pictures / "in" / "a.png")]

    def test_nothing_is_written_unless_asked(self, pictures, detect):
        before = sorted(pictures.rglob("*"))
        detect("in")
        assert sorted(pictures.rglob("*")) == before

    def test_options_reach_the_detector(self, pictures, detect):
        for options in (["--min-face", "17"], ["--threshold", "0.9999999"]):
            _, out, _ = detect("in/a.png", *options)
            assert out == "in/a.png: no faces\n"
        (pictures / "small.png").write_bytes(encode(red_picture(160, 160, (10, 15))))
        assert "px high" in detect("small.png")[1]
        assert detect("small.png", "--enlarge", "off", "--tiles", "off")[1].endswith(
            "1 face, 16 px high\n"
        )


class TestUsage:
    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            ([], "INPUT"),
            (["in", "--annotate"], "-o OUT"),
            (["in", "--crops"], "-o OUT"),
            (["in", "-o", "out"], "--annotate or --crops"),
            (["empty"], "nothing to read in empty"),
            (["in", "--threshold", "1.5"], "threshold"),
            (["in", "--threshold", "nan"], "threshold"),
            (["in", "--min-face", "-1"], "least face height"),
            (["in", "--tiles", "maybe"], "--tiles"),
            (["in", "--colour"], "--colour"),
        ],
    )
    def test_wrong_usage_is_2_and_says_what(self, pictures, detect, arguments, says):
        (pictures / "empty").mkdir()
        status, out, err = detect(*arguments)
        assert (status, out) == (2, "")
        assert says.lower() in err.lower()
        assert not (pictures / "out").exists()


class TestFiles:
    def test_annotated_pictures_and_crops(self, pictures, detect):
        status, out, _ = detect("in", "-o", "out", "--annotate", "--crops", "--json")
        first, second = (json.loads(line) for line in out.splitlines())
        assert status == 0
        assert first["files"] == {
            "annotated": "a-annotated.png",
            "crops": ["a-face-01.png", "a-face-02.png"],
        }
        assert second["files"] == {"annotated": "b-annotated.png", "crops": []}
        assert sorted(os.listdir("out")) == [
            "a-annotated.png",
            "a-face-01.png",
            "a-face-02.png",
            "b-annotated.png",
        ]
        assert read("out/a-annotated.png").image.shape == (480, 640, 3)
        box = first["faces"][0]["box"]
        data = (pictures / "out" / "a-face-01.png").read_bytes()
        crop = decode(data).image
        left, top = (round(box[key]) for key in ("x_min", "y_min"))
        margin = (crop.shape[1] - 16) // 2
        source = read("in/a.png").image
        native = source[top - margin :, left - margin :][: crop.shape[0], : crop.shape[1]]
        assert (crop == native).all()
        assert read_metadata(data)["Source SHA-256"] == first["sha256"]

    def test_only_what_was_asked_for(self, pictures, detect):
        detect("in/a.png", "-o", "one", "--annotate")
        detect("in/a.png", "-o", "two", "--crops")
        assert os.listdir("one") == ["a-annotated.png"]
        assert sorted(os.listdir("two")) == ["a-face-01.png", "a-face-02.png"]

    def test_equal_names_do_not_meet(self, pictures, detect):
        for place in ("in/sub/a.png", "in/sub/A.jpg", "in/sub/a-2.png"):
            (pictures / place).write_bytes((pictures / "in" / "a.png").read_bytes())
        _, out, _ = detect("in", "-o", "out", "--annotate", "--json")
        names = [json.loads(line)["files"]["annotated"] for line in out.splitlines()]
        assert len({name.casefold() for name in names}) == 5
        assert sorted(os.listdir("out")) == sorted(names)

    def test_no_source_is_ever_replaced(self, pictures, detect):
        data = (pictures / "in" / "a.png").read_bytes()
        (pictures / "in" / "a-annotated.png").write_bytes(data)
        (pictures / "in" / "a-2-face-01.png").write_bytes(data)
        names = ["in/a.png", "in/a-annotated.png", "in/a-2-face-01.png"]
        status, out, _ = detect(*names, "-o", "in", "--annotate", "--crops", "--json")
        assert status == 0
        for name in names:
            assert (pictures / name).read_bytes() == data
        assert json.loads(out.splitlines()[0])["files"]["annotated"] == "a-3-annotated.png"

    def test_results_of_an_earlier_run_are_no_input(self, pictures, detect):
        for _ in range(2):
            _, out, _ = detect(".", "-o", "in/out", "--annotate")
            assert len(out.splitlines()) == 2
        _, out, _ = detect("in/out/a-annotated.png", "-o", "in/out", "--annotate")
        assert len(out.splitlines()) == 1

    def test_names_too_long_or_hidden_or_no_unicode(self, pictures, detect):
        data = (pictures / "in" / "a.png").read_bytes()
        for name in (b"x" * 250 + b".png", "ä".encode() * 120 + b".png", b".png", b"\xff.png"):
            path = os.path.join(os.fsencode(pictures), b"in", name)
            with open(path, "wb") as file:
                file.write(data)
            status, out, err = detect(os.fsdecode(path), "-o", "out", "--annotate", "--json")
            assert (status, err) == (0, "")
            assert "faces" in json.loads(out)
        assert len(os.listdir("out")) == 4
        assert not any(name.startswith(".") for name in os.listdir("out"))
