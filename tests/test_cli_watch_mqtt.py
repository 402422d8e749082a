"""`facecctv watch --mqtt`: every event to a broker, whatever becomes of the broker."""

from __future__ import annotations

import json
import os
import socket
import ssl
import sys
import time

import pytest

from facecctv import cli
from facecctv.api import tls
from facecctv.cli.mqtt import Mqtt, MqttOptions
from facecctv.errors import OutputError, SettingError
from tests.brokers import Broker, Published, brokering, until
from tests.patterned import portrait

PATIENT = MqttOptions(timeout=60)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The folder "door" of five pictures a second: somebody, then nobody."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "door").mkdir()
    for index, name in enumerate([(1,)] * 5 + [()] * 12):
        path = tmp_path / "door" / f"{index:03}.png"
        path.write_bytes(portrait(*name))
        os.utime(path, ns=(0, 10**18 + index * 200_000_000))
    return tmp_path


def address(broker, user="", topic="home/cctv"):
    return f"mqtt://{user}127.0.0.1:{broker.port}/{topic}"


def test_events_are_published(place, red_model, capsys, monkeypatch):
    monkeypatch.setenv("FACECCTV_MQTT_PASSWORD", "s@crets")
    with brokering(Broker()) as broker:
        arguments = ["watch", "door", "--frames", "17", "--json", "--model", red_model]
        assert cli.main([*arguments, "--mqtt", address(broker, "me%40home@")]) == 0
    said = capsys.readouterr()
    events = [json.loads(line) for line in said.out.splitlines()]
    published = broker.of("/door/")
    assert [json.loads(one.body) for one in published] == events
    assert [one.topic for one in published] == [
        f"home/cctv/door/{kind}" for kind in ("camera", "appeared", "left", "camera")
    ]
    assert {(one.qos, one.retain, one.again) for one in published} == {(1, False, False)}
    status = broker.of("home/cctv/status")
    assert [(one.body, one.retain) for one in status] == [(b"online", True), (b"offline", True)]
    assert broker.users == [("me@home", "s@crets")]
    assert "reach" not in said.err
    assert "lost" not in said.err


def test_names_of_cameras_become_one_level():
    with brokering(Broker()) as broker:
        sending = Mqtt(address(broker), options=PATIENT)
        for name in ("rtsp://cam/1", "a+b#c\x00d\x1fe\ufffff\ud800g", "Tür 2"):
            sending.put("{}", name, "left")
        sending.close(60)
    assert [one.topic for one in broker.of("left")] == [
        "home/cctv/rtsp:__cam_1/left", "home/cctv/a_b_c_d_e_f_g/left", "home/cctv/Tür 2/left",
    ]  # fmt: skip
    assert sending.account() == []


@pytest.mark.parametrize(
    "wrong",
    [
        "http://127.0.0.1/topic",
        "mqtt://127.0.0.1",
        "mqtt://127.0.0.1/",
        "mqtt:///topic",
        "mqtt://127.0.0.1:port/topic",
        "mqtt://[::1/topic",
        "mqtt://127.0.0.1/a/+/b",
        "mqtt://127.0.0.1/a%23",
        "mqtt://127.0.0.1/a#b",
        "mqtt://127.0.0.1/a?b",
        "mqtt://127.0.0.1/a%00",
        "mqtt://127.0.0.1/$SYS/x",
        "mqtt://127.0.0.1/" + 2000 * "x",
        "mqtts://me:hidden@127.0.0.1/topic",
        "mqtt://me@broker.example/topic",
    ],
)
def test_wrong_addresses(place, wrong, red_model, capsys):
    assert cli.main(["watch", "door", "--mqtt", wrong, "--model", red_model]) == 1
    err = capsys.readouterr().err
    assert "--mqtt" in err
    assert "hidden" not in err


def test_a_password_has_its_variable(monkeypatch):
    with pytest.raises(SettingError, match="FACECCTV_MQTT_PASSWORD"):
        Mqtt("mqtts://me:hidden@broker.example/topic")
    with pytest.raises(SettingError, match="names no user"):
        Mqtt("mqtts://broker.example/topic", "hidden")
    with pytest.raises(SettingError, match="readable"):
        Mqtt("mqtt://broker.example/topic")


