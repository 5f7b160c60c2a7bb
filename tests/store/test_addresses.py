"""The one resolver: a table of cases, and properties over worlds nobody thought of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.mail.address import Address, fold_local, parse_address
from daemon.store import accounts, addresses, aliases, domains
from daemon.store.addresses import Denial, Resolution, may_send_as, resolve, writers
from daemon.store.errors import Exists, Invalid
from daemon.store.tx import Tx
from tests.store.stage import address, memory, undone

Key = tuple[str, str]


@pytest.fixture(scope="module")
def world() -> Iterator[Tx]:
    """Users, aliases and forwards of a small town."""
    with memory() as tx:
        settle(tx)
        yield tx


def settle(tx: Tx) -> None:
    for name in ("a.test", "c.test", "off.test", "dash.test", "xn--bcher-kva.test"):
        domains.add(tx, name)
    domains.add(tx, "alias.test", alias_of="a.test")
    domains.add(tx, "aliasoff.test", alias_of="off.test")
    domains.change(tx, "dash.test", separators="+-")
    user: dict[str, int] = {}
    for text in (
        "alice@a.test", "bob@a.test", "carol@a.test", "dave@a.test", "Ünal@a.test", "quiet@a.test", "u@off.test",
        "mary@dash.test", "mary-ann@dash.test", "alice@c.test", "loop1@a.test", "loop2@a.test", "x+y@a.test",
        "alice@xn--bcher-kva.test", "abe@a.test", "away@a.test",
    ):  # fmt: skip
        user[text] = accounts.add(tx, address(text), None)
    accounts.change(tx, user["bob@a.test"], enabled=0)
    domains.change(tx, "off.test", enabled=0)
    for text, *targets in (
        ("team@a.test", "alice@a.test", "carol@a.test", "out@far.example"),
        ("nested@a.test", "team@a.test", "alice@a.test", "dave@a.test"),
        ("round1@a.test", "round2@a.test"),
        ("round2@a.test", "round1@a.test"),
        ("roundabout@a.test", "roundabout@a.test", "alice@a.test"),
        ("dead@a.test", "nobody@a.test"),
        ("mixed@a.test", "nobody@a.test", "alice@a.test"),
        ("sleepy@a.test", "bob@a.test"),
        ("past@a.test", "alice@a.test"),
        ("stopped@a.test", "alice@a.test"),
        ("outside@a.test", "Far@far.example", "far@far.example"),
        ("viaalias@a.test", "alice@alias.test"),
        ("only@alias.test", "carol@a.test"),
        ("*@c.test", "carol@a.test"),
        ("info@c.test", "ghost@c.test"),
        ("stopped@c.test", "alice@a.test"),
        ("both@a.test", "abe@a.test", "away@a.test"),
    ):
        aliases.add(tx, address(text), [parse_address(t) for t in targets])
    aliases.change(tx, address("past@a.test"), expires_at=tx.now)
    aliases.change(tx, address("stopped@a.test"), enabled=0)
    aliases.change(tx, address("stopped@c.test"), enabled=0)
    for text, keep, *targets in (
        ("dave@a.test", True, "dave@far.example", "carol@a.test"),
        ("quiet@a.test", False, "quiet@far.example"),
        ("loop1@a.test", False, "loop2@a.test"),
        ("loop2@a.test", False, "loop1@a.test"),
        ("away@a.test", False, "nobody@a.test"),
    ):
        accounts.set_forwards(tx, user[str(text)], [parse_address(str(t)) for t in targets], keep=bool(keep))


def found(result: Resolution) -> set[str]:
    return {str(local.address) for local in result.locals} | {onward.address for onward in result.onward}


@pytest.mark.parametrize(
    "text,want",
    [
        ("alice@a.test", {"alice@a.test"}),
        ("ALICE@a.test", {"alice@a.test"}),
        ("ünal@a.test", {"Ünal@a.test"}),
        ("u\u0308nal@a.test", {"Ünal@a.test"}),
        ("alice@xn--bcher-kva.test", {"alice@xn--bcher-kva.test"}),
        ("alice@bücher.test", {"alice@xn--bcher-kva.test"}),
        ("alice+lists@a.test", {"alice@a.test"}),
        ("alice+@a.test", {"alice@a.test"}),
        ("x+y@a.test", {"x+y@a.test"}),
        ("x+y+z@a.test", {"x+y@a.test"}),
        ("team@a.test", {"alice@a.test", "carol@a.test", "out@far.example"}),
        ("team+tag@a.test", {"alice@a.test", "carol@a.test", "out@far.example"}),
        ("nested@a.test", {"alice@a.test", "carol@a.test", "dave@a.test", "dave@far.example", "out@far.example"}),
        ("roundabout@a.test", {"alice@a.test"}),
        ("mixed@a.test", {"alice@a.test"}),
        ("outside@a.test", {"Far@far.example"}),
        ("alice@alias.test", {"alice@a.test"}),
        ("alice+tag@alias.test", {"alice@a.test"}),
        ("team@alias.test", {"alice@a.test", "carol@a.test", "out@far.example"}),
        ("only@alias.test", {"carol@a.test"}),
        ("viaalias@a.test", {"alice@a.test"}),
        ("mary-ann@dash.test", {"mary-ann@dash.test"}),
        ("mary-ann+x@dash.test", {"mary-ann@dash.test"}),
        ("mary-lists@dash.test", {"mary@dash.test"}),
        ("alice@c.test", {"alice@c.test"}),
        ("alice+x@c.test", {"alice@c.test"}),
        ("anything@c.test", {"carol@a.test"}),
        ("any.thing+x@c.test", {"carol@a.test"}),
        ("*@c.test", {"carol@a.test"}),
        ("info@c.test", {"carol@a.test"}),
        ("dave@a.test", {"dave@a.test", "dave@far.example", "carol@a.test"}),
        ("quiet@a.test", {"quiet@far.example"}),
        ("loop1@a.test", {"loop2@a.test"}),
        ("away@a.test", {"away@a.test"}),
        ("both@a.test", {"abe@a.test", "away@a.test"}),
        ("postmaster@a.test", {"alice@a.test"}),
        ("ABUSE@c.test", {"carol@a.test"}),
        ("abuse@dash.test", {"mary@dash.test"}),
        ("postmaster@alias.test", {"alice@a.test"}),
    ],
)
def test_where_mail_goes(world: Tx, text: str, want: set[str]) -> None:
    result = resolve(world, parse_address(text))
    assert found(result) == want, result.steps
    assert result.denial is None
    assert result.ours
    assert result.steps


@pytest.mark.parametrize(
    "text,denial",
    [
        ("nobody@a.test", addresses.UNKNOWN_USER),
        ("nobody@alias.test", addresses.UNKNOWN_USER),
        ("nobody+alice@a.test", addresses.UNKNOWN_USER),
        ("+alice@a.test", addresses.UNKNOWN_USER),
        ("alice-tag@a.test", addresses.UNKNOWN_USER),
        ("alice@far.example", addresses.NOT_OURS),
        ("alice@sub.a.test", addresses.NOT_OURS),
        ("bob@a.test", addresses.DISABLED),
        ("bob+x@a.test", addresses.DISABLED),
        ("u@off.test", addresses.DISABLED),
        ("u@aliasoff.test", addresses.DISABLED),
        ("sleepy@a.test", addresses.DISABLED),
        ("past@a.test", addresses.UNKNOWN_USER),
        ("stopped@a.test", addresses.UNKNOWN_USER),
        ("stopped+x@a.test", addresses.UNKNOWN_USER),
        ("stopped@c.test", addresses.UNKNOWN_USER),  # not the catch-all: it was switched off on purpose
        ("dead@a.test", addresses.UNKNOWN_USER),
        ("round1@a.test", addresses.TOO_DEEP),
        ("*@a.test", addresses.UNKNOWN_USER),
    ],
)
def test_what_is_refused_and_why(world: Tx, text: str, denial: Denial) -> None:
    result = resolve(world, parse_address(text))
    assert found(result) == set(), result.steps
    assert result.denial is denial, result.steps


def test_the_subaddress_is_told(world: Tx) -> None:
    assert resolve(world, address("alice+lists@a.test")).locals[0].tag == "lists"
    assert resolve(world, address("alice+@a.test")).locals[0].tag == ""
    assert resolve(world, address("alice@a.test")).locals[0].tag is None


def test_who_sends_it_on_is_told(world: Tx) -> None:
    (onward,) = resolve(world, address("quiet@a.test")).onward
    assert (onward.via, onward.account_id) == ("quiet@a.test", account(world, "quiet@a.test"))
    (onward,) = resolve(world, address("outside@a.test")).onward
    assert (onward.via, onward.account_id) == ("outside@a.test", None)


def account(tx: Tx, text: str) -> int:
    return accounts.get(tx, address(text)).id


def test_postmaster_without_a_domain_and_in_any_state_reaches_somebody(world: Tx) -> None:
    assert found(resolve(world, Address("postmaster", ""))) == {"alice@a.test"}
    with undone(world) as tx:
        accounts.change(tx, account(tx, "carol@a.test"), admin=1)
        assert found(resolve(tx, Address("Postmaster", ""))) == {"carol@a.test"}
        assert found(resolve(tx, address("postmaster@dash.test"))) == {"carol@a.test"}
        accounts.change(tx, account(tx, "mary@dash.test"), admin=1)
        assert found(resolve(tx, address("postmaster@dash.test"))) == {"mary@dash.test"}
        aliases.add(tx, address("postmaster@a.test"), [address("dave@a.test")])
        assert "dave@a.test" in found(resolve(tx, address("postmaster@a.test")))
        aliases.change(tx, address("postmaster@a.test"), enabled=0)
        assert found(resolve(tx, address("postmaster@a.test"))) == {"carol@a.test"}
        aliases.change(tx, address("postmaster@a.test"), enabled=1, targets=[address("nobody@a.test")])
        assert found(resolve(tx, address("postmaster@a.test"))) == {"carol@a.test"}


def test_a_server_without_users_has_no_postmaster() -> None:
    with memory() as tx:
        domains.add(tx, "a.test")
        assert resolve(tx, address("postmaster@a.test")).denial is addresses.UNKNOWN_USER
        assert resolve(tx, Address("postmaster", "")).denial is addresses.UNKNOWN_USER


@pytest.mark.parametrize(
    "user,sender,may",
    [
        ("alice@a.test", "alice@a.test", True),
        ("alice@a.test", "Alice+x@a.test", True),
        ("alice@a.test", "alice@alias.test", True),
        ("alice@a.test", "team@a.test", True),
        ("alice@a.test", "nested@a.test", True),
        ("alice@a.test", "bob@a.test", False),
        ("alice@a.test", "carol@a.test", False),
        ("alice@a.test", "alice@far.example", False),
        ("alice@a.test", "stopped@a.test", False),
        ("bob@a.test", "bob@a.test", False),
        ("carol@a.test", "anything@c.test", True),
        ("alice@a.test", "anything@c.test", False),
        ("quiet@a.test", "quiet@a.test", True),  # his forwards take nothing from him
        ("carol@a.test", "dave@a.test", False),  # nor does a forward to her make dave's address hers
    ],
)
def test_who_may_send_as_whom(world: Tx, user: str, sender: str, may: bool) -> None:
    assert may_send_as(world, account(world, user), address(sender)) is may
    assert (account(world, user) in writers(world, address(sender))) is may


def test_a_chain_too_long_is_denied_as_a_whole(world: Tx) -> None:
    with undone(world) as tx:
        for number in range(30):
            aliases.add(tx, address(f"chain{number}@a.test"), [address(f"chain{number + 1}@a.test")])
        aliases.add(tx, address("wide@a.test"), [address("alice@a.test"), address("chain0@a.test")])
        result = resolve(tx, address("wide@a.test"))
        assert result.denial is addresses.TOO_DEEP and found(result) == set()
        assert resolve(tx, address("chain25@a.test")).denial is addresses.UNKNOWN_USER


def test_an_alias_with_too_many_targets_is_denied_as_a_whole(world: Tx) -> None:
    with undone(world) as tx:
        aliases.add(tx, address("many@a.test"), [address(f"n{n}@far.example") for n in range(990)])
        assert len(resolve(tx, address("many@a.test")).onward) == 990
        aliases.change(tx, address("many@a.test"), targets=[address(f"n{n}@far.example") for n in range(1010)])
        assert resolve(tx, address("many@a.test")).denial is addresses.TOO_DEEP


def test_targets_that_are_no_addresses_any_more_are_passed_over(world: Tx) -> None:
    with undone(world) as tx:
        tx.run("insert into alias_target select id, 'rubbish' from alias where local = 'team'")
        tx.run("update forward set address = 'rubbish' where address = 'quiet@far.example'")
        assert "alice@a.test" in found(resolve(tx, address("team@a.test")))
        assert found(resolve(tx, address("quiet@a.test"))) == {"quiet@a.test"}


# ---------------------------------------------------------------------------------------- worlds nobody thought of

LOCALS = ("a", "b", "A", "a+x", "b-y", "a+x+y", "abuse", "*")
HOMES = ("one.test", "two.test")
ALIAS = "alias.test"  # stands for one.test
OUT = "out.test"


@dataclass
class Town:
    users: dict[Key, bool] = field(default_factory=dict)
    aliases: dict[Key, tuple[str, list[Address]]] = field(default_factory=dict)
    forwards: dict[Key, tuple[bool, list[Address]]] = field(default_factory=dict)


some_address = st.builds(Address, st.sampled_from(LOCALS[:-1]), st.sampled_from((*HOMES, ALIAS, OUT)))


@st.composite
def towns(draw: st.DrawFn, forwards: bool) -> Town:
    town = Town()
    for local in draw(st.lists(st.sampled_from(LOCALS[:-1]), max_size=4)):
        town.users[fold_local(local), draw(st.sampled_from(HOMES))] = draw(st.sampled_from((True, True, True, False)))
    known = [Address(*key) for key in town.users]
    targets = st.lists(
        st.one_of(st.sampled_from(known), some_address) if known else some_address, min_size=1, max_size=4
    )
    for local in draw(st.lists(st.sampled_from(LOCALS), max_size=6)):
        key = fold_local(local), draw(st.sampled_from((*HOMES, ALIAS)))
        if key not in town.users:
            state = draw(st.sampled_from(("on", "on", "on", "off", "expired")))
            town.aliases[key] = state, draw(targets)
    if forwards:
        for key in town.users:
            if draw(st.booleans()):
                town.forwards[key] = draw(st.booleans()), draw(targets)
    return town


def build(tx: Tx, town: Town) -> dict[int, Key]:
    for name in HOMES:
        domains.add(tx, name)
    domains.change(tx, "two.test", separators="-+")
    domains.add(tx, ALIAS, alias_of="one.test")
    ids: dict[int, Key] = {}
    for (local, domain), enabled in town.users.items():
        ids[accounts.add(tx, Address(local, domain), None)] = (local, domain)
        accounts.change(tx, max(ids), enabled=int(enabled))
    for (local, domain), (state, targets) in town.aliases.items():
        aliases.add(tx, Address(local, domain), targets, expires_at=tx.now if state == "expired" else None)
        if state == "off":
            aliases.change(tx, Address(local, domain), enabled=0)
    for account_id, key in ids.items():
        if key in town.forwards:
            keep, targets = town.forwards[key]
            accounts.set_forwards(tx, account_id, list({t.key: t for t in targets}.values()), keep=keep)
    return ids


def readings(local: str, domain: str) -> Iterator[Key]:
    """The entries that could answer for an address, in the order of the rules."""
    names = [(d, "-+" if d == "two.test" else "+") for d in ([domain, "one.test"] if domain == ALIAS else [domain])]
    for name, separators in names:
        yield local, name
        for place in sorted((i for i in range(1, len(local)) if local[i] in separators), reverse=True):
            yield local[:place], name
    for name, _ in names:
        yield "*", name


def entry(town: Town, target: Address) -> Key | None:
    return next((key for key in readings(*target.key) if key in town.users or key in town.aliases), None)


def reach(town: Town, start: Address) -> tuple[set[Key], set[Key]]:
    """The users and outsiders that aliases lead to: users' own forwards are not followed."""
    users: set[Key] = set()
    outside: set[Key] = set()
    seen: set[Key] = set()
    waiting = [start]
    while waiting:
        target = waiting.pop()
        if target.key in seen:
            continue
        seen.add(target.key)
        if target.domain == OUT:
            outside.add(target.key)
            continue
        key = entry(town, target)
        if key is None:
            if target.key[0] == "abuse":
                users |= role(town, target)
        elif key in town.users:
            users |= {key} if town.users[key] else set()
        elif town.aliases[key][0] == "on":
            waiting += town.aliases[key][1]
    return users, outside


