"""DKIM signatures judged: the RFCs' examples, every rule, and hostile mail. What is signed here, `crafting` signs."""

from __future__ import annotations

import base64
import time
from functools import cache

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from daemon.limits import LIMITS
from daemon.trust import dkim
from daemon.trust.results import Signature
from daemon.trust.sign import Key, generate, public_record, sign
from tests.trust.crafting import DATA, NOW, Keyring, rfc_keys, signature

MESSAGE = b"From: a@example.org\r\nSubject: hi  there\r\nTo: b@example.net\r\n\r\nhello \t you\r\n\r\nbye\r\n"


@cache
def ed() -> Key:
    return Key("example.org", "e1", "ed25519-sha256", generate("ed25519-sha256"))


@cache
def rsa() -> Key:
    return Key("example.org", "r1", "rsa-sha256", generate("rsa-sha256"))


async def one(data: bytes, keyring: Keyring | None = None, now: float = NOW) -> Signature:
    (found,) = await dkim.verify(keyring or Keyring(ed(), rsa()), data, now=now)
    return found


async def word(data: bytes, keyring: Keyring | None = None) -> tuple[str, str]:
    found = await one(data, keyring)
    return found.result, found.reason


# -- what the RFCs show ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "count"), [("rfc6376-a2", 1), ("rfc8463-a3", 2)])
async def test_the_examples_of_the_rfcs_pass_and_any_change_breaks_them(name: str, count: int) -> None:
    data = (DATA / f"{name}.eml").read_bytes()
    found = await dkim.verify(rfc_keys(), data, now=NOW)
    assert [signature.result for signature in found] == ["pass"] * count
    for old, new in ((b"dinner", b"dinneR"), (b"hungry", b"Hungry"), (b"bh=2jU", b"bh=3jU"), (b"Joe.", b"Joe.\r\n-- ")):
        changed = data.replace(old, new)
        assert changed != data
        assert {s.result for s in await dkim.verify(rfc_keys(), changed, now=NOW)} == {"fail"}


async def test_the_results_tell_who_signed_with_what() -> None:
    data = (DATA / "rfc8463-a3.eml").read_bytes()
    first, second = await dkim.verify(rfc_keys(), data, now=NOW)
    assert first == Signature(
        "pass", "football.example.com", "brisbane", "@football.example.com", "ed25519-sha256", 0, "/gCrinpc"
    )
    assert second[3:7] == ("@football.example.com", "rsa-sha256", 1024, "F45dVWDf")


async def test_rsa_sha1_is_no_proof() -> None:
    found = await one((DATA / "rfc8617-b.eml").read_bytes(), rfc_keys())
    assert (found.result, found.reason, found.domain) == ("permerror", "rsa-sha1 is no proof", "d1.example")


async def test_a_message_without_signatures_has_no_results() -> None:
    assert await dkim.verify(Keyring(), MESSAGE, now=NOW) == ()


# -- canonical forms, fields, body -------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed", "relaxed"])
@pytest.mark.parametrize("key", [ed, rsa], ids=["ed25519", "rsa"])
async def test_every_form(form: str, key: object) -> None:
    signed = signature(key(), MESSAGE, c=form) + MESSAGE  # type: ignore[operator]
    assert await word(signed) == ("pass", "")
    unfolded = signed.replace(b"Subject: hi  there", b"subject:  hi\r\n\tthere ")
    assert (await word(unfolded))[0] == ("pass" if form.startswith("relaxed") else "fail")
    spaced = signed.replace(b"hello \t you", b"hello you  ")
    assert await word(spaced) == (("pass", "") if form.endswith("/relaxed") else ("fail", "body changed"))
    assert (await word(signed + b"\r\n\r\n"))[0] == "pass"


async def test_what_we_sign_others_verify_and_the_reverse() -> None:
    for form in ("simple/simple", "relaxed/simple", "simple/relaxed", "relaxed/relaxed"):
        data = sign(MESSAGE, [rsa(), ed()], now=NOW, canonicalization=form) + MESSAGE  # type: ignore[arg-type]
        first, second = await dkim.verify(Keyring(ed(), rsa()), data, now=NOW)
        assert (first.result, second.result) == ("pass", "pass")


