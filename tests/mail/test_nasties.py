"""Hostile mail, of many megabytes: a summary of each in well under a second (traps S17, D14)."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from daemon.mail.message import scan
from daemon.mail.section import pick_fields
from daemon.mail.structure import structure
from daemon.mail.summary import base_subject, summarize
from daemon.mail.text import search_text
from tests.mail.grammar import check_body, check_envelope, read
from tests.mail.test_message import multipart, nested

MIB = 1 << 20


def messages_with(header: bytes) -> bytes:
    """Many messages inside one another, and beside one another, with this header."""
    return multipart(b"b", *[b"Content-Type: message/rfc822\r\n\r\n" + header + b"\r\n\r\n"] * 100)


NASTIES = {
    "addresses": b"To: " + b"a@x, " * 500_000 + b"\n\n",
    "addresses in comments": b"To: " + b"(" * MIB + b"\n\n",
    "addresses in angles": b"To: " + b"<" * MIB + b"\n\n",
    "addresses of quotes": b"To: " + b'"' * MIB + b"\n\n",
    "addresses of brackets": b"To: " + b"[" * MIB + b"\n\n",
    "addresses of blanks": b"To: a" + b" " * MIB + b"\n\n",
    "addresses of colons": b"To: " + b":;" * MIB + b"\n\n",
    "address words": b"To: " + b"a " * MIB + b"\n\n",
    "address words everywhere": messages_with(b"\n".join(b"%s: " % n + b"a " * 32000 for n in (b"From", b"To", b"Cc"))),
    "encoded words": b"Subject: " + b"=?utf-8?q?a?= " * 100_000 + b"\n\n",
    "encoded words open": b"Subject: " + b"=?a?q?" * 200_000 + b"\n\n",
    "8-bit subject": b"Subject: " + b"\xe9" * MIB + b"\n\n",
    "parameters": b"Content-Type: text/plain" + b"; a*%d=b" * 10_000 + b"\n\n",
    "parameter pieces": b"Content-Type: text/plain" + b"".join(b"; a*%d*=b" % n for n in range(10_000)) + b"\n\n",
    "parameters of blanks": b"Content-Type: text/plain;" + b" " * MIB + b"\n\n",
    "parameters open": b"Content-Type: text/plain" + b';a="' * 100_000 + b"\n\n",
    "fields": b"a: b\n" * 2_000_000,
    "fields of folds": b"a:" + b"\n " * 500_000 + b"\n\n",
    "fields without colon": b"aaaa " * 400_000 + b"\n" * 10,
    "received": b"Received: x\n" * 200_000 + b"\n",
    "ids": b"Message-ID: " + b"<" * MIB + b"\nReferences: " + b"<a@x>" * 200_000 + b"\n\n",
    "ids open": b"Message-ID: <" + b"a" * MIB + b"\nReferences: " + b"<a" * 200_000 + b"\n\n",
    "dates": b"Date: " + b"(" * 100_000 + b"1 " * 1000 + b"\n\n",
    "subject leaders": b"Subject: " + b"[a] " * 20_000 + b"re: " * 20_000 + b"(fwd) " * 10_000 + b"x\n\n",
    "deep multiparts": nested(100_000),
    "deep messages": b"Content-Type: message/rfc822\n\n" * 200_000,
    "deep and long": nested(49) + b"\n--x" * (4 * MIB),
    "deep and dashes": nested(49).replace(b"4", b"-" * 40) + b"-" * (16 * MIB),
    "deep messages and lines": b"Content-Type: message/rfc822\n\n" * 49 + b"\n" * (16 * MIB),
    "boundaries": multipart(b"b", *[b""] * 1_000_000),
    "boundaries not": multipart(b"b", b"\r\n" + b"\n--b-" * 2_000_000),
    "boundaries of blanks": multipart(b"b", b"\r\n" + b"\n--b" + b" " * 4 * MIB + b"x"),
    "boundary long": b"Content-Type: multipart/mixed; boundary=" + b"-" * 60_000 + b"\n\n" + b"\n--" + b"-" * 8 * MIB,
    "big headers in parts": multipart(b"b", *[b"a:\n" * 10_000] * 900),
    "html tags": b"Content-Type: text/html\n\n" + b"<" * (4 * MIB),
    "html comments": b"Content-Type: text/html\n\n" + b"<!--" * MIB,
    "html styles": b"Content-Type: text/html\n\n" + b"<style>" * MIB,
    "html entities": b"Content-Type: text/html\n\n" + b"&amp" * MIB,
    "html parts of tags": multipart(b"b", *[b"Content-Type: text/html\r\n\r\n" + b"<b>" * 10_000] * 900),
    "nuls": b"\0" * (4 * MIB),
    "base64": b"Content-Transfer-Encoding: base64\n\n" + b"=" * (4 * MIB),
    "quoted-printable": b"Content-Transfer-Encoding: quoted-printable\n\n" + b"=" * (4 * MIB),
    "utf-7": b"Content-Type: text/plain; charset=utf-7\n\n" + b"+" * (4 * MIB),
}  # fmt: skip


@pytest.fixture(scope="module")
def ordinary() -> float:
    """CPU seconds that a hundred ordinary newsletters take here and now: the measure for what nasty ones may take."""
    letter = multipart(b"b", *[b"Content-Type: text/html\r\nX: y\r\n\r\n<p>Hello <b>you</b></p>\r\n"] * 50)

    def hundred() -> float:
        started = time.process_time()
        for number in range(100):  # another message each time: the same one is remembered
            summarize(b"X: %d\r\n" % number + letter)
            other = b"Y: %d\r\n" % number + letter
            search_text(other, scan(other).root, headers=True)
        return time.process_time() - started

    return min(hundred() for _ in range(3))


@pytest.mark.parametrize("name", NASTIES)
def test_a_nasty_message_is_summed_up_like_a_thousand_others(name: str, ordinary: float) -> None:
    data = NASTIES[name]
    started = time.process_time()
    summary = summarize(data)
    summed_up = time.process_time() - started
    check_envelope(read(summary.envelope))
    check_body(read(summary.bodystructure), extended=True)
    started = time.process_time()
    root = scan(data).root
    search_text(data, root, headers=True)
    pick_fields(data[: root.body], [b"to", b"x-y"], but=True)
    searched = time.process_time() - started
    assert summed_up < 10 * ordinary and searched < 20 * ordinary, (summed_up, searched, ordinary)


@pytest.mark.parametrize(
    "data",
    [
        b"X: x" + b"\r\n y" * (1 << 18) + b"\r\n\r\n",
        b"To: " + b"[" * (1 << 16),
        b'To: "' + b"\\\\" * (1 << 15),
        b"To: <" + b"a" * (1 << 16),
        b'Content-Type: a/b; c="' + b"\\\\" * (1 << 15),
    ],
    ids=["folds", "brackets", "escapes", "angle", "parameter"],
)
def test_memory_is_taken_in_proportion(data: bytes) -> None:
    """A repetition in a pattern that is not possessive remembers each of its steps: 50 times the size of the header."""
    summarize(data)
    pick_fields(data, [b"to"])
    tracemalloc.start()
    summarize(data)
    pick_fields(data, [b"to"])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * len(data) + 4 * MIB


def test_a_base_subject_is_found_in_linear_time() -> None:
    started = time.process_time()
    for text in ("[a]" * 10_000, "re:" * 10_000, "(fwd)" * 10_000 + "x", "[fwd:" * 5000 + "]" * 5000):
        base_subject(text)
    assert time.process_time() - started < 1


def test_a_message_of_two_kilobytes_takes_microseconds_and_one_of_a_megabyte_milliseconds() -> None:
    """The goals are 60 µs and 3 ms; the test allows a slow and busy machine five times that."""
    small = (
        b"Received: from a (a [192.0.2.1]) by b with ESMTPS id 1\r\n\tfor <u@x>; Mon, 23 Nov 2026 10:00:00 +0000\r\n"
        b"From: A <a@x.example>\r\nTo: B <b@x.example>\r\nSubject: hello\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\n"
        b"Message-ID: <1@x>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    ) + b"words and words and words\r\n" * 60
    large = multipart(b"b", b"\r\n" + small, b"Content-Type: application/pdf\r\n\r\n" + b"A" * 76 * 13_000)

    def best(data: bytes, times: int) -> float:
        found = []
        for _ in range(20):
            started = time.perf_counter()
            for _ in range(times):
                structure(scan(data))
            found.append((time.perf_counter() - started) / times)
        return min(found)

    assert best(small, 50) < 5 * 60e-6
    assert best(large, 1) < 5 * 3e-3
