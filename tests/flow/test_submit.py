"""What a user hands in: completed before it is accepted, and only as himself."""

from __future__ import annotations

import pytest

from daemon.flow import submit
from daemon.limits import LIMITS
from daemon.mail.address import parse_address
from daemon.store import accounts
from daemon.store.spool import Body
from tests.flow.house import MESSAGE, House

DONE = MESSAGE.replace(b"Message-ID", b"Date: Mon, 1 Jan 2024 00:00:00 +0000\r\nMessage-ID")


def test_a_complete_message_stays_the_same_body() -> None:
    body = Body.of(DONE)
    assert submit.completed(body, now=0.0, hostname="mx.here.example") is body


def test_what_is_missing_is_added_and_the_rest_kept(tmp_path) -> None:
    body = Body(tmp_path, in_memory=1000)
    rest = b"\r\n" + b"a line of many\r\n" * 100_000
    body.write(b"From: ann@here.example\r\nBcc: x@y.example\r\n" + rest)
    better = submit.completed(body, now=0.0, hostname="mx.here.example")
    view = better.view()
    assert view[: len(view) - len(rest)].startswith(b"Date: Thu, 1 Jan 1970 00:00:00 +0000\r\nMessage-ID: <")
    assert view[len(view) - len(rest) :] == rest and b"Bcc" not in view[:300]
    better.close()


@pytest.mark.parametrize(
    "data,reason",
    [
        (b"Subject: nobody\r\n\r\nx\r\n", "no-from"),
        (b"\r\nno header\r\n", "no-from"),
        (b"From: a@here.example\r\nFrom: b@here.example\r\n\r\n", "several-from"),
        (b"From: a@here.example\r\n" + b"X: y\r\n" * 200_000 + b"\r\nx\r\n", "header-too-large"),
    ],
)
def test_what_cannot_be_completed_is_not_taken(data: bytes, reason: str) -> None:
    with pytest.raises(submit.NotTaken) as caught:
        submit.completed(Body.of(data), now=0.0, hostname="mx.here.example")
    assert caught.value.reason == reason and caught.value.code == 550


@pytest.mark.parametrize(
    "author,reason",
    [
        (b"ann@here.example", None),
        (b"Ann <ANN+tag@HERE.example>, team@here.example", None),
        (b"people: ann@here.example, team@here.example;", None),
        (b"bob@here.example", "not-his-address"),
        (b"ann@here.example (bob@here.example)", None),
        (b"ann@here.example, <bob@here.example>", "not-his-address"),
        (b"ann@ex ample..com", "not-his-address"),
        (b"ann@-.-", "not-his-address"),
        (b"ann@here.example, " * (LIMITS.addresses + 1), "too-many-authors"),
        (b"", None),
    ],
)
def test_who_may_write_as_whom(house: House, author: bytes, reason: str | None) -> None:
    house.alias("team@here.example", "ann@here.example")
    ann = house.store.peek(accounts.get, parse_address("ann@here.example"))
    body = Body.of(b"From: " + author + b"\r\n\r\nx\r\n")
    if reason is None:
        house.store.peek(submit.check_author, ann.id, body)
        return
    with pytest.raises(submit.NotTaken) as caught:
        house.store.peek(submit.check_author, ann.id, body)
    assert caught.value.reason == reason