def role(town: Town, target: Address) -> set[Key]:
    at_home = [k for k, on in town.users.items() if on and k[1] == target.domain]
    anywhere = [k for k, on in town.users.items() if on]
    return set((at_home or anywhere)[:1])


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(town=towns(forwards=False), target=some_address)
def test_aliases_lead_exactly_where_the_rules_say(empty: Tx, town: Town, target: Address) -> None:
    with undone(empty) as tx:
        ids = build(tx, town)
        result = resolve(tx, target)
        if target.domain == OUT:
            assert result.denial is addresses.NOT_OURS
            return
        users, outside = reach(town, target)
        if not users and not outside and target.key[0] == "abuse":
            users = role(town, target)
        assert {ids[local.account_id] for local in result.locals} == users, result.steps
        assert {parse_address(o.address).key for o in result.onward} == outside, result.steps
        assert len(result.locals) == len(users) and len(result.onward) == len(outside)
        assert (result.denial is None) == bool(users or outside)
        assert {ids[a] for a in writers(tx, target)} == users


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(town=towns(forwards=True), target=some_address)
def test_nobody_is_left_out_in_silence(empty: Tx, town: Town, target: Address) -> None:
    """Whoever aliases reach has a copy, or wanted none and somebody he forwards to is reached."""
    if target.domain == OUT:
        return
    with undone(empty) as tx:
        ids = build(tx, town)
        result = resolve(tx, target)
        have = {ids[local.account_id] for local in result.locals}
        outside = {parse_address(o.address).key for o in result.onward}
        users, beyond = reach(town, target)
        for user in users - have:
            keep, targets = town.forwards[user]
            assert not keep
            assert any(t.key in outside or reached(town, t, have, outside, {user}) for t in targets), result.steps
        assert beyond <= outside
        assert (result.denial is None) == bool(have or outside)
        if users:
            assert result.denial is None


