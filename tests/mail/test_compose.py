"""A message out of its parts: what is written is what our own reader, and Python's, read back."""

from __future__ import annotations

import email
import email.policy
from typing import Any

import pytest

from daemon.limits import LIMITS
from daemon.mail import compose, compose_email
from daemon.mail.compose_email import BadEmail
from daemon.mail.message import scan

FILES = {
    "f1": b"\x89PNG" + bytes(range(256)) * 3,
    "f2": b"From: x@y.example\n\nforwarded \xc3\xa4\n",
    "f3": b"x" * 2000,
}


def made(**asked: Any) -> bytes:
    draft = compose_email.read(asked)
    out = bytearray()
    compose.compose(draft.head, draft.root, FILES.__getitem__, out.extend, "unique")
    return bytes(out)


def read(**asked: Any) -> Any:
    data = made(**asked)
    assert data.replace(b"\r\n", b"").count(b"\n") == data.replace(b"\r\n", b"").count(b"\r") == 0
    assert all(len(line) <= 998 for line in data.split(b"\r\n"))
    return email.message_from_bytes(data, policy=email.policy.default)


def text(value: str, part: str = "1", type: str = "text/plain", **more: Any) -> dict[str, Any]:
    body = "textBody" if type == "text/plain" else "htmlBody"
    return {body: [{"partId": part, "type": type}], "bodyValues": {part: {"value": value}}, **more}


def test_a_plain_letter() -> None:
    data = made(
        **{"from": [{"name": "Ann", "email": "ann@here.example"}], "to": [{"email": "bob@there.example"}]},
        subject="Hello", **text("Good morning.\n"),
    )  # fmt: skip
    assert data == (
        b"From: Ann <ann@here.example>\r\nTo: bob@there.example\r\nSubject: Hello\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: text/plain;\r\n charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\nGood morning.\r\n"
    )


@pytest.mark.parametrize(
    "media, value, method",
    [
        ("text/calendar", "BEGIN:VCALENDAR\nMETHOD:reply \nEND:VCALENDAR\n", "REPLY"),
        ("text/calendar", "BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n", "REQUEST"),
        ("text/calendar", "BEGIN:VCALENDAR\nX-METHOD:REPLY\nMETHOD:a;b=c\nEND:VCALENDAR\n", None),
        ("text/plain", "METHOD:REPLY\n", None),
    ],
)
def test_a_calendar_says_its_method_outside_too(media: str, value: str, method: str | None) -> None:
    """RFC 6047 §2.4."""
    found = read(bodyStructure={"partId": "1", "type": media}, bodyValues={"1": {"value": value}})
    assert found.get_content_type() == media and found.get_param("method") == method


@pytest.mark.parametrize(
    "value,encoding",
    [
        ("plain\n", "7bit"),
        ("", "7bit"),
        ("ä few letters among many others are not ASCII\n", "quoted-printable"),
        ("привет, как дела", "base64"),
        ("漢字" * 1000, "base64"),
        ("x" * 999, "quoted-printable"),
        ("a\0b", "base64"),
        ("lone \ud800 surrogate", "7bit"),
        ("one\rtwo\r\nthree\n", "7bit"),
        (". at the beginning\n.\nFrom here\n", "7bit"),
        ("trailing space \n\ttab\t\nä", "quoted-printable"),
    ],
)
def test_text_travels_whole(value: str, encoding: str) -> None:
    message = read(**text(value))
    assert message["Content-Transfer-Encoding"] == encoding
    said = value.replace("\r\n", "\n").replace("\r", "\n").replace("\ud800", "?")
    assert message.get_payload(decode=True).decode().replace("\r\n", "\n") == said


