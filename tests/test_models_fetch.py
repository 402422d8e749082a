from __future__ import annotations

import hashlib
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from facecctv.errors import (
    LicenceRequired,
    ModelError,
    ModelNotFound,
    ModelTampered,
    OutputError,
)
from facecctv.models.catalogue import Catalogue
from facecctv.models.download import check_url
from facecctv.models.store import Store

BODY = bytes(range(256)) * 1000


@dataclass
class Behaviour:
    """What the loopback server does, and what it was asked."""

    body: bytes = BODY
    status: int = 0
    ranges: bool = True
    cut_after: int | None = None
    """Bytes of the body after which the connection is dropped, once."""
    content_range: str | None = None
    length: bool = True
    location: str = ""
    asked: list[str | None] = field(default_factory=list)
    """The Range header of every request."""


class Handler(BaseHTTPRequestHandler):
    behaviour: Behaviour

    def do_GET(self) -> None:
        does = self.behaviour
        wanted = self.headers.get("Range")
        does.asked.append(wanted)
        if does.status:
            self.send_response(does.status)
            if does.location:
                self.send_header("Location", does.location)
            self.end_headers()
            return
        start = 0
        if wanted and does.ranges:
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])  # type: ignore[index]
            if start >= len(does.body):
                self.send_response(416)
                self.end_headers()
                return
            self.send_response(206)
            span = f"bytes {start}-{len(does.body) - 1}/{len(does.body)}"
            self.send_header("Content-Range", does.content_range or span)
        else:
            self.send_response(200)
        body = does.body[start:]
        if does.length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if does.cut_after is None:
            self.wfile.write(body)
        else:
            self.wfile.write(body[: does.cut_after])
            self.wfile.flush()
            does.cut_after = None
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:
        """Keeps the tests' output clean."""


@pytest.fixture
def server() -> Iterator[tuple[str, Behaviour]]:
    behaviour = Behaviour()
    handler = type("ThisHandler", (Handler,), {"behaviour": behaviour})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}/m.onnx", behaviour
        httpd.shutdown()
        thread.join()


@dataclass
class Fetcher:
    store: Store
    cache: Path
    catalogue: Path
    does: Behaviour

    def __call__(self, name: str = "big", **options: object) -> Path:
        return self.store.fetch(name, catalogues=[self.catalogue], timeout=5, **options)  # type: ignore[arg-type]

    def parts(self) -> list[int]:
        return [path.stat().st_size for path in self.cache.glob(".*.part")]


def offer(url: str, **changes: object) -> str:
    facts = {
        "name": "big",
        "url": url,
        "sha256": hashlib.sha256(BODY).hexdigest(),
        "size": len(BODY),
        "licence": "MIT",
        "commercial_use": True,
        "purpose": "tests",
    }
    lines = [
        f"{k} = {str(v).lower() if isinstance(v, bool) else repr(v)}"
        for k, v in (facts | changes).items()
    ]
    return "[[model]]\n" + "\n".join(lines) + "\n"


@pytest.fixture
def fetch(tmp_path: Path, server: tuple[str, Behaviour]) -> Fetcher:
    url, does = server
    catalogue = tmp_path / "catalogue.toml"
    catalogue.write_text(
        offer(url) + offer(url, name="nc", licence="CC-BY-NC-4.0", commercial_use=False)
    )
    cache = tmp_path / "cache"
    return Fetcher(Store(shipped=tmp_path / "shipped", cache=cache), cache, catalogue, does)


