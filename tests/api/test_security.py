import asyncio
import contextlib
import hashlib
import os
import socket
import stat
from pathlib import Path

import pytest

from facecctv.api import pages, server
from facecctv.api.desk import ServerSettings
from facecctv.api.limits import ServerLimits
from facecctv.api.privacy import Privacy
from facecctv.api.problems import Problem
from facecctv.api.security import Keys, check_place, new_key
from facecctv.errors import InputError, SettingError


def test_a_new_key_is_shown_once_and_kept_as_a_hash(tmp_path):
    path = tmp_path / "keys"
    first, second = new_key(path, "door"), new_key(path, "desk")
    text = path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert first not in text
    assert hashlib.sha256(first.encode()).hexdigest() in text
    keys = Keys.read(path)
    assert keys.known(first)
    assert keys.known(second)
    for wrong in ("", first[:-1], first + " ", "é", "\udc80"):
        assert not keys.known(wrong)


@pytest.mark.parametrize("text", ["", "# none", "sha256:12 a", "plain-key", "sha256:" + "a" * 64])
def test_a_file_of_keys_that_holds_anything_else_is_refused(tmp_path, text):
    path = tmp_path / "keys"
    path.write_text(text)
    with pytest.raises(SettingError):
        Keys.read(path)


def test_a_file_of_keys_that_is_not_there(tmp_path):
    with pytest.raises(InputError):
        Keys.read(tmp_path / "keys")


@pytest.mark.parametrize("name", ["", " ", "a\nb"])
def test_the_name_of_a_key_is_one_line(tmp_path, name):
    with pytest.raises(SettingError):
        new_key(tmp_path / "keys", name)


def test_with_keys_pictures_and_counters_need_one(quick, app_of, talk, tmp_path, tiny):
    key = new_key(tmp_path / "keys", "a")
    app = app_of(quick, ServerSettings(keys=Keys.read(tmp_path / "keys")))

    async def use(client):
        for path in ("/v1/detect", "/task/face-detection", "/api/v1/detection/detect"):
            for headers in ({}, {"x-api-key": "wrong"}):
                reply = await client.post(path, files={"file": tiny}, headers=headers)
                assert reply.status_code == 401
                assert reply.headers["www-authenticate"]
            reply = await client.post(path, files={"file": tiny}, headers={"x-api-key": key})
            assert reply.status_code == 200
        assert (await client.get("/metrics")).status_code == 401
        assert (await client.get("/metrics", headers={"x-api-key": key})).status_code == 200
        for path in ("/healthz", "/v1/limits", "/v1/privacy", "/v1/models", "/status", "/"):
            assert (await client.get(path)).status_code == 200

    talk(app, use)


@pytest.mark.parametrize("path", ["/v1/limits", "/", "/nothing.js", "/v1/nothing"])
def test_every_reply_carries_the_headers(quick, app_of, get, path):
    headers = get(app_of(quick), path).headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "http" not in policy
    assert "strict-transport-security" not in headers


def test_with_https_browsers_are_told_to_stay_with_it(quick, app_of, get):
    headers = get(app_of(quick, ServerSettings(https=True)), "/status").headers
    assert headers["strict-transport-security"].startswith("max-age=")


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("localhost:8000", None, 0),
        ("localhost:8000", "http://localhost:8000", 0),
        ("LOCALHOST:8000", "http://localhost:8000", 0),
        ("[::1]:8000", "http://[::1]:8000", 0),
        ("localhost:8000", "https://friend.example", 0),
        ("localhost:8000", "http://localhost:9000", 403),
        ("localhost:8000", "https://evil.example", 403),
        ("localhost:8000", "null", 403),
        ("evil.example:8000", "http://evil.example:8000", 400),
        ("", None, 400),
        ("[", None, 400),
    ],
)
def test_who_may_send_through_a_browser(host, origin, status):
    def check():
        check_place(host, origin, ("localhost", "::1"), ["https://friend.example"])

    if not status:
        check()
        return
    with pytest.raises(Problem) as refused:
        check()
    assert refused.value.status == status


def test_other_sites_may_not_read_unless_named(quick, app_of, get):
    friend = {"origin": "https://friend.example"}
    closed = get(app_of(quick), "/v1/limits", headers=friend)
    assert closed.status_code == 403
    assert "access-control-allow-origin" not in closed.headers
    named = app_of(quick, ServerSettings(origins=("https://friend.example",)))
    reply = get(named, "/v1/limits", headers=friend)
    assert reply.headers["access-control-allow-origin"] == "https://friend.example"


def test_the_log_has_the_shape_of_a_request_and_nothing_else(quick, app_of, post, tiny, caplog):
    with caplog.at_level("DEBUG"):
        post(app_of(quick), "/v1/detect?threshold=0.4321&x=private", tiny, name="secret.png")
        post(app_of(quick), "/private/address", tiny, name="secret.png")
    lines = [record.getMessage() for record in caplog.records if record.name == "facecctv.api"]
    assert lines[0].startswith("POST /v1/detect 200 ")
    assert lines[1].startswith("POST other 404 ")
    everything = "".join(record.getMessage() for record in caplog.records
                         if not record.name.startswith(("httpx", "httpcore")))  # fmt: skip
    for word in ("secret", "private", "4321", "127.0.0.1"):
        assert word not in everything


