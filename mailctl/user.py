"""`mailctl user`: people, their passwords, their room."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mailctl import options
from mailctl.desk import Desk, at_desk, ids
from mailctl.grammar import noun
from mailctl.out import Column, count, size, when

if TYPE_CHECKING:
    from daemon.admin.factors import State
    from daemon.admin.people import Removal, User

command = noun(
    "user",
    "Users: who may log in, and where their mail is kept.",
    "mailctl user add alice@example.org --name 'Alice Liddell' --quota 5G",
    "mailctl user list --domain example.org",
)


@command.command("list", examples=("mailctl user list", "mailctl user list --domain example.org --json"))
@options.domain
@at_desk
def list_(desk: Desk, domain: str | None) -> None:
    """List users."""
    from daemon.admin import people

    desk.out.rows(
        people.everyone(desk.store, domain),
        [
            Column("USER", lambda u: u.address, _user_style),
            Column("NAME", lambda u: u.display_name),
            Column("MESSAGES", lambda u: f"{u.messages:,}", right=True),
            Column("USED", lambda u: size(u.used), _room_style, right=True),
            Column("QUOTA", lambda u: size(u.room) if u.room else "-", right=True),
            Column("LAST LOGIN", lambda u: when(u.last_login_at) or "never", "dim"),
            Column("STATE", lambda u: _state(u), "yellow"),
        ],
        empty="There are no users; `mailctl user add ADDRESS` makes one.",
    )


def _state(user: User) -> str:
    return " ".join(w for w, is_so in (("disabled", not user.enabled), ("admin", user.admin)) if is_so)


def _user_style(user: User) -> str:
    return "bold" if user.enabled else "dim"


def _room_style(user: User) -> str:
    share = user.used / user.room if user.room else 0
    return "red" if share >= 0.95 else "yellow" if share >= 0.8 else ""


@command.command("show", examples=("mailctl user show alice@example.org",))
@options.user
@at_desk
def show(desk: Desk, user: str) -> None:
    """Show one user."""
    from daemon.admin import factors, people

    _show(desk, people.show(desk.store, user), factors.state(desk.store, user))


def _show(desk: Desk, user: User, beside: State) -> None:
    room = size(user.room) if user.room else "no limit"
    share = f" ({user.used * 100 // user.room} %)" if user.room else ""
    forwards = ", ".join(user.forwards)
    desk.out.show(
        user,
        [
            ("User", user.address),
            ("Name", user.display_name),
            ("State", "enabled" if user.enabled else "disabled"),
            ("Administrator", "yes" if user.admin else ""),
            ("Mail", f"{count(user.messages, 'message')}, {size(user.used)}{share}"),
            ("Quota", room + (" (the setting limits.quota)" if user.quota is None else "")),
            ("May send", _allowance(user)),
            ("Forwards to", forwards + (("; a copy stays" if user.keep else "; no copy stays") if forwards else "")),
            ("Two-factor", "on" if beside.since_at else ""),
            ("App passwords", str(user.app_passwords) if user.app_passwords else ""),
            ("Created", when(user.created_at)),
            ("Last login", when(user.last_login_at) or "never"),
        ],
    )


def _allowance(user: User) -> str:
    if user.allowance == 1:
        return ""
    return f"{user.allowance} times what the settings allowance.* say" if user.allowance else "without limit"


@command.command(
    "add",
    examples=(
        "mailctl user add alice@example.org",
        "mailctl user add bob@example.org --name Bob --quota 5G --password-stdin < secret",
        "mailctl user add root@example.org --admin --password-file /root/password",
    ),
)
@options.user
@click.option("--name", default="", help="The name people see.")
@click.option(
    "--quota", metavar="SIZE", help="Room such as 5G; `none` for no limit. Default: the setting limits.quota."
)
@click.option(
    "--admin", is_flag=True, help="An administrator: gets mail for postmaster and abuse, may use listen.admin."
)
@click.option("--no-password", is_flag=True, help="Nobody can log in until `mailctl user passwd`.")
@options.password
@at_desk
def add(
    desk: Desk,
    user: str,
    name: str,
    quota: str | None,
    admin: bool,
    no_password: bool,
    password_stdin: bool,
    password_file: str | None,
) -> None:
    """Add a user with INBOX, Drafts, Sent, Junk, Trash and Archive."""
    from daemon.admin import people

    secret = None if no_password else desk.password(password_stdin, password_file, f"Password for {user}")
    made = people.add(desk.store, user, secret, display_name=name, quota=quota, admin=admin)
    desk.out.done(f"added {made.address}", made)


@command.command(
    "set",
    examples=(
        "mailctl user set alice@example.org --quota 10G",
        "mailctl user set alice@example.org --name 'Alice P. Liddell' --admin",
        "mailctl user set alice@example.org --allowance 10",
    ),
)
@options.user
@click.option("--name", help="The name people see.")
@click.option("--quota", metavar="SIZE", help="Room such as 5G, `none` for no limit, `default` for limits.quota.")
@click.option(
    "--admin/--no-admin", default=None, help="Whether he gets mail for postmaster and abuse, and may use listen.admin."
)
@click.option(
    "--allowance",
    metavar="TIMES",
    help="He may send so many times what the settings allowance.* say; `none`: without limit, `default`: once.",
)
@at_desk
def set_(desk: Desk, user: str, name: str | None, quota: str | None, admin: bool | None, allowance: str | None) -> None:
    """Change a user's name, quota, role or allowance."""
    from daemon.admin import people

    if name is None and quota is None and admin is None and allowance is None:
        raise click.UsageError("nothing to set; name --name, --quota, --admin or --allowance")
    changed = people.change(desk.store, user, display_name=name, quota=quota, admin=admin, allowance=allowance)
    desk.out.done(f"changed {changed.address}", changed)


