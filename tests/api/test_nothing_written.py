"""The kernel's own account of a server at work: no file is written, whatever is sent to it."""

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import httpx
import numpy as np
import pytest

from facecctv.image import encode
from tests.api.filmed import film, frame
from tests.api.hostile import BODIES, PICTURES
from tests.api.programs import served

STRACE = shutil.which("strace")
CALLS = (
    "open,openat,openat2,creat,mkdir,mkdirat,mknod,mknodat,rename,renameat,renameat2,link,linkat,"
    "symlink,symlinkat,truncate,ftruncate"
)
# -D makes the watched program the child, so that signals reach it and not the watcher.
WATCH = (STRACE, "-D", "-f", "--seccomp-bpf", "-qq", "-e", f"trace={CALLS}")
READING = re.compile(r"open(at2?)?\(")
WRITES = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TMPFILE")


def traceable():
    if STRACE is None:
        return False
    return not subprocess.run([*WATCH, "true"], capture_output=True, check=False).returncode


pytestmark = pytest.mark.skipif(not traceable(), reason="needs strace, and leave to trace")


def written(log, start=0):
    """The system calls that make, change or move a file; the null device is none."""
    lines = log.read_bytes()[start:].decode(errors="replace").splitlines()
    calls = [line for line in lines if "(" in line and "resumed>" not in line]
    return [
        call
        for call in calls
        if (WRITES.search(call) or not READING.search(call)) and '"/dev/null"' not in call
    ]


def test_the_watch_sees_a_file_written_in_a_thread(tmp_path):
    log = tmp_path / "log"
    code = (
        "import threading; t = threading.Thread(target=lambda: open('made', 'w').close()); "
        "t.start(); t.join(); open('/dev/null', 'w').close(); open('/etc/hosts').close()"
    )
    command = [*WATCH, "-o", log, sys.executable, "-B", "-c", code]
    subprocess.run(command, check=True, cwd=tmp_path)
    (call,) = until_quiet(log)
    assert '"made"' in call


def until_quiet(log, start=0):
    """What was written; the watcher may lag behind the watched."""
    size = -1
    while size != (size := log.stat().st_size):
        time.sleep(0.5)
    return written(log, start)


def video(client, replies):
    """A video looked through and covered; what is no video is among the replies."""
    data = film([frame((10 + 4 * at, 40)) for at in range(12)], sound=0.4)
    address = client.post("/v1/jobs", files={"file": ("a.mp4", data)}).headers["location"]
    covered = client.post(f"{address}/redact").headers["location"]
    for one in (address, covered):
        while (job := client.get(one).json())["state"] not in ("done", "failed"):
            time.sleep(0.2)
        assert job["state"] == "done", job
    assert client.get(f"{covered}/redacted").content
    for one in (address, covered):
        assert client.delete(one).status_code == 204
    for broken in (data[: len(data) // 2], b"no video" * 100_000, b""):
        replies.append(client.post("/v1/jobs", files={"file": ("a.mp4", broken)}))


def test_no_upload_is_written_anywhere_and_none_is_a_5xx(tmp_path, monkeypatch):
    log = tmp_path / "log"
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    options = ("--max-pixels", "2000000", "--requests-per-minute", "0")
    noise = np.random.default_rng(0).integers(0, 256, (900, 900, 3), np.uint8)
    large = encode(noise)
    assert len(large) > 2_000_000  # Starlette would spool it from 1 MB on
    with (
        served(tmp_path, *options, watched_by=(*WATCH, "-o", log)) as (port, _),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client,
    ):
        start = log.stat().st_size
        replies = [
            client.post("/v1/examine?crops=true&annotated=true", files={"file": ("a.png", large)}),
            client.post("/v1/detect", files={"file": ("a.png", large)}, data={"boxes": "[[1]]"}),
            *(client.post("/v1/detect", files={"file": ("a", data)}) for data in PICTURES),
        ]
        for body, kind in BODIES:
            headers = {"content-type": kind.encode("latin-1")}
            replies.append(client.post("/v1/detect", content=body, headers=headers))
        video(client, replies)
        assert until_quiet(log, start) == []
    assert {reply.status_code for reply in replies} == {200, 400, 413, 415, 422}
    assert len(replies) >= 200
    assert [path for path in Path(tmp_path).rglob("*") if path != log] == []
