import json

from facecctv.desktop.routes import LARGEST_SAVED


def test_chosen_files_are_read_once_by_address(inside, view, tmp_path):
    (tmp_path / "one.png").write_bytes(b"one")
    view.opens = [tmp_path / "one.png", tmp_path / "gone.png"]

    async def use(client):
        places = (await client.post("/desktop/open")).json()
        assert [place["name"] for place in places] == ["one.png", "gone.png"]
        assert str(tmp_path) not in json.dumps(places)
        first = await client.get(places[0]["address"])
        assert first.content == b"one"
        assert first.headers["cache-control"] == "no-store"
        assert (await client.get(places[0]["address"])).status_code == 404
        assert (await client.get(places[1]["address"])).status_code == 404
        assert (await client.put(places[1]["address"], content=b"x")).status_code == 404

    inside(use)
    assert (tmp_path / "one.png").read_bytes() == b"one"


def test_no_file_chosen_is_an_empty_list(inside):
    assert inside(lambda client: client.post("/desktop/open")).json() == []


def test_a_file_is_saved_where_the_user_says_and_once(inside, view, tmp_path):
    view.saves = tmp_path / "faces.zip"

    async def use(client):
        place = (await client.post("/desktop/save", json={"name": "a.zip"})).json()
        assert place["name"] == "faces.zip"
        assert (await client.get(place["address"])).status_code == 404
        assert not view.saves.exists()
        assert (await client.put(place["address"], content=b"zip")).status_code == 204
        assert (await client.put(place["address"], content=b"more")).status_code == 404

    inside(use)
    assert view.proposed == ["a.zip"]
    assert view.saves.read_bytes() == b"zip"
    assert sorted(tmp_path.glob("*.part")) == []


def test_a_cancelled_dialog_saves_nothing(inside):
    reply = inside(lambda client: client.post("/desktop/save", json={"name": "a.zip"}))
    assert reply.json() is None


def test_a_place_that_cannot_be_written_is_said(inside, view, tmp_path):
    view.saves = tmp_path / "gone" / "a.zip"

    async def use(client):
        place = (await client.post("/desktop/save", json={"name": "a.zip"})).json()
        return await client.put(place["address"], content=b"zip")

    reply = inside(use)
    assert reply.status_code == 503
    assert str(tmp_path) not in reply.text


def test_addresses_nobody_gave_out_are_nowhere(inside):
    assert inside(lambda client: client.get("/desktop/files/x")).status_code == 404
    assert inside(lambda client: client.put("/desktop/files/x", content=b"x")).status_code == 404


def test_a_file_larger_than_memory_should_hold_is_refused(inside, view, tmp_path, monkeypatch):
    assert LARGEST_SAVED >= 2**28
    monkeypatch.setattr("facecctv.desktop.routes.LARGEST_SAVED", 2)
    view.saves = tmp_path / "a.zip"

    async def use(client):
        place = (await client.post("/desktop/save", json={"name": "a.zip"})).json()
        return await client.put(place["address"], content=b"zip")

    assert inside(use).status_code == 413
    assert not view.saves.exists()


def test_the_page_gets_its_settings_back_at_the_next_start(inside, memory):
    kept = {"theme": "dark", "language": "</script>'\"\u2028"}

    async def use(client):
        assert (await client.put("/desktop/settings", json=kept)).status_code == 204
        assert (await client.put("/desktop/settings", content=b"{")).status_code == 422
        assert (await client.put("/desktop/settings", content=b" " * 5000)).status_code == 413
        return await client.get("/desktop/enter.js")

    reply = inside(use)
    assert memory.settings == kept
    assert reply.headers["content-type"].startswith("text/javascript")
    line = reply.text.splitlines()[0]
    literal = line.removeprefix("localStorage.setItem('facecctv.settings', ").removesuffix(");")
    assert json.loads(json.loads(literal)) == kept
    assert "'window'" in reply.text


def test_the_browser_keeps_its_own_dialogs(inside, view):
    view.native = False
    assert "'browser'" in inside(lambda client: client.get("/desktop/enter.js")).text


def test_pictures_are_examined_behind_the_door(inside):
    import numpy as np

    from facecctv.image import encode

    picture = encode(np.full((24, 32, 3), 128, np.uint8))
    reply = inside(lambda client: client.post("/v1/detect", files={"file": picture}))
    assert reply.status_code == 200
    assert len(reply.json()["faces"]) == 1