async def test_of_fields_with_one_name_the_last_is_signed_first() -> None:
    data = b"From: a@example.org\r\nX: 1\r\nX: 2\r\nX: 3\r\n\r\nhi\r\n"
    twice = signature(ed(), data, h="from:x:x") + data
    assert (await word(twice))[0] == "pass"
    assert (await word(twice.replace(b"X: 1", b"X: changed")))[0] == "pass"
    assert (await word(twice.replace(b"X: 2", b"X: changed")))[0] == "fail"
    often = signature(ed(), data, h="from:x:x:x:x") + data
    assert (await word(often))[0] == "pass"
    assert (await word(b"X: 0\r\n" + often))[0] == "fail", "there was no fourth"


async def test_another_signature_may_be_signed_but_the_own_field_is_not_among_them() -> None:
    inner = signature(rsa(), MESSAGE) + MESSAGE
    data = signature(ed(), inner, h="from:dkim-signature:dkim-signature") + inner
    assert [s.result for s in await dkim.verify(Keyring(ed(), rsa()), data, now=NOW)] == ["pass", "pass"]


async def test_a_from_field_that_is_not_signed_is_policy() -> None:
    signed = signature(ed(), MESSAGE) + MESSAGE
    assert await word(b"From: evil@example.com\r\n" + signed) == ("policy", "a From field is not signed")
    oversigned = signature(ed(), MESSAGE, h="from:from") + MESSAGE
    assert (await word(b"From: evil@example.com\r\n" + oversigned))[0] == "fail"


async def test_a_length_must_cover_the_whole_body() -> None:
    size = len(b"hello you\r\n\r\nbye\r\n")
    assert await word(signature(ed(), MESSAGE, l=str(size)) + MESSAGE) == ("pass", "")
    short = signature(ed(), MESSAGE, l="9") + MESSAGE
    assert await word(short) == ("policy", "l= leaves the end of the body unsigned")
    assert await word(short.replace(b"hello", b"hellO")) == ("fail", "body changed")
    assert await word(signature(ed(), MESSAGE, l="0") + MESSAGE) == ("policy", "l= leaves the end of the body unsigned")
    assert await word(signature(ed(), MESSAGE, l=str(size + 1)) + MESSAGE) == ("fail", "l= is beyond the body")
    assert await word(signature(ed(), MESSAGE, l="9" * 76) + MESSAGE) == ("fail", "l= is beyond the body")
    empty = MESSAGE.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    assert await word(signature(ed(), empty, l="0") + empty) == ("pass", "")


