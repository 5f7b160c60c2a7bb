"""Rules that meet each other, a full mailbox, or somebody who means ill: each message is somewhere, once, and soon."""

from __future__ import annotations

import asyncio

import pytest

from daemon.flow import applying, planning, programs, receive, rules
from daemon.limits import LIMITS
from daemon.mail.address import parse_address
from daemon.store import accounts, mailboxes, sieve
from daemon.store.tx import Tx
from tests.flow.house import House
from tests.flow.ruled import (
    ANN,
    BOB,
    CARL,
    MAIL,
    Fewer,
    accept,
    account,
    activated,
    boxes,
    everybody,
    meanwhile,
    script,
    steps,
    text,
)


def add_user(house: House, user: str) -> None:
    house.store.write_now(accounts.add, parse_address(user), None)


def quota(house: House, user: str, octets: int) -> None:
    house.store.write_now(lambda tx: accounts.change(tx, account(house, user), quota=octets))


# ------------------------------------------------------------------------------------ nothing is lost, nothing is stuck


async def test_two_scripts_that_look_for_the_same_duplicate(house: House) -> None:
    look = 'require "duplicate"; if duplicate { discard; stop; }'
    everybody(house, "first", look)
    script(house, ANN, look)
    for _ in range(2):
        assert (await accept(house, ANN)).taken
        assert len(boxes(house, ANN)["INBOX"]) == 1


async def test_a_failed_redirect_and_a_full_mailbox_do_not_hold_up_the_others(house: House) -> None:
    script(house, ANN, 'redirect "nobody@here.example";')
    quota(house, ANN, 1)
    receipt = await accept(house, ANN, BOB, kind="lmtp")
    assert [outcome.denial for outcome in receipt.outcomes] == [planning.FULL, None]
    assert len(boxes(house, BOB)["INBOX"]) == 1 and boxes(house, ANN) == {}


async def test_what_was_redirected_in_part_is_taken_and_the_sender_hears_of_the_rest(house: House) -> None:
    script(house, ANN, 'redirect "x@far.example"; redirect "nobody@here.example";')
    quota(house, ANN, 1)
    assert (await accept(house, ANN)).taken
    assert sorted(row.recipient for row in house.queued()) == [CARL, "x@far.example"] and boxes(house, ANN) == {}


async def test_a_redirect_to_an_alias_keeps_what_not_all_behind_it_get(house: House) -> None:
    house.alias("team@here.example", ANN, BOB)
    script(house, ANN, 'redirect "team@here.example";')
    await accept(house, ANN)
    assert len(boxes(house, ANN)["INBOX"]) == 1 and len(boxes(house, BOB)["INBOX"]) == 1  # she is one of them herself
    house.alias("others@here.example", BOB, "x@far.example")
    script(house, ANN, 'redirect "others@here.example";')
    quota(house, BOB, 1)
    await accept(house, ANN)
    assert [row.recipient for row in house.queued()] == ["x@far.example"]
    assert "the mailbox is full" in text(house, ANN, at=2) and boxes(house, ANN)["INBOX"][1].endswith(MAIL)


async def test_a_long_chain_of_redirects_ends(house: House) -> None:
    people = [f"u{number}@here.example" for number in range(200)]
    for user in people:
        add_user(house, user)
    for user, neighbour in zip(people, people[1:], strict=False):
        script(house, user, f'redirect "{neighbour}";')
    await accept(house, people[0])
    last = people[LIMITS.sieve_chain - 1]
    assert [user for user in people if boxes(house, user)] == [last]
    assert boxes(house, last)["INBOX"][0].endswith(MAIL) and "one after another" in text(house, last, at=1)


async def test_a_script_cannot_take_away_what_ends_circles(house: House) -> None:
    script(
        house, ANN,
        'require "editheader"; deleteheader "Delivered-To"; deleteheader "Received"; deleteheader "Subject";'
        'redirect "x@far.example"; keep;',
    )  # fmt: skip
    await accept(house, ANN, data=b"Delivered-To: x@far.example\r\nReceived: by far.example\r\n" + MAIL)
    kept = text(house, ANN)
    assert kept.count("Delivered-To:") == 2 and kept.count("Received:") == 2 and "Subject" not in kept


