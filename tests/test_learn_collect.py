import json
import sys

import av
import numpy as np
import PIL.Image
import pytest

from facecctv import cli
from facecctv.errors import InputError, MissingExtra, SettingError, VideoError
from facecctv.learn.data.collect import Choice, Session, collect, open_source
from facecctv.learn.data.dataset import read_dataset
from facecctv.learn.data.prelabel import annotate, prelabel
from facecctv.types import Face
from tests.test_learn_formats import picture


@pytest.fixture
def video(tmp_path):
    path = tmp_path / "v.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(10):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 * i, np.uint8))
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def session_of(folder):
    return json.loads((folder / "session.json").read_text())["pictures"]


def test_every_third_frame_of_a_video_and_a_second_run_adds_nothing(tmp_path, video):
    for expected in (4, 0):
        with Session(tmp_path / "s", str(video)) as session:
            assert collect(open_source(str(video)), session, Choice(every=3)) == expected
    pictures = session_of(tmp_path / "s")
    assert [p["frame"] for p in pictures] == [0, 3, 6, 9]
    assert pictures[1]["seconds"] == pytest.approx(0.6)
    assert (tmp_path / "s" / pictures[3]["file"]).is_file()


def test_an_interrupted_session_is_whole_and_goes_on(tmp_path, video):
    def broken():
        for number, shot in enumerate(open_source(str(video))):
            if number == 2:
                raise KeyboardInterrupt
            yield shot

    with pytest.raises(KeyboardInterrupt), Session(tmp_path / "s", str(video)) as session:
        collect(broken(), session)
    assert len(session_of(tmp_path / "s")) == 2
    with Session(tmp_path / "s", str(video)) as session:
        assert collect(open_source(str(video)), session, Choice(limit=3)) == 3
    assert [p["frame"] for p in session_of(tmp_path / "s")] == [0, 1, 2, 3, 4]


class Keys:
    def __init__(self, keys):
        self.keys, self.seen = iter(keys), []

    def show(self, image, faces, text):
        self.seen.append((len(faces), text))
        return next(self.keys)


def test_keys_keep_frames_and_q_ends(tmp_path, video):
    view = Keys(["", " ", "", " ", "q"])
    face = Face([1, 1, 9, 9], np.ones((5, 2)), 0.9)
    with Session(tmp_path / "s", str(video)) as session:
        kept = collect(
            open_source(str(video)), session, Choice(on_key=True), view, lambda image: [face]
        )
    assert kept == 2
    assert view.seen[-1] == (1, "2 kept")
    with Session(tmp_path / "t", str(video)) as session, pytest.raises(SettingError):
        collect(open_source(str(video)), session, Choice(on_key=True))


def test_sources_that_cannot_be_read_are_one_clear_error(tmp_path):
    (tmp_path / "x.mp4").write_text("text")
    (tmp_path / "empty").mkdir()
    with pytest.raises(VideoError):
        open_source(str(tmp_path / "x.mp4"))
    with pytest.raises(InputError, match="no pictures"):
        open_source(str(tmp_path / "empty"))
    with pytest.raises(InputError, match="neither"):
        open_source(str(tmp_path / "gone"))


def test_prelabels_are_for_correction_and_never_replace_work(tmp_path):
    picture(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").write_bytes(b"broken")
    face = Face([10, 20, 50, 60], np.full((5, 2), 30), 0.9)
    done = prelabel([tmp_path], lambda image: [face])
    assert (done.written, done.faces, done.kept, len(done.faults)) == (1, 1, 0, 1)
    (item,) = read_dataset(tmp_path).items
    np.testing.assert_array_equal(item.boxes, [[10, 20, 50, 60]])
    assert np.isfinite(item.landmarks).all()
    again = prelabel([tmp_path], lambda image: [])
    assert (again.written, again.kept) == (0, 1)


def test_annotating_without_labelme_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingExtra, match="pip install labelme"):
        annotate(tmp_path)


@pytest.fixture
def people(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for i, who in enumerate(["anna", "anna", "ben", "ben", "cleo", "cleo"]):
        pixels = np.random.default_rng(i).integers(0, 256, (8, 8, 3)).astype(np.uint8)
        image = PIL.Image.fromarray(pixels).resize((64, 64))
        (tmp_path / "people" / who).mkdir(parents=True, exist_ok=True)
        image.save(tmp_path / "people" / who / f"{i}.png")
    return tmp_path


def run(capsys, *words):
    status = cli.main(["data", *words])
    out, err = capsys.readouterr()
    return status, out, err


def test_the_whole_way_on_the_command_line(people, capsys):
    status, out, _ = run(capsys, "check", "people", "--no-enough")
    assert status == 0
    assert "--by identity" in out
    status, out, _ = run(capsys, "split", "people", "--by", "identity", "--ratios", "70/30")
    assert status == 0
    assert "train 4" in out
    split = ["--split", "people/split.json"]
    status, out, _ = run(capsys, "pairs", "people", *split, "--count", "4")
    assert (status, "4 pairs (random) of 2 people" in out) == (0, True)
    status, out, _ = run(capsys, "explore", "people")
    assert (status, "3 people" in out) == (0, True)
    status, out, _ = run(capsys, "export", "people", "--to", "csv", "-o", "out", *split)
    assert (status, len(read_dataset(people / "out"))) == (0, 6)
    status, out, _ = run(
        capsys, "augment", "people", "-o", "aug", "--copies", "2", "--workers", "1"
    )
    assert (status, "12 copies made" in out) == (0, True)
    status, out, _ = run(capsys, "import", "people", "-o", "t/labels.csv")
    assert (status, len(read_dataset(people / "t/labels.csv"))) == (0, 6)


def test_bad_input_is_one_clear_line(people, capsys):
    (people / "empty").mkdir()
    for words, said in (
        (["check", "empty"], "no labels recognised"),
        (["split", "gone"], "no such folder"),
        (["pairs", "people", "--count", "999"], "there are 3"),
        (["split", "people", "--ratios", "1"], "ratios"),
        (["annotate", "empty"], "no pictures"),
        (["prelabel", "empty"], "no pictures"),
        (["collect", "gone"], "neither"),
    ):
        status, _, err = run(capsys, *words)
        assert status == 1
        assert said in err
        assert "Traceback" not in err


def test_the_data_tools_import_no_training_framework():
    import subprocess

    modules = ("check", "collect", "enlarge", "explore", "labelme", "pairs", "prelabel", "split")
    code = "import sys\n" + "".join(f"import facecctv.learn.data.{m}\n" for m in modules)
    code += "sys.exit(bool({'torch', 'keras', 'albumentations'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
