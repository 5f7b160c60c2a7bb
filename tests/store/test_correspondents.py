"""Whom a user has written to, and which messages answer his."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from daemon.limits import LIMITS
from daemon.store import accounts, correspondents
from daemon.store.tx import Tx
from tests.store.stage import add_user, address, memory


@pytest.fixture
def tx() -> Iterator[Tx]:
    with memory() as tx:
        add_user(tx, "alice")
        add_user(tx, "carol")
        yield tx


ALICE, CAROL = 1, 2


def test_whom_a_user_wrote_to_is_known_to_him_alone(tx: Tx) -> None:
    correspondents.wrote(tx, ALICE, [address("Bob@shop.example")], "m1@here")
    assert correspondents.knows(tx, ALICE, address("bob@shop.example"))
    assert not correspondents.knows(tx, CAROL, address("bob@shop.example"))
    assert not correspondents.knows(tx, ALICE, address("eve@shop.example"))


def test_an_answer_names_a_message_that_was_sent(tx: Tx) -> None:
    correspondents.wrote(tx, ALICE, [address("bob@shop.example")], "m1@here")
    assert correspondents.answers(tx, ALICE, ["other@there", "m1@here"])
    assert not correspondents.answers(tx, CAROL, ["m1@here"])
    assert not correspondents.answers(tx, ALICE, [])
    assert not correspondents.answers(tx, ALICE, ["other@there"])


def test_of_many_references_the_last_ones_count(tx: Tx) -> None:
    correspondents.wrote(tx, ALICE, [], "m1@here")
    assert not correspondents.answers(tx, ALICE, ["m1@here", *(f"r{n}@x" for n in range(LIMITS.references))])


def test_a_mailing_makes_no_correspondents(tx: Tx) -> None:
    many = [address(f"u{n}@shop.example") for n in range(LIMITS.correspondents_at_once + 1)]
    correspondents.wrote(tx, ALICE, many, "m1@here")
    assert not correspondents.knows(tx, ALICE, many[0])
    assert correspondents.answers(tx, ALICE, ["m1@here"])


def test_a_message_without_a_usable_id_has_no_answers(tx: Tx) -> None:
    correspondents.wrote(tx, ALICE, [], None)
    correspondents.wrote(tx, ALICE, [], "x" * (LIMITS.sent_message_id + 1))
    assert tx.value("select count(*) from sent_message") == 0


def test_old_acquaintance_is_forgot(tx: Tx) -> None:
    correspondents.wrote(tx, ALICE, [address("bob@shop.example")], "m1@here")
    tx.now += LIMITS.sent_message_memory * 1000 + 1
    assert correspondents.forget(tx, 10) == 1 and not correspondents.answers(tx, ALICE, ["m1@here"])
    tx.now += LIMITS.correspondent_memory * 1000
    assert correspondents.forget(tx, 10) == 1 and not correspondents.knows(tx, ALICE, address("bob@shop.example"))


def test_a_user_takes_his_acquaintances_along(tx: Tx) -> None:
    correspondents.wrote(tx, ALICE, [address("bob@shop.example")], "m1@here")
    accounts.remove(tx, ALICE)
    assert tx.value("select (select count(*) from correspondent) + (select count(*) from sent_message)") == 0