def test_a_whole_file_arrives_and_is_on_record(fetch: Fetcher) -> None:
    seen: list[tuple[int, int]] = []
    path = fetch(progress=lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == BODY
    assert [p.name for p in fetch.cache.glob("*.onnx")] == ["big.onnx"]
    assert fetch.parts() == []
    assert fetch.store.load("big").recorded
    assert seen[-1] == (len(BODY), len(BODY))
    assert seen == sorted(seen)


def test_what_is_there_is_not_fetched_again_even_offline(fetch: Fetcher) -> None:
    fetch()
    fetch(offline=True)
    fetch()
    assert fetch.does.asked == [None]


def test_a_lost_record_is_written_again(fetch: Fetcher) -> None:
    fetch()
    (fetch.cache / "SHA256SUMS").unlink()
    fetch(offline=True)
    assert fetch.store.load("big").recorded


def test_a_damaged_file_is_fetched_again(fetch: Fetcher) -> None:
    fetch().write_bytes(b"damaged")
    with pytest.raises(ModelTampered):
        fetch.store.load("big")
    assert fetch().read_bytes() == BODY


@pytest.mark.parametrize("length", [True, False])
def test_a_cut_download_is_resumed(fetch: Fetcher, length: bool) -> None:
    fetch.does.cut_after, fetch.does.length = 70_000, length
    with pytest.raises(ModelError, match=r"broke off .*; run it again to go on"):
        fetch()
    assert fetch.parts() == [70_000]
    assert not (fetch.cache / "big.onnx").exists()
    assert fetch().read_bytes() == BODY
    assert fetch.does.asked == [None, "bytes=70000-"]
    assert fetch.parts() == []


def test_a_server_that_ignores_ranges_starts_over(fetch: Fetcher) -> None:
    fetch.does.cut_after, fetch.does.ranges = 70_000, False
    with pytest.raises(ModelError):
        fetch()
    assert fetch().read_bytes() == BODY
    assert fetch.does.asked == [None, "bytes=70000-"]


def part_of(fetch: Fetcher, content: bytes) -> None:
    fetch.cache.mkdir()
    (fetch.cache / f".big.onnx.{hashlib.sha256(BODY).hexdigest()[:16]}.part").write_bytes(content)


def test_a_damaged_piece_is_thrown_away_and_all_fetched(fetch: Fetcher) -> None:
    part_of(fetch, b"x" * 1000)
    assert fetch().read_bytes() == BODY
    assert fetch.does.asked == ["bytes=1000-", None]


@pytest.mark.parametrize("piece", [BODY, b"x" * len(BODY), BODY + b"x", b""])
def test_pieces_of_full_size_and_more(fetch: Fetcher, piece: bytes) -> None:
    part_of(fetch, piece)
    assert fetch().read_bytes() == BODY
    assert fetch.does.asked == ([] if piece == BODY else [None])


def test_a_range_past_the_servers_end_starts_over(fetch: Fetcher) -> None:
    part_of(fetch, BODY[:1000])
    fetch.does.body = BODY[:500]
    with pytest.raises(ModelError, match="broke off"):
        fetch()
    assert fetch.does.asked == ["bytes=1000-", None]


@pytest.mark.parametrize("span", ["bytes 0-999/256000", "bytes 1000-1999/2000", "junk"])
def test_another_range_than_asked_for_is_refused(fetch: Fetcher, span: str) -> None:
    part_of(fetch, BODY[:1000])
    fetch.does.content_range = span
    with pytest.raises(ModelError, match="another range"):
        fetch()
    assert not (fetch.cache / "big.onnx").exists()


def test_other_bytes_are_deleted(fetch: Fetcher) -> None:
    fetch.does.body = b"x" * len(BODY)
    with pytest.raises(ModelTampered, match="not the file on record"):
        fetch()
    assert fetch.parts() == []
    assert list(fetch.cache.glob("*.onnx")) == []


@pytest.mark.parametrize("length", [True, False])
def test_a_body_that_is_too_long_is_deleted(fetch: Fetcher, length: bool) -> None:
    fetch.does.body, fetch.does.length = BODY + b"x", length
    with pytest.raises(ModelTampered, match="longer"):
        fetch()
    assert fetch.parts() == []


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, ModelNotFound), (410, ModelNotFound), (403, ModelError), (500, ModelError)],
)
def test_what_the_server_refuses(fetch: Fetcher, status: int, kind: type[ModelError]) -> None:
    fetch.does.status = status
    with pytest.raises(ModelError, match=str(status)) as caught:
        fetch()
    assert caught.type is kind


