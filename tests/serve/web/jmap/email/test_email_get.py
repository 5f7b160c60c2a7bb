"""Email/get (RFC 8621 §4.2): every property, in every form, and the texts of bodies."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from daemon.store import keywords, mailboxes, messages
from tests.serve.web.jmap.desk import Desk

LETTER = b"""\
From: "Joe Bloggs" <joe@example.com>
To: Alice <alice@example.org>, Team: a@x.example, b@x.example;
Subject: =?UTF-8?Q?Caf=C3=A9?= plans
Date: Thu, 30 Oct 2014 14:12:00 +0800
Message-ID: <one@example.com>
References: <zero@example.com>
List-Post: <mailto:list@example.com>
X-Twice: first
X-Twice: second
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="outer"

--outer
Content-Type: multipart/alternative; boundary="inner"

--inner
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

Caf=C3=A9 at noon?
Second line.
--inner
Content-Type: text/html; charset=iso-8859-1

<p>Caf\xe9 at <b>noon</b>?</p>
--inner--
--outer
Content-Type: image/png; name="map.png"
Content-Disposition: attachment; filename="map.png"
Content-ID: <map@example.com>
Content-Transfer-Encoding: base64

aGVsbG8gd29ybGQ=
--outer
Content-Type: message/rfc822

Subject: inside

