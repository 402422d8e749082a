"""`facecctv watch`: who appears, is on a list, leaves; told, logged, posted, and kept with -o."""

from __future__ import annotations

import http.server
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from facecctv import cli
from facecctv.api import tls
from facecctv.cli.webhook import Webhook, WebhookOptions
from facecctv.errors import SettingError
from facecctv.identity import log
from facecctv.identity.watchlist import Watchlist
from facecctv.image import read
from tests.cameras import send_stream, serving
from tests.clips import steady, write
from tests.patterned import embedder, portrait

QUICK = WebhookOptions(timeout=10, tries=3, pause=0.02)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The folder "door" of five pictures a second: Ann, nobody, Bob, nobody."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACECCTV_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("FACECCTV_PASSPHRASE", "correct horse")
    for method in (Watchlist.create.__func__, Watchlist.rekey):
        monkeypatch.setitem(method.__kwdefaults__, "cost", 2**10)
    (tmp_path / "models").mkdir()
    embedder(tmp_path / "models")
    scenes = {name: portrait(*name) for name in ((), (1,), (10,))}
    (tmp_path / "ann.png").write_bytes(scenes[1,])
    (tmp_path / "door").mkdir()
    order = [(1,)] * 5 + [()] * 14 + [(10,)] * 5 + [()] * 2
    for index, name in enumerate(order):
        path = tmp_path / "door" / f"{index:03}.png"
        path.write_bytes(scenes[name])
        os.utime(path, ns=(0, 10**18 + index * 200_000_000))
    return tmp_path


@pytest.fixture
def run(place, red_model, capsys):
    def call(*more, status=0):
        arguments = ["watch", "door", "--frames", "26", "--json", "--model", red_model]
        assert cli.main([*arguments, *map(str, more)]) == status
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return call


def faces(events):
    return [(one["event"], one["passage"]) for one in events if one["event"] != "camera"]


def test_everybody_appears_once_and_leaves(run, place):
    events = run()
    assert faces(events) == [("appeared", 1), ("left", 1), ("appeared", 2), ("left", 2)]
    first, left = events[1], events[2]
    assert events[0] | {"at": ""} == {
        "event": "camera", "camera": "door", "state": "connected", "at": "",
    }  # fmt: skip
    assert first["camera"] == "door"
    assert "decision" not in first["face"]
    assert "embedding" not in first["face"]
    # While nothing changes nobody looks, so she was last seen before she left at 1 s.
    assert left["first"] == 0
    assert 0.4 <= left["time"] <= 0.8
    last = events[-1]
    assert (last["state"], last["frames"], last["dropped"], last["damaged"]) == ("ended", 26, 0, 0)
    assert sorted(path.name for path in place.iterdir()) == ["ann.png", "door", "models"]


def test_who_is_on_the_list_is_named_and_every_search_logged(run, red_model, capsys):
    make = ["watchlist", "create", "people.fwl", "--purpose", "theft", "--owner", "J. Doe"]
    assert cli.main(make) == 0
    add = ["watchlist", "add", "people.fwl", "Ann", "ann.png", "--expires", "2999-01-01"]
    assert cli.main([*add, "--model", red_model]) == 0
    capsys.readouterr()
    events = run("--watchlist", "people.fwl", "--by", "me", "--reason", "test", "-o", "kept")[1:]
    events = [one for one in events if "passage" in one]
    assert faces(events) == [
        ("appeared", 1), ("matched", 1), ("left", 1), ("appeared", 2), ("left", 2),
    ]  # fmt: skip
    ann, bob = events[1]["face"], events[3]["face"]
    assert ann["decision"] == "match"
    assert [one["name"] for one in ann["candidates"]] == ["Ann"]
    assert bob["decision"] != "match"
    assert all("embedding" not in one["face"] for one in events)
    book = log.log_of(Path("people.fwl"))
    log.verify(book)
    searches = [one for one in log.entries(book) if one.get("matched") is not None]
    assert searches[0]["matched"] == ["Ann"]
    assert {one["by"] for one in searches} == {"me"}
    assert 2 <= len(searches) <= 4
    kept = [json.loads(line) for line in Path("kept/events.jsonl").read_text().splitlines()]
    assert faces(kept) == faces(events)
    pictures = [one["picture"] for one in kept if one["event"] == "left"]
    assert len(pictures) == 2
    for name in pictures:
        assert read(Path("kept") / name).image.size


def test_a_lost_camera_is_given_up_and_the_other_goes_on(run):
    with serving(lambda talk, number: talk.close()) as port:
        gone = f"http://me:hidden@127.0.0.1:{port}/"
        events = run(gone, "--give-up", "0", status=1)
    assert ("left", 2) in faces(events)
    ended = {one["camera"]: one for one in events if one.get("state") == "ended"}
    assert ended["door"]["frames"] == 26
    assert "given up" in ended[f"http://127.0.0.1:{port}/"]["detail"]
    assert "hidden" not in json.dumps(events)


