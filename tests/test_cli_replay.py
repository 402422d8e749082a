"""`facecctv replay`: what a processed picture says of itself, done once more."""

from __future__ import annotations

import json

import numpy as np
import pytest

from facecctv import cli
from facecctv.evidence.provenance import QUALITY
from facecctv.image import decode, encode, read_metadata
from tests.red_detector import red_detector, red_picture
from tests.tiny_enhancers import blur_enhancer, constant_colouriser, nearest_enhancer


@pytest.fixture
def here(tmp_path, monkeypatch, small_models):
    """a.jpg in colour and grey.png without; the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACECCTV_MODELS", str(small_models))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jpg").write_bytes(encode(red_picture(64, 48, (2, 3)), "jpeg"))
    ramp = np.add.outer(np.arange(24), np.arange(32) * 4).astype(np.uint8) + 40
    (tmp_path / "in" / "grey.png").write_bytes(encode(np.repeat(ramp[..., None], 3, axis=2)))
    return tmp_path


@pytest.fixture
def run(here, capsys):
    """Runs a command; returns status, stdout, stderr."""

    def call(*arguments):
        status = cli.main([str(argument) for argument in arguments])
        return status, *capsys.readouterr()

    return call


@pytest.fixture
def replay(run):
    """Replays one result; returns the status and what --json says."""

    def call(*arguments):
        status, out, _ = run("replay", *arguments, "--json")
        return status, json.loads(out)

    return call


def repaint(path, format="png", quality=92):
    """Changes one value by 100 and leaves the words of the file as they were."""
    data = path.read_bytes()
    image = decode(data).image.copy()
    image[0, 0, 0] += 100 if image[0, 0, 0] < 156 else -100
    path.write_bytes(encode(image, format, quality, read_metadata(data)))


@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "tiff"])
@pytest.mark.parametrize("by", ["record", "picture"])
def test_an_honest_result_holds_to_the_last_byte(run, replay, format, by):
    steps = "denoise:h=3,levels:auto,enhance:x2:faces_only=on"
    run("enhance", "in/a.jpg", "-o", "out", "--steps", steps, "--format", format, "--quality", 70)
    suffix = "jpg" if format == "jpeg" else format
    name = f"out/a-enhanced.{suffix}"
    status, told = replay(f"{name}.json" if by == "record" else name)
    assert status == 0
    assert (told["verdict"], told["file"]) == ("same_bytes", "as_recorded")
    assert (told["largest_difference"], told["pixels_changed"]) == (0, 0)
    assert [step["name"] for step in told["steps"]] == ["denoise", "levels", "enhance"]
    assert "other_versions" not in told


@pytest.mark.parametrize("format", ["png", "jpeg"])
def test_a_picture_alone_is_enough_where_the_original_is_named(run, replay, here, format):
    run("colourise", "in/grey.png", "-o", "out", "--format", format, "--quality", 61)
    suffix = "jpg" if format == "jpeg" else "png"
    alone = here / f"alone.{suffix}"
    (here / f"out/grey-colourised.{suffix}").rename(alone)
    status, told = replay(alone.name, "--source", "in/grey.png")
    assert (status, told["verdict"]) == (0, "same_bytes")
    # A folder is searched for the original by its hash, whatever its name is.
    (here / "in/grey.png").rename(here / "in/0000.png")
    status, told = replay(alone.name, "--source", "in")
    assert (status, told["source"]) == (0, "in/0000.png")


def test_quality_is_written_where_it_matters(run, here):
    for format, suffix in (("jpeg", "jpg"), ("png", "png")):
        run("enhance", "in/a.jpg", "-o", "out", "--format", format, "--quality", 61)
        words = read_metadata((here / f"out/a-enhanced.{suffix}").read_bytes())
        assert words.get(QUALITY) == ("61" if format == "jpeg" else None)
        record = json.loads((here / f"out/a-enhanced.{suffix}.json").read_text())
        assert record["output"].get("quality") == (61 if format == "jpeg" else None)


def test_a_picture_changed_after_its_record_is_told(run, replay, here):
    run("enhance", "in/a.jpg", "-o", "out")
    repaint(here / "out/a-enhanced.png")
    status, told = replay("out/a-enhanced.png")
    assert status == 1
    # What the record says is right; the file beside it is another one.
    assert (told["verdict"], told["file"]) == ("same_bytes", "altered")
    assert "largest_difference" not in told
    assert "FILE CHANGED" in run("replay", "out")[1]


def test_a_picture_whose_words_are_of_another_is_told(run, replay, here):
    run("enhance", "in/a.jpg", "-o", "out")
    (here / "out/a-enhanced.png.json").unlink()
    repaint(here / "out/a-enhanced.png")
    status, told = replay("out/a-enhanced.png", "--source", "in")
    assert (status, told["verdict"]) == (1, "differs")
    size = 4 * 64 * 4 * 48
    assert told["pixels_changed"] == pytest.approx(1 / size)
    assert told["largest_difference"] == 100


def test_the_same_pixels_in_another_file_hold(run, replay, here):
    run("enhance", "in/a.jpg", "-o", "out")
    path = here / "out/a-enhanced.png"
    (here / "out/a-enhanced.png.json").unlink()
    data = path.read_bytes()
    words = read_metadata(data) | {"Comment": "seen by me"}
    path.write_bytes(encode(decode(data).image, metadata=words))
    status, told = replay("out/a-enhanced.png", "--source", "in")
    assert (status, told["verdict"], told["largest_difference"]) == (0, "same_pixels", 0)


def test_a_record_that_claims_other_steps_does_not_hold(run, replay, here):
    run("enhance", "in/a.jpg", "-o", "out", "--steps", "gamma:1.5")
    path = here / "out/a-enhanced.png.json"
    path.write_text(path.read_text().replace("1.5", "1.6"))
    status, told = replay("out/a-enhanced.png")
    assert (status, told["verdict"], told["file"]) == (1, "differs", "as_recorded")
    assert 0 < told["largest_difference"] < 30


def test_a_missing_picture_is_judged_by_its_hash(run, replay, here):
    run("enhance", "in/a.jpg", "-o", "out")
    (here / "out/a-enhanced.png").unlink()
    status, told = replay("out/a-enhanced.png.json")
    assert (status, told["verdict"], told["file"]) == (0, "same_bytes", "missing")


def test_other_versions_are_named(run, replay, here):
    run("enhance", "in/a.jpg", "-o", "out", "--steps", "rotate:90")
    path = here / "out/a-enhanced.png.json"
    record = json.loads(path.read_text())
    now = record["versions"]["numpy"]
    record["versions"]["numpy"] = "1.0"
    path.write_text(json.dumps(record))
    status, told = replay("out/a-enhanced.png")
    assert (status, told["other_versions"]) == (0, {"numpy": ["1.0", now]})


def test_an_older_program_is_no_difference(run, replay, here):
    run("enhance", "in/a.jpg", "-o", "out", "--steps", "rotate:90")
    path = here / "out/a-enhanced.png"
    (here / "out/a-enhanced.png.json").unlink()
    data = path.read_bytes()
    words = read_metadata(data) | {"Software": "FaceCCTV 0.0.9"}
    path.write_bytes(encode(decode(data).image, metadata=words))
    assert replay("out/a-enhanced.png", "--source", "in")[1]["verdict"] == "same_bytes"


def test_a_folder_is_replayed_without_its_change_maps(run, here):
    run("enhance", "in/a.jpg", "in/grey.png", "-o", "out", "--change-map")
    status, out, _ = run("replay", "out", "-o", "again")
    assert status == 0
    assert out.count("holds: the same file, to the last byte") == 2
    made = sorted(path.name for path in (here / "again").iterdir())
    assert made == ["a-enhanced-again.png", "grey-enhanced-again.png"]
    first = (here / "out/a-enhanced.png").read_bytes()
    assert (here / "again/a-enhanced-again.png").read_bytes() == first
    # Made once more they get names of their own.
    run("replay", "out/a-enhanced.png", "-o", "again")
    assert len(list((here / "again").iterdir())) == 3


def test_faces_that_examine_enhanced_and_coloured_hold(run, replay, here, monkeypatch):
    """What lies around a face has a say in its pixels, so the steps begin with what was seen."""
    models = here / "models"
    models.mkdir()
    (models / "enhancer-x2.onnx").write_bytes(blur_enhancer(2, reach=6))
    (models / "colouriser.onnx").write_bytes(constant_colouriser())
    (models / "face-detector.onnx").write_bytes(red_detector())
    monkeypatch.setenv("FACECCTV_MODELS", str(models))
    status, *_ = run("examine", "in/a.jpg", "-o", "out", "--enhance", "x2", "--colourise", "on")
    assert status == 0
    for kind, steps in (
        ("enhanced", ["crop", "enhance", "crop"]),
        ("coloured", ["crop", "enhance", "crop", "colourise"]),
    ):
        status, told = replay(f"out/a/{kind}/face-01.png", "--source", "in")
        assert (status, told["verdict"]) == (0, "same_pixels")
        assert [step["name"] for step in told["steps"]] == steps
    first = told["steps"][0]["parameters"]
    assert (first["width"], first["height"]) != (told["steps"][2]["parameters"]["width"] // 2,) * 2
    status, _, err = run("replay", "out/a/changes/face-01.png", "--source", "in")
    assert status == 1
    assert "not the result itself" in err


class TestFaults:
    def of(self, run, *arguments):
        status, out, err = run("replay", *arguments)
        assert (status, out) == (1, "")
        assert "bug" not in err
        return err

    @pytest.fixture(autouse=True)
    def _made(self, run):
        run("enhance", "in/a.jpg", "-o", "out")

    def test_another_source(self, run):
        assert "another source" in self.of(run, "out/a-enhanced.png", "--source", "in/grey.png")

    def test_a_folder_without_the_source(self, run):
        assert "does not hold" in self.of(run, "out/a-enhanced.png", "--source", "out")

    def test_a_source_that_is_gone(self, run, here):
        (here / "in/a.jpg").unlink()
        assert "--source" in self.of(run, "out/a-enhanced.png")

    def test_no_result_of_ours(self, run):
        assert "says nothing" in self.of(run, "in/a.jpg")

    def test_no_record(self, run, here):
        (here / "b.json").write_text("[]")
        assert "not a record" in self.of(run, "b.json")
        assert "no such record" in self.of(run, "c.json")

    @pytest.mark.parametrize(
        ("steps", "why"),
        [
            ('[{"name":"dream","class":"generative","parameters":{}}]', "none of this version"),
            ('[{"name":"gamma","class":"photometric","parameters":{"value":99}}]', "none of this"),
            ("[]", "none of this version"),
            ("denoise", "cannot be read"),
        ],
    )
    def test_steps_that_cannot_be(self, run, here, steps, why):
        path = here / "out/a-enhanced.png"
        (here / "out/a-enhanced.png.json").unlink()
        data = path.read_bytes()
        words = read_metadata(data) | {"Steps": steps}
        path.write_bytes(encode(decode(data).image, metadata=words))
        assert why in self.of(run, "out/a-enhanced.png", "--source", "in")

    def test_a_quality_that_cannot_be(self, run, here):
        path = here / "out/a-enhanced.png"
        (here / "out/a-enhanced.png.json").unlink()
        data = path.read_bytes()
        words = read_metadata(data) | {QUALITY: "900"}
        path.write_bytes(encode(decode(data).image, metadata=words))
        assert "quality" in self.of(run, "out/a-enhanced.png", "--source", "in")

    def test_another_model(self, run, here, monkeypatch, small_models):
        other = here / "other"
        other.mkdir()
        for path in small_models.iterdir():
            (other / path.name).write_bytes(path.read_bytes())
        (other / "enhancer-x4.onnx").write_bytes(nearest_enhancer(4, version="2"))
        monkeypatch.setenv("FACECCTV_MODELS", str(other))
        told = self.of(run, "out/a-enhanced.png")
        assert "enhance was done by enhancer-x4" in told
        assert "here is enhancer-x4 2" in told
