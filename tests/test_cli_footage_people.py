"""Who comes back is one person: passages joined by a recogniser that can be checked by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from facecctv import build, cli
from facecctv.footage.video import Video
from facecctv.image import decode, read
from facecctv.models.store import Store
from facecctv.schema.footage import Footage, Redacted
from tests.clips import steady, write
from tests.patterned import CALIBRATION, embedder, portrait
from tests.tiny_enhancers import nearest_enhancer

ANN, BOB = 1, 2


@pytest.fixture
def clip(tmp_path, monkeypatch):
    """Ann, nobody, Bob in the same place, nobody, Ann again; five frames a second, lossless."""
    monkeypatch.setenv("FACECCTV_MODELS", str(tmp_path / "models"))
    (tmp_path / "models").mkdir()
    embedder(tmp_path / "models")
    scenes = {name: decode(portrait(*name)).image for name in ((), (ANN,), (BOB,))}
    order = [(ANN,)] * 5 + [()] * 12 + [(BOB,)] * 5 + [()] * 12 + [(ANN,)] * 5
    images = [scenes[name] for name in order]
    times = steady(len(images), 5)
    return write(tmp_path / "door.mkv", times, 704, 320, images=images, codec="ffv1")


@pytest.fixture
def run(clip, tmp_path, red_model, capsys):
    def call(*more):
        out = str(tmp_path / "out")
        arguments = ["footage", str(clip), "-o", out, "--json", "--model", red_model]
        assert cli.main([*arguments, *more]) == 0
        return Footage.model_validate_json(capsys.readouterr().out)

    return call


def passages(result):
    return [[round(one.first, 1) for one in person.passages] for person in result.people]


def test_who_comes_back_is_one_person(run):
    result = run("--enhance", "off")
    assert passages(result) == [[0.0, 6.8], [3.4]]
    assert result.joined_by == "face-embedder 1.0"
    assert result.notes is None


def test_what_was_joined_wrongly_is_parted_by_hand(run):
    first = run("--enhance", "off").people[0]
    again = run("--enhance", "off", "--split", f"1:{first.passages[1].number}")
    assert passages(again) == [[0.0], [3.4], [6.8]]
    assert [(edit.kind, edit.passage) for edit in again.edits] == [
        ("split", first.passages[1].number)
    ]


def test_faces_are_enhanced_from_the_fused_ones(run, tmp_path):
    extra = {"calibration": CALIBRATION.to_json(), "least_face_px": 12}
    embedder(tmp_path / "models", extra=extra)
    (tmp_path / "models" / "enhancer-x2.onnx").write_bytes(nearest_enhancer(2))
    result = run("--enhance", "x2", "--fuse", "x2")
    for person in result.people:
        made = person.enhancement
        assert made.scale == 2 * (person.fusion.scale if person.fusion else 1)
        native = read(tmp_path / "out" / "door" / person.files.crops[0]).image
        better = read(tmp_path / "out" / "door" / person.files.enhanced).image
        assert better.shape[0] == made.scale * native.shape[0]
        assert made.drift.verdict in ("kept", "drifted", "unknown")


def test_without_a_recogniser_it_says_so(run, tmp_path, monkeypatch):
    (tmp_path / "models" / "face-embedder.onnx").unlink()
    # As if none came with the package either.
    monkeypatch.setattr(
        build, "store", lambda settings: Store(settings.models, shipped=tmp_path / "none")
    )
    result = run("--enhance", "off", "--fuse", "off")
    assert passages(result) == [[0.0], [3.4], [6.8]]
    assert result.joined_by is None
    assert "not installed" in result.notes[0]
    assert all(person.fusion is None for person in result.people)


def red(image):
    """How much of a picture is the red of a face."""
    return float(((image[..., 0] > 150) & (image[..., 1] < 90)).mean())


@pytest.mark.parametrize("who", [ANN, BOB])
def test_everyone_is_covered_but_who_is_in_the_picture(clip, tmp_path, red_model, capsys, who):
    (tmp_path / "reference.png").write_bytes(portrait(who))
    out = tmp_path / "out.mp4"
    arguments = ["redact", str(clip), "-o", str(out), "--json", "--model", red_model]
    assert cli.main([*arguments, "--keep", str(tmp_path / "reference.png")]) == 0
    result = Redacted.model_validate_json(capsys.readouterr().out)
    assert result.spared == (2 if who == ANN else 1)
    assert len(result.references) == 1
    assert result.found_after == 0
    with Video(out) as video:
        shown = [red(frame.image) > 0 for frame in video.frames()]
    ann = [index < 5 or index >= 34 for index in range(39)]
    bob = [17 <= index < 22 for index in range(39)]
    assert shown == (ann if who == ANN else bob)


def test_a_picture_is_covered_but_for_who_is_in_another(clip, tmp_path, red_model, capsys):
    for name, people in (("both", (ANN, BOB)), ("ann", (ANN,)), ("none", ())):
        (tmp_path / f"{name}.png").write_bytes(portrait(*people))
    arguments = ["redact", str(tmp_path / "both.png"), "--json", "--model", red_model]
    arguments += ["-o", str(tmp_path / "out.png"), "--keep"]
    assert cli.main([*arguments, str(tmp_path / "ann.png")]) == 0
    result = Redacted.model_validate_json(capsys.readouterr().out)
    assert (result.covers, result.spared, result.found_after) == (1, 1, 0)
    before, after = read(tmp_path / "both.png").image, read(tmp_path / "out.png").image
    assert red(after) == pytest.approx(red(before) / 2, rel=0.3)
    for wrong in ("both.png", "none.png", "missing.png"):
        assert cli.main([*arguments, str(tmp_path / wrong)]) == 1
        assert wrong in capsys.readouterr().err


@pytest.mark.parametrize(("count", "size"), [(1, (64, 48)), (3, (16, 1)), (3, (2, 16))])
def test_next_to_nothing_is_a_video_too(tmp_path, red_model, capsys, count, size):
    images = [np.full((size[1], size[0], 3), 90, np.uint8)] * count
    path = write(tmp_path / "a.mkv", steady(count), *size, images=images, codec="libx264")
    for command in ("footage", "redact"):
        arguments = [command, str(path), "-o", str(tmp_path / command), "--json"]
        assert cli.main([*arguments, "--model", red_model]) == 0
        result = json.loads(capsys.readouterr().out)
        assert result["frames"] == count
        assert not result.get("people")
        assert not result.get("covers")


def test_what_is_broken_has_its_own_line_and_the_rest_goes_on(clip, tmp_path, red_model, capsys):
    whole = write(tmp_path / "a.mp4", steady(30), 320, 240).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 3])
    (tmp_path / "empty.mp4").write_bytes(b"")
    names = [str(tmp_path / name) for name in ("cut.mp4", "empty.mp4")] + [str(clip)]
    for command in ("footage", "redact"):
        out = str(tmp_path / command)
        assert cli.main([command, *names, "-o", out, "--json", "--model", red_model]) == 1
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [line["source"] for line in lines] == names
        assert ["error" in line for line in lines] == [True, True, False]
