"""GETMETADATA, SETMETADATA and what LIST tells of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from daemon.limits import LIMITS
from daemon.serve.imap import metadata_news
from daemon.store import metadata
from tests.serve.imap.conftest import ALICE, BOB, MailHouse
from tests.serve.imap.test_traps import LOGIN


async def test_values_are_set_told_and_taken_away(house: MailHouse) -> None:
    await house.says(
        LOGIN
        + r"""
C: a SETMETADATA INBOX (/private/comment "My own" /shared/comment {4}
S: + …
C: a
C: b)
S: a OK …
C: b GETMETADATA "INBOX" (/shared/comment /private/comment /private/other)
S: * METADATA INBOX (/private/comment "My own" /shared/comment {4}
S: a
S: b /private/other NIL)
S: b OK …
C: c GETMETADATA "" /shared/comment
S: * METADATA "" (/shared/comment NIL)
S: c OK …
C: d SETMETADATA "" (/SHARED/Comment "of the server")
S: d OK …
C: e GETMETADATA "" /shared/comment
S: * METADATA "" (/shared/comment "of the server")
S: e OK …
C: f SETMETADATA INBOX (/private/comment NIL)
S: f OK …
C: g GETMETADATA INBOX (DEPTH infinity) /private
S: g OK …
C: h SELECT INBOX
S* h OK …
C: i GETMETADATA INBOX (DEPTH infinity) /shared /private
S: * METADATA INBOX (/shared/comment {4}
S: a
S: b)
S: i OK …
"""
    )
    async with house.client(BOB) as client:
        assert await client.ok('GETMETADATA "" /shared/comment') == [b'* METADATA "" (/shared/comment NIL)']
        assert await client.ok("GETMETADATA INBOX /shared/comment") == [b"* METADATA INBOX (/shared/comment NIL)"]


async def test_depth_and_size_choose(house: MailHouse) -> None:
    await house.says(
        LOGIN
        + r"""
C: a SETMETADATA Sent (/private/f "0" /private/f/small "1234567" /private/f/boss/a "12345678")
S: a OK …
C: b GETMETADATA (DEPTH 1) Sent /private/f
S: * METADATA Sent (/private/f "0" /private/f/small "1234567")
S: b OK …
C: c GETMETADATA (MAXSIZE 7 DEPTH infinity) Sent /private/f
S: * METADATA Sent (/private/f "0" /private/f/small "1234567")
S: c OK [METADATA LONGENTRIES 8] …
C: d GETMETADATA (MAXSIZE 1) Sent (/private/f/small /private/f/boss/a)
S: d OK [METADATA LONGENTRIES 8] …
C: e GETMETADATA (MAXSIZE 8) Sent (/private/f/small /private/f/boss/a)
S: * METADATA Sent (/private/f/boss/a "12345678" /private/f/small "1234567")
S: e OK …
"""
    )


async def test_what_is_refused_changes_nothing(house: MailHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = replace(LIMITS, metadata_value=10, metadata_entries=2, metadata_total=3)
    monkeypatch.setattr(metadata, "LIMITS", limits)
    await house.says(
        LOGIN
        + rf"""
