"""Settings as rows, with their history."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from daemon.config import SETTINGS, BadSetting
from daemon.store import settings
from daemon.store.errors import Missing
from daemon.store.tx import Tx
from tests.store.stage import memory


@pytest.fixture
def tx() -> Iterator[Tx]:
    with memory() as tx:
        yield tx


def test_without_rows_every_setting_has_its_default(tx: Tx) -> None:
    config = settings.load(tx)
    for key in SETTINGS:
        config[key]
    assert config["queue.retry"][0] == 300
    assert settings.rows(tx) == {}


def test_what_is_put_is_loaded_and_told(tx: Tx) -> None:
    assert settings.put(tx, "limits.message_size", "10M", "admin") is None
    assert tx.changes.settings
    assert settings.load(tx)["limits.message_size"] == 10 << 20
    assert settings.put(tx, "limits.message_size", "20M", "admin") == "10M"
    assert settings.unset(tx, "limits.message_size", "admin") == "20M"
    assert settings.unset(tx, "limits.message_size", "admin") is None
    assert [(c.old, c.new, c.who) for c in settings.history(tx)] == [
        ("20M", None, "admin"), ("10M", "20M", "admin"), (None, "10M", "admin")
    ]  # fmt: skip


@pytest.mark.parametrize(
    "key,text", [("limits.message_size", "much"), ("no.such", "1"), ("auth.require_tls", "perhaps")]
)
def test_a_bad_value_changes_nothing(tx: Tx, key: str, text: str) -> None:
    with pytest.raises(BadSetting, match=key):
        settings.put(tx, key, text, "admin")
    assert settings.rows(tx) == {} and settings.history(tx) == []
    assert not tx.changes.settings


def test_the_same_value_again_is_no_change(tx: Tx) -> None:
    settings.put(tx, "hostname", "mx.example.org", "admin")
    tx.changes.settings = False
    settings.put(tx, "hostname", "mx.example.org", "admin")
    assert len(settings.history(tx)) == 1 and not tx.changes.settings


def test_a_change_can_be_undone_by_its_number(tx: Tx) -> None:
    settings.put(tx, "hostname", "one.example.org", "admin")
    settings.put(tx, "hostname", "two.example.org", "admin")
    settings.put(tx, "dns.servers", "192.0.2.1", "admin")
    first, second, third = reversed(settings.history(tx))
    assert settings.history(tx, "dns.servers") == [third]
    assert settings.revert(tx, second.id, "other") == second
    assert settings.load(tx).hostname == "one.example.org"
    settings.revert(tx, first.id, "other")
    assert "hostname" not in settings.rows(tx)
    with pytest.raises(Missing, match="config history"):
        settings.revert(tx, 999, "other")
    assert len(settings.history(tx, limit=2)) == 2


def test_a_row_spoilt_by_hand_is_told_with_its_key(tx: Tx) -> None:
    tx.run("insert into setting values ('queue.lifetime', 'for ever'), ('of.a.newer.version', 'x')")
    with pytest.raises(BadSetting, match=r"queue\.lifetime"):
        settings.load(tx)
    settings.put(tx, "queue.lifetime", "3d", "admin")
    assert settings.load(tx)["queue.lifetime"] == 3 * 86400
