import email
import email.policy

import pytest

from daemon.mail.downgrade import to_7bit

ACCENTS = "Grüße aus Köln. " * 3 + "plain words follow, many of them, so that the text stays readable. " * 3
MIME = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
PLAIN = f"{MIME}Content-Transfer-Encoding: 8bit\r\n\r\n{ACCENTS}\r\n.\r\n"
JAPANESE = f"{MIME}\r\n" + "こんにちは。\r\n" * 20
MIXED = f"""MIME-Version: 1.0
Subject: two
Content-Type: multipart/mixed; boundary=b
Content-Transfer-Encoding: 8bit

preamble
--b
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit
X-Other: stays

{ACCENTS}
--b

no header at all, only ASCII
--b
Content-Type: application/octet-stream
Content-Transfer-Encoding: binary

\u00ff\u00fe{ACCENTS}
--b
Content-Type: message/rfc822
Content-Transfer-Encoding: 8bit

Subject: inner
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

{ACCENTS}
--b--
epilogue
""".replace("\n", "\r\n")


def contents(data: bytes) -> list[tuple[str, bytes]]:
    message = email.message_from_bytes(data, policy=email.policy.compat32)
    return [
        (part.get_content_type(), part.get_payload(decode=True).rstrip(b"\r\n"))
        for part in message.walk()
        if not part.is_multipart()
    ]


@pytest.mark.parametrize("text", [PLAIN, JAPANESE, MIXED], ids=["plain", "japanese", "mixed"])
def test_the_content_is_the_same_in_seven_bits(text: str) -> None:
    data = text.encode()
    changed = to_7bit(data)
    assert changed is not None and changed.isascii() and contents(changed) == contents(data)
    assert changed.count(b"\n") == changed.count(b"\r\n") == changed.count(b"\r")
    assert max(map(len, changed.split(b"\r\n"))) <= 78
    assert b"8bit" not in changed and b"binary" not in changed


def test_readable_text_stays_readable_and_other_does_not_grow_threefold() -> None:
    assert b"Gr=C3=BC=C3=9Fe aus" in (to_7bit(PLAIN.encode()) or b"")
    assert b"base64" in (to_7bit(JAPANESE.encode()) or b"")


def test_what_need_not_change_does_not() -> None:
    changed = to_7bit(MIXED.encode()) or b""
    for kept in (
        b"preamble\r\n",
        b"\r\nX-Other: stays\r\n",
        b"\r\n\r\nno header at all, only ASCII\r\n--b",
        b"epilogue\r\n",
    ):
        assert kept in changed
    ascii_only = b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: 8bit\r\n\r\nx\r\n"
    assert to_7bit(ascii_only) == ascii_only


def test_a_text_without_line_ends_gets_no_bare_ones() -> None:
    data = b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + b"word " * 40 + b"\xc3\xa9"
    changed = to_7bit(data) or b""
    assert b"=\r\n" in changed and changed.count(b"\n") == changed.count(b"\r\n")


@pytest.mark.parametrize(
    "text",
    [
        "DKIM-Signature: v=1\r\n" + PLAIN,
        "ARC-Seal: i=1\r\n" + PLAIN,
        PLAIN.replace("MIME-Version: 1.0\r\n", ""),
        "Subject: ü\r\n" + PLAIN,
        MIXED.replace("multipart/mixed", "multipart/signed"),
        MIXED.replace("preamble", "préamble"),
        MIXED.replace("X-Other: stays", "X-Other: ä"),
        PLAIN.replace("8bit", "base64"),
    ],
    ids=["dkim", "arc", "not mime", "header", "signed part", "preamble", "part header", "encoded already"],
)
def test_what_cannot_be_changed_soundly_is_not(text: str) -> None:
    assert to_7bit(text.encode()) is None
