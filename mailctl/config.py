"""`mailctl config`: the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from mailctl import options
from mailctl.desk import Desk, at_desk
from mailctl.grammar import noun
from mailctl.out import Column, when

if TYPE_CHECKING:
    from daemon.admin.settings import Changed, Setting

command = noun(
    "config",
    "The settings: what they are, what they do, who changed them.",
    "mailctl config set hostname mail.example.org",
    "mailctl config describe queue.retry",
)


def _keys(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from daemon.config import SETTINGS

    return [CompletionItem(k, help=s.effect) for k, s in SETTINGS.items() if k.startswith(incomplete)]


_key = click.argument("key", metavar="KEY", shell_complete=_keys)


@command.command("list", examples=("mailctl config list", "mailctl config list --changed --json"))
@click.option("--changed", is_flag=True, help="Only those that differ from their defaults.")
@at_desk
def list_(desk: Desk, changed: bool) -> None:
    """List all settings."""
    from daemon.admin import settings

    desk.out.rows(
        settings.everyone(desk.store, changed=changed),
        [
            Column("SETTING", lambda s: s.key, lambda s: "bold" if s.changed else ""),
            Column("VALUE", lambda s: s.value or "-", _value_style),
            Column("EFFECT", lambda s: s.problem or s.effect, lambda s: "red" if s.problem else "dim", fold=True),
        ],
        empty="Every setting has its default.",
    )


def _value_style(setting: Setting) -> str:
    return "red" if setting.problem else "green" if setting.changed else ""


@command.command("get", examples=("mailctl config get hostname",))
@_key
@at_desk
def get(desk: Desk, key: str) -> None:
    """Say the value of a setting, and nothing else."""
    from daemon.admin import settings

    found = settings.show(desk.store, key)
    desk.out.document(found, lambda: desk.out.print(found.value))


@command.command(
    "set",
    examples=(
        "mailctl config set hostname mail.example.org",
        "mailctl config set listen.imap 127.0.0.1:143,[::1]:143",
        "mailctl config set queue.retry 5m,15m,1h",
    ),
)
@_key
@click.argument("value", metavar="VALUE")
@at_desk
def set_(desk: Desk, key: str, value: str) -> None:
    """Change a setting. It takes effect at once, or the answer says that the server must be restarted."""
    from daemon.admin import settings

    _told(desk, settings.put(desk.store, key, value, desk.who))


@command.command("unset", examples=("mailctl config unset queue.retry",))
@_key
@at_desk
def unset(desk: Desk, key: str) -> None:
    """Give a setting its default back."""
    from daemon.admin import settings

    _told(desk, settings.unset(desk.store, key, desk.who))


def _told(desk: Desk, changed: Changed) -> None:
    said = f"{changed.key} is {changed.value or 'empty'}"
    if changed.old != changed.value:
        said += f" (was {changed.old or 'empty'})"
    if changed.restart:
        said += "; a running server must be restarted to take it up"
    desk.out.done(said, changed)


@command.command("describe", examples=("mailctl config describe queue.lifetime",))
@_key
@at_desk
def describe(desk: Desk, key: str) -> None:
    """Say what a setting is: type, default, unit, effect."""
    from daemon.admin import settings

    found = settings.show(desk.store, key)
    desk.out.show(
        found,
        [
            ("Setting", found.key),
            ("Value", found.value or "empty"),
            ("Problem", found.problem or ""),
            ("Default", found.default or "empty"),
            ("Type", found.type),
            ("Unit", found.unit),
            ("Effect", found.effect),
            ("Takes effect", "after a restart" if found.restart else "at once"),
        ],
    )


@command.command("diff", examples=("mailctl config diff",))
@at_desk
def diff(desk: Desk) -> None:
    """Show what differs from the defaults."""
    from daemon.admin import settings

    desk.out.rows(
        settings.everyone(desk.store, changed=True),
        [
            Column("SETTING", lambda s: s.key, "bold"),
            Column("DEFAULT", lambda s: s.default or "-", "dim"),
            Column("VALUE", lambda s: s.value or "-", _value_style, fold=True),
        ],
        empty="Every setting has its default.",
    )


@command.command("history", examples=("mailctl config history", "mailctl config history hostname --limit 5"))
@click.argument("key", metavar="[KEY]", required=False, shell_complete=_keys)
@options.limit
@at_desk
def history(desk: Desk, key: str | None, limit: int | None) -> None:
    """Show who changed what, newest first."""
    from daemon.admin import settings

    desk.out.rows(
        settings.history(desk.store, key, limit or 100),
        [
            Column("CHANGE", lambda c: str(c.id), right=True),
            Column("WHEN", lambda c: when(c.at), "dim"),
            Column("WHO", lambda c: c.who),
            Column("SETTING", lambda c: c.key, "bold"),
            Column("OLD", lambda c: "(default)" if c.old is None else c.old or "-"),
            Column("NEW", lambda c: "(default)" if c.new is None else c.new or "-"),
        ],
        empty="No setting was ever changed.",
    )


@command.command("revert", examples=("mailctl config revert 12 --dry-run", "mailctl config revert 12"))
@click.argument("change", metavar="CHANGE", type=int)
@click.option("--dry-run", is_flag=True, help="Only show what would be set.")
@at_desk
def revert(desk: Desk, change: int, dry_run: bool) -> None:
    """Set the key of a change (see `history`) to what it was before it."""
    from daemon.admin import settings

    if dry_run:
        found = [c for c in settings.history(desk.store, limit=1 << 30) if c.id == change]
        desk.out.lines("set", [f"{c.key} to {'its default' if c.old is None else c.old}" for c in found])
        return
    _told(desk, settings.revert(desk.store, change, desk.who))
