"""`mailctl sieve`: the scripts of users and the administrator's own, and what one would do with a message."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mailctl import options
from mailctl.desk import Desk, at_desk
from mailctl.grammar import noun
from mailctl.out import Column, clean, size, width_of, yes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.admin.script_trial import Told, Trial
    from daemon.admin.scripts import Fault, Script

command = noun(
    "sieve",
    "Scripts that say what is done with mail (Sieve, RFC 5228): of users, and for all of them.",
    "mailctl sieve put alice@example.org main filter.sieve --activate",
    "mailctl sieve test filter.sieve letter.eml",
    "mailctl sieve list alice@example.org",
)
_SHOWN = 100  # cells of a line that is at fault
_words = click.argument(
    "words", metavar="[USER] NAME", nargs=-1, required=True, shell_complete=options.complete_scripts
)
_everyone = click.option("--global", "everyone", is_flag=True, help="A script of the administrator's.")
_domain = click.option(
    "--domain", default="", metavar="DOMAIN", shell_complete=options.complete_domains,
    help="The administrator's script for the users of this domain. Default: for all.",
)  # fmt: skip


@command.command("list", examples=("mailctl sieve list", "mailctl sieve list alice@example.org --json"))
@click.argument("user", metavar="[USER]", required=False, shell_complete=options.complete_users)
@at_desk
def list_(desk: Desk, user: str | None) -> None:
    """List scripts, of one user, or the administrator's and all users'."""
    from daemon.admin import scripts

    columns = [
        Column("WHOSE", lambda s: s.user or s.domain or "(everybody)"),
        Column("NAME", lambda s: clean(s.name), "bold"),
        Column("PLACE", lambda s: s.place),
        Column("ACTIVE", lambda s: yes(s.active), lambda s: "green" if s.active else "dim"),
        Column("SIZE", lambda s: size(s.size), right=True),
    ]
    hint = "There are no scripts; `mailctl sieve put` or `mailctl rule add` make some."
    desk.out.rows(scripts.everyone(desk.store, user), columns[1 if user else 0 :], empty=hint)


@command.command(
    "get",
    examples=(
        "mailctl sieve get alice@example.org main > main.sieve",
        "mailctl sieve get --global spam --domain example.org",
    ),
)
@_words
@_everyone
@_domain
@at_desk
def get(desk: Desk, words: tuple[str, ...], everyone: bool, domain: str) -> None:
    """Print a script as it is kept."""
    from daemon.admin import scripts

    user, name = _named(words, everyone or bool(domain))
    text = scripts.get(desk.store, user, name, domain=domain)
    desk.out.document({"user": user or "", "name": name, "text": text}, lambda: _write(text))


def _write(text: str) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode())


@command.command(
    "put",
    examples=(
        "mailctl sieve put alice@example.org main filter.sieve --activate",
        "mailctl sieve put alice@example.org main - < filter.sieve",
        "mailctl sieve put --before spam spam.sieve",
        "mailctl sieve put --after archive archive.sieve --domain example.org",
    ),
)
@click.argument("words", metavar="[USER] NAME FILE", nargs=-1, required=True, shell_complete=options.complete_scripts)
@click.option("--activate", is_flag=True, help="Make it the active script of the user.")
@click.option("--before", "place", flag_value="before", help="The administrator's: it runs before those of users.")
@click.option("--after", "place", flag_value="after", help="The administrator's: it runs after those of users.")
@click.option("--library", "place", flag_value="library", help="The administrator's: others include it.")
@_domain
@at_desk
def put(desk: Desk, words: tuple[str, ...], activate: bool, place: str | None, domain: str) -> None:
    """Check a script and keep it, in place of one of the same name. `-` reads it from standard input.

    What the server cannot run is not kept: each fault is shown with its line. Exit code 65: there are some.
    """
    from daemon.admin import scripts

    if domain and not place:
        raise click.UsageError("a script for a domain runs --before or --after those of users, or is a --library")
    if activate and place:
        raise click.UsageError("--activate is about a user's script; the administrator's run as soon as they are put")
    wanted = 2 if place else 3
    if len(words) != wanted:
        raise click.UsageError(f"name {'NAME FILE' if place else 'USER NAME FILE'}")
    *whose, name, file = words
    text = scripts.text_of(_read(file))
    with _faults_shown():
        if place:
            done = scripts.put_global(desk.store, name, text, place=place, domain=domain)
        else:
            done = scripts.put(desk.store, whose[0], name, text, active=activate)
    idle = "" if done.active or place else "; it is not active"
    desk.out.done(f"kept the script {_called(done)}{idle}", done)


@command.command(
    "activate",
    examples=(
        "mailctl sieve activate alice@example.org main",
        "mailctl sieve activate alice@example.org --none",
    ),
)
@click.argument("user", metavar="USER", shell_complete=options.complete_users)
@click.argument("name", metavar="[NAME]", required=False, shell_complete=options.complete_scripts)
@click.option("--none", "none", is_flag=True, help="None of the user's scripts sees mail.")
@at_desk
def activate(desk: Desk, user: str, name: str | None, none: bool) -> None:
    """Make one of a user's scripts the one that sees his mail."""
    from daemon.admin import scripts

    if (name is not None) == none:
        raise click.UsageError("name a script, or say --none")
    with _faults_shown():
        before = scripts.activate(desk.store, user, name)
    said = f"no script of {user} is active" if name is None else f"{name} is the active script of {user}"
    desk.out.done(said, {"user": user, "active": name, "before": before})