C: a SETMETADATA INBOX (/shared/a "old")
S: a OK …
C: b SETMETADATA INBOX (/shared/a "new" /shared/b "12345678901")
S: b NO [METADATA MAXSIZE {LIMITS.metadata_value}] …
C: c SETMETADATA INBOX (/shared/a "new" /shared/b "" /shared/c "")
S: c NO [METADATA TOOMANY] …
C: d SETMETADATA Sent (/shared/a "" /shared/b "")
S: d OK …
C: e SETMETADATA "" (/shared/a "")
S: e NO [OVERQUOTA] …
C: f SETMETADATA None (/shared/a "")
S: f NO [NONEXISTENT] …
C: g GETMETADATA None /shared/a
S: g NO [NONEXISTENT] …
C: h SETMETADATA "" (/shared/admin "mailto:me@example.test")
S: h NO [CANNOT] …
C: i SETMETADATA INBOX (/private/specialuse "\\Trash")
S: i NO [USEATTR] …
C: j SETMETADATA INBOX (/comment "x")
S: j BAD …
C: k GETMETADATA INBOX /shared/a /shared/b
S: * METADATA INBOX (/shared/a "old" /shared/b NIL)
S: k OK …
C: l SETMETADATA INBOX (/shared/a {{99999999}}
S: l NO [METADATA MAXSIZE {LIMITS.metadata_value}] …
C: m NOOP
S: m OK …
"""
    )


async def test_they_follow_a_mailbox(house: MailHouse) -> None:
    await house.says(
        LOGIN
        + r"""
C: a CREATE Old
S: a OK …
C: b SETMETADATA Old (/private/comment "x")
S: b OK …
C: c RENAME Old New
S: c OK …
C: d GETMETADATA New /private/comment
S: * METADATA New (/private/comment "x")
S: d OK …
C: e DELETE New
S: e OK …
C: f CREATE New
S: f OK …
C: g GETMETADATA New /private/comment
S: * METADATA New (/private/comment NIL)
S: g OK …
C: h SETMETADATA INBOX (/private/comment "both")
S: h OK …
C: i RENAME INBOX Before
S: i OK …
C: j LIST "" (INBOX Before Archive) RETURN (METADATA (/private/comment /private/specialuse))
S: * LIST (\HasNoChildren) "/" INBOX
S: * METADATA INBOX (/private/comment "both" /private/specialuse NIL)
S: * LIST (\HasNoChildren \Archive) "/" Archive
S: * METADATA Archive (/private/comment NIL /private/specialuse "\\Archive")
S: * LIST (\HasNoChildren) "/" Before
S: * METADATA Before (/private/comment "both" /private/specialuse NIL)
S: j OK …
C: k SETMETADATA Before (/private/specialuse "\\Archive")
S: k OK …
C: l SETMETADATA Archive (/private/specialuse NIL)
S: l OK …
C: m LIST (SPECIAL-USE) "" (Archive Before)
S: * LIST (\HasNoChildren \Archive) "/" Before
S: m OK …
"""
    )


async def test_octets_of_any_kind(house: MailHouse) -> None:
    async with house.client(ALICE) as client:
        value = bytes(range(256))
        await client.ok(b"SETMETADATA INBOX (/private/icon ~{256+}\r\n" + value + b")")
        assert await client.ok("GETMETADATA INBOX /private/icon") == [
            b"* METADATA INBOX (/private/icon ~{256}\r\n" + value + b")"
        ]


async def test_who_asked_for_it_hears_of_what_others_change(house: MailHouse) -> None:
    await house.says(
        LOGIN
        + r"""
C: a ENABLE METADATA METADATA-SERVER
S: * ENABLED METADATA
S: a OK …
C2: l LOGIN alice@example.test "wonder land"
S2* l OK …
C2: a SETMETADATA Sent (/private/comment "x" /shared/comment "y")
S2: a OK …
C2: b SETMETADATA "" (/private/comment "z")
S2: b OK …
C2: c SETMETADATA Sent (/private/comment "x")
S2: c OK …
C: b NOOP
S: * METADATA "" /private/comment
S: * METADATA Sent /private/comment /shared/comment
S: b OK …
C: c SETMETADATA Sent (/private/comment "mine")
S: c OK …
C: d IDLE
S: + …
C2: d SETMETADATA Sent (/private/comment NIL)
S2: d OK …
S: * METADATA Sent /private/comment
C: DONE
S: d OK …
C2: e SETMETADATA Archive (/private/comment "x")
S2: e OK …
C2: f DELETE Archive
S2: f OK …
C: e SELECT INBOX
S! * METADATA …
S* e OK …
C: f NOOP
S: f OK …
C2: g NOOP
S2: g OK …
"""
    )


async def test_what_waits_to_be_told_is_bounded(house: MailHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata_news, "LIMITS", replace(LIMITS, metadata_total=2))
    async with house.client() as quiet, house.client() as busy, house.client(BOB) as bob:
        await quiet.ok("ENABLE METADATA")
        await bob.ok("ENABLE METADATA")
        for number in range(4):
            await busy.ok(f'SETMETADATA "" (/private/e{number} "x")')
        assert await quiet.ok("NOOP") == [b'* METADATA "" /private/e0 /private/e1']
        assert await bob.ok("NOOP") == [] and await busy.ok("NOOP") == []
