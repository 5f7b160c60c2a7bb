"""mail import and export: mbox, Maildir and single messages, there and back."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.admin import imports, mbox
from daemon.mail.headers import crlf
from daemon.store import mailboxes, messages
from daemon.store.keywords import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN
from daemon.store.tx import Tx
from tests.mailctl.conftest import MESSAGE, Ctl, message

MBOX = (
    b"From joerg@shop.example Mon Nov 23 10:00:05 2026\n" + MESSAGE.replace(b"\nFrom here", b"\n>From here")
    + b"\nFrom MAILER-DAEMON Tue Nov 24 11:00 2026 +0100\nSubject: second\nStatus: RO\nX-Status: AF\n"
    b"X-Keywords: $Forwarded todo\n\nFrom here on text, without a date\n\n>>From far away\n"
)  # fmt: skip


def listed(ctl: Ctl, user: str, *more: str) -> list[dict[str, Any]]:
    return sorted(ctl.lines("mail", "list", user, *more), key=lambda m: m["id"])


def raw(ctl: Ctl, number: int) -> bytes:
    return ctl("mail", "show", str(number), "--raw").stdout_bytes


def test_an_mbox_comes_in_with_flags_keywords_and_dates(town: Ctl, tmp_path: Path) -> None:
    file = tmp_path / "old.mbox"
    file.write_bytes(MBOX)
    done = town.json("mail", "import", "alice@example.org", str(file), "--mailbox", "Old/2026")
    assert (done["imported"], done["skipped"], done["format"], done["mailboxes"]) == (2, 0, "mbox", ["Old/2026"])
    first, second = listed(town, "alice@example.org", "Old/2026")
    assert (first["received_at"], second["received_at"]) == ("2026-11-23T10:00:05.000Z", "2026-11-24T10:00:00.000Z")
    assert (first["flags"], second["flags"]) == ([], ["\\Seen", "\\Answered", "\\Flagged"])
    assert second["keywords"] == ["$Forwarded", "todo"]
    assert raw(town, first["id"]) == crlf(MESSAGE)
    assert raw(town, second["id"]) == crlf(b"Subject: second\n\nFrom here on text, without a date\n\n>From far away\n")


def test_what_is_there_already_is_passed_over_octet_for_octet(town: Ctl, tmp_path: Path) -> None:
    file = tmp_path / "old.mbox"
    file.write_bytes(MBOX)
    town.ok("mail", "import", "alice@example.org", str(file))
    again = town.json("mail", "import", "--user", "alice@example.org", str(file))
    assert (again["imported"], again["skipped"]) == (0, 2)
    file.write_bytes(MBOX + b"\nFrom x Mon Nov 23 10:00:05 2026\nSubject: third\n\nnew\n" + b"\n" + MBOX)
    again = town.json("mail", "import", "alice@example.org", str(file))
    assert (again["imported"], again["skipped"]) == (1, 4)
    assert "there already" in town.ok("mail", "import", "alice@example.org", str(file))


@given(
    head=st.lists(st.sampled_from([b"Subject: x", b"X-A: b", b"Received: by c", b"To: d"]), max_size=4),
    body=st.lists(
        st.sampled_from([b"", b"From x Mon Nov 23 10:00:05 2026", b">From y", b">>From", b"text", b"From ", b"\xff"]),
        max_size=8,
    ),
    flags=st.integers(0, 31),
    ends=st.booleans(),
)  # fmt: skip
def test_what_is_written_as_mbox_is_read_as_it_was(
    head: list[bytes], body: list[bytes], flags: int, ends: bool
) -> None:
    data = b"\r\n".join([*head, b"", *body]) + (b"\r\n" if ends else b"")
    if not head:
        data = b"X: y\r\n" + data
    file = BytesIO()
    for _ in range(2):
        mbox.write(file, data, sender="a@b.example", flags=flags, keywords=("todo",), received_at=1_800_000_000_000)
    file.seek(0)
    found = list(mbox.read(file, 1 << 20, "INBOX"))
    assert len(found) == 2
    for one in found:
        assert one.data in (data, data + b"\r\n")
        assert (one.flags, one.keywords, one.received_at) == (flags, ("todo",), 1_800_000_000_000)


def test_every_mailbox_goes_out_and_comes_back(town: Ctl, tmp_path: Path, letter: Path) -> None:
    """Through a Maildir, an mbox for each mailbox, and one mbox: the copy of a copy adds nothing."""
    town.ok("mail", "deliver", str(letter), "--to", "alice@example.org")
    for number in range(3):
        letter.write_bytes(message(f"m{number}", body="From x\n.\n>From\n", number=number))
        town.ok("mail", "import", "alice@example.org", str(letter), "--mailbox", "Lists/Ünïcode.x")
    store = town.store()

    def shape(tx: Tx) -> None:
        box = mailboxes.get(tx, 1, "Lists/Ünïcode.x")
        messages.set_flags(tx, box.id, [(1, 1)], "+", SEEN | FLAGGED | DELETED, ("todo", "$Forwarded"))
        messages.set_flags(tx, box.id, [(2, 2)], "+", ANSWERED | DRAFT, ("todo",))

    store.write_now(shape)
    store.close()
    before = listed(town, "alice@example.org")
    maildir, folder = tmp_path / "Maildir", tmp_path / "boxes"
    folder.mkdir()
    town.ok("mail", "export", "alice@example.org", f"{maildir}/")
    town.ok("mail", "export", "alice@example.org", str(folder))
    assert {p.name for p in folder.rglob("*.mbox")} >= {"INBOX.mbox", "Ünïcode.x.mbox"}
    again = town.json("mail", "export", "alice@example.org", str(maildir))
    assert (again["format"], again["exported"], again["skipped"]) == ("maildir", 0, 4)
    for source in (maildir, folder):
        same = town.json("mail", "import", "alice@example.org", str(source))
        assert (same["imported"], same["skipped"]) == ((0, 4) if source == folder else (3, 1))
        town.ok("mail", "import", "bob@example.org", str(source))
        came = sorted(listed(town, "bob@example.org"), key=lambda m: m["message_id"])
        for mine, theirs in zip(came, sorted(before, key=lambda m: m["message_id"]), strict=False):
            assert raw(town, mine["id"]) == raw(town, theirs["id"])
            assert (mine["flags"], mine["keywords"]) == (theirs["flags"], theirs["keywords"])
            assert mine["received_at"][:19] == theirs["received_at"][:19]
        town.ok("mail", "rm", "--user", "bob@example.org", "--all", "--yes")
    town.ok("doctor", "--store")


def test_a_maildir_of_dovecot_comes_in_with_folders_flags_and_keywords(town: Ctl, tmp_path: Path) -> None:
    root = tmp_path / "Maildir"
    for folder in ("", ".Sent", ".Lists.&APw-ber", "fs/deep"):
        for part in ("cur", "new", "tmp"):
            (root / folder / part).mkdir(parents=True)
    (root / "dovecot-keywords").write_text("0 todo\n1 $Forwarded\n")
    (root / "cur" / "1.M1P1.host,S=1:2,FSab").write_bytes(message(number=1))
    (root / "new" / "2.M1P1.host").write_bytes(message(number=2))
    (root / "tmp" / "3.M1P1.host").write_bytes(message(number=3))
    (root / "cur" / "link").symlink_to("/etc/passwd")
    (root / ".Sent" / "cur" / "4:2,S").write_bytes(message(number=4))
    (root / ".Lists.&APw-ber" / "cur" / "5:2,RD").write_bytes(message(number=5))
    (root / "fs/deep" / "new" / "6").write_bytes(message(number=6))
    os.utime(root / "new" / "2.M1P1.host", (1_700_000_000, 1_700_000_000))
    assert "maildir, 5 messages" in town.ok("mail", "import", "alice@example.org", str(root), "--dry-run")
    done = town.json("mail", "import", "alice@example.org", str(root))
    assert (done["imported"], done["problems"]) == (5, [])
    found = {m["message_id"][0]: m for m in listed(town, "alice@example.org")}
    assert {n: m["mailboxes"] for n, m in found.items()} == {
        "1": ["INBOX"], "2": ["INBOX"], "4": ["Sent"], "5": ["Lists/über"], "6": ["fs/deep"],
    }  # fmt: skip
    assert (found["1"]["flags"], found["1"]["keywords"]) == (["\\Seen", "\\Flagged"], ["$Forwarded", "todo"])
    assert (found["2"]["flags"], found["2"]["received_at"]) == ([], "2023-11-14T22:13:20.000Z")
    assert found["5"]["flags"] == ["\\Answered", "\\Draft"]
    town.ok("mail", "import", "bob@example.org", str(root), "--mailbox", "Was")
    assert {m["mailboxes"][0] for m in listed(town, "bob@example.org")} == {
        "Was", "Was/Sent", "Was/Lists/über", "Was/fs/deep",
    }  # fmt: skip


def test_single_messages_come_in(town: Ctl, letter: Path, tmp_path: Path) -> None:
    assert town.json("mail", "import", "alice@example.org", str(letter))["format"] == "message"
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "a.eml").write_bytes(message())
    (tmp_path / "more" / "b.eml").write_bytes(b"")
    done = town("mail", "import", "alice@example.org", str(tmp_path / "more"))
    assert done.exit_code == 65 and "b.eml: empty" in done.stderr
    assert len(listed(town, "alice@example.org")) == 2


def test_what_is_too_large_is_named_and_the_rest_comes_in(town: Ctl, tmp_path: Path) -> None:
    town.ok("config", "set", "limits.message_size", "2k")
    big = message(body="x" * 5000)
    file = tmp_path / "x.mbox"
    file.write_bytes(b"".join(b"From a Mon Nov 23 10:00:05 2026\n" + m + b"\n" for m in (big, message(), big)))
    done = town("mail", "import", "alice@example.org", str(file))
    assert done.exit_code == 65
    assert "message 1: larger than 2048 octets" in done.stderr and "message 3" in done.stderr
    root = tmp_path / "M"
    (root / "cur").mkdir(parents=True)
    (root / "cur" / "1").write_bytes(big)
    assert town("mail", "import", "alice@example.org", str(root)).exit_code == 65
    (tmp_path / "big.eml").write_bytes(big)
    assert town("mail", "import", "alice@example.org", str(tmp_path / "big.eml")).exit_code == 65
    assert len(listed(town, "alice@example.org")) == 1


def test_a_full_mailbox_keeps_what_came_before_and_goes_on_later(town: Ctl, tmp_path: Path) -> None:
    file = tmp_path / "x.mbox"
    file.write_bytes(b"".join(b"From a Mon Nov 23 10:00:05 2026\n" + message(number=n) + b"\n" for n in range(120)))
    town.ok("user", "set", "bob@example.org", "--quota", "10k")
    town.fails(75, "mail", "import", "bob@example.org", str(file))
    assert len(listed(town, "bob@example.org")) == 50, "groups are whole or not there"
    town.ok("user", "set", "bob@example.org", "--quota", "none")
    done = town.json("mail", "import", "bob@example.org", str(file))
    assert (done["imported"], done["skipped"]) == (70, 50)
    town.ok("doctor", "--store")


def test_what_holds_no_mail_is_refused(town: Ctl, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    town.fails(65, "mail", "import", "alice@example.org", str(tmp_path / "empty"))
    town.fails(65, "mail", "import", "alice@example.org", str(tmp_path / "nothing"))
    (tmp_path / "file").write_text("x")
    town.fails(65, "mail", "import", "alice@example.org", str(tmp_path / "file"), "--format", "maildir")
    town.fails(1, "mail", "import", "nobody@example.org", str(tmp_path / "file"))
    town.fails(64, "mail", "import", "alice@example.org")


def test_an_export_takes_a_mailbox_or_what_a_search_finds(town: Ctl, tmp_path: Path, letter: Path) -> None:
    for number in range(250):
        letter.write_bytes(message(f"subject {number % 2}", number=number))
        if number < 4:
            town.ok("mail", "deliver", str(letter), "--to", "alice@example.org")
    one = tmp_path / "one.mbox"
    assert town.json("mail", "export", "alice@example.org", str(one), "--search", "subject:1")["exported"] == 2
    assert one.stat().st_mode & 0o777 == 0o600
    assert "--overwrite" in town.fails(65, "mail", "export", "alice@example.org", str(one))
    assert (
        town.json("mail", "export", "alice@example.org", str(one), "--mailbox", "inbox", "--overwrite")["exported"] == 4
    )
    out = town("mail", "export", "alice@example.org", "-").stdout_bytes
    assert out.count(b"\nFrom joerg@shop.example ") == 3 and out == one.read_bytes()
    town.fails(1, "mail", "export", "alice@example.org", str(one), "--mailbox", "Nowhere", "--overwrite")
    assert not list(tmp_path.glob("*.part"))


def test_a_mailbox_cannot_be_called_so_that_an_export_leaves_its_directory(town: Ctl, tmp_path: Path) -> None:
    letter = tmp_path / "x.eml"
    letter.write_bytes(message())
    for name in ("../../outside", ".hidden/..", "a/../../b"):
        town.ok("mail", "import", "alice@example.org", str(letter), "--mailbox", name)
    target, maildir = tmp_path / "deep" / "target", tmp_path / "deep" / "Maildir"
    target.mkdir(parents=True)
    town.ok("mail", "export", "alice@example.org", str(target))
    town.ok("mail", "export", "alice@example.org", str(maildir), "--format", "maildir")
    assert {p.name for p in (tmp_path / "deep").iterdir()} == {"target", "Maildir"}
    assert len([p for p in target.rglob("*.mbox") if p.stat().st_size]) == 3
    assert len([p for p in maildir.rglob("cur/*")]) == 3


def test_many_messages_come_and_go_in_batches(town: Ctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "many.mbox"
    file.write_bytes(b"".join(b"From a Mon Nov 23 10:00:05 2026\n" + message(number=n) + b"\n" for n in range(230)))
    monkeypatch.setattr(imports, "_GROUP_OCTETS", 2000)
    assert town.json("mail", "import", "alice@example.org", str(file))["imported"] == 230
    assert town.json("mail", "export", "alice@example.org", str(tmp_path / "out.mbox"))["exported"] == 230
    assert [m["uid"] for m in listed(town, "alice@example.org")] == list(range(1, 231))
