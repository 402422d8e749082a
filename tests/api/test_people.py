"""Comparing, searching and the watch-list over HTTP, with models of a few bytes."""

import base64
import json

import numpy as np
import pytest

from facecctv.api.desk import ServerSettings
from facecctv.api.security import Keys, new_key
from facecctv.api.served import Enrolling, ServedList
from facecctv.build import Workshop
from facecctv.identity import log
from facecctv.identity.sealing import Secret
from facecctv.identity.watchlist import Watchlist
from facecctv.image import encode
from facecctv.models.session import Session
from tests.patterned import CALIBRATION, portrait
from tests.red_detector import red_detector
from tests.tiny_enhancers import mean_embedder

SECRET = Secret.passphrase("correct horse")
EMBEDDER = "face-embedder 1.0"


def workshop(**facts):
    extra = {"extra": {"calibration": CALIBRATION.to_json()}} | facts
    return Workshop(Session(red_detector()), {"face-embedder": Session(mean_embedder(**extra))})


@pytest.fixture(scope="module")
def shop():
    return workshop()


@pytest.fixture
def path(tmp_path):
    made = tmp_path / "people.fwl"
    about = {"purpose": "theft", "owner": "J. Doe", "embedder": EMBEDDER, "size": 16}
    Watchlist.create(made, SECRET, **about, cost=2**10)
    return made


@pytest.fixture
def served(path):
    with ServedList(path, SECRET, EMBEDDER, enrolling=Enrolling(30)) as opened:
        yield opened


@pytest.fixture
def app(shop, served, app_of):
    return app_of(shop, ServerSettings(watchlist=served))


def ask(talk, app, path, *people, **options):
    """POST with one picture of these people."""
    files = {"file": ("a.png", portrait(*people))}
    return talk(app, lambda c: c.post(path, files=files, **options))


def compare(talk, app, a, b, query=""):
    files = {"a": ("a.png", portrait(*a)), "b": ("b.png", portrait(*b))}
    return talk(app, lambda c: c.post(f"/v1/compare{query}", files=files))


