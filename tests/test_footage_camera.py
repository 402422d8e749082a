"""Live sources: frames as they come, lost and found again, and nothing told that is secret."""

from __future__ import annotations

import dataclasses
import itertools
import os
import ssl
import threading
import traceback
from contextlib import closing
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facecctv.api import tls
from facecctv.errors import InputError, SettingError, VideoError
from facecctv.footage.camera import Camera, CameraOptions, _Clock, shown_address
from facecctv.footage.newest import Newest
from facecctv.image import encode
from tests.cameras import RtspCamera, reply, request, send_stream, serving
from tests.clips import level, numbered, steady, write

FAST = CameraOptions(timeout=20, pause=0.05, longest_pause=0.1, waiting=1000)


@pytest.fixture
def stream(tmp_path):
    """One second of MPEG-TS."""
    return write(tmp_path / "a.ts", steady(25)).read_bytes()


def taken(camera, count):
    with closing(camera.stills()) as stills:
        return list(itertools.islice(stills, count))


def check_frames(stills, count):
    assert [still.index for still in stills] == list(range(count))
    for index, still in enumerate(stills):
        frame = still.frame()
        assert frame.stream == still.stream
        assert level(frame.image) == pytest.approx(20 + 8 * index % 200, abs=4)


def test_a_queue_of_nothing_ends():
    newest = Newest(3)
    newest.end()
    assert list(newest) == []


def test_the_oldest_make_way_and_are_counted():
    newest = Newest(3)
    for number in range(10):
        newest.put(number)
    newest.end()
    newest.put(10)
    assert list(newest) == [7, 8, 9]
    assert newest.dropped == 7


def test_what_can_wait_is_not_dropped():
    newest = Newest(2)

    def fill():
        for number in range(20):
            newest.put(number, wait=True)
        newest.end(VideoError("over"))

    threading.Thread(target=fill).start()
    found = []
    with pytest.raises(VideoError, match="over"):
        found.extend(newest)
    assert found == list(range(20))
    assert newest.dropped == 0


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://admin:secret@cam:554/live", "rtsp://cam:554/live"),
        (
            "rtsp://cam/user=admin_password=secret_channel=1",
            "rtsp://cam/user=…_password=…_channel=1",
        ),
        ("http://cam/video?user=admin&pwd=secret", "http://cam/video?…"),
        ("https://a:s%40cret@[::1]:8443/x", "https://[::1]:8443/x"),
        ("/dev/video0", "/dev/video0"),
        ("a folder/x?y=1", "a folder/x?y=1"),
        ("ftp://me:secret@cam/", "ftp://cam/"),
    ],
)
def test_an_address_is_shown_without_secrets(address, shown):
    assert shown_address(address) == shown


@given(st.text(st.characters(categories=["L", "N"]), min_size=4))
def test_no_password_is_ever_shown(password):
    name = shown_address(f"rtsp://me:Q{password}Q@camera.local/h264?key=Q{password}Q")
    assert f"Q{password}Q" not in name


def test_what_is_no_camera(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"")
    with pytest.raises(InputError, match="is a file"):
        Camera(str(tmp_path / "a.mp4"))
    for address in ("ftp://cam/x", "nothing", "rtsp://", "file:///etc/passwd", "concat:a|b"):
        with pytest.raises(InputError):
            Camera(address)


@pytest.mark.parametrize(
    "wrong", [{"timeout": 0}, {"pause": 0}, {"waiting": 0}, {"give_up": -1}, {"longest_pause": 0.5}]
)
def test_impossible_options(wrong):
    with pytest.raises(SettingError):
        CameraOptions(**wrong)


def test_a_stream_over_http(stream):
    before = datetime.now(UTC)
    with serving(lambda talk, number: send_stream(talk, stream)) as port:
        stills = taken(Camera(f"http://127.0.0.1:{port}/live", FAST), 25)
    check_frames(stills, 25)
    times = [still.time for still in stills]
    assert [time - times[0] for time in times] == steady(25)
    assert all(before <= still.arrived <= datetime.now(UTC) for still in stills)
    assert stills[0].stream == f"http://127.0.0.1:{port}/live"


