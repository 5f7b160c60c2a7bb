"""A second opinion on rules: Debian's sieve-test (Pigeonhole) on the scripts and messages of tests/sieve/pairs.

Both must decide the same for each pair, or the pair says why they do not; a reason for a difference that is none
fails, too. What is decided is written as lines like `store Bills +\\seen` in any order; `refused` is one not taken,
`failed` one that stops with an error when mail comes, both of which keep the message.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from daemon.mail.header import header_end
from daemon.sieve import Facts, ScriptErrors, Sent, SpamScore, Subject, compile
from daemon.sieve.actions import Action, Discard, FileInto, Keep, Notify, Redirect, Reject, Vacation
from daemon.sieve.subject import Head
from tests.interop import sieve_pairs as pairs

PAIRS = 300
RECIPIENT = "me+work@here.example"
NOBODY = 65534  # sieve-test opens no mailbox for root
MAILBOXES = {"INBOX": "", "Junk": "\\Junk", "Archive": "\\Archive", "Bills": ""}

CONFIG = """
protocols =
base_dir = {at}/run
mail_uid = {uid}
mail_gid = {gid}
first_valid_uid = 1
mail_location = maildir:{at}/mail
postmaster_address = postmaster@here.example
recipient_delimiter = +
namespace inbox {{
  inbox = yes
  mailbox Junk {{
    auto = create
    special_use = \\Junk
  }}
  mailbox Archive {{
    auto = create
    special_use = \\Archive
  }}
  mailbox Bills {{
    auto = create
  }}
}}
plugin {{
  sieve = file:{at}/personal;active={at}/active.sieve
  sieve_global = file:{at}/global
  sieve_user_email = me@here.example
  sieve_extensions = +editheader +spamtest +spamtestplus +virustest +vacation-seconds +special-use
  sieve_vacation_min_period = 0
  sieve_spamtest_status_type = score
  sieve_spamtest_status_header = X-Spam-Score
  sieve_spamtest_max_value = 10
  sieve_virustest_status_type = score
  sieve_virustest_status_header = X-Virus
  sieve_virustest_max_value = 5
}}
"""


@pytest.fixture(scope="module")
def house() -> Iterator[Path]:
    """A configuration and a home of sieve-test's own, with all scripts and messages."""
    at = Path(tempfile.mkdtemp(prefix="sieve-test-"))
    root = os.geteuid() == 0
    uid, gid = (NOBODY, NOBODY) if root else (os.getuid(), os.getgid())
    (at / "conf").write_text(CONFIG.format(at=at, uid=uid, gid=gid))
    shutil.copytree(pairs.HERE / "library", at, dirs_exist_ok=True)
    for path in (pairs.HERE / "messages").glob("*.eml"):
        (at / path.name).write_bytes(pairs.message(path.stem))
    for number, script in enumerate(pairs.scripts()):
        (at / f"{number}.sieve").write_text(script.text)
    for path in (at, *at.rglob("*")) if root else ():
        os.chown(path, uid, gid)
    yield at
    shutil.rmtree(at)


def test_three_hundred_pairs_are_decided_alike(house: Path) -> None:
    wrong, count = list[str](), 0
    for number, script in enumerate(pairs.scripts()):
        for name in script.messages:
            count += 1
            letter = pairs.message(name)
            our, their = ours(script.text, letter), theirs(house, f"{number}.sieve", name, pairs.sender(letter))
            if (our != their) != (name in script.differs):
                wrong.append(f"{script.name}, on {name}\n  we:   {our}\n  they: {their}")
    assert not wrong, "\n".join([f"{len(wrong)} of {count}", *wrong])
    assert count >= PAIRS


# ----------------------------------------------------------------------------------------------------------------- ours


def ours(script: str, letter: bytes) -> list[str]:
    """Two that store into one mailbox are one, as the house carries them out."""
    try:
        program = compile(script, pairs.library)
    except ScriptErrors:
        return ["refused"]
    result = program.run(Subject(letter, Sent(pairs.sender(letter), RECIPIENT), facts(letter)))
    return ["failed"] if result.error else sorted(set(map(line, result.actions)))


def facts(letter: bytes) -> Facts:
    """The world as `CONFIG` has it."""
    head = Head(letter[: header_end(letter, 0, len(letter))])
    spam, virus = ("".join(head.texts(name)) for name in ("x-spam-score", "x-virus"))
    uses = {use: name for name, use in MAILBOXES.items() if use}
    return Facts(
        now=int(time.time() * 1000), mailbox_exists=MAILBOXES.__contains__, special_use=uses.get,
        spam=SpamScore(float(spam), 5.0) if spam else None,
        virus={"1": "clean", "5": "infected"}.get(virus, ""),
    )  # fmt: skip