@command.command(
    "passwd",
    examples=("mailctl user passwd alice@example.org", "mailctl user passwd alice@example.org --password-stdin"),
)
@options.user
@options.password
@at_desk
def passwd(desk: Desk, user: str, password_stdin: bool, password_file: str | None) -> None:
    """Set a user's password. App passwords go on as they are."""
    from daemon.admin import people

    people.show(desk.store, user)
    secret = desk.password(password_stdin, password_file, f"New password for {user}")
    changed = people.set_password(desk.store, user, secret)
    desk.out.done(f"{changed.address} has a new password", changed)


@command.command(
    "rm",
    examples=(
        "mailctl user rm bob@example.org --dry-run",
        "mailctl user rm bob@example.org carol@example.org --yes",
    ),
)
@options.users
@options.careful
@at_desk
def rm(desk: Desk, users: tuple[str, ...], yes: bool, dry_run: bool) -> None:
    """Remove users with all of their mail. `-` reads them from standard input."""
    from daemon.admin import people

    going = [people.removal(desk.store, user) for user in ids(users)]
    if not desk.agreed("remove", [_going(g) for g in going], yes=yes, dry_run=dry_run):
        return
    for one in going:
        with desk.out.progress(f"removing {one.address}", one.messages) as step:
            people.remove(desk.store, one.address, step)
        desk.out.done(f"removed {_going(one)}", one)


def _going(one: Removal) -> str:
    text = f"{one.address}: {count(one.mailboxes, 'mailbox', 'mailboxes')}, {count(one.messages, 'message')}"
    text += f", {size(one.used)}" if one.used else ""
    return text + (f"; still named by {', '.join(one.aliases)}" if one.aliases else "")


@command.command("enable", examples=("mailctl user enable alice@example.org",))
@options.users
@at_desk
def enable(desk: Desk, users: tuple[str, ...]) -> None:
    """Let users log in and get mail again."""
    _switch(desk, users, True)


@command.command("disable", examples=("mailctl user disable alice@example.org",))
@options.users
@at_desk
def disable(desk: Desk, users: tuple[str, ...]) -> None:
    """Refuse logins and mail of users; what they have stays."""
    _switch(desk, users, False)


def _switch(desk: Desk, users: tuple[str, ...], enabled: bool) -> None:
    from daemon.admin import people

    for user in ids(users):
        changed = people.change(desk.store, user, enabled=enabled)
        desk.out.done(f"{'enabled' if enabled else 'disabled'} {changed.address}", changed)