def test_files_are_attached_and_pictures_stay_with_their_text() -> None:
    message = read(
        textBody=[{"partId": "t"}],
        htmlBody=[{"partId": "h", "type": "text/html"}],
        bodyValues={"t": {"value": "see"}, "h": {"value": "<img src=cid:pic>"}},
        attachments=[
            {"blobId": "f1", "type": "image/png", "cid": "pic", "disposition": "inline", "name": "a.png"},
            {"blobId": "f3", "type": "text/csv", "charset": "us-ascii", "name": "Übersicht für März.csv"},
            {"blobId": "f2", "type": "message/rfc822"},
        ],
    )
    assert [part.get_content_type() for part in message.walk()] == [
        "multipart/mixed", "multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png",
        "text/csv", "message/rfc822", "text/plain",
    ]  # fmt: skip
    picture, table = message.get_payload()[0].get_payload()[1].get_payload()[1], message.get_payload()[1]
    assert picture["Content-ID"] == "<pic>" and picture.get_content_disposition() == "inline"
    assert picture.get_payload(decode=True) == FILES["f1"] and picture.get_filename() == "a.png"
    assert table.get_filename() == "Übersicht für März.csv" and table.get_content_disposition() == "attachment"
    assert message.get_payload()[1]["Content-Type"].params["charset"] == "us-ascii"
    assert b"forwarded" in message.get_payload()[2].as_bytes()


def test_a_message_that_no_transport_would_bear_is_encoded() -> None:
    long = {"f9": b"From: x@y.example\r\n\r\n" + b"y" * 2000}
    draft = compose_email.read({"attachments": [{"blobId": "f9", "type": "message/rfc822"}]})
    out = bytearray()
    compose.compose(draft.head, draft.root, long.__getitem__, out.extend, "u")
    assert b"Content-Transfer-Encoding: base64" in out


def test_a_structure_of_the_clients_own() -> None:
    message = read(
        bodyStructure={
            "type": "multipart/mixed",
            "header:X-Outer:asText": "ä",
            "subParts": [
                {"partId": "a", "type": "text/plain", "language": ["en", "de"], "location": "http://x.example/a"},
                {"type": "multipart/parallel", "subParts": [{"blobId": "f1"}]},
            ],
        },
        bodyValues={"a": {"value": "hi", "isTruncated": False}},
    )
    assert message["X-Outer"] == "ä"
    assert [p.get_content_type() for p in message.walk()][1:] == [
        "text/plain", "multipart/parallel", "application/octet-stream"
    ]  # fmt: skip
    first = message.get_payload()[0]
    assert first["Content-Language"] == "en, de" and first["Content-Location"] == "http://x.example/a"


@pytest.mark.parametrize(
    "prop,value,name,said",
    [
        ("subject", "Grüße aus Köln", "Subject", "Grüße aus Köln"),
        ("subject", "=?utf-8?q?not_a_word?=", "Subject", "=?utf-8?q?not_a_word?=\u200b"),
        ("subject", "two\r\nBcc: evil@x.example", "Subject", "two Bcc: evil@x.example"),
        ("subject", "", "Subject", ""),
        ("subject", "long " * 60, "Subject", ("long " * 60).strip()),
        ("subject", "y" * 950, "Subject", "y" * 950 + "\u200b"),
        ("sentAt", "2026-11-28T10:00:00-03:30", "Date", "Sat, 28 Nov 2026 10:00:00 -0330"),
        ("sentAt", "2026-11-28T10:00:00Z", "Date", "Sat, 28 Nov 2026 10:00:00 +0000"),
        ("messageId", ["a@b"], "Message-ID", "<a@b>"),
        ("references", ["a@b", "c@d"], "References", "<a@b> <c@d>"),
        ("header:List-Help:asURLs", ["mailto:x@y.example", "http://z/"], "List-Help", "<mailto:x@y.example>, <http://z/>"),
        ("header:X-Raw", " as it is", "X-Raw", "as it is"),
        ("header:X-Raw:asRaw", " fol\r\n ded", "X-Raw", "fol ded"),
        ("header:X-Two:asText:all", ["one", "two"], "X-Two", "one"),
        ("header:To:asGroupedAddresses", [{"name": "team", "addresses": [{"email": "a@x.example"}]},
                                          {"name": None, "addresses": [{"email": "b@x.example"}]},
                                          {"name": "none", "addresses": []}],
         "To", "team: a@x.example;, b@x.example, none:;"),
        ("to", [{"name": 'O"Neil, J.', "email": "j@x.example"}], "To", '"O\\"Neil, J." <j@x.example>'),
        ("to", [{"name": "Jürgen", "email": "j@x.example"}], "To", "Jürgen <j@x.example>"),
        ("to", [{"name": "", "email": "j@bücher.example"}], "To", "j@xn--bcher-kva.example"),
        ("cc", [], "Cc", None),
        ("bcc", None, "Bcc", None),
    ],
)  # fmt: skip
def test_fields_of_every_form(prop: str, value: Any, name: str, said: str | None) -> None:
    found = read(**{prop: value})[name]
    assert (None if found is None else str(found)) == said


