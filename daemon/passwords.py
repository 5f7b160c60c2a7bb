"""Passwords as they are kept and compared. Nothing here knows a user; everything slow here is for a worker thread.

New hashes are argon2id. What other servers kept is understood, so that users can move in with the passwords they have,
and is hashed anew at their next login: `{SHA512-CRYPT}` `{SHA256-CRYPT}` `{BLF-CRYPT}` `{CRYPT}` (and the bare `$6$`
`$5$` `$2y$`), `{SSHA512}` `{SSHA256}`, `$pbkdf2-sha256$` `$pbkdf2-sha512$`, `{ARGON2ID}`. Not `{PLAIN}`: the
administrator is told to set such passwords anew.

How it can fail: `BadHash` for a hash of no scheme above. A password that is too long, or holds what a scheme cannot
take, is simply wrong.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import hmac
import secrets
import subprocess
import sys
import unicodedata
from typing import NamedTuple

import argon2
import bcrypt

from daemon.limits import LIMITS
from daemon.wire import sasl

_HASHER = argon2.PasswordHasher(
    time_cost=LIMITS.argon2_passes, memory_cost=LIMITS.argon2_memory, parallelism=1, hash_len=32, salt_len=16
)
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # nothing that is read wrongly
_APP_PASSWORD = 20  # letters: 99 bits
_CHILD_PATIENCE = 30  # seconds for a legacy hash in a process of its own


class BadHash(ValueError):
    """Not a hash this server can compare with; the message is one sentence."""


class Kept(NamedTuple):
    """A password as it is kept, in the order of `store.accounts.Password`."""

    hash: str
    salt: bytes
    iterations: int
    stored_key: bytes
    server_key: bytes


def keep(password: str, salt: bytes | None = None, iterations: int | None = None) -> Kept:
    """Hash and SCRAM keys of a new password. A user's other credentials share `salt` and `iterations`: give those."""
    salt = salt or secrets.token_bytes(16)
    iterations = iterations or LIMITS.scram_iterations
    keys = sasl.scram_keys(password, salt, iterations)
    return Kept(hash_password(password), salt, iterations, keys.stored, keys.server)


def hash_password(password: str) -> str:
    """argon2id in its usual text form."""
    return _HASHER.hash(_normal(password))


