"""Passwords as they are kept."""

from __future__ import annotations

import base64
import hashlib

import pytest

from daemon import passwords
from daemon.limits import LIMITS
from daemon.wire import sasl


@pytest.mark.parametrize("word", ["secret", "with space \" \\ 'quotes'", "pässwörd€", "p" * 100, "x" * 1024])
def test_a_password_matches_its_own_hash_and_no_other(word: str) -> None:
    kept = passwords.hash_password(word)
    assert kept.startswith("$argon2id$")
    assert passwords.verify(word, kept)
    assert not passwords.verify(word + "x", kept)
    assert not passwords.verify("", kept)
    assert not passwords.needs_rehash(kept)


def test_composed_and_decomposed_letters_are_the_same() -> None:
    assert passwords.verify("pa\u0308sse", passwords.hash_password("p\u00e4sse"))
    assert passwords.verify("p\u00e4sse", passwords.hash_password("pa\u0308sse"))


def test_an_over_long_password_is_simply_wrong() -> None:
    assert passwords.too_long("x" * 1025)
    assert passwords.too_long("€" * 400)
    assert not passwords.verify("x" * 5000, passwords.hash_password("x" * 1024))


OTHERS = {
    "{SHA512-CRYPT}$6$rounds=1000$saltstring$"
    "2BkAo106CG84raQcWpAlhyy6TSSkAsL1nfvBCoezLYyerUzY2l8axTvq6NynEt7SQAx3/cdop9ds0po8uaeHq0": ("secret", "sha-crypt"),
    "$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW": ("U*U", "bcrypt"),
    "{BLF-CRYPT}$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW": ("U*U", "bcrypt"),
    "{CRYPT}$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW": ("U*U", "bcrypt"),
    "$pbkdf2-sha256$29000$MuY8J8Q4ZyzlXEspxTgnJA$7RutCb2xAOgzAEZQ2rZcEnj3emJ2m0cOIpAfZA7vjJk": ("geheim", "pbkdf2"),
    "{SSHA256}" + base64.b64encode(hashlib.sha256(b"secretsalt").digest() + b"salt").decode(): ("secret", "SSHA256"),
    "{ssha512}" + base64.b64encode(hashlib.sha512(b"secretsalt").digest() + b"salt").decode(): ("secret", "SSHA512"),
    "{ARGON2ID}$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc": (
        "password",
        "argon2",
    ),
}


@pytest.mark.parametrize("kept", OTHERS)
def test_what_other_servers_kept_is_understood_and_wants_a_new_hash(kept: str) -> None:
    word, scheme = OTHERS[kept]
    assert passwords.scheme_of(kept) == scheme
    assert passwords.verify(word, kept)
    assert not passwords.verify(word + "x", kept)
    assert not passwords.verify("", kept)
    assert passwords.needs_rehash(kept)


def test_sha256_crypt_is_compared_in_a_process_of_its_own() -> None:
    from passlib.hash import sha256_crypt  # type: ignore[import-untyped]

    kept = sha256_crypt.using(rounds=1000).hash("a word with ümlaut")
    assert passwords.verify("a word with ümlaut", kept)
    assert not passwords.verify("a word", kept)


@pytest.mark.parametrize(
    "kept", ["{PLAIN}secret", "{CLEARTEXT}secret", "secret", "", "{MD5}x", "$1$salt$xyz", "{SSHA}abc", "{CRYPT}ab"]
)
def test_what_is_no_hash_of_ours_is_refused(kept: str) -> None:
    with pytest.raises(passwords.BadHash):
        passwords.scheme_of(kept)
    with pytest.raises(passwords.BadHash):
        passwords.verify("secret", kept)


@pytest.mark.parametrize(
    "kept",
    [
        "$argon2id$v=19$broken",
        "$2y$05$short",
        "{SSHA256}not base64!",
        "{SSHA256}AAAA",
        "$pbkdf2-sha256$x$y$z",
        "$6$rounds=1000$salt$short",
    ],
)
def test_a_spoilt_hash_matches_nothing(kept: str) -> None:
    assert not passwords.verify("", kept)
    assert not passwords.verify("secret", kept)


@pytest.mark.parametrize("word", ["p" * 73, "nul\0inside"])
def test_what_bcrypt_cannot_take_is_wrong(word: str) -> None:
    assert not passwords.verify(word, "$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW")


def test_keeping_makes_a_hash_and_the_scram_keys_with_the_salt_of_the_user() -> None:
    kept = passwords.keep("secret", b"0123456789abcdef", 4096)
    assert passwords.verify("secret", kept.hash)
    keys = sasl.scram_keys("secret", b"0123456789abcdef", 4096)
    assert (kept.stored_key, kept.server_key) == (keys.stored, keys.server)
    assert passwords.keep("secret").salt != passwords.keep("secret").salt


def test_what_is_kept_costs_a_guesser_what_the_limits_say() -> None:
    kept = passwords.keep("secret")
    assert f"$argon2id$v=19$m={LIMITS.argon2_memory},t={LIMITS.argon2_passes},p=1$" in kept.hash
    assert kept.iterations == LIMITS.scram_iterations


def test_app_passwords_have_no_spaces_and_are_long() -> None:
    word = passwords.new_app_password()
    assert len(word) == 20 and word.isalnum() and word.isascii()
    assert word != passwords.new_app_password()
    assert passwords.digest(word) == hashlib.sha256(word.encode()).digest()


def test_the_self_test_passes_and_notices_a_broken_library(monkeypatch: pytest.MonkeyPatch) -> None:
    passwords.self_test()
    monkeypatch.setattr(passwords, "_bcrypt", lambda password, kept: True)
    with pytest.raises(RuntimeError):
        passwords.self_test()