def test_the_message_of_ten_thousand_recipients_is_made() -> None:
    people = [{"name": f"Number {n}", "email": f"n{n}@many.example"} for n in range(10_000)]
    data = made(**{"to": people}, **text("hi"))
    assert data.count(b"@many.example>") == 10_000 and len(data) < LIMITS.header_bytes
    assert max(map(len, data.split(b"\r\n"))) < 80


def body(**part: Any) -> dict[str, Any]:
    return {"bodyStructure": part, "bodyValues": {"1": {"value": "x"}}}


DEEP: dict[str, Any] = {"partId": "1"}
for _ in range(LIMITS.mime_depth + 1):
    DEEP = {"type": "multipart/mixed", "subParts": [DEEP]}


@pytest.mark.parametrize(
    "asked,wrong",
    [
        ({"id": "e1"}, "id"),
        ({"headers": []}, "headers"),
        ({"subject": 1}, "subject"),
        ({"subject": "x", "header:Subject:asText": "y"}, "header:Subject:asText"),
        ({"header:Subject:asDate": "x"}, "header:Subject:asDate"),
        ({"header:From:asText": "x"}, "header:From:asText"),
        ({"header:X:asNothing": "x"}, "header:X:asNothing"),
        ({"header:": "x"}, "header:"),
        ({"header:Content-Type": "x"}, "header:Content-Type"),
        ({"header:MIME-Version": "x"}, "header:MIME-Version"),
        ({"header:X": " a\r\nBcc: evil@x.example"}, "header:X"),
        ({"header:X": " a\nb"}, "header:X"),
        ({"header:X": 7}, "header:X"),
        ({"header:X": " " + "y" * 1000}, "header:X"),
        ({"header:X:all": "x"}, "header:X:all"),
        ({"header:X:all": [" x"] * (LIMITS.compose_fields + 1)}, "header:X:all"),
        ({"sentAt": "yesterday"}, "sentAt"),
        ({"sentAt": "2026-11-28T10:00:00"}, "sentAt"),
        ({"messageId": ["a b"]}, "messageId"),
        ({"messageId": "a@b"}, "messageId"),
        ({"references": ["a@b"] * (LIMITS.compose_ids + 1)}, "references"),
        ({"header:List-Post:asURLs": ["a b"]}, "header:List-Post:asURLs"),
        ({"to": [{"name": "x"}]}, "to"),
        ({"to": ["x@y.example"]}, "to"),
        ({"to": [{"email": "a@x.example>, <evil@x.example"}]}, "to"),
        ({"to": [{"email": "nobody"}]}, "to"),
        ({"to": [{"name": "x" * (LIMITS.compose_name + 1), "email": "a@x.example"}]}, "to"),
        ({"to": [{"email": "a@x.example"}] * (LIMITS.compose_addresses + 1)}, "to"),
        ({"header:To:asGroupedAddresses": ["x"]}, "header:To:asGroupedAddresses"),
        ({"header:To:asGroupedAddresses": [{"name": None, "addresses": [{"email": "a@x.example"}] * 15_000}] * 2},
         "header:To:asGroupedAddresses"),
        ({"bodyValues": []}, "bodyValues"),
        ({"bodyValues": {"1": "x"}}, "bodyValues/1"),
        ({"bodyValues": {"1": {"value": "x", "isTruncated": True}}}, "bodyValues/1"),
        ({"bodyValues": {"1": {"value": "x", "charset": "utf-8"}}}, "bodyValues/1"),
        ({"textBody": {}}, "textBody"),
        ({"textBody": ["x"]}, "textBody/0"),
        ({"textBody": [{"partId": "1"}, {"partId": "1"}], "bodyValues": {"1": {"value": "x"}}}, "textBody"),
        ({"textBody": [{"partId": "1", "type": "text/html"}], "bodyValues": {"1": {"value": "x"}}}, "textBody"),
        ({"htmlBody": [{"partId": "1", "type": "text/plain"}], "bodyValues": {"1": {"value": "x"}}}, "htmlBody"),
        ({"textBody": [{"partId": "2"}]}, "textBody/0/partId"),
        ({"attachments": [{}]}, "attachments/0/partId"),
        ({"attachments": [{"blobId": "f1", "partId": "1"}]}, "attachments/0/partId"),
        ({"attachments": [{"blobId": 1}]}, "attachments/0/blobId"),
        ({"attachments": [{"blobId": "f1", "type": "x"}]}, "attachments/0/type"),
        ({"attachments": [{"blobId": "f1", "cid": "a b"}]}, "attachments/0/cid"),
        ({"attachments": [{"blobId": "f1", "name": 1}]}, "attachments/0/name"),
        ({"attachments": [{"blobId": "f1", "language": "en"}]}, "attachments/0/language"),
        ({"attachments": [{"blobId": "f1", "headers": []}]}, "attachments/0/headers"),
        ({"attachments": [{"blobId": "f1", "header:Content-Type": "x"}]}, "attachments/0/header:Content-Type"),
        ({"attachments": [{"blobId": "f1", "header:Content-Transfer-Encoding": "x"}]},
         "attachments/0/header:Content-Transfer-Encoding"),
        ({**body(partId="1"), "textBody": [{"partId": "1"}]}, "textBody"),
        (body(partId="1", charset="utf-8"), "bodyStructure/charset"),
        (body(partId="1", size=3), "bodyStructure/size"),
        (body(partId="1", subParts=[{"partId": "1"}]), "bodyStructure/subParts"),
        (body(type="multipart/mixed"), "bodyStructure/subParts"),
        (body(type="multipart/mixed", subParts=[{"partId": "1"}], blobId="f1"), "bodyStructure/blobId"),
        ({**body(**{"partId": "1", "header:X-A:asText": "b"}), "header:X-A:asText": "a"}, "bodyStructure/header:x-a"),
        (body(**DEEP), "bodyStructure" + "/subParts/0" * LIMITS.mime_depth),
        (body(type="multipart/mixed", subParts=[{"partId": "1"}] * LIMITS.mime_parts),
         f"bodyStructure/subParts/{LIMITS.mime_parts - 1}"),
    ],
)  # fmt: skip
def test_what_no_message_is_made_of(asked: dict[str, Any], wrong: str) -> None:
    """RFC 8621 §4.6: `invalidProperties` names what is wrong."""
    with pytest.raises(BadEmail) as caught:
        compose_email.read(asked)
    assert wrong in caught.value.properties and str(caught.value)


def test_nothing_at_all_is_an_empty_message() -> None:
    assert read().get_payload() == ""
    assert read(textBody=[], bodyValues=None, attachments=None).get_content_type() == "text/plain"


def test_our_reader_sees_what_was_made() -> None:
    data = made(attachments=[{"blobId": "f1"}], **text("hi"))
    message = scan(data)
    assert [part.media for part in message.root.walk()] == ["multipart/mixed", "text/plain", "application/octet-stream"]


def test_long_names_go_in_pieces() -> None:
    name = "ж" * 200 + ".txt"
    found = read(attachments=[{"blobId": "f1", "name": name}]).get_payload()
    assert found[0].get_filename() == name
    quoted = read(attachments=[{"blobId": "f1", "name": 'a "b" \\ c.txt'}]).get_payload()
    assert quoted[0].get_filename() == 'a "b" \\ c.txt'


def test_the_blobs_of_a_draft_are_named_once() -> None:
    draft = compose_email.read({"attachments": [{"blobId": "f1"}, {"blobId": "f2"}, {"blobId": "f1"}]})
    assert draft.blobs == ["f1", "f2"]
