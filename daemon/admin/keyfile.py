"""The server's own key, in a file beside the database: who copies the one does not have the other.

Secrets that must be read again (not only compared) are encrypted with it, tickets are signed with it; each purpose has
a key of its own, derived from it. It is made when it is first needed. Lost, it makes authenticator programs worthless,
and nothing else: recovery codes, passkeys and `mailctl user two-factor USER off` do not need it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from daemon.config import DataDir, hand_over

_SIZE = 32


class KeyLost(RuntimeError):
    """What is to be read was written with another key."""


def key(data: DataDir, purpose: bytes) -> bytes:
    """32 octets, the same for the same purpose. Raises `OSError`."""
    return hmac.digest(_read(data.key), purpose, hashlib.sha256)


def encrypt(data: DataDir, purpose: bytes, plain: bytes) -> bytes:
    """Readable again with the same purpose alone. Raises `OSError`."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = secrets.token_bytes(12)
    return nonce + AESGCM(key(data, purpose)).encrypt(nonce, plain, purpose)


def decrypt(data: DataDir, purpose: bytes, sealed: bytes) -> bytes:
    """Raises `KeyLost`, `OSError`."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        return AESGCM(key(data, purpose)).decrypt(sealed[:12], sealed[12:], purpose)
    except (InvalidTag, ValueError):
        raise KeyLost(f"{data.key} is not the key that this was encrypted with") from None


@lru_cache(8)
def _read(path: Path) -> bytes:
    with suppress(FileNotFoundError):
        return _whole(path)
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(secrets.token_bytes(_SIZE))
            file.flush()
            os.fsync(file.fileno())
        hand_over(fresh, path.parent)
        with suppress(FileExistsError):  # another process was quicker
            os.link(fresh, path)
    finally:
        fresh.unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return _whole(path)


def _whole(path: Path) -> bytes:
    found = path.read_bytes()
    if len(found) != _SIZE:
        raise OSError(f"{path} does not hold a key of {_SIZE} octets; restore it from a backup, or remove it")
    return found
