"""The one door for passwords."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import argon2
import pytest

from daemon import passwords
from daemon.config import Config, DataDir
from daemon.limits import LIMITS
from daemon.mail.address import Address
from daemon.serve import login as login_module
from daemon.serve import refusals as refusals_module
from daemon.serve.login import REASONS, Door, LoginRefused
from daemon.serve.refusals import Refusals
from daemon.serve.throttle import Bans, Throttle, is_private, network_of
from daemon.store import accounts, bans, domains, events
from daemon.store.db import Store, StoreFull
from daemon.store.tx import Tx
from daemon.wire import sasl

STRANGER = "203.0.113.9"
ALICE = Address("alice", "example.org")
SALT = b"0123456789abcdef"


class House:
    """A store with Alice and Bob, and a door whose clock and sleep are ours."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.now = 1000.0
        self.slept: list[float] = []
        self.settings: dict[str, str] = {"auth.scram_plus": "yes"}
        self.hashed: list[str] = []
        self.refusals = Refusals(store)
        self.bans = Bans(store)
        self.door = Door(
            store,
            lambda: Config(self.settings.items()),
            self.bans,
            self.refusals,
            clock=lambda: self.now,
            sleep=self.sleep,
        )

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def says(self, login: str, password: str, *, peer: str = STRANGER, service: str = "imap") -> str:
        """`ok`, or the reason of the refusal."""
        try:
            await self.door.plain(service, peer, login, password, True)
        except LoginRefused as refused:
            assert refused.text == REASONS[refused.reason][0]
            return refused.reason
        return "ok"

    async def settled(self) -> None:
        """Wait for what is written in the background."""
        while self.door._tasks:
            await asyncio.gather(*self.door._tasks)

    def set(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        return self.store.write_now(lambda tx: function(tx, *args, **options))


def password(word: str) -> accounts.Password:
    return accounts.Password(*passwords.keep(word, SALT, 4096))


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.setattr(passwords, "_HASHER", argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    passwords._nobody.cache_clear()
    store = Store.open(DataDir(tmp_path / "data"))
    store.attach(asyncio.get_running_loop())
    store.write_now(domains.add, "example.org")
    store.write_now(accounts.add, ALICE, password("secret"))
    store.write_now(accounts.add, Address("bob", "example.org"), password("geheim"))
    house = House(store)
    for name in ("verify", "burn"):
        monkeypatch.setattr(passwords, name, _counted(house.hashed, name, getattr(passwords, name)))
    yield house
    await house.door.close()
    await house.refusals.flush()
    house.bans.close()
    store.close()
    passwords._nobody.cache_clear()


def _counted(calls: list[str], name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def counted(*args: Any) -> Any:
        calls.append(name)
        return function(*args)

    return counted


# -- names and passwords -----------------------------------------------------------------------------------------------


async def test_the_right_password_opens_and_the_wrong_one_does_not(house: House) -> None:
    identity = await house.door.plain("imap", STRANGER, "Alice@Example.ORG", "secret", True)
    assert identity.address == ALICE and not identity.scopes
    assert await house.says("alice@example.org", "Secret") == "wrong-password"
    assert await house.says("alice@example.org", "") == "wrong-password"
    assert await house.says("alice@example.org", "x" * 5000) == "wrong-password"
    assert await house.says("nobody@example.org", "secret") == "unknown-user"
    assert await house.says("alice@example.net", "secret") == "unknown-user"
    assert await house.says("not an address@", "secret") == "unknown-user"
    assert await house.says("a" * 5000, "secret") == "unknown-user"


async def test_a_stranger_cannot_tell_a_wrong_password_from_an_unknown_user(house: House) -> None:
    texts = set()
    for name in ("alice@example.org", "nobody@example.org"):
        house.hashed.clear()
        with pytest.raises(LoginRefused) as caught:
            await house.door.plain("imap", STRANGER, name, "wrong", True)
        texts.add((caught.value.text, caught.value.temporary))
        assert len(house.hashed) == 1  # both cost one argon2
    assert len(texts) == 1


async def test_the_local_part_is_enough_where_there_is_one_domain(house: House) -> None:
    assert await house.says("alice", "secret") == "ok"
    house.set(domains.add, "alias.example", alias_of="example.org")
    assert await house.says("alice", "secret") == "ok"
    assert await house.says("alice@alias.example", "secret") == "ok"
    house.set(domains.add, "example.net")
    assert await house.says("alice", "secret") == "unknown-user"


async def test_a_disabled_user_is_told_so_only_with_the_right_password(house: House) -> None:
    account = house.store.peek(accounts.get, ALICE)
    house.set(accounts.change, account.id, enabled=0)
    assert await house.says("alice@example.org", "wrong") == "wrong-password"
    assert await house.says("alice@example.org", "secret") == "disabled"


async def test_a_user_without_a_password_has_no_way_in(house: House) -> None:
    house.set(accounts.add, Address("carol", "example.org"), None)
    assert await house.says("carol@example.org", "") == "wrong-password"
    assert await house.says("carol@example.org", "secret") == "wrong-password"


async def test_no_password_without_tls_unless_the_setting_says_so(house: House) -> None:
    with pytest.raises(LoginRefused) as caught:
        await house.door.plain("imap", "127.0.0.1", "alice@example.org", "secret", False)
    assert caught.value.reason == "tls-required"
    assert house.door.offered(False) == ()
    assert house.door.offered(True)[0] == "SCRAM-SHA-256"
    assert house.door.offered(True, b"x")[0] == "SCRAM-SHA-256-PLUS"
    house.settings["auth.require_tls"] = "no"
    assert (await house.door.plain("imap", STRANGER, "alice@example.org", "secret", False)).address == ALICE
    assert "SCRAM-SHA-256-PLUS" not in house.door.offered(False, b"x")
    house.settings["auth.scram_plus"] = "no"  # the default: GNU SASL fails where it is announced
    assert "SCRAM-SHA-256-PLUS" not in house.door.offered(True, b"x")


# -- the cache ---------------------------------------------------------------------------------------------------------


async def test_a_success_is_remembered_for_some_minutes_and_a_failure_never(house: House) -> None:
    for _ in range(3):
        assert await house.says("alice@example.org", "secret") == "ok"
    assert house.hashed == ["verify"]
    for _ in range(2):
        assert await house.says("alice@example.org", "wrong") == "wrong-password"
    assert house.hashed == ["verify"] * 3
    house.now += LIMITS.login_cache + 1
    assert await house.says("alice@example.org", "secret") == "ok"
    assert house.hashed == ["verify"] * 4


async def test_a_changed_password_counts_at_once(house: House) -> None:
    assert await house.says("alice@example.org", "secret") == "ok"
    account = house.store.peek(accounts.get, ALICE)
    house.set(accounts.set_password, account.id, password("new"))
    assert await house.says("alice@example.org", "secret") == "wrong-password"
    assert await house.says("alice@example.org", "new") == "ok"
    house.set(accounts.set_password, account.id, password("secret"))
    assert await house.says("alice@example.org", "secret") == "ok"
    assert house.hashed == ["verify"] * 4


async def test_a_user_removed_and_made_anew_has_only_the_new_password(house: House) -> None:
    assert await house.says("alice@example.org", "secret") == "ok"
    await house.settled()
    house.set(accounts.remove, house.store.peek(accounts.get, ALICE).id)
    assert await house.says("alice@example.org", "secret") == "unknown-user"
    house.set(accounts.add, ALICE, password("other"))
    assert await house.says("alice@example.org", "secret") == "wrong-password"
    assert await house.says("alice@example.org", "other") == "ok"


async def test_a_client_that_opens_five_connections_at_once_is_hashed_once(house: House) -> None:
    answers = await asyncio.gather(*(house.says("alice@example.org", "secret") for _ in range(5)))
    assert answers == ["ok"] * 5
    assert house.hashed == ["verify"]


# -- app passwords -----------------------------------------------------------------------------------------------------


def app_password(house: House, name: str, word: str, scopes: str = "", expires_at: int | None = None) -> int:
    account = house.store.peek(accounts.get, ALICE)
    keys = sasl.scram_keys(word, SALT, 4096)
    key = accounts.Key(keys.stored, keys.server, None, scopes)
    made: int = house.set(
        accounts.add_app_password, account.id, name, passwords.digest(word), key, expires_at=expires_at
    )
    return made


async def test_an_app_password_opens_its_services_until_it_expires_or_goes(house: House) -> None:
    phone = app_password(house, "phone", "phonephonephonephone", "imap smtp")
    assert await house.says("alice@example.org", "phonephonephonephone") == "ok"
    assert await house.says("alice@example.org", "phonephonephonephone", service="smtp") == "ok"
    assert await house.says("alice@example.org", "phonephonephonephone", service="pop3") == "scope"
    assert await house.says("bob@example.org", "phonephonephonephone") == "wrong-password"
    identity = await house.door.plain("imap", STRANGER, "alice@example.org", "phonephonephonephone", True)
    assert identity.app_password_id == phone and identity.scopes == {"imap", "smtp"}
    assert "verify" not in house.hashed[:-1]  # looked up by its digest; the last one was Bob's
    app_password(house, "old", "oldoldoldoldoldoldol", expires_at=house.store.clock() - 1)
    assert await house.says("alice@example.org", "oldoldoldoldoldoldol") == "wrong-password"
    house.set(accounts.remove_app_password, identity.account_id, "phone")
    assert await house.says("alice@example.org", "phonephonephonephone") == "wrong-password"
    await house.settled()


async def test_a_disabled_user_cannot_use_an_app_password(house: House) -> None:
    app_password(house, "phone", "phonephonephonephone")
    house.set(accounts.change, house.store.peek(accounts.get, ALICE).id, enabled=0)
    assert await house.says("alice@example.org", "phonephonephonephone") == "disabled"


# -- what is written down ----------------------------------------------------------------------------------------------


async def test_a_login_is_recorded_once_an_hour_and_place(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Any] = []
    real = accounts.logged_in

    def counted(tx: Tx, *args: Any) -> None:
        written.append(args)
        real(tx, *args)

    monkeypatch.setattr(accounts, "logged_in", counted)
    for _ in range(3):
        assert await house.says("alice@example.org", "secret") == "ok"
    assert await house.says("alice@example.org", "secret", peer="2001:db8::1") == "ok"
    assert await house.says("alice@example.org", "secret", peer="2001:db8::2") == "ok"
    await house.settled()
    assert len(written) == 2
    house.now += 3601
    assert await house.says("alice@example.org", "secret") == "ok"
    await house.settled()
    assert len(written) == 3
    account = house.store.peek(accounts.get, ALICE)
    assert account.last_login_at is not None
    assert house.store.peek(accounts.is_good_address, "2001:db8::/64", account.id)


async def test_a_full_store_refuses_nobody(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(*args: Any, **options: Any) -> None:
        raise StoreFull("the disk is full")

    monkeypatch.setattr(house.store, "write", full)
    assert await house.says("alice@example.org", "secret") == "ok"
    assert await house.says("alice@example.org", "wrong") == "wrong-password"
    await house.settled()
    await house.refusals.flush()


async def test_every_refusal_is_summed_under_its_reason(house: House) -> None:
    for _ in range(3):
        await house.says("alice@example.org", "wrong")
    await house.says("nobody@example.org", "x")
    await house.refusals.flush()
    rows = {(r["reason"], r["sender"]): r["count"] for r in house.store.peek(events.refusals)}
    assert rows == {("login-wrong-password", "alice@example.org"): 3, ("login-unknown-user", "nobody@example.org"): 1}
    assert house.store.peek(events.refusals)[0]["peer"] == STRANGER


async def test_refusals_are_written_by_themselves_after_a_while(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals_module, "_EVERY", 0.0)

    def written() -> int:
        return int(house.store.peek(lambda tx: tx.value("select coalesce(sum(count), 0) from refusal")))

    async with asyncio.timeout(10):
        for number in range(1, 4):
            house.refusals.add(STRANGER, "test")
            await asyncio.sleep(0)  # some come while others are being written
            if number % 2:
                while written() < number:
                    await asyncio.sleep(0)
    await house.refusals.flush()
    assert written() == 3


async def test_refusals_are_bounded(house: House) -> None:
    for number in range(1100):
        house.refusals.add(f"192.0.2.{number % 250}", "test", sender=str(number))
    await asyncio.wait_for(house.refusals.flush(), 10)
    rows = house.store.peek(events.refusals)
    assert len(house.store.peek(lambda tx: tx.all("select 1 from refusal"))) == 1001
    assert sum(house.store.peek(lambda tx: tx.all("select sum(count) from refusal"))[0]) == 1100
    assert rows


async def test_an_imported_hash_is_hashed_anew_and_gets_scram_keys(house: House) -> None:
    kept = accounts.Password("$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", b"", 0, b"", b"")
    carol = house.set(accounts.add, Address("carol", "example.org"), kept)
    house.set(lambda tx: tx.run("update account set scram_salt = null, stored_key = null where id = ?", carol))
    assert await house.says("carol@example.org", "U*U") == "ok"
    await house.settled()
    known = house.store.peek(accounts.credentials, Address("carol", "example.org"))
    assert known is not None and known.password_hash is not None
    assert known.password_hash.startswith("$argon2id$") and len(known.keys) == 1
    house.now += LIMITS.login_cache + 1
    assert await house.says("carol@example.org", "U*U") == "ok"
    assert await scram(house, "carol@example.org", "U*U") == "ok"


async def test_an_unknown_scheme_is_a_wrong_password(house: House) -> None:
    house.set(lambda tx: tx.run("update account set password_hash = '{PLAIN}secret' where local_key = 'bob'"))
    assert await house.says("bob@example.org", "secret") == "wrong-password"


# -- guessing ----------------------------------------------------------------------------------------------------------


async def test_whoever_guesses_waits_longer_and_longer_and_is_banned(house: House) -> None:
    answers = [await house.says("alice@example.org", f"guess {n}") for n in range(LIMITS.login_failures)]
    assert answers == ["wrong-password"] * LIMITS.login_failures
    assert house.slept == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0]
    assert await house.says("alice@example.org", "secret") == "banned"
    assert await house.says("bob@example.org", "geheim") == "banned"
    assert house.bans.reason(STRANGER) == "login-failures"
    assert house.bans.reason("203.0.113.10") is None
    [ban] = house.store.peek(bans.in_force)
    assert ban.network == STRANGER and ban.until_at is not None
    house.set(bans.remove, STRANGER)
    await asyncio.sleep(0)
    assert await house.says("alice@example.org", "secret") == "ok"


async def test_an_ipv6_customer_is_one_stranger(house: House) -> None:
    for n in range(LIMITS.login_failures):
        await house.says("alice@example.org", f"guess {n}", peer=f"2001:db8:1:2::{n}")
    assert await house.says("alice@example.org", "secret", peer="2001:db8:1:2:ffff::1") == "banned"
    assert await house.says("alice@example.org", "secret", peer="2001:db8:1:3::1") == "ok"


async def test_the_owners_last_good_address_is_never_banned_nor_slowed_for_his_failures(house: House) -> None:
    assert await house.says("alice@example.org", "secret") == "ok"
    await house.settled()
    for n in range(3 * LIMITS.login_failures):
        assert await house.says("alice@example.org", f"typo {n}") == "wrong-password"
    assert house.slept == []
    assert await house.says("alice@example.org", "secret") == "ok"
    for n in range(LIMITS.login_failures):  # it is no licence to guess at others
        await house.says("bob@example.org", f"guess {n}")
    assert await house.says("bob@example.org", "geheim") == "banned"


async def test_an_attack_on_an_account_from_everywhere_does_not_lock_its_owner_out(house: House) -> None:
    assert await house.says("alice@example.org", "secret", peer="198.51.100.7") == "ok"
    await house.settled()
    for n in range(30):
        await house.says("alice@example.org", f"guess {n}", peer=f"203.0.113.{n}")
    assert house.slept[-1] == LIMITS.login_delay  # the account is guessed at: everybody else waits
    house.slept.clear()
    assert await house.says("alice@example.org", "secret", peer="198.51.100.7") == "ok"
    assert house.slept == []


async def test_a_forgotten_phone_with_the_old_password_is_not_banned(house: House) -> None:
    for _ in range(5 * LIMITS.login_failures):
        assert await house.says("alice@example.org", "last year's") == "wrong-password"
    assert house.slept == []


async def test_private_networks_are_slowed_and_never_banned(house: House) -> None:
    for n in range(2 * LIMITS.login_failures):
        assert await house.says("alice@example.org", f"guess {n}", peer="172.17.0.1") == "wrong-password"
    assert house.slept[-1] == LIMITS.login_delay
    assert await house.says("alice@example.org", "secret", peer="172.17.0.1") == "ok"


async def test_exempt_networks_are_never_limited(house: House) -> None:
    house.settings["limits.exempt_networks"] = "203.0.113.0/24"
    for n in range(3 * LIMITS.login_failures):
        assert await house.says("alice@example.org", f"guess {n}") == "wrong-password"
    house.set(bans.add, "203.0.113.0/24", "by hand", None)
    assert await house.says("alice@example.org", "secret") == "ok"
    assert house.slept == []


async def test_failures_are_forgotten_after_the_window(house: House) -> None:
    for n in range(LIMITS.login_failures - 1):
        await house.says("alice@example.org", f"guess {n}")
    house.now += LIMITS.login_window + 1
    house.slept.clear()
    assert await house.says("alice@example.org", "one more") == "wrong-password"
    assert house.slept == []


async def test_bans_of_networks_and_of_the_administrator_hold(house: House) -> None:
    house.set(bans.add, "198.51.100.0/24", "by hand", None)
    house.set(bans.add, "2001:db8::/32", "by hand", house.store.clock() + 1000)
    house.set(bans.add, "nonsense", "by hand", None)
    house.bans.reload()
    assert house.bans.reason("198.51.100.77") == "by hand"
    assert house.bans.reason("2001:db8:5::1") == "by hand"
    assert house.bans.reason("192.0.2.1") is None
    assert house.bans.reason("/run/socket") is None


async def test_the_queue_is_bounded_and_users_find_room_in_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the threads are busy with strangers: half of the queue is theirs, and users come first."""
    assert await house.says("alice@example.org", "secret") == "ok"
    await house.settled()
    go = threading.Event()
    order: list[str] = []

    def slow(password: str) -> None:
        go.wait(10)
        order.append("stranger")

    monkeypatch.setattr(passwords, "burn", slow)
    half = LIMITS.login_queue // 2
    strangers = [
        asyncio.ensure_future(house.says(f"user{n}@example.org", "x", peer=f"198.51.100.{n}")) for n in range(half + 5)
    ]
    await asyncio.sleep(0)
    assert await house.says("bob@example.org", "geheim") == "busy"
    monkeypatch.setattr(passwords, "verify", lambda *args: order.append("user"))
    users = [asyncio.ensure_future(house.says("alice@example.org", f"typo {n}")) for n in range(half + 5)]
    await asyncio.sleep(0)
    assert await house.says("alice@example.org", "secret") == "ok"  # out of the cache
    await asyncio.sleep(0)
    go.set()
    answers = await asyncio.gather(*strangers)
    assert (answers.count("unknown-user"), answers.count("busy")) == (half, 5)
    answers = await asyncio.gather(*users)
    assert (answers.count("wrong-password"), answers.count("busy")) == (half, 5)
    before = order[: LIMITS.login_workers + half - 1]  # those the threads held already, in whatever order they end
    assert before.count("stranger") <= LIMITS.login_workers
    assert house.door._hashers.waiting == 0


async def test_waiting_for_a_delay_is_bounded_too(house: House) -> None:
    for n in range(5):
        await house.says("alice@example.org", f"guess {n}")
    house.door._delayed = LIMITS.login_delayed
    assert await house.says("alice@example.org", "secret") == "throttled"
    house.door._delayed = 0
    assert await house.says("alice@example.org", "secret") == "ok"


async def test_hashing_does_not_hold_the_loop(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gate of traps A12, in small: while wrong passwords are being hashed, the loop goes on turning."""
    turned, threads = threading.Event(), set[threading.Thread]()

    def slow(password: str) -> None:
        threads.add(threading.current_thread())
        turned.wait(10)

    monkeypatch.setattr(passwords, "burn", slow)
    done = asyncio.gather(*(house.says(f"user{n}@example.org", "x", peer=f"198.51.100.{n}") for n in range(20)))
    while not threads:
        await asyncio.sleep(0)
    for _ in range(100):
        await asyncio.sleep(0)
    assert not done.done(), "the hashes wait for the loop, and it has turned"
    turned.set()
    assert await done == ["unknown-user"] * 20
    assert threading.main_thread() not in threads


async def test_the_queue_is_empty_again_after_the_rush(house: House) -> None:
    await asyncio.gather(*(house.says(f"user{n}@example.org", "x", peer=f"198.51.100.{n}") for n in range(40)))
    await asyncio.sleep(0)
    assert house.door._hashers.waiting == 0


def test_the_memory_of_failures_is_bounded() -> None:
    throttle = Throttle(lambda: 0.0)
    for n in range(3 * LIMITS.login_cached):
        throttle.failed(f"network {n}", f"account {n}", b"x")
    assert len(throttle._counts) <= 2 * LIMITS.login_cached
    for n in range(1000):
        throttle.failed("one", "one", str(n).encode())
    assert throttle.failed("one", "one", b"x") <= 4 * LIMITS.login_failures


@pytest.mark.parametrize(
    "address, network, private",
    [
        ("203.0.113.9", "203.0.113.9", False),
        ("::ffff:203.0.113.9", "203.0.113.9", False),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", False),
        ("fe80::1%eth0", "fe80::/64", True),
        ("127.0.0.1", "127.0.0.1", True),
        ("::1", "::/64", False),
        ("/run/socket", "/run/socket", True),
    ],
)
def test_what_counts_as_one_stranger(address: str, network: str, private: bool) -> None:
    assert network_of(address) == network
    if address != "::1":
        assert is_private(network) is private


# -- SASL --------------------------------------------------------------------------------------------------------------


async def scram(
    house: House, login: str, word: str, *, service: str = "imap", initial: bool = True, peer: str = STRANGER
) -> str:
    """Log in with our own client side; `ok` or the reason."""
    client = sasl.client_scram(login, word, "clientnonce0123456789")
    first = next(client)
    assert isinstance(first, bytes)

    async def ask(challenge: bytes) -> bytes:
        if not challenge:
            assert isinstance(first, bytes)
            return sasl.encode(first)
        said = client.send(sasl.decode(challenge))
        if isinstance(said, sasl.Derive):
            said = client.send(sasl.salted(said.password, said.salt, said.iterations))
        assert isinstance(said, bytes)
        return sasl.encode(said)

    try:
        await house.door.sasl(service, peer, True, "SCRAM-SHA-256", sasl.encode(first) if initial else None, ask)
    except LoginRefused as refused:
        return refused.reason
    sasl.finish(client)
    return "ok"


async def test_scram_with_every_password_of_the_user(house: House) -> None:
    app_password(house, "phone", "phonephonephonephone", "imap")
    assert await scram(house, "alice@example.org", "secret") == "ok"
    assert await scram(house, "alice@example.org", "secret", initial=False) == "ok"
    assert await scram(house, "alice@example.org", "phonephonephonephone") == "ok"
    assert await scram(house, "alice@example.org", "phonephonephonephone", service="smtp") == "scope"
    assert await scram(house, "alice@example.org", "other") == "wrong-password"
    assert await scram(house, "nobody@example.org", "secret") == "unknown-user"
    assert house.hashed == []


async def test_scram_failures_are_counted_and_lead_to_a_ban(house: House) -> None:
    for _ in range(LIMITS.login_failures):
        assert await scram(house, "alice@example.org", "guess") == "wrong-password"
    assert house.slept
    assert await scram(house, "alice@example.org", "secret") == "banned"


async def test_the_salt_of_nobody_is_the_same_after_a_restart(house: House) -> None:
    async def salt(door: Door) -> bytes:
        seen: list[bytes] = []

        async def ask(challenge: bytes) -> bytes:
            seen.append(sasl.decode(challenge))
            return b"*"

        with pytest.raises(LoginRefused) as caught:
            first = sasl.encode(b"n,,n=nobody@example.org,r=clientnonce0123456789")
            await door.sasl("imap", STRANGER, True, "SCRAM-SHA-256", first, ask)
        assert caught.value.reason == "cancelled"
        return seen[0].split(b",s=")[1]

    other = Door(house.store, lambda: Config(), house.bans, house.refusals)
    assert await salt(house.door) == await salt(other)
    await other.close()


async def test_plain_and_login_through_the_exchange(house: House) -> None:
    lines = iter([sasl.encode(b"alice@example.org"), sasl.encode(b"secret")])

    async def ask(challenge: bytes) -> bytes:
        return next(lines)

    identity = await house.door.sasl("smtp", STRANGER, True, "login", None, ask)
    assert identity.address == ALICE
    initial = sasl.encode(b"\0alice@example.org\0secret")
    identity = await house.door.sasl("smtp", STRANGER, True, "Plain", initial, ask)
    assert identity.address == ALICE


@pytest.mark.parametrize(
    "mechanism, initial, reason",
    [
        ("CRAM-MD5", None, "mechanism"),
        ("PLAIN", b"!", "malformed"),
        ("PLAIN", sasl.encode(b"bob\0alice@example.org\0secret"), "authzid"),
        ("PLAIN", sasl.encode(b"\0alice@example.org\0wrong"), "wrong-password"),
        ("LOGIN", None, "cancelled"),
        ("SCRAM-SHA-256", sasl.encode(b"y,,n=alice@example.org,r=clientnonce0123456789"), "channel-binding"),
        ("SCRAM-SHA-256-PLUS", None, "cancelled"),
    ],
)
async def test_exchanges_that_lead_nowhere(house: House, mechanism: str, initial: bytes | None, reason: str) -> None:
    async def ask(challenge: bytes) -> bytes:
        return b"*"

    with pytest.raises(LoginRefused) as caught:
        await house.door.sasl("imap", STRANGER, True, mechanism, initial, ask, b"end point")
    assert caught.value.reason == reason
    with pytest.raises(LoginRefused) as caught:
        await house.door.sasl("imap", STRANGER, False, mechanism, initial, ask)
    assert caught.value.reason == "tls-required"


async def test_a_peer_that_goes_away_in_the_exchange_leaves_nothing_behind(house: House) -> None:
    async def ask(challenge: bytes) -> bytes:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await house.door.sasl("imap", STRANGER, True, "LOGIN", None, ask)
    assert await house.says("alice@example.org", "secret") == "ok"


def test_reasons_have_words_and_no_more_than_needed() -> None:
    assert REASONS["wrong-password"] == REASONS["unknown-user"] == REASONS["authzid"]
    assert login_module._FAILURES <= REASONS.keys()
