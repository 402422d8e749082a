"""`facecctv footage` and `facecctv redact` on a made video whose people are known."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from fractions import Fraction

import numpy as np
import pytest

from facecctv import cli
from facecctv.demo import HALL, Person, corridor
from facecctv.demo.clip import Walker, clip, steady, write_clip
from facecctv.footage.video import Video
from facecctv.image import encode, read, read_metadata
from facecctv.metrics import Named, tracking
from facecctv.schema.footage import Footage, Redacted

WALKERS = (
    Walker(1, Person(x=120, face_px=24, hue=90), 300, 26, 0.0, 2.4),
    Walker(2, Person(x=560, face_px=50, mirrored=True, hue=60), 430, 60, 0.8, 2.4),
)
TIMES = steady(2.4, Fraction(25, 2))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The file and its shots."""
    path = tmp_path_factory.mktemp("clips") / "door.mp4"
    shots = list(clip((640, 360), WALKERS, TIMES))
    write_clip(path, iter(shots))
    return path, shots


@pytest.fixture(scope="module")
def found(made, tmp_path_factory):
    """The folder that footage wrote, and what it said."""
    out = tmp_path_factory.mktemp("found")
    assert cli.main(["footage", str(made[0]), "-o", str(out), "--enhance", "off"]) == 0
    return out, Footage.model_validate_json((out / "door" / "result.json").read_bytes())


def test_everybody_once(made, found):
    _, result = found
    assert (result.width, result.height, result.frames, result.damaged) == (640, 360, 30, 0)
    assert len(result.people) == 2
    first, second = result.people
    assert first.first == 0
    assert second.first == pytest.approx(0.8, abs=0.2)
    assert result.looks < result.frames
    assert result.source == str(made[0])


def test_identity_f1_of_small_faces(made, found):
    truth, seen = [], []
    for shot in made[1]:
        truth.append(Named(np.array([face.box for face in shot.faces]), shot.names))
        rows = {
            person.number: row[1:]
            for person in found[1].people
            for passage in person.passages
            for row in passage.path
            if abs(row[0] - float(shot.frame.time)) < 0.01
        }
        seen.append(Named(np.array(list(rows.values())), tuple(rows)))
    looked = [index for index, frame in enumerate(seen) if frame.names]
    result = tracking([truth[i] for i in looked], [seen[i] for i in looked])
    assert len(looked) >= 10
    assert result.idf1 >= 0.9
    assert result.switches == 0


def test_the_best_sight_is_among_the_nearest(made, found):
    """All frames are equally good, so the truth of a sight is how high the face is."""
    for number, person in enumerate(found[1].people, 1):
        heights = {
            shot.frame.index: face.height
            for shot in made[1]
            for face, name in zip(shot.faces, shot.names, strict=True)
            if name == number
        }
        own = heights[person.best[0].frame]
        assert sum(height > own for height in heights.values()) <= 0.1 * len(heights)


def test_what_is_written(found):
    out, result = found
    folder = out / "door"
    for person in result.people:
        assert len(person.files.crops) == len(person.best) == 5
        quality = [sight.face.quality for sight in person.best]
        worth = [one.score * one.face_px for one in quality]
        assert worth[0] >= 0.95 * max(worth)
        native = read(folder / person.files.crops[0]).image
        fused = read(folder / person.files.fused).image
        assert fused.shape[:2] == (2 * native.shape[0], 2 * native.shape[1])
        assert person.fusion.step == "multi_frame"
        assert len(person.fusion.frames) >= 3
        said = read_metadata((folder / person.files.fused).read_bytes())
        assert said["Source SHA-256"] == result.sha256
        assert "multi_frame" in said["Processing"]
    assert read(folder / result.sheet).image.size
    page = (out / "footage.html").read_text(encoding="utf-8")
    assert page.count("<li>") == 2
    assert "2 people in 1 video" in page
    for link in result.people[0].files.crops:
        assert f"door/{link}" in page
    assert not list(out.glob(".*"))


def test_joined_by_hand_and_told(made, tmp_path, capsys):
    arguments = ["footage", str(made[0]), "-o", str(tmp_path), "--enhance", "off", "--json"]
    assert cli.main([*arguments, "--merge", "1,2"]) == 0
    result = Footage.model_validate_json(capsys.readouterr().out)
    assert [person.number for person in result.people] == [1]
    assert len(result.people[0].passages) == 2
    assert [(edit.kind, edit.people) for edit in result.edits] == [("merge", (1, 2))]
    assert cli.main([*arguments, "--split", "7:1"]) == 1
    assert "no person 7" in json.loads(capsys.readouterr().out)["error"]["detail"]


