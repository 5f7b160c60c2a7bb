"""Header fields in the forms of JMAP (RFC 8621 §4.1.2)."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.mail import forms
from daemon.mail.header import values

FIELDS = [
    (b"Received", b" from a"),
    (b"Subject", b" =?UTF-8?Q?caf=C3=A9?=\r\n and more"),
    (b"To", b" "),
    (b"From", b' "Joe, Dr." <joe@a.example>, =?UTF-8?B?QmrDtnJu?= <bjorn@b.example>'),
    (b"Cc", b" Friends: a@a.example, B <b@b.example>;, c@c.example, d@d.example, None:;"),
    (b"Message-ID", b" <one@a.example>"),
    (b"References", b" <a@x> (comment) <b@x>\r\n <c@x>"),
    (b"In-Reply-To", b" nothing"),
    (b"Date", b" Thu, 30 Oct 2014 14:12:00 +0800 (a zone)"),
    (b"List-Unsubscribe", b" (mail) <mailto:a@x?subject=b>, <https://x.example/\r\n unsubscribe>"),
    (b"List-Post", b" NO"),
    (b"X-Thing", b" <a@b>\r"),
    (b"Received", b" from b"),
]

BLOCK = b"".join(b"%b:%b\n" % field for field in FIELDS)

ANSWERS: list[tuple[str, Any]] = [
    ("subject", "café and more"),
    ("header:Subject", " =?UTF-8?Q?caf=C3=A9?=\r\n and more"),
    ("header:Subject:all", [" =?UTF-8?Q?caf=C3=A9?=\r\n and more"]),
    ("from", [{"name": "Joe, Dr.", "email": "joe@a.example"}, {"name": "Björn", "email": "bjorn@b.example"}]),
    ("to", []),
    ("bcc", None),
    ("header:Bcc:asAddresses:all", []),
    (
        "cc",
        [
            {"name": None, "email": "a@a.example"},
            {"name": "B", "email": "b@b.example"},
            {"name": None, "email": "c@c.example"},
            {"name": None, "email": "d@d.example"},
        ],
    ),
    (
        "header:cc:asGroupedAddresses",
        [
            {
                "name": "Friends",
                "addresses": [{"name": None, "email": "a@a.example"}, {"name": "B", "email": "b@b.example"}],
            },
            {
                "name": None,
                "addresses": [{"name": None, "email": "c@c.example"}, {"name": None, "email": "d@d.example"}],
            },
            {"name": "None", "addresses": []},
        ],
    ),
    ("messageId", ["one@a.example"]),
    ("references", ["a@x", "b@x", "c@x"]),
    ("inReplyTo", None),
    ("sentAt", "2014-10-30T14:12:00+08:00"),
    ("header:List-Unsubscribe:asURLs", ["mailto:a@x?subject=b", "https://x.example/unsubscribe"]),
    ("header:List-Post:asURLs", None),
    ("header:Received", " from b"),
    ("header:Received:all", [" from a", " from b"]),
    ("header:X-Thing", " <a@b>"),
    ("header:X-Thing:asText", "<a@b>"),
    ("header:X-Thing:asMessageIds", ["a@b"]),
    ("header:X-Thing:asAddresses", [{"name": None, "email": "a@b"}]),
    ("header:X-Thing:asURLs", ["a@b"]),
    ("header:X-Thing:asDate", None),
    ("header:X-Nothing:asText", None),
]


@pytest.mark.parametrize(("name", "value"), ANSWERS)
def test_fields_in_their_forms(name: str, value: Any) -> None:
    asked = forms.read_property(name)
    assert asked is not None
    assert forms.value(asked, values(BLOCK, frozenset([asked.name]))) == value


@pytest.mark.parametrize(
    "name",
    [
        "header:Subject:asAddresses",
        "header:From:asText",
        "header:Received:asText",
        "header:Date:asMessageIds",
        "header:To:asURLs",
        "header:From:asaddresses",
        "header:From:asNothing",
        "header:From:all:asAddresses",
        "header:",
        "header:a b",
        "header::asText",
        "colour",
    ],
)
def test_forms_that_do_not_fit(name: str) -> None:
    assert forms.read_property(name) is None


DATES = [
    (b"Thu, 30 Oct 2014 06:12:00 +0000", "2014-10-30T06:12:00Z"),
    (b"Thu, 30 Oct 2014 06:12:00 -0330", "2014-10-30T06:12:00-03:30"),
    (b"Thu, 30 Oct 2014 06:12:00 EST", "2014-10-30T06:12:00-05:00"),
    (b"Thu, 30 Oct 2014 06:12:00 +9900", None),
    (b"Fri, 31 Dec 9999 23:59:59 -0100", None),  # the year 10000 in Greenwich
    (b"Sat, 1 Jan 0001 00:00:00 +0100", "1901-01-01T00:00:00+01:00"),
    (b"yesterday", None),
]


@pytest.mark.parametrize(("written", "told"), DATES)
def test_dates(written: bytes, told: str | None) -> None:
    assert forms.date(written) == told


def test_text_is_composed_and_raw_octets_are_text() -> None:
    assert forms.text("e\u0301".encode()) == "\u00e9"
    assert forms.raw(b" \xff\xfe\0") == " \u00ff\u00fe\ufffd"


def test_a_group_without_end() -> None:
    assert forms.grouped_addresses(b"Friends: a@x.example") == [
        {"name": "Friends", "addresses": [{"name": None, "email": "a@x.example"}]}
    ]


def test_addresses_of_a_short_and_of_a_long_field_are_the_same() -> None:
    one = {"name": "Joe", "email": "joe@a.example"}
    for count in (1, 2, 50):
        assert forms.addresses(b", ".join([b"Joe <joe@a.example>"] * count)) == [one] * count
