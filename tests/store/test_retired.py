"""Keys and passwords that are retired are nowhere in the database's file any more."""

from __future__ import annotations

import secrets
import sqlite3

import pytest

from daemon.config import DataDir
from daemon.store import acme, certificates, dkim_keys, domains, routes
from daemon.store.db import Store
from daemon.store.dkim_keys import Made
from daemon.store.tx import Tx
from tests.store.stage import clean, open_store

END = 10**15
ROUNDS = 12  # enough for pages to be split and joined
FACT = 24  # octets of a secret that are looked for, at each of its ends and in its middle


class Secrets:
    """Makes them, as long as the real ones are, and finds what is left of them."""

    def __init__(self) -> None:
        self.made: list[bytes] = []

    def new(self, size: int = 1700) -> str:
        self.made.append(secrets.token_hex(size // 2).encode())
        return self.made[-1].decode()

    def left(self, file: bytes) -> int:
        places = [(s[:FACT], s[len(s) // 2 :][:FACT], s[-FACT:]) for s in self.made]
        return sum(any(piece in file for piece in pieces) for pieces in places)


def used_and_retired(store: Store) -> Secrets:
    """One life of each thing that has a secret, several times over."""
    kept = Secrets()

    def begin(tx: Tx) -> None:
        domains.add(tx, "example.org")
        acme.keep_account(tx, "https://one.example/", kept.new(240), "")

    def turn(tx: Tx, number: int) -> None:
        made = [Made("rsa-sha256", kept.new(), "x"), Made("ed25519-sha256", kept.new(160), "x")]
        for key in dkim_keys.add(tx, "example.org", made):
            dkim_keys.note(tx, key.id, True)
        dkim_keys.let_go(tx, END, "example.org")
        following = acme.put_next_key(tx, "mx.example.org", kept.new(240), 0).private_key
        order = acme.begin_order(tx, "https://one.example/", ("mx.example.org",))
        chain = "certificate " * 500  # longer than a page
        acme.fulfil_order(tx, order, ("mx.example.org",), chain, following, 0, END + number)
        certificates.add(tx, ("example.org",), chain, kept.new(), "imported", 0, END)
        acme.keep_account(tx, "https://one.example/", kept.new(240), "url")
        route = routes.add(tx, "default", "*", "127.0.0.1", 25, username="us", password=kept.new(60))
        routes.remove(tx, route)

    def finish(tx: Tx) -> None:
        for key in dkim_keys.published(tx, "example.org"):
            dkim_keys.remove(tx, "example.org", key.selector)
        for certificate in certificates.everyone(tx):
            certificates.remove(tx, certificate.id)
        acme.keep_account(tx, "https://one.example/", "new", "url")

    store.write_now(begin)
    for number in range(ROUNDS):
        store.write_now(turn, number)
    store.write_now(finish)
    return kept


def written(store: Store, data: DataDir) -> bytes:
    """The file, once the log is in it."""
    connection = store.connect(query_only=False)
    busy, *_ = connection.execute("pragma wal_checkpoint(truncate)").fetchone()
    assert not busy and not data.database.with_name(data.database.name + "-wal").stat().st_size
    return data.database.read_bytes()


def test_nothing_of_a_retired_secret_is_left(store: Store, data: DataDir) -> None:
    kept = used_and_retired(store)
    assert len(kept.made) == 1 + 6 * ROUNDS
    assert kept.left(written(store, data)) == 0
    clean(store)


def test_it_would_be_seen_if_it_were_left(data: DataDir, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = Store.connect

    def careless(self: Store, *, query_only: bool) -> sqlite3.Connection:
        connection = connect(self, query_only=query_only)
        connection.execute("pragma secure_delete = off")
        return connection

    monkeypatch.setattr(Store, "connect", careless)
    store = open_store(data)
    try:
        assert used_and_retired(store).left(written(store, data)) > ROUNDS
    finally:
        store.close()
