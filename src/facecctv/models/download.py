"""One file over https, whole and verified or not at all; an interrupted download is resumed."""

from __future__ import annotations

import hashlib
import http.client
import ipaddress
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import Message
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from facecctv.errors import ModelError, ModelNotFound, ModelTampered, OutputError
from facecctv.models.catalogue import Offer

CHUNK = 1 << 16

Progress = Callable[[int, int], None]
"""Called with the bytes that are there and the bytes there will be."""


def download(
    offer: Offer, url: str, target: Path, *, timeout: float = 30.0, progress: Progress | None = None
) -> None:
    """Downloads `url` to `target`, which appears only once its size and SHA-256 are the offer's.

    What has come so far is kept in a hidden `.part` file beside the target, named after the hash so
    that a part is never continued with another content, and is resumed by the next call. `timeout`
    is in seconds of silence. Two downloads of one offer must not run at once.

    Raises ModelError (not https, no connection, cut off: a later call resumes), ModelNotFound
    (404, 410), ModelTampered (other bytes than the offer's; they are deleted) and OutputError (the
    file cannot be written).
    """
    check_url(url)
    part = target.with_name(f".{target.name}.{offer.sha256[:16]}.part")
    resumed = _transfer(offer, url, part, timeout, progress)
    if not _is_offered(part, offer) and resumed:
        # The first piece may have been at fault, so a whole download gets its chance.
        part.unlink()
        _transfer(offer, url, part, timeout, progress)
    if not _is_offered(part, offer):
        part.unlink()
        raise ModelTampered(f"what came for {offer.name} is not the file on record (SHA-256)")
    try:
        part.replace(target)
    except OSError as error:
        raise OutputError(f"cannot move {offer.name} into place: {error.strerror}") from error


def check_url(url: str) -> None:
    """Raises ModelError unless the address is https, or http on this very machine."""
    try:
        parts = urlsplit(url)
        safe = parts.hostname and (parts.scheme == "https" or _is_loopback(url))
    except ValueError:
        safe = False
    if not safe:
        raise ModelError(f"models are fetched over https only, not from {url}")


def _is_loopback(url: str) -> bool:
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        return False
    if parts.hostname == "localhost":
        return True
    try:
        return ipaddress.ip_address(parts.hostname).is_loopback
    except ValueError:
        return False


class _HttpsRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage | Message,
        newurl: str,
    ) -> urllib.request.Request | None:
        if urlsplit(newurl).scheme != "https":
            raise ModelError(f"refused a redirect away from https, to {newurl}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def _transfer(
    offer: Offer, url: str, part: Path, timeout: float, progress: Progress | None
) -> bool:
    """Brings the part to its full size; returns whether an earlier piece of it was used."""
    had = part.stat().st_size if part.exists() else 0
    if had == offer.size:
        return True
    headers = {"User-Agent": "facecctv", "Accept-Encoding": "identity"}
    if 0 < had < offer.size:
        headers["Range"] = f"bytes={had}-"
    # A proxy can reach other machines, never this one.
    proxies = [urllib.request.ProxyHandler({})] if _is_loopback(url) else []
    opener = urllib.request.build_opener(_HttpsRedirects, *proxies)
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - checked above
    try:
        with opener.open(request, timeout=timeout) as reply:
            start = _start(reply, had, offer)
            _receive(reply, part, start, offer, progress)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and "Range" in headers:
            part.unlink()
            return _transfer(offer, url, part, timeout, progress)
        kind = ModelNotFound if error.code in (404, 410) else ModelError
        raise kind(f"cannot fetch {offer.name}: the server says {error.code}") from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise ModelError(
            f"fetching {offer.name} broke off ({reason}); run it again to go on"
        ) from error
    return start > 0


def _start(reply: http.client.HTTPResponse, had: int, offer: Offer) -> int:
    """Returns the offset at which the reply's body begins."""
    if reply.status != http.client.PARTIAL_CONTENT:
        return 0
    span = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", reply.headers.get("Content-Range", ""))
    if span is None or int(span[1]) != had or span[2] not in ("*", str(offer.size)):
        raise ModelError(f"cannot fetch {offer.name}: the server sent another range than asked for")
    return had


def _receive(
    reply: http.client.HTTPResponse, part: Path, done: int, offer: Offer, progress: Progress | None
) -> None:
    too_long = done + (reply.length or 0) > offer.size
    with _Part(part, done, offer.name) as write:
        while not too_long and (chunk := reply.read(CHUNK)):
            done += len(chunk)
            too_long = done > offer.size
            if not too_long:
                write(chunk)
                if progress is not None:
                    progress(done, offer.size)
    if too_long:
        part.unlink()
        raise ModelTampered(f"what came for {offer.name} is longer than the file on record")
    if done < offer.size:
        raise ConnectionError(f"{done} of {offer.size} bytes came")


class _Part:
    """The part file, open for writing from an offset, flushed to the disk on leaving.

    Its own failures become OutputError, so that they are not taken for those of the network; the
    piece is then deleted, which gives a full disk its space back.
    """

    def __init__(self, path: Path, offset: int, name: str) -> None:
        self._path, self._offset, self._name = path, offset, name

    def __enter__(self) -> Callable[[bytes], None]:
        try:
            self._file = self._path.open("r+b" if self._offset else "wb", buffering=0)
            self._file.seek(self._offset)
        except OSError as error:
            raise self._failure(error) from error
        return self._write

    def _write(self, chunk: bytes) -> None:
        view = memoryview(chunk)
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            raise self._failure(error) from error

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is not OutputError:
                os.fsync(self._file.fileno())
        except OSError as error:
            raise self._failure(error) from error
        finally:
            self._file.close()
            if kind is OutputError:
                self._path.unlink()

    def _failure(self, error: OSError) -> OutputError:
        return OutputError(f"cannot write {self._name}: {error.strerror}")


def _is_offered(path: Path, offer: Offer) -> bool:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == offer.sha256
