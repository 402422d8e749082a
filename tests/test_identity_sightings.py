"""Sightings: kept, found, grouped, erased."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("lancedb")

from facecctv.errors import EntryError, SightingsError
from facecctv.identity import sightings
from facecctv.identity.sightings import NONE, Sight, Sightings, groups

SOURCE = "ab" * 32


def vector(seed, near=None, size=16):
    values = np.random.default_rng(seed).normal(size=size)
    if near is not None:
        values = vector(near, size=size) + 0.05 * values
    return (values / np.linalg.norm(values)).astype(np.float32)


def sight(seed=0, **changes):
    facts = {"source": SOURCE, "name": "a.mp4", "box": (1.0, 2.0, 31.0, 42.0), "quality": 0.5,
             "embedding": vector(seed), "frame": seed, "time": seed / 25}  # fmt: skip
    return Sight(**(facts | changes))


@pytest.fixture
def store(tmp_path):
    return Sightings(str(tmp_path / "seen"), "tiny 1")


def bytes_of(folder):
    return b"".join(file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file())


def test_an_empty_place_has_no_cases(store):
    assert store.cases() == []
    with pytest.raises(EntryError, match="no case"):
        store.search("case-1", vector(0))
    store.add("case-1", [])
    assert store.cases() == []


def test_a_face_is_found_with_its_place_and_time(store, tmp_path):
    store.add("case-1", [sight(n) for n in range(50)])
    store.add("case-1", [sight(60, name="b.jpg", frame=0, time=None, quality=0.1)])
    again = Sightings(str(tmp_path / "seen"), "tiny 1")
    assert again.cases() == ["case-1"]
    assert again.count("case-1") == 51
    first, second = again.search("case-1", vector(7), limit=2)
    assert first.similarity == pytest.approx(1, abs=1e-5)
    assert second.similarity < 0.99
    assert (first.sight.frame, first.sight.time) == (7, 7 / 25)
    assert first.sight.box == (1, 2, 31, 42)
    assert (first.sight.source, first.sight.face_px) == (SOURCE, 40)
    assert str(first.sight) == "a.mp4 at 0:00:00, frame 7"
    (picture,) = again.search("case-1", vector(60), limit=1)
    assert (str(picture.sight), picture.sight.time) == ("b.jpg", None)
    np.testing.assert_allclose(picture.sight.embedding, vector(60), atol=1e-6)


def test_the_timeline_is_in_order(store):
    store.add("c", [sight(3), sight(1), sight(2, name="0.jpg")])
    assert [(one.name, one.frame) for one in store.timeline("c")] == [
        ("0.jpg", 2), ("a.mp4", 1), ("a.mp4", 3)
    ]  # fmt: skip


def test_an_erased_case_leaves_nothing_and_others_stay(store, tmp_path):
    store.add("gone", [sight(1, name="secret-recording.mp4")])
    store.add("gone", [sight(2)])
    store.add("kept", [sight(3)])
    needles = [b"secret-recording", vector(1).tobytes()]
    assert all(needle in bytes_of(tmp_path) for needle in needles)
    store.erase("gone")
    content = bytes_of(tmp_path)
    names = " ".join(str(path) for path in tmp_path.rglob("*"))
    assert not any(needle in content for needle in needles)
    assert "gone" not in names
    assert store.cases() == ["kept"]
    assert store.count("kept") == 1
    with pytest.raises(EntryError):
        store.erase("gone")


def test_an_index_finds_most_and_says_how_many(store, monkeypatch):
    monkeypatch.setattr(sightings, "EXACT", 100)
    store.add("c", [sight(n) for n in range(400)])
    assert store.recall("c", queries=5) == 1
    store.index("c")
    assert 0.3 < store.recall("c", queries=10) <= 1
    (found,) = store.search("c", vector(9), limit=1)
    assert found.sight.frame == 9
    (found,) = store.search("c", vector(9), limit=1, exact=True)
    assert found.sight.frame == 9


def test_faces_of_another_model_or_length_are_refused(store, tmp_path):
    store.add("c", [sight(1)])
    with pytest.raises(EntryError, match="of tiny 1, not of tiny 2"):
        Sightings(str(tmp_path / "seen"), "tiny 2").search("c", vector(1))
    with pytest.raises(EntryError, match="length"):
        store.search("c", vector(1, size=8))
    with pytest.raises(EntryError, match="length"):
        store.add("c", [sight(1, embedding=vector(1, size=8))])
    with pytest.raises(EntryError, match="length"):
        store.add("d", [sight(1), sight(1, embedding=vector(1, size=8))])
    assert store.count("c") == 1


@pytest.mark.parametrize("name", ["", "../up", "a b", "-x", "x" * 65, "é"])
def test_a_case_is_named_plainly(store, name):
    with pytest.raises(EntryError, match="name"):
        store.add(name, [sight(1)])


@pytest.mark.parametrize(
    "changes",
    [{"source": "x"}, {"box": (1, 2, 1, 3)}, {"box": (0, 0, float("inf"), 1)}, {"quality": 2},
     {"frame": -1}, {"time": float("nan")}, {"embedding": np.ones(16)}],
)  # fmt: skip
def test_a_sight_that_cannot_be_is_refused(changes):
    with pytest.raises(EntryError):
        sight(**changes)


def test_a_foreign_table_is_refused(store, tmp_path):
    import lancedb

    lancedb.connect(str(tmp_path / "seen")).create_table("other", data=[{"x": 1}])
    with pytest.raises(SightingsError, match="not a case"):
        store.count("other")


def test_a_damaged_case_is_told(store, tmp_path):
    store.add("c", [sight(1)])
    for file in tmp_path.rglob("*.lance"):
        if file.is_file():
            file.write_bytes(b"x")
    with pytest.raises(SightingsError, match="cannot be"):
        store.timeline("c")


def test_no_sights_have_no_groups():
    assert groups([]).tolist() == []
    assert groups([sight(1), sight(2)]).tolist() == [NONE, NONE]
    with pytest.raises(ValueError, match="two"):
        groups([], least=1)


def test_people_are_grouped_and_passers_by_are_not():
    people = [0] * 12 + [1] * 6
    seen = [sight(100 + n, embedding=vector(100 + n, near=who)) for n, who in enumerate(people)]
    strangers = [sight(n) for n in range(500, 510)]
    found = groups([*seen, *strangers])
    assert set(found[:12]) == {0}
    assert set(found[12:18]) == {1}
    assert (found[18:] == NONE).mean() > 0.7