def test_pictures_over_http_have_the_times_at_which_they_came(stream):
    pictures = [encode(numbered(index, 64, 48), "jpeg") for index in range(6)]

    def send(talk, number):
        request(talk)
        reply(talk, "200 OK", "Content-Type: multipart/x-mixed-replace; boundary=xx")
        for picture in [*pictures, pictures[-1]]:
            head = f"--xx\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
            talk.sendall(head.encode() + picture + b"\r\n")

    with serving(send) as port:
        stills = taken(Camera(f"http://127.0.0.1:{port}/", FAST), 6)
    check_frames(stills, 6)
    assert all(a.time < b.time for a, b in itertools.pairwise(stills))


def test_a_camera_that_vanishes_is_found_again(stream):
    notices = []

    def send(talk, number):
        if number == 1:
            request(talk)
            reply(talk, "503 Service Unavailable", "Connection: close")
        else:
            send_stream(talk, stream)

    with serving(send) as port:
        camera = Camera(f"http://me:hidden@127.0.0.1:{port}/live", FAST, notices.append)
        stills = taken(camera, 50)
    assert [still.index for still in stills] == list(range(50))
    assert all(a.time < b.time for a, b in itertools.pairwise(stills))
    assert camera.connections == 2
    states = [notice.state for notice in notices]
    assert states[:4] == ["connected", "lost", "lost", "connected"]
    assert "again in" in notices[1].detail
    assert not any("hidden" in f"{notice}" for notice in notices)


def test_a_silent_camera_is_given_up():
    quiet = threading.Event()
    options = CameraOptions(timeout=0.5, pause=0.1, longest_pause=0.1, give_up=0.3)
    with serving(lambda talk, number: quiet.wait(20)) as port:
        camera = Camera(f"http://me:hidden@127.0.0.1:{port}/", options)
        with pytest.raises(VideoError, match=r"nothing for 0.5 s.*given up") as told:
            taken(camera, 1)
        quiet.set()
    assert "hidden" not in "".join(traceback.format_exception(told.value))


def test_nobody_listens():
    with serving(lambda talk, number: None) as port:
        pass
    camera = Camera(f"rtsp://me:hidden@127.0.0.1:{port}/", CameraOptions(5, 0.1, 0.1, give_up=0))
    with pytest.raises(VideoError, match="refused") as told:
        taken(camera, 1)
    assert "hidden" not in "".join(traceback.format_exception(told.value))


def test_a_wrong_password_is_not_tried_again():
    asked = []

    def refuse(talk, number):
        asked.append(request(talk))
        reply(talk, "401 Unauthorized", 'WWW-Authenticate: Basic realm="x"', "Content-Length: 0")

    with serving(refuse) as port:
        camera = Camera(f"http://me:hidden@127.0.0.1:{port}/", FAST)
        with pytest.raises(VideoError, match="password") as told:
            taken(camera, 1)
    assert "hidden" not in "".join(traceback.format_exception(told.value))
    assert len(asked) <= 2


PAGE = b"<html>" + b"Sign in " * 2000
LIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/hostname\n"


@pytest.mark.parametrize(
    ("data", "kind", "name", "words"),
    [
        (PAGE, "text/html", "live", "the stream ended|nothing that is a video"),
        (LIST, "application/vnd.apple.mpegurl", "live.m3u8", "nothing that is a video"),
    ],
)
def test_what_is_no_video(data, kind, name, words):
    options = CameraOptions(timeout=20, pause=0.05, longest_pause=0.1, give_up=0)
    with (
        serving(lambda talk, number: send_stream(talk, data, kind)) as port,
        pytest.raises(VideoError, match=words),
    ):
        taken(Camera(f"http://127.0.0.1:{port}/{name}", options), 1)


def test_slow_work_loses_the_oldest_frames(stream):
    options = CameraOptions(timeout=20, pause=5, longest_pause=5, waiting=3)
    gone = threading.Event()

    def send(talk, number):
        send_stream(talk, stream)
        gone.set()

    with serving(send) as port:
        camera = Camera(f"http://127.0.0.1:{port}/", options)
        with closing(camera.stills()) as stills:
            first = next(stills)
            assert gone.wait(20)
            while camera.dropped < 20:
                gone.wait(0.05)
            later = [next(stills) for _ in range(2)]
    assert first.index == 0
    assert [still.index for still in later] == [later[0].index, later[0].index + 1]
    assert later[0].index >= 20


