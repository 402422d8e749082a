import csv
import json
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest

from facecctv.cli import main
from facecctv.demo import HALL, NIGHT, corridor

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two scenes with faces at known places, and an empty corridor."""
    path = tmp_path_factory.mktemp("labelled")
    rows = []
    for number, people in enumerate((HALL[2:], NIGHT, ())):
        scene = corridor((640, 480), people, np.random.default_rng(number))
        name = f"scene{number}.png"
        PIL.Image.fromarray(scene.image).save(path / name)
        rows += [[name, *face.box] for face in scene.faces] or [[name, "", "", "", ""]]
    with (path / "boxes.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["image", "x1", "y1", "x2", "y2"], *rows])
    return path


def run(capsys, *arguments):
    status = main(["evaluate", "detector", *map(str, arguments)])
    return status, *capsys.readouterr()


def test_a_table_for_people(folder, capsys):
    status, out, err = run(capsys, folder, "--condition", "clean", "--condition", "half")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert "3 pictures" in lines[0]
    heading = lines[2]
    assert heading.split()[:4] == ["AP", "at", "IoU", "0.5"]
    clean = next(line for line in lines if line.startswith("clean "))
    assert len(clean) <= len(heading)
    ends = [heading.index(word) + len(word) for word in ("all", "8-16 px", "16-32 px", "32-64 px")]
    assert all(clean[end - 1].isdigit() or clean[end - 1] == "-" for end in ends)
    assert any(line.startswith("half ") for line in lines)
    assert not any(line.startswith("cctv ") for line in lines)


def test_json_and_files(folder, tmp_path, capsys):
    out = tmp_path / "new" / "report"
    status, printed, err = run(
        capsys, folder / "boxes.csv", "-o", out, "--json", "--sheets", "--condition", "clean"
    )
    assert (status, err) == (0, "")
    report = json.loads(printed)
    assert printed.count("\n") == 1
    assert report["model"].startswith("face-detector ")
    assert report["pictures"] == 3
    clean = report["conditions"][0]
    assert clean["bands"][0]["faces"] == 5
    # The three large faces at least are found, whatever the weights.
    assert clean["curve"]["recall"][-1] >= 0.5
    assert json.loads((out / "report.json").read_text()) == report
    assert sorted(path.name for path in out.iterdir()) == [
        "clean-false-alarms.png",
        "clean-misses.png",
        "precision-recall.png",
        "precision-recall.svg",
        "report.json",
    ]


def test_without_a_folder_nothing_is_written(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(capsys, folder, "--limit", 1, "--condition", "clean")[0] == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["gone"], 1, "gone: no such file or folder"),
        (["."], 1, ".: no faces.csv with zip files, no CSV file"),
        (["gone", "--sheets"], 1, "--sheets needs a folder"),
        (["gone", "--condition", "fog"], 2, "fog"),
        (["gone", "--limit", "0"], 2, "--limit"),
        ([], 2, "DATA"),
    ],
)
def test_what_cannot_be_done_is_said(tmp_path, capsys, monkeypatch, arguments, status, says):
    monkeypatch.chdir(tmp_path)
    got, out, err = run(capsys, *arguments)
    assert (got, out) == (status, "")
    assert says in err


def test_several_tables_must_be_told_apart(folder, tmp_path, capsys):
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_bytes((folder / "boxes.csv").read_bytes())
    status, _, err = run(capsys, tmp_path)
    assert status == 1
    assert "several CSV files" in err


def test_a_model_that_is_not_there(folder, capsys):
    status, out, _ = run(capsys, folder, "--model", "gone", "--json")
    assert status == 1
    assert json.loads(out)["error"]["type"] == "ModelNotFound"


def test_plots_without_matplotlib_are_refused_in_one_line_before_the_work(folder, tmp_path):
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from facecctv.cli import main\n"
        f"sys.exit(main(['evaluate', 'detector', {str(folder)!r}, '-o', {str(tmp_path / 'o')!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "facecctv: plots need matplotlib: pip install 'facecctv[learn]'\n"
    assert not (tmp_path / "o").exists()


@pytest.mark.shared
def test_the_layout_of_the_training_data(shared_data, capsys):
    for data in (shared_data, shared_data / "faces"):
        status, out, _ = run(capsys, data, "--limit", 2, "--condition", "clean", "--json")
        assert status == 0
        assert json.loads(out)["pictures"] == 2