Inner text.
--outer--
""".replace(b"\n", b"\r\n")
PREFIX = b"Return-Path: <joe@example.com>\r\n"


async def got(desk: Desk, email: str, *properties: str, **more: Any) -> dict[str, Any]:
    (found,) = (await desk.one("Email/get", ids=[email], properties=list(properties) or None, **more))["list"]
    return dict(found)


async def test_what_rows_tell(desk: Desk) -> None:
    when = 1_414_649_520_987
    email = desk.raw(LETTER, prefix=PREFIX, received_at=when, flags=keywords.SEEN | keywords.DELETED)
    found = await got(
        desk, email, "blobId", "threadId", "mailboxIds", "keywords", "size", "receivedAt", "hasAttachment"
    )
    assert found.pop("threadId").startswith("t")
    assert found == {
        "id": email,
        "blobId": f"{email}-raw",
        "mailboxIds": {desk.box(): True},
        "keywords": {"$seen": True},
        "size": len(PREFIX + LETTER),
        "receivedAt": "2014-10-30T06:12:00Z",
        "hasAttachment": True,
    }


async def test_fields(desk: Desk) -> None:
    email = desk.raw(LETTER, prefix=PREFIX)
    found = await got(
        desk,
        email,
        *("from", "to", "cc", "subject", "sentAt", "messageId", "references", "inReplyTo", "replyTo", "preview"),
        *("header:X-Twice", "header:x-twice:asText:all", "header:To:asGroupedAddresses", "header:List-Post:asURLs"),
        *("header:Return-Path", "header:Nothing:asText"),
    )
    assert found == {
        "id": email,
        "from": [{"name": "Joe Bloggs", "email": "joe@example.com"}],
        "to": [
            {"name": "Alice", "email": "alice@example.org"},
            {"name": None, "email": "a@x.example"},
            {"name": None, "email": "b@x.example"},
        ],
        "cc": None,
        "subject": "Café plans",
        "sentAt": "2014-10-30T14:12:00+08:00",
        "messageId": ["one@example.com"],
        "references": ["zero@example.com"],
        "inReplyTo": None,
        "replyTo": None,
        "preview": "Café at noon? Second line.",
        "header:X-Twice": " second",
        "header:x-twice:asText:all": ["first", "second"],
        "header:To:asGroupedAddresses": [
            {"name": None, "addresses": [{"name": "Alice", "email": "alice@example.org"}]},
            {
                "name": "Team",
                "addresses": [{"name": None, "email": "a@x.example"}, {"name": None, "email": "b@x.example"}],
            },
        ],
        "header:List-Post:asURLs": ["mailto:list@example.com"],
        "header:Return-Path": " <joe@example.com>",
        "header:Nothing:asText": None,
    }
    headers = (await got(desk, email, "headers"))["headers"]
    assert [each["name"] for each in headers][:3] == ["Return-Path", "From", "To"]
    assert headers[0]["value"] == " <joe@example.com>" and len(headers) == 12


async def test_bodies(desk: Desk) -> None:
    email = desk.raw(LETTER, prefix=PREFIX)
    found = await got(desk, email, "textBody", "htmlBody", "attachments", "bodyValues", fetchTextBodyValues=True)
    assert [each["partId"] for each in found["textBody"]] == ["1.1"]
    assert [each["partId"] for each in found["htmlBody"]] == ["1.2"]
    assert found["attachments"] == [
        {
            "partId": "2",
            "blobId": f"{email}-2",
            "size": 11,
            "name": "map.png",
            "type": "image/png",
            "charset": None,
            "disposition": "attachment",
            "cid": "map@example.com",
            "language": None,
            "location": None,
        },
        {
            "partId": "3",
            "blobId": f"{email}-3",
            "size": 30,
            "name": None,
            "type": "message/rfc822",
            "charset": None,
            "disposition": None,
            "cid": None,
            "language": None,
            "location": None,
        },
    ]
    text = {"value": "Café at noon?\nSecond line.", "isEncodingProblem": False, "isTruncated": False}
    assert found["bodyValues"] == {"1.1": text}
    html = await got(desk, email, "bodyValues", fetchHTMLBodyValues=True, maxBodyValueBytes=12)
    assert html["bodyValues"] == {"1.2": {"value": "<p>Café at ", "isEncodingProblem": False, "isTruncated": True}}
    both = await got(desk, email, "bodyValues", fetchAllBodyValues=True)
    assert sorted(both["bodyValues"]) == ["1.1", "1.2"]
    none = await got(desk, email, "bodyValues")
    assert none["bodyValues"] == {}


async def test_the_structure(desk: Desk) -> None:
    email = desk.raw(LETTER, prefix=PREFIX)
    asked = ["partId", "type", "header:Content-Type:asText", "subParts"]
    tree = (await got(desk, email, "bodyStructure", bodyProperties=asked))["bodyStructure"]
    assert tree["partId"] is None and tree["type"] == "multipart/mixed"
    assert tree["header:Content-Type:asText"] == 'multipart/mixed; boundary="outer"'
    assert [each["type"] for each in tree["subParts"]] == ["multipart/alternative", "image/png", "message/rfc822"]
    assert [each["partId"] for each in tree["subParts"][0]["subParts"]] == ["1.1", "1.2"]
    assert tree["subParts"][2]["subParts"] is None
    headers = (await got(desk, email, "attachments", bodyProperties=["headers"]))["attachments"]
    assert headers[0]["headers"][0] == {"name": "Content-Type", "value": ' image/png; name="map.png"'}


async def test_all_that_is_told_when_nothing_is_asked(desk: Desk) -> None:
    """RFC 8621 §4.2: the default properties."""
    email = desk.raw(LETTER)
    assert set(await got(desk, email)) == {
        "id", "blobId", "threadId", "mailboxIds", "keywords", "size", "receivedAt", "messageId", "inReplyTo",
        "references", "sender", "from", "to", "cc", "bcc", "replyTo", "subject", "sentAt", "hasAttachment", "preview",
        "bodyValues", "textBody", "htmlBody", "attachments",
    }  # fmt: skip


NASTY = [
    b"",
    b"\x00\xff\xfe",
    b"Subject: \xff\xfe\r\nFrom: \xff@\r\nDate: \xff\r\nContent-Type: multipart/mixed; boundary=\r\n\r\nx",
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n--b",
    b"Content-Type: text/plain; charset=utf-7\r\n\r\n+2AA-",
    b'Content-Type: text/html; charset="\xff"\r\nContent-Transfer-Encoding: base64\r\n\r\n' + base64.b64encode(b"\xff"),
    b"Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: x\r\n\r\ny\r\n--b--",
]


@pytest.mark.parametrize("data", NASTY)
async def test_nothing_is_too_malformed_to_be_told(desk: Desk, data: bytes) -> None:
    email = desk.raw(data)
    every = [
        "bodyStructure",
        "textBody",
        "htmlBody",
        "attachments",
        "bodyValues",
        "headers",
        "from",
        "subject",
        "sentAt",
    ]
    found = await got(
        desk, email, *every, fetchAllBodyValues=True, bodyProperties=["partId", "size", "name", "charset"]
    )
    assert set(found) == {"id", *every}


async def test_keywords_of_all_its_mailboxes_together(desk: Desk) -> None:
    email = desk.put("Twice", flags=keywords.SEEN)
    inbox, archive = desk.number(), desk.number("Archive")
    desk.store.write_now(messages.copy, inbox, [(1, 1)], archive)
    desk.store.write_now(messages.set_flags, archive, [(1, 1)], "=", keywords.FLAGGED, ("Work",))
    found = await got(desk, email, "mailboxIds", "keywords")
    assert found["mailboxIds"] == {desk.box(): True, desk.box("Archive"): True}
    assert found["keywords"] == {"$flagged": True, "work": True}
    desk.store.write_now(messages.set_flags, archive, [(1, 1)], "+", keywords.SEEN)
    assert (await got(desk, email, "keywords"))["keywords"] == {"$seen": True, "$flagged": True, "work": True}


async def test_mailboxes(desk: Desk) -> None:
    """RFC 8621 §2: names below names, roles, counts, rights."""
    desk.make("Work/2026")
    desk.put("One")
    desk.put("Re: One", answers="<One@remote.example>", flags=keywords.SEEN)
    desk.put("Two", flags=keywords.SEEN)
    listed = (await desk.one("Mailbox/get", ids=None))["list"]
    by_id = {each["id"]: each for each in listed}
    inbox = by_id[desk.box()]
    assert (inbox["name"], inbox["role"], inbox["parentId"]) == ("Inbox", "inbox", None)
    counts = ("totalEmails", "unreadEmails", "totalThreads", "unreadThreads")
    assert [inbox[each] for each in counts] == [3, 1, 2, 1]
    assert not inbox["myRights"]["mayDelete"] and inbox["myRights"]["mayAddItems"]
    below = by_id[desk.box("Work/2026")]
    assert (below["name"], below["parentId"], below["role"]) == ("2026", desk.box("Work"), None)
    assert {each["role"] for each in listed if each["role"]} == {"inbox", "drafts", "sent", "junk", "trash", "archive"}
    order = sorted(listed, key=lambda each: each["sortOrder"])
    assert order[0] is inbox
    some = await desk.one("Mailbox/get", ids=[desk.box(), "m999", "x"], properties=["name"])
    assert some["list"] == [{"id": desk.box(), "name": "Inbox"}] and some["notFound"] == ["m999", "x"]


async def test_what_changed_in_mailboxes(desk: Desk) -> None:
    state = (await desk.one("Mailbox/get", ids=[]))["state"]
    desk.put("One")
    counted = await desk.one("Mailbox/changes", sinceState=state)
    assert counted["updated"] == [desk.box()] and "unreadThreads" in counted["updatedProperties"]
    made = desk.make("New")
    desk.store.write_now(mailboxes.rename, desk.account, "Archive", "Old")
    both = await desk.one("Mailbox/changes", sinceState=state)
    assert both["created"] == [made] and set(both["updated"]) == {desk.box(), desk.box("Old")}
    assert both["updatedProperties"] is None


async def test_mailbox_query(desk: Desk) -> None:
    for name in ("B/y", "A", "B/x"):
        desk.make(name)
    sort = [{"property": "sortOrder"}, {"property": "name"}]
    query = await desk.one(
        "Mailbox/query", sort=sort, sortAsTree=True, filter={"hasAnyRole": False}, calculateTotal=True
    )
    assert query["ids"] == [desk.box(each) for each in ("A", "B", "B/x", "B/y")] and query["total"] == 4
    assert (await desk.one("Mailbox/query", filter={"role": "inbox"}))["ids"] == [desk.box()]
    assert (await desk.one("Mailbox/query", filter={"parentId": desk.box("B")}, sort=sort))["ids"] == [
        desk.box("B/x"),
        desk.box("B/y"),
    ]
    only = {"operator": "AND", "conditions": [{"name": "x"}, {"operator": "NOT", "conditions": [{"role": "inbox"}]}]}
    assert (await desk.one("Mailbox/query", filter=only))["ids"] == [desk.box("B/x")]
    assert (await desk.one("Mailbox/query", filter=only, filterAsTree=True))["ids"] == []
    assert (await desk.one("Mailbox/query", filter={"colour": 1})) == {"error": "unsupportedFilter"}
    assert (await desk.one("Mailbox/query", filter={"name": 1})) == {"error": "invalidArguments"}
    since = query["queryState"]
    desk.store.write_now(mailboxes.rename, desk.account, "A", "C")
    done = await desk.one(
        "Mailbox/queryChanges", sort=sort, filter={"hasAnyRole": False}, sinceQueryState=since, calculateTotal=True
    )
    assert done["removed"] == [desk.box("C")] and done["added"] == [{"id": desk.box("C"), "index": 1}]
    assert (await desk.one("Mailbox/queryChanges", sinceQueryState="99999")) == {"error": "cannotCalculateChanges"}


async def test_quota(desk: Desk) -> None:
    desk.using.append("urn:ietf:params:jmap:quota")
    size = len(LETTER)
    state = (await desk.one("Quota/get", ids=None))["state"]
    desk.raw(LETTER)
    assert (await desk.one("Quota/get", ids=None))["list"] == []  # no limit, no quota
    desk.settings["limits.quota"] = "10M"
    (quota,) = (await desk.one("Quota/get", ids=None))["list"]
    assert quota["used"] == size and quota["warnLimit"] < quota["hardLimit"] == 10 << 20
    assert (await desk.one("Quota/get", ids=["other"]))["notFound"] == ["other"]
    changed = await desk.one("Quota/changes", sinceState=state)
    assert changed["updated"] == ["storage"] and changed["updatedProperties"] == ["used"]
    assert (await desk.one("Quota/changes", sinceState=changed["newState"]))["updated"] == []
    assert (await desk.one("Quota/query", filter={"type": "Email"}, calculateTotal=True))["total"] == 1
    assert (await desk.one("Quota/query", filter={"scope": "domain"}))["ids"] == []
    queried = await desk.one("Quota/queryChanges", sinceQueryState=state)
    assert queried["removed"] == ["storage"] and queried["added"] == [{"id": "storage", "index": 0}]


async def test_snippets(desk: Desk) -> None:
    """RFC 8621 §5."""
    one = desk.put("Dinner on Thursday", body="Shall we have dinner at the <Harbour> & more?")
    two = desk.raw(LETTER)
    filter = {"operator": "AND", "conditions": [{"text": "dinner"}, {"text": '"the <harbour>"'}]}
    said = await desk.one("SearchSnippet/get", filter=filter, emailIds=[one, two, "e999"])
    assert said["notFound"] == ["e999"]
    first, second = said["list"]
    assert first["subject"] == "<mark>Dinner</mark> on Thursday"
    marked = "Shall we have <mark>dinner</mark> at <mark>the &lt;Harbour&gt;</mark> &amp; more?"
    assert first == {"emailId": one, "subject": first["subject"], "preview": marked}
    assert second == {"emailId": two, "subject": None, "preview": None}


async def test_no_use_falls_between_two_looks_at_a_quota(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.using.append("urn:ietf:params:jmap:quota")
    desk.settings["limits.quota"] = "10M"
    desk.raw(LETTER)
    since = (await desk.one("Quota/query"))["queryState"]
    read, letters = desk.store.read, [LETTER]

    async def slow(*work: Any) -> Any:
        found = await read(*work)
        if letters:
            desk.raw(letters.pop())
        return found

    with monkeypatch.context() as patch:
        patch.setattr(desk.store, "read", slow)
        first = await desk.one("Quota/queryChanges", sinceQueryState=since)
    later = await desk.one("Quota/queryChanges", sinceQueryState=first["newQueryState"])
    assert "storage" in first["removed"] + later["removed"]