@command.command(
    "two-factor",
    examples=(
        "mailctl user two-factor alice@example.org",
        "mailctl user two-factor alice@example.org off",
    ),
)
@options.user
@click.argument("state", metavar="[off]", required=False, type=click.Choice(["off"]))
@options.careful
@at_desk
def two_factor(desk: Desk, user: str, state: str | None, yes: bool, dry_run: bool) -> None:
    """Show whether a user is asked for more than a password to sign in; `off` ends that.

    For who lost the authenticator and the recovery codes: both are forgotten, passkeys too, and browsers are signed
    out. The user's own password opens everything again, until two-factor is turned on anew in the webmail.
    """
    from daemon.admin import factors

    found = factors.state(desk.store, user)
    if state is None:
        desk.out.show(
            found,
            [
                ("User", found.user),
                ("Two-factor", f"on, since {when(found.since_at)}" if found.since_at else "off"),
                ("Authenticator program", "yes" if found.program else "no"),
                ("Passkeys", str(found.passkeys)),
                ("Recovery codes left", str(found.recovery_codes)),
            ],
        )
        return
    going = f"{found.user}: {_factors(found)}"
    if desk.agreed("turn two-factor off and forget", [going], yes=yes, dry_run=dry_run):
        desk.out.done(f"two-factor is off; forgotten of {going}", factors.reset(desk.store, user))


def _factors(found: State) -> str:
    program = "an authenticator program, " if found.program else ""
    return f"{program}{count(found.passkeys, 'passkey')}, {count(found.recovery_codes, 'recovery code')}"


# ------------------------------------------------------------------------------------------------------- app passwords


@command.group(
    "app-password",
    examples=("mailctl user app-password add alice@example.org phone --scope imap --scope smtp --expires 365d",),
)
def app_password() -> None:
    """Passwords for single programs: named, scoped, with a term, shown once."""


@app_password.command("list", examples=("mailctl user app-password list alice@example.org",))
@options.user
@at_desk
def app_password_list(desk: Desk, user: str) -> None:
    """List a user's app passwords; never the passwords themselves."""
    from daemon.admin import people

    desk.out.rows(
        people.app_passwords(desk.store, user),
        [
            Column("NAME", lambda p: p.name, "bold"),
            Column("SCOPES", lambda p: " ".join(p.scopes) or "all"),
            Column("CREATED", lambda p: when(p.created_at), "dim"),
            Column("EXPIRES", lambda p: when(p.expires_at) or "never"),
            Column("LAST USED", lambda p: when(p.last_used_at) or "never"),
            Column("FROM", lambda p: p.last_used_from or "", "dim"),
        ],
        empty=f"{user} has no app passwords.",
    )


@app_password.command(
    "add",
    examples=(
        "mailctl user app-password add alice@example.org phone",
        "mailctl user app-password add alice@example.org scanner --scope smtp --expires 365d",
    ),
)
@options.user
@click.argument("name", metavar="NAME")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    help="imap, jmap, pop3, sieve or smtp; may be given several times. Default: all.",
)
@click.option("--expires", metavar="WHEN", help="A span such as 90d, or a date.")
@at_desk
def app_password_add(desk: Desk, user: str, name: str, scopes: tuple[str, ...], expires: str | None) -> None:
    """Make an app password and show it, this once."""
    from daemon.admin import people

    made = people.add_app_password(desk.store, user, name, scopes=scopes, expires=expires)
    desk.out.show(
        made,
        [
            ("User", made.user),
            ("Name", made.name),
            ("Password", made.password or ""),
            ("Scopes", " ".join(made.scopes) or "all"),
            ("Expires", when(made.expires_at) or "never"),
        ],
    )
    desk.out.note("It is not shown again.")


@app_password.command("rm", examples=("mailctl user app-password rm alice@example.org phone --yes",))
@options.user
@click.argument("name", metavar="NAME")
@options.careful
@at_desk
def app_password_rm(desk: Desk, user: str, name: str, yes: bool, dry_run: bool) -> None:
    """Take an app password away; the program that uses it is refused from now on."""
    from daemon.admin import people

    found = [p for p in people.app_passwords(desk.store, user) if p.name == name]
    touched = [f"{p.name}, last used {when(p.last_used_at) or 'never'}" for p in found]
    if found and not desk.agreed(f"remove from {user}", touched, yes=yes, dry_run=dry_run):
        return
    people.remove_app_password(desk.store, user, name)
    desk.out.done(f"removed app password {name} of {user}", {"user": user, "name": name, "removed": True})