@pytest.mark.parametrize("password", ["", "s3cret"])
def test_a_camera_over_rtsp(password):
    noise = np.random.default_rng(0).integers(0, 40, (25, 240, 320, 3), np.uint8)
    images = [numbered(index, 320, 240) // 2 + noise[index] for index in range(25)]
    camera = RtspCamera(images, "me" if password else "", password)
    with serving(camera) as port:
        who = f"me:{password}@" if password else ""
        source = Camera(f"rtsp://{who}127.0.0.1:{port}/stream1", FAST)
        stills = taken(source, 20)
    assert source.name == f"rtsp://127.0.0.1:{port}/stream1"
    times = [still.time - stills[0].time for still in stills]
    assert times == steady(20)
    for still in stills:
        image = still.frame().image
        expected = images[still.index]
        assert np.abs(image.astype(int).mean() - expected.mean()) < 4
    assert source.damaged == 0


def test_a_folder_that_pictures_come_into(tmp_path):
    def put(name, index, at):
        (tmp_path / f".{name}").write_bytes(encode(numbered(index, 64, 48)))
        os.utime(tmp_path / f".{name}", (at, at))
        (tmp_path / f".{name}").rename(tmp_path / name)

    put("b.png", 0, 1000)
    put("a.png", 1, 1002.5)
    (tmp_path / "old.png").write_bytes(b"no picture")
    os.utime(tmp_path / "old.png", (900, 900))
    (tmp_path / "text.txt").write_text("no picture either")
    camera = Camera(str(tmp_path), FAST)
    with closing(camera.stills()) as stills:
        found = [next(stills), next(stills)]
        put("c.png", 2, 1090)
        found.append(next(stills))
    check_frames(found, 3)
    assert [float(one.time - found[0].time) for one in found] == pytest.approx([0, 2.5, 90])
    assert camera.damaged == 1
    assert camera.dropped == 0


def test_a_folder_that_is_gone_is_given_up(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    camera = Camera(str(folder), CameraOptions(pause=0.05, longest_pause=0.05, give_up=0.1))
    folder.rmdir()
    with pytest.raises(VideoError, match="cannot be read"):
        taken(camera, 1)


@given(
    st.lists(st.one_of(st.none(), st.fractions(-100, 10_000)), max_size=30),
    st.sampled_from([None, Fraction(1, 25)]),
)
def test_times_rise_whatever_the_stream_says(stated, step):
    clock = _Clock()
    times = [clock(one, step) for one in stated]
    assert all(a < b for a, b in itertools.pairwise(times))


def test_a_steady_clock_is_kept_to_exactly():
    clock = _Clock()
    times = [clock(Fraction(7000 + 3 * index, 90)) for index in range(20)]
    assert {b - a for a, b in itertools.pairwise(times)} == {Fraction(1, 30)}
    # A frame without a time is where the stream's rate says, also the first one.
    other = _Clock()
    stated = [None, Fraction(5), None, Fraction(5) + Fraction(2, 25)]
    assert [other(one, Fraction(1, 25)) for one in stated] == steady(4)
    clock.begin()
    again = clock(Fraction(0))
    assert again > times[-1]
    assert timedelta(seconds=float(again - times[-1])) < timedelta(seconds=60)


def test_a_camera_has_to_prove_who_it_is(stream, tmp_path):
    certificate, _ = tls.automatic(tmp_path, ("localhost",))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.chain, certificate.key)
    authority = tmp_path / "ca.pem"
    with serving(lambda talk, number: send_stream(talk, stream), context) as port:
        address = f"https://localhost:{port}/live"
        trusting = CameraOptions(timeout=20, pause=0.05, longest_pause=0.1, ca_file=str(authority))
        assert len(taken(Camera(address, trusting), 5)) == 5
        with pytest.raises(VideoError):
            taken(Camera(address, CameraOptions(20, 0.05, 0.1, give_up=0)), 1)
        elsewhere = dataclasses.replace(trusting, give_up=0)
        with pytest.raises(VideoError):
            taken(Camera(address.replace("localhost", "127.0.0.1"), elsewhere), 1)