def new_app_password() -> str:
    """Long and random, without spaces (traps I30): looked up by its digest, no slow hash needed."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(_APP_PASSWORD))


def digest(password: str) -> bytes:
    """SHA-256 of an app password."""
    return hashlib.sha256(password.encode(errors="surrogatepass")).digest()


def too_long(password: str) -> bool:
    return len(password) > LIMITS.password or len(password.encode(errors="surrogatepass")) > LIMITS.password


def scheme_of(kept: str) -> str:
    """argon2, bcrypt, sha-crypt, pbkdf2, SSHA512 or SSHA256. Raises `BadHash`."""
    label, bare = _split(kept)
    if label in ("SSHA512", "SSHA256"):
        return label
    if label in ("", "CRYPT", "ARGON2ID", "ARGON2I", "BLF-CRYPT", "SHA512-CRYPT", "SHA256-CRYPT"):
        if bare.startswith(("$argon2id$", "$argon2i$")):
            return "argon2"
        if bare.startswith(("$2a$", "$2b$", "$2y$", "$2x$")):
            return "bcrypt"
        if bare.startswith(("$5$", "$6$")):
            return "sha-crypt"
        if bare.startswith(("$pbkdf2$", "$pbkdf2-sha256$", "$pbkdf2-sha512$")):
            return "pbkdf2"
    if label in ("PLAIN", "CLEAR", "CLEARTEXT"):
        raise BadHash("a password in clear is not kept; set it with `mailctl user passwd`")
    raise BadHash(f"password scheme {label or bare[:10]!r} is not known")


def verify(password: str, kept: str) -> bool:
    """Whether `kept` is a hash of `password`. Slow on purpose. Raises `BadHash`."""
    scheme = scheme_of(kept)
    if too_long(password):
        burn(password[: LIMITS.password])
        return False
    compare = {"argon2": _argon2, "bcrypt": _bcrypt, "sha-crypt": _in_child, "pbkdf2": _pbkdf2}.get(scheme, _salted)
    if compare(password, kept):
        return True
    normal = _normal(password)  # what another server kept may be of the octets as its client sent them
    return normal != password and compare(normal, kept)


def burn(password: str) -> None:
    """Take as long as a comparison would: for a user who does not exist."""
    _argon2(password, _nobody())


def needs_rehash(kept: str) -> bool:
    """Whether it is kept with less than we would today."""
    return not kept.startswith("$argon2id$") or _HASHER.check_needs_rehash(kept)


def self_test() -> None:
    """Raises `RuntimeError` when a library does not compare as it should: better no start than a door that opens."""
    vectors = (
        "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
    )
    for kept, right, wrong in ((vectors[0], "password", "passwore"), (vectors[1], "U*U", "U*V")):
        if not verify(right, kept) or verify(wrong, kept):
            raise RuntimeError(f"password hashing does not work: {scheme_of(kept)}")


def _normal(password: str) -> str:
    """RFC 8265 §4.2: one spelling of composed letters."""
    return password if password.isascii() else unicodedata.normalize("NFC", password)


def _split(kept: str) -> tuple[str, str]:
    if kept.startswith("{"):
        label, _, bare = kept[1:].partition("}")
        return label.upper(), bare
    return "", kept


def _argon2(password: str, kept: str) -> bool:
    try:
        return _HASHER.verify(_split(kept)[1], password.encode(errors="surrogatepass"))
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False


def _bcrypt(password: str, kept: str) -> bool:
    try:
        return bcrypt.checkpw(password.encode(errors="surrogatepass"), _split(kept)[1].encode())
    except ValueError:  # over 72 octets, a NUL, or a broken hash: wrong
        return False


def _pbkdf2(password: str, kept: str) -> bool:
    from passlib.hash import pbkdf2_sha1, pbkdf2_sha256, pbkdf2_sha512  # type: ignore[import-untyped]

    bare = _split(kept)[1]
    scheme = {"pbkdf2": pbkdf2_sha1, "pbkdf2-sha256": pbkdf2_sha256, "pbkdf2-sha512": pbkdf2_sha512}[bare.split("$")[1]]
    try:
        return bool(scheme.verify(password, bare))
    except (ValueError, UnicodeError):
        return False


def _salted(password: str, kept: str) -> bool:
    """`{SSHA256}` and `{SSHA512}`: base64 of digest and salt, as LDAP and Dovecot write them."""
    label, text = _split(kept)
    name = label[1:].lower()
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    size = hashlib.new(name).digest_size
    ours = hashlib.new(name, password.encode(errors="surrogatepass") + raw[size:]).digest()
    return len(raw) > size and hmac.compare_digest(ours, raw[:size])


def _in_child(password: str, kept: str) -> bool:
    """SHA-crypt, which passlib computes in Python: in a process of its own, or every session would stand still."""
    try:
        child = subprocess.run(
            [sys.executable, "-I", "-c", _CHILD],
            input=base64.b64encode(password.encode(errors="surrogatepass")) + b" " + _split(kept)[1].encode(),
            capture_output=True,
            timeout=_CHILD_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return child.returncode == 0 and child.stdout.strip() == b"True"


_CHILD = """
import base64, sys
from passlib.hash import sha256_crypt, sha512_crypt
password, kept = sys.stdin.buffer.read().split(b" ", 1)
scheme = sha512_crypt if kept.startswith(b"$6$") else sha256_crypt
print(scheme.verify(base64.b64decode(password), kept.decode()))
"""


@functools.cache
def _nobody() -> str:
    return hash_password(secrets.token_hex(16))
