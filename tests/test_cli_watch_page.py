"""`facecctv watch --page`: a page that only its own browsers see, and that ends with the watch."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from facecctv import cli
from facecctv.image import decode
from tests.patterned import portrait

ADDRESS = re.compile(r"http://[\d.]+:\d+/desktop/enter\?ticket=[\w-]+#/live")


@pytest.fixture
def door(tmp_path):
    """The folder "door": Ann in three pictures, half a second apart, then nobody in two."""
    folder = tmp_path / "door"
    folder.mkdir()
    for index in range(5):
        path = folder / f"{index}.png"
        path.write_bytes(portrait(*((1,) if index < 3 else ())))
        os.utime(path, ns=(0, 10**18 + index * 500_000_000))
    return folder


@pytest.fixture
def web(tmp_path, monkeypatch):
    """A web app, built or not."""
    from facecctv.api import pages

    folder = tmp_path / "web"
    folder.mkdir()
    (folder / "index.html").write_text("<!doctype html><title>FaceCCTV</title>")
    monkeypatch.setattr(pages, "WEB", folder)
    return folder


@pytest.fixture
def started(tmp_path, door, web, red_model):
    """The command in a process of its own; gives the process and the first address it printed."""
    program = (
        "import pathlib, sys; from facecctv import cli; from facecctv.api import pages; "
        f"pages.WEB = pathlib.Path({str(web)!r}); sys.exit(cli.main(sys.argv[1:]))"
    )
    # Nobody listens at the second camera's address, whose password nobody may see.
    gone = "http://me:hunter2@127.0.0.1:1/?token=opensesame"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "watch", str(door), gone, "--json", "--page",
         "--model", red_model],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {
            "PYTHONPATH": os.pathsep.join(sys.path), "XDG_CONFIG_HOME": str(tmp_path / "config"),
        },
    )  # fmt: skip
    said = ""
    while not (found := ADDRESS.search(said)):
        line = process.stderr.readline()
        assert line, said
        said += line
    yield process, found[0]
    process.kill()
    process.communicate()


def until(ask, good):
    """What is asked for, once it is good."""
    for _ in range(600):
        found = ask()
        if good(found):
            return found
        time.sleep(0.1)
    pytest.fail(f"not in a minute: {found}")


def test_the_page_shows_what_is_watched_and_ends_with_it(started, door):
    process, address = started
    base = address.partition("/desktop")[0]
    assert httpx.get(f"{base}/v1/live").status_code == 401
    with httpx.Client(base_url=base, timeout=60) as client:
        assert client.get(address).status_code == 200
        assert httpx.get(address).status_code == 401  # it works once
        assert "location.hash" in client.get("/desktop/enter.js").text
        assert "<title>FaceCCTV" in client.get("/").text
        assert "live" in client.get("/v1/models").json()["capabilities"]
        both = until(
            lambda: client.get("/v1/live").json()["cameras"],
            lambda cameras: [one["state"] for one in cameras] == ["watching", "lost"],
        )
        assert [one["name"] for one in both] == [str(door), "http://127.0.0.1:1/?…"]
        picture = until(
            lambda: client.get("/v1/live/cameras/1/picture"), lambda got: got.status_code == 200
        )
        assert decode(picture.content).image.shape == (320, 704, 3)
        told, texts = [], []
        with client.stream("GET", "/v1/live/events") as reply:
            for line in reply.iter_lines():
                texts.append(line)
                if line.startswith("data: ") and '"appeared"' in line:
                    number = texts[-3].removeprefix("id: ").partition("-")[0]
                    sight = client.get(f"/v1/live/sights/{number}")
                    assert decode(sight.content).image.size
                    process.send_signal(signal.SIGINT)
                if line.startswith("data: {"):
                    told.append(json.loads(line.removeprefix("data: ")))
    assert "event: end" in texts[-3:]
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    printed = [json.loads(line) for line in out.splitlines()]
    lost = [one for one in printed if one.get("state") == "lost"]
    # Of a camera that stays lost, those who look on are told once.
    assert told == [one for one in printed if one not in lost[1:]]
    assert {one["event"] for one in told} == {"camera", "appeared", "left"}
    assert len(ADDRESS.findall(err)) == 1  # for another browser, as the first was used
    for secret in ("hunter2", "opensesame"):
        assert secret not in out + err + json.dumps(both) + "".join(texts)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((httpx.URL(base).host, httpx.URL(base).port), timeout=5)


def test_frames_end_it_too(door, web, red_model, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    arguments = ["watch", str(door), "--frames", "5", "--model", red_model, "--page"]
    assert cli.main(arguments) == 0
    said = capsys.readouterr()
    assert len(ADDRESS.findall(said.err)) == 1
    assert "passage 1 left" in said.out
    assert not (tmp_path / "config").exists()


def test_a_port_of_ones_own(door, web, red_model, capsys):
    arguments = ["watch", str(door), "--frames", "1", "--model", red_model, "--page"]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        where = ["--host", "127.0.0.1", "--port", port]
        assert cli.main([*arguments, *where]) == 1
        assert f"port {port} of 127.0.0.1 is not free" in capsys.readouterr().err
    assert cli.main([*arguments, *where]) == 0
    assert f"http://127.0.0.1:{port}/" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wrong", "status", "why"),
    [
        (["--port", "8000"], 2, "are for a --page"),
        (["--page", "--host", "0.0.0.0"], 1, "loopback addresses only"),
        (["--page", "--host", "cctv.example"], 1, "loopback addresses only"),
    ],
)
def test_wrong_usage(door, web, capsys, red_model, wrong, status, why):
    assert cli.main(["watch", str(door), "--model", red_model, *wrong]) == status
    assert why in " ".join(capsys.readouterr().err.split())


def test_a_web_app_that_is_not_built(door, web, capsys, red_model):
    Path(web / "index.html").unlink()
    assert cli.main(["watch", str(door), "--model", red_model, "--page"]) == 1
    assert "make app" in capsys.readouterr().err
