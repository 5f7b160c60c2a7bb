"""`mailctl spam`: teaching from files, what was learnt, learning anew, and how good that is."""

from __future__ import annotations

import mailbox
from pathlib import Path
from typing import Any

import pytest

from daemon.admin import spam_eval
from daemon.admin.spam_eval import Evaluation
from daemon.limits import LIMITS
from daemon.store import mailboxes, messages, spam
from daemon.store.db import Store
from daemon.store.tx import Tx
from tests.mailctl.conftest import Ctl, message
from tests.store.stage import clean, deliver

ALICE, BOB = "alice@example.org", "bob@example.org"


def junk(number: int) -> bytes:
    return message(f"Offer {number}", "win@casino.example", f"cheap jackpot watches casino bonus {number}", number)


def wanted(number: int) -> bytes:
    return message(f"Minutes {number}", "ann@work.example", f"minutes agenda budget meeting {number}", 1000 + number)


def dump(ctl: Ctl) -> list[list[tuple[Any, ...]]]:
    store = ctl.store()
    try:
        clean(store)
        return [
            store.read_now(
                Tx.all, "select account_id, identity, class, source, tokens from spam_trained order by 1, 2"
            ),
            store.read_now(Tx.all, "select * from spam_token order by 1, 2"),
            store.read_now(Tx.all, "select * from spam_learnt order by 1"),
        ]
    finally:
        store.close()


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Ten messages as an mbox, five as a Maildir, two of them as files."""
    box = mailbox.mbox(tmp_path / "junk.mbox")
    for number in range(10):
        box.add(junk(number))
    box.close()
    folder = mailbox.Maildir(tmp_path / "folder")
    for number in range(5):
        folder.add(junk(number))
    (tmp_path / "single").mkdir()
    for number in range(2):
        (tmp_path / "single" / f"{number}.eml").write_bytes(junk(number).replace(b"\n", b"\r\n"))
    return tmp_path


def test_a_message_is_learnt_once_from_whatever_file(town: Ctl, files: Path) -> None:
    done = town.json("spam", "train", "--spam", str(files / "junk.mbox"))
    assert done == {"user": None, "lesson": "spam", "messages": 10, "changed": 10, "problems": []}
    before = dump(town)
    for path in ("junk.mbox", "folder", "single", "single/0.eml"):
        assert town.json("spam", "train", "--spam", str(files / path))["changed"] == 0
    assert dump(town) == before
    (everybody,) = town.lines("spam", "stats")
    assert (everybody["user"], everybody["ham"], everybody["spam"]) == (None, 0, 10)
    assert everybody["tokens"] == len(before[1]) and everybody["learnt_at"]


def test_what_is_forgotten_leaves_no_trace(town: Ctl, files: Path) -> None:
    town.ok("spam", "train", "--spam", str(files / "folder"))
    before = dump(town)
    assert town.json("spam", "train", "--spam", str(files / "junk.mbox"))["changed"] == 5
    (files / "rest").mkdir()
    for number in range(5, 10):
        (files / "rest" / f"{number}.eml").write_bytes(junk(number))
    said = town.ok("spam", "train", "--forget", str(files / "rest"))
    assert "forgot: 5 messages, for everybody" in said
    assert dump(town) == before
    assert "5 messages not learnt before" in town.ok("spam", "train", "--forget", str(files / "rest"))
    town.ok("spam", "train", "--forget", str(files / "folder"))
    assert dump(town) == [[], [], []]


def test_the_other_lesson_replaces_the_first(town: Ctl, files: Path) -> None:
    town.ok("spam", "train", "--spam", "--user", BOB, str(files / "folder"))
    as_spam = dump(town)
    town.ok("spam", "train", "--ham", "--user", BOB, str(files / "folder"))
    (bob,) = town.lines("spam", "stats", "--user", BOB)
    assert (bob["user"], bob["ham"], bob["spam"]) == (BOB, 5, 0)
    assert dump(town)[1] == [(account, token, n, ham) for account, token, ham, n in as_spam[1]]


def test_users_learn_apart(town: Ctl, files: Path) -> None:
    town.ok("spam", "train", "--spam", "--user", BOB, str(files / "folder"))
    assert [one["user"] for one in town.lines("spam", "stats")] == [None, BOB]
    (alice,) = town.lines("spam", "stats", "--user", ALICE)
    assert alice["spam"] == alice["tokens"] == 0 and alice["learnt_at"] is None
    assert "(everybody)" in town.ok("spam", "stats") and BOB in town.ok("spam", "stats")
    town.ok("user", "rm", BOB, "--yes")
    assert dump(town) == [[], [], []]


def test_what_cannot_be_taken_is_said(town: Ctl, files: Path) -> None:
    (files / "single" / "2.eml").write_bytes(b"")
    done = town("spam", "train", "--ham", str(files / "single"))
    assert done.exit_code == 65 and "2.eml: empty" in done.stderr and "learnt as ham: 2 messages" in done.stdout
    assert "single" in town.fails(65, "spam", "train", "--ham", str(files / "single" / "none.eml"))
    assert "--forget" in town.fails(64, "spam", "train", "--spam", "--ham", str(files / "folder"))
    town.fails(64, "spam", "train", str(files / "folder"))
    town.fails(1, "spam", "train", "--spam", "--user", "nobody@example.org", str(files / "folder"))


def test_long_work_is_cut_into_small_transactions(town: Ctl, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(LIMITS), "spam_step", 20)
    sizes: list[int] = []
    real = Store.write_now

    def write_now(self: Store, work: Any, *args: Any, **more: Any) -> Any:
        sizes.append(len(args[-1]) if args and isinstance(args[-1], list) else 0)
        return real(self, work, *args, **more)

    monkeypatch.setattr(Store, "write_now", write_now)
    town.ok("spam", "train", "--spam", str(files / "junk.mbox"))
    assert sum(sizes) == 10 and max(sizes) == 1


def test_an_import_teaches_when_it_is_asked_to(town: Ctl, files: Path) -> None:
    arguments = ("mail", "import", ALICE, str(files / "junk.mbox"), "--mailbox", "Junk")
    assert town.json(*arguments)["learnt"] == 0
    assert dump(town) == [[], [], []]
    again = town.json(*arguments, "--train")
    assert (again["skipped"], again["learnt"]) == (10, 10), "it may have been cut off before"
    assert town.json(*arguments, "--train")["learnt"] == 0
    (files / "marked.mbox").write_bytes(
        b"From x Mon Nov 23 10:00:00 2026\nX-Keywords: NonJunk\n" + wanted(1) + b"\n"
        b"From x Mon Nov 23 10:00:00 2026\n" + wanted(2)
    )
    done = town.ok("mail", "import", BOB, str(files / "marked.mbox"), "--train")
    assert "imported 2 messages" in done and "1 message taught to the filter" in done
    done = town.ok("mail", "import", BOB, str(files / "folder"), "--mailbox", "Junk", "--train")
    assert "5 messages taught" in done
    town.ok("mail", "import", BOB, str(files / "folder"), "--mailbox", "Trash", "--train")
    (bob,) = town.lines("spam", "stats", "--user", BOB)
    assert (bob["ham"], bob["spam"]) == (1, 5)


# -- from the mailboxes of a user --------------------------------------------------------------------------------------


@pytest.fixture
def furnished(town: Ctl) -> Ctl:
    """Alice has ten messages in Junk, twenty that she read elsewhere, and more that say nothing."""
    store = town.store()
    alice = store.read_now(Tx.value, "select id from account where local = 'alice'")

    def put(data: bytes, mailbox: str, flags: int = 0, *words: str) -> None:
        deliver(store, alice, data.replace(b"\n", b"\r\n"), mailbox, flags=flags, keyword_names=words)

    store.write_now(mailboxes.create, alice, "Work")
    for number in range(10):
        put(junk(number), "Junk")
        put(wanted(number), "INBOX", 1)
        put(wanted(100 + number), "Work", 1)
        put(junk(200 + number), "INBOX")  # not read
        put(junk(300 + number), "Trash", 1)
        put(wanted(400 + number), "Sent", 1)
        put(junk(500 + number), "INBOX", 1 | 8)  # deleted
    put(junk(600), "INBOX", 0, "$Junk")
    put(wanted(700), "Junk", 0, "NonJunk")
    store.close()
    return town


def test_a_user_s_lessons_are_learnt_anew_from_his_mailboxes(furnished: Ctl, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.eml"
    wrong.write_bytes(wanted(1))
    furnished.ok("spam", "train", "--spam", "--user", ALICE, str(wrong))
    furnished.ok("spam", "train", "--spam", str(wrong))
    dry = furnished.ok("spam", "retrain", "--user", ALICE, "--dry-run")
    assert "learn 21 ham and 11 spam" in dry
    done = furnished.json("spam", "retrain", "--user", ALICE, "--yes")
    assert done == {"user": ALICE, "forgotten": 1, "ham": 21, "spam": 11}
    everybody, alice = furnished.lines("spam", "stats")
    assert (everybody["spam"], alice["ham"], alice["spam"]) == (1, 21, 11)
    first = dump(furnished)
    again = furnished.lines("spam", "retrain", "--all", "--yes")
    assert [(one["user"], one["forgotten"]) for one in again] == [(ALICE, 32), (BOB, 0)]
    assert dump(furnished) == first


def test_the_newest_of_each_kind_are_taken(furnished: Ctl) -> None:
    done = furnished.json("spam", "retrain", "--user", ALICE, "--limit", "3", "--yes")
    assert (done["ham"], done["spam"]) == (3, 3)


def test_retrain_wants_a_user_or_all_and_a_yes(furnished: Ctl) -> None:
    furnished.fails(64, "spam", "retrain", "--yes")
    furnished.fails(64, "spam", "retrain", "--all", "--user", ALICE, "--yes")
    furnished.fails(64, "spam", "retrain", "--user", ALICE)
    furnished.fails(1, "spam", "retrain", "--user", "nobody@example.org", "--yes")


def evaluated(ctl: Ctl, *more: str) -> dict[str, Any]:
    (found,) = ctl.lines("spam", "eval", "--user", ALICE, *more)
    return dict(found)


def test_the_filter_is_judged_by_a_user_s_own_mail(furnished: Ctl) -> None:
    furnished.ok("spam", "retrain", "--user", ALICE, "--yes")
    found = evaluated(furnished, "--threshold", "0.1")
    assert (found["ham"], found["spam"]) == (21, 11)
    assert found["outcome"] == {
        "threshold": 0.1, "caught": 11, "missed": 0, "false_positives": 0, "recall": 1.0, "precision": 1.0,
    }  # fmt: skip
    assert found["mistakes"] == []
    none = evaluated(furnished, "--threshold", "1000")["outcome"]
    assert (none["caught"], none["missed"], none["recall"], none["precision"]) == (0, 11, 0.0, None)
    every = evaluated(furnished, "--threshold=-1000")
    assert every["outcome"]["false_positives"] == 21 and len(every["mistakes"]) == 20
    assert every["outcome"]["precision"] == round(11 / 32, 4)
    scores = [one["score"] for one in every["mistakes"]]
    assert scores == sorted(scores, reverse=True)
    shown = furnished.json("mail", "show", str(every["mistakes"][0]["id"]))
    assert shown["mail"]["subject"] == every["mistakes"][0]["subject"]
    assert [one["threshold"] for one in found["others"]] == list(spam_eval.THRESHOLDS)
    said = furnished.ok("spam", "eval", "--user", ALICE, "--threshold=-1000")
    assert "21 ham, 11 spam" in said and "-1000 <" in said and "wanted, yet" in said


def test_no_message_is_judged_by_what_was_learnt_of_itself(furnished: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cross-validation: with all lessons learnt, each is judged by exactly the sums of the others."""
    furnished.ok("spam", "retrain", "--user", ALICE, "--yes")
    store = furnished.store()
    labels = [one for one in store.read_now(lambda tx: _labels(tx))]
    asked: list[Any] = []
    monkeypatch.setattr(spam_eval.bayes, "judge", lambda cut, counts: asked.append(counts) or spam_eval.bayes.Content())
    found = spam_eval.evaluate(store, ALICE, labels, 5.0)
    assert isinstance(found, Evaluation) and len(asked) == len(labels) == 32
    for one, counts in zip(labels, asked, strict=True):
        data = store.bytes_of(one.place)
        mail, ids = spam_eval.identity(data), spam_eval.tokens.ids(spam_eval.tokens.tokenize(data))

        def without(tx: Tx, mail: bytes = mail, ids: tuple[int, ...] = ids) -> Any:
            tx.run("savepoint one")
            assert spam.forget(tx, 1, mail)
            counts = spam.counts(tx, 1, ids)
            tx.run("rollback to one")
            tx.run("release one")
            return counts

        assert store.write_now(without) == counts
    store.close()


def _labels(tx: Tx) -> list[Any]:
    from daemon.store.labelled import labelled

    return list(labelled(tx, 1, 100))


def test_nothing_to_judge_is_said(town: Ctl) -> None:
    done = town("spam", "eval", "--user", BOB)
    assert done.exit_code == 1 and "0 ham, 0 spam" in done.stdout
    assert town("spam", "eval").exit_code == 1


def test_a_message_in_junk_and_elsewhere_is_wanted(furnished: Ctl) -> None:
    """He has taken a copy out of Junk: that was the later deed."""
    store = furnished.store()
    alice = store.read_now(Tx.value, "select id from account where local = 'alice'")
    boxes = {box.name: box.id for box in store.read_now(mailboxes.everyone, alice)}
    store.write_now(messages.set_flags, boxes["Junk"], [(1, 1)], "+", 1)
    store.write_now(messages.copy, boxes["Junk"], [(1, 1)], boxes["Work"])
    store.close()
    assert furnished.json("spam", "retrain", "--user", ALICE, "--yes") == {
        "user": ALICE, "forgotten": 0, "ham": 22, "spam": 10,
    }  # fmt: skip
