"""`facecctv enhance` and `facecctv colourise`, end to end with models of a few bytes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil

import cv2
import numpy as np
import PIL.Image
import pytest
from PIL import ExifTags, ImageCms

from facecctv import cli
from facecctv.cli import processing
from facecctv.evidence.provenance import Record
from facecctv.evidence.steps import Chain, Process
from facecctv.image import decode, encode, read, read_metadata, resize
from facecctv.vision.colourise import is_grey
from tests.red_detector import red_picture
from tests.tiny_enhancers import nearest_enhancer

FILTERS = "--steps=gamma:2,sharpen"


@pytest.fixture
def here(tmp_path, monkeypatch, small_models):
    """a.png and sub/b.jpg in colour, grey.png without; the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACECCTV_MODELS", str(small_models))
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "a.png").write_bytes(encode(red_picture(64, 48, (2, 3))))
    (tmp_path / "in" / "sub" / "b.jpg").write_bytes(encode(red_picture(40, 56, (1, 1)), "jpeg"))
    ramp = np.add.outer(np.arange(24), np.arange(32) * 4).astype(np.uint8) + 40
    (tmp_path / "grey.png").write_bytes(encode(np.repeat(ramp[..., None], 3, axis=2)))
    return tmp_path


@pytest.fixture
def run(capsys):
    """Runs a command; returns status, stdout, stderr."""

    def call(*arguments):
        status = cli.main([str(argument) for argument in arguments])
        return status, *capsys.readouterr()

    return call


