"""Options and arguments that are spelled the same under every noun."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from click.shell_completion import CompletionItem

Decorator = Callable[[Any], Any]


def together(*decorators: Decorator) -> Decorator:
    def decorate(function: Any) -> Any:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


yes = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
dry_run = click.option("--dry-run", is_flag=True, help="Only show what would be touched.")
careful = together(yes, dry_run)
limit = click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most N.")
since = click.option("--since", metavar="WHEN", help="Not older than a span such as 2d, or a date.")
password = together(
    click.option("--password-stdin", is_flag=True, help="Read the password from the first line of standard input."),
    click.option("--password-file", metavar="FILE", help="Read the password from the first line of FILE."),
)


def everything(what: str) -> Decorator:
    """`--all`, which alone means all of it."""
    return click.option("--all", "everything", is_flag=True, help=f"All {what}.")


# ----------------------------------------------------------------------------------------------------------- completion


def _from_store(ask: Callable[[Any], list[str]]) -> Callable[..., list[CompletionItem]]:
    """Complete with names out of the store, if there is one already; never a word when something is wrong."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from mailctl.desk import Desk

        desk = ctx.find_root().ensure_object(Desk)
        try:
            if not (desk.directory / "mail.db").exists():
                return []
            return [CompletionItem(name) for name in ask(desk.store) if name.startswith(incomplete)]
        except Exception:
            return []
        finally:
            desk.close()  # click calls no command after this one, so nobody else would

    return complete


def _users(store: Any) -> list[str]:
    from daemon.admin import people

    return [user.address for user in people.everyone(store)]


def _domains(store: Any) -> list[str]:
    from daemon.admin import domains

    return [domain.name for domain in domains.everyone(store)]


def _aliases(store: Any) -> list[str]:
    from daemon.admin import aliases

    return [alias.address for alias in aliases.everyone(store)]


def _selectors(store: Any) -> list[str]:
    from daemon.admin import dkim

    return [key.selector for key in dkim.everyone(store)]


def _quarantined(store: Any) -> list[str]:
    from daemon.admin import quarantine

    return [str(kept.id) for kept in quarantine.found(store, limit=100)]


def complete_scripts(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The first word is a user, the next the name of one of his scripts; of the administrator's with --global."""
    named = ctx.params.get(param.name or "") or ()
    given = list(named) if isinstance(named, tuple) else [named]
    user = ctx.params.get("user") or next(iter(given), None)
    if ctx.params.get("everyone"):
        return _from_store(lambda store: _scripts(store, None))(ctx, param, incomplete)
    if user is None:
        return complete_users(ctx, param, incomplete)
    return _from_store(lambda store: _scripts(store, user))(ctx, param, incomplete)


def _scripts(store: Any, user: str | None) -> list[str]:
    from daemon.admin import scripts

    return [script.name for script in scripts.everyone(store, user) if user or not script.user]


complete_users = _from_store(_users)
complete_domains = _from_store(_domains)
complete_aliases = _from_store(_aliases)
complete_selectors = _from_store(_selectors)
complete_quarantine = _from_store(_quarantined)

domain = click.option("--domain", metavar="DOMAIN", shell_complete=complete_domains, help="Only of this domain.")


user = click.argument("user", metavar="USER", shell_complete=complete_users)
users = click.argument("users", metavar="USER...", nargs=-1, required=True, shell_complete=complete_users)
