"""`mailctl vacation`: the answer of a user who is away."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mailctl import options
from mailctl.desk import Desk, at_desk
from mailctl.grammar import noun
from mailctl.out import clean

if TYPE_CHECKING:
    from daemon.admin.vacations import Vacation

command = noun(
    "vacation",
    "The answer of a user who is away, kept as a marked part of his script.",
    "mailctl vacation set alice@example.org --text 'I am back on Monday.' --until 2030-01-06",
    "mailctl vacation off alice@example.org",
)


@command.command("show", examples=("mailctl vacation show alice@example.org",))
@options.user
@at_desk
def show(desk: Desk, user: str) -> None:
    """Show the answer that a user gives. Exit code 1: he gives none."""
    from daemon.admin import errors, vacations

    found = vacations.show(desk.store, user)
    if found is None:
        raise errors.Missing(f"{user} gives no answer; `mailctl vacation set {user} --text TEXT` makes one")
    desk.out.show(
        found,
        [
            ("Answer of", f"{found.user}, in the script {found.script}"),
            ("State", f"{found.state}: {_days(found)}"),
            ("Once in", "a day" if found.days == 1 else f"{found.days} days to each sender"),
            ("Also for", ", ".join(found.addresses)),
            ("Subject", found.subject),
            ("Text", found.text),
        ],
    )


@command.command(
    "set",
    examples=(
        "mailctl vacation set alice@example.org --text 'I am back on Monday.' --until 2030-01-06",
        "mailctl vacation set alice@example.org --text-file away.txt --subject Away --from 2030-01-01 --days 3",
        "mailctl vacation set alice@example.org --until 14d",
    ),
)
@options.user
@click.option("--text", metavar="TEXT", help="What is answered.")
@click.option("--text-file", metavar="FILE", help="Read the text from FILE, or `-`: from standard input.")
@click.option("--subject", metavar="TEXT", help="The subject. Default: Auto, and that of the message.")
@click.option("--from", "first", metavar="DATE", help="The first day, or a span from now such as 2d; '': none.")
@click.option("--until", "last", metavar="DATE", help="The last day, or a span from now such as 14d; '': none.")
@click.option("--days", type=click.IntRange(min=1), metavar="N", help="Answer a sender once in N days [7].")
@click.option("--address", "addresses", metavar="ADDRESS", multiple=True, help="Another address of his, elsewhere.")
@at_desk
def set_(
    desk: Desk,
    user: str,
    text: str | None,
    text_file: str | None,
    subject: str | None,
    first: str | None,
    last: str | None,
    days: int | None,
    addresses: tuple[str, ...],
) -> None:
    """Give an answer, or change the one that is given; what is not named stays as it is.

    Both days belong to the time. Each sender is answered once in so many days; mail from lists and machines, junk, and
    mail that does not name one of the user's addresses is not answered.
    """
    from daemon.admin import vacations

    if text is not None and text_file is not None:
        raise click.UsageError("--text and --text-file are two sources; name one")
    if text_file is not None:
        text = _read(text_file)
    if all(value is None for value in (text, subject, first, last, days)) and not addresses:
        raise click.UsageError("nothing to set; name --text, --text-file, or what is to be changed")
    given = vacations.set(
        desk.store, user, text=text, subject=subject, first=first, last=last, days=days, addresses=addresses or None
    )
    desk.out.done(f"{given.user} answers {_days(given)}: “{clean(given.text)}”", given)


def _read(file: str) -> str:
    from daemon.admin import errors

    data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise errors.BadData(f"{file} is not text in UTF-8") from None


@command.command("off", examples=("mailctl vacation off alice@example.org",))
@options.user
@at_desk
def off(desk: Desk, user: str) -> None:
    """Give no answer any more."""
    from daemon.admin import vacations

    before = vacations.off(desk.store, user)
    said = f"{user} gives no answer any more" if before else f"{user} gave no answer"
    desk.out.done(said, {"user": user, "removed": before})


def _days(found: Vacation) -> str:
    first, last = found.first, found.last
    if first and last:
        return f"from {first} to {last}"
    return f"from {first} on" if first else f"until {last}" if last else "from now on"
