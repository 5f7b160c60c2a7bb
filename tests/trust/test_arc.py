"""ARC chains judged (RFC 8617 §5.2): the RFC's example, every rule, hostile chains. `crafting` seals them."""

from __future__ import annotations

import time
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.limits import LIMITS
from daemon.trust import arc
from daemon.trust.results import ARC
from daemon.trust.sign import Key, generate
from tests.trust.crafting import DATA, NOW, Keyring, rfc_keys, sealed

MESSAGE = b"From: a@example.org\r\nSubject: hi\r\n\r\nhello\r\n"


@cache
def key(number: int) -> Key:
    algorithm = "rsa-sha256" if number == 1 else "ed25519-sha256"
    return Key(f"list{number}.example", "s", algorithm, generate(algorithm))  # type: ignore[arg-type]


@cache
def chain(length: int) -> bytes:
    """A message that went through so many lists; each changed nothing."""
    return sealed(key(length), chain(length - 1), length) if length else MESSAGE


def keys() -> Keyring:
    return Keyring(*(key(number) for number in range(1, 5)))


async def judged(data: bytes, keyring: Keyring | None = None, now: float = NOW) -> ARC:
    return await arc.verify(keyring or keys(), data, now=now)


async def reason(data: bytes, keyring: Keyring | None = None) -> tuple[str, str]:
    found = await judged(data, keyring)
    return found.result, found.reason


async def test_without_a_chain_there_is_none() -> None:
    assert await judged(MESSAGE) == ARC("none")


@pytest.mark.parametrize("length", [1, 2, 3])
async def test_a_chain_passes_and_names_its_sealers(length: int) -> None:
    found = await judged(chain(length))
    assert found == ARC("pass", tuple(f"list{i}.example" for i in range(1, length + 1)), 0)


async def test_the_example_of_the_rfc_is_read_whole_and_fails_without_its_keys() -> None:
    found = await judged((DATA / "rfc8617-b.eml").read_bytes(), rfc_keys())
    assert found.sealers == ("lists.example.org", "gmail.example", "clochette.example.org")
    assert (found.result, found.reason) == ("fail", "message signature 3: no key record")


async def test_the_oldest_that_still_holds_is_told() -> None:
    """List 2 wrote a tag into the subject: what list 1 signed holds no more, what the others signed does."""
    changed = chain(1).replace(b"Subject: hi", b"Subject: [two] hi")
    for length in (2, 3):
        changed = sealed(key(length), changed, length)
        found = await judged(changed)
        assert (found.result, found.oldest_pass) == ("pass", 2)
    again = sealed(key(4), changed.replace(b"[two] hi", b"hi"), 4)
    assert (await judged(again)).oldest_pass == 4, "from the youngest that fails, older ones do not count"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (b"hello", b"hellO", "message signature 2: body changed"),
        (b"Subject: hi", b"Subject: ho", "message signature 2: signature does not fit"),
        (b"i=1; list1.example; dkim=pass", b"i=1; list1.example; dkim=fail", "seal 1: signature does not fit"),
        (b"i=2; list2.example; dkim=pass", b"i=2; list2.example; dkim=fail", "seal 2: signature does not fit"),
        (b"cv=pass", b"cv=none", "cv= of set 2 is none"),
        (b"cv=none", b"cv=pass", "cv= of set 1 is pass"),
        (b"cv=none", b"cv=fail", "cv= of set 1 is fail"),
        (b"cv=pass", b"cv=fail", "the last sealer found the chain broken"),
        (b"cv=pass", b"cv=maybe", "cv= is unknown"),
        (b"cv=pass; ", b"", "no cv="),
        (b"cv=pass;", b"cv=pass; h=from;", "a seal with h="),
        (b"ARC-Seal: i=2", b"ARC-Seal: i=3", "sets are missing or incomplete"),
        (b"ARC-Seal: i=2", b"ARC-Seal: i=1", "set 1 twice"),
        (b"ARC-Seal: i=2", b"ARC-Seal: i=0", "a set without its number"),
        (b"ARC-Seal: i=2", b"ARC-Seal: i=x", "a set without its number"),
        (b"ARC-Seal: i=2", b"ARC-Seal: i=51", "a set without its number"),
        (b"Results: i=2;", b"Results: ", "a set without its number"),
        (b"Signature: i=2;", b"Signature: i=2; i=2;", "i= twice"),
        (b"ARC-Seal: i=2;", b"ARC-Seal: i=2; x=" + b"x" * LIMITS.dkim_field + b";", "field too long"),
        (b"ARC-Message-Signature: i=1", b"X: i=1", "sets are missing or incomplete"),
        (b"a=ed25519-sha256; cv", b"a=rsa-sha1; cv", "rsa-sha1 is no proof"),
        (b"d=list2.example; s=s;\r\n b", b"d=.; s=s;\r\n b", "d= is not a domain"),
    ],
)
async def test_a_change_anywhere_breaks_the_chain(old: bytes, new: bytes, expected: str) -> None:
    changed = chain(2).replace(old, new, 1)
    assert changed != chain(2)
    assert await reason(changed) == ("fail", expected)


async def test_a_message_signature_follows_the_rules_of_dkim_and_leaves_seals_alone() -> None:
    for tags, expected in (
        ({"h": "from:subject:arc-seal"}, "h= with ARC-Seal"),
        ({"h": "subject"}, "From is not signed"),
        ({"l": "2"}, "l= leaves the end of the body unsigned"),
        ({"x": "1000"}, "expired"),
        ({"a": "x"}, "unknown algorithm"),
    ):
        assert await reason(sealed(key(2), chain(1), 2, **tags)) == ("fail", f"message signature 2: {expected}")
    old = sealed(key(2), sealed(key(1), MESSAGE, 1, x="1000"), 2)
    assert (await judged(old)).oldest_pass == 2


async def test_keys_that_cannot_be_asked_for_now_make_the_chain_temporary() -> None:
    keyring = keys()
    keyring.trouble.add("s._domainkey.list3.example")
    assert await reason(chain(3), keyring) == ("temperror", "message signature 3: key not found out: SERVFAIL")
    keyring.trouble = {"s._domainkey.list1.example"}
    assert await reason(chain(3), keyring) == ("temperror", "seal 1: key not found out: SERVFAIL")
    keyring.put(key(2), "v=DKIM1; p=")
    oldest = chain(3).replace(b"i=1; list1.example; dkim=pass", b"i=1; list1.example; dkim=fail")
    assert await reason(oldest, keyring) == ("fail", "seal 2: key of another kind"), (
        "what surely fails is not temporary"
    )
    keyring = keys()
    keyring.put(key(1), "v=DKIM1; p=")
    assert await reason(chain(3), keyring) == ("fail", "seal 1: key revoked")


async def test_a_chain_has_so_many_sets_and_no_more() -> None:
    data = MESSAGE
    for number in range(1, LIMITS.arc_sets + 1):
        data = sealed(key(2), data, number)
    started = time.process_time()
    assert (await judged(data)).result == "pass"
    assert await reason(sealed(key(2), data, LIMITS.arc_sets + 1)) == ("fail", f"more than {LIMITS.arc_sets} sets")
    assert time.process_time() - started < 1


@given(st.binary(max_size=200), st.integers(0, 2500))
async def test_whatever_is_put_into_a_message_nothing_raises(rubbish: bytes, at: int) -> None:
    found = await judged(chain(2)[:at] + rubbish + chain(2)[at:])
    assert found.result in ("pass", "fail", "none")
