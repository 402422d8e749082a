"""Who may ask, from where, and what browsers are told."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from starlette.requests import Request

from facecctv.api.limits import client_of
from facecctv.api.problems import Problem
from facecctv.errors import InputError, OutputError, SettingError

API_POLICY = "default-src 'none'; frame-ancestors 'none'"
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self'; connect-src 'self'; "
    "worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
"""Nothing from elsewhere, no inline script. Inline style attributes stay: sliders move by them."""

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_HASHED = re.compile(r"sha256:([0-9a-f]{64})\s+(\S.*)")


def headers(https: bool) -> dict[str, str]:
    """What every reply carries, unless it says otherwise itself."""
    always = {
        "cache-control": "no-store",
        "content-security-policy": API_POLICY,
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(self), microphone=(), geolocation=()",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
    }
    if https:
        always["strict-transport-security"] = "max-age=31536000"
    return always


@dataclass(frozen=True)
class Keys:
    """The hashes of the API keys that are let in; with none, everyone is.

    A key is 256 random bits, so one round of SHA-256 is enough: there is nothing to guess.
    """

    hashes: tuple[bytes, ...] = ()

    @classmethod
    def read(cls, path: Path) -> Keys:
        """From a file with a line `sha256:HEX NAME` for each key; # begins a comment.

        Raises InputError if it cannot be read, SettingError if it holds anything else or no key.
        """
        try:
            lines = path.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: the keys cannot be read") from error
        found = []
        for number, line in enumerate(lines, 1):
            if not line.strip() or line.startswith("#"):
                continue
            match = _HASHED.fullmatch(line.strip())
            if match is None:
                raise SettingError(f"{path}, line {number}: not sha256:HEX NAME")
            found.append(bytes.fromhex(match[1]))
        if not found:
            raise SettingError(f"{path} holds no key; --new-key NAME makes one")
        return cls(tuple(found))

    def known(self, key: str) -> bool:
        """Whether the key is one of them; takes as long for a wrong one as for a right one."""
        given = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
        matches = [hmac.compare_digest(given, kept) for kept in self.hashes]
        return any(matches)


def new_key(path: Path, name: str) -> str:
    """Makes a key, appends its hash to the file (made for the owner alone), returns the key.

    Raises SettingError for a name that is not one line of text, OutputError if it cannot write.
    """
    if not name.strip() or not name.isprintable():
        raise SettingError("the name of a key is one line of text")
    key = secrets.token_urlsafe(32)
    line = f"sha256:{hashlib.sha256(key.encode()).hexdigest()} {name.strip()}\n"
    try:
        with open(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "a") as file:  # noqa: PTH123
            file.write(line)
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror}") from error
    return key


def client(request: Request, keys: Keys) -> str:
    """Who asks, as far as limits care: the key, or the address where no keys are needed.

    Raises Problem 401 without a known key where keys are needed.
    """
    address = client_of(request.client.host if request.client else "unknown")
    if not keys.hashes:
        return address
    key = request.headers.get("x-api-key", "")
    if not keys.known(key):
        raise Problem(401, MISSING_KEY, {"WWW-Authenticate": 'ApiKey realm="facecctv"'})
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:16]


MISSING_KEY = "send a known API key in the header x-api-key"


def check_place(
    host: str, origin: str | None, hosts: Sequence[str], origins: Iterable[str]
) -> None:
    """Refuses what a foreign web page may send through the browser of someone who can reach us.

    `host` and `origin` are the headers of those names. With `hosts`, only these names are ours: a
    name that a stranger lets point to our address (DNS rebinding) is not. Raises Problem 400 for
    another host, 403 for an origin that is neither ourselves nor one of `origins`.
    """
    if hosts and (_name(host) or "") not in hosts:
        raise Problem(400, "this server does not go by the name in the header Host")
    if origin is None or origin in origins:
        return
    if origin.partition("://")[2].lower() != host.lower():
        raise Problem(403, "requests from other web sites' pages are not answered")


def _name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
