"""Every bad input gives one clear line and the right status, and leaves nothing half-written."""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from facecctv import cli
from facecctv.image import encode
from tests.red_detector import red_picture

GOOD = encode(red_picture(640, 480, (20, 30)))
JPEG = encode(red_picture(640, 480, (20, 30)), "jpeg")


def saved(image, format, **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def bomb():
    """A PNG of a few bytes whose header promises 60,000 x 60,000 pixels."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    data = (
        chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )
    return b"\x89PNG\r\n\x1a\n" + data


def gif():
    frames = [PIL.Image.fromarray(red_picture(640, 480, (5, 5 + n))) for n in range(3)]
    return saved(frames[0], "GIF", save_all=True, append_images=frames[1:])


BAD = {
    "empty.jpg": (b"", "ImageError", "the file is empty"),
    "text.jpg": (b"This is no picture.\n" * 20, "ImageError", "not a picture"),
    "truncated.jpg": (JPEG[: len(JPEG) // 2], "ImageError", "truncated"),
    "truncated.png": (GOOD[: len(GOOD) // 2], "ImageError", ""),
    "header-only.png": (GOOD[:40], "ImageError", ""),
    "bomb.png": (bomb(), "LimitError", "60000 x 60000"),
}
ODD = {
    "1x1.png": (saved(PIL.Image.new("RGB", (1, 1)), "PNG"), (1, 1)),
    "1x5000.png": (saved(PIL.Image.new("RGB", (1, 5000)), "PNG"), (1, 5000)),
    "grey16.png": (
        saved(PIL.Image.fromarray(np.full((90, 120), 40_000, np.uint16)), "PNG"),
        (120, 90),
    ),
    "cmyk.jpg": (saved(PIL.Image.new("CMYK", (120, 90)), "JPEG"), (120, 90)),
    "animated.gif": (gif(), (640, 480)),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    return tmp_path


@pytest.fixture
def call(red_model, capsys):
    def run(command, *arguments):
        more = ["--enhance", "off"] if command == "examine" else []
        status = cli.main([command, "--model", red_model, *more, *map(str, arguments)])
        return status, *capsys.readouterr()

    return run


class TestPictures:
    @pytest.mark.parametrize("command", ["detect", "examine"])
    @pytest.mark.parametrize("name", BAD)
    def test_one_clear_line(self, folder, call, command, name):
        data, kind, says = BAD[name]
        path = folder / "in" / name
        path.write_bytes(data)
        out_option = ["-o", "out"] if command == "examine" else []
        status, out, err = call(command, path, *out_option)
        assert (status, out) == (1, "")
        assert err.startswith(f"{path}: ")
        assert err.count("\n") == 1
        assert err.count(name) == 1
        assert says.lower() in err.lower()
        status, out, err = call(command, path, *out_option, "--json")
        row = json.loads(out)
        assert (status, err) == (1, "")
        assert list(row) == ["source", "error"]
        assert row["error"]["type"] == kind
        assert name not in row["error"]["detail"]
        if out_option:
            assert os.listdir("out") == ["index.html"]

    @pytest.mark.parametrize("name", ODD)
    def test_odd_but_good(self, folder, call, name):
        data, size = ODD[name]
        (folder / name).write_bytes(data)
        status, out, err = call("examine", name, "--json")
        row = json.loads(out)
        assert (status, err) == (0, "")
        assert (row["width"], row["height"]) == size
        assert (folder / "facecctv-results" / row["files"]["annotated"]).stat().st_size

    @pytest.mark.parametrize("command", ["detect", "examine"])
    def test_a_bad_file_does_not_stop_the_rest(self, folder, call, command):
        for name, (data, *_) in (BAD | {"a.png": (GOOD,), "z.png": (GOOD,)}).items():
            (folder / "in" / name).write_bytes(data)
        status, out, err = call(command, "in", "--json")
        rows = {(row := json.loads(line))["source"]: row for line in out.splitlines()}
        assert (status, err) == (1, "")
        assert list(rows) == sorted(f"in/{name}" for name in os.listdir("in"))
        for name in BAD:
            assert rows[f"in/{name}"]["error"]["type"] == BAD[name][1]
        for name in ("a.png", "z.png"):
            assert len(rows[f"in/{name}"]["faces"]) == 1

    @pytest.mark.parametrize("name", ["gone.jpg", "*.jpg"])
    def test_what_is_not_there(self, folder, call, name):
        status, out, err = call("detect", name)
        assert (status, out) == (1, "")
        assert err == f"{name}: cannot be read: No such file or directory\n"

    def test_what_is_no_file(self, folder, call):
        os.mkfifo("pipe.jpg")
        assert call("detect", "pipe.jpg")[2] == "pipe.jpg: not a regular file\n"

    @pytest.mark.parametrize(
        ("variable", "says"),
        [("FACECCTV_MAX_PIXELS", "640 x 480"), ("FACECCTV_MAX_BYTES", f"{len(GOOD):,}")],
    )
    def test_limits_of_the_user(self, folder, call, monkeypatch, variable, says):
        (folder / "a.png").write_bytes(GOOD)
        monkeypatch.setenv(variable, "1000")
        status, out, _ = call("detect", "a.png", "--json")
        error = json.loads(out)["error"]
        assert (status, error["type"]) == (1, "LimitError")
        assert says in error["detail"]


class TestModels:
    def run(self, capsys, *arguments):
        status = cli.main([*map(str, arguments)])
        return status, *capsys.readouterr()

    @pytest.mark.parametrize("command", ["detect", "examine"])
    @pytest.mark.parametrize(
        ("model", "kind"),
        [("gone.onnx", "ModelNotFound"), ("gone", "ModelNotFound"), ("bad.onnx", "ModelError")],
    )
    def test_a_model_that_cannot_be_used_is_told_once(self, folder, capsys, command, model, kind):
        for name in ("a.png", "b.png"):
            (folder / "in" / name).write_bytes(GOOD)
        (folder / "bad.onnx").write_bytes(b"no model")
        status, out, err = self.run(capsys, command, "in", "--json", "--model", model)
        assert status == 1
        assert list(json.loads(out)) == ["error"]
        assert json.loads(out)["error"]["type"] == kind
        assert err.startswith("facecctv: ")
        assert err.count("\n") == 1
        assert os.listdir() == ["bad.onnx", "in"] or sorted(os.listdir()) == ["bad.onnx", "in"]

    def test_a_tampered_model(self, folder, capsys, red_model, monkeypatch):
        shutil.copy(red_model, "red.onnx")
        (folder / "SHA256SUMS").write_text(f"{'0' * 64}  red.onnx\n")
        monkeypatch.setenv("FACECCTV_MODELS", str(folder))
        (folder / "a.png").write_bytes(GOOD)
        status, out, err = self.run(capsys, "detect", "a.png", "--model", "red")
        assert (status, out) == (1, "")
        assert "not the file on record" in err
        assert err.count("\n") == 1


LIMITED = """
import resource, sys
from facecctv import cli
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
sys.exit(cli.main(sys.argv[1:]))
"""
UNPRIVILEGED = """
import os, sys
from facecctv import cli
for name in ("detect", "examine"):
    cli.load(name)  # the superuser's Python may be out of others' reach
import onnxruntime, platformdirs
if os.geteuid() == 0:
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
sys.exit(cli.main(sys.argv[1:]))
"""


def process(code, *arguments, cwd):
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


class TestDisk:
    @pytest.mark.parametrize(
        "command",
        [["examine", "--enhance", "off"], ["detect", "--annotate"], ["detect", "--crops"]],
    )
    def test_full(self, folder, red_model, command):
        noise = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
        noise[96:104, 96:104] = (255, 0, 0)
        (folder / "in" / "a.png").write_bytes(encode(noise))
        limit = 300 if "--crops" in command else 100_000
        arguments = [*command, "in", "-o", "out", "--json", "--model", red_model]
        done = process(LIMITED.format(limit=limit), *arguments, cwd=folder)
        row = json.loads(done.stdout.splitlines()[0])
        assert done.returncode == 1
        assert row["error"]["type"] == "OutputError"
        assert "File too large" in row["error"]["detail"]
        assert "Traceback" not in done.stderr
        assert set(os.listdir("out")) <= {"index.html"}


@pytest.fixture
def open_folder(red_model):
    """A folder that everyone can reach, with a readable picture and model in it."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    (path / "a.png").write_bytes(GOOD)
    (path / "red.onnx").write_bytes(Path(red_model).read_bytes())
    yield path
    shutil.rmtree(path)


class TestPermission:
    def test_a_folder_that_may_not_be_read(self, open_folder):
        (open_folder / "closed").mkdir(mode=0)
        done = process(
            UNPRIVILEGED, "detect", "closed", "a.png", "--model", "red.onnx", cwd=open_folder
        )
        (open_folder / "closed").chmod(0o755)
        assert done.returncode == 1
        assert done.stderr == "closed: cannot be read: Permission denied\n"
        assert done.stdout.startswith("a.png: 1 face")

    def test_a_folder_that_may_not_be_written(self, open_folder):
        (open_folder / "out").mkdir(mode=0o555)
        plain = ["examine", "--enhance", "off"]
        for command in (plain, [*plain, "--json"]):
            done = process(
                UNPRIVILEGED, *command, "a.png", "-o", "out", "--model", "red.onnx", cwd=open_folder
            )
            assert done.returncode == 1
            assert done.stderr == "facecctv: out: cannot be written: Permission denied\n"
        assert json.loads(done.stdout)["error"]["type"] == "OutputError"
        done = process(
            UNPRIVILEGED,
            *("detect", "a.png", "-o", "out", "--annotate", "--model", "red.onnx"),
            cwd=open_folder,
        )
        assert done.returncode == 1
        assert done.stderr.endswith("cannot be written: Permission denied\n")
        assert os.listdir(open_folder / "out") == []

    def test_a_file_in_the_place_of_the_output_folder(self, folder, call):
        (folder / "a.png").write_bytes(GOOD)
        status, out, err = call("examine", "a.png", "-o", "a.png")
        assert (status, out) == (1, "")
        assert err == "facecctv: a.png: cannot be written: File exists\n"
        assert (folder / "a.png").read_bytes() == GOOD
