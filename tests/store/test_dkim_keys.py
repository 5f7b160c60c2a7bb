"""Signing keys and their life, and that the checker knows when one is not as it must be."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from daemon.store import dkim_keys, domains
from daemon.store.check import check
from daemon.store.db import Store
from daemon.store.dkim_keys import Key, Made
from daemon.store.errors import Exists, Missing
from daemon.store.tx import Tx
from tests.store.stage import memory

RSA = Made("rsa-sha256", "PEM of RSA", "UlNB")
ED = Made("ed25519-sha256", "PEM of Ed25519", "RWQ=")
DAY = 86_400_000


@pytest.fixture
def tx() -> Iterator[Tx]:
    with memory() as tx:
        domains.add(tx, "here.example")
        yield tx


def states(tx: Tx, domain: str = "here.example") -> list[str]:
    return [f"{key.selector} {key.state}" for key in dkim_keys.everyone(tx, domain)]


def signs(tx: Tx, *names: str) -> list[str]:
    return [f"{key.selector} {key.private_key}" for key in dkim_keys.signing(tx, names or ("here.example",))]


def publish(tx: Tx, key: Key) -> list[str]:
    return [f"{key.selector} {key.state}" for key in dkim_keys.note(tx, key.id, True)]


def test_the_first_keys_of_a_domain_sign_at_once(tx: Tx) -> None:
    made = dkim_keys.add(tx, "here.example", [RSA, ED])
    assert states(tx) == ["202701-rsa-1 active", "202701-ed25519-2 active"]
    assert signs(tx) == ["202701-rsa-1 PEM of RSA", "202701-ed25519-2 PEM of Ed25519"]
    assert made[0].name == "202701-rsa-1._domainkey.here.example"
    assert made[0].record == "v=DKIM1; k=rsa; p=UlNB" and made[1].record == "v=DKIM1; k=ed25519; p=RWQ="
    assert (made[0].seen_at, made[0].activated_at) == (None, tx.now)


def test_a_new_key_waits_until_it_is_seen_and_the_old_one_stays_for_a_while(tx: Tx) -> None:
    dkim_keys.add(tx, "here.example", [RSA, ED])
    new = dkim_keys.add(tx, "here.example", [RSA._replace(private_key="PEM 2")])[0]
    assert new.state == "pending" and "PEM 2" not in " ".join(signs(tx))
    with pytest.raises(Exists, match="rotate here.example"):
        dkim_keys.add(tx, "here.example", [RSA])
    tx.now += 1000
    assert dkim_keys.note(tx, new.id, False) == [], "still not there"
    assert publish(tx, new) == ["202701-rsa-3 active", "202701-rsa-1 retired"]
    assert signs(tx) == ["202701-ed25519-2 PEM of Ed25519", "202701-rsa-3 PEM 2"]
    assert [key.selector for key in dkim_keys.published(tx, "here.example")][0] == "202701-rsa-1", "for mail on its way"
    assert dkim_keys.let_go(tx, tx.now - 1) == []
    tx.now += DAY
    assert [key.state for key in dkim_keys.let_go(tx, tx.now - DAY)] == ["gone"]
    assert "202701-rsa-1" not in [key.selector for key in dkim_keys.published(tx, "here.example")]


def test_a_private_key_that_signs_no_more_is_wiped(tx: Tx) -> None:
    dkim_keys.add(tx, "here.example", [RSA, ED])
    new = dkim_keys.add(tx, "here.example", [RSA])[0]
    publish(tx, new)
    dkim_keys.remove(tx, "here.example", "202701-ed25519-2")
    assert tx.all("select id, private_key from dkim_key") == [(1, ""), (2, ""), (3, "PEM of RSA")]
    assert "PEM" not in repr(dkim_keys.signing(tx, ["here.example"])[0]), "nor is it ever shown"


def test_what_is_seen_of_an_active_key_is_remembered(tx: Tx) -> None:
    key = dkim_keys.add(tx, "here.example", [RSA])[0]
    assert dkim_keys.wanted(tx) == [key]
    assert publish(tx, key) == [], "its state is the same"
    assert dkim_keys.wanted(tx) == [] and dkim_keys.get(tx, "here.example", key.selector).seen_at == tx.now


def test_a_removed_key_is_known_until_its_record_is_gone(tx: Tx) -> None:
    key = dkim_keys.add(tx, "here.example", [RSA])[0]
    publish(tx, key)
    gone = dkim_keys.remove(tx, "here.example", key.selector)
    assert gone is not None and (gone.state, gone.gone_at) == ("gone", tx.now)
    assert signs(tx) == [] and dkim_keys.wanted(tx) == [gone] and dkim_keys.without(tx) == []
    assert dkim_keys.note(tx, key.id, False) == [] and dkim_keys.wanted(tx) == []
    assert dkim_keys.remove(tx, "here.example", key.selector) is None
    assert dkim_keys.without(tx) == ["here.example"]
    with pytest.raises(Missing, match="dkim list here.example"):
        dkim_keys.remove(tx, "here.example", key.selector)
    assert dkim_keys.note(tx, key.id, True) == [], "news of a key that is not there any more"


def test_a_selector_is_never_used_twice(tx: Tx) -> None:
    seen = set()
    for _ in range(3):
        key = dkim_keys.add(tx, "here.example", [RSA])[0]
        assert key.selector not in seen and len(key.selector) <= 63
        seen.add(key.selector)
        dkim_keys.remove(tx, "here.example", key.selector)
        dkim_keys.remove(tx, "here.example", key.selector)


def test_only_who_has_none_gets_first_keys(tx: Tx) -> None:
    domains.add(tx, "alias.example", alias_of="here.example")
    assert dkim_keys.without(tx) == ["alias.example", "here.example"]
    assert len(dkim_keys.add_first(tx, "alias.example", [RSA, ED])) == 2
    assert dkim_keys.add_first(tx, "alias.example", [RSA, ED]) == []
    assert dkim_keys.add_first(tx, "nowhere.example", [RSA]) == [], "removed meanwhile"
    with pytest.raises(Missing):
        dkim_keys.add(tx, "nowhere.example", [RSA])


def test_the_nearest_domain_of_ours_signs(tx: Tx) -> None:
    domains.add(tx, "sub.here.example")
    domains.add(tx, "alias.example", alias_of="here.example")
    for name in ("here.example", "sub.here.example", "alias.example"):
        dkim_keys.add(tx, name, [RSA._replace(private_key=name)])

    def by(*names: str) -> list[tuple[str, str]]:
        return [(key.domain, key.private_key) for key in dkim_keys.signing(tx, names)]

    assert by("mx.here.example", "here.example", "example") == [("here.example", "here.example")]
    assert by("sub.here.example", "here.example") == [("sub.here.example", "sub.here.example")]
    assert by("alias.example", "example") == [("alias.example", "alias.example")], "an alias domain is itself"
    assert by("there.example", "example") == []
    domains.change(tx, "sub.here.example", enabled=0)
    assert by("sub.here.example", "here.example") == [], "disabled: nothing is from there"


def test_keys_go_with_their_domain(tx: Tx) -> None:
    dkim_keys.add(tx, "here.example", [RSA, ED])
    domains.remove(tx, "here.example")
    assert dkim_keys.everyone(tx) == [] and tx.value("select count(*) from dkim_key") == 0


@pytest.mark.parametrize(
    "change, why",
    [
        (
            "drop index dkim_key_active; update dkim_key set state = 'active', activated_at = created_at",
            "two such keys",
        ),
        ("update dkim_key set private_key = '' where state = 'active'", "private key do not fit"),
        ("update dkim_key set private_key = 'PEM' where state = 'retired'", "private key do not fit"),
        ("update dkim_key set activated_at = null where state = 'active'", "active since no time"),
        ("update dkim_key set retired_at = null where state = 'retired'", "retired since no time"),
        ("update dkim_key set gone_at = null where state = 'gone'", "gone since no time"),
        ("update dkim_key set retired_at = created_at - 1 where state = 'retired'", "not in order"),
        ("update dkim_key set selector = 'a.b' where id = 1", "no DNS label"),
        ("update dkim_key set public_key = '' where id = 1", "no public key"),
    ],
)
def test_the_checker_sees_what_must_not_be(store: Store, change: str, why: str) -> None:
    def work(tx: Tx) -> None:
        domains.add(tx, "here.example")
        dkim_keys.add(tx, "here.example", [ED])
        dkim_keys.add(tx, "here.example", [RSA])
        dkim_keys.note(tx, dkim_keys.add(tx, "here.example", [ED])[0].id, True)
        old = dkim_keys.add(tx, "here.example", [RSA])[0]
        dkim_keys.remove(tx, "here.example", old.selector)
        dkim_keys.add(tx, "here.example", [RSA])

    store.write_now(work)
    assert list(check(store, deep=False)) == []
    for statement in change.split(";"):
        store.write_now(Tx.run, statement)
    found = list(check(store, deep=False))
    assert found and {finding.reason for finding in found} == {"dkim-key-wrong"}
    assert any(why in finding.text for finding in found), found
