from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facecctv.errors import ModelError, ModelNotFound, ModelTampered
from facecctv.models.record import only_writer, read_record, write_record
from facecctv.models.store import SHIPPED, Store
from tests.tiny_models import a_card, a_model


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def model_named(name: str, version: str = "1") -> bytes:
    return a_model(a_card(name=name, version=version).to_metadata())


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    made = {name: tmp_path / name for name in ("folder", "shipped", "cache")}
    for path in made.values():
        path.mkdir()
    return made


@pytest.fixture
def store(folders: dict[str, Path]) -> Store:
    return Store(folders["folder"], shipped=folders["shipped"], cache=folders["cache"])


def test_folders_that_do_not_exist_hold_no_models(tmp_path: Path) -> None:
    store = Store(tmp_path / "a", shipped=tmp_path / "b", cache=tmp_path / "c")
    assert store.list() == store.verify() == ()
    with pytest.raises(ModelNotFound, match="looked in: folder, shipped, cache"):
        store.load("tiny")


def test_what_is_shipped_is_as_recorded() -> None:
    entries = Store(cache=SHIPPED / "none").verify()
    assert [e.name for e in entries if e.state != "ok" or e.card is None] == []


def test_the_look_up_order(store: Store, folders: dict[str, Path]) -> None:
    for origin in ("cache", "shipped", "folder"):
        (folders[origin] / "tiny.onnx").write_bytes(model_named("tiny", version=origin))
        found = store.load("tiny")
        assert (found.origin, found.card.version) == (origin, origin)
    explicit = folders["cache"] / "tiny.onnx"
    for path in (explicit, str(explicit)):
        assert store.load(path).origin == "path"
        assert store.load(path).card.version == "cache"


@pytest.mark.parametrize("name", ["", "Tiny", "..", "tiny\n", "a b", "x" * 65])
def test_what_cannot_be_a_name_is_not_found(store: Store, name: str) -> None:
    with pytest.raises(ModelNotFound):
        store.load(name)


def test_a_missing_path_is_not_found(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"gone\.onnx"):
        store.load(tmp_path / "gone.onnx")


def test_a_folder_is_not_a_model(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot read the model"):
        store.load(tmp_path)


def test_a_recorded_file_is_verified(store: Store, folders: dict[str, Path]) -> None:
    data = model_named("tiny")
    path = folders["shipped"] / "tiny.onnx"
    path.write_bytes(data)
    assert not store.load("tiny").recorded
    write_record(folders["shipped"], {"tiny.onnx": sha256(data)})
    loaded = store.load("tiny")
    assert (loaded.recorded, loaded.data, loaded.sha256) == (True, data, sha256(data))

    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ModelTampered, match="not the file on record"):
        store.load("tiny")
    (entry,) = store.list()
    assert (entry.state, entry.card) == ("tampered", None)


def test_a_file_of_the_users_own_has_no_record(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    path.write_bytes(b"anything")
    loaded = store.load(path)
    assert (loaded.name, loaded.recorded, loaded.sha256) == ("mine", False, sha256(b"anything"))
    with pytest.raises(ModelError):
        _ = loaded.card


def test_the_list_says_what_each_file_is(store: Store, folders: dict[str, Path]) -> None:
    good = model_named("good")
    (folders["shipped"] / "good.onnx").write_bytes(good)
    (folders["shipped"] / "bad.onnx").write_bytes(b"\xff" * 20)
    (folders["cache"] / "good.onnx").write_bytes(good)
    (folders["cache"] / "notes.txt").write_text("not a model")
    write_record(folders["shipped"], {"good.onnx": sha256(good), "lost.onnx": "0" * 64})
    listed = [(e.name, e.origin, e.state, e.card is not None) for e in store.list()]
    assert listed == [
        ("bad", "shipped", "unknown", False),
        ("good", "shipped", "ok", True),
        ("good", "cache", "unknown", True),
    ]
    bad, first, _ = store.list()
    assert bad.error == "not an ONNX model, or a damaged one"
    assert (first.size, first.sha256) == (len(good), sha256(good))
    assert [e.name for e in store.verify() if e.state == "missing"] == ["lost"]


def test_no_record_and_an_empty_record_hold_nothing(tmp_path: Path) -> None:
    assert read_record(tmp_path) == {}
    (tmp_path / "SHA256SUMS").write_text("")
    assert read_record(tmp_path) == {}


def test_the_record_of_sha256sum_is_read(tmp_path: Path) -> None:
    (tmp_path / "SHA256SUMS").write_text(f"{'AB' * 32}  a.onnx\r\n{'0' * 64} *b c.onnx\n")
    assert read_record(tmp_path) == {"a.onnx": "ab" * 32, "b c.onnx": "0" * 64}


@pytest.mark.parametrize(
    "text", ["x", "\n", f"{'0' * 63}  a", f"{'0' * 64} a", f"{'0' * 64}  ../a", f"{'0' * 64}  "]
)
def test_a_broken_record_is_an_error_not_an_empty_one(
    store: Store, folders: dict[str, Path], text: str
) -> None:
    (folders["shipped"] / "tiny.onnx").write_bytes(model_named("tiny"))
    (folders["shipped"] / "SHA256SUMS").write_text(text)
    with pytest.raises(ModelError, match="line 1 of SHA256SUMS"):
        store.load("tiny")
    (entry,) = store.list()
    assert "line 1 of SHA256SUMS" in entry.error


def test_a_record_that_is_not_text_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "SHA256SUMS").write_bytes(b"\xff\xfe")
    with pytest.raises(ModelError, match="cannot read the record"):
        read_record(tmp_path)


names = st.from_regex(r"[a-z0-9][a-z0-9._ -]{0,20}", fullmatch=True)
digests = st.binary(min_size=32, max_size=32).map(bytes.hex)


@given(st.dictionaries(names, digests, max_size=4))
def test_a_record_survives_the_round_trip(
    tmp_path_factory: pytest.TempPathFactory, record: dict[str, str]
) -> None:
    folder = tmp_path_factory.mktemp("record")
    write_record(folder, record)
    assert read_record(folder) == record
    assert [path.name for path in folder.iterdir()] == ["SHA256SUMS"]


@pytest.mark.skipif(sys.platform == "win32", reason="locks are held per process there")
def test_one_writer_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    with only_writer(folder), pytest.raises(ModelError, match="under way"), only_writer(folder):
        pass
    with only_writer(folder):
        assert folder.is_dir()
