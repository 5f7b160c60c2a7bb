"""`mailctl mail`: messages, over all mailboxes."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from mailctl import letter, options
from mailctl.desk import Desk, at_desk, ids
from mailctl.grammar import Verb, noun
from mailctl.mailbox import named
from mailctl.out import Column, clean, count, size, when

if TYPE_CHECKING:
    from daemon.admin.mail import Mail, Shown
    from daemon.admin.post import Delivery

command = noun(
    "mail",
    "Messages over all mailboxes: found by one search language, shown, brought in and out. See mailctl-mail(1).",
    "mailctl mail search from:shop.example is:unread since:7d",
    "mailctl mail import alice@example.org ~/Maildir",
)
_user = click.option("--user", metavar="USER", shell_complete=options.complete_users, help="Only of this user.")
_mailbox = click.option("--mailbox", metavar="MAILBOX", help="Only of this mailbox.")
_COLUMNS = [
    Column("ID", lambda m: str(m.id), right=True),
    Column("RECEIVED", lambda m: when(m.received_at), "dim"),
    Column("FROM", lambda m: m.sender_name or m.sender, lambda m: "" if "\\Seen" in m.flags else "bold"),
    Column("SUBJECT", lambda m: m.subject or "(no subject)", lambda m: "" if "\\Seen" in m.flags else "bold"),
    Column("SIZE", lambda m: size(m.size), right=True),
    Column("FLAGS", lambda m: _marks(m), "cyan"),
]
_USER = Column("USER", lambda m: m.user)
_WHERE = Column("MAILBOX", lambda m: ", ".join(m.mailboxes), "dim")


def _marks(mail: Mail) -> str:
    """Letters as Maildir has them, N for what was not read, and @ for attachments."""
    marks = {"\\Answered": "R", "\\Flagged": "F", "\\Deleted": "T", "\\Draft": "D"}
    letters = "" if "\\Seen" in mail.flags else "N"
    return letters + "".join(c for flag, c in marks.items() if flag in mail.flags) + ("@" if mail.attachment else "")


@command.command(
    "list",
    examples=("mailctl mail list alice@example.org", "mailctl mail list alice@example.org Junk --limit 20 --json"),
)
@click.argument("words", metavar="[USER [MAILBOX]]", nargs=-1, shell_complete=options.complete_users)
@_user
@_mailbox
@options.limit
@at_desk
def list_(desk: Desk, words: tuple[str, ...], user: str | None, mailbox: str | None, limit: int | None) -> None:
    """List messages, newest first: of a mailbox, of a user, or all. The numbers are what other verbs take."""
    from daemon.admin import mail

    rest = list(words)
    user = user or (rest.pop(0) if rest else None)
    mailbox = mailbox or (rest.pop(0) if rest else None)
    if rest:
        raise click.UsageError("name at most USER and MAILBOX")
    columns = [*_COLUMNS] if mailbox and user else [*_COLUMNS, _WHERE]
    if user is None:
        columns.insert(1, _USER)
    desk.out.rows(
        mail.found(desk.store, user=user, mailbox=mailbox, limit=limit), columns, empty="There are no messages."
    )


class _Search(Verb):
    """A term that begins with a minus, such as `-is:read`, is no option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, [f" {a}" if re.match(r"-[a-z][a-z-]*:", a) else a for a in args])


@command.command(
    "search",
    cls=_Search,
    examples=(
        "mailctl mail search from:shop.example subject:order",
        "mailctl mail search 'is:unread in:INBOX (larger:5M or has:attachment)' --user alice@example.org",
        "mailctl mail search text:'\"two words\"' not in:Trash since:2026-01-01",
    ),
)
@click.argument("query", metavar="QUERY...", nargs=-1, required=True)
@_user
@_mailbox
@options.limit
@at_desk
def search(desk: Desk, query: tuple[str, ...], user: str | None, mailbox: str | None, limit: int | None) -> int:
    """Find messages, newest first. Exit code 1: there are none.

    The words of a query: from: to: cc: bcc: subject: body: text: in: is: has: keyword: since: before: sent-since:
    sent-before: larger: smaller: id: message-id: trace: and `or`, `not`, brackets.
    """
    from daemon.admin import mail

    found = list(mail.found(desk.store, " ".join(query), user=user, mailbox=mailbox, limit=limit))
    columns = [*_COLUMNS, _WHERE]
    if user is None:
        columns.insert(1, _USER)
    desk.out.rows(found, columns, empty="No message matches.")
    return 0 if found else 1


