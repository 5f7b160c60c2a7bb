"""The one-command trial, and a first start."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon import passwords
from daemon.admin import trial
from daemon.config import DataDir
from daemon.mail.address import parse_address
from daemon.store import accounts, dkim_keys, domains, settings
from daemon.store.db import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(DataDir(tmp_path / "data"))
    yield opened
    opened.close()


def test_the_trial_has_two_users_whose_shown_passwords_are_right(store: Store) -> None:
    shown = trial.prepare(store)
    assert [address for address, _ in shown.users] == ["alice@example.test", "bob@example.test"]
    for address, password in shown.users:
        known = store.read_now(accounts.credentials, parse_address(address))
        assert known is not None and known.password_hash is not None
        assert passwords.verify(password, known.password_hash)


def test_the_trial_listens_on_loopback_and_sends_nothing_away(store: Store) -> None:
    shown = trial.prepare(store)
    assert all(where == "off" or where.startswith("127.0.0.1:") for _, where in shown.listeners)
    assert store.read_now(settings.load)["queue.hold_external"] is True


def test_the_trial_says_where_its_pages_are(store: Store) -> None:
    pages = dict(trial.prepare(store).pages)
    assert pages == {"webmail": "https://127.0.0.1:2443/", "administration": "https://127.0.0.1:2444/admin/"}
    store.write_now(settings.put, "listen.admin", "off", "test")
    assert [name for name, _ in trial.prepare(store).pages] == ["webmail"]


def test_every_start_of_the_trial_says_the_same(store: Store) -> None:
    assert trial.prepare(store) == trial.prepare(store)
    mode = (store.data.path / "trial.json").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


def test_a_real_server_is_not_taken_for_a_trial(store: Store) -> None:
    store.write_now(domains.add, "example.org")
    with pytest.raises(trial.NotATrial, match="leave out --local"):
        trial.prepare(store)
    assert not (store.data.path / "trial.json").exists()


def test_a_first_start_says_what_it_made_and_the_second_nothing(store: Store) -> None:
    said = trial.first_start(store)
    assert any("calls itself" in sentence for sentence in said)
    assert trial.first_start(store) == []


def test_the_trials_domain_signs_and_no_name_server_is_asked_for_it(store: Store) -> None:
    trial.prepare(store)
    assert len(store.read_now(dkim_keys.signing, [trial.DOMAIN])) == 2
    assert store.read_now(dkim_keys.wanted) == []