def reached(town: Town, target: Address, have: set[Key], outside: set[Key], past: set[Key]) -> bool:
    """Whether somebody in `have` or `outside` is reached from `target`, through forwards too."""
    users, beyond = reach(town, target)
    if beyond & outside or users & have:
        return True
    for user in users - past:
        if user in town.forwards and any(
            t.key in outside or reached(town, t, have, outside, past | {user}) for t in town.forwards[user][1]
        ):
            return True
    return False


@pytest.fixture(scope="module")
def empty() -> Iterator[Tx]:
    with memory() as tx:
        yield tx


# ------------------------------------------------------------------------------- what could make the resolver wrong


def test_a_domain_with_users_or_alias_domains_cannot_become_an_alias(world: Tx) -> None:
    with undone(world) as tx:
        with pytest.raises(Invalid, match="has users"):
            domains.change(tx, "c.test", alias_of="a.test")
        domains.add(tx, "free.test")
        domains.add(tx, "of-free.test", alias_of="free.test")
        with pytest.raises(Invalid, match="other domains"):
            domains.change(tx, "free.test", alias_of="a.test")
        with pytest.raises(Invalid, match="alias domain itself"):
            domains.add(tx, "deep.test", alias_of="of-free.test")
        domains.change(tx, "of-free.test", alias_of=None)
        domains.change(tx, "free.test", alias_of="a.test")
        assert found(resolve(tx, address("alice@free.test"))) == {"alice@a.test"}


def test_a_name_is_a_user_or_an_alias_never_both(world: Tx) -> None:
    with undone(world) as tx:
        with pytest.raises(Exists, match="is a user"):
            aliases.add(tx, address("ALICE@a.test"), [address("x@far.example")])
        with pytest.raises(Exists, match="is an alias"):
            accounts.add(tx, address("Team@a.test"), None)
        with pytest.raises(Invalid, match="alias domain"):
            accounts.add(tx, address("new@alias.test"), None)