class TestCompare:
    @pytest.mark.parametrize(("other", "decision"), [(1, "match"), (10, "no_match")])
    def test_the_same_or_not(self, talk, app, other, decision):
        reply = compare(talk, app, [1], [other])
        found = reply.json()
        assert reply.status_code == 200
        assert found["decision"] == decision
        assert (found["false_match_rate"] <= 1e-3) == (decision == "match")
        assert (found["log10_likelihood_ratio"] > 0) == (decision == "match")
        assert found["a"]["source"] == "a.png"
        assert len(found["b"]["faces"]) == 1
        assert "embedding" not in found["a"]["faces"][0]

    @pytest.mark.parametrize(
        ("a", "b", "code", "picture"),
        [([], [1], "no-face", "a"), ([1], [], "no-face", "b"),
         ([1, 10], [1], "several-faces", "a"), ([1], [1, 10], "several-faces", "b")],
    )  # fmt: skip
    def test_the_picture_without_one_face_is_named(self, talk, app, a, b, code, picture):
        reply = compare(talk, app, a, b)
        assert reply.status_code == 422
        assert reply.headers["content-type"] == "application/problem+json"
        assert (reply.json()["reason"], reply.json()["picture"]) == (code, picture)
        assert reply.json()["detail"].startswith(f"{picture}: ")

    def test_the_largest_or_the_face_in_a_box_of_several(self, talk, app):
        assert compare(talk, app, [1, 10], [1], "?largest=true").status_code == 200
        found = ask(talk, app, "/v1/detect", 1, 10).json()["faces"]
        decisions = set()
        for face in found:
            box = ",".join(str(face["box"][side]) for side in ("x_min", "y_min", "x_max", "y_max"))
            reply = compare(talk, app, [1, 10], [1], f"?box_a={box}").json()
            assert reply["a"]["faces"][0]["box"]["x_min"] == pytest.approx(
                face["box"]["x_min"], abs=4
            )
            decisions.add(reply["decision"])
        assert decisions == {"match", "no_match"}

    @pytest.mark.parametrize("box", ["1,2,3", "a,b,c,d", "0,0,9000,9000", "5,5,5,5"])
    def test_an_impossible_box(self, talk, app, box):
        assert compare(talk, app, [1], [1], f"?box_b={box}").status_code == 422

    def test_too_small_a_face_is_insufficient(self, talk, app_of):
        scale = {**CALIBRATION.to_json(), "knots": [20.0, 48.0]}
        reply = compare(talk, app_of(workshop(extra={"calibration": scale})), [1], [1])
        assert reply.json()["decision"] == "insufficient_quality"

    @pytest.mark.parametrize("b", [b"no picture", b""])
    def test_a_bad_picture_is_named(self, talk, app, b):
        files = {"a": ("a.png", portrait(1)), "b": ("b.png", b)}
        reply = talk(app, lambda c: c.post("/v1/compare", files=files))
        assert reply.status_code in (400, 415)
        assert reply.json()["picture"] == "b"

    def test_one_picture_alone_is_refused(self, talk, app):
        files = {"a": ("a.png", portrait(1))}
        reply = talk(app, lambda c: c.post("/v1/compare", files=files))
        assert reply.status_code == 400
        assert "'b'" in reply.json()["detail"]

    def test_as_json(self, talk, app):
        body = {name: base64.b64encode(portrait(1)).decode() for name in "ab"}
        assert talk(app, lambda c: c.post("/v1/compare", json=body)).json()["decision"] == "match"
        del body["b"]
        assert talk(app, lambda c: c.post("/v1/compare", json=body)).status_code == 400

    def test_without_recogniser_or_calibration(self, talk, app_of, get):
        for shop in (Workshop(Session(red_detector())), workshop(extra={})):
            app = app_of(shop)
            reply = compare(talk, app, [1], [1])
            assert (reply.status_code, reply.json()["reason"]) == (503, "not-installed")
            assert "compare" not in get(app, "/v1/models").json()["capabilities"]

    def test_a_calibration_of_the_servers_own(self, talk, app_of):
        app = app_of(workshop(extra={}), ServerSettings(calibration=CALIBRATION))
        assert compare(talk, app, [1], [1]).json()["decision"] == "match"

    def test_memory_for_uploads_is_given_back(self, talk, app):
        for b in ([1], []):
            compare(talk, app, [1], b)
        assert app.state.desk.gate.held == 0


class TestEmbedding:
    def test_only_on_request(self, talk, app):
        (plain,) = ask(talk, app, "/v1/examine", 1).json()["faces"]
        (full,) = ask(talk, app, "/v1/examine?embedding=true", 1).json()["faces"]
        assert "embedding" not in plain
        assert np.linalg.norm(full["embedding"]) == pytest.approx(1, abs=1e-3)


class TestSearch:
    def test_names_who_matches_and_nobody_else(self, talk, app, served, path):
        assert ask(talk, app, "/v1/search", 1).json()["faces"][0]["candidates"] == []
        assert ask(talk, app, "/v1/watchlist?name=Ann", 1).status_code == 200
        both = ask(talk, app, "/v1/search?by=J.%20Doe&reason=theft", 1, 10).json()["faces"]
        named = {face["decision"]: [one["name"] for one in face["candidates"]] for face in both}
        assert named == {"match": ["Ann"], "no_match": []}
        assert all("embedding" not in face for face in both)
        lines = list(log.entries(log.log_of(path)))
        assert len(lines) == 3
        assert log.verify(log.log_of(path)).lines == 3
        assert lines[-1]["by"].startswith("J. Doe (address ")
        assert lines[-1]["reason"] == "theft"
        assert {tuple(line["matched"]) for line in lines[1:]} == {("Ann",), ()}
        assert lines[0]["compared"] == 0

    def test_sees_what_others_write_to_the_list(self, talk, app, path, served):
        ask(talk, app, "/v1/watchlist?name=Ann", 1)
        with Watchlist(path, SECRET) as other:
            other.remove("Ann")
        assert ask(talk, app, "/v1/search", 1).json()["faces"][0]["decision"] == "no_match"

    def test_without_a_list(self, talk, app_of, shop, get):
        app = app_of(shop)
        for reply in (ask(talk, app, "/v1/search", 1), get(app, "/v1/watchlist")):
            assert (reply.status_code, reply.json()["reason"]) == (503, "not-installed")
        capabilities = get(app, "/v1/models").json()["capabilities"]
        assert "compare" in capabilities
        assert not {"search", "watchlist"} & set(capabilities)

    def test_nothing_is_told_where_the_log_was_changed(self, talk, app, path):
        ask(talk, app, "/v1/search", 1)
        book = log.log_of(path)
        book.write_text(book.read_text().replace("no_match", "match"))
        reply = ask(talk, app, "/v1/search", 1)
        assert reply.status_code == 503
        assert str(path) not in reply.text

    def test_a_key_is_named_in_the_log(self, talk, app_of, shop, served, path, tmp_path):
        key = new_key(tmp_path / "keys", "desk")
        app = app_of(shop, ServerSettings(watchlist=served, keys=Keys.read(tmp_path / "keys")))
        assert ask(talk, app, "/v1/search", 1).status_code == 401
        assert ask(talk, app, "/v1/search", 1, headers={"x-api-key": key}).status_code == 200
        (line,) = log.entries(log.log_of(path))
        assert line["by"].startswith("key ")
        assert key not in json.dumps(line)


