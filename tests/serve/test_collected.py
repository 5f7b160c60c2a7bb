"""Whom a user writes to comes into his address book, in the transaction that takes the message."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daemon.flow import submit
from daemon.limits import LIMITS
from daemon.mail.address import parse_address
from daemon.store import accounts, contacts
from tests.serve.post_office import ALICE, BOB, PostOffice
from tests.serve.test_smtp_doors import PASSWORD, log_in
from tests.store.stage import clean


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[PostOffice]:
    from daemon import passwords

    office = PostOffice(tmp_path, **{"auth.require_tls": "no"})
    office.add_user(ALICE, accounts.Password(*passwords.keep(PASSWORD)))
    office.add_user(BOB)
    yield office
    await office.close()


async def send(office: PostOffice, head: str, *recipients: str) -> None:
    async with office.greeted("submission") as client:
        await log_in(client)
        await client.says(f"MAIL FROM:<{ALICE}>", "250")
        for recipient in recipients:
            await client.says(f"RCPT TO:<{recipient}>", "250")
        await client.says("DATA", "354")
        await client.says(f"From: <{ALICE}>\r\n{head}\r\nHello.\r\n.", "250")


def book(office: PostOffice, user: str = ALICE) -> dict[str, str]:
    account = office.store.peek(accounts.find, parse_address(user))
    assert account is not None
    there = office.store.read_now(contacts.get, account.id)
    return {each.card["emails"]["e1"]["address"]: each.card.get("name", {}).get("full", "") for each in there}


async def test_recipients_come_in_with_the_names_they_are_given(office: PostOffice) -> None:
    head = f'To: "Bob B." <BOB@example.test>,\r\n =?utf-8?q?Zo=C3=AB?= <zoe@far.example>\r\nCc: <{ALICE}>\r\n'
    await send(office, head, BOB, "zoe@far.example", "hidden@far.example", ALICE)
    assert book(office) == {BOB: "Bob B.", "zoe@far.example": "Zoë", "hidden@far.example": ""}
    assert book(office, BOB) == {}, "who gets mail knows nobody by that"
    clean(office.store)


async def test_a_mailing_to_many_makes_nobody_known(office: PostOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submit, "LIMITS", dataclasses.replace(LIMITS, correspondents_at_once=1))
    await send(office, f"To: {BOB}\r\n", BOB, "zoe@far.example")
    assert book(office) == {}
    await send(office, f"To: {BOB}\r\n", BOB)
    assert book(office) == {BOB: ""}