def files(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


class TestEnhance:
    def test_a_folder_of_pictures(self, here, run):
        before = {name: sha256(here / name) for name in files(here)}
        status, out, err = run("enhance", "in", "-o", "out", "--scale", 2)
        assert (status, err) == (0, "")
        assert out == (
            "in/a.png: 64 x 48 px to 128 x 96, out/a-enhanced.png\n"
            "in/sub/b.jpg: 40 x 56 px to 80 x 112, out/b-enhanced.png\n"
        )
        assert files(here / "out") == [
            "a-enhanced.png",
            "a-enhanced.png.json",
            "b-enhanced.png",
            "b-enhanced.png.json",
        ]
        assert {name: sha256(here / name) for name in before} == before
        done = read(here / "out" / "a-enhanced.png").image
        assert (done == read("in/a.png").image.repeat(2, axis=0).repeat(2, axis=1)).all()

    def test_json_is_the_record_beside_the_picture(self, here, run):
        status, out, err = run("enhance", "in/a.png", "-o", "out", "--json", "--change-map")
        assert (status, err) == (0, "")
        record = Record.model_validate_json(out)
        assert (here / "out" / "a-enhanced.png.json").read_text() == out
        assert (record.source, record.sha256) == ("in/a.png", sha256(here / "in" / "a.png"))
        assert (record.width, record.height) == (64, 48)
        assert (record.output.width, record.output.height) == (256, 192)
        assert record.output.sha256 == sha256(here / "out" / record.output.file)
        assert record.change_map.sha256 == sha256(here / "out" / "a-enhanced-change.png")
        assert [(s.name, s.step_class, s.model) for s in record.steps] == [
            ("enhance", "learned", "enhancer-x4")
        ]
        models = os.environ["FACECCTV_MODELS"]
        assert record.steps[0].model_sha256 == sha256(here / models / "enhancer-x4.onnx")
        assert record.detail is not None
        assert record.colour is None
        assert record.modified.endswith("Z")

    def test_the_picture_itself_says_so(self, here, run):
        for name in ("x.png", "x.jpg", "x.webp", "x.tif"):
            assert run("enhance", "grey.png", "-o", name)[0] == 0
            words = read_metadata((here / name).read_bytes())
            assert words["Source SHA-256"] == sha256(here / "grey.png")
            assert json.loads(words["Steps"])[0]["model"] == "enhancer-x4"
            assert "estimated" in words["Detail"]
            assert words["Software"].startswith("FaceCCTV ")
            assert decode((here / name).read_bytes()).image.shape == (96, 128, 3)

    def test_steps_of_ones_own(self, here, run):
        text = "resize:0.5,gamma:2,enhance:x4:strength=0,colourise:force=on"
        status, out, _ = run("enhance", "in/a.png", "-o", "a.png", "--steps", text)
        assert status == 0
        assert "64 x 48 px to 128 x 96, colour estimated, a.png" in out
        record = Record.model_validate_json((here / "a.png.json").read_text())
        assert [step.name for step in record.steps] == ["resize", "gamma", "enhance", "colourise"]

    def test_the_record_makes_the_same_picture_again(self, here, run):
        assert run("enhance", "in/a.png", "-o", "a.png", "--steps=deblock,clahe,rotate:9")[0] == 0
        record = Record.model_validate_json((here / "a.png.json").read_text())
        again = Process(Chain.of(record.steps), None)(read("in/a.png").image)
        assert again.tobytes() == read("a.png").image.tobytes()
        first = (here / "a.png").read_bytes()
        assert run("enhance", "in/a.png", "-o", "a.png", "--steps=deblock,clahe,rotate:9")[0] == 0
        assert (here / "a.png").read_bytes() == first

    def test_faces_only(self, here, run):
        image = red_picture(192, 192, (12, 12))
        image[::2, :40] = 0  # fine lines, far from the face
        (here / "f.png").write_bytes(encode(image))
        status, _, err = run("enhance", "f.png", "-o", "out.png", "--scale", 2, "--faces-only")
        assert (status, err) == (0, "")
        done, plain = read("out.png").image, resize(image, 384, 384)
        assert (done[:, :70] == plain[:, :70]).all()
        step = json.loads((here / "out.png.json").read_text())["steps"][0]
        assert step["found_by"] == "red-detector"
        assert step["parameters"]["faces_only"] is True

    def test_strength_and_luminance(self, here, run):
        run("enhance", "in/a.png", "-o", "0.png", "--scale", 2, "--strength", 0)
        plain = resize(read("in/a.png").image, 128, 96)
        assert (read("0.png").image == plain).all()
        run("enhance", "in/a.png", "-o", "l.png", "--scale", 2, "--luminance", "on")
        parameters = json.loads((here / "l.png.json").read_text())["steps"][0]["parameters"]
        assert parameters["luminance"] == "on"

    def test_the_change_map_shows_nothing_where_nothing_was_added(self, here, run):
        run("enhance", "in/a.png", "-o", "out.png", "--steps=rotate:90", "--change-map")
        assert (read("out-change.png").image == 128).all()
        assert "middle grey" in read_metadata((here / "out-change.png").read_bytes())["Shows"]

    @pytest.mark.parametrize("format", ["png", "jpeg", "webp", "tiff"])
    def test_formats(self, here, run, format):
        assert run("enhance", "grey.png", "-o", "out", FILTERS, "--format", format)[0] == 0
        suffix = "jpg" if format == "jpeg" else format
        assert read(here / "out" / f"grey-enhanced.{suffix}").format == format

    def test_quality(self, here, run):
        photo = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
        (here / "n.png").write_bytes(encode(photo))
        for quality in (20, 95):
            run("enhance", "n.png", "-o", f"{quality}.jpg", FILTERS, "--quality", quality)
        assert (here / "20.jpg").stat().st_size < (here / "95.jpg").stat().st_size / 2

    def test_a_second_run_takes_no_results_for_inputs(self, here, run):
        for _ in range(2):
            status, out, _ = run("enhance", ".", "-o", "out", FILTERS)
            assert status == 0
            assert out.count("\n") == 3
        assert len(files(here / "out")) == 6

    def test_equal_names_do_not_meet(self, here, run):
        shutil.copy(here / "in" / "a.png", here / "in" / "sub" / "A.png")
        assert run("enhance", "in", "-o", "out", FILTERS)[0] == 0
        names = [name for name in files(here / "out") if name.endswith(".png")]
        assert names == ["A-2-enhanced.png", "a-enhanced.png", "b-enhanced.png"]

    def test_a_file_name_of_odd_bytes(self, here, run):
        odd = os.fsdecode(b"odd-\xff.png")
        try:
            shutil.copy(here / "grey.png", here / odd)
        except (OSError, UnicodeError):
            pytest.skip("this file system takes no such name")
        status, out, err = run("enhance", odd, "-o", "out", FILTERS, "--json")
        assert (status, err) == (0, "")
        assert json.loads(out)["output"]["file"] == "odd-\\xff-enhanced.png"
        assert os.path.exists(os.fsdecode(b"out/odd-\xff-enhanced.png"))


class TestWhatTheFileSaid:
    def source(self, here, name):
        """Turned by EXIF, with camera, time, place, thumbnail-size tags and a colour profile."""
        exif = PIL.Image.Exif()
        exif[ExifTags.Base.Orientation] = 6
        exif[ExifTags.Base.Model] = "Dome 4"
        exif[ExifTags.Base.ImageDescription] = "Gate, north"
        exif[ExifTags.IFD.Exif] = {
            ExifTags.Base.DateTimeOriginal: "2026:03:01 22:15:03",
            ExifTags.Base.ExifImageWidth: 32,
            ExifTags.Base.MakerNote: b"\1\2\3",
        }
        exif[ExifTags.IFD.GPSInfo] = {ExifTags.GPS.GPSLatitudeRef: "N"}
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        image = PIL.Image.fromarray(red_picture(32, 24, (1, 1)))
        image.save(here / name, exif=exif.tobytes(), icc_profile=profile, dpi=(300, 150))
        return profile

    @pytest.mark.parametrize("source", ["s.jpg", "s.png", "s.tif", "s.webp"])
    @pytest.mark.parametrize("target", ["t.jpg", "t.png", "t.tif", "t.webp"])
    def test_is_kept_but_for_the_turn(self, here, run, source, target):
        profile = self.source(here, source)
        status, _, err = run("enhance", source, "-o", target, "--steps=gamma:1")
        assert (status, err) == (0, "")
        with PIL.Image.open(here / target) as done:
            exif = done.getexif()
            assert done.size == (24, 32)
            assert ExifTags.Base.Orientation not in exif
            assert exif[ExifTags.Base.Model] == "Dome 4"
            exposure = exif.get_ifd(ExifTags.IFD.Exif)
            assert exposure[ExifTags.Base.DateTimeOriginal] == "2026:03:01 22:15:03"
            assert not {ExifTags.Base.MakerNote, ExifTags.Base.ExifImageWidth} & set(exposure)
            assert exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] == "N"
            assert done.info["icc_profile"] == profile
            if "webp" not in source + target:
                assert done.info["dpi"] == pytest.approx((300, 150), abs=0.1)
        words = read_metadata((here / target).read_bytes())
        assert words["Source description"] == "Gate, north"

    def test_notes_say_what_was_not_kept(self, here, run):
        pixels = np.zeros((8, 8, 2), np.uint8)
        PIL.Image.fromarray(pixels, "LA").save(here / "la.png")
        grey = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
        PIL.Image.fromarray(pixels[..., 0]).save(here / "lab.png", icc_profile=grey)
        _, out, _ = run("enhance", "la.png", "lab.png", "-o", "out", FILTERS, "--json")
        notes = [json.loads(line)["notes"] for line in out.splitlines()]
        assert notes == [
            ["transparency laid over white"],
            ["ICC profile of another colour space: not kept"],
        ]


