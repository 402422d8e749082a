"""`examine --enhance --colourise --forensic`."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from facecctv import cli
from facecctv.image import encode, read, read_metadata, resize
from tests.red_detector import red_picture
from tests.tiny_enhancers import constant_colouriser, mean_embedder, nearest_enhancer

PICTURE = red_picture(640, 480, (20, 30), (50, 10))
TINY = {
    "enhancer-x2": nearest_enhancer(2),
    "enhancer-x4": nearest_enhancer(4),
    "colouriser": constant_colouriser(30.0, 0.0),
    "face-embedder": mean_embedder(least=8),
}


@pytest.fixture
def models(tmp_path, monkeypatch):
    """The folder of models; the current folder holds a.png with two faces of 16 px."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "models"
    folder.mkdir()
    for name, model in TINY.items():
        (folder / f"{name}.onnx").write_bytes(model)
    monkeypatch.setenv("FACECCTV_MODELS", str(folder))
    Path("a.png").write_bytes(encode(PICTURE))
    return folder


@pytest.fixture
def examine(models, red_model, capsys):
    def run(*arguments):
        given = ["a.png", "-o", "out", "--model", red_model, *arguments]
        status = cli.main(["examine", *given])
        return status, *capsys.readouterr()

    return run


def metadata(path):
    return read_metadata(Path("out", path).read_bytes())


class TestEnhance:
    def test_small_faces_by_default(self, examine):
        status, out, err = examine("--json")
        row = json.loads(out)
        assert (status, err) == (0, "")
        for face in row["faces"]:
            assert face["enhancement"] == {
                "model": "enhancer-x4",
                "version": "1.0",
                "sha256": hashlib.sha256(TINY["enhancer-x4"]).hexdigest(),
                "class": "learned",
                "scale": 4,
                "strength": 1.0,
                "luminance_only": False,
                "drift": {
                    "verdict": "kept",
                    "similarity": pytest.approx(1, abs=0.1),
                    "limit": 0.9,
                    "at": "1 % of faces, made by hand",
                },
            }
            assert "colour" not in face
        files = row["files"]
        assert files["enhanced"] == ["a/enhanced/face-01.png", "a/enhanced/face-02.png"]
        assert files["changes"] == ["a/changes/face-01.png", "a/changes/face-02.png"]
        assert files["comparisons"] == ["a/before-after.png"]
        assert "coloured" not in files

    def test_what_is_written(self, examine):
        _, out, _ = examine("--enhance", "x2")
        assert ", 2 enhanced\n" in out
        crop = read("out/a/crops/face-01.png").image
        enhanced = read("out/a/enhanced/face-01.png").image
        np.testing.assert_array_equal(enhanced, crop.repeat(2, axis=0).repeat(2, axis=1))
        words = metadata("a/enhanced/face-01.png")
        assert words["Processing"].startswith("enhanced (learned), x2, strength 1, by enhancer-x2")
        assert words["Drift"].startswith("identity kept (similarity ")
        assert words["Source SHA-256"] == read("a.png").sha256
        changes = read("out/a/changes/face-01.png").image
        rows, columns = enhanced.shape[:2]
        expected = 128 + 2 * (enhanced.astype(int) - resize(crop, columns, rows))
        np.testing.assert_array_equal(changes, np.clip(expected, 0, 255))
        assert "middle grey is no change" in metadata("a/changes/face-01.png")["Shows"]
        assert "beside the recorded ones" in metadata("a/before-after.png")["Processing"]
        # The recorded crop is as it would be without.
        assert "Processing" not in metadata("a/crops/face-01.png")

    def test_a_face_of_160_px_is_left_alone_unless_it_was_asked_for(
        self, monkeypatch, examine, red_model
    ):
        # Smaller than any sensible limit: red faces are 16 px high at most in this model's eyes.
        monkeypatch.setattr("facecctv.cli.improve.SMALL", 16)
        for options, count in ((), 0), (("--enhance", "x2"), 2):
            _, out, _ = examine("--json", *options)
            faces = json.loads(out)["faces"]
            assert [face["quality"]["face_px"] for face in faces] == [16, 16]
            assert sum("enhancement" in face for face in faces) == count

    def test_off(self, examine):
        _, out, err = examine("--enhance", "off", "--json")
        assert err == ""
        assert all("enhancement" not in face for face in json.loads(out)["faces"])
        assert not Path("out/a/enhanced").exists()

    def test_quality_is_that_of_the_recorded_pixels(self, examine):
        rows = [json.loads(examine("--enhance", how, "--json")[1]) for how in ("off", "x4")]
        plain, enhanced = ([face["quality"] for face in row["faces"]] for row in rows)
        assert plain == enhanced

    def test_a_face_that_drifted_is_marked_everywhere(self, models, examine):
        (models / "face-embedder.onnx").write_bytes(mean_embedder(limit=1.0, least=8))
        _, out, _ = examine()
        assert "2 enhanced (2 drifted)" in out
        assert "drifted" in metadata("a/enhanced/face-01.png")["Drift"]
        page = Path("out/index.html").read_text()
        assert page.count('<span class="drifted">identity drifted (similarity') == 2
        for link in ("a/before-after.png", "a/enhanced/face-02.png", "a/changes/face-02.png"):
            assert f'"{link}"' in page
            assert Path("out", link).is_file()

    def test_without_recogniser_drift_is_unknown(self, models, examine):
        (models / "face-embedder.onnx").unlink()
        _, out, _ = examine("--json")
        faces = json.loads(out)["faces"]
        # Once a recogniser is shipped with the package it is found there.
        assert all(face["enhancement"]["drift"]["verdict"] in ("unknown", "kept") for face in faces)

    @pytest.mark.parametrize(
        ("facts", "why"),
        [
            ({"thresholds": {}, "extra": {}}, "has no threshold identity-drift"),
            ({"extra": {"crop": "box"}}, "takes no aligned faces"),
        ],
    )
    def test_a_recogniser_of_ones_own_that_cannot_judge_stops_nothing(
        self, models, examine, facts, why
    ):
        (models / "face-embedder.onnx").write_bytes(mean_embedder(**facts))
        status, out, _ = examine("--json")
        drifts = [face["enhancement"]["drift"] for face in json.loads(out)["faces"]]
        assert status == 0
        assert [drift["verdict"] for drift in drifts] == ["unknown", "unknown"]
        assert all(why in drift["reason"] for drift in drifts)
        assert why in metadata("a/enhanced/face-01.png")["Drift"]

    def test_another_run_replaces_its_own_results(self, examine):
        examine("--colourise", "on")
        examine("--enhance", "off")
        assert sorted(path.name for path in Path("out").iterdir()) == ["a", "index.html"]
        assert not Path("out/a/enhanced").exists()


