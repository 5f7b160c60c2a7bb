"""What our own signatures look like, and that keys are what they say."""

from __future__ import annotations

import pytest

from daemon.trust.sign import ONCE, Algorithm, Key, generate, public_record, sign

MESSAGE = b"From: a@example.org\r\nSubject: hi\r\nX-Other: 1\r\nReceived: x\r\n\r\nhello\r\n"


@pytest.fixture(scope="module")
def keys() -> list[Key]:
    return [
        Key("example.org", "r1", "rsa-sha256", generate("rsa-sha256")),
        Key("example.org", "e1", "ed25519-sha256", generate("ed25519-sha256")),
    ]


def tags(field: bytes) -> dict[str, str]:
    value = field.partition(b":")[2].decode()
    return {
        name.strip(): "".join(text.split()) for name, _, text in (tag.partition("=") for tag in value.split(";")) if _
    }


def test_one_whole_field_for_each_key(keys: list[Key]) -> None:
    data = sign(MESSAGE, keys, now=1700000000.7, expires=1700600000)
    first, second = data.split(b"DKIM-Signature:")[1:]
    assert data.endswith(b"\r\n") and max(map(len, data.split(b"\r\n"))) <= 78
    assert all(line[:1] in b"\tD" for line in data.split(b"\r\n"))
    for field, algorithm, selector in ((first, "rsa-sha256", "r1"), (second, "ed25519-sha256", "e1")):
        found = tags(b":" + field)
        assert found["a"] == algorithm and found["s"] == selector and found["d"] == "example.org"
        assert found["c"] == "relaxed/relaxed" and found["t"] == "1700000000" and found["x"] == "1700600000"
        assert found["h"] == "From:From:Subject:Subject"
    assert not sign(MESSAGE, [], now=0)


def test_fields_are_named_as_often_as_they_are_there_and_single_ones_once_more() -> None:
    key = Key("example.org", "e1", "ed25519-sha256", generate("ed25519-sha256"))
    data = b"References: a\r\nTo: x\r\nReferences: b\r\nTo : y\r\n\r\n"
    assert tags(sign(data, [key], now=0))["h"] == "From:To:To:To:References:References"
    assert tags(sign(data, [key], now=0, fields=["from", "X"]))["h"] == "from"
    assert "from" in ONCE


@pytest.mark.parametrize("algorithm", ["rsa-sha256", "ed25519-sha256"])
def test_records_are_short_enough_and_hold_the_public_key(keys: list[Key], algorithm: Algorithm) -> None:
    (key,) = [key for key in keys if key.algorithm == algorithm]
    record = public_record(key)
    assert record.startswith(f"v=DKIM1; k={algorithm.partition('-')[0]}; p=")
    assert len(record) < 500


def test_what_is_no_key_is_refused_without_telling_it(keys: list[Key]) -> None:
    pem = generate("ed25519-sha256")
    for private, algorithm in ((pem, "rsa-sha256"), ("secret", "rsa-sha256"), (keys[0].private, "ed25519-sha256")):
        with pytest.raises(ValueError, match="key of s._domainkey.example.org") as refused:
            Key("example.org", "s", algorithm, private)
        assert "secret" not in str(refused.value)
    assert "private" not in repr(keys[0])