@command.command("show", examples=("mailctl mail show 42", "mailctl mail show 42 --raw > message.eml"))
@click.argument("mail", metavar="ID")
@click.option("--raw", is_flag=True, help="The bytes as IMAP gives them.")
@click.option("--headers", is_flag=True, help="All header fields.")
@at_desk
def show(desk: Desk, mail: str, raw: bool, headers: bool) -> None:
    """Show a message: its header, its text, what is attached."""
    from daemon.admin import mail as admin

    if raw:
        letter.raw(admin.raw(desk.store, mail))
        return
    found = admin.show(desk.store, mail)
    desk.out.document(found, lambda: _open(desk, found, headers))


def _open(desk: Desk, found: Shown, headers: bool) -> None:
    mail = found.mail
    about = [
        ("Message", f"{mail.id} of {mail.user} in {', '.join(mail.mailboxes)}, {size(mail.size)}"),
        ("Received", when(mail.received_at) + (f", trace {mail.trace}" if mail.trace else "")),
        ("Flags", " ".join((*mail.flags, *mail.keywords))),
    ]
    letter.show(desk.out, about, found, whole=headers)


@command.command(
    "deliver",
    examples=(
        "mailctl mail deliver message.eml --to alice@example.org",
        "mailctl mail deliver - --to alice@example.org --from bob@elsewhere.example < message.eml",
    ),
)
@click.argument("file", metavar="FILE")
@click.option("--to", "recipients", metavar="ADDRESS", multiple=True, required=True, help="To whom; several times.")
@click.option("--from", "sender", metavar="SENDER", help="The envelope's sender; '' for nobody. Default: its From.")
@at_desk
def deliver(desk: Desk, file: str, recipients: tuple[str, ...], sender: str | None) -> int:
    """Put a message through the road that SMTP takes. `-` reads it from standard input.

    Exit code 1: a recipient refuses it; 75: for now.
    """
    from daemon.admin import post

    with _opened(file) as data:
        done = post.deliver(desk.store, data, recipients, sender)
    desk.out.document(done, lambda: _delivered(desk, done))
    if not done.refused:
        return 0
    return 75 if all(fate.code < 500 for fate in done.refused) else 1


def _delivered(desk: Desk, done: Delivery) -> None:
    for fate in done.recipients:
        mark = desk.out.styled("taken", "32") if fate.taken else desk.out.styled("refused", "1;31")
        why = "" if fate.taken else f"  {fate.code} {fate.enhanced} {clean(fate.text)}"
        desk.out.print(f"{mark}  {fate.recipient}{why}")
    if done.trace:
        desk.out.print(f"trace {done.trace}")


@contextlib.contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield sys.stdin.buffer
    else:
        with open(file, "rb") as data:
            yield data


@command.command(
    "import",
    examples=(
        "mailctl mail import alice@example.org ~/Maildir",
        "mailctl mail import alice@example.org archive.mbox --mailbox Archive/2025",
        "mailctl mail import --user alice@example.org message.eml",
        "mailctl mail import alice@example.org ~/Maildir --train",
    ),
)
@click.argument("words", metavar="USER PATH", nargs=-1, required=True, shell_complete=options.complete_users)
@_user
@click.option("--mailbox", metavar="MAILBOX", help="Where to, instead of INBOX; what lies below goes below it.")
@click.option("--format", type=click.Choice(["mbox", "maildir", "message"]), help="Default: what PATH looks like.")
@click.option("--train", is_flag=True, help="Teach the filter what comes into Junk, or has $Junk or $NotJunk.")
@click.option("--dry-run", is_flag=True, help="Only say what PATH is.")
@at_desk
def import_(
    desk: Desk,
    words: tuple[str, ...],
    user: str | None,
    mailbox: str | None,
    format: str | None,
    train: bool,
    dry_run: bool,
) -> int:
    """Bring mail from an mbox, a Maildir or a message file into mailboxes, with flags, keywords and dates.

    Run again it goes on where it was cut off: what is in the mailbox already, octet for octet, is passed over. Exit
    code 65: some messages could not be taken.
    """
    from daemon.admin import imports

    who, path = named(user, words, "PATH")
    what = imports.source(Path(path), format)
    if dry_run:
        amount = size(what.total) if what.unit == "octets" else count(what.total, "message")
        desk.out.lines("import", [f"{path}: {what.format}, {amount}"])
        return 0
    with desk.out.progress(f"importing {path}", what.total, what.unit) as step:
        done = imports.import_(desk.store, who, what, mailbox=mailbox, train=train, progress=step)
    there = f", {count(done.skipped, 'message')} there already" if done.skipped else ""
    there += f"; {count(done.learnt, 'message')} taught to the filter" if train else ""
    desk.out.done(f"imported {count(done.imported, 'message')}, {size(done.octets)}, for {done.user}{there}", done)
    for problem in done.problems:
        desk.out.warn(f"not taken: {problem}")
    return 65 if done.problems else 0