class TestColourise:
    def test_grey_pictures_only(self, examine):
        _, out, _ = examine("--colourise", "auto", "--json")
        assert all("colour" not in face for face in json.loads(out)["faces"])

    def test_says_that_it_is_estimated_everywhere(self, examine):
        _, out, _ = examine("--colourise", "on", "--json")
        row = json.loads(out)
        for face in row["faces"]:
            colour = face["colour"]
            assert colour["estimated"] is True
            assert (colour["class"], colour["of"]) == ("generative", "enhanced")
            assert colour["sha256"] == hashlib.sha256(TINY["colouriser"]).hexdigest()
        assert row["files"]["coloured"] == ["a/coloured/face-01.png", "a/coloured/face-02.png"]
        words = metadata("a/coloured/face-01.png")["Processing"]
        assert words.startswith("enhanced (learned)")
        assert "colour is estimated (generative), by colouriser 1.0" in words
        assert "colour is estimated" in metadata("a/before-after.png")["Processing"]
        assert Path("out/index.html").read_text().count("colour is estimated") == 2

    def test_the_crop_where_nothing_was_enhanced(self, examine):
        _, out, _ = examine("--colourise", "on", "--enhance", "off", "--json")
        assert json.loads(out)["faces"][0]["colour"]["of"] == "crop"
        words = metadata("a/coloured/face-01.png")["Processing"]
        assert words.startswith("colour is estimated")
        assert read("out/a/coloured/face-01.png").image.shape == (
            read("out/a/crops/face-01.png").image.shape
        )


class TestForensic:
    @pytest.mark.parametrize("colourise", ["auto", "on"])
    def test_refuses_colour(self, examine, colourise):
        status, out, err = examine("--forensic", "--colourise", colourise)
        assert (status, out) == (2, "")
        assert "--forensic refuses --colourise" in err.replace("\n", " ")
        assert not Path("out").exists()

    @pytest.mark.parametrize("options", [(), ("--enhance", "x4")])
    def test_refuses_a_generative_enhancer(self, models, examine, options):
        (models / "enhancer-x4.onnx").write_bytes(nearest_enhancer(4, step="generative"))
        status, _, err = examine("--forensic", *options)
        assert status == 2
        assert "enhancer-x4" in err
        assert examine("--forensic", "--enhance", "off")[0] == 0

    def test_allows_what_is_learned(self, examine):
        assert examine("--forensic", "--enhance", "x4")[0] == 0


class TestMissing:
    """A folder of models that holds none; the shipped ones are put out of reach."""

    @pytest.fixture(autouse=True)
    def nothing(self, models, monkeypatch):
        for path in models.iterdir():
            path.unlink()
        monkeypatch.setattr(
            "facecctv.models.store.Store.__init__.__kwdefaults__",
            {"shipped": models / "gone", "cache": models / "gone"},
        )

    def test_by_default_a_line_says_so(self, examine):
        status, out, err = examine()
        assert status == 0
        assert "enhanced" not in out
        assert err.splitlines()[0] == (
            "Faces are not enhanced: the model enhancer-x4 is not installed."
        )

    @pytest.mark.parametrize(
        ("options", "name"),
        [
            (("--enhance", "x4"), "enhancer-x4"),
            (("--enhance", "x2"), "enhancer-x2"),
            (("--enhance", "off", "--colourise", "auto"), "colouriser"),
        ],
    )
    def test_what_was_asked_for_is_an_error(self, examine, options, name):
        status, out, err = examine(*options)
        assert (status, out) == (1, "")
        assert f"no model '{name}'" in err
        assert not Path("out").exists()