@pytest.mark.parametrize("location", ["http://127.0.0.1:9/x", "ftp://example.org/x"])
def test_redirects_away_from_https_are_refused(fetch: Fetcher, location: str) -> None:
    fetch.does.status, fetch.does.location = 302, location
    with pytest.raises(ModelError, match="refused a redirect"):
        fetch()


def test_no_server(fetch: Fetcher) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(ModelError, match="broke off"):
            fetch(url=f"http://127.0.0.1:{taken.getsockname()[1]}/")


def test_another_place_must_have_the_same_bytes(
    fetch: Fetcher, server: tuple[str, Behaviour]
) -> None:
    fetch.catalogue.write_text(offer("https://example.invalid/m.onnx"))
    assert fetch(url=server[0]).read_bytes() == BODY


def test_non_commercial_weights_ask_first(fetch: Fetcher) -> None:
    with pytest.raises(LicenceRequired, match=r"CC-BY-NC-4\.0"):
        fetch("nc")
    assert fetch.does.asked == []
    assert fetch("nc", accept_licence=True).name == "nc.onnx"


def test_offline_asks_nobody(fetch: Fetcher) -> None:
    with pytest.raises(ModelError, match="offline"):
        fetch(offline=True)
    assert fetch.does.asked == []
    assert not fetch.cache.exists()


def test_a_cache_that_cannot_be_made(fetch: Fetcher) -> None:
    fetch.cache.write_text("in the way")
    with pytest.raises(OutputError, match="model cache"):
        fetch()


def test_a_part_that_cannot_be_written(fetch: Fetcher) -> None:
    part_of(fetch, b"")
    (part,) = fetch.cache.glob(".*.part")
    part.unlink()
    part.mkdir()
    (part / "x").touch()
    with pytest.raises(OutputError, match="cannot write big"):
        fetch()


def test_a_disk_that_runs_full_gets_its_space_back(fetch: Fetcher) -> None:
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OutputError, match="cannot write big"):
            fetch()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert fetch.parts() == []
    assert fetch().read_bytes() == BODY


@pytest.mark.parametrize(
    "url",
    [
        "",
        "m.onnx",
        "https://",
        "http://example.org/m.onnx",
        "http://127.0.0.1.example.org/",
        "http://127.0.0.1@example.org/",
        "http://10.0.0.1/",
        "ftp://127.0.0.1/",
        "file:///etc/hosts",
        "https://[::1",
    ],
)
def test_addresses_that_are_refused(url: str) -> None:
    with pytest.raises(ModelError, match="https only"):
        check_url(url)


@pytest.mark.parametrize(
    "url",
    ["https://example.org/a", "http://localhost:1/a", "http://127.9.9.9/", "http://[::1]:80/"],
)
def test_addresses_that_are_accepted(url: str) -> None:
    check_url(url)


def test_the_shipped_catalogue_is_readable() -> None:
    for listed in Catalogue.read():
        check_url(listed.url)


def test_an_unknown_name(fetch: Fetcher) -> None:
    with pytest.raises(ModelNotFound, match=r"no model 'x' in the catalogue \(known: big, nc\)"):
        fetch("x")
    with pytest.raises(ModelNotFound, match="known: none"):
        Catalogue()["x"]


def test_the_later_offer_wins(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(offer("https://example.org/a"))
    (tmp_path / "b.toml").write_text(offer("https://example.org/b"))
    assert Catalogue.read(tmp_path / "a.toml", tmp_path / "b.toml")["big"].url[-1] == "b"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[", "not TOML"),
        ("x = 1", "x: "),
        (offer("https://example.org", sha256="0"), "model.0.sha256: "),
        (offer("https://example.org", size=0), "model.0.size: "),
        (offer("https://example.org", name="../x"), "model.0.name: "),
        (offer("https://example.org", commercial_use="yes"), "model.0.commercial_use: "),
        ("[[model]]", "model.0.name: "),
    ],
)
def test_a_bad_catalogue_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(ModelError) as caught:
        Catalogue.read(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_catalogue(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot read the catalogue"):
        Catalogue.read(tmp_path / "c.toml")
