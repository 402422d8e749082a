"""Watch-lists: what is kept, what is wiped, what is refused."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facecctv.errors import (
    EntryError,
    OutputError,
    SettingError,
    WatchlistBusy,
    WatchlistError,
    WrongKey,
)
from facecctv.identity import exchange
from facecctv.identity.entries import Person, Template, check_embedding, together
from facecctv.identity.sealing import Secret, new_key_file
from facecctv.identity.vault import Vault
from facecctv.identity.watchlist import Watchlist

SECRET = Secret.passphrase("correct horse")
CHEAP = 2**10
LATER = date(2999, 1, 1)
SOURCE = "ab" * 32
EMBEDDER = "tiny 1"


def vector(seed: int, size: int = 8) -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=size)
    return (values / np.linalg.norm(values)).astype(np.float32)


def template(seed: int, **changes) -> Template:
    return Template(**{"embedding": vector(seed), "face_px": 40.0, "quality": 0.5,
                       "source": SOURCE, **changes})  # fmt: skip


def person(name: str, **changes) -> Person:
    return Person(**{"name": name, "purpose": "theft of 3 May", "owner": "J. Doe",
                     "expires": LATER, **changes})  # fmt: skip


@pytest.fixture
def path(tmp_path) -> Path:
    made = tmp_path / "people.fwl"
    Watchlist.create(
        made, SECRET, purpose="shop theft", owner="J. Doe", embedder=EMBEDDER, size=8, cost=CHEAP
    )
    return made


def opened(path: Path, **changes) -> Watchlist:
    return Watchlist(path, **{"secret": SECRET, **changes})


def stored(path: Path) -> bytes:
    """Every byte of the list and of what lies beside it."""
    return b"".join(file.read_bytes() for file in sorted(path.parent.glob(f"{path.name}*")))


def sealed_rows(path: Path) -> list[bytes]:
    with sqlite3.connect(path) as db:
        rows = [row for (row,) in db.execute("SELECT sealed FROM entry ORDER BY id")]
    db.close()
    return rows


def test_an_empty_list_knows_nobody(path):
    with opened(path) as people:
        assert people.entries() == []
        assert people.gallery().search(vector(0)) == [[]]
        assert len(list(people.export())) == 2
        assert people.about["purpose"] == "shop theft"


def test_a_person_with_two_templates_is_found_by_the_nearer(path):
    with opened(path) as people:
        people.add(person("Ann Lee"), [template(1), template(2, face_px=20.0, quality=0.2)])
        people.add(person("Bob"), [template(3)])
        people.add_templates("ann  LEE", [template(4)])
    with opened(path) as people:
        (entry, bob) = people.entries()
        assert (entry.person.name, entry.templates, entry.negatives) == ("Ann Lee", 3, 0)
        assert bob.person == people.person("bob")
        gallery = people.gallery()
    assert len(gallery) == 4
    (hits,) = gallery.search(vector(2))
    assert [hit.name for hit in hits] == ["Ann Lee", "Bob"]
    assert hits[0].similarity == pytest.approx(1)
    assert (hits[0].face_px, hits[0].quality) == pytest.approx((20, 0.2))
    assert [hit.name for hit in gallery.search(vector(4))[0]][:1] == ["Ann Lee"]
    assert len(gallery.search(vector(2), limit=1)[0]) == 1


def test_a_rejected_face_is_not_matched_again_but_the_person_is(path):
    with opened(path) as people:
        people.add(person("Ann"), [template(1)])
        people.reject("Ann", [template(5)])
        gallery = people.gallery()
    assert gallery.search(vector(5)) == [[]]
    assert [hit.name for hit in gallery.search(vector(1))[0]] == ["Ann"]


@pytest.mark.parametrize("name", ["Ann", " ann", "ANN "])
def test_a_name_is_taken_once(path, name):
    with opened(path) as people:
        people.add(person("Ann"), [template(1)])
        with pytest.raises(EntryError, match="on the list already"):
            people.add(person(name), [template(2)])
        assert len(people.entries()) == 1


def test_an_entry_that_cannot_be_is_refused_before_anything_is_written(path):
    with opened(path) as people:
        with pytest.raises(EntryError, match="expires in the past"):
            people.add(person("Ann", expires=date(2000, 1, 1)), [template(1)])
        with pytest.raises(EntryError, match="at least one template"):
            people.add(person("Ann"), [])
        for method in (people.add_templates, people.reject):
            with pytest.raises(EntryError, match="nobody of this name"):
                method("Ann", [template(1)])
        with pytest.raises(EntryError, match="nobody of this name"):
            people.remove("Ann")
        with pytest.raises(EntryError, match="of tiny 1, not of tiny 2"):
            people.check_embedder("tiny 2")
        with pytest.raises(EntryError, match="4 numbers"):
            people.add(person("Ann"), [template(1, embedding=vector(1, size=4))])
        assert people.entries() == []
        people.add(person("Ann"), [template(1)])
        with pytest.raises(EntryError, match="another model"):
            people.gallery().search(vector(1, size=4))


def test_sights_together_are_their_mean_by_quality():
    good = template(0, embedding=[1, 0], face_px=60.0, quality=0.6)
    bad = template(0, embedding=[0, 1], face_px=20.0, quality=0.2, source="cd" * 32, picture=b"x")
    found = together([bad, good])
    assert found.embedding == pytest.approx(np.array([3, 1]) / 10**0.5)
    assert (found.face_px, found.quality) == pytest.approx((50, 0.5))
    assert (found.source, found.picture) == (SOURCE, None)
    assert together([bad]) is bad


def test_sights_of_no_quality_have_a_mean_too():
    pair = [template(0, embedding=side, quality=0.0) for side in ([1, 0], [0, 1])]
    assert together(pair).embedding == pytest.approx(np.full(2, 0.5**0.5))


@pytest.mark.parametrize(
    ("sights", "message"),
    [([], "at least one"), ([[1, 0], [-1, 0]], "nothing in common"), ([[1], [1, 0]], "lengths")],
)
def test_sights_that_have_no_mean(sights, message):
    with pytest.raises(EntryError, match=message):
        together([template(0, embedding=side) for side in sights])


@given(st.lists(st.tuples(st.integers(0, 99), st.floats(0, 1)), min_size=1, max_size=9))
def test_a_mean_is_of_unit_length_and_no_better_than_its_best_sight(sights):
    parts = [template(0, embedding=_near(seed), quality=q, face_px=9 + seed) for seed, q in sights]
    found = together(parts)
    assert np.linalg.norm(found.embedding) == pytest.approx(1, abs=1e-5)
    assert found.quality <= max(one.quality for one in parts) + 1e-9
    assert min(one.face_px for one in parts) - 1e-6 <= found.face_px
    assert found.face_px <= max(one.face_px for one in parts) + 1e-6


def _near(seed: int) -> np.ndarray:
    values = np.eye(8)[0] + 0.3 * vector(seed)
    return values / np.linalg.norm(values)


@pytest.mark.parametrize("changes", [{"name": " "}, {"owner": ""}, {"name": "a\0b"},
                                     {"note": "x" * 2001}, {"purpose": "\n"}])  # fmt: skip
def test_a_person_has_printable_facts(changes):
    with pytest.raises(EntryError):
        person(**{"name": "Ann", **changes})


@pytest.mark.parametrize(
    "changes",
    [{"face_px": 0}, {"face_px": float("nan")}, {"quality": 1.1}, {"source": "xyz"},
     {"embedding": np.ones(8)}, {"embedding": np.full(8, np.nan)}, {"embedding": np.eye(2)},
     {"embedding": []}],
)  # fmt: skip
def test_a_template_that_cannot_be_is_refused(changes):
    with pytest.raises(EntryError):
        template(1, **changes)


def test_expired_people_are_listed_never_matched_and_removed_when_told(path):
    soon = datetime.now(UTC).date() + timedelta(days=1)
    with opened(path) as people:
        people.add(person("Ann", expires=soon), [template(1)])
        people.add(person("Bob"), [template(2)])
        after = soon + timedelta(days=1)
        assert len(people.gallery(soon).names) == 2
        assert people.gallery(after).names == ("Bob",)
        assert len(people.entries()) == 2
        assert people.expire(soon) == []
        assert people.expire(after) == ["Ann"]
        assert [entry.person.name for entry in people.entries()] == ["Bob"]


def test_nothing_personal_is_in_the_file(path):
    picture = b"\x89PNG the picture itself"
    with opened(path) as people:
        people.add(person("Ann Lee", note="blue coat"), [template(1, picture=picture)])
        content = stored(path)
        assert len(sealed_rows(path)) == 3
    for word in (b"Ann", b"Lee", b"theft", b"Doe", b"blue", b"2999", b"picture itself", b"tiny",
                 SOURCE.encode(), bytes.fromhex(SOURCE), vector(1).tobytes()):  # fmt: skip
        assert word not in content


def test_pictures_are_kept_only_where_handed_in(path):
    with opened(path) as people:
        people.add(person("Ann"), [template(1), template(2, picture=b"PNG")])
        assert [entry.pictures for entry in people.entries()] == [1]
        found = json.loads(list(people.export())[1])
    assert ["picture" in one for one in found["templates"]] == [False, True]


def test_what_is_removed_is_in_no_byte_of_the_file_or_beside_it(path):
    with opened(path) as people:
        people.import_(export_of(30))
        people.add_templates("Person 7", [template(107)])
    before = sealed_rows(path)
    with opened(path) as people:
        people.remove("Person 7")
        content = stored(path)  # while it is open, so with -wal and -shm
        assert len(people.entries()) == 29
    gone = set(before) - set(sealed_rows(path))
    assert len(gone) == 3
    for row in gone:
        for start in range(0, len(row) - 16, 16):
            assert row[start : start + 16] not in content
    assert stored(path).count(before[0]) == 1  # and the search itself would find one


def test_a_reader_of_the_old_state_delays_the_wiping_and_is_told(path):
    with opened(path) as people:
        people.add(person("Ann"), [template(1)])
        people.add(person("Bob"), [template(2)])
    row = sealed_rows(path)[0]
    with opened(path) as reader, opened(path, wait=0.05) as people:
        rows = reader._vault.rows(1)
        next(rows)
        with pytest.raises(WatchlistBusy, match="traces"):
            people.remove("Ann")
        assert [entry.person.name for entry in people.entries()] == ["Bob"]
        rows.close()
        assert people.expire() == []
        assert row not in stored(path)


def test_a_second_writer_waits_and_is_told(path):
    with opened(path) as first, opened(path, wait=0.05) as second:
        with first._vault.writing(), pytest.raises(WatchlistBusy, match="another process"):
            second.add(person("Ann"), [template(1)])
        second.add(person("Ann"), [template(1)])
        assert len(first.entries()) == 1


HOLD = """
import sys, pathlib
from tests.test_identity_watchlist import opened
with opened(pathlib.Path(sys.argv[1])) as people, people._vault.writing():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_process_that_holds_the_file_is_waited_for_and_named(path):
    root = Path(__file__).parent.parent
    places = os.pathsep.join([str(root), str(root / "src")])
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": places},
    ) as process:
        assert process.stdout.readline() == b"held\n"
        with opened(path, wait=0.05) as people:
            with pytest.raises(WatchlistBusy, match="another process"):
                people.add(person("Ann"), [template(1)])
            assert people.entries() == []  # readers do not wait
            process.stdin.close()
            process.wait()
            people.add(person("Ann"), [template(1)])
            assert len(people.gallery()) == 1