# -- tags --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"v": None}, ("neutral", "no v=")),
        ({"v": "2"}, ("neutral", "unknown version")),
        ({"a": None}, ("neutral", "no a=")),
        ({"a": "rsa-sha512"}, ("neutral", "unknown algorithm")),
        ({"a": "ED25519-SHA256"}, ("pass", "")),
        ({"bh": None}, ("neutral", "no bh=")),
        ({"bh": "AAAA"}, ("fail", "body changed")),
        ({"bh": "%"}, ("neutral", "bh= is not base64")),
        ({"b": "AAAA"}, ("fail", "signature does not fit")),
        ({"b": "A"}, ("neutral", "b= is not base64")),
        ({"b": " "}, ("neutral", "no b=")),
        ({"c": "nowsp"}, ("neutral", "unknown canonicalization")),
        ({"c": "relaxed/"}, ("neutral", "unknown canonicalization")),
        ({"c": None}, ("pass", "")),
        ({"d": None}, ("neutral", "no d=")),
        ({"d": "example..org"}, ("neutral", "d= is not a domain")),
        ({"d": "[192.0.2.1]"}, ("neutral", "d= is not a domain")),
        ({"d": "EXAMPLE.org"}, ("pass", "")),
        ({"d": "example.net"}, ("permerror", "no key record")),
        ({"s": None}, ("neutral", "no s=")),
        ({"s": "a b"}, ("neutral", "s= is not a selector")),
        ({"s": "x" * 64}, ("neutral", "s= is not a selector")),
        ({"h": None}, ("neutral", "no h=")),
        ({"h": "subject"}, ("permerror", "From is not signed")),
        ({"h": "from:"}, ("neutral", "h= is not a list of names")),
        ({"h": "From :\r\n\tSubject : Cc"}, ("pass", "")),
        ({"h": "from" + ":x" * LIMITS.dkim_fields}, ("policy", "h= too long")),
        ({"i": "@example.org"}, ("pass", "")),
        ({"i": "joe@sub.example.org"}, ("pass", "")),
        ({"i": "joe@badexample.org"}, ("permerror", "i= is not within d=")),
        ({"i": "@org"}, ("permerror", "i= is not within d=")),
        ({"i": "joe"}, ("neutral", "i= is not an identity")),
        ({"i": "joe@a..b"}, ("neutral", "i= is not an identity")),
        ({"l": "-1"}, ("neutral", "l= is not a number")),
        ({"l": "9" * 77}, ("neutral", "l= is not a number")),
        ({"q": "dns/txt:x"}, ("pass", "")),
        ({"q": "http"}, ("neutral", "unknown query method")),
        ({"t": "x"}, ("neutral", "t= is not a number")),
        ({"t": str(NOW), "x": str(NOW)}, ("neutral", "x= is not after t=")),
        ({"z": "From:a|Subject:b", "unknown": "x"}, ("pass", "")),
    ],
)
async def test_tags(tags: dict[str, str | None], expected: tuple[str, str]) -> None:
    assert await word(signature(ed(), MESSAGE, **tags) + MESSAGE) == expected


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b" v=1; v=1", "v= twice"),
        (b" v=1;; a=x", "malformed tag list"),
        (b" 1v=1", "malformed tag list"),
        (b" nothing", "malformed tag list"),
        (b"", "malformed tag list"),
        (b" v=1; s=\x00", "malformed tag list"),
        (b" v=1; s=\xff", "neither ASCII nor UTF-8"),
    ],
)
async def test_lists_that_are_none(value: bytes, reason: str) -> None:
    assert await word(b"DKIM-Signature:" + value + b"\r\n" + MESSAGE) == ("neutral", reason)


async def test_times_have_a_skew() -> None:
    data = signature(ed(), MESSAGE, t=str(NOW), x=str(NOW + 1000)) + MESSAGE
    for now, expected in (
        (NOW - LIMITS.dkim_skew, ("pass", "")),
        (NOW - LIMITS.dkim_skew - 1, ("policy", "from the future")),
        (NOW + 1000 + LIMITS.dkim_skew, ("pass", "")),
        (NOW + 1001 + LIMITS.dkim_skew, ("policy", "expired")),
    ):
        found = await one(data, now=now)
        assert (found.result, found.reason) == expected


async def test_domains_may_be_written_in_unicode() -> None:
    key = Key("xn--bcher-kva.example", "s", "ed25519-sha256", ed().private)
    found = await one(signature(key, MESSAGE, d="bücher.example", i="a@Bücher.example") + MESSAGE, Keyring(key))
    assert (found.result, found.domain) == ("pass", "xn--bcher-kva.example")