@pytest.mark.parametrize(
    "rule", ["if not duplicate { discard; }", 'vacation "away"; discard;', "discard;", 'redirect "x@far.example";']
)
async def test_a_user_removed_between_plan_and_write(house: House, monkeypatch: pytest.MonkeyPatch, rule: str) -> None:
    """What his scripts would remember of the message goes with him; what they decided is of a moment before."""
    script(house, ANN, 'require ["vacation", "duplicate"];' + rule)
    real = receive.prepare

    def prepare(tx: Tx, *about: object) -> object:
        monkeypatch.setattr(receive, "prepare", real)
        made = real(tx, *about)  # type: ignore[arg-type]
        meanwhile(house, accounts.remove, account(house, ANN))
        return made

    monkeypatch.setattr(receive, "prepare", prepare)
    receipt = await accept(house, ANN, BOB)
    assert [outcome.denial is None for outcome in receipt.outcomes] == ["duplicate" not in rule, True]
    assert len(boxes(house, BOB)["INBOX"]) == 1 and house.inbox(BOB)[0].endswith(MAIL)
    assert [row.recipient for row in house.queued()] == (
        ["x@far.example"] if "redirect" in rule else [CARL] if "duplicate" in rule else []
    )


async def test_a_script_replaced_between_plan_and_write(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    script(house, ANN, 'require ["fileinto", "mailbox"]; fileinto :create "One";')
    real = receive.prepare

    def prepare(tx: Tx, *about: object) -> object:
        made = real(tx, *about)  # type: ignore[arg-type]
        meanwhile(house, activated, account(house, ANN), "discard;")
        return made

    monkeypatch.setattr(receive, "prepare", prepare)
    await accept(house, ANN)
    assert [*boxes(house, ANN)] == ["One"]


# ------------------------------------------------------------------------------------------------------ it is bounded


async def test_what_the_trace_keeps_of_a_script_is_bounded(house: House) -> None:
    script(house, ANN, 'require "ihave"; error "' + "x" * 60_000 + '";')
    (told,) = steps(house, await accept(house, ANN))
    assert len(told) < LIMITS.sieve_words + 20


async def _threads(house: House, monkeypatch: pytest.MonkeyPatch, *to: str) -> int:
    """How often a message was planned in a thread."""
    seen: list[object] = []
    real = house.store.read_long

    async def read(*about: object) -> object:
        seen.append(about[0])
        return await real(*about)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(house.store, "read_long", read)
        assert (await accept(house, *to)).taken
    return seen.count(receive._plan)


async def test_a_script_that_takes_long_the_first_time_does_not_stand_in_the_way(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the loop it has few steps; what they do not suffice for begins anew in a thread, and is done."""
    script(house, ANN, 'require "fileinto"; ' + 'if header "x" "y" {}' * 5 + 'fileinto "Archive";')
    monkeypatch.setattr(rules, "LIMITS", Fewer(sieve_steps_inline=5))
    assert await _threads(house, monkeypatch, ANN) == 1
    assert len(boxes(house, ANN)["Archive"]) == 1
    monkeypatch.setattr(rules, "LIMITS", Fewer(sieve_steps_inline=5, sieve_steps=6))
    await accept(house, ANN)
    assert "takes too long" in text(house, ANN, at=1)


async def test_many_scripts_for_one_message_do_not_stand_in_the_way(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(house, ANN, 'require "fileinto"; fileinto "Archive";')
    monkeypatch.setattr(planning, "LIMITS", Fewer(sieve_together=-1))
    assert await _threads(house, monkeypatch, ANN) == 1 and len(boxes(house, ANN)["Archive"]) == 1


async def test_long_included_scripts_do_not_stand_in_the_way(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def work(tx: Tx) -> None:
        sieve.put(tx, account(house, ANN), "long", "#" + " " * LIMITS.sieve_inline + '\nredirect "x@far.example";')

    house.store.write_now(work)
    script(house, ANN, 'require "include"; include "long";')
    assert [await _threads(house, monkeypatch, ANN) for _ in range(2)] == [1, 0]
    assert len(house.queued()) == 2


async def test_a_neighbour_who_gets_the_answer_does_not_stand_in_the_way(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(house, ANN, 'require "vacation"; vacation "away";')
    script(house, BOB, 'require "fileinto"; # long\n fileinto "Archive";' + " " * LIMITS.sieve_inline)
    seen: list[bool] = []
    real = programs.programs.get

    def get(tx: Tx, account_id: int, source: str, *, inline: bool = False) -> object:
        seen.append(inline)
        return real(tx, account_id, source, inline=inline)

    monkeypatch.setattr(programs.programs, "get", get)
    mail = MAIL.replace(b"carl@far.example", b"bob@here.example")
    receipt = await accept(house, ANN, sender=BOB, data=mail)
    assert receipt.taken and seen == [True, True, False, False] and len(boxes(house, BOB)["Archive"]) == 1


async def test_a_second_version_of_the_message_is_made_in_a_thread(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is read as a whole, and that is not counted as the script's."""
    rule = 'require ["editheader", "fileinto", "mailbox"];'
    change = 'addheader "X-Sorted" "yes"; fileinto :create "A";'
    script(house, ANN, rule + change)
    assert await _threads(house, monkeypatch, ANN) == 0
    script(house, ANN, rule + change + change.replace('"A"', '"B"'))
    assert await _threads(house, monkeypatch, ANN) == 1 and len(boxes(house, ANN)["B"]) == 1


async def test_a_long_message_is_not_changed_for_each_of_many(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(applying, "LIMITS", Fewer(sieve_changed=100))
    script(house, ANN, 'require "editheader"; addheader "X-Sorted" "yes";')
    script(house, BOB, 'require ["editheader", "copy"]; addheader "X-Sorted" "yes"; redirect :copy "x@far.example";')
    await accept(house, ANN, BOB)
    assert "X-Sorted" in text(house, ANN) and "X-Sorted" not in text(house, BOB)
    assert "too long to be changed" in text(house, BOB, at=1) and len(house.queued()) == 1


async def test_scripts_that_take_long_wait_for_each_other(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else they would take all threads, and the loop would hardly get its turn."""
    alone: list[bool] = []
    real = receive.prepare

    def prepare(*about: object) -> object:
        if about[-1] is True:  # where the writer is
            raise rules.Heavy
        alone.append(house.store._long.locked())
        return real(*about)  # type: ignore[arg-type]

    monkeypatch.setattr(receive, "prepare", prepare)
    receipts = await asyncio.gather(*(accept(house, ANN) for _ in range(6)))
    assert all(receipt.taken for receipt in receipts) and alone == [True] * 6


# --------------------------------------------------------------------------------------- what no other test would miss


@pytest.mark.parametrize(("sender", "field"), [(CARL, b"Auto-Submitted: auto-replied\r\n"), ("", b"")])
async def test_nobody_is_notified_of_what_no_person_wrote(house: House, sender: str, field: bytes) -> None:
    """RFC 5436 section 2.7.1: or two who notify each other would never stop."""
    script(house, ANN, 'require "enotify"; notify "mailto:dora@far.example";')
    receipt = await accept(house, ANN, sender=sender, data=field + MAIL)
    assert house.queued() == [] and "notified nobody" in steps(house, receipt)[0]
    await accept(house, ANN)
    assert len(house.queued()) == 1


async def test_what_one_script_changes_stays_changed_when_the_next_one_changes_nothing(house: House) -> None:
    everybody(house, "first", 'require "editheader"; addheader "X-Sorted" "yes";')
    script(house, ANN, 'require "imap4flags"; addflag "\\\\Seen";')
    await accept(house, ANN)
    assert text(house, ANN).startswith("X-Sorted: yes")


async def test_a_mailbox_of_somebody_else_is_none(house: House) -> None:
    number = house.store.read_now(mailboxes.get, account(house, BOB), "Archive").id
    script(
        house, ANN,
        f'require ["mailboxid", "fileinto"]; if mailboxidexists "{number}" {{ discard; stop; }}'
        f'fileinto :mailboxid "{number}" "Trash";',
    )  # fmt: skip
    await accept(house, ANN)
    assert [*boxes(house, ANN)] == ["Trash"] and boxes(house, BOB) == {}


def test_a_script_compiled_anew_takes_the_place_of_the_old_one(house: House) -> None:
    """Else the room for compiled scripts would shrink each time that an included one changes."""
    held = programs.Programs()
    number = account(house, ANN)
    for count in range(5):
        script(house, ANN, f'redirect "x{count}@far.example";', "other")
        house.store.read_now(held.get, number, 'require "include"; include "other";')
    (only,) = held._held.values()
    assert held._size == only.size
