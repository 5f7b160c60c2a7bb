"""`mailctl trace`: where is that mail, and why?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mailctl import options
from mailctl.desk import Desk, at_desk
from mailctl.grammar import verb
from mailctl.out import clean, count, when

if TYPE_CHECKING:
    from daemon.admin.trace import Refused, Story

_COLORS = {
    "delivered": "32",
    "sent": "32",
    "imported": "32",
    "deferred": "33",
    "held": "33",
    "failed": "31",
    "refused": "31",
    "expired": "31",
    "dropped": "31",
}


@verb(
    "trace",
    "mailctl trace '<20261123.1@shop.example>'",
    "mailctl trace 1m84mdg68wx9ze5b",
    "mailctl trace --from shop.example --to alice@example.org --since 2d",
)
@click.argument("name", metavar="[MESSAGE-ID|TRACE-ID]", required=False)
@click.option("--from", "sender", metavar="TEXT", help="Senders with this in their address.")
@click.option("--to", "recipient", metavar="TEXT", help="Recipients with this in their address.")
@options.since
@options.limit
@at_desk
def command(
    desk: Desk, name: str | None, sender: str | None, recipient: str | None, since: str | None, limit: int | None
) -> int:
    """Tell what happened to a message, in order, and why; of strangers that were refused, too.

    Exit code 1: nothing is known of it.
    """
    from daemon.admin import trace

    if (name is None) == (sender is None and recipient is None and since is None):
        raise click.UsageError("name a Message-ID or a trace, or say --from, --to or --since")
    most = limit or 100
    stories = trace.stories(desk.store, name, sender=sender, recipient=recipient, since=since, limit=most)
    refused: list[Refused] = []
    if name is None:
        refused = trace.refusals(desk.store, sender=sender, recipient=recipient, since=since, limit=most)
    if desk.json:
        desk.out.rows([*stories, *refused], [])
    else:
        for number, story in enumerate(reversed(stories)):  # the newest is read last, next to the prompt
            if number:
                desk.out.print()
            _tell(desk, story)
        if refused:
            if stories:
                desk.out.print()
            _tell_refused(desk, refused)
        if len(stories) == most:
            desk.out.note(f"Only the newest {most} are shown; --limit shows more.")
        if not stories and not refused:
            desk.out.note("Nothing is known of such mail.")
    return 0 if stories or refused else 1


def _tell(desk: Desk, story: Story) -> None:
    out = desk.out
    head = f"trace {story.trace}" + (f"  <{clean(story.message_id)}>" if story.message_id else "")
    out.print(out.bold(head))
    wide = max((len(step.kind) for step in story.steps), default=0)
    for step in story.steps:
        mark = out.styled(step.kind.ljust(wide), _COLORS.get(step.kind, "36"))
        out.print(f"  {out.dim(when(step.at, seconds=True))}  {mark}  {clean(step.text)}")
    for place in story.now:
        out.print(f"  {out.dim('now'.ljust(19))}  {' ' * wide}  {clean(place)}")


def _tell_refused(desk: Desk, refused: list[Refused]) -> None:
    out = desk.out
    out.print(out.bold("refused at the door"))
    for one in reversed(refused):
        many = f", {count(one.count, 'time')} since {when(one.first_at, seconds=True)}" if one.count > 1 else ""
        who = "many peers" if one.peer == "*" else one.peer
        envelope = f" {one.sender or '<>'}" + (f" to {one.recipient}" if one.recipient else "")
        text = clean(f"{who}{envelope}: {one.reply}")
        mark = out.styled(f"{'refused':<9}", "31")
        out.print(f"  {out.dim(when(one.last_at, seconds=True))}  {mark}  {text} {out.dim(f'({one.reason}{many})')}")
