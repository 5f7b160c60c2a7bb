"""Settings as rows, with their history."""

from __future__ import annotations

from dataclasses import dataclass

from daemon.config import Config, setting
from daemon.store.errors import Missing
from daemon.store.tx import Tx


@dataclass(frozen=True, slots=True)
class Change:
    id: int
    at: int
    key: str
    old: str | None
    new: str | None
    who: str


def load(tx: Tx) -> Config:
    """All settings as they are now. Raises `BadSetting` when a row was spoilt by hand."""
    return Config(rows(tx).items())


def rows(tx: Tx) -> dict[str, str]:
    """Keys and texts as they stand, spoilt ones too."""
    return {str(k): str(v) for k, v in tx.all("select key, value from setting order by key")}


def put(tx: Tx, key: str, text: str, who: str) -> str | None:
    """Set `key`; the text before, None for the default. Raises `BadSetting`, and then nothing changes."""
    setting(key).parse(text)
    old: str | None = tx.value("select value from setting where key = ?", key)
    tx.run(
        "insert into setting (key, value) values (?, ?) on conflict (key) do update set value = excluded.value",
        key,
        text,
    )
    _remember(tx, key, old, text, who)
    return old


def unset(tx: Tx, key: str, who: str) -> str | None:
    """Back to the default; the text before."""
    setting(key)
    old: str | None = tx.value("select value from setting where key = ?", key)
    if old is not None:
        tx.run("delete from setting where key = ?", key)
        _remember(tx, key, old, None, who)
    return old


def history(tx: Tx, key: str | None = None, limit: int = 100) -> list[Change]:
    """Changes, newest first."""
    rows = tx.all(
        "select id, at, key, old, new, who from setting_history where ? is null or key = ? order by id desc limit ?",
        key,
        key,
        limit,
    )
    return [Change(*row) for row in rows]


def revert(tx: Tx, change_id: int, who: str) -> Change:
    """Set the key of that change to what it was before it. Raises `Missing`, `BadSetting`."""
    row = tx.one("select id, at, key, old, new, who from setting_history where id = ?", change_id)
    if row is None:
        raise Missing(f"there is no change {change_id}; `mailctl config history` lists them")
    change = Change(*row)
    if change.old is None:
        unset(tx, change.key, who)
    else:
        put(tx, change.key, change.old, who)
    return change


def _remember(tx: Tx, key: str, old: str | None, new: str | None, who: str) -> None:
    if old != new:
        tx.run(
            "insert into setting_history (at, key, old, new, who) values (?, ?, ?, ?, ?)", tx.now, key, old, new, who
        )
        tx.settings_touched()
