"""The whole app, as processes; its browser is a script that writes down where it is sent."""

import http.cookiejar
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from facecctv.identity.sealing import new_key_file
from facecctv.identity.watchlist import Watchlist
from tests.patterned import embedder
from tests.red_detector import red_detector

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and the browser script are POSIX")

RUNNER = Path(__file__).parent / "runner.py"
PATIENCE = 60


@pytest.fixture
def environment(tmp_path):
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >> "{tmp_path}/visits"\n')
    browser.chmod(0o755)
    home = {name: str(tmp_path / "home") for name in ("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME")}
    kept = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    return kept | home | {"BROWSER": f"{browser} %s"}


@pytest.fixture
def start(environment, web):
    """Starts the app: start(*arguments) -> process."""
    started = []

    def run(*arguments, **more):
        command = [sys.executable, str(RUNNER), str(web), *arguments]
        process = subprocess.Popen(
            command, env=environment | more, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, start_new_session=True,
        )  # fmt: skip
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def visits(tmp_path):
    """Waits for so many addresses that the browser was sent to, and gives them."""

    def wait(count):
        file = tmp_path / "visits"
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            found = file.read_text().splitlines() if file.exists() else []
            if len(found) >= count:
                return found
            time.sleep(0.05)
        raise AssertionError(f"{found} after {PATIENCE} seconds")

    return wait


def visitor():
    cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
    return urllib.request.build_opener(urllib.request.ProxyHandler({}), cookies)


def status(opener, address):
    try:
        with opener.open(address, timeout=10) as reply:
            return reply.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def ended(process, number):
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def refuses(address):
    where = urlsplit(address)
    with socket.socket() as client:
        return client.connect_ex((where.hostname, where.port)) != 0


def test_one_visitor_a_second_start_and_the_end(start, visits, tmp_path):
    first = start("--browser")
    [entrance] = visits(1)
    home = entrance.partition("/desktop")[0]
    assert status(visitor(), home) == 401
    user = visitor()
    assert status(user, entrance) == 200
    assert status(user, home) == 200
    assert status(user, f"{home}/v1/limits") == 200
    assert status(visitor(), entrance) == 401

    second = start("--browser")
    _, err = second.communicate(timeout=PATIENCE)
    assert second.returncode == 0
    assert "running already" in err
    another = visits(2)[1]
    assert another != entrance
    assert another.startswith(home)
    assert status(visitor(), another) == 200

    code, out, err = ended(first, signal.SIGTERM)
    assert code == 0
    assert out == ""
    assert "Traceback" not in err
    assert refuses(home)
    state = tmp_path / "home" / "facecctv" / "desktop"
    assert sorted(file.name for file in state.iterdir()) == ["lock"]


def test_ctrl_c_ends_it(start, visits):
    process = start("--browser")
    [entrance] = visits(1)
    code, _, err = ended(process, signal.SIGINT)
    assert code == 0
    assert "Traceback" not in err
    assert refuses(entrance)


def test_after_being_killed_the_next_start_is_the_first(start, visits):
    first = start("--browser")
    visits(1)
    first.kill()
    first.wait()
    second = start("--browser")
    entrance = visits(2)[1]
    assert status(visitor(), entrance) == 200
    assert ended(second, signal.SIGTERM)[0] == 0


def test_of_two_starts_at_once_one_runs(start, visits):
    both = [start("--browser"), start("--browser")]
    visits(2)
    end = time.monotonic() + PATIENCE
    while all(one.poll() is None for one in both) and time.monotonic() < end:
        time.sleep(0.05)
    done, running = sorted(both, key=lambda one: one.poll() is None)
    assert done.poll() == 0
    assert running.poll() is None
    assert ended(running, signal.SIGTERM)[0] == 0


def test_without_a_display_it_says_so_and_takes_the_browser(start, visits):
    process = start()
    visits(1)
    code, _, err = ended(process, signal.SIGTERM)
    assert code == 0
    lines = [line for line in err.splitlines() if "No window" in line]
    assert len(lines) == 1
    assert "browser" in lines[0]


def test_without_a_browser_the_address_is_printed(start, web):
    process = start("--browser", BROWSER="/bin/false %s")
    while "Open this" not in (line := process.stderr.readline()):
        assert line
    entrance = line.split()[-1]
    assert status(visitor(), entrance) == 200
    assert ended(process, signal.SIGTERM)[0] == 0


def test_without_the_web_app_it_says_how_to_build_it(start, web):
    (web / "index.html").unlink()
    process = start("--browser")
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert len(err.splitlines()) == 1
    assert "'make app'" in err


@pytest.fixture
def listed(tmp_path):
    """Options for a list of nobody, and the environment with the models that it wants."""
    models = tmp_path / "models"
    models.mkdir()
    (models / "face-detector.onnx").write_bytes(red_detector())
    embedder(models)
    key, file = tmp_path / "key", tmp_path / "people.fwl"
    about = {"purpose": "theft", "owner": "J. Doe", "embedder": "face-embedder 1.0", "size": 16}
    Watchlist.create(file, new_key_file(key), **about)
    return ["--watchlist", str(file), "--key-file", str(key)], {"FACECCTV_MODELS": str(models)}


def test_with_a_watch_list_its_pages_can_search(start, visits, listed):
    options, environment = listed
    process = start("--browser", *options, **environment)
    [entrance] = visits(1)
    home = entrance.partition("/desktop")[0]
    user = visitor()
    assert status(user, entrance) == 200
    with user.open(f"{home}/v1/watchlist", timeout=10) as reply:
        assert json.load(reply)["people"] == []
    assert status(visitor(), f"{home}/v1/watchlist") == 401
    code, out, err = ended(process, signal.SIGTERM)
    assert (code, out) == (0, "")
    assert "Traceback" not in err


def test_a_watch_list_that_does_not_open_starts_nothing(start, listed, tmp_path):
    options, environment = listed
    (tmp_path / "key").write_bytes(bytes(32))
    process = start("--browser", *options, **environment)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "wrong passphrase or key file" in err
    assert not (tmp_path / "visits").exists()


def test_check_says_whether_there_can_be_a_window(start):
    process = start("--check")
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "no window: " in err
