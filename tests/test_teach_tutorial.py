"""The tutorial, followed in small: every command of the page, with fewer pictures and epochs."""

import json
import re
import shlex
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("albumentations")

from facecctv import cli

PAGE = Path(__file__).parent.parent / "docs" / "teach" / "tutorial.md"
SMALL = {"--labelled": "36", "--copies": "1", "--epochs": "10"}


def commands():
    text = PAGE.read_text(encoding="utf-8")
    return [shlex.split(line) for line in re.findall(r"^\$ facecctv (.+)$", text, re.MULTILINE)]


def in_small(words):
    """The same command; training with fewer pictures, epochs and pixels."""
    small = SMALL | ({"--size": "48"} if words[0] == "train" else {})
    return [small.get(before, word) for before, word in zip(["", *words], words, strict=False)]


def test_it_takes_six_commands_at_most():
    assert len([c for c in commands() if c[0] != "demo"]) <= 6


def test_from_labels_to_detections(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for words in commands():
        capsys.readouterr()
        # `check` exits with 1 because these pictures are near duplicates; so it should.
        assert cli.main(in_small(words)) in ((0, 1) if "check" in words else (0,)), words
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 36
    assert any("1 face" in line for line in lines)

    run = Path("runs/mine")
    report = json.loads((run / "report.json").read_text())
    assert len(report["history"]) == 10
    first, last = report["history"][0], report["history"][-1]
    assert last["face_loss"] < first["face_loss"]
    assert last["box_loss"] < first["box_loss"]
    page = (run / "report.html").read_text()
    assert "http-equiv=Content-Security-Policy" in page
    assert "<script" not in page
    assert {"loss.png", "loss.svg", "confusion.svg", "roc.png"} <= {p.name for p in run.iterdir()}
    assert (run / "test" / "report.html").is_file()
    assert json.loads((run / "test" / "report.json").read_text())["pictures"] > 0


def test_interrupted_training_is_one_line_and_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["demo", "--labelled", "16", "-o", "faces"]) == 0
    words = ["train", "detector", "faces", "--arch", "MobileNet", "--weights", "none"]
    words += ["--size", "32", "--hidden", "8", "--epochs", "2", "--threads", "1", "--batch", "4"]
    assert cli.main([*words, "--run", "r"]) == 0
    capsys.readouterr()
    assert cli.main([*words, "--run", "r"]) == 0
    assert "Going on after epoch 2 of 2" in capsys.readouterr().err
    assert cli.main([*words, "--run", "r", "--seed", "3"]) == 1
    assert "holds a run with training.seed 0, not 3" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["detector", "nowhere"], "nowhere: no such folder"),
        (["detector", "faces", "--batch", "99", "--weights", "none"], "fewer than a batch of 99"),
        (["detector", "faces", "--arch", "VGG99", "--batch", "4"], "no trunk 'VGG99'"),
        (["recogniser", "faces"], "says who it is|cannot split by identity"),
        (["detector", "faces", "--weights", "none", "--frozen-epochs", "3"], "cannot stay frozen"),
    ],
)
def test_wrong_use_is_one_clear_line(tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACECCTV_OFFLINE", "1")
    assert cli.main(["demo", "--labelled", "12", "-o", "faces"]) == 0
    capsys.readouterr()
    assert cli.main(["train", *words, "--threads", "1"]) == 1
    error = capsys.readouterr().err
    assert re.search(said, error), error
    assert "Traceback" not in error


def test_weights_that_would_be_downloaded_offline(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACECCTV_OFFLINE", "1")
    assert cli.main(["demo", "--labelled", "16", "-o", "faces"]) == 0
    assert cli.main(["train", "detector", "faces", "--threads", "1", "--size", "32"]) == 1
    assert "--weights FILE" in capsys.readouterr().err