def line(action: Action) -> str:
    match action:
        case Keep():
            return stored("INBOX", action.flags or ())
        case FileInto():
            return stored(action.mailbox, action.flags or (), action.create, action.special_use)
        case Redirect():
            return f"redirect {action.address}"
        case Discard():
            return "discard"
        case Reject():
            return f"reject {flat(action.text)}"
        case Vacation():
            handle = "" if re.fullmatch(r"[0-9a-f]{32}", action.handle) else action.handle
            return f"vacation {action.seconds} {action.subject!r} {action.sender!r} {handle!r} {flat(action.text)}"
        case Notify():
            to, subject, body = addressed(action.method)
            return f"notify {action.importance} {action.sender!r} {to} {action.message or subject!r} {body!r}"


def stored(mailbox: str, flags: tuple[str, ...], create: bool = False, use: str = "") -> str:
    named = sorted({flag.lower() for flag in flags})
    return " ".join(
        ["store", mailbox, *["create"] * create, *[use.lower()] * bool(use), *[f"+{flag}" for flag in named]]
    )


def addressed(uri: str) -> tuple[list[str], str, str]:
    parts = urlsplit(uri)
    more = {name.lower(): value for name, value in parse_qsl(parts.query)}
    to = [unquote(each) for each in parts.path.split(",")]
    to += [*more.get("to", "").split(","), *more.get("cc", "").split(",")]
    return (
        sorted(filter(None, to)),
        more.get("subject", ""),
        more.get("body", ""),
    )


def flat(text: str) -> str:
    return " ".join(text.split())


# --------------------------------------------------------------------------------------------------------------- theirs

_ACTION = re.compile(r"(?m)^ \* ")


def theirs(house: Path, script: str, message: str, sender: str) -> list[str]:
    done = subprocess.run(
        ["sieve-test", "-c", "conf", "-f", sender, "-r", RECIPIENT, "-a", RECIPIENT, script, f"{message}.eml"],
        cwd=house, env={"PATH": os.environ["PATH"], "HOME": str(house), "TZ": "UTC", "USER": "me"}, check=False,
        capture_output=True, timeout=60,
    )  # fmt: skip
    said, told = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    if "failed to compile sieve script" in told:
        return ["refused"]
    if "final result: failed" in told:
        return ["failed"]
    assert "final result: success" in told, told
    found = _ACTION.split(said)[1:]
    return sorted(filter(None, map(their_line, found)))


def their_line(text: str) -> str:
    """One action of the list that sieve-test prints, in the words of `line`."""
    first, _, more = text.partition("\n")
    more = more.partition("Implicit keep:")[0]
    what, _, value = first.removesuffix(":").partition(": ")
    facts = dict(re.findall(r"(?m)^    => (\w+) *: (.*)$", more))
    match what:
        case "store message in folder":
            flags = re.search(r"add IMAP flags: (.*)", more)
            use = re.search(r"special-use flag `(.*)'", more)
            words = tuple(flags[1].split()) if flags else ()
            return stored(value, words, "create mailbox" in more, use[1] if use else "")
        case "redirect message to":
            return f"redirect {value.strip('<>')}"
        case "discard":
            return "discard"
        case "reject message with reason":
            return f"reject {flat(value.replace('??', ' '))}"
        case "send vacation message":
            said = re.search(r"START MESSAGE\n(.*)\nEND MESSAGE", more, re.DOTALL)
            handle = "" if "MIME>\n" in more else facts["handle"]
            subject, sender = facts.get("subject", ""), facts.get("from", "")
            return f"vacation {facts['seconds']} {subject!r} {sender!r} {handle!r} {flat(said[1] if said else '')}"
        case "send notification with method 'mailto:'":
            to = sorted(re.findall(r"(?m)^       \+ (?:To|Cc): (.*)$", more))
            body = re.search(r"=> body *: \n--\n(.*)\n--\n", more, re.DOTALL)
            subject, sender = facts.get("subject", ""), facts.get("from", "")
            return f"notify {facts['importance']} {sender!r} {to} {subject!r} {body[1] if body else ''!r}"
    assert re.match(r"track (last )?duplicate", what), text
    return ""