# -- keys --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ("k=ed25519; p=PUBLIC", ("pass", "")),
        ("v=DKIM1; k=ed25519; n=a note; t=y; s=email:x; h=sha256; p=PUB LIC ; ", ("pass", "")),
        ("k=ed25519; v=DKIM1; p=PUBLIC", ("permerror", "not a DKIM1 record")),
        ("v=DKIM2; k=ed25519; p=PUBLIC", ("permerror", "not a DKIM1 record")),
        ("v=DKIM1; p=PUBLIC", ("permerror", "key of another kind")),
        ("v=DKIM1; k=ed448; p=PUBLIC", ("permerror", "key of another kind")),
        ("v=DKIM1; k=ed25519; h=sha1; p=PUBLIC", ("permerror", "key not for this hash")),
        ("v=DKIM1; k=ed25519; s=tlsrpt; p=PUBLIC", ("permerror", "key not for mail")),
        ("v=DKIM1; k=ed25519; p=", ("permerror", "key revoked")),
        ("v=DKIM1; k=ed25519", ("permerror", "key record: no p=")),
        ("v=DKIM1; k=ed25519; p=AAAA", ("permerror", "key record: p= is no Ed25519 key")),
        ("v=DKIM1; k=ed25519; p=.", ("permerror", "key record: p= is not base64")),
        ("v=spf1 -all", ("permerror", "not a DKIM1 record")),
        ("", ("permerror", "key record: malformed tag list")),
        ("v=DKIM1; k=ed25519; n=LONG; p=PUBLIC", ("permerror", "key record too long")),
        ("v=DKIM1; k=ed25519; p=OTHER",
         ("fail", "signature does not fit")),
    ],
)  # fmt: skip
async def test_key_records(record: str, expected: tuple[str, str]) -> None:
    keyring, public = Keyring(), public_record(ed()).rpartition("p=")[2]
    other = public_record(Key("o", "s", "ed25519-sha256", generate("ed25519-sha256"))).rpartition("p=")[2]
    for word, value in (
        ("PUBLIC", public), ("PUB LIC", f"{public[:9]} {public[9:]}"), ("OTHER", other), ("LONG", "x" * LIMITS.dkim_key)
    ):  # fmt: skip
        record = record.replace(word, value)
    keyring.put(ed(), record)
    found = await one(signature(ed(), MESSAGE) + MESSAGE, keyring)
    assert (found.result, found.reason) == expected
    assert found.testing == ("t=y" in record)


async def test_a_key_with_t_s_is_for_its_own_domain_only() -> None:
    keyring = Keyring()
    keyring.put(ed(), public_record(ed()) + "; t=s")
    assert await word(signature(ed(), MESSAGE, i="joe@example.org") + MESSAGE, keyring) == ("pass", "")
    below = signature(ed(), MESSAGE, i="joe@sub.example.org") + MESSAGE
    assert await word(below, keyring) == ("permerror", "the key is not for domains below its own")


async def test_of_several_key_records_one_that_fits_is_enough_and_few_are_tried() -> None:
    keyring, data = Keyring(), signature(ed(), MESSAGE) + MESSAGE
    others = ["v=DKIM1; k=ed25519; p=", "rubbish"]
    keyring.put(ed(), *others, public_record(ed()))
    assert await word(data, keyring) == ("pass", "")
    keyring.put(ed(), *others * LIMITS.dkim_keys, public_record(ed()))
    assert await word(data, keyring) == ("permerror", "key revoked")


async def test_a_question_nobody_could_answer_is_temporary() -> None:
    keyring = Keyring(ed())
    keyring.trouble.add("e1._domainkey.example.org")
    assert await word(signature(ed(), MESSAGE) + MESSAGE, keyring) == ("temperror", "key not found out: SERVFAIL")


async def test_equal_questions_are_asked_once() -> None:
    keyring = Keyring(ed())
    data = signature(ed(), MESSAGE) + signature(ed(), MESSAGE, t="1") + MESSAGE
    assert [s.result for s in await dkim.verify(keyring, data, now=NOW)] == ["pass", "pass"]
    assert keyring.asked == ["e1._domainkey.example.org"]


def rsa_record(bits: int, exponent: int = 65537) -> str:
    """A key as large as one likes; nobody has its private half."""
    numbers = RSAPublicNumbers(exponent, (1 << bits) - 1)
    octets = numbers.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"v=DKIM1; p={base64.b64encode(octets).decode()}"


@pytest.mark.parametrize(
    ("bits", "exponent", "expected"),
    [
        (LIMITS.dkim_bits_least - 1, 65537, ("policy", "key too short")),
        (512, 65537, ("policy", "key too short")),
        (LIMITS.dkim_bits_least, 65537, ("fail", "signature does not fit")),
        (LIMITS.dkim_bits_most, 65537, ("fail", "signature does not fit")),
        (LIMITS.dkim_bits_most + 8, 65537, ("policy", "key too large")),
        (16384, 65537, ("policy", "key too large")),
        (2048, (1 << 2000) + 1, ("policy", "key too large")),
    ],
)
async def test_keys_too_weak_or_too_large_are_not_worked_with(
    bits: int, exponent: int, expected: tuple[str, str]
) -> None:
    keyring = Keyring()
    keyring.put(rsa(), rsa_record(bits, exponent))
    found = await one(signature(rsa(), MESSAGE) + MESSAGE, keyring)
    assert (found.result, found.reason) == expected
    assert found.bits == bits


