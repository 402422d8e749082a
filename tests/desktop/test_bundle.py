"""The bundled program, built and started: `make test-bundle`, which takes minutes."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from facecctv.demo import demo_scene
from facecctv.image import encode

pytestmark = pytest.mark.bundle

ROOT = Path(__file__).parents[2]
PATIENCE = 600


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """dist/facecctv; FACECCTV_BUNDLE names one that is built already."""
    built = os.environ.get("FACECCTV_BUNDLE")
    if built:
        return Path(built)
    out = tmp_path_factory.mktemp("bundle")
    command = [sys.executable, "-m", "PyInstaller", "--noconfirm", "--log-level", "WARN",
               "--distpath", str(out / "dist"), "--workpath", str(out / "build"),
               str(ROOT / "packaging" / "facecctv.spec")]  # fmt: skip
    subprocess.run(command, check=True, cwd=ROOT)
    return out / "dist" / "facecctv"


@pytest.fixture
def run(folder, tmp_path):
    """Runs the program in an empty folder, with nothing of this Python about it."""

    def call(*arguments):
        return subprocess.run(
            [str(folder / "facecctv"), *arguments], cwd=tmp_path, env=environment(tmp_path),
            capture_output=True, text=True, timeout=PATIENCE,
        )  # fmt: skip

    return call


def environment(home: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return kept | {"HOME": str(home), "XDG_DATA_HOME": str(home), "XDG_STATE_HOME": str(home)}


def test_nothing_under_the_gpl_is_in_it(folder):
    sys.path.insert(0, str(ROOT / "packaging"))
    try:
        from licences import belongs, copyleft_in
    finally:
        sys.path.pop(0)
    names = [str(path.relative_to(folder)) for path in folder.rglob("*")]
    assert len(names) > 100
    assert copyleft_in(names) == []
    assert [name for name in names if not belongs(name)] == []


def test_it_knows_itself_and_is_well(run):
    assert run("--version").stdout.startswith("facecctv ")
    done = run("doctor", "--json")
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout)["ok"]


def test_it_finds_faces(run, tmp_path):
    (tmp_path / "hall.jpg").write_bytes(encode(demo_scene().image, "jpeg"))
    done = run("examine", "hall.jpg", "-o", "out", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["faces"]
    assert (tmp_path / "out" / "index.html").is_file()


@pytest.mark.skipif(not shutil.which("Xvfb"), reason="needs Xvfb")
def test_it_opens_a_window(folder, tmp_path):
    root = {"QTWEBENGINE_CHROMIUM_FLAGS": "--no-sandbox"} if os.geteuid() == 0 else {}
    command = ["xvfb-run", "-a", str(folder / "facecctv"), "app", "--check"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(tmp_path) | root, capture_output=True, text=True,
        timeout=PATIENCE,
    )  # fmt: skip
    assert done.stdout == "A window can be opened here.\n", done.stderr


def test_it_says_that_training_is_left_out(run):
    done = run("evaluate", "pair", "a", "b", "--model", "c")
    assert done.returncode == 1
    assert "training is not part of this program" in done.stderr
    assert "Traceback" not in done.stderr


def test_video_works_or_is_said_to_be_left_out(folder, run, tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"no video")
    done = run("footage", "a.mp4", "-o", "out")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    carried = any((folder / "_internal").glob("av/*"))
    assert ("video is not part of this program" in done.stderr) != carried


def test_its_server_answers_and_finds_faces(folder, tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with subprocess.Popen(
        [str(folder / "facecctv"), "serve", "--port", str(port)], cwd=tmp_path,
        env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as server:  # fmt: skip
        try:
            assert json.loads(_wait(server, f"http://127.0.0.1:{port}/healthz"))
            page = _wait(server, f"http://127.0.0.1:{port}/").decode()
            assert "<title>FaceCCTV" in page
            head = b'--X\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
            body = head + encode(demo_scene().image, "jpeg") + b"\r\n--X--\r\n"
            kind = {"content-type": "multipart/form-data; boundary=X"}
            request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/detect", body, kind)
            with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
                assert json.load(reply)["faces"]
        finally:
            server.terminate()
            server.communicate(timeout=60)


def _wait(server: subprocess.Popen, address: str) -> bytes:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        assert server.poll() is None, server.stderr.read()
        try:
            with urllib.request.urlopen(address, timeout=10) as reply:
                return reply.read()
        except urllib.error.URLError:
            time.sleep(0.2)
    raise AssertionError(f"no answer from {address} in {PATIENCE} seconds")
