"""`evaluate enhancer` and `evaluate colouriser` on pictures of one's own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from facecctv import cli
from facecctv.demo import demo_scene
from facecctv.image import encode
from tests.tiny_enhancers import constant_colouriser, mean_embedder, nearest_enhancer


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shipped = Path(cli.__file__).parents[1] / "models" / "shipped" / "face-detector.onnx"
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / shipped.name).write_bytes(shipped.read_bytes())
    (folder / "enhancer-x4.onnx").write_bytes(nearest_enhancer(4))
    (folder / "colouriser.onnx").write_bytes(constant_colouriser(0.0, 0.0))
    (folder / "face-embedder.onnx").write_bytes(mean_embedder(least=8))
    monkeypatch.setenv("FACECCTV_MODELS", str(folder))

    def call(*arguments):
        status = cli.main(["evaluate", *arguments])
        return status, *capsys.readouterr()

    return call


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "hall.png").write_bytes(encode(demo_scene().image[:401, :641]))
    (folder / "coffee.png").write_bytes(encode(data.coffee()[:202, :203]))
    (folder / "dot.png").write_bytes(encode(np.zeros((8, 8, 3), np.uint8)))
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return folder


def test_an_enhancer_that_repeats_pixels_is_worse_than_bicubic(run, pictures):
    status, out, err = run("enhancer", str(pictures), "--json", "-o", "report.json")
    report = json.loads(out)
    assert status == 0
    assert "broken.png: left out" in err
    assert json.loads(Path("report.json").read_text()) == report
    assert [row["name"] for row in report["results"]] == ["clean", "cctv"]
    clean = report["results"][0]
    assert clean["pictures"] == 2  # the dot is too small
    assert clean["psnr"] < clean["psnr_bicubic"]
    assert clean["ssim"] < clean["ssim_bicubic"]
    assert 0 <= clean["lowered"] <= 1


def test_the_table_for_people(run, pictures):
    status, out, _ = run("enhancer", str(pictures))
    assert status == 0
    assert "pictures, clean" in out
    assert " dB" in out


def test_a_colouriser_that_leaves_grey_gains_nothing(run, pictures):
    (pictures / "grey.png").write_bytes(encode(np.full((64, 64, 3), 90, np.uint8)))
    status, out, _ = run("colouriser", str(pictures), "--json")
    (row,) = json.loads(out)["results"]
    assert status == 0
    assert row["pictures"] == 2  # neither the grey one nor the black dot
    assert row["gain"] == pytest.approx(0, abs=0.02)
    assert row["colourfulness"] < 0.05


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("enhancer", "models"), "no picture is large enough"),
        (("enhancer", "nowhere"), "nowhere"),
        (("colouriser", "models"), "no picture in colour"),
    ],
)
def test_what_cannot_be_measured(run, pictures, arguments, said):
    status, out, err = run(*arguments)
    assert status != 0
    assert not out
    assert said in err
