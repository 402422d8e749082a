"""The search log: no line changes, moves or goes missing unseen."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime

import pytest

from facecctv.errors import LogTampered, OutputError
from facecctv.identity import log
from facecctv.identity.log import FIRST, Anchor, Ruling, Search, append, entries, head_of, verify

SEARCH = Search(
    what="watchlist", target="a1b2", source="ab" * 32, compared=3, rate=1e-3,
    matched=("Ann Lee",), decision="match", by="J. Doe",
)  # fmt: skip


@pytest.fixture
def path(tmp_path):
    return tmp_path / "searches.log"


@pytest.fixture
def four(path):
    for _ in range(4):
        append(path, SEARCH)
    return path


def test_an_empty_log_is_whole(path):
    assert verify(path) == Anchor(0, FIRST)
    assert list(entries(path)) == []


def test_a_search_is_logged_with_all_its_facts_and_no_more(path):
    when = datetime(2026, 5, 3, 14, 5, tzinfo=UTC)
    anchor = append(path, SEARCH, when)
    assert anchor == verify(path)
    (entry,) = entries(path)
    assert entry == {
        "number": 1, "time": "2026-05-03T14:05:00.000+00:00", "previous": FIRST,
        "what": "watchlist", "target": "a1b2", "source": "ab" * 32, "compared": 3, "rate": 1e-3,
        "matched": ["Ann Lee"], "decision": "match", "by": "J. Doe", "reason": "",
    }  # fmt: skip
    assert path.stat().st_mode & 0o077 == 0


def test_every_line_follows_the_one_before(four):
    assert verify(four).lines == 4
    assert [entry["number"] for entry in entries(four)] == [1, 2, 3, 4]


def lines_of(path):
    return path.read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [lines[0].replace(b"Ann Lee", b"Bob Lee"), *lines[1:]],
        lambda lines: [*lines[:3], lines[3].replace(b"Ann Lee", b"Bob Lee")],
        lambda lines: [*lines[:3], lines[3].replace(b'"match"', b'"no_match"')],
        lambda lines: [lines[0], *lines[2:]],
        lambda lines: lines[1:],
        lambda lines: lines[:3],
        lambda lines: [],
        lambda lines: [*lines, *lines[3:]],
        lambda lines: [lines[1], lines[0], *lines[2:]],
        lambda lines: [*lines[:3], lines[3][:-1]],
        lambda lines: [*lines[:3], lines[3][:20]],
        lambda lines: [*lines[:3], b"{}\n"],
        lambda lines: [*lines[:3], b"3\n"],
        lambda lines: [*lines[:3], b"\xff\n"],
        lambda lines: [lines[0].replace(b'"number": 1', b'"number": 1 '), *lines[1:]],
    ],
)
def test_any_change_is_found(four, change):
    changed = b"".join(change(lines_of(four)))
    assert changed != four.read_bytes()
    four.write_bytes(changed)
    with pytest.raises(LogTampered):
        verify(four)


def test_every_single_byte_counts(four):
    whole = four.read_bytes()
    for at in range(0, len(whole), 7):
        four.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(LogTampered):
            verify(four)


def test_an_end_cut_off_with_its_head_shows_against_an_anchor(path):
    append(path, SEARCH)
    early = (path.read_bytes(), head_of(path).read_bytes())
    anchor = append(path, SEARCH)
    append(path, SEARCH)
    assert verify(path, anchor).lines == 3
    path.write_bytes(early[0])
    head_of(path).write_bytes(early[1])
    assert verify(path).lines == 1
    with pytest.raises(LogTampered, match="anchor"):
        verify(path, anchor)
    assert Anchor.of(str(anchor)) == anchor


@pytest.mark.parametrize("head", [None, "", "4", "x " + FIRST, "5 " + FIRST])
def test_a_missing_or_damaged_head_is_found(four, head):
    if head is None:
        head_of(four).unlink()
    else:
        head_of(four).write_text(head)
    with pytest.raises(LogTampered):
        verify(four)


def test_nothing_is_added_to_a_log_whose_end_was_changed(four):
    lines = lines_of(four)
    for spoilt in (lines[:3], [], [*lines[:3], lines[3].replace(b"Ann", b"Bob")]):
        four.write_bytes(b"".join(spoilt))
        with pytest.raises(LogTampered):
            append(four, SEARCH)
        assert four.read_bytes() == b"".join(spoilt)


def test_a_crash_between_line_and_head_is_mended(four):
    old = head_of(four).read_bytes()
    append(four, SEARCH)
    head_of(four).write_bytes(old)
    assert verify(four).lines == 5
    append(four, SEARCH)
    assert verify(four).lines == 6


def test_a_crash_in_the_middle_of_a_line_is_mended(four):
    with four.open("ab") as file:
        file.write(lines_of(four)[3][:30])
    append(four, SEARCH)
    assert verify(four).lines == 5


def test_a_crash_in_the_very_first_line_is_mended(path):
    path.write_bytes(b'{"number"')
    append(path, SEARCH)
    assert verify(path).lines == 1


def test_a_line_longer_than_a_block_is_read_back(path, monkeypatch):
    monkeypatch.setattr(log, "_BLOCK", 16)
    for _ in range(5):
        append(path, SEARCH)
    assert verify(path).lines == 5


def test_several_writers_make_one_chain(path):
    threads = [
        threading.Thread(target=lambda: [append(path, SEARCH) for _ in range(5)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verify(path).lines == 20


def test_a_log_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        append(tmp_path / "none" / "log", SEARCH)


def test_a_person_decides(path):
    append(path, SEARCH)
    append(path, Ruling(of=1, ruling="rejected", name="Ann Lee", by="J. Doe", reason="too tall"))
    assert verify(path).lines == 2
    assert list(entries(path))[1]["ruling"] == "rejected"


def test_odd_names_are_logged(path):
    odd = Search(**{**json.loads(json.dumps(SEARCH.__dict__)), "matched": ("Zoë \udc80\n",)})
    append(path, odd)
    append(path, odd)
    assert verify(path).lines == 2
