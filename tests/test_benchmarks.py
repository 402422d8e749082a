import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from facecctv.demo import Person
from facecctv.demo.clip import Walker, clip
from facecctv.demo.clip import steady as steady_clip
from facecctv.footage.video import Video
from tests.clips import steady, write

ROOT = Path(__file__).parent.parent


@pytest.fixture
def table(benchmark):
    return benchmark("table")


RESULT = {
    "machine": {"cpu": "A CPU", "cores": 2, "threads_used": 2},
    "detect": {
        "VGA": {
            "total_ms": 9.24,
            "network_ms": 7.0,
            "rest_ms": 2.24,
            "faces": 3,
            "faces_per_second": 324.7,
        },
        "4K": None,
    },
    "stages": {
        "x4 160x120": {"total_ms": 31.2, "peak_mb": 80.0},
        "embed 160x120": None,
        "bodies VGA": {"total_ms": 12.6, "peak_mb": 120.4},
    },
    "search": {"10,000": {"total_ms": 0.31, "peak_mb": 71.2}, "100,000": None},
    "start": {"import": {"seconds": 0.05}, "help": {"seconds": 0.2}, "detect_vga": None},
    "files": {"1080p": {"whole_seconds": 1.04, "peak_mb": 210.4}},
}


def test_the_table_says_what_was_measured_and_what_was_not(table):
    text = table.markdown(RESULT)
    assert "A CPU, 2 cores, 2 threads" in text
    assert "9.2 ms (3 faces: 325/s); network 7.0 ms, the rest 2.2 ms" in text
    assert "| Faces in a 4K picture in memory | not measured |" in text
    assert "1.0 s, at most 210 MB" in text
    assert "| Enhancing a 160x120 picture x4 | 31 ms, at most 80 MB of memory |" in text
    assert (
        "| Who of 10,000 templates is nearest (exact) | 0.3 ms, at most 71 MB of memory |" in text
    )
    assert "| Embedding 8 faces in one batch | not measured |" in text
    assert "| Bodies in a VGA picture in memory | 13 ms, at most 120 MB of memory |" in text