def test_counters_name_routes_and_not_addresses(quick, app_of, talk, tiny):
    async def use(client):
        await client.post("/v1/detect", files={"file": tiny})
        await client.get("/private")
        return (await client.get("/metrics")).text

    text = talk(app_of(quick), use)
    assert 'facecctv_requests_total{method="POST",route="/v1/detect",status="200"} 1' in text
    assert 'facecctv_request_seconds_count{route="/v1/detect"} 1' in text
    assert 'facecctv_waiting{lane="large"} 0' in text
    assert "private" not in text
    for line in text.splitlines():
        assert line.startswith("# ") or len(line.rsplit(" ", 1)) == 2


def test_what_the_server_says_of_privacy_is_what_the_document_says(quick, app_of, get):
    text = (Path(__file__).parents[2] / "docs" / "privacy.md").read_text()
    document = " ".join(text.split())
    said = get(app_of(quick), "/v1/privacy").json()
    assert set(said) == set(Privacy.model_fields)
    for sentences in said.values():
        for sentence in sentences:
            assert sentence in document


class TestPages:
    @pytest.fixture
    def web(self, tmp_path):
        (tmp_path / "web" / "assets").mkdir(parents=True)
        (tmp_path / "web" / "index.html").write_text("<!doctype html>app")
        (tmp_path / "web" / "assets" / "a-1.js").write_text("1")
        (tmp_path / "secret.txt").write_text("secret")
        return tmp_path / "web"

    def test_the_web_app_is_served_and_knows_its_own_addresses(self, quick, app_of, get, web):
        app = app_of(quick, web=web)
        for path in ("/", "/settings", "/compare/two"):
            reply = get(app, path)
            assert reply.text == "<!doctype html>app"
            assert reply.headers["cache-control"] == "no-cache"
            assert "script-src 'self'" in reply.headers["content-security-policy"]
        asset = get(app, "/assets/a-1.js")
        assert "immutable" in asset.headers["cache-control"]
        assert asset.headers["content-type"].startswith("text/javascript")

    @pytest.mark.parametrize("path", ["/gone.js", "/v1/gone", "/task/gone", "/api/v1/gone"])
    def test_what_is_not_there_is_404(self, quick, app_of, get, web, path):
        assert get(app_of(quick, web=web), path).status_code == 404

    @pytest.mark.parametrize(
        "path", ["../secret.txt", "/../secret.txt", "a/../../secret.txt", "//etc/passwd", "\0.txt",
                 "a" * 5000 + ".txt"]
    )  # fmt: skip
    def test_nothing_outside_the_folder_is_served(self, web, path):
        found = pages.page(path, web)
        assert found is None or found.path == web / "index.html"

    def test_links_out_of_the_folder_are_not_followed(self, web):
        os.symlink(web.parent / "secret.txt", web / "link.txt")
        assert pages.page("/link.txt", web) is None

    def test_without_a_built_app_the_page_says_so(self, quick, app_of, get, tmp_path):
        reply = get(app_of(quick, web=tmp_path), "/")
        assert reply.status_code == 200
        assert "not built" in reply.text
        assert get(app_of(quick, web=tmp_path), "/settings").status_code == 404

    def test_the_page_of_the_api_asks_for_nothing_elsewhere(self, quick, app_of, get):
        reply = get(app_of(quick), "/docs")
        assert "/v1/detect" in reply.text
        for word in ("http://", "https://", "<script", "<link", "<img"):
            assert word not in reply.text


def test_a_connection_that_sends_no_request_is_closed(quick, app_of, serving, monkeypatch):
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.5)
    with (
        serving(app_of(quick)) as port,
        socket.create_connection(("127.0.0.1", port), timeout=10) as client,
    ):
        client.sendall(b"POST /v1/detect HTTP/1.1\r\nHost: loc")
        with contextlib.suppress(ConnectionResetError):  # closed all the same
            assert client.recv(1) == b""


def test_a_client_that_takes_nothing_of_its_reply_is_given_up(quick, app_of, caplog):
    """And a large reply goes out in pieces, each with its own time."""
    app = app_of(quick, ServerSettings(limits=ServerLimits(idle_seconds=1)))
    sent = []

    async def stalling(message):
        sent.append(message)
        if len(sent) > 1:
            await asyncio.sleep(60)

    async def nothing():
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/status",
        "raw_path": b"/status",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 1),
        "scheme": "http",
        "root_path": "",
        "http_version": "1.1",
    }
    with caplog.at_level("INFO"):
        asyncio.run(app(scope, nothing, stalling))
    assert "stopped taking" in caplog.text
    assert len(sent) == 2


def test_large_replies_arrive_whole(quick, app_of, get, tmp_path):
    (tmp_path / "index.html").write_bytes(b"a" * 1_000_003)
    assert get(app_of(quick, web=tmp_path), "/").content == b"a" * 1_000_003