def test_readers_read_while_one_writes(path):
    with opened(path) as writer, opened(path) as reader:
        writer.add(person("Ann"), [template(1)])
        with writer._vault.writing():
            assert reader.gallery().names == ("Ann",)


@pytest.mark.parametrize("secret", [Secret.passphrase("correct house"), Secret("key file", b"x")])
def test_another_secret_opens_nothing(path, secret):
    with pytest.raises(WrongKey):
        opened(path, secret=secret)


def test_a_key_file_opens_what_it_made(tmp_path):
    key, path = tmp_path / "key", tmp_path / "list"
    secret = new_key_file(key)
    assert key.stat().st_mode & 0o077 == 0
    Watchlist.create(path, secret, purpose="a", owner="b", embedder=EMBEDDER, size=8)
    with opened(path, secret=Secret.key_file(key)) as people:
        people.add(person("Ann"), [template(1)])
    with pytest.raises(WrongKey, match="opens with a key file"):
        opened(path)
    with pytest.raises(OutputError):
        new_key_file(key)
    key.write_bytes(b"short")
    with pytest.raises(SettingError, match="32 bytes"):
        Secret.key_file(key)
    with pytest.raises(SettingError, match="cannot be read"):
        Secret.key_file(tmp_path / "none")
    with pytest.raises(SettingError, match="at least 8"):
        Secret.passphrase("short")
    assert "correct" not in repr(SECRET)