@command.command(
    "rm",
    examples=(
        "mailctl sieve rm alice@example.org old --yes",
        "mailctl sieve rm --global archive --domain example.org --yes",
    ),
)
@_words
@_everyone
@_domain
@options.careful
@at_desk
def rm(desk: Desk, words: tuple[str, ...], everyone: bool, domain: str, yes: bool, dry_run: bool) -> None:
    """Remove a script; the active one of a user stays until another is."""
    from daemon.admin import scripts

    user, name = _named(words, everyone or bool(domain))
    script = scripts.by_name(desk.store, user, name, domain=domain)
    if not desk.agreed("remove the script", [_called(script)], yes=yes, dry_run=dry_run):
        return
    if user is None:
        scripts.remove_global(desk.store, name, domain=domain)
    else:
        scripts.remove(desk.store, user, name)
    desk.out.done(f"removed the script {_called(script)}", script)


def _named(words: tuple[str, ...], everyone: bool) -> tuple[str | None, str]:
    """Whose script is meant (None: the administrator's), and which."""
    if len(words) != (1 if everyone else 2):
        raise click.UsageError("name NAME of a script for all" if everyone else "name USER NAME, or say --global NAME")
    return (None if everyone else words[0]), words[-1]


def _called(script: Script) -> str:
    return f"{script.name} of {script.user}" if script.user else f"{script.name} for {script.domain or 'everybody'}"


def _read(file: str) -> bytes:
    return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()


# --------------------------------------------------------------------------------------------------------------- test


@command.command(
    "test",
    examples=(
        "mailctl sieve test filter.sieve letter.eml",
        "mailctl sieve test letter.eml --user alice@example.org",
        "mailctl sieve test main letter.eml --user alice@example.org --score 7",
        "mailctl sieve test new.sieve letter.eml --user alice@example.org --whole --to alice+shop@example.org",
    ),
)
@click.argument("words", metavar="[SCRIPT] MESSAGE", nargs=-1, required=True, type=click.Path())
@click.option("--user", metavar="USER", shell_complete=options.complete_users, help="As it would be for this user.")
@click.option("--whole", is_flag=True, help="SCRIPT in place of the active one, among the administrator's.")
@click.option("--from", "sender", metavar="SENDER", help="The sender of the envelope. Default: whom the message names.")
@click.option("--to", "to", metavar="ADDRESS", help="The recipient of the envelope. Default: the user.")
@click.option("--score", "points", type=float, metavar="POINTS", help="As if the filter gave it these points.")
@at_desk
def test(
    desk: Desk,
    words: tuple[str, ...],
    user: str | None,
    whole: bool,
    sender: str | None,
    to: str | None,
    points: float | None,
) -> int:
    """Say what scripts would do with a message, step by step, with the line of each. Nothing is done.

    Without SCRIPT it is as at delivery: the administrator's scripts of before, the active one of --user, those of
    after. SCRIPT is a file, or with --user the name of one of his scripts; it is tried alone, but for --whole. `-`
    reads one of both from standard input. With --user his mailboxes and other scripts are there as the script would
    find them.

    The filter judges the message by what it is, and asks no name server; what it finds, spamtest and virustest see.

    Exit code 65: SCRIPT has faults; 1: a script goes wrong with this message, or cannot be run.
    """
    from daemon.admin import script_trial

    *named, message = words
    if len(named) > 1:
        raise click.UsageError("name SCRIPT MESSAGE, or MESSAGE alone")
    if not user and (whole or not named):
        raise click.UsageError("say with --user whose scripts are meant" if not named else "--whole needs --user")
    if whole and not named:
        raise click.UsageError("without SCRIPT all of them run anyway; --whole puts SCRIPT among them")
    if named == [message] == ["-"]:
        raise click.UsageError("only one of both can come from standard input")
    given = script_trial.Given(named[0], _script(desk, named[0], user), whole) if named else None
    with _faults_shown():
        found = script_trial.trial(
            desk.store, given, _read(message), user=user, sender=sender, to=to, points=points
        )  # fmt: skip
    desk.out.document(found, lambda: _tell(desk, found))
    return 1 if found.error else 0


