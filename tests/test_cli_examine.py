from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from facecctv import cli
from facecctv.cli import outputs
from facecctv.cli.examine import _Job
from facecctv.errors import OutputError, SourceChanged
from facecctv.image import Limits, encode, read, read_metadata
from facecctv.pipeline import Pipeline
from facecctv.schema import Result
from tests.red_detector import red_picture


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """in/a.png with two faces and in/none.jpg with none; the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(encode(red_picture(640, 480, (20, 30), (50, 10))))
    (tmp_path / "in" / "none.jpg").write_bytes(encode(red_picture(700, 300), "jpeg"))
    return tmp_path


@pytest.fixture
def examine(red_model, capsys):
    """Runs the command without enhancing; returns status, stdout, stderr."""

    def run(*arguments):
        given = ["--model", red_model, "--enhance", "off", *map(str, arguments)]
        status = cli.main(["examine", *given])
        return status, *capsys.readouterr()

    return run


def tree(folder):
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*"))


class TestResults:
    def test_what_is_written(self, pictures, examine):
        status, out, err = examine("in")
        assert status == 0
        assert tree("facecctv-results") == [
            "a",
            "a/annotated.png",
            "a/crops",
            "a/crops/face-01.png",
            "a/crops/face-02.png",
            "a/result.json",
            "a/sheet.png",
            "index.html",
            "none",
            "none/annotated.png",
            "none/crops",
            "none/result.json",
            "none/sheet.png",
        ]
        assert re.match(r"in/a\.png: 2 faces \(.+\)\nin/none\.jpg: no faces\n$", out)
        assert "2 pictures, 2 faces. Open facecctv-results/index.html" in err

    def test_result_json_is_what_is_printed(self, pictures, examine):
        status, out, err = examine("in", "-o", "out", "--json")
        assert (status, err) == (0, "")
        for line, name in zip(out.splitlines(), ("a", "none"), strict=True):
            assert (pictures / "out" / name / "result.json").read_text() == f"{line}\n"
            result = Result.model_validate_json(line)
            assert result.files is not None
            for path in (result.files.annotated, *result.files.crops, *result.files.sheets):
                picture = pictures / "out" / path
                assert read_metadata(picture.read_bytes())["Source SHA-256"] == result.sha256
            assert len(result.files.crops) == len(result.faces)
        quality = json.loads(out.splitlines()[0])["faces"][0]["quality"]
        assert {"score", "face_px", "inter_eye_px", "verdict", "usable_for"} <= set(quality)

    def test_no_faces_at_all_is_fine_and_says_what_to_try(self, pictures, examine):
        status, out, err = examine("in/none.jpg")
        assert (status, out) == (0, "in/none.jpg: no faces\n")
        assert "1 picture, 0 faces" in err
        assert "--threshold" in err
        assert read("facecctv-results/none/annotated.png").width == 700

    def test_many_faces_fill_several_sheets(self, pictures, examine):
        cells = [(column, row) for column in range(2, 78, 6) for row in range(2, 26, 6)]
        (pictures / "crowd.png").write_bytes(encode(red_picture(640, 240, *cells)))
        _, out, _ = examine("crowd.png", "--json")
        files = json.loads(out)["files"]
        assert len(files["crops"]) == len(cells) == 52
        assert files["sheets"] == ["crowd/sheet.png", "crowd/sheet-2.png"]

    def test_the_source_stays_as_it_was(self, pictures, examine):
        path = pictures / "in" / "a.png"
        before = (path.read_bytes(), path.stat().st_mtime_ns)
        examine("in/a.png", "-o", "in")
        assert (path.read_bytes(), path.stat().st_mtime_ns) == before

    def test_a_source_that_changes_meanwhile_gives_no_result(self, pictures):
        source = pictures / "in" / "a.png"

        def changing(image):
            source.write_bytes(source.read_bytes() + b"\0")
            return []

        (pictures / "work").mkdir()
        paths = [str(source)], pictures / "out", pictures / "work"
        job = _Job(Pipeline(changing), Limits(), *paths)
        with pytest.raises(SourceChanged, match="changed while it was examined"):
            job(str(source))
        assert not (pictures / "out").exists()
        with pytest.raises(SourceChanged, match="gone while"):
            outputs.check_unchanged("gone.png", "0" * 64)


class TestAgain:
    def test_the_same_picture_replaces_its_result_whole(self, pictures, examine):
        examine("in/a.png", "-o", "out")
        examine("in/a.png", "-o", "out", "--min-face", "100")
        assert tree("out/a") == ["annotated.png", "crops", "result.json", "sheet.png"]

    def test_another_picture_of_the_same_name_gets_a_folder_of_its_own(self, pictures, examine):
        examine("in/a.png", "-o", "out")
        (pictures / "a.jpg").write_bytes(encode(red_picture(640, 480), "jpeg"))
        for _ in range(2):
            examine("a.jpg", "-o", "out")
        assert sorted(os.listdir("out")) == ["a", "a-2", "index.html"]

    def test_equal_names_and_equal_bytes_in_one_run(self, pictures, examine):
        (pictures / "other").mkdir()
        (pictures / "other" / "a.png").write_bytes((pictures / "in" / "a.png").read_bytes())
        _, out, _ = examine("in/a.png", "other/a.png", "--json")
        places = [json.loads(line)["files"]["annotated"] for line in out.splitlines()]
        assert places == ["a/annotated.png", "a-2/annotated.png"]

    @pytest.mark.parametrize("kind", ["folder", "file", "mixed", "link"])
    def test_what_is_not_ours_is_left_alone(self, pictures, examine, kind):
        mine = pictures / "out" / "a"
        if kind == "file":
            mine.parent.mkdir()
            mine.write_text("mine")
        elif kind == "link":
            examine("in/a.png", "-o", "elsewhere")
            mine.parent.mkdir()
            mine.symlink_to(pictures / "elsewhere" / "a")
        else:
            if kind == "mixed":
                examine("in/a.png", "-o", "out")
            mine.mkdir(parents=True, exist_ok=True)
            (mine / "notes.txt").write_text("mine")
        before = tree("out")
        status, out, _ = examine("in/a.png", "-o", "out", "--json")
        assert status == 0
        assert json.loads(out)["files"]["annotated"] == "a-2/annotated.png"
        assert set(before) <= set(tree("out"))

    def test_a_result_that_is_a_source_now_is_not_replaced(self, pictures, examine):
        examine("in/a.png", "-o", "out")
        crop = pictures / "out" / "a" / "crops" / "face-01.png"
        data = crop.read_bytes()
        status, _, _ = examine("in/a.png", "out/a/crops/face-01.png", "-o", "out")
        assert status == 0
        assert crop.read_bytes() == data
        assert {"a", "a-2", "face-01"} <= set(os.listdir("out"))

    def test_results_are_no_input_of_the_next_run(self, pictures, examine):
        for _ in range(2):
            _, out, _ = examine(".")
            assert len(out.splitlines()) == 2

    def test_a_move_that_fails_leaves_the_earlier_result(self, pictures):
        (pictures / "out" / "a").mkdir(parents=True)
        (pictures / "out" / "a" / "old").touch()
        with pytest.raises(OutputError, match="cannot be written"):
            outputs.publish(pictures / "gone", pictures / "out" / "a")
        assert tree("out") == ["a", "a/old"]


class _Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found, self.tags = [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.found += [value for name, value in attributes if name in ("src", "href")]


class TestPage:
    def links(self):
        parser = _Links()
        parser.feed(Path("facecctv-results/index.html").read_text())
        return parser

    def test_every_link_is_a_file_beside_it(self, pictures, examine):
        os.rename("in/a.png", "in/a b#%&'?.png")
        examine("in")
        found = self.links().found
        assert len(found) >= 10
        for link in found:
            assert (pictures / "facecctv-results" / unquote(link)).is_file(), link

    def test_names_are_escaped(self, pictures, examine):
        os.mkdir('<script>alert("1")<')
        source = '<script>alert("1")</b onerror=x>.png'
        os.rename("in/a.png", source)
        examine(source)
        text = Path("facecctv-results/index.html").read_text()
        assert "script" not in self.links().tags
        assert "&lt;script&gt;alert(&quot;1&quot;)&lt;/b onerror=x&gt;.png" in text

    def test_results_of_earlier_runs_are_listed_too_but_nothing_else(self, pictures, examine):
        examine("in/a.png")
        Path("facecctv-results/other").mkdir()
        Path("facecctv-results/other/result.json").write_text('{"sha256": "x"}')
        examine("in/none.jpg")
        text = Path("facecctv-results/index.html").read_text()
        assert "2 faces in 2 pictures" in text
        assert "No faces found." in text


def test_an_interrupted_run_leaves_whole_results_only(tmp_path, red_model):
    (tmp_path / "in").mkdir()
    data = encode(red_picture(640, 480, (20, 30), (50, 10)))
    for number in range(300):
        (tmp_path / "in" / f"{number}.png").write_bytes(data)
    code = (
        "import signal, sys; from facecctv import cli;"
        # A shell that runs the tests in its background has its children ignore interruptions.
        "signal.signal(signal.SIGINT, signal.default_int_handler);"
        "sys.exit(cli.main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "examine", "in", "-o", "out", "--model", red_model]
    command += ["--enhance", "off"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.readline()
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, message = process.communicate()
    assert process.returncode == 130
    assert message == "facecctv: interrupted\n"
    done = set(os.listdir(tmp_path / "out")) - {"index.html"}
    assert 1 <= len(done) < 300
    for name in done:
        assert not name.startswith(".")
        result = json.loads((tmp_path / "out" / name / "result.json").read_text())
        files = result["files"]
        for path in (files["annotated"], *files["crops"], *files["sheets"]):
            assert read(tmp_path / "out" / path).format == "png"