def test_rekeying_leaves_nothing_to_the_old_secret(path):
    other = Secret.passphrase("battery staple")
    with opened(path) as people:
        people.add(person("Ann"), [template(1, picture=b"PNG")])
        people.reject("Ann", [template(2)])
        before, told = sealed_rows(path), list(people.export())
        people.rekey(other, cost=CHEAP)
        assert list(people.export()) == told
        people.add_templates("ann", [template(3)])  # the name is still found
        assert not any(row in stored(path) for row in before)
    with pytest.raises(WrongKey):
        opened(path)
    with opened(path, secret=other) as people:
        assert people.entries()[0].templates == 2


def test_a_list_rekeyed_by_another_process_is_told(path):
    with opened(path) as people, opened(path) as other:
        other.rekey(Secret.passphrase("battery staple"), cost=CHEAP)
        with pytest.raises(WrongKey):
            people.entries()


def test_an_existing_file_is_not_overwritten(path):
    content = path.read_bytes()
    with pytest.raises(OutputError, match="there is a file"):
        Watchlist.create(path, SECRET, purpose="a", owner="b", embedder=EMBEDDER, size=8)
    assert path.read_bytes() == content
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("content", [b"", b"hello", b"SQLite format 3\0" + b"\0" * 600])
def test_another_file_is_no_watch_list_and_stays_as_it_is(tmp_path, content):
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(WatchlistError):
        opened(path)
    assert path.read_bytes() == content
    with pytest.raises(WatchlistError, match="no such"):
        opened(tmp_path / "none")


