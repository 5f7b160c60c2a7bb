"""`mailctl dkim`: the keys that sign what goes out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from mailctl import options
from mailctl.desk import Desk, at_desk, ids
from mailctl.grammar import noun
from mailctl.out import Column, clean, when

if TYPE_CHECKING:
    from daemon.admin.dkim import Key, Rotation

command = noun(
    "dkim",
    "The keys that sign what goes out (DKIM).",
    "mailctl dkim list",
    "mailctl dkim rotate example.org",
)
_domain = click.argument("domain", metavar="DOMAIN", shell_complete=options.complete_domains)
_STYLES = {"pending": "yellow", "active": "green", "retired": "dim", "gone": "dim"}


@command.command("list", examples=("mailctl dkim list", "mailctl dkim list example.org"))
@click.argument("domain", metavar="[DOMAIN]", required=False, shell_complete=options.complete_domains)
@at_desk
def list_(desk: Desk, domain: str | None) -> None:
    """List keys, of one domain or of all, and what is to be done for each."""
    from daemon.admin import dkim

    found = dkim.everyone(desk.store, domain)
    desk.out.rows(
        found,
        [
            Column("DOMAIN", lambda k: k.domain, "bold"),
            Column("SELECTOR", lambda k: k.selector),
            Column("ALGORITHM", lambda k: k.algorithm, "dim"),
            Column("STATE", lambda k: k.state, lambda k: _STYLES[k.state]),
            Column("SEEN IN THE DNS", lambda k: when(k.seen_at)),
            Column("TO DO", _to_do, "yellow"),
        ],
        empty="There are no keys; a running server makes them for every domain, and so does `mailctl dkim add DOMAIN`.",
    )
    waiting = next((key.domain for key in found if key.next == "publish"), None)
    if waiting is not None:
        desk.out.note(
            f"`mailctl dns records {waiting}` prints what to publish, `mailctl dns publish {waiting}` does it."
        )


def _to_do(key: Key) -> str:
    match key.next:
        case "publish":
            return "publish its record"
        case "wait":
            return f"keep its record until {when(key.due_at)}"
        case "remove":
            return "remove its record"
    return ""


@command.command(
    "show", examples=("mailctl dkim show example.org 202611-rsa-1", "mailctl dkim show example.org 202611-rsa-1 --json")
)
@_domain
@click.argument("selector", metavar="SELECTOR", shell_complete=options.complete_selectors)
@at_desk
def show(desk: Desk, domain: str, selector: str) -> None:
    """Show one key and the record to publish for it; its private half is never shown."""
    from daemon.admin import dkim

    key = dkim.show(desk.store, domain, selector)
    desk.out.show(
        key,
        [
            ("Domain", key.domain),
            ("Selector", key.selector),
            ("Algorithm", key.algorithm),
            ("State", key.state),
            ("To do", _to_do(key)),
            ("Created", when(key.created_at)),
            ("Seen", when(key.seen_at)),
            ("Active", when(key.activated_at)),
            ("Retired", when(key.retired_at)),
            ("Gone", when(key.gone_at)),
            ("Record", _zone_line(key)),
        ],
    )


def _zone_line(key: Key) -> str:
    from daemon.admin.dnsrecords import TTL, quoted

    return f"{key.name}. {TTL} IN TXT {quoted(key.record)}"


@command.command("add", examples=("mailctl dkim add example.org", "mailctl dkim add example.org --algorithm ed25519"))
@_domain
@click.option(
    "--algorithm", "algorithms", multiple=True, type=click.Choice(["rsa", "ed25519"]),
    help="Only this one; several times. Default: both.",
)  # fmt: skip
@at_desk
def add(desk: Desk, domain: str, algorithms: tuple[str, ...]) -> None:
    """Make new keys. They sign at once where there is none of their kind, else when the DNS has them."""
    from daemon.admin import dkim

    made = dkim.add(desk.store, domain, algorithms)
    desk.out.document({"domain": made[0].domain, "made": made}, lambda: _publish(desk, made))


@command.command("rotate", examples=("mailctl dkim rotate example.org",))
@_domain
@at_desk
def rotate(desk: Desk, domain: str) -> None:
    """Change a domain's keys, in steps: called first, it makes new keys and says what to publish.

    A running server sees when that is done, lets them sign, and retires the old ones. Called again, the command does
    the same at once if the DNS has the records; exit code 69: the name servers did not answer.
    """
    from daemon.admin import dkim

    done = dkim.rotate(desk.store, domain)
    desk.out.document(done, lambda: _say(desk, done))


def _say(desk: Desk, done: Rotation) -> None:
    for key in done.changed:
        desk.out.print(f"{key.selector}: {_CHANGED[key.state]}" + (f"; {_to_do(key)}" if key.next else ""))
    _publish(desk, done.made)
    if done.waiting:
        desk.out.print("the DNS does not have these records yet; the keys before them sign until it does:")
        _records(desk, done.waiting)


_CHANGED = {
    "active": "its record is there, it signs from now on",
    "retired": "signs no more",
    "gone": "its time is over",
}


def _publish(desk: Desk, made: Iterable[Key]) -> None:
    for state, words in (("active", "made, and signing"), ("pending", "made; they sign when the DNS has them")):
        keys = [key for key in made if key.state == state]
        if keys:
            desk.out.print(f"{words}; publish:")
            _records(desk, keys)


def _records(desk: Desk, keys: Iterable[Key]) -> None:
    for key in keys:
        desk.out.print(clean(_zone_line(key)))


@command.command(
    "rm",
    examples=(
        "mailctl dkim rm example.org 202611-rsa-1 --dry-run",
        "mailctl dkim rm example.org 202611-rsa-1 202611-ed25519-2 --yes",
    ),
)
@_domain
@click.argument("selectors", metavar="SELECTOR...", nargs=-1, required=True, shell_complete=options.complete_selectors)
@options.careful
@at_desk
def rm(desk: Desk, domain: str, selectors: tuple[str, ...], yes: bool, dry_run: bool) -> None:
    """Sign with keys no more, at once. One that is listed as gone is forgotten."""
    from daemon.admin import dkim

    keys = [dkim.show(desk.store, domain, selector) for selector in ids(selectors)]
    touched = [f"{key.selector} ({key.state}, {key.algorithm})" for key in keys]
    if not desk.agreed(f"remove keys of {keys[0].domain}", touched, yes=yes, dry_run=dry_run):
        return
    for key in dkim.remove(desk.store, domain, [k.selector for k in keys]):
        left = f"; its record at {key.name} may be removed" if key.state != "gone" else ""
        desk.out.done(f"removed {key.selector}{left}", key)