def test_what_is_no_video_has_its_own_line(tmp_path, capsys):
    (tmp_path / "empty.mp4").write_bytes(b"")
    names = [str(tmp_path / "empty.mp4"), str(tmp_path / "missing.mp4")]
    assert cli.main(["footage", *names, "-o", str(tmp_path / "out"), "--json"]) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["source"] for line in lines] == names
    assert [line["error"]["type"] for line in lines] == ["VideoError", "FileNotFoundError"]


@pytest.mark.parametrize(
    "wrong",
    [
        ["footage", "a.mp4", "--merge", "one"],
        ["footage", "a.mp4", "--split", "1"],
        ["footage", "a.mp4", "--hwaccel", "steam"],
        ["footage", "a.mp4", "b.mp4", "--merge", "1,2"],
        ["redact", "a.mp4", "--people", "result.json"],
        ["redact", "a.mp4", "--people", "result.json", "--keep", "ann.png"],
        ["redact", "a.mp4", "b.mp4", "-o", "c.mp4"],
        ["redact", "a.mp4", "-o", "a.mp4"],
    ],
)
def test_wrong_usage(wrong, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(wrong) == 2
    assert capsys.readouterr().err


def test_killed_it_goes_on_and_comes_to_the_same(made, found, tmp_path):
    arguments = ["footage", str(made[0]), "-o", str(tmp_path), "--enhance", "off"]
    process = subprocess.Popen(
        [sys.executable, "-m", "facecctv", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    while process.poll() is None:
        logs = list(tmp_path.glob(".*.journal/looks.jsonl"))
        if logs and logs[0].read_bytes().count(b"\n") > 5:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.02)
    process.wait()
    assert cli.main(arguments) == 0
    again = (tmp_path / "door" / "result.json").read_bytes()
    assert again == (found[0] / "door" / "result.json").read_bytes()
    for picture in (found[0] / "door").rglob("*.png"):
        same = tmp_path / "door" / picture.relative_to(found[0] / "door")
        assert same.read_bytes() == picture.read_bytes()


def test_every_face_of_every_frame_is_covered(made, tmp_path, capsys):
    out = tmp_path / "out.mp4"
    assert cli.main(["redact", str(made[0]), "-o", str(out), "--json"]) == 0
    result = Redacted.model_validate_json(capsys.readouterr().out)
    assert (result.found_after, result.coverage, result.frames) == (0, 1.0, 30)
    assert result.to_json() == (tmp_path / "out.mp4.json").read_text().strip()
    for shot, frame in zip(made[1], Video(out).frames(), strict=True):
        for face in shot.faces:
            x1, y1, x2, y2 = np.rint(face.box).astype(int)
            assert (frame.image[y1:y2, x1:x2].max(axis=2) < 60).mean() > 0.97


def test_who_is_kept_stays_to_be_seen(made, found, tmp_path, capsys):
    out, record = tmp_path / "out.mp4", str(found[0] / "door" / "result.json")
    arguments = ["redact", str(made[0]), "-o", str(out), "--json", "--people", record]
    assert cli.main([*arguments, "--keep", "2", "--style", "mosaic"]) == 0
    assert Redacted.model_validate_json(capsys.readouterr().out).kept == (2,)
    shots = made[1]
    frames = list(Video(out).frames())
    for index in (15, 25):
        for face, name in zip(shots[index].faces, shots[index].names, strict=True):
            x1, y1, x2, y2 = np.rint(face.box).astype(int)
            before = shots[index].frame.image[y1:y2, x1:x2].astype(int)
            change = np.abs(frames[index].image[y1:y2, x1:x2] - before).mean()
            assert (change < 6) == (name == 2)
    assert cli.main([*arguments, "--keep", "9"]) == 1
    assert "no person 9" in capsys.readouterr().out


def test_a_picture_is_covered_too(tmp_path, capsys):
    scene = corridor((640, 360), HALL[2:4], np.random.default_rng(0))
    (tmp_path / "hall.png").write_bytes(encode(scene.image))
    out = tmp_path / "out"
    assert cli.main(["redact", str(tmp_path / "hall.png"), "-o", str(out), "--json"]) == 0
    result = Redacted.model_validate_json(capsys.readouterr().out)
    image = read(out / result.output).image
    assert result.covers >= len(scene.faces)
    for face in scene.faces:
        x1, y1, x2, y2 = np.rint(face.box).astype(int)
        if x2 <= 640:
            assert image[y1:y2, x1:x2].max() == 0
