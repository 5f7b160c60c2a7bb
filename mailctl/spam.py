"""`mailctl spam`: what the filter makes of messages, what it learns, and how good it is."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mailctl import options
from mailctl.desk import Desk, at_desk
from mailctl.grammar import noun
from mailctl.out import Column, clean, count, when
from mailctl.spam_score import score
from mailctl.spam_senders import allow, block

if TYPE_CHECKING:
    from daemon.admin.spam_eval import Evaluation

command = noun(
    "spam",
    "What the filter makes of messages, what it learns, and how good it is.",
    "mailctl spam score letter.eml",
    "mailctl spam train --spam ~/Maildir/.Junk",
    "mailctl spam stats",
)
command.add_command(score)
command.add_command(allow)
command.add_command(block)
_user = click.option("--user", metavar="USER", shell_complete=options.complete_users, help="Only of this user.")
_NEWEST = 2000  # messages of a class


@command.command(
    "train",
    examples=(
        "mailctl spam train --spam junk.mbox",
        "mailctl spam train --ham --user alice@example.org letter.eml ~/Maildir",
        "mailctl spam train --forget letter.eml",
    ),
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--spam", "spam", is_flag=True, help="They are spam.")
@click.option("--ham", "ham", is_flag=True, help="They are wanted.")
@click.option("--forget", is_flag=True, help="What was learnt of them is taken back.")
@click.option("--user", metavar="USER", shell_complete=options.complete_users, help="For this user. Default: for all.")
@at_desk
def train(desk: Desk, files: tuple[Path, ...], spam: bool, ham: bool, forget: bool, user: str | None) -> int:
    """Teach the filter what messages are: mbox files, Maildirs, single messages, directories of them.

    Taught twice is taught once, and what was said last counts. Exit code 65: some messages could not be taken.
    """
    from daemon.admin import imports
    from daemon.admin import spam as admin

    if [spam, ham, forget].count(True) != 1:
        raise click.UsageError("say one of --spam, --ham and --forget")
    sources = [imports.source(path) for path in files]
    total = sum(source.total for source in sources) if len({source.unit for source in sources}) == 1 else None
    with desk.out.progress("learning", total, sources[0].unit) as step:
        done = admin.train(desk.store, sources, "spam" if spam else "ham" if ham else "forget", user, step)
    what = "forgot" if forget else f"learnt as {done.lesson}"
    rest = done.messages - done.changed
    there = f", {count(rest, 'message')} {'not learnt' if forget else 'known as that'} before" if rest else ""
    desk.out.done(f"{what}: {count(done.changed, 'message')}, for {done.user or 'everybody'}{there}", done)
    for problem in done.problems:
        desk.out.warn(f"not taken: {problem}")
    return 65 if done.problems else 0


@command.command("stats", examples=("mailctl spam stats", "mailctl spam stats --user alice@example.org --json"))
@_user
@at_desk
def stats(desk: Desk, user: str | None) -> None:
    """List what was learnt: for everybody, and by each user who taught something."""
    from daemon.admin import spam as admin

    desk.out.rows(
        admin.stats(desk.store, user),
        [
            Column("USER", lambda one: one.user or "(everybody)", "bold"),
            Column("HAM", lambda one: f"{one.ham:,}", right=True),
            Column("SPAM", lambda one: f"{one.spam:,}", right=True),
            Column("TOKENS", lambda one: f"{one.tokens:,}", right=True),
            Column("WAITING", lambda one: f"{one.waiting:,}" if one.waiting else "", "yellow", right=True),
            Column("LAST LEARNT", lambda one: when(one.learnt_at), "dim"),
        ],
    )


@command.command(
    "retrain",
    examples=(
        "mailctl spam retrain --user alice@example.org --dry-run",
        "mailctl spam retrain --user alice@example.org --yes",
        "mailctl spam retrain --all --yes",
    ),
)
@_user
@options.everything("users")
@click.option(
    "--limit", type=click.IntRange(min=1), default=_NEWEST, metavar="N",
    help=f"The newest N messages of each kind [{_NEWEST}].",
)  # fmt: skip
@options.careful
@at_desk
def retrain(desk: Desk, user: str | None, everything: bool, limit: int, yes: bool, dry_run: bool) -> None:
    """Forget all that was learnt from a user, and learn anew from where his mail lies now.

    What is in Junk is spam; what he read and kept elsewhere is ham, but for Trash, Drafts and Sent. The keywords $Junk
    and $NotJunk overrule the place. What was learnt for everybody stays.
    """
    from daemon.admin import spam as admin

    if (user is not None) == everything:
        raise click.UsageError("name one user with --user, or say --all")
    found = {one: admin.labels(desk.store, one, limit) for one in ([user] if user else admin.users(desk.store))}
    many = {one: [label.class_ for label in labels] for one, labels in found.items()}
    touched = [f"{one}: learn {m.count('ham'):,} ham and {m.count('spam'):,} spam" for one, m in many.items()]
    if not desk.agreed("forget what the filter learnt, and learn it anew", touched, yes=yes, dry_run=dry_run):
        return
    for one, labels in found.items():
        with desk.out.progress(f"learning from {one}", len(labels)) as step:
            done = admin.retrain(desk.store, one, labels, step)
        said = (
            f"forgot {count(done.forgotten, 'message')} of {done.user}, learnt {done.ham:,} ham and {done.spam:,} spam"
        )
        desk.out.done(said, done)


@command.command(
    "eval",
    examples=("mailctl spam eval --user alice@example.org", "mailctl spam eval --user alice@example.org --threshold 4"),
)
@_user
@click.option("--threshold", type=float, metavar="POINTS", help="The value of spam.junk to look at [the present one].")
@click.option(
    "--limit", type=click.IntRange(min=1), default=_NEWEST, metavar="N",
    help=f"The newest N messages of each kind [{_NEWEST}].",
)  # fmt: skip
@at_desk
def eval_(desk: Desk, user: str | None, threshold: float | None, limit: int) -> int:
    """Judge a user's own mail anew, and say what the filter gets right: before a threshold is changed.

    Junk counts as spam, what he read and kept elsewhere as ham. Each message is judged as if it had never been learnt,
    by its words alone; without --user all users, one after the other. Exit code 1: there is nothing to judge.
    """
    from daemon.admin import spam as admin
    from daemon.admin import spam_eval

    points = spam_eval.threshold(desk.store) if threshold is None else threshold
    judged = 0
    for one in [user] if user else admin.users(desk.store):
        labels = admin.labels(desk.store, one, limit)
        judged += len(labels)
        with desk.out.progress(f"judging mail of {one}", len(labels)) as step:
            found = spam_eval.evaluate(desk.store, one, labels, points, step)
        desk.out.document(found, partial(_tell, desk, found))
    return 0 if judged else 1


def _tell(desk: Desk, found: Evaluation) -> None:
    out = desk.out
    out.print(out.bold(f"{found.user}: {found.ham:,} ham, {found.spam:,} spam"))
    outcomes = sorted(
        {one.threshold: one for one in (*found.others, found.outcome)}.values(), key=lambda o: o.threshold
    )
    chosen = found.outcome.threshold
    out.rows(
        outcomes,
        [
            Column("JUNK FROM", lambda o: f"{o.threshold:g}{' <' if o.threshold == chosen else ''}", _bold(chosen)),
            Column("CAUGHT", lambda o: f"{o.caught:,}", right=True),
            Column("MISSED", lambda o: f"{o.missed:,}", right=True),
            Column(
                "HAM IN JUNK",
                lambda o: f"{o.false_positives:,}",
                lambda o: "red" if o.false_positives else "green",
                True,
            ),
            Column("RECALL", lambda o: _share(o.recall), right=True),
            Column("PRECISION", lambda o: _share(o.precision), right=True),
        ],
    )
    for mistake in found.mistakes:
        out.print(f"wanted, yet {mistake.score:g} points: message {mistake.id} “{clean(mistake.subject)}”")


def _bold(threshold: float) -> Callable[[Any], str]:
    return lambda outcome: "bold" if outcome.threshold == threshold else ""


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"
