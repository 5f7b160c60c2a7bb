"""Every method is given values of every wrong type in every place: it says no, and is never at a loss (serverFail)."""

from __future__ import annotations

from typing import Any

import pytest

from daemon import log
from daemon.limits import LIMITS
from daemon.serve.web.door import PEER
from daemon.serve.web.jmap.capabilities import CAPABILITIES
from tests.flow.house import House
from tests.serve.web.jmap.writing import Client

METHODS = sorted(name for each in CAPABILITIES for name in each.methods if name != "Core/echo")
SETS = [name for name in METHODS if name.endswith("/set") and name != "Password/set"]
VALUES: tuple[Any, ...] = (
    None, True, 0, 1, -1, 1.5, 2**53, -(2**63), 2**64, 10**30, "", "e1", "\0", "é\r\nBcc: x@y.example", "#none",
    "u999999", "e" + "9" * 18, "f" * 300, "2026-02-30T00:00:00Z", [], [None], [1], [[]], ["x"], ["e1", "e1"], [{}], {},
    {"": None}, {"x": 1}, {"x": None}, {"x": {}}, {"#x": True}, {"a/b~1~0": [1]},
)  # fmt: skip
ARGUMENTS = (
    "accountId fromAccountId ids properties filter sort position anchor anchorOffset limit calculateTotal sinceState"
    " sinceQueryState maxChanges upToId create update destroy ifInState emails blobIds typeNames emailIds"
    " onSuccessUpdateEmail onSuccessDestroyEmail onDestroyRemoveEmails bodyProperties fetchTextBodyValues"
    " fetchAllBodyValues maxBodyValueBytes id remoteImages password newPassword offset length collapseThreads"
    " sortAsTree filterAsTree unknown"
).split()
PROPERTIES = (
    "name parentId role sortOrder isSubscribed mailboxIds keywords receivedAt subject from to sender bcc replyTo sentAt"
    " messageId inReplyTo references headers header:X-A header:X-A:asText header:Subject:asRaw header:From:asAddresses"
    " header:X-A:asDate:all header:List-Post:asURLs bodyStructure bodyValues textBody htmlBody attachments blobId email"
    " textSignature htmlSignature mayDelete identityId emailId envelope undoStatus isEnabled fromDate toDate"
    " scopes expiresAt sender allowed note action addresses keep order conditions any file forward discard stop"
    " deviceClientId url keys expires types verificationCode data type uid version kind emails notes phones"
    " addressBookIds code secret label credential"
).split()
FILTERS = (
    "operator conditions inMailbox inMailboxOtherThan before after minSize maxSize allInThreadHaveKeyword hasKeyword"
    " notKeyword hasAttachment text from to cc bcc subject body header parentId name role hasAnyRole isSubscribed"
    " identityIds emailIds threadIds undoStatus reason uid email scope resourceType type"
).split()
NEEDED: dict[str, dict[str, Any]] = {
    "get": {"ids": ["x"]},
    "changes": {"sinceState": "0"},
    "queryChanges": {"sinceQueryState": "0"},
    "parse": {"blobIds": ["x"]},
    "lookup": {"typeNames": ["Email"], "ids": ["x"]},
    "upload": {"create": {}},
    "import": {"emails": {}},
    "copy": {"fromAccountId": "u999", "create": {}},
    "view": {"id": "e1"},
}


@pytest.fixture
def _loud(ann: Client, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was logged as a fault of ours. Ann's door delays nobody who guesses her password."""
    heard: list[str] = []

    def fault(what: str, error: BaseException, **more: object) -> None:
        at = error.__traceback__
        while at is not None and at.tb_next is not None:
            at = at.tb_next
        place = "" if at is None else f"{at.tb_frame.f_code.co_filename.rpartition('daemon/')[2]}:{at.tb_lineno}"
        heard.append(f"{more.get('method')} {place} {error!r}")

    monkeypatch.setattr(log, "fault", fault)
    monkeypatch.setattr(ann.door, "_sleep", _at_once)
    return heard


async def _at_once(seconds: float) -> None:
    pass


async def _ask(client: Client, calls: list[tuple[str, dict[str, Any]]], heard: list[str]) -> None:
    PEER.set("192.0.2.1")
    for at in range(0, len(calls), LIMITS.jmap_calls):
        await client.request(*calls[at : at + LIMITS.jmap_calls])
    assert not heard, "\n".join(sorted(set(heard)))


async def test_arguments(ann: Client, home: House, _loud: list[str]) -> None:
    calls = [
        (method, {**NEEDED.get(method.partition("/")[2], {}), name: value})
        for method in METHODS
        for name in ARGUMENTS
        for value in VALUES
    ]
    await _ask(ann, calls, _loud)


async def test_properties(ann: Client, home: House, _loud: list[str]) -> None:
    calls: list[tuple[str, dict[str, Any]]] = []
    for method in (*SETS, "Blob/upload", "Email/import"):
        field = "emails" if method == "Email/import" else "create"
        for value in VALUES:
            calls.append((method, {field: {name: {name: value} for name in PROPERTIES}}))
            if method != "Blob/upload" and method != "Email/import":
                calls.append((method, {"update": {"singleton": {name: value for name in PROPERTIES[:1]}, "x": {}}}))
                calls += [(method, {"update": {"singleton": {name: value}}}) for name in PROPERTIES]
    await _ask(ann, calls, _loud)


async def test_filters_and_sorts(ann: Client, home: House, _loud: list[str]) -> None:
    calls: list[tuple[str, dict[str, Any]]] = []
    for method in METHODS:
        needed = NEEDED.get(method.partition("/")[2], {})
        if method.endswith(("/query", "/queryChanges")) or method == "SearchSnippet/get":
            needed = {"emailIds": []} if method == "SearchSnippet/get" else needed
            for value in VALUES:
                calls += [(method, {**needed, "filter": {name: value}}) for name in FILTERS]
                calls += [
                    (method, {**needed, "sort": [{"property": "x", name: value}]})
                    for name in ("property", "isAscending", "collation", "keyword")
                ]
            calls.append((method, {**needed, "filter": {"operator": "AND", "conditions": [{"x": 1}]}}))
    await _ask(ann, calls, _loud)
