"""`facecctv serve` and `facecctv app` with a watch-list: the options, and a server that has one."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import pytest

from facecctv import cli
from facecctv.identity import log
from facecctv.identity.sealing import Secret, new_key_file
from facecctv.identity.watchlist import Watchlist
from tests.api.programs import served
from tests.patterned import CALIBRATION, embedder, portrait
from tests.red_detector import red_detector

ABOUT = {"purpose": "theft", "owner": "J. Doe", "embedder": "face-embedder 1.0", "size": 16}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder, the current one, with people.fwl, its key file `key`, and tiny models."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACECCTV_MODELS", str(tmp_path / "models"))
    monkeypatch.delenv("FACECCTV_PASSPHRASE", raising=False)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "face-detector.onnx").write_bytes(red_detector())
    embedder(tmp_path / "models")
    Watchlist.create(tmp_path / "people.fwl", new_key_file(tmp_path / "key"), **ABOUT)
    return tmp_path


@pytest.mark.parametrize("door", ["serve", "app"])
@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (["--enrol-days", "3"], 2, "for a --watchlist"),
        (["--key-file", "key"], 2, "for a --watchlist"),
        (["--watchlist", "people.fwl", "--enrol-purpose", "x"], 2, "are for --enrol-days"),
        (["--watchlist", "people.fwl", "--enrol-owner", "x"], 2, "are for --enrol-days"),
        (["--watchlist", "people.fwl", "--enrol-days", "0"], 2, "--enrol-days"),
        (["--watchlist", "people.fwl", "--rate", "1"], 2, "--rate lies between 0 and 1"),
    ],
)
def test_options_that_do_not_fit_are_wrong_usage(place, capsys, door, options, status, said):
    assert cli.main([door, *options]) == status
    assert said in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--watchlist", "none.fwl", "--key-file", "key"], "no such"),
        (["--watchlist", "people.fwl", "--key-file", "none"], "key file cannot be read"),
        (["--watchlist", "people.fwl", "--key-file", "other"], "wrong passphrase or key file"),
        (["--watchlist", "people.fwl"], "no passphrase: set FACECCTV_PASSPHRASE"),
        (["--watchlist", "huge.fwl", "--key-file", "key"], "templates of huge 7"),
        (["--watchlist", "people.fwl", "--key-file", "key", "--calibration", "x.json"], "no calib"),
        (["--watchlist", "people.fwl", "--key-file", "key", "--calibration", "c.json"], "huge 7"),
        (["--watchlist", "people.fwl", "--key-file", "key", "--host", "0.0.0.0"], "--api-key-file"),
    ],
)
def test_a_list_that_cannot_be_used_is_said_before_anything_is_served(place, capsys, options, said):
    new_key_file(place / "other")
    huge = ABOUT | {"embedder": "huge 7"}
    Watchlist.create(place / "huge.fwl", Secret.key_file(place / "key"), **huge)
    (place / "x.json").write_text("{}")
    (place / "c.json").write_text(json.dumps(CALIBRATION.to_json() | {"embedder": "huge 7"}))
    assert cli.main(["serve", *options]) == 1
    out, err = capsys.readouterr()
    assert said in err
    assert "FaceCCTV at" not in out


def test_a_recogniser_without_calibration_cannot_be_searched_by(place, capsys):
    embedder(place / "models", extra={})
    assert cli.main(["serve", "--watchlist", "people.fwl", "--key-file", "key"]) == 1
    assert "has no calibration" in capsys.readouterr().err


def ask(port, path, picture=None):
    """Status and JSON of GET, or of POST with a picture."""
    headers, data = {}, None
    if picture is not None:
        head = b'--X\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
        data = head + picture + b"\r\n--X--\r\n"
        headers = {"content-type": "multipart/form-data; boundary=X"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_a_server_with_a_list_enrols_and_finds(place):
    options = ("--watchlist", "people.fwl", "--key-file", "key", "--enrol-days", "3",
               "--enrol-purpose", "lost child", "--rate", "0.01")  # fmt: skip
    with served(place, *options) as (port, _):
        assert ask(port, "/v1/watchlist?name=Ann", portrait(1))[0] == 200
        status, found = ask(port, "/v1/search", portrait(1, 10))
        people = ask(port, "/v1/watchlist")[1]["people"]
    assert status == 200
    assert sorted(face["decision"] for face in found["faces"]) == ["match", "no_match"]
    assert [(one["name"], one["purpose"], one["owner"]) for one in people] == [
        ("Ann", "lost child", "J. Doe")
    ]
    searches = list(log.entries(log.log_of(place / "people.fwl")))
    assert [one["rate"] for one in searches] == [0.01, 0.01]
    with Watchlist(place / "people.fwl", Secret.key_file(place / "key")) as listed:
        assert listed.person("ann").purpose == "lost child"


def test_the_passphrase_may_come_from_the_environment(place, monkeypatch):
    monkeypatch.setenv("FACECCTV_PASSPHRASE", "correct horse")
    Watchlist.create(place / "b.fwl", Secret.passphrase("correct horse"), **ABOUT, cost=2**10)
    with served(place, "--watchlist", "b.fwl") as (port, _):
        assert ask(port, "/v1/watchlist")[0] == 200
        assert ask(port, "/v1/watchlist?name=Ann", portrait(1))[0] == 403