def test_the_readme_is_filled_between_its_marks_and_only_there(table, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text((ROOT / "README.md").read_text())
    table.fill(readme, "first")
    table.fill(readme, "second")
    before, after = (ROOT / "README.md").read_text().split(table.BEGIN)[0], readme.read_text()
    assert after.startswith(f"{before}{table.BEGIN}\nsecond\n{table.END}\n")
    assert "first" not in after


@pytest.mark.parametrize("text", ["", "<!-- benchmarks:end -->\n<!-- benchmarks:begin -->"])
def test_a_readme_without_the_marks_is_left_alone(table, tmp_path, text):
    readme = tmp_path / "README.md"
    readme.write_text(text)
    with pytest.raises(ValueError, match="needs"):
        table.fill(readme, "x")
    assert readme.read_text() == text


@pytest.mark.parametrize(
    ("count", "share", "expected"),
    [(1, 0.99, 1), (2, 0.5, 1), (10, 0.5, 5), (99, 0.99, 99), (100, 0.99, 99), (200, 0.99, 198)],
)
def test_a_percentile_is_a_value_that_was_seen(benchmark, count, share, expected):
    assert benchmark("serving").percentile(list(range(count, 0, -1)), share) == expected


def test_the_server_is_measured_against_the_pipeline(benchmark, tmp_path):
    out = tmp_path / "out.json"
    command = [sys.executable, "-m", "benchmarks.serving", "--seconds", "0.1", "--large", "1080p"]
    done = subprocess.run(
        [*command, "--out", str(out)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(out.read_text())
    assert result["server_per_second"] > 0
    assert len(result["turns"]) == 5
    shares = sorted(of / alone for alone, of in result["turns"])
    assert result["share_of_pipeline"] == pytest.approx(shares[2], abs=0.01)
    for part in ("vga", "tiny_alone", "tiny_beside_large", "tiny_beside_video"):
        waits = result[part]
        assert waits["requests"] >= 1
        assert 0 < waits["median_ms"] <= waits["p99_ms"] <= waits["longest_ms"]
    assert benchmark("serving").markdown(result) in done.stdout


def test_the_soak_calls_every_reply_wrong_but_the_one_its_picture_calls_for(benchmark):
    soak = benchmark("soak")
    tally = soak.Tally()
    for status, expected in ((200, 200), (422, 422), (429, 200), (200, 422), (500, 200)):
        tally.take("/v1/detect", status, expected)
    assert tally.wrong == {"/v1/detect: 200 for 422": 1, "/v1/detect: 500 for 200": 1}
    assert tally.seen == {"200": 2, "422": 1, "429": 1, "500": 1}


@pytest.mark.parametrize(
    ("sizes", "worst"),
    [
        ([7], 1.0),
        ([900, 100, 100], 1.0),  # the first third does not count
        ([1, 100, 140, 100, 140, 140, 100], 1.0),  # one reading says little
        ([1, 1, 100, 100, 100, 106], 1.06),  # one peak is seen,
        ([1, 1, 1, 100, 200, 100, 150, 150, 200], 1.25),  # and a floor that rises below the peaks
    ],
)
def test_the_soak_holds_mean_and_peak_of_the_last_third_against_the_second(benchmark, sizes, worst):
    assert benchmark("soak").Growth.of(sizes).worst == pytest.approx(worst)


def test_the_soak_ends_in_time_and_well(benchmark, monkeypatch, capsys):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    soak = benchmark("soak")
    monkeypatch.setattr(soak, "GROWTH", 100)  # in a second nothing has settled
    assert soak.main(["1", "--pause", "0.01"]) == 0
    assert "wrong" not in capsys.readouterr().out


def test_a_scene_is_repeated_packet_by_packet(benchmark, tmp_path):
    clips = benchmark("clips")
    write(tmp_path / "a.mp4", steady(12))
    clips.repeat(tmp_path / "a.mp4", tmp_path / "b.mp4", 3)
    with Video(tmp_path / "b.mp4") as video:
        frames = list(video.frames())
    assert [frame.time for frame in frames] == steady(36)
    for index, frame in enumerate(frames):
        assert np.array_equal(frame.image, frames[index % 12].image)
    assert clips.decode(tmp_path / "b.mp4") == 36


def test_the_benchmarks_people_leave_the_scene_before_it_begins_again(benchmark):
    clips = benchmark("clips")
    for walker in clips.walkers((1920, 1080), 10):
        assert 0 < walker.enters < walker.leaves < 10
        for time in (walker.enters, walker.leaves):
            there = walker.at(time)
            assert 0 < there.x < 1920
            assert 24 <= there.face_px <= 150


def test_figures_of_footage_as_tables(benchmark):
    part = {
        "seconds": 80.0, "times_real_time": 1.5, "decode_seconds": 10.0, "ratio_to_decode": 8.0,
        "cpu_ratio_to_decode": 6.5, "peak_mb": 300.0,
    }  # fmt: skip
    checks = {
        "people": 3, "people_there": 3, "idf1": 0.97, "idf1_24_px": 0.91, "best_sight_rank": 0.0,
        "covered": 7, "faces": 7, "found_after": 0,
    }  # fmt: skip
    sizes = {"1080p": {"120": part, "60": None}}
    text = benchmark("footage").markdown({"sizes": sizes, "checks": checks})
    assert "| 1080p, 120 s | 80.0 s | 1.50 | 10.0 s | 8.0 | 6.5 | 300 MB |" in text
    assert "| 1080p, 60 s | not measured | | | | | |" in text
    assert "| faces covered | 7 of 7 | all |" in text


def test_the_worst_best_sight_is_told(benchmark):
    footage, clips = benchmark("footage"), benchmark("clips")
    shots = list(clip((160, 120), (Walker(1, Person(40, 20), 80, 40, 0.0, 1.0),), steady_clip(1)))

    def found(index):
        (face,) = shots[index].faces
        box = dict(zip(("x_min", "y_min", "x_max", "y_max"), map(float, face.box), strict=True))
        sight = SimpleNamespace(frame=index, face=SimpleNamespace(box=SimpleNamespace(**box)))
        return SimpleNamespace(people=[SimpleNamespace(number=1, best=[sight])])

    assert clips.GROWING[2].face_px == clips.GROWING[2].start.face_px == 24
    assert footage.rank(shots, found(24)) == 0
    assert footage.rank(shots, found(14)) == pytest.approx(10 / 25)
