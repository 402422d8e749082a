"""CompreFace's public client verifies, enrols and recognises against our server."""

import pytest
from compreface import CompreFace

from facecctv.api.desk import ServerSettings
from facecctv.api.served import Enrolling, ServedList
from facecctv.build import Workshop
from facecctv.identity import log
from facecctv.identity.sealing import Secret
from facecctv.identity.watchlist import Watchlist
from facecctv.models.session import Session
from tests.patterned import CALIBRATION, portrait
from tests.red_detector import red_detector
from tests.tiny_enhancers import mean_embedder

SECRET = Secret.passphrase("correct horse")
EMBEDDER = "face-embedder 1.0"
ALL = {"limit": 0, "det_prob_threshold": 0.1, "face_plugins": "landmarks", "status": True}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    path = tmp_path_factory.mktemp("lists") / "people.fwl"
    about = {"purpose": "theft", "owner": "J. Doe", "embedder": EMBEDDER, "size": 16}
    Watchlist.create(path, SECRET, **about, cost=2**10)
    return path


@pytest.fixture(scope="module")
def client(place, app_of, serving):
    facts = {"extra": {"calibration": CALIBRATION.to_json()}}
    models = {"face-embedder": Session(mean_embedder(**facts))}
    shop = Workshop(Session(red_detector()), models)
    with ServedList(place, SECRET, EMBEDDER, enrolling=Enrolling(30)) as served:
        app = app_of(shop, ServerSettings(watchlist=served))
        with serving(app) as port:
            yield CompreFace("http://127.0.0.1", str(port))


def test_verification(client):
    service = client.init_face_verification("any-key")
    reply = service.verify(portrait(1), portrait(1, 10), ALL)
    (found,) = reply["result"]
    assert len(found["source_image_face"]["landmarks"]) == 5
    best, other = found["face_matches"]
    assert best["similarity"] > 0.999
    assert other["similarity"] < best["similarity"]
    assert (best["decision"], other["decision"]) == ("match", "no_match")
    assert "face-embedder" in reply["plugins_versions"]["detector"]
    assert service.verify(portrait(1), portrait(), ALL)["code"] == 28


def test_recognition_from_enrolment_to_removal(client, place):
    service = client.init_face_recognition("any-key")
    faces, subjects = service.get_face_collection(), service.get_subjects()
    assert faces.list()["faces"] == []
    made = faces.add(portrait(1), "Ann")
    assert made["subject"] == "Ann"
    assert len(made["image_id"]) == 36
    assert faces.add(portrait(1, width=720), "ann")["subject"] == "Ann"
    assert faces.add(portrait(1, 10), "Bob")["code"] == 31
    assert faces.add(portrait(), "Bob")["code"] == 28
    listed = faces.list()
    assert listed["total_elements"] == 2
    assert listed["faces"][0] == made
    assert subjects.list() == {"subjects": ["Ann"]}

    options = ALL | {"prediction_count": 1}
    known, stranger = (service.recognize(portrait(who), options)["result"][0] for who in (1, 10))
    assert known["subjects"][0]["subject"] == "Ann"
    assert known["subjects"][0]["similarity"] > 0.99
    assert stranger["subjects"] == []
    assert log.verify(log.log_of(place)).lines == 2

    assert faces.delete_all("Ann") == {"deleted": 2}
    assert subjects.list() == {"subjects": []}
    faces.add(portrait(10), "Cid")
    assert subjects.delete("Cid") == {"subject": "Cid"}
    unknown = subjects.delete("Cid")
    assert (unknown["status"], unknown["code"]) == (404, 42)
