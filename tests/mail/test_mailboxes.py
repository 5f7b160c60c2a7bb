"""Address fields as they come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.limits import LIMITS
from daemon.mail.mailboxes import Mailbox, all_mailboxes, mailboxes

END = (None, None, None, None)


@pytest.mark.parametrize(
    "value,want",
    [
        (b"", []),
        (b" joe@x.example\r\n", [(None, None, "joe", "x.example")]),
        (b"Joe <joe@x.example>", [("Joe", None, "joe", "x.example")]),
        (b"<joe@x.example>", [(None, None, "joe", "x.example")]),
        (b'"Joe, X" <joe@x.example>, b@y', [("Joe, X", None, "joe", "x.example"), (None, None, "b", "y")]),
        (b'"" <joe@x.example>', [(None, None, "joe", "x.example")]),
        (b"a@x,b@y ,\r\n c@z", [(None, None, "a", "x"), (None, None, "b", "y"), (None, None, "c", "z")]),
        (b'"J \\"X\\" D" <joe@x.example>', [('J "X" D', None, "joe", "x.example")]),
        (b'J "X" D <joe@x.example>', [("J X D", None, "joe", "x.example")]),
        (b"joe@x.example (Joe (the) Doe)", [("Joe (the) Doe", None, "joe", "x.example")]),
        (b"joe@x.example (Joe \\) Doe", [("Joe ) Doe", None, "joe", "x.example")]),
        (b"(c) <joe@x.example>", [("c", None, "joe", "x.example")]),
        (b"<@a,@b:joe@x.example>", [(None, "@a,@b", "joe", "x.example")]),
        (b'"joe doe"@x.example', [(None, None, "joe doe", "x.example")]),
        (b'N <"joe doe"@x.example>', [("N", None, "joe doe", "x.example")]),
        (b'N <"a>b"@x.example>', [("N", None, "a>b", "x.example")]),
        (b"joe@[IPv6:2001:db8::1]", [(None, None, "joe", "[IPv6:2001:db8::1]")]),
        (b"undisclosed-recipients:;", [(None, None, "undisclosed-recipients", None), END]),
        (b"My Team: a@x, B <b@y>;, c@z",
         [(None, None, "My Team", None), (None, None, "a", "x"), ("B", None, "b", "y"), END, (None, None, "c", "z")]),
        (b"open: a@x: b@y", [(None, None, "open", None), ("a@x", None, "b", "y"), END]),
        (b": a@x", [(None, None, "", None), (None, None, "a", "x"), END]),
        (b"joe", [(None, None, "joe", "")]),
        (b"Joe Doe", [(None, None, "Joe Doe", "")]),
        (b"Joe <joe>", [("Joe", None, "joe", "")]),
        (b"Joe <>", [("Joe", None, "", "")]),
        (b"<>", []),
        (b"Joe joe@x.example", [("Joe", None, "joe", "x.example")]),
        (b"joe @ x.example", [(None, None, "joe", "x.example")]),
        (b"joe @x.example", [(None, None, "joe", "x.example")]),
        (b"@x.example", [(None, None, "", "x.example")]),
        (b"a@x;b@y", [(None, None, "a", "x"), (None, None, "b", "y")]),
        (b",,a@x,,", [(None, None, "a", "x")]),
        (b"Joe <joe@x.example", [("Joe", None, "joe", "x.example")]),
        (b'"Joe <joe@x.example>', [(None, None, "Joe <joe@x.example>", "")]),
        (b"a> [x", [(None, None, "a x", "")]),
        ("é <é@é.example>".encode(), [("é", None, "é", "é.example")]),
        (b"\xe9 <a@x>", [("é", None, "a", "x")]),
    ],
)  # fmt: skip
def test_address_fields(value: bytes, want: list[tuple[str | None, ...]]) -> None:
    assert [tuple(mailbox) for mailbox in mailboxes(value)] == want


def test_addresses_are_bounded() -> None:
    assert len(mailboxes(b"a@x," * 10_000)) == LIMITS.addresses
    assert len(mailboxes(b"(c) a@x," * 8_000)) == LIMITS.addresses


def test_a_mailbox_shows_its_name_or_its_address() -> None:
    assert Mailbox("=?utf-8?q?=C3=A9?=", None, "a", "x").display == "é"
    assert Mailbox(None, None, "a", "x").display == "a@x"
    assert Mailbox(None, None, "a", "").address == "a"
    assert Mailbox(None, None, None, None).address == ""


@given(st.one_of(st.binary(max_size=60), st.text('ab@<>(),;:"\\[] .é', max_size=40).map(str.encode)))
def test_any_bytes_are_an_address_field(value: bytes) -> None:
    for mailbox in mailboxes(value):
        mailbox.display.encode()


def test_all_of_a_long_field_are_named_to_who_sends_to_them() -> None:
    field = b",\r\n ".join(b"Number %d <n%d@many.example>" % (n, n) for n in range(10_000))
    assert len(mailboxes(field)) == LIMITS.addresses
    found = all_mailboxes(field, 20_000)
    assert len(found) == 10_000 and found[-1].address == "n9999@many.example"
    assert len(all_mailboxes(field, 300)) == 300
