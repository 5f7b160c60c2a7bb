"""What commands mean. FETCH, SEARCH and LIST have tests of their own."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.limits import LIMITS
from daemon.wire import imap_commands as c
from daemon.wire.imap import Bad, Body, Command
from daemon.wire.imap_set import SequenceSet
from tests.wire.imap_parsing import refusal_of, value_of

SET = SequenceSet(((1, 3), (5, None)))
MAIL = Body(4, b"mail")


@pytest.mark.parametrize(
    "text,want",
    [
        ("CAPABILITY", c.Capability()),
        ("noop", c.Noop()),
        ("LOGOUT", c.Logout()),
        ("STARTTLS", c.StartTls()),
        ("CHECK", c.Check()),
        ("CLOSE", c.Close()),
        ("UNSELECT", c.Unselect()),
        ("IDLE", c.Idle()),
        ("NAMESPACE", c.Namespace()),
        ("COMPRESS deflate", c.Compress()),
        ("EXPUNGE", c.Expunge()),
        ("UID EXPUNGE 1:3,5:*", c.Expunge(SET)),
        ("AUTHENTICATE plain", c.Authenticate("PLAIN")),
        ("AUTHENTICATE PLAIN AGEAYg==", c.Authenticate("PLAIN", b"\0a\0b")),
        ("AUTHENTICATE PLAIN  AGEAYg==", c.Authenticate("PLAIN", b"\0a\0b")),  # traps I12
        ("AUTHENTICATE EXTERNAL =", c.Authenticate("EXTERNAL", b"")),
        ("LOGIN user pass", c.Login("user", "pass")),
        ('LOGIN "user@example.org" "p w\\"\\\\%*ü]"', c.Login("user@example.org", 'p w"\\%*ü]')),  # traps I30
        ("LOGIN {4+}\r\nuser {4+}\r\npä(", c.Login("user", "pä(")),
        (b'LOGIN u "p\xe4"', c.Login("u", "pä")),
        ("LOGIN nil NIL", c.Login("nil", "NIL")),
        ("ID NIL", c.Id()),  # traps I8
        ("ID ()", c.Id()),
        ('ID ("name" "x" "os" NIL "note" nil)', c.Id((("name", "x"), ("os", None), ("note", None)))),
        (b'ID (name "\xff")', c.Id((("name", "\ufffd"),))),
        ("ENABLE CONDSTORE x-good", c.Enable(("CONDSTORE", "X-GOOD"))),
        ("SELECT inbox", c.Select("INBOX")),
        ('SELECT "Entw&APw-rfe"', c.Select("Entwürfe")),
        ("SELECT {8+}\r\n[Gmail]/", c.Select("[Gmail]/")),
        ("SELECT NIL", c.Select("NIL")),
        ("EXAMINE Inbox/Sub", c.Select("INBOX/Sub", read_only=True)),
        ("SELECT x (CONDSTORE)", c.Select("x", condstore=True)),
        ("EXAMINE x (condstore)", c.Select("x", read_only=True, condstore=True)),
        ("CREATE a/b/", c.Create("a/b/")),
        ("CREATE Sent (USE (\\Sent \\Archive))", c.Create("Sent", ("\\Sent", "\\Archive"))),
        ("DELETE a", c.Delete("a")),
        ("GETJMAPACCESS", c.GetJmapAccess()),
        ("STATUS a (mailboxid)", c.Status("a", ("MAILBOXID",))),
        ('RENAME a "b c"', c.Rename("a", "b c")),
        ("SUBSCRIBE a", c.Subscribe("a")),
        ("UNSUBSCRIBE a", c.Unsubscribe("a")),
        ("STATUS a (MESSAGES uidnext HIGHESTMODSEQ SIZE APPENDLIMIT)",
         c.Status("a", ("MESSAGES", "UIDNEXT", "HIGHESTMODSEQ", "SIZE", "APPENDLIMIT"))),
        ("STORE 1:3,5:* FLAGS (\\Seen)", c.Store(SET, "", ("\\Seen",))),
        ("STORE 1:3,5:* flags ()", c.Store(SET, "", ())),
        ("UID STORE 1:3,5:* +FLAGS.SILENT (\\seen $Junk \\SEEN)",
         c.Store(SET, "+", ("\\Seen", "$Junk"), silent=True, uid=True)),
        ("STORE 1:3,5:* -FLAGS \\Deleted Work", c.Store(SET, "-", ("\\Deleted", "Work"))),
        ("STORE 1:3,5:* (UNCHANGEDSINCE 320162338) +FLAGS (a A)",
         c.Store(SET, "+", ("a",), unchanged_since=320162338)),
        ("STORE 1:3,5:* FLAGS (\\Recent \\Draft)", c.Store(SET, "", ("\\Draft",))),
        ("COPY 1:3,5:* x", c.Copy(SET, "x")),
        ("UID COPY 1:3,5:* x", c.Copy(SET, "x", uid=True)),
        ("MOVE 1:3,5:* Trash", c.Move(SET, "Trash")),
        ("UID MOVE 1:3,5:* Trash", c.Move(SET, "Trash", uid=True)),
        ("APPEND x {4}\r\nmail", c.Append("x", (c.NewMessage(MAIL),))),
        ('APPEND x (\\Seen $Junk) " 1-Jan-1970 00:00:01 +0000" {4+}\r\nmail',
         c.Append("x", (c.NewMessage(MAIL, ("\\Seen", "$Junk"), 1000),))),
        ('APPEND "x" () {4+}\r\nmail', c.Append("x", (c.NewMessage(MAIL),))),
        ("APPEND x UTF8 (~{4+}\r\nmail)",  # traps I15
         c.Append("x", (c.NewMessage(replace(MAIL, literal8=True), utf8=True),))),
        ("APPEND x (\\Seen) utf8 ({4+}\r\nmail)", c.Append("x", (c.NewMessage(MAIL, ("\\Seen",), utf8=True),))),
        ("APPEND x (a) {4+}\r\nmail (b) {4+}\r\nmail",
         c.Append("x", (c.NewMessage(MAIL, ("a",)), c.NewMessage(MAIL, ("b",))))),
    ],
)  # fmt: skip
def test_what_a_command_means(text, want):
    assert value_of(text) == want


@pytest.mark.parametrize(
    "text,want",
    [
        ("XYZZY", "BAD unknown command"),
        ("UID", "BAD unknown command"),
        ("UID NOOP", "BAD unknown command"),
        ("UID (FETCH)", "BAD unknown command"),
        ("NOOP x", "BAD too many arguments"),
        ("EXPUNGE 1", "BAD too many arguments"),
        ("UID EXPUNGE", "BAD sequence set expected"),
        ("COMPRESS LZ4", "BAD DEFLATE is the only mechanism"),
        ("AUTHENTICATE", "BAD mechanism expected"),
        ("AUTHENTICATE PLAIN AGE", "BAD that is not base64"),
        ("AUTHENTICATE PLAIN AA== BB==", "BAD too many arguments"),
        ("LOGIN user", "BAD password expected"),
        ("LOGIN (user) x", "BAD user name expected"),
        ("LOGIN user pass more", "BAD too many arguments"),
        ("ID", "BAD field list expected"),
        ('ID ("name")', "BAD value expected"),
        ('ID ("name" (x))', "BAD value expected"),
        ("ENABLE", "BAD capability expected"),
        ("ENABLE (x)", "BAD capability expected"),
        ("SELECT", "BAD mailbox name expected"),
        ("SELECT a b", "BAD too many arguments"),
        ("SELECT a (QRESYNC (1 2))", "BAD unknown SELECT parameter"),
        ("SELECT a&b", "BAD a mailbox name that is not modified UTF-7"),
        ("SELECT {1+}\r\n\n", "NO [CANNOT] a mailbox name with control characters"),
        (f"SELECT {'a/' * 32}b", "NO [CANNOT] mailbox name too long or too deep"),
        ("CREATE a (COLOUR red)", "BAD unknown CREATE parameter"),
        ("CREATE a (USE \\Sent)", "BAD special uses expected"),
        ('CREATE a (USE ("Sent"))', "BAD special use expected"),
        ("CREATE a (USE (\\Sent) x)", "BAD too many arguments"),
        ("RENAME a", "BAD mailbox name expected"),
        ("STATUS a", "BAD STATUS items expected"),
        ("STATUS a MESSAGES", "BAD STATUS items expected"),
        ("STATUS a ()", "BAD STATUS item expected"),
        ("STATUS a (DELETED-STORAGE)", "BAD unknown STATUS item DELETED-STORAGE"),
        ("STORE 1", "BAD item expected"),
        ("STORE 1 FLAGS", "BAD flags expected"),
        ("STORE 1 +X (a)", "BAD FLAGS expected"),
        ("STORE 1 ++FLAGS (a)", "BAD FLAGS expected"),
        ("STORE 1 FLAGS (\\Foo)", "BAD unknown system flag"),
        ("STORE 1 FLAGS (\\)", "BAD unknown system flag"),
        ("STORE 1 FLAGS (a (b))", "BAD flag expected"),
        ('STORE 1 FLAGS ("a")', "BAD flag expected"),
        ("STORE 1 FLAGS (a) b", "BAD too many arguments"),
        ("STORE 1 FLAGS (ü)", "BAD a keyword with characters it may not have"),
        ("STORE 1 FLAGS (a%)", "BAD a keyword with characters it may not have"),
        (f"STORE 1 FLAGS ({'k' * 129})", "NO [LIMIT] keyword too long"),
        ("STORE 1 (CHANGEDSINCE 1) FLAGS (a)", "BAD unknown STORE modifier"),
        ("STORE 1 (UNCHANGEDSINCE x) FLAGS (a)", "BAD mod-sequence expected"),
        ("STORE 1 (UNCHANGEDSINCE 1 2) FLAGS (a)", "BAD too many arguments"),
        ("COPY 1", "BAD mailbox name expected"),
        ("COPY x y", "BAD that is no sequence set"),
        ("APPEND", "BAD mailbox name expected"),
        ("APPEND x", "BAD message literal expected"),
        ('APPEND x "mail"', "BAD that is no date-time"),
        ('APPEND x "mail" {4+}\r\nmail', "BAD that is no date-time"),
        (b'APPEND x "\xff" {4+}\r\nmail', "BAD that is no date-time"),
        ("APPEND x {0+}\r\n", "NO an empty message is not kept"),
        ("APPEND x (\\Foo) {4+}\r\nmail", "BAD unknown system flag"),
        ("APPEND x UTF8 {4+}\r\nmail", "BAD message expected"),
        ("APPEND x UTF8 (mail)", "BAD message literal expected"),
        ("APPEND x UTF8 ({4+}\r\nmail {4+}\r\nmail)", "BAD too many arguments"),
        ("APPEND x CATENATE (URL {4+}\r\nmail)", "BAD message literal expected"),
        ("APPEND x {4+}\r\nmail x", "BAD message literal expected"),
    ],
)
def test_what_is_refused_with_its_tag(text, want):
    assert refusal_of(text) == want


def test_a_set_has_a_limit():
    limits = replace(LIMITS, imap_set_ranges=3)
    assert value_of("COPY 1,2,3 x", limits) == c.Copy(SequenceSet(((1, 1), (2, 2), (3, 3))), "x")
    assert refusal_of("COPY 1,2,3,4 x", limits) == "BAD a set of over 3 ranges"


WORDS = st.recursive(
    st.sampled_from(["1:*", "x", "(", "NIL", "FLAGS", "RETURN", "UTF8", "BODY[", "]", "OR", "NOT", "\\Seen", "STATUS"])
    | st.text("ab1*%&-[]<>.:,", min_size=1, max_size=8)
    | st.binary(max_size=6)
    | st.just(MAIL),
    lambda inner: st.lists(inner, max_size=4).map(tuple),
    max_leaves=8,
)


@given(st.sampled_from(sorted(c._READERS)), st.lists(WORDS, max_size=6))
def test_no_words_are_too_strange(name, words):
    try:
        c.parse(Command("a1", name, tuple(words)), LIMITS)
    except Bad as bad:
        assert bad.tag == "a1" and bad.in_sync