def test_offline_means_offline(place, monkeypatch, capsys):
    monkeypatch.setenv("FACECCTV_OFFLINE", "1")
    assert cli.main(["watch", "door", "--mqtt", "mqtts://broker.example/topic"]) == 1
    assert "FACECCTV_OFFLINE" in capsys.readouterr().err


def test_without_the_extra(place, monkeypatch, capsys, red_model):
    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)
    arguments = ["watch", "door", "--mqtt", "mqtt://localhost/x", "--model", red_model]
    assert cli.main(arguments) == 1
    assert "facecctv[mqtt]" in capsys.readouterr().err


def test_a_broker_that_refuses(place, red_model, capsys):
    with brokering(Broker(refusal=5)) as broker:
        arguments = ["watch", "door", "--mqtt", address(broker, "me@"), "--model", red_model]
        assert cli.main(arguments) == 1
    said = capsys.readouterr()
    assert "refuses: Not authorized" in said.err
    assert said.out == ""
    assert len(broker.clients) == 1


def test_a_broker_that_is_not_there_or_says_nothing():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(OutputError, match="cannot be reached"):
        Mqtt(f"mqtt://127.0.0.1:{port}/x")
    with (
        brokering(Broker(silent=True)) as broker,
        pytest.raises(OutputError, match="does not answer"),
    ):
        Mqtt(address(broker), options=MqttOptions(timeout=0.5))


def test_a_lost_broker_is_connected_to_again_and_nothing_lost():
    def hang_up(number, got):
        return number == 0 and got.body == b"2"

    with brokering(Broker(hang_up=hang_up)) as broker:
        sending = Mqtt(address(broker), options=PATIENT)
        for number in range(5):
            sending.put(str(number), "door", "left")
        until(lambda: len(broker.of("left")) == 5)
        sending.close(60)
    assert [one.body for one in broker.of("left")] == [b"0", b"1", b"2", b"3", b"4"]
    assert [one.body for one in broker.of("left") if one.again] == [b"2"]
    assert [one.body for one in broker.of("status")] == [
        b"online", b"offline", b"online", b"offline",
    ]  # fmt: skip
    assert sending.interrupted == 1
    assert sending.account() == [f"{sending.name} was lost 1 time"]


def test_a_quiet_connection_is_kept_alive(monkeypatch):
    monkeypatch.setattr("facecctv.cli.mqtt._KEEPALIVE", 1)
    with brokering(Broker()) as broker:
        sending = Mqtt(address(broker), options=PATIENT)
        until(lambda: broker.pings >= 2)
        sending.put("{}", "door", "left")
        sending.close(60)
    assert len(broker.of("left")) == len(broker.clients) == 1
    assert sending.account() == []


def test_a_broker_that_refuses_later_is_told_of():
    with brokering(Broker(hang_up=lambda number, got: got.qos == 1)) as broker:
        sending = Mqtt(address(broker), options=PATIENT)
        broker.refusal = 4
        sending.put("{}", "x" * 100_000, "left")
        until(lambda: "refuses" in sending.trouble)
        sending.close(0)
    said = sending.account()
    assert said[0].startswith(f"1 event did not reach {sending.name}: the broker refuses: Bad user")
    assert said[1:] == [f"{sending.name} was lost 1 time"]


def test_a_broker_that_hangs_holds_nobody_up():
    with brokering(Broker(hang_up=lambda number, got: got.qos == 1)) as broker:
        sending = Mqtt(address(broker), options=MqttOptions(timeout=60, room=4))
        began = time.monotonic()
        for number in range(1000):
            sending.put(str(number), "door", "left")
        sending.close(0.1)
        assert time.monotonic() - began < 20
    assert sending.dropped >= 990
    assert sending.account()[0].startswith("1000 events did not reach mqtt://127.0.0.1")


def test_certificates_are_checked(tmp_path, monkeypatch):
    certificate, _ = tls.automatic(tmp_path, ("localhost",))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.chain, certificate.key)
    with brokering(Broker(), context) as broker:
        place = f"mqtts://localhost:{broker.port}/x"
        with pytest.raises(OutputError, match=r"(?i)verif"):
            Mqtt(place, options=PATIENT)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate.chain))
        sending = Mqtt(place, options=PATIENT)
        sending.put("{}", "door", "left")
        sending.close(60)
    assert broker.of("left") == [Published("x/door/left", b"{}", 1, False, False)]
