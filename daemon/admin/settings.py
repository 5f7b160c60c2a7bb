"""Settings: what they are, what they do, who changed them. Works on a store whose settings were spoilt by hand, too."""

from __future__ import annotations

from dataclasses import dataclass

from daemon.admin.errors import UnknownSetting
from daemon.config import SETTINGS, BadSetting, machine_name
from daemon.store import settings
from daemon.store.db import Store
from daemon.store.errors import Missing
from daemon.store.tx import Tx


@dataclass(frozen=True, slots=True)
class Setting:
    """`problem` says why a value that was spoilt by hand cannot be used; `mailctl serve` would refuse to start."""

    key: str
    value: str
    default: str
    changed: bool
    type: str
    unit: str
    effect: str
    restart: bool
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """`old` and `new` are None where the default was or is."""

    id: int
    at: int
    key: str
    old: str | None
    new: str | None
    who: str


@dataclass(frozen=True, slots=True)
class Changed:
    """What a change did. `restart`: the running server goes on with the old value until it is restarted."""

    key: str
    old: str
    value: str
    restart: bool


def everyone(store: Store, *, changed: bool = False) -> list[Setting]:
    """All settings, or those that differ from their defaults."""
    rows = store.read_now(settings.rows)
    found = [_setting(rows, key) for key in SETTINGS]
    return [s for s in found if s.changed] if changed else found


def show(store: Store, key: str) -> Setting:
    """Raises `UnknownSetting`."""
    _known(key)
    return _setting(store.read_now(settings.rows), key)


def put(store: Store, key: str, value: str, who: str) -> Changed:
    """Raises `UnknownSetting`, `BadSetting`."""
    _known(key)

    def work(tx: Tx) -> Changed:
        before = _setting(settings.rows(tx), key)
        settings.put(tx, key, value, who)
        return Changed(key, before.value, value, SETTINGS[key].restart and before.value != value)

    return store.write_now(work)


def unset(store: Store, key: str, who: str) -> Changed:
    """Back to the default. Raises `UnknownSetting`."""
    _known(key)

    def work(tx: Tx) -> Changed:
        before = _setting(settings.rows(tx), key)
        settings.unset(tx, key, who)
        after = _setting(settings.rows(tx), key)
        return Changed(key, before.value, after.value, SETTINGS[key].restart and before.value != after.value)

    return store.write_now(work)


def history(store: Store, key: str | None = None, limit: int = 100) -> list[Change]:
    """Newest first. Raises `UnknownSetting`."""
    if key is not None:
        _known(key)
    return [Change(c.id, c.at, c.key, c.old, c.new, c.who) for c in store.read_now(settings.history, key, limit)]


def revert(store: Store, change_id: int, who: str) -> Changed:
    """Set the key of a change to what it was before it. Raises `Missing`, `BadSetting`."""

    def work(tx: Tx) -> Changed:
        rows = settings.rows(tx)
        change = settings.revert(tx, change_id, who)
        if change.key not in SETTINGS:
            raise Missing(f"{change.key} is no setting any more")
        before, after = _setting(rows, change.key), _setting(settings.rows(tx), change.key)
        restart = SETTINGS[change.key].restart and before.value != after.value
        return Changed(change.key, before.value, after.value, restart)

    return store.write_now(work)


def _known(key: str) -> None:
    if key not in SETTINGS:
        near = _nearest(key)
        hint = f"; did you mean {near}?" if near else "; `mailctl config list` names them all"
        raise UnknownSetting(f"there is no setting {key!r}{hint}")


def _nearest(key: str) -> str:
    from difflib import get_close_matches

    return next(iter(get_close_matches(key, SETTINGS, 1)), "")


def _setting(rows: dict[str, str], key: str) -> Setting:
    row = SETTINGS[key]
    default = row.default or (machine_name() if key == "hostname" else "")
    value = rows.get(key, default)
    problem = None
    if key in rows:
        try:
            row.parse(value)
        except BadSetting as error:
            problem = str(error)
    return Setting(key, value, default, key in rows, row.type, row.unit, row.effect, row.restart, problem)