def _script(desk: Desk, name: str, user: str | None) -> str:
    from daemon.admin import scripts

    if user and name != "-" and not Path(name).exists():
        return scripts.get(desk.store, user, name)
    return scripts.text_of(_read(name))


def _tell(desk: Desk, found: Trial) -> None:
    out = desk.out
    out.print(out.dim(clean(f"From {found.sender or '<>'} to {found.recipient or 'nobody in particular'}")))
    out.print(out.dim(f"The filter: {_judged(found)}"))
    if found.note:
        out.print(out.styled(f"At delivery: {clean(found.note)}", "33"))
    several = len(found.parts) != 1 or not found.script
    for part in found.parts:
        if several:
            whose = {"own": "of the user", "before": "before it", "after": "after it"}[part.place]
            state = "" if part.state == "ran" else f": {_STATES[part.state]}"
            out.print(out.styled(f"Script {clean(part.name)}, {whose}{state}", "1;4"))
        _tell_steps(desk, [step for step in found.steps if (step.place, step.script) == (part.place, part.name)])
        if part.error:
            what = "it does nothing" if several else "the message is kept"
            out.print(out.styled(f"The script goes wrong, so {what}: {clean(part.error)}", "1;31"))
    if not found.parts:
        out.print(f"No script sees the mail of {found.user}.")
    out.print(out.bold("What will be done:"))
    for deed in found.deeds:
        where = f"line {deed.line}" if deed.line else "since no line says otherwise"
        if deed.line and (several or deed.script != found.script):
            where += f" of {clean(deed.script)}"
        out.print(f"{'':>7}{clean(deed.text)}  {out.dim(f'({where})')}")


_STATES = {
    "broken": "it cannot be run, or not to its end",
    "passed over": "it does not see junk, since it does not ask for the score",
    "not reached": "one before it had the last word",
}


def _judged(found: Trial) -> str:
    score = f"{found.score:.1f} points, junk from {found.required:.1f} on" if found.required else "no score"
    said = {"accept": "accepted", "junk": "junk", "refuse": "refused; junk if it is taken", "defer": "later"}
    return f"{said[found.verdict]} ({found.reason}), {score}"


def _tell_steps(desk: Desk, steps: list[Told]) -> None:
    out, last = desk.out, 0
    colors = {"true": "32", "false": "33", "done": "36"}
    for step in steps:
        if step.line != last or not step.source:
            out.print(f"{out.dim(f'{step.line:>5}')}  {out.bold(clean(step.source.replace(chr(9), '    ')))}".rstrip())
        last = step.line
        out.print(f"{'':>9}{out.styled(f'{step.outcome:<5}', colors.get(step.outcome, ''))}  {clean(step.text)}")


# ------------------------------------------------------------------------------------------------------------- faults


@contextmanager
def _faults_shown() -> Iterator[None]:
    """Each fault of a script on standard error, with its line and a caret; then the error takes its way."""
    from daemon.admin.scripts import BadScript

    try:
        yield
    except BadScript as error:
        for fault in error.faults:
            print(shown(fault), file=sys.stderr)
        raise


def shown(fault: Fault) -> str:
    """A fault as people read it."""
    told = f"line {fault.line}, column {fault.column}: {clean(fault.text)}"
    if not fault.source:
        return told
    at = fault.column - 1
    begin = max(0, at - _SHOWN * 2 // 3)
    before, line = (clean(text) for text in (fault.source[begin:at], fault.source[begin : begin + _SHOWN]))
    return f"{told}\n    {line}\n    {' ' * width_of(before)}^"
