"""Scripts of users and of the administrator, and what they remember: against a model, and over the end of time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import settings as trying
from hypothesis import strategies as st

from daemon.limits import LIMITS
from daemon.mail.address import parse_address
from daemon.store import accounts, domains, settings, sieve
from daemon.store.errors import Exists, InUse, Invalid, Missing
from daemon.store.sieve import Script
from daemon.store.tx import Tx
from tests.store.stage import add_user, memory, undone

ALICE, CAROL = 1, 2
BOB = parse_address("Bob@far.example")
DAY = 86400


@pytest.fixture(scope="module")
def shared() -> Iterator[Tx]:
    with memory() as tx:
        add_user(tx, "alice")
        add_user(tx, "carol")
        yield tx


@pytest.fixture
def tx(shared: Tx) -> Iterator[Tx]:
    now = shared.now
    with undone(shared) as tx:
        yield tx
    shared.now = now


def test_scripts_are_put_listed_activated_renamed_and_removed(tx: Tx) -> None:
    sieve.put(tx, ALICE, "main", "keep;")
    sieve.put(tx, ALICE, "é", "discard;")
    assert sieve.active(tx, ALICE) is None and sieve.get(tx, ALICE, "é") == "discard;"
    sieve.activate(tx, ALICE, "main")
    assert sieve.names(tx, ALICE) == [("main", True), ("é", False)] and sieve.names(tx, CAROL) == []
    sieve.activate(tx, ALICE, "é")
    sieve.rename(tx, ALICE, "é", "away")
    sieve.put(tx, ALICE, "away", "stop;")
    assert sieve.active(tx, ALICE) == ("away", "stop;")
    with pytest.raises(InUse):
        sieve.remove(tx, ALICE, "away")
    sieve.remove(tx, ALICE, "main")
    sieve.activate(tx, ALICE, None)
    sieve.remove(tx, ALICE, "away")
    assert sieve.names(tx, ALICE) == [] and sieve.wrong(tx, 10) == []


def test_what_is_not_there_or_there_already(tx: Tx) -> None:
    sieve.put(tx, ALICE, "a", "keep;")
    sieve.put(tx, ALICE, "b", "keep;")
    sieve.activate(tx, ALICE, "a")
    for call in (
        lambda: sieve.get(tx, ALICE, "x"),
        lambda: sieve.activate(tx, ALICE, "x"),
        lambda: sieve.remove(tx, ALICE, "x"),
        lambda: sieve.rename(tx, ALICE, "x", "y"),
        lambda: sieve.remove_global(tx, "x"),
        lambda: sieve.put_global(tx, "x", "", place="before", domain="nowhere.example"),
    ):
        with pytest.raises(Missing):
            call()
    with pytest.raises(Exists):
        sieve.rename(tx, ALICE, "a", "b")
    assert sieve.active(tx, ALICE) == ("a", "keep;")


@pytest.mark.parametrize("name", ["", "a\n", "\x00", "\u2028", "x" * (LIMITS.sieve_script_name + 1), "\ud800"])
def test_names_that_are_none(tx: Tx, name: str) -> None:
    with pytest.raises(Invalid):
        sieve.put(tx, ALICE, name, "")
    sieve.put(tx, ALICE, "good", "")
    with pytest.raises(Invalid):
        sieve.rename(tx, ALICE, "good", name)


def test_a_user_has_room_for_so_many_scripts_of_such_a_size(tx: Tx) -> None:
    def why(name: str, size: int) -> str:
        full = sieve.room(tx, ALICE, name, size)
        assert full is None or str(full) == full.text
        return "" if full is None else full.reason

    assert why("a", LIMITS.sieve_script) == "" and why("a", LIMITS.sieve_script + 1) == "too-large"
    for at in range(LIMITS.sieve_scripts):
        sieve.put(tx, ALICE, f"s{at}", "keep;")
    assert why("one more", 1) == "too-many" and why("s0", 1) == ""
    with pytest.raises(Invalid, match="may have 32 scripts"):
        sieve.put(tx, ALICE, "one more", "")
    settings.put(tx, "sieve.scripts", "40", "test")
    sieve.put(tx, ALICE, "one more", "")
    big = "#" * LIMITS.sieve_script
    for at in range(LIMITS.sieve_storage // LIMITS.sieve_script - 1):
        sieve.put(tx, ALICE, f"s{at}", big)
    assert why("one more", LIMITS.sieve_script) == "too-large" and why("s0", LIMITS.sieve_script) == ""
    settings.put(tx, "sieve.storage", "1M", "test")
    assert why("s0", LIMITS.sieve_script) == "too-large" and why("s0", 10) == "too-large"
    with pytest.raises(Invalid):
        sieve.put(tx, CAROL, "a", "\ud800")


def test_who_sees_a_user_s_mail_and_in_which_order(tx: Tx) -> None:
    domains.add(tx, "other.example")
    assert sieve.scripts(tx, ALICE) == []
    for name, place, domain in (
        ("z", "before", ""), ("a", "before", "example.org"), ("b", "after", ""), ("c", "after", "example.org"),
        ("l", "library", ""), ("x", "before", "other.example"),
    ):  # fmt: skip
        sieve.put_global(tx, name, f"# {name}", place=place, domain=domain)
    sieve.put(tx, ALICE, "mine", "# mine")
    assert [s.name for s in sieve.scripts(tx, ALICE)] == ["z", "a", "c", "b"]
    sieve.activate(tx, ALICE, "mine")
    assert sieve.scripts(tx, ALICE)[2] == Script("own", "mine", "# mine")
    assert [s.name for s in sieve.scripts(tx, ALICE)] == ["z", "a", "mine", "c", "b"]
    assert [g.name for g in sieve.globals(tx)] == ["b", "l", "z", "a", "c", "x"]
    sieve.put_global(tx, "l", "# two", place="library", domain="example.org")
    assert sieve.included(tx, ALICE, "l", True) == "# two" and sieve.included(tx, ALICE, "mine", False) == "# mine"
    sieve.remove_global(tx, "l", domain="example.org")
    assert sieve.included(tx, ALICE, "l", True) == "# l" and sieve.included(tx, CAROL, "mine", False) is None
    sieve.put_global(tx, "z", "# now after", place="after")
    assert [s.name for s in sieve.scripts(tx, ALICE)] == ["a", "mine", "c", "b", "z"]
    domains.remove(tx, "other.example")
    assert "x" not in [g.name for g in sieve.globals(tx)]
    with pytest.raises(Invalid):
        sieve.put_global(tx, "q", "", place="nowhere")
    with pytest.raises(Invalid):
        sieve.put_global(tx, "q", "#" * (LIMITS.sieve_script + 1), place="after")


def test_global_scripts_are_bounded_in_number(tx: Tx, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sieve, "LIMITS", _Fewer(sieve_globals=1))
    sieve.put_global(tx, "a", "", place="after")
    sieve.put_global(tx, "a", "keep;", place="after")
    with pytest.raises(Invalid):
        sieve.put_global(tx, "b", "", place="after")


class _Fewer:
    """Limits that a test can reach."""

    def __init__(self, **fewer: int) -> None:
        self.fewer = fewer

    def __getattr__(self, name: str) -> int:
        found: int = self.fewer[name] if name in self.fewer else getattr(LIMITS, name)
        return found


def test_an_answer_is_given_once_in_its_time(tx: Tx) -> None:
    assert not sieve.answered(tx, ALICE, "h", BOB)
    assert sieve.answer(tx, ALICE, "h", BOB, DAY) and not sieve.answer(tx, ALICE, "h", BOB, DAY)
    assert sieve.answered(tx, ALICE, "h", parse_address("bob@FAR.example"))
    assert not sieve.answered(tx, ALICE, "other", BOB) and not sieve.answered(tx, CAROL, "h", BOB)
    tx.now += DAY * 1000 - 1
    assert sieve.answered(tx, ALICE, "h", BOB) and sieve.forget(tx, 10) == 0
    tx.now += 1
    assert not sieve.answered(tx, ALICE, "h", BOB) and sieve.answer(tx, ALICE, "h", BOB, 0)
    assert sieve.answer(tx, ALICE, "h", BOB, DAY) and sieve.forget(tx, 10) == 0
    tx.now += DAY * 1000
    assert sieve.forget(tx, 10) == 1


_Step = tuple[int, str, str, int, int, bool]
_STEP = st.tuples(
    st.sampled_from([ALICE, CAROL]), st.sampled_from("gh"), st.sampled_from(["b@x.example", "c@x.example"]),
    st.integers(0, 3), st.integers(0, 2), st.booleans(),
)  # fmt: skip


@trying(deadline=None)  # a slow machine is no fault
@given(st.lists(_STEP, max_size=30))
def test_the_memory_of_answers_and_duplicates_is_as_a_simple_model_has_it(steps: list[_Step]) -> None:
    with memory() as tx:
        add_user(tx, "alice")
        add_user(tx, "carol")
        answers: dict[tuple[int, str, str], int] = {}
        seen: dict[tuple[int, str], int] = {}
        for account, handle, sender, seconds, wait, again in steps:
            tx.now += wait * 1000
            key, who = (account, handle, sender), parse_address(sender)
            free = answers.get(key, 0) <= tx.now
            assert sieve.answered(tx, account, handle, who) != free
            assert sieve.answer(tx, account, handle, who, seconds) == (free or seconds == 0)
            if free and seconds:
                answers[key] = tx.now + seconds * 1000
            new = seen.get(key[:2], 0) <= tx.now
            assert sieve.seen(tx, account, handle) != new
            assert sieve.see(tx, account, handle, seconds, again=again) == (new or again or seconds == 0)
            if again:
                seen.pop(key[:2], None)
            if seconds and (new or again):
                seen[key[:2]] = tx.now + seconds * 1000
            if wait:
                sieve.forget(tx, 100)
        assert sieve.wrong(tx, 10) == []


def test_what_is_remembered_for_one_user_is_bounded(tx: Tx, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sieve, "LIMITS", _Fewer(vacation_answers=2, sieve_seen=2))
    people = [parse_address(f"p{at}@far.example") for at in range(3)]
    assert [sieve.answer(tx, ALICE, "h", who, DAY) for who in people] == [True, True, False]
    assert [sieve.see(tx, ALICE, f"m{at}", DAY + at) for at in range(3)] == [True, True, True]
    assert [sieve.seen(tx, ALICE, f"m{at}") for at in range(3)] == [False, True, True]
    assert sieve.wrong(tx, 10) == []


def test_the_owner_hears_of_errors_once_a_day(tx: Tx) -> None:
    assert sieve.may_be_told(tx, ALICE) and sieve.told(tx, ALICE) and not sieve.told(tx, ALICE)
    assert not sieve.may_be_told(tx, ALICE) and sieve.may_be_told(tx, CAROL)
    tx.now += DAY * 1000
    assert sieve.told(tx, ALICE)
    tx.now -= 10 * DAY * 1000  # the clock went wrong
    assert sieve.told(tx, ALICE) and not sieve.told(tx, 999)


def test_a_user_s_rules_go_with_him(tx: Tx) -> None:
    sieve.put(tx, ALICE, "a", "keep;")
    sieve.activate(tx, ALICE, "a")
    sieve.answer(tx, ALICE, "h", BOB, DAY)
    sieve.see(tx, ALICE, "h", DAY)
    accounts.remove(tx, ALICE)
    sums = (
        "select (select count(*) from sieve_script) + (select count(*) from vacation_answer) + count(*) from sieve_seen"
    )
    assert tx.value(sums) == 0


def test_what_does_not_hold_is_found(tx: Tx) -> None:
    sieve.put(tx, ALICE, "a", "keep;")
    tx.run("update sieve_script set size = 7")
    tx.run("insert into vacation_answer values (1, 'h', '', 5)")
    assert [subject for subject, _ in sieve.wrong(tx, 10)] == ["script 1", "answers of account 1"]