class TestList:
    def test_enrolled_listed_and_removed(self, talk, app, get, path):
        made = ask(talk, app, "/v1/watchlist?name=Ann&note=tall", 1).json()
        shown = get(app, "/v1/watchlist").json()
        assert (shown["purpose"], shown["owner"], shown["enrol_days"]) == ("theft", "J. Doe", 30)
        assert shown["people"] == [made]
        assert made["note"] == "tall"
        assert not made["expired"]
        gone = talk(app, lambda c: c.delete("/v1/watchlist?name=ann"))
        assert gone.json() == {"removed": "Ann"}
        assert get(app, "/v1/watchlist").json()["people"] == []
        again = talk(app, lambda c: c.delete("/v1/watchlist?name=Ann"))
        assert again.status_code == 404

    @pytest.mark.parametrize(
        ("query", "people", "status"),
        [("name=Ann", [], 422), ("name=Ann", [1, 10], 422), ("name=Ann&largest=true", [1, 10], 200),
         ("name=", [1], 422), ("name=Ann&expires=2001-01-01", [1], 422), ("name=%07", [1], 422)],
    )  # fmt: skip
    def test_who_can_be_enrolled(self, talk, app, query, people, status):
        assert ask(talk, app, f"/v1/watchlist?{query}", *people).status_code == status

    def test_a_name_is_taken_once(self, talk, app):
        assert ask(talk, app, "/v1/watchlist?name=Ann", 1).status_code == 200
        assert ask(talk, app, "/v1/watchlist?name=ANN", 10).status_code == 422

    def test_an_entry_lasts_no_longer_than_the_server_lets_it(self, talk, app):
        usual = ask(talk, app, "/v1/watchlist?name=Ann", 1).json()["expires"]
        longer = ask(talk, app, "/v1/watchlist?name=Bob&expires=2999-01-01", 10).json()["expires"]
        assert longer == usual

    def test_closed_unless_the_server_opens_it(self, talk, shop, path, app_of, get):
        with ServedList(path, SECRET, EMBEDDER) as closed:
            app = app_of(shop, ServerSettings(watchlist=closed))
            assert ask(talk, app, "/v1/watchlist?name=Ann", 1).status_code == 403
            assert talk(app, lambda c: c.delete("/v1/watchlist?name=Ann")).status_code == 403
            assert "enrol_days" not in get(app, "/v1/watchlist").json()
            assert "watchlist" not in get(app, "/v1/models").json()["capabilities"]

    def test_privacy_tells_of_the_list(self, app, app_of, shop, get):
        plain, full = (get(one, "/v1/privacy").json() for one in (app_of(shop), app))
        assert len(full["kept"]) == len(plain["kept"]) + 2
        assert len(full["not_wiped"]) == len(plain["not_wiped"]) + 1


def test_no_face_to_search_for_is_no_error_and_no_line(talk, app, path):
    plain = encode(np.full((40, 40, 3), 128, np.uint8))
    reply = talk(app, lambda c: c.post("/v1/search", files={"file": ("a.png", plain)}))
    assert reply.json()["faces"] == []
    assert not log.log_of(path).exists()
