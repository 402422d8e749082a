import http.server
import os
import subprocess
import sys
import threading
import time

import pytest

from facecctv.desktop.lock import Address, Claim
from facecctv.errors import OutputError

HOLD = """
import sys, time
from pathlib import Path
from facecctv.desktop.lock import Claim
claim = Claim(Path(sys.argv[1]))
assert claim.take()
print("held", flush=True)
time.sleep(60)
"""


class First(http.server.BaseHTTPRequestHandler):
    status = 204

    def do_POST(self):
        self.server.seen.append((self.path, self.headers["authorization"]))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def first():
    server = http.server.HTTPServer(("127.0.0.1", 0), First)
    server.seen, server.status = [], 204
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def address(server):
    return Address("127.0.0.1", server.server_address[1], "secret")


def test_the_first_is_the_first(tmp_path):
    claim = Claim(tmp_path / "new" / "desktop")
    assert claim.hand_over() is False
    assert claim.held
    claim.release()


def test_the_second_is_handed_over(tmp_path, first):
    one, two = Claim(tmp_path), Claim(tmp_path)
    assert one.take()
    one.publish(address(first))
    assert two.hand_over() is True
    assert first.seen == [("/desktop/show", "Bearer secret")]
    two.release()
    # Leaving did not take the first one's address away.
    assert Address.read(tmp_path / "address.json") == address(first)
    one.release()


def test_a_first_that_is_still_starting_is_waited_for(tmp_path, first):
    one, two = Claim(tmp_path), Claim(tmp_path)
    assert one.take()
    later = threading.Timer(0.3, one.publish, [address(first)])
    later.start()
    assert two.hand_over() is True
    later.join()
    one.release()
    two.release()


def test_a_first_that_is_ending_is_followed(tmp_path, first):
    one, two = Claim(tmp_path), Claim(tmp_path)
    assert one.take()
    first.status = 503
    one.publish(address(first))
    later = threading.Timer(0.3, one.release)
    later.start()
    assert two.hand_over() is False
    assert two.held
    later.join()
    two.release()


def test_a_first_that_does_not_answer_is_said(tmp_path):
    one, two = Claim(tmp_path), Claim(tmp_path)
    assert one.take()
    with pytest.raises(OutputError, match="does not answer"):
        two.hand_over(patience=0.3)
    one.release()
    two.release()


def test_being_killed_gives_the_place_up(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        two = Claim(tmp_path)
        assert not two.take()
        holder.kill()
        holder.wait()
    assert two.hand_over() is False
    two.release()


def test_of_many_at_once_one_is_the_first(tmp_path):
    claims = [Claim(tmp_path) for _ in range(8)]
    threads = [threading.Thread(target=claim.take) for claim in claims]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(claim.held for claim in claims) == 1
    for claim in claims:
        claim.release()


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps a user's folders by other means")
def test_the_address_is_for_the_user_alone(tmp_path, first):
    claim = Claim(tmp_path / "desktop")
    assert claim.take()
    claim.publish(address(first))
    claim.publish(address(first))
    assert (tmp_path / "desktop").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "desktop" / "address.json").stat().st_mode & 0o777 == 0o600
    claim.release()
    assert not (tmp_path / "desktop" / "address.json").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"host": "a", "port": "x"}'])
def test_an_address_that_makes_no_sense_is_none(tmp_path, text):
    (tmp_path / "address.json").write_text(text)
    assert Address.read(tmp_path / "address.json") is None


def test_nobody_at_an_address_is_no_answer():
    began = time.monotonic()
    assert Address("127.0.0.1", 1, "secret").show() is False
    assert time.monotonic() - began < 5


def test_a_folder_that_cannot_be_used_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        Claim(tmp_path / "file" / "desktop")