def test_addresses_in_a_file(run, place, capsys, red_model):
    (place / "cameras.txt").write_text("# the back\n\ndoor\n")
    arguments = ["watch", "--sources", "cameras.txt", "--frames", "3", "--model", red_model]
    assert cli.main(arguments) == 0
    said = capsys.readouterr()
    assert "door: passage 1 appeared, 16 px high" in said.out
    assert "door: ended (3 frames, 0 dropped, 0 damaged)" in said.err


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ([], 2),
        (["door", "--rate", "2"], 2),
        (["missing.mp4"], 1),
        (["ann.png"], 1),
        (["--sources", "missing.txt"], 1),
        (["door", "--webhook", "http://example.org/x"], 1),
        (["door", "--webhook", "ftp://me:hidden@example.org/x"], 1),
        (["door", "--watchlist", "missing.fwl"], 1),
        (["door", "-o", "ann.png"], 1),
    ],
)
def test_wrong_usage(place, wrong, status, capsys, red_model):
    assert cli.main(["watch", *wrong, "--model", red_model]) == status
    err = capsys.readouterr().err
    assert err
    assert "hidden" not in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ended_from_the_keyboard_all_leave_in_good_order(place, number, red_model, tmp_path):
    clip = write(tmp_path / "a.ts", steady(50)).read_bytes()
    over = threading.Event()

    def send(talk, count):
        send_stream(talk, clip)
        over.wait(60)

    with serving(send) as port:
        process = subprocess.Popen(
            [sys.executable, "-m", "facecctv", "watch", f"http://127.0.0.1:{port}/", "door",
             "--json", "--model", red_model, "-o", "kept"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
        kept = place / "kept" / "events.jsonl"
        while process.poll() is None and not (kept.exists() and "appeared" in kept.read_text()):
            time.sleep(0.05)
        process.send_signal(number)
        said = process.communicate(timeout=120)[1]
        over.set()
    assert process.returncode == 0, said
    events = [json.loads(line) for line in kept.read_text().splitlines()]
    appeared = [one["passage"] for one in events if one["event"] == "appeared"]
    left = [one["passage"] for one in events if one["event"] == "left"]
    assert appeared == left
    assert sum(one.get("state") == "ended" for one in events) == 2


class Hook:
    """An HTTP server that answers with these statuses, then 204, and keeps what it is sent."""

    def __init__(self, *statuses):
        self.got, self.heads = [], []
        left = list(statuses)
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.heads.append(dict(self.headers))
                status = left.pop(0) if left else 204
                if 200 <= status < 300:
                    hook.got.append(json.loads(body))
                self.send_response(status)
                self.send_header("Location", "http://127.0.0.1:1/")
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *args):
        self.server.shutdown()
        self.server.server_close()


def test_events_are_posted(run, monkeypatch):
    monkeypatch.setenv("FACECCTV_WEBHOOK_TOKEN", "t0ken")
    with Hook() as hook:
        events = run("--webhook", f"http://127.0.0.1:{hook.port}/x?y=1")
    assert hook.got == events
    assert {head["Authorization"] for head in hook.heads} == {"Bearer t0ken"}
    assert {head["Content-Type"] for head in hook.heads} == {"application/json"}


def test_offline_means_offline(place, monkeypatch, capsys):
    monkeypatch.setenv("FACECCTV_OFFLINE", "1")
    assert cli.main(["watch", "door", "--webhook", "https://example.org/"]) == 1
    assert "FACECCTV_OFFLINE" in capsys.readouterr().err


def test_what_is_refused_for_now_is_sent_again():
    with Hook(503, 429) as hook:
        posting = Webhook(f"http://me:s%40crets@localhost:{hook.port}/", options=QUICK)
        posting.put('{"n": 1}')
        posting.close(60)
    assert hook.got == [{"n": 1}]
    assert hook.heads[0]["Authorization"] == "Basic bWU6c0BjcmV0cw=="
    assert (posting.failed, posting.dropped) == (0, 0)
    assert posting.name == f"http://localhost:{hook.port}/"


@pytest.mark.parametrize(("statuses", "asked"), [([404, 302], 2), ([500] * 6, 6)])
def test_what_is_refused_for_good_is_counted(statuses, asked):
    with Hook(*statuses) as hook:
        posting = Webhook(f"http://127.0.0.1:{hook.port}/", options=QUICK)
        posting.put("{}")
        posting.put("{}")
        posting.close(60)
    assert posting.failed == 2
    assert len(hook.heads) == asked
    assert posting.trouble == f"answered {statuses[-1]}"


def test_a_dead_address_holds_nobody_up():
    released = threading.Event()
    with serving(lambda talk, number: released.wait(60)) as port:
        options = WebhookOptions(timeout=30, room=4, tries=1)
        posting = Webhook(f"http://127.0.0.1:{port}/", options=options)
        began = time.monotonic()
        for number in range(1000):
            posting.put(str(number))
        posting.close(0.1)
        assert time.monotonic() - began < 20
        assert posting.dropped >= 990
        released.set()


def test_a_certificate_that_nobody_vouches_for(tmp_path):
    certificate, _ = tls.automatic(tmp_path, ("localhost",))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.chain, certificate.key)
    with serving(lambda talk, number: talk.recv(100), context) as port:
        posting = Webhook(f"https://localhost:{port}/", options=WebhookOptions(tries=1))
        posting.put("{}")
        posting.close(60)
    assert posting.failed == 1
    assert "verif" in posting.trouble.lower()
    with pytest.raises(SettingError, match="readable"):
        Webhook("http://192.0.2.1/")