class TestColourise:
    def test_grey_becomes_coloured_and_says_so(self, here, run):
        status, out, err = run("colourise", "grey.png", "-o", "out", "--json")
        assert (status, err) == (0, "")
        record = Record.model_validate_json(out)
        assert record.output.file == "grey-colourised.png"
        assert "estimated" in record.colour
        assert record.steps[0].step_class == "generative"
        path = here / "out" / "grey-colourised.png"
        assert "estimated" in read_metadata(path.read_bytes())["Colour"]
        done = read(path).image.astype(int)
        assert (done[..., 0] > done[..., 2] + 5).mean() > 0.9

    def test_colour_is_refused_and_the_rest_go_on(self, here, run):
        status, out, err = run("colourise", "in/a.png", "grey.png", "-o", "out")
        assert status == 1
        assert err == (
            "in/a.png: has colour already; --force, or force=on in a chain, "
            "replaces it by an estimate\n"
        )
        assert out.startswith("grey.png: 32 x 24 px, colour estimated")
        assert files(here / "out") == ["grey-colourised.png", "grey-colourised.png.json"]

    def test_force_and_saturation(self, here, run):
        status, _, _ = run("colourise", "in/a.png", "-o", "x.png", "--force", "--saturation", 0)
        assert status == 0
        assert is_grey(read("x.png").image)

    def test_forensic(self, here, run):
        status, out, err = run("colourise", "grey.png", "-o", "out", "--forensic")
        assert (status, out) == (2, "")
        assert "no generative step, and colourise is one" in " ".join(err.split())
        assert not (here / "out").exists()