def filled(path: Path) -> bytes:
    with opened(path) as people:
        people.import_(export_of(40))
    return path.read_bytes()


def export_of(count: int) -> list[str]:
    """`Person 0` and so on, one template each."""
    lines = [exchange.head({"embedder": EMBEDDER})]
    lines += [
        exchange.line(person(f"Person {number}"), [template(number)], []) for number in range(count)
    ]
    return [*lines, exchange.end(count)]


@pytest.mark.parametrize("part", [0.2, 0.5, 0.9])
def test_a_truncated_list_is_refused(path, part):
    whole = filled(path)
    path.write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(WatchlistError), opened(path) as people:
        people.gallery()


def changed(path: Path, *statements: str) -> None:
    db = sqlite3.connect(path)
    for statement in statements:
        db.execute(statement)
    db.commit()
    db.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entry SET sealed = CAST(x'00' || substr(sealed, 2) AS BLOB) WHERE id = 2",
        "UPDATE entry SET sealed = (SELECT sealed FROM entry WHERE id = 4) WHERE id = 2",
        "UPDATE entry SET kind = 3 WHERE id = 2",
        "UPDATE entry SET person = (SELECT person FROM entry WHERE id = 3) WHERE id = 2",
        "UPDATE entry SET id = 999 WHERE id = 2",
        "UPDATE entry SET sealed = x'' WHERE id = 2",
        "DELETE FROM entry WHERE id = 2",
        "DELETE FROM entry WHERE id < 3",
        "DELETE FROM entry",
        "UPDATE head SET sealed = x'00'",
        "UPDATE head SET vault = x'00'",
        "UPDATE head SET cost = 2048",
        "UPDATE head SET cost = 1073741824",
        "DELETE FROM head",
        "DROP TABLE entry",
    ],
)
def test_every_change_behind_its_back_is_found(path, statement):
    filled(path)
    changed(path, statement)
    with pytest.raises(WatchlistError), opened(path) as people:
        people.gallery()


def test_a_removed_entry_cannot_be_put_back(path):
    filled(path)
    with sqlite3.connect(path) as db:
        (old,) = db.execute("SELECT person, kind, sealed FROM entry WHERE id = 2").fetchall()
    db.close()
    with opened(path) as people:
        people.remove("Person 0")
    db = sqlite3.connect(path)
    db.execute("INSERT INTO entry VALUES (2, ?, ?, NULL, ?)", old)
    db.commit()
    db.close()
    with opened(path) as people, pytest.raises(WatchlistError, match="put back"):
        people.gallery()