@command.command(
    "export",
    examples=(
        "mailctl mail export alice@example.org backup.mbox --mailbox INBOX",
        "mailctl mail export alice@example.org ~/Maildir --format maildir",
        "mailctl mail export alice@example.org - --search 'since:7d from:boss' > some.mbox",
    ),
)
@click.argument("words", metavar="USER PATH", nargs=-1, required=True, shell_complete=options.complete_users)
@_user
@_mailbox
@click.option("--search", metavar="QUERY", default="", help="Only what matches.")
@click.option(
    "--format",
    type=click.Choice(["mbox", "maildir"]),
    help="Default: maildir when PATH is one or ends in /, else mbox.",
)
@click.option("--overwrite", is_flag=True, help="Replace an mbox that is there.")
@at_desk
def export(
    desk: Desk,
    words: tuple[str, ...],
    user: str | None,
    mailbox: str | None,
    search: str,
    format: str | None,
    overwrite: bool,
) -> None:
    """Write mail to an mbox or a Maildir. With mbox, a PATH that is a directory gets a file for each mailbox.

    A Maildir may be exported to again: only what is new is written.
    """
    from daemon.admin import exports

    who, path = named(user, words, "PATH")
    what = exports.select(desk.store, who, mailbox=mailbox, search=search)
    if path == "-":
        sys.stdout.flush()
        exports.to_stream(desk.store, what, sys.stdout.buffer)
        return
    kind = format or ("maildir" if path.endswith("/") or (Path(path) / "cur").is_dir() else "mbox")
    with desk.out.progress(f"exporting to {path}", what.total) as step:
        done = exports.export(desk.store, what, Path(path), kind, overwrite=overwrite, progress=step)
    there = f", {count(done.skipped, 'message')} there already" if done.skipped else ""
    desk.out.done(f"exported {count(done.exported, 'message')}, {size(done.octets)}, to {path}{there}", done)


@command.command(
    "rm",
    examples=(
        "mailctl mail rm 42 43 --yes",
        "mailctl mail rm --user alice@example.org --search 'in:Trash before:90d' --dry-run",
        "mailctl mail search from:spammer.example --json | jq .id | mailctl mail rm - --yes",
    ),
)
@click.argument("mails", metavar="[ID]...", nargs=-1)
@click.option("--search", metavar="QUERY", help="What matches.")
@_user
@_mailbox
@options.everything("of the user, or of the mailbox")
@options.careful
@at_desk
def rm(
    desk: Desk,
    mails: tuple[str, ...],
    search: str | None,
    user: str | None,
    mailbox: str | None,
    everything: bool,
    yes: bool,
    dry_run: bool,
) -> None:
    """Remove messages from all mailboxes they are in. `-` reads their numbers from standard input."""
    from daemon.admin import mail

    if [bool(mails), search is not None, everything].count(True) != 1:
        raise click.UsageError("name messages by their numbers, or --search, or --all")
    if everything and user is None:
        raise click.UsageError("--all needs --user")
    if mails:
        going = mail.by_ids(desk.store, ids(mails))
    else:
        going = list(mail.found(desk.store, search or "", user=user, mailbox=mailbox))
    touched = [f"{m.id}: {m.sender} “{m.subject}”, {m.user} {', '.join(m.mailboxes)}" for m in going]
    if not desk.agreed(f"remove {count(len(going), 'message')}", touched, yes=yes, dry_run=dry_run):
        return
    with desk.out.progress("removing", len(going)) as step:
        gone = mail.remove(desk.store, [m.id for m in going], step)
    desk.out.done(f"removed {count(gone, 'message')}", {"removed": gone, "ids": [m.id for m in going]})


@command.command("index", examples=("mailctl mail index", "mailctl mail index --user alice@example.org --json"))
@_user
@at_desk
def index(desk: Desk, user: str | None) -> None:
    """Tell how far the full-text index is. What it does not have yet is read when somebody searches."""
    from daemon.admin import indexing

    found = indexing.standing(desk.store, user)
    desk.out.document(
        found,
        lambda: desk.out.print(f"{found.indexed:,} of {count(found.messages, 'message')} in {size(found.size)}"),
    )


@command.command(
    "reindex",
    examples=("mailctl mail reindex --user alice@example.org --yes", "mailctl mail reindex --all --yes"),
)
@_user
@options.everything("users")
@options.careful
@at_desk
def reindex(desk: Desk, user: str | None, everything: bool, yes: bool, dry_run: bool) -> None:
    """Make the full-text index anew while the server runs. Searches are right, but slow, until it is there again."""
    from daemon.admin import indexing

    if (user is not None) == everything:
        raise click.UsageError("name one user with --user, or say --all")
    found = indexing.standing(desk.store, user)
    touched = [f"{user or 'all users'}: {count(found.messages, 'message')}"]
    if desk.agreed("make the full-text index anew", touched, yes=yes, dry_run=dry_run):
        done = indexing.anew(desk.store, user)
        desk.out.done(f"the server makes the index of {count(done.users, 'user')} anew", done)