class TestWrongUsage:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["in", "-o", "out.png"], "2 pictures need a folder, not one file"),
            (["in/a.png", "-o", "out.gif"], "-o out.gif: pictures are written as .png, .jpg"),
            (["in/a.png", "-o", "in/a.png"], "would write over the input"),
            (["in/a.png", "-o", "in/sub/../a.png"], "would write over the input"),
            (["in/a.png", "-o", "hard.png"], "would write over the input"),
            (["in/a.png", "-o", "out.png", "--format", "webp"], "--format webp contradicts"),
            (["in/a.png", "--scale", "3"], "3"),
            (["in/a.png", "--strength", "2"], "--strength"),
            (["in/a.png", "--steps", "gamma", "--scale", "2"], "--scale: with --steps"),
            (["in/a.png", "--steps", "gama"], "did you mean gamma?"),
            (["in/a.png", "--steps", "gamma:99"], "less than or equal to 10"),
            (["in/a.png", "--steps", "colourise", "--forensic"], "no generative step"),
            (["in/a.png", "--quality", "0", "--steps", "gamma"], "--quality"),
            (["nothing/*.png"], "nothing"),
        ],
    )
    def test_is_said_before_any_work(self, here, run, arguments, message):
        os.link(here / "in" / "a.png", here / "hard.png")
        before = files(here)
        status, out, err = run("enhance", *arguments)
        if arguments == ["nothing/*.png"]:
            assert status == 1
        else:
            assert (status, out) == (2, "")
        assert message in " ".join(err.split())
        assert files(here) == before

    def test_no_model(self, here, run, monkeypatch, tmp_path):
        empty = tmp_path / "empty"
        (empty / "shipped").mkdir(parents=True)
        monkeypatch.setattr("facecctv.models.store.Store._find", _nowhere)
        status, out, err = run("enhance", "in", "-o", "out", "--scale", 2)
        assert (status, out) == (1, "")
        assert err == "facecctv: no model 'enhancer-x2'\n"

    def test_a_model_of_another_scale(self, here, run, monkeypatch, tmp_path):
        (tmp_path / "m").mkdir()
        (tmp_path / "m" / "enhancer-x2.onnx").write_bytes(nearest_enhancer(4))
        monkeypatch.setenv("FACECCTV_MODELS", str(tmp_path / "m"))
        status, _, err = run("enhance", "in", "-o", "out", "--scale", 2)
        assert status == 1
        assert "enlarges 4 times, not 2" in err


def _nowhere(self, model):
    from facecctv.errors import ModelNotFound

    raise ModelNotFound(f"no model {model!r}")


