"""A server in a process of its own, as users start it: what it speaks and to whom."""

import hashlib
import json
import os
import re
import shutil
import socket
import ssl
import stat
import subprocess
import sys

import httpx
import pytest

from facecctv.api.tls import SUITES, Certificate, automatic, context
from facecctv.cli.serve import _encrypted
from facecctv.errors import InputError, SettingError
from tests.api.programs import served

OPENSSL = shutil.which("openssl")
SSLYZE = os.environ.get("FACECCTV_SSLYZE")
"""The program, in an environment of its own: its licence is the AGPL, so it is no dependency."""


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    with served(folder, "--tls", "auto") as (port, said):
        yield folder / "facecctv" / "tls", port, said


def handshake(port, authority, **limits):
    client = ssl.create_default_context(cafile=authority)
    for name, value in limits.items():
        setattr(client, name, value)
    with (
        socket.create_connection(("127.0.0.1", port), timeout=20) as plain,
        client.wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        return secure.version(), secure.cipher()[0]


def test_the_certificate_is_trusted_through_the_authority_alone(encrypted):
    folder, port, said = encrypted
    trusting = ssl.create_default_context(cafile=folder / "ca.pem")
    for name in ("localhost", "127.0.0.1"):
        reply = httpx.get(f"https://{name}:{port}/healthz", verify=trusting)
        assert reply.json()["status"] == "ok"
        assert "strict-transport-security" in reply.headers
    with pytest.raises(httpx.ConnectError, match="certificate"):
        httpx.get(f"https://localhost:{port}/healthz")
    fingerprint = ssl.PEM_cert_to_DER_cert((folder / "ca.pem").read_text())
    assert (
        hashlib.sha256(fingerprint).hexdigest()
        == re.search(r"SHA-256 ([0-9A-F:]+)", said)[1].replace(":", "").lower()
    )


def test_the_files_are_for_their_owner_alone(encrypted):
    folder = encrypted[0]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    names = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert names == dict.fromkeys(("ca.pem", "ca-key.pem", "server.pem", "server-key.pem"), 0o600)


def test_tls_13_is_spoken_and_12_is_not(encrypted):
    folder, port, _ = encrypted
    version, suite = handshake(port, folder / "ca.pem")
    assert (version, suite in SUITES) == ("TLSv1.3", True)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        handshake(port, folder / "ca.pem", maximum_version=ssl.TLSVersion.TLSv1_2)


@pytest.mark.skipif(OPENSSL is None, reason="needs the program openssl")
@pytest.mark.parametrize(
    ("suite", "spoken"),
    [
        ("TLS_AES_256_GCM_SHA384", True),
        ("TLS_CHACHA20_POLY1305_SHA256", True),
        ("TLS_AES_128_GCM_SHA256", False),
        ("TLS_AES_128_CCM_SHA256", False),
        ("TLS_AES_128_CCM_8_SHA256", False),
    ],
)
def test_only_the_suites_of_256_bits_are_spoken(encrypted, suite, spoken):
    folder, port, _ = encrypted
    done = subprocess.run(
        [OPENSSL, "s_client", "-connect", f"127.0.0.1:{port}", "-tls1_3", "-ciphersuites", suite,
         "-CAfile", str(folder / "ca.pem"), "-verify_return_error"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (f"Cipher is {suite}" in done.stdout) is spoken
    assert (done.returncode == 0) is spoken


@pytest.mark.skipif(SSLYZE is None, reason="run by make tls-check, which installs sslyze")
def test_sslyze_finds_the_stated_suites_and_no_weakness(encrypted, tmp_path):
    folder, port, _ = encrypted
    report = tmp_path / "report.json"
    asked = ["certinfo", "compression", "early_data", "heartbleed", "openssl_ccs", "reneg", "robot"]
    versions = ["sslv2", "sslv3", "tlsv1", "tlsv1_1", "tlsv1_2", "tlsv1_3"]
    done = subprocess.run(
        [SSLYZE, "--quiet", "--mozilla_config=disable", "--json_out", str(report),
         "--certinfo_ca_file", str(folder / "ca.pem"),
         *(f"--{name}" for name in (*asked, *versions)), f"127.0.0.1:{port}"],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (server,) = json.loads(report.read_text())["server_scan_results"]
    found = {
        name: scan["result"]
        for name, scan in server["scan_result"].items()
        if scan["status"] == "COMPLETED"
    }
    suites = {
        suite["cipher_suite"]["name"]
        for result in found.values()
        for suite in result.get("accepted_cipher_suites", [])
    }
    assert suites == set(SUITES)
    spoken = {name for name, result in found.items() if result.get("accepted_cipher_suites")}
    assert spoken == {"tls_1_3_cipher_suites"}
    refused = [name for name in found if name.endswith("_cipher_suites")]
    assert len(refused) == len(versions)
    assert not found["tls_1_3_early_data"]["supports_early_data"]
    assert not found["tls_compression"]["supports_compression"]
    assert not found["heartbleed"]["is_vulnerable_to_heartbleed"]
    assert not found["openssl_ccs_injection"]["is_vulnerable_to_ccs_injection"]
    assert not found["session_renegotiation"]["is_vulnerable_to_client_renegotiation_dos"]
    (deployed,) = found["certificate_info"]["certificate_deployments"]
    trusted = [one["was_validation_successful"] for one in deployed["path_validation_results"]]
    assert any(trusted)  # by our authority
    assert not all(trusted)  # and by nobody else's


def test_a_second_start_keeps_the_authority_and_a_new_host_a_new_certificate(tmp_path):
    first, fingerprint = automatic(tmp_path, ("localhost",))
    served_first = first.chain.read_bytes()
    again, same = automatic(tmp_path, ("localhost",))
    assert (again.chain.read_bytes(), same) == (served_first, fingerprint)
    more, same = automatic(tmp_path, ("localhost", "192.0.2.1", "2001:db8::1"))
    assert more.chain.read_bytes() != served_first
    assert same == fingerprint


def test_a_damaged_certificate_is_made_anew_and_a_damaged_authority_is_said(tmp_path):
    made, _ = automatic(tmp_path, ("localhost",))
    made.chain.write_text("damaged")
    assert "BEGIN" in automatic(tmp_path, ("localhost",))[0].chain.read_text()
    (tmp_path / "ca.pem").write_text("damaged")
    with pytest.raises(InputError, match="authority"):
        automatic(tmp_path, ("localhost",))


def test_a_process_that_cannot_limit_its_suites_speaks_no_tls(tmp_path):
    made, _ = automatic(tmp_path, ("localhost",))
    if hasattr(ssl.SSLContext, "set_ciphersuites"):
        assert context(made)
        return
    with pytest.raises(SettingError, match="OPENSSL_CONF"):
        context(made)


def test_unusable_files_are_said(tmp_path, monkeypatch):
    monkeypatch.setattr("facecctv.api.tls.limited", lambda made: True)
    with pytest.raises(InputError):
        context(Certificate(tmp_path / "a", tmp_path / "b"))


@pytest.mark.parametrize(
    ("tls", "host", "encrypted"),
    [
        ("", "127.0.0.1", False),
        ("", "localhost", False),
        ("", "::1", False),
        ("off", "127.0.0.2", False),
        ("auto", "127.0.0.1", True),
        ("", "0.0.0.0", True),
        ("a,b", "192.0.2.1", True),
        ("", "door.example", True),
    ],
)
def test_what_is_encrypted(tls, host, encrypted):
    assert _encrypted(tls, host) is encrypted


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "door.example"])
def test_plain_http_beyond_the_machine_is_refused(host):
    with pytest.raises(SettingError, match="plain HTTP"):
        _encrypted("off", host)


def test_the_command_refuses_it_too():
    done = subprocess.run(
        [sys.executable, "-m", "facecctv", "serve", "--host", "0.0.0.0", "--tls", "off"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("facecctv: plain HTTP is for loopback")
