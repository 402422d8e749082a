import pytest

from facecctv.desktop.door import COOKIE, Keyring, loopback

PATHS = ["/", "/assets/a-1.js", "/healthz", "/metrics", "/openapi.json", "/docs", "/v1/limits",
         "/status", "/desktop/enter.js", "/nothing", "/desktop/enter/",
         "/desktop//enter"]  # fmt: skip


@pytest.mark.parametrize("cookie", ["", f"{COOKIE}=", f"{COOKIE}=wrong", "\xff=;;=\x00", "a=b"])
@pytest.mark.parametrize("path", PATHS)
def test_without_the_session_nothing_is_answered(talk, path, cookie):
    reply = talk(lambda client: client.get(path, headers={"cookie": cookie.encode("latin-1")}))
    assert reply.status_code == 401
    assert reply.json()["status"] == 401
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert "set-cookie" not in reply.headers


@pytest.mark.parametrize("path", ["/v1/detect", "/task/face-detection", "/desktop/open"])
def test_without_the_session_nothing_is_taken(talk, path, view):
    reply = talk(lambda client: client.post(path, files={"file": b"picture"}))
    assert reply.status_code == 401
    assert view.proposed == []


def test_a_ticket_works_once_and_brings_the_session(talk, keyring):
    address = f"/desktop/enter?ticket={keyring.ticket()}"

    async def use(client):
        entered = await client.get(address)
        assert entered.status_code == 200
        cookie = entered.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert "path=/" in cookie
        assert "script-src 'self'" in entered.headers["content-security-policy"]
        for path in ("/", "/assets/a-1.js", "/v1/limits", "/desktop/enter.js"):
            assert (await client.get(path)).status_code == 200
        client.cookies.clear()
        assert (await client.get(address)).status_code == 401
        assert (await client.get("/")).status_code == 401

    talk(use)


@pytest.mark.parametrize("query", ["", "?ticket=", "?ticket=wrong", "?ticket=a&ticket=b", "?t"])
def test_no_other_ticket_is_good(talk, query):
    assert talk(lambda client: client.get(f"/desktop/enter{query}")).status_code == 401


def test_a_ticket_is_for_getting_in_only(talk, keyring):
    ticket = keyring.ticket()
    reply = talk(lambda client: client.post("/desktop/enter", params={"ticket": ticket}))
    assert reply.status_code == 401
    assert keyring.redeem(ticket) is not None


def test_tickets_of_another_run_are_not_good(talk):
    ticket = Keyring().ticket()
    reply = talk(lambda client: client.get("/desktop/enter", params={"ticket": ticket}))
    assert reply.status_code == 401


def test_a_second_start_may_show_the_window_and_nothing_else(talk, keyring, view):
    second = {"authorization": f"Bearer {keyring.handover}"}

    async def use(client):
        assert (await client.post("/desktop/show", headers=second)).status_code == 204
        assert (await client.get("/", headers=second)).status_code == 401
        assert (await client.post("/desktop/open", headers=second)).status_code == 401
        wrong = {"authorization": "Bearer x"}
        assert (await client.post("/desktop/show", headers=wrong)).status_code == 401
        view.closing = True
        assert (await client.post("/desktop/show", headers=second)).status_code == 503

    talk(use)
    assert view.shown == 1


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": "http://127.9.8.7:1"}, 200),
        ({"origin": "http://127.9.8.7:2"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"host": "evil.example"}, 400),
        ({"host": "localhost:1"}, 400),
    ],
)
def test_pages_from_elsewhere_are_refused_even_with_the_session(inside, headers, status):
    reply = inside(lambda client: client.get("/v1/limits", headers=headers))
    assert reply.status_code == status


@pytest.mark.parametrize(
    ("system", "number", "address"),
    [
        ("linux", 0, "127.0.0.2"),
        ("linux", 2**24 - 4, "127.255.255.254"),
        ("win32", 0x010203 - 2, "127.1.2.3"),
        ("darwin", 5, "127.0.0.1"),
    ],
)
def test_each_run_takes_an_address_of_its_own(monkeypatch, system, number, address):
    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setattr("secrets.randbelow", lambda bound: min(number, bound - 1))
    assert loopback() == address
