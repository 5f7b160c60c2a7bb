"""Pushes as the RFCs have them: their examples, to the octet, and keys that are none."""

from __future__ import annotations

import base64
import json

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from daemon.trust.web_push import MOST, b64, encrypted, from_b64, is_point, key_of, new_number, point_of, proof

# RFC 8291 appendix A
POINT = from_b64("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4")
SECRET = from_b64("BTBZMqHH6r4Tts7J_aSIgg")
OURS = key_of(from_b64("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"))
SALT = from_b64("DGv6ra1nlYgDCS1FRnbzlw")
SAID = b"When I grow up, I want to be a watermelon"
SENT = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl"
    "7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)


def test_the_example_of_the_rfc() -> None:
    assert b64(encrypted(SAID, POINT, SECRET, OURS, SALT)) == SENT


def test_a_message_has_its_limit() -> None:
    assert len(encrypted(b"x" * MOST, POINT, SECRET, OURS, SALT)) <= 4096
    with pytest.raises(ValueError, match="too long"):
        encrypted(b"x" * (MOST + 1), POINT, SECRET, OURS, SALT)


def test_what_is_a_key() -> None:
    key = key_of(new_number())
    assert is_point(POINT) and is_point(point_of(key)) and point_of(key) != point_of(key_of(new_number()))
    for wrong in (b"", POINT[:-1], POINT + b"x", b"\x04" + b"\0" * 64, b"\x02" + POINT[1:33]):
        assert not is_point(wrong)


def test_who_sends_is_proven() -> None:
    key = key_of(new_number())
    words = proof("https://push.example:8443/one?two", "mailto:postmaster@example.org", key, 1_800_000_000)
    scheme, token, public = words.replace(",", "").split(" ")
    assert scheme == "vapid" and public == f"k={b64(point_of(key))}"
    head, claims, signature = token.removeprefix("t=").split(".")
    assert json.loads(from_b64(head)) == {"typ": "JWT", "alg": "ES256"}
    assert json.loads(from_b64(claims)) == {
        "aud": "https://push.example:8443", "exp": 1_800_000_000, "sub": "mailto:postmaster@example.org",
    }  # fmt: skip
    raw = from_b64(signature)
    made = utils.encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    key.public_key().verify(made, f"{head}.{claims}".encode(), ec.ECDSA(hashes.SHA256()))
    with pytest.raises(InvalidSignature):
        key.public_key().verify(made, f"{head}x.{claims}".encode(), ec.ECDSA(hashes.SHA256()))
    assert base64.urlsafe_b64decode(signature + "==") == raw