async def test_a_bare_rsa_key_is_a_key_too_and_others_are_not() -> None:
    private, keyring = generate_private_key(65537, 1024), Keyring()
    key = Key("example.org", "bare", "rsa-sha256", private)
    bare = private.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    keyring.put(key, f"v=DKIM1; p={base64.b64encode(bare).decode()}")
    assert await word(signature(key, MESSAGE) + MESSAGE, keyring) == ("pass", "")
    edwards = ed().private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    for octets in (edwards, b"rubbish"):
        keyring.put(key, f"v=DKIM1; p={base64.b64encode(octets).decode()}")
        assert await word(signature(key, MESSAGE) + MESSAGE, keyring) == (
            "permerror", "key record: p= is no RSA key"
        )  # fmt: skip


# -- hostile mail ------------------------------------------------------------------------------------------------------


async def test_a_thousand_signatures_cost_what_ten_cost() -> None:
    keyring = Keyring(ed())
    data = signature(ed(), MESSAGE) * 990 + MESSAGE
    started = time.process_time()
    found = await dkim.verify(keyring, data, now=NOW)
    assert time.process_time() - started < 1
    assert [s.result for s in found] == ["pass"] * LIMITS.dkim_signatures + ["policy"]
    assert found[-1].reason == "980 more signatures, not looked at"


async def test_a_signature_field_too_long_is_not_read() -> None:
    data = signature(ed(), MESSAGE, z="x" * LIMITS.dkim_field) + MESSAGE
    assert await word(data) == ("policy", "signature field too long")


async def test_many_lengths_and_names_of_a_large_message_cost_little() -> None:
    fields = b"".join(b"X%d: %s\r\n" % (i, b"a \t" * 300) for i in range(900))
    data = fields + MESSAGE + b"some words  here\r\n" * 300_000
    names = "from:" + ":".join(f"x{i}" for i in range(350))
    made = [
        signature(ed(), MESSAGE, c=f"{head}/{body}", l=str(1000 + i), h=names)
        for i, (head, body) in enumerate([("simple", "relaxed"), ("relaxed", "simple"), ("relaxed", "relaxed")] * 3)
    ]
    started = time.process_time()
    found = await dkim.verify(Keyring(ed()), b"".join(made) + data, now=NOW)
    assert time.process_time() - started < 2
    assert {s.result for s in found} == {"fail"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n",
        b"\x00" * 1000,
        b"DKIM-Signature:",
        b"DKIM-Signature: v=1; b",
        b"DKIM-Signature: " + b"a=b;" * 100_000 + b"\r\n\r\n",
        b"DKIM-Signature: " + b"\r\n " * 400_000 + b"\r\n\r\n",
        b"DKIM-Signature: v=1; h=" + b":" * 10_000 + b"\r\n\r\n",
        b"From: " + b"x" * 2_000_000 + b"\r\n" + MESSAGE,
    ],
)
async def test_rubbish_is_judged_in_no_time(data: bytes) -> None:
    started = time.process_time()
    assert all(s.result in ("neutral", "policy") for s in await dkim.verify(Keyring(), data, now=NOW))
    assert time.process_time() - started < 0.5


async def test_no_from_no_proof_that_anybody_needs() -> None:
    data = b"Subject: x\r\n\r\nhi\r\n"
    assert (await word(signature(ed(), data) + data))[0] == "pass", "that there is no From was signed"
    assert (await word(b"From: a@example.org\r\n" + signature(ed(), data) + data))[0] == "fail"


@given(st.binary(max_size=300), st.integers(0, 300))
async def test_whatever_is_put_into_a_message_nothing_raises_and_nothing_unsigned_passes(
    rubbish: bytes, at: int
) -> None:
    whole = signature(ed(), MESSAGE) + MESSAGE
    at = min(at, len(whole))
    for found in await dkim.verify(Keyring(ed()), whole[:at] + rubbish + whole[at:], now=NOW):
        assert found.result in ("pass", "fail", "neutral", "policy", "permerror")
