"""Keys from passphrases and key files, and sealed bytes: AES-256-GCM.

What is sealed is bound to its place by associated data, so a sealed piece that was moved elsewhere
does not open. Needs the package cryptography (extra `identity`).
"""

from __future__ import annotations

import hmac
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from facecctv.errors import MissingExtra, OutputError, SettingError, WatchlistError

try:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
except ImportError as missing:
    raise MissingExtra("watch-lists need more: pip install 'facecctv[identity]'") from missing

SALT = 16
"""Bytes."""
NONCE = 12
"""Bytes; random, as fits one key for up to 2^32 pieces (NIST SP 800-38D)."""
COST = 2**17
"""Of scrypt, with r = 8 and p = 1: 128 MiB and some tenths of a second for each guess (OWASP)."""
_COSTS = (2**10, 2**20)
_LONGEST_KEY_FILE = 1 << 20
_SHORTEST_KEY_FILE = 32
_SHORTEST_PASSPHRASE = 8


@dataclass(frozen=True)
class Secret:
    """What a person keeps: the text of a passphrase, or the bytes of a key file."""

    kind: Literal["passphrase", "key file"]
    content: bytes

    def __repr__(self) -> str:
        return f"Secret({self.kind!r})"

    @classmethod
    def passphrase(cls, text: str) -> Secret:
        """Raises SettingError for fewer than eight characters."""
        if len(text) < _SHORTEST_PASSPHRASE:
            raise SettingError(f"a passphrase has at least {_SHORTEST_PASSPHRASE} characters")
        return cls("passphrase", text.encode("utf-8", "surrogateescape"))

    @classmethod
    def key_file(cls, path: Path) -> Secret:
        """The bytes of a file; SettingError if unreadable, under 32 bytes or over 1 MiB."""
        try:
            with path.open("rb") as file:
                content = file.read(_LONGEST_KEY_FILE + 1)
        except OSError as error:
            raise SettingError(f"the key file cannot be read: {error.strerror}") from error
        if not _SHORTEST_KEY_FILE <= len(content) <= _LONGEST_KEY_FILE:
            raise SettingError(f"a key file has {_SHORTEST_KEY_FILE} bytes to 1 MiB")
        return cls("key file", content)

    def key(self, salt: bytes, cost: int) -> Key:
        """Stretches a passphrase by scrypt (RFC 7914), a key file by HKDF-SHA256 (RFC 5869).

        Raises WatchlistError for a cost that nobody would have set.
        """
        if not _COSTS[0] <= cost <= _COSTS[1] or cost & (cost - 1):
            raise WatchlistError("the head of the watch-list was changed")
        if self.kind == "passphrase":
            material = Scrypt(salt=salt, length=32, n=cost, r=8, p=1).derive(self.content)
        else:
            material = HKDF(SHA256(), 32, salt, b"facecctv key file").derive(self.content)
        return Key(material)


def new_key_file(path: Path) -> Secret:
    """Writes 32 random bytes into a new file that only its owner can read.

    Raises OutputError where the file exists or cannot be written.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(os.urandom(_SHORTEST_KEY_FILE))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OutputError(f"the key file cannot be made: {error.strerror}") from error
    return Secret.key_file(path)


class Key:
    """Seals, opens and fingerprints under one derived key of 32 bytes."""

    def __init__(self, material: bytes) -> None:
        def part(label: bytes) -> bytes:
            return HKDF(SHA256(), 32, None, label).derive(material)

        self._cipher = AESGCM(part(b"facecctv seal"))
        self._prints = part(b"facecctv fingerprint")

    def seal(self, plain: bytes, place: bytes) -> bytes:
        """Nonce, ciphertext and tag; opens only with the same `place`."""
        nonce = os.urandom(NONCE)
        return nonce + self._cipher.encrypt(nonce, plain, place)

    def open(self, sealed: bytes, place: bytes) -> bytes:
        """What was sealed; WatchlistError for another key, another place or changed bytes."""
        try:
            return self._cipher.decrypt(sealed[:NONCE], sealed[NONCE:], place)
        except (InvalidTag, ValueError) as error:  # ValueError: too short to be anything
            raise WatchlistError("an entry was damaged or changed") from error

    def fingerprint(self, sealed: bytes, place: bytes) -> int:
        """128 bits that only the holder of the key can compute (HMAC-SHA256)."""
        return int.from_bytes(hmac.digest(self._prints, place + sealed, "sha256")[:16], "big")

    def tag(self, name: bytes) -> bytes:
        """16 bytes that are equal for equal names, and tell nobody without the key more."""
        return hmac.digest(self._prints, b"tag" + name, "sha256")[:16]
