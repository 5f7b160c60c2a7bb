"""FILTER=SIEVE beside Pigeonhole's: the same scripts over the same mail, and both do the same."""

from __future__ import annotations

import imaplib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.instruments.server import Server
from tests.interop.conftest import imap

NOBODY = 65534
IMAP = "/usr/lib/dovecot/imap"
LETTERS = 3
CONFIG = """log_path = {at}/log
mail_location = maildir:{at}/mail
mail_plugins = imap_filter_sieve
first_valid_uid = 1
plugin {{
  sieve = file:{at}/sieve
  sieve_extensions = +editheader
}}
"""
SCRIPTS = [
    "keep;",
    "discard;",
    # "discard; keep;" leaves all as it is here and there; Pigeonhole tells of it all the same
    "stop;",
    'if header :contains "subject" "1" { discard; }',
    'require "imap4flags"; addflag "\\\\Flagged";',
    'require "imap4flags"; keep :flags "Fine";',
    'require "imap4flags"; setflag ["\\\\Answered", "Other"]; removeflag "other";',
    'require "imap4flags"; if hasflag "Given" { removeflag "Given"; }',
    'require "imap4flags"; if hasflag "\\\\Seen" { discard; } else { addflag "\\\\Seen"; }',
    'require "fileinto"; fileinto "Work";',
    'require ["fileinto", "copy"]; fileinto :copy "Work";',
    'require "fileinto"; fileinto "Work"; keep;',
    'require ["fileinto", "imap4flags"]; fileinto :flags "Filed" "Work";',
    'require ["fileinto", "imap4flags", "copy"]; addflag "Both"; fileinto :copy "Work";',
    'require ["fileinto", "mailbox"]; fileinto :create "Made";',
    'require "fileinto"; fileinto "INBOX";',
    'require "fileinto"; fileinto "Nowhere";',
    'require ["fileinto", "copy"]; fileinto :copy "Nowhere";',
    'require "vacation"; vacation "away";',
    'require "reject"; reject "no";',
    'require ["environment"]; if environment "phase" "post" { discard; }',
    'require ["environment"]; if environment "location" "MS" { discard; }',
    'require "imapsieve"; keep;',
    "nonsense;",
]


@pytest.fixture(scope="module")
def theirs() -> Iterator[imaplib.IMAP4]:
    """Dovecot's IMAP on a pipe, logged in already, with mail of its own."""
    at = Path(tempfile.mkdtemp(prefix="filter-"))
    (at / "conf").write_text(CONFIG.format(at=at))
    (at / "mail").mkdir()
    drop = ""
    if os.geteuid() == 0:
        drop = f"setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups "
        for path in (at, *at.iterdir()):
            os.chown(path, NOBODY, NOBODY)
    client = imaplib.IMAP4_stream(f"exec {drop}env USER=alice HOME={at} {IMAP} -c {at}/conf 2>{at}/errors")
    yield client
    client.logout()
    shutil.rmtree(at)


@pytest.fixture(scope="module")
def ours(server: Server) -> Iterator[imaplib.IMAP4]:
    client = imap(server)
    yield client
    client.logout()


@pytest.mark.parametrize("script", SCRIPTS)
def test_both_do_the_same(ours: imaplib.IMAP4, theirs: imaplib.IMAP4, script: str) -> None:
    assert filtered(ours, script) == filtered(theirs, script)


def filtered(client: imaplib.IMAP4, script: str) -> tuple[object, ...]:
    """How FILTER ended, which messages it told of and how, and what is where after it."""
    for name in ("Work", "Made"):
        client.delete(name)
    client.create("Work")
    client.select("INBOX")
    client.uid("STORE", "1:*", "+FLAGS.SILENT", "\\Deleted")
    client.expunge()
    for number in range(LETTERS):
        flags = ("", "Given", "\\Seen")[number]
        client.append("INBOX", flags, "", b"From: a@example.org\r\nSubject: number %d\r\n\r\nHello.\r\n" % number)
    client.select("INBOX")
    client.response("FILTERED")
    quoted = script.replace("\\", "\\\\").replace('"', '\\"')
    status, _ = client.xatom("FILTER", f'SIEVE SCRIPT "{quoted}" ALL')
    told = [(int(line.split()[0]), word) for line in client.response("FILTERED")[1] for line, word in _words(line)]
    return status, told, *[_content(client, name) for name in ("INBOX", "Work", "Made", "Nowhere")]


def _words(line: object) -> Iterator[tuple[bytes, str]]:
    """Number and result of one answer. One with a text is a pair, and what follows the text a line of its own. That
    nobody is answered or refused any more we say as a warning, and Pigeonhole not at all."""
    head = line[0] if isinstance(line, tuple) else line
    if isinstance(head, bytes) and b"TAG" in head and b" WARNINGS " not in head:
        yield head, "OK" if head.endswith(b" OK") else head.split()[5].decode()


def _content(client: imaplib.IMAP4, name: str) -> list[tuple[str, frozenset[str]]] | None:
    """Subject and flags of what is in a mailbox; None without such a mailbox."""
    if client.select(name, readonly=True)[0] != "OK":
        return None
    found = []
    for number in client.search(None, "ALL")[1][0].split():
        ((head, subject), *_) = client.fetch(number, "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]
        flags = {flag.decode() for flag in imaplib.ParseFlags(head)} - {"\\Recent"}
        found.append((subject.decode().strip(), frozenset(flags)))
    return found
