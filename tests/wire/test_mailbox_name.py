"""Mailbox names on the wire and the patterns of LIST."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.wire.imap import Bad
from daemon.wire.mailbox_name import MailboxPattern, canonical, checked_name, decode_name, encode_name

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@pytest.mark.parametrize(
    "name,wire",
    [
        ("INBOX", "INBOX"),
        ("", ""),
        ("a&b", "a&-b"),
        ("&", "&-"),
        ("Entwürfe", "Entw&APw-rfe"),
        ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),  # RFC 3501 §5.1.3
        ("😀", "&2D3eAA-"),
        ("a😀&ü", "a&2D3eAA-&-&APw-"),
        ("Отправленные", "&BB4EQgQ,BEAEMAQyBDsENQQ9BD0ESwQ1-"),
        ("tab\there", "tab&AAk-here"),
        ("del\x7f", "del&AH8-"),
    ],
)
def test_names_both_ways(name, wire):
    assert encode_name(name) == wire
    assert decode_name(wire) == name


@pytest.mark.parametrize(
    "wire",
    [
        "&",
        "a&b",
        "Foo & Bar",
        "&AGE-",  # an "a", which needs no shift
        "&APw",
        "&APw-&APw-",  # one shift would do
        "&AP-",  # half a character
        "&A-",
        "&2D3-",
        "&2D0-",  # one surrogate of two
        "&3gDYPQ-",  # the wrong way round
        "&APx-",  # bits left over
        "&AP/8-",
        "&AP=-",
        "&&-",
    ],
)
def test_what_is_not_modified_utf7(wire):
    with pytest.raises(Bad):
        decode_name(wire)


@given(TEXT)
def test_every_name_survives_the_wire(name):
    wire = encode_name(name)
    assert wire.isascii() and wire.isprintable()
    assert decode_name(wire) == name


@given(st.from_regex(r"[a&A-D0-9,+\-]{0,12}", fullmatch=True))
def test_a_name_has_one_spelling(wire):
    try:
        name = decode_name(wire)
    except Bad:
        return
    assert encode_name(name) == wire


def test_utf8_from_clients_that_know_no_better():
    assert decode_name("Käse & &APw-") == "Käse & ü"
    assert checked_name("Käse".encode(), 100, 3) == "Käse"


@pytest.mark.parametrize(
    "name,want",
    [("inbox", "INBOX"), ("InBox/Sub/inbox", "INBOX/Sub/inbox"), ("inboxes", "inboxes"), ("a/inbox", "a/inbox")],
)
def test_inbox_has_one_spelling(name, want):
    assert canonical(name) == want
    assert checked_name(name.encode(), 100, 3) == want


@pytest.mark.parametrize(
    "wire,status",
    [
        (b"\xff", "BAD"),
        (b"a&b", "BAD"),
        (b"a\nb", "NO"),
        (b"&AIU-", "NO"),
        ("a\u2028".encode(), "NO"),
        (b"a/b/c/d", "NO"),
        (b"x" * 101, "NO"),
        ("ü".encode() * 51, "NO"),
    ],
)
def test_names_that_nobody_may_have(wire, status):
    with pytest.raises(Bad) as refused:
        checked_name(wire, 100, 3)
    assert refused.value.status == status


@pytest.mark.parametrize("wire", [b"a/b/c", b"x" * 100, "ü".encode() * 50, b"a//b", b""])
def test_names_up_to_the_limits(wire):
    assert checked_name(wire, 100, 3) == wire.decode()


@pytest.mark.parametrize(
    "pattern,matching,others",
    [
        ("*", ["a", "a/b", "INBOX", ""], []),
        ("%", ["a", "INBOX", ""], ["a/b"]),
        ("a", ["a"], ["A", "ab", ""]),
        ("a/%", ["a/b", "a/"], ["a", "a/b/c"]),
        ("a/*", ["a/b", "a/b/c"], ["a", "ba/b"]),
        ("%/b", ["a/b", "/b"], ["a/a/b"]),
        ("*b*", ["b", "abc", "a/b/c"], ["ac"]),
        ("%%a**", ["a", "xa", "ab/c"], ["x/a", "b"]),
        ("a%*b", ["ab", "a/b", "axxb"], ["a"]),
        ("inbox", ["INBOX"], ["inbox2"]),
        ("Inbox/*", ["INBOX/a"], ["INBOX"]),
        ("inb*", ["INBOX"], ["INBOX/a"]),
        ("%x", ["INBOX", "x"], ["INBOX/x"]),
        ("*/", ["a/"], ["a"]),
        ("", [""], ["a"]),
        ("ß*", ["ßa"], ["SSa"]),
    ],
)
def test_patterns(pattern, matching, others):
    matcher = MailboxPattern(pattern)
    assert [name for name in matching + others if matcher.matches(name)] == matching


NAMES = st.from_regex(r"[ab/]{0,8}", fullmatch=True)


@given(st.from_regex(r"[ab/*%]{0,7}", fullmatch=True), NAMES)
def test_a_pattern_means_what_the_expression_means(pattern, name):
    expression = "".join({"*": ".*", "%": "[^/]*"}.get(char, re.escape(char)) for char in pattern)
    assert MailboxPattern(pattern).matches(name) is (re.fullmatch(expression, name) is not None)


def test_no_pattern_is_slow():
    matcher = MailboxPattern("*a%" * 330)
    start = time.process_time()
    for _ in range(10):
        assert not matcher.matches("a" * 999 + "b/")
    assert time.process_time() - start < 1