class TestBadInput:
    def test_each_gets_its_line_and_the_rest_go_on(self, here, run, monkeypatch):
        monkeypatch.setenv("FACECCTV_MAX_PIXELS", "200000")
        (here / "text.png").write_text("no picture")
        (here / "empty.jpg").touch()
        (here / "large.png").write_bytes(encode(np.zeros((400, 501, 3), np.uint8)))
        (here / "wide.png").write_bytes(encode(np.zeros((100, 130, 3), np.uint8)))
        (here / "one.png").write_bytes(encode(np.full((1, 1, 3), 9, np.uint8)))
        names = ["text.png", "empty.jpg", "gone.png", "large.png", "wide.png", "one.png"]
        status, out, err = run("enhance", *names, "-o", "out")
        assert status == 1
        assert out == "one.png: 1 x 1 px to 4 x 4, out/one-enhanced.png\n"
        lines = err.splitlines()
        assert [line.split(":")[0] for line in lines] == names[:5]
        assert "not a picture" in lines[0]
        assert "empty" in lines[1]
        assert "No such file" in lines[2]
        assert "501 x 400 pixels are more than the limit" in lines[3]
        assert "enhance makes 520 x 400 pixels, more than the limit of 200,000" in lines[4]
        assert files(here / "out") == ["one-enhanced.png", "one-enhanced.png.json"]

    def test_a_strip(self, here, run):
        (here / "strip.png").write_bytes(encode(np.zeros((5000, 3, 3), np.uint8)))
        status, out, _ = run("enhance", "strip.png", "-o", "out", "--scale", 2)
        assert (status, out) == (0, "strip.png: 3 x 5000 px to 6 x 10000, out/strip-enhanced.png\n")

    def test_too_long_for_the_format(self, here, run):
        (here / "strip.png").write_bytes(encode(np.zeros((5000, 3, 3), np.uint8)))
        status, _, err = run("enhance", "strip.png", "-o", "s.webp")
        assert status == 1
        assert "webp holds at most 16383 pixels a side, not 20000: use png" in err
        assert not (here / "s.webp").exists()

    def test_a_crop_beyond_the_picture(self, here, run):
        steps = "--steps=crop:0:y=0:width=50:height=40"
        status, out, err = run("enhance", "in", "-o", "out", steps)
        assert (status, err) == (
            1,
            "in/sub/b.jpg: crop reaches out of the picture of 40 x 56 pixels\n",
        )
        assert out.startswith("in/a.png: 64 x 48 px to 50 x 40")

    def test_out_of_memory_is_one_line(self, here, run, monkeypatch):
        def fail(*arguments, **more):
            raise MemoryError

        monkeypatch.setattr(processing, "encode", fail)
        status, out, err = run("enhance", "grey.png", "-o", "out", FILTERS)
        assert (status, out) == (1, "")
        assert err == "grey.png: not enough memory for a picture of this size\n"
        assert files(here / "out") == []

    def test_a_source_that_changes_meanwhile_gives_no_result(self, here, run, monkeypatch):
        def late(image, *arguments, **more):
            (here / "grey.png").write_bytes(b"other")
            return encode(image)

        monkeypatch.setattr(processing, "encode", late)
        status, _, err = run("enhance", "grey.png", "-o", "out", FILTERS)
        assert status == 1
        assert "changed while" in err
        assert files(here / "out") == []

    def test_interrupted_there_is_nothing_half_written(self, here, run, monkeypatch):
        seen = []

        def interrupted(image, *arguments, **more):
            seen.append(image)
            if len(seen) == 2:
                raise KeyboardInterrupt
            return encode(image)

        monkeypatch.setattr(processing, "encode", interrupted)
        status, out, err = run("enhance", "in", "-o", "out", FILTERS)
        assert status == 130
        assert out.count("\n") == 1
        assert "interrupted" in err
        assert files(here / "out") == ["a-enhanced.png", "a-enhanced.png.json"]
        assert [p.name for p in (here / "out").iterdir() if p.name.startswith(".")] == []

    def test_a_place_that_cannot_be_written(self, here, run):
        (here / "file").touch()
        status, _, err = run("enhance", "in", "-o", "file/out", FILTERS)
        assert status == 1
        assert "cannot be written" in err

    def test_a_folder_in_the_place_of_a_result(self, here, run):
        (here / "out" / "grey-enhanced.png").mkdir(parents=True)
        status, _, err = run("enhance", "grey.png", "-o", "out", FILTERS)
        assert status == 1
        assert "cannot be written" in err

    def test_results_never_replace_an_input(self, here, run):
        (here / "a.png").write_bytes(encode(red_picture(8, 8)))
        (here / "a-enhanced.png").write_bytes(encode(red_picture(16, 8)))
        before = sha256(here / "a-enhanced.png")
        assert run("enhance", "a.png", "a-enhanced.png", "-o", ".", FILTERS)[0] == 0
        assert sha256(here / "a-enhanced.png") == before
        assert (here / "a-2-enhanced.png").exists()


def test_the_schema_knows_the_record(run):
    _, out, _ = run("schema")
    assert "Record" in json.loads(out)["$defs"]


def test_deinterlaced_footage_still_end_to_end(here, run):
    scene = cv2.GaussianBlur(red_picture(96, 96, (4, 4), (7, 8)), (0, 0), 2)
    comb = scene.copy()
    comb[1::2] = np.roll(scene, 9, axis=1)[1::2]
    (here / "comb.png").write_bytes(encode(comb))
    run("enhance", "comb.png", "-o", "still.png", "--steps=deinterlace:bob:field=top")
    assert np.abs(read("still.png").image.astype(int) - scene).max() <= 2