def test_an_export_imports_as_it_was(path, tmp_path):
    with opened(path) as people:
        people.add(person("Ann", note="n"), [template(1, picture=b"PNG"), template(2)])
        people.add(person("Zoë"), [template(3)])
        people.reject("Ann", [template(4)])
        told = list(people.export())
    other = tmp_path / "other"
    Watchlist.create(other, SECRET, purpose="x", owner="y", embedder=EMBEDDER, size=8, cost=CHEAP)
    with opened(other) as people:
        done = people.import_(told)
        assert (done.people, done.templates, done.expired) == (2, 3, 0)
        assert list(people.export())[1:] == told[1:]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda lines: [], "cut off"),
        (lambda lines: lines[:-1], "cut off"),
        (lambda lines: [*lines[:3], lines[3][:50]], "line 4: not JSON"),
        (lambda lines: [*lines[:2], *lines[3:]], "3 people were exported, not 2"),
        (lambda lines: lines[1:], "line 1: no export"),
        (lambda lines: [lines[0], lines[1], lines[1], *lines[2:]], "line 3: somebody"),
        (lambda lines: [lines[0].replace(EMBEDDER, "huge 7"), *lines[1:]], "huge 7"),
        (lambda lines: [*lines[:2], lines[2].replace('"purpose": "theft', '"porpoise": "t'),
                        *lines[3:]], "line 3: a person on the list has a purpose"),
        (lambda lines: [*lines[:2], lines[2].replace("2999-01-01", "soon"), *lines[3:]],
         "line 3: expires"),
        (lambda lines: [*lines[:2], lines[2].replace('"embedding": "', '"embedding": "AAAA'),
                        *lines[3:]], "line 3: a template|line 3: an embedding"),
        (lambda lines: [*lines[:2], "[]", *lines[3:]], "line 3: not a JSON object"),
    ],
)  # fmt: skip
def test_of_a_broken_export_nothing_is_imported_and_the_line_is_named(
    path, tmp_path, spoil, message
):
    with opened(path) as people:
        for number, name in enumerate(("Ann", "Bob", "Cid")):
            people.add(person(name), [template(number)])
        told = list(people.export())
    other = tmp_path / "other"
    Watchlist.create(other, SECRET, purpose="x", owner="y", embedder=EMBEDDER, size=8, cost=CHEAP)
    with opened(other) as people:
        with pytest.raises(EntryError, match=message):
            people.import_(spoil(told))
        assert people.entries() == []


def test_expired_people_are_not_imported(path, tmp_path):
    with opened(path) as people:
        people.add(person("Ann"), [template(1)])
        told = list(people.export())
    other = tmp_path / "other"
    Watchlist.create(other, SECRET, purpose="x", owner="y", embedder=EMBEDDER, size=8, cost=CHEAP)
    with opened(other) as people:
        assert people.import_(told, today=date(3000, 1, 1)).expired == 1
        assert people.entries() == []


ENROL = """
import sys, pathlib
from tests.test_identity_watchlist import CHEAP, SECRET, opened, person, template
with opened(pathlib.Path(sys.argv[1])) as people:
    for number in range(100000):
        people.add(person(f"Person {number}"), [template(number), template(number + 1)])
        print(number, flush=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
@pytest.mark.parametrize("enrolled", [1, 3, 8])
def test_a_kill_during_enrolment_loses_nobody_who_was_enrolled(path, enrolled):
    root = Path(__file__).parent.parent
    places = os.pathsep.join([str(root), str(root / "src")])
    process = subprocess.Popen(
        [sys.executable, "-c", ENROL, str(path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": places},
    )
    for _ in range(enrolled):
        assert process.stdout.readline()
    time.sleep(0.001 * enrolled)
    process.kill()
    said = [int(line) for line in process.stdout.read().split()]
    process.wait()
    process.stdout.close()
    last = max([enrolled - 1, *said])
    with opened(path) as people:
        entries = people.entries()
        gallery = people.gallery()  # checks that nothing is missing
    numbers = sorted(int(entry.person.name.split()[1]) for entry in entries)
    assert numbers == list(range(len(numbers)))
    assert len(numbers) in (last + 1, last + 2)  # one may be written and not yet told
    assert all(entry.templates == 2 for entry in entries)
    assert len(gallery) == 2 * len(numbers)


def test_an_interrupted_write_changes_nothing(path):
    with opened(path) as people:
        people.add(person("Ann"), [template(1)])
        with contextlib.suppress(KeyboardInterrupt), people._vault.writing() as writer:
            writer.add(1, 5, b"{}")
            raise KeyboardInterrupt
        assert len(people.gallery()) == 1


def test_a_vault_counts_its_rows(path):
    with Vault(path, SECRET) as vault:
        with vault.writing() as writer:
            assert [writer.add(7, 1, b"a"), writer.add(7, 1, b"b")] == [1, 2]
        assert vault.count(7) == 2
        assert vault.count(1) == 0
        assert [row.plain for row in vault.rows(7)] == [b"a", b"b"]
        assert vault.find(b"nobody") is None


def test_an_embedding_is_kept_as_a_copy_that_cannot_change():
    values = vector(1)
    kept = check_embedding(values)
    values[:] = 0
    assert np.linalg.norm(kept) == pytest.approx(1)
    assert not kept.flags.writeable
