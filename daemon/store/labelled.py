"""What a user's mailboxes say of his mail: Junk is spam, what he read and kept elsewhere is ham."""

from __future__ import annotations

from typing import NamedTuple

from daemon.store import keywords, mailboxes
from daemon.store.blobs import Place
from daemon.store.keywords import DELETED, SEEN
from daemon.store.mailboxes import Mailbox
from daemon.store.spam import Class, said_by
from daemon.store.tx import Tx

_HIS_OWN = ("\\Sent", "\\Drafts")


class Labelled(NamedTuple):
    """One message, its number for people, and what it is."""

    class_: Class
    email_id: int
    subject: str
    received_at: int
    place: Place


def labelled(tx: Tx, account_id: int, limit: int) -> list[Labelled]:
    """The newest `limit` messages of each class: those marked so by a keyword, else all in Junk, and what was read and
    not deleted elsewhere; nothing that is in Trash, or that he wrote himself."""
    found: dict[int, Labelled] = {}
    for box in mailboxes.everyone(tx, account_id):
        role = mailboxes.role(tx, box)
        if role != "\\Trash" and role not in _HIS_OWN:
            found.update((one.email_id, one) for one in _in_box(tx, box, role == "\\Junk", limit))
    newest = sorted(found.values(), key=lambda one: (-one.received_at, -one.email_id))
    return [one for class_ in ("spam", "ham") for one in [each for each in newest if each.class_ == class_][:limit]]


def _in_box(tx: Tx, box: Mailbox, junk: bool, limit: int) -> list[Labelled]:
    said: dict[int, Class | str] = {}
    left = {"spam": limit, "ham": limit}
    found: list[Labelled] = []
    for flags, words, *row, segment, offset, length in tx.each(
        "select m.flags, m.keywords, e.id, c.subject, e.received_at, b.segment_id, b.offset, b.length"
        " from membership m join email e on e.id = m.email_id join blob b on b.id = e.blob_id"
        " join content c on c.blob_id = b.id where m.mailbox_id = ? order by m.uid desc",
        box.id,
    ):
        if words not in said:
            said[words] = said_by(keywords.names_of(tx, words))
        by_place = "spam" if junk else "ham" if flags & SEEN else ""
        class_: Class | str = said[words] or by_place
        if flags & DELETED or class_ not in ("ham", "spam") or not left[class_]:
            if not any(left.values()):
                break
            continue
        left[class_] -= 1
        found.append(
            Labelled("spam" if class_ == "spam" else "ham", row[0], row[1], row[2], Place(segment, offset, length))
        )
    return found
