"""What bit other servers, each a conversation; the numbers are those of the project's list of traps."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import random
import re
from dataclasses import replace

import pytest

from daemon.limits import LIMITS
from daemon.mail.address import Address
from daemon.store import accounts, messages
from tests.serve.imap.conftest import ALICE, BOB, HELLO, MailHouse, numbers

LOGIN = 'S: * OK …\nC: in LOGIN alice@example.test "wonder land"\nS: in OK …\n'
SELECT = LOGIN + "C: se SELECT INBOX\nS* se OK …\n"


# -- Apple -------------------------------------------------------------------------------------------------------------


async def test_i1_done_and_the_next_commands_in_one_packet(house: MailHouse) -> None:
    await house.says(
        SELECT
        + """
        C: a1 IDLE
        S: + …
        C: DONE
        C: a2 NOOP
        C: a3 STATUS INBOX (MESSAGES)
        S: a1 OK …
        S: a2 OK …
        S: * STATUS INBOX (MESSAGES 0)
        S: a3 OK …
        C: a4 IDLE
        S: + …
        C> DO
        C> NE
        C:
        S: a4 OK …
        """.replace("        ", ""),
        patience=1,
    )


async def test_i2_apple_mail_sees_its_inbox(house: MailHouse) -> None:
    await house.fill(2)
    await house.says(
        LOGIN
        + r"""
C: 1 CAPABILITY
S: {{any1:\* CAPABILITY IMAP4rev1 .*\bID\b.*}}
S: 1 OK …
C: 2 ID ("name" "Mac OS X Mail" "version" "16.0" "os" "Mac OS X")
S: * ID ("name" …
S: 2 OK …
C: 3 ENABLE CONDSTORE
S: * ENABLED CONDSTORE
S: 3 OK …
C: 4 LIST "" "*" RETURN (SPECIAL-USE STATUS (MESSAGES UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ))
S: * LIST (\HasNoChildren) "/" INBOX
S: {{any2:\* STATUS INBOX \(MESSAGES 2 UIDNEXT 3 UIDVALIDITY [0-9]+ UNSEEN 2 HIGHESTMODSEQ [0-9]+\)}}
S* * LIST (\HasNoChildren \Trash) "/" Trash
S* 4 OK …
C: 5 SELECT INBOX (CONDSTORE)
S: * FLAGS …
S: * OK [PERMANENTFLAGS …
S: * 2 EXISTS
S: * 2 RECENT
S: * OK [UNSEEN 1] …
S: * OK [UIDVALIDITY …
S: * OK [UIDNEXT 3] …
S: * OK [HIGHESTMODSEQ …
S: * OK [MAILBOXID …
S: 5 OK [READ-WRITE] …
C: 6 UID FETCH 1:* (FLAGS)
S: * 1 FETCH (UID 1 FLAGS (\Recent))
S: * 2 FETCH (UID 2 FLAGS (\Recent))
S: 6 OK …
C: 7 UID FETCH 1:2 (BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (SUBJECT FROM)])
S: * 1 FETCH (UID 1 BODYSTRUCTURE ("text" "plain" (…) NIL NIL "7bit" 15 …) BODY[HEADER.FIELDS (SUBJECT FROM)] {46}
S: From: A <a@example.org>
S: Subject: number 1
S:
S: )
S* 7 OK …
"""
    )


async def test_i3_a_new_account_has_its_folders_with_their_uses_in_plain_list(house: MailHouse) -> None:
    await house.says(
        LOGIN
        + r"""
C: a LIST "" "*"
S: * LIST (\HasNoChildren) "/" INBOX
S: * LIST (\HasNoChildren \Archive) "/" Archive
S: * LIST (\HasNoChildren \Drafts) "/" Drafts
S: * LIST (\HasNoChildren \Junk) "/" Junk
S: * LIST (\HasNoChildren \Sent) "/" Sent
S: * LIST (\HasNoChildren \Trash) "/" Trash
S: a OK …
C: b LSUB "" "*"
S: * LSUB () "/" INBOX
S: * LSUB () "/" Archive
S* * LSUB () "/" Trash
S: b OK …
"""
    )


async def test_i4_what_is_gone_is_no_error(house: MailHouse) -> None:
    await house.fill(1)
    await house.says(
        SELECT
        + r"""
C: a UID MOVE 112:113 Trash
S: a OK …
C: b UID COPY 112 Trash
S: b OK …
C: c UID STORE 112 +FLAGS (\Deleted)
S: c OK …
C: d UID FETCH 112 FLAGS
S: d OK …
C: e UID EXPUNGE 112
S: e OK …
"""
    )


async def test_i5_uids_grow_after_everything_was_deleted(house: MailHouse) -> None:
    await house.fill(3)
    before = house.box()
    await house.says(
        SELECT
        + r"""
C: a STORE 1:* +FLAGS.SILENT (\Deleted)
S: a OK …
C: b EXPUNGE
S: * 1 EXPUNGE
S: * 1 EXPUNGE
S: * 1 EXPUNGE
S: b OK …
C: c APPEND INBOX {15+}
C: Subject: a
C:
C: b
S: * 1 EXISTS
S: * 1 RECENT
S: {{any3:c OK \[APPENDUID [0-9]+ 4\] .*}}
"""
    )
    after = house.box()
    assert (after.uidnext, after.uidvalidity) == (5, before.uidvalidity)


# -- Outlook -----------------------------------------------------------------------------------------------------------


async def test_i7_a_capability_is_hidden_from_the_one_whose_client_misuses_it(house: MailHouse) -> None:
    house.set(imap__capabilities_off="ESEARCH Bob@example.test:condstore bob@example.test:IDLE")
    seen = {}
    for who in (ALICE, BOB):
        async with house.client(who) as client:
            (line,) = await client.ok("CAPABILITY")
            seen[who] = line.split()[2:]
    assert set(seen[ALICE]) - set(seen[BOB]) == {b"CONDSTORE", b"IDLE"}
    assert b"ESEARCH" not in seen[ALICE] and b"MOVE" in seen[BOB]


async def test_i8_id_before_and_after_login_with_anything_in_it(house: MailHouse) -> None:
    ids = """
C: a ID NIL
S: * ID ("name" "mailctl")
S: a OK …
C: b ID ()
S: * ID …
S: b OK …
C: c ID ("name" "x" "version" NIL "os" "yz")
S: * ID …
S: c OK …
"""
    await house.says("S: * OK …\nC: 0 CAPABILITY\nS: * CAPABILITY …\nS: 0 OK …" + ids + LOGIN.partition("\n")[2] + ids)
    await house.says(LOGIN + 'C: d ID ("os" {2+}\nC: yz)\nS: * ID …\nS: d OK …\n')


async def test_i9_idle_without_a_mailbox(house: MailHouse) -> None:
    await house.says(LOGIN + "C: a IDLE\nS: + idling\nC: DONE\nS: a OK …\n")


async def test_i10_a_subject_that_is_edited_leaves_one_message(house: MailHouse) -> None:
    await house.fill(2)
    await house.says(
        SELECT
        + r"""
C: a APPEND INBOX (\Seen) {15+}
C: Subject: c
C:
C: d
S: * 3 EXISTS
S: * 3 RECENT
S: {{any4:a OK \[APPENDUID [0-9]+ 3\].*}}
C: b UID STORE 1 +FLAGS (\Deleted)
S: * 1 FETCH (UID 1 FLAGS (\Recent \Deleted))
S: b OK …
C: c UID EXPUNGE 1
S: * 1 EXPUNGE
S: c OK …
C: d UID SEARCH ALL
S: * SEARCH 2 3
S: d OK …
"""
    )


async def test_i11_the_tag_of_esearch_is_a_quoted_string(house: MailHouse) -> None:
    await house.fill(3)
    await house.says(
        SELECT
        + """
C: A1 UID SEARCH RETURN (ALL) ALL
S: * ESEARCH (TAG "A1") UID ALL 1:3
S: A1 OK …
C: A2 SEARCH RETURN () SUBJECT nothing
S: * ESEARCH (TAG "A2")
S: A2 OK …
C: A3 SEARCH RETURN (MIN MAX COUNT) 2:3
S: * ESEARCH (TAG "A3") MIN 2 MAX 3 COUNT 2
S: A3 OK …
"""
    )


@pytest.mark.parametrize(
    "login",
    [
        "C: a AUTHENTICATE LOGIN\nS: + VXNlcm5hbWU6\nC: {{user}}\nS: + UGFzc3dvcmQ6\nC: {{pass}}\n",
        "C: a AUTHENTICATE LOGIN {{user}}\nS: + UGFzc3dvcmQ6\nC: {{pass}}\n",
        "C: a authenticate login\nS: + …\nC: {{user}}\nS: + …\nC: {{pass}}\n",
        "C: a AUTHENTICATE PLAIN  {{plain}}\n",
        "C: a AUTHENTICATE PLAIN\nS: + \nC: {{plain}}\n",
    ],
)
async def test_i12_all_ways_to_log_in(house: MailHouse, login: str) -> None:
    user, password = b"alice@example.test", b"wonder land"
    words = {
        name: base64.b64encode(value).decode()
        for name, value in {"user": user, "pass": password, "plain": b"\0".join((b"", user, password))}.items()
    }
    await house.says("S: * OK …\n" + login + "S: a OK [CAPABILITY …\n", **words)


# -- Thunderbird and tools ---------------------------------------------------------------------------------------------


async def test_i14_two_deliveries_in_a_row_are_both_told(house: MailHouse) -> None:
    async with house.client(select="INBOX") as client:
        client.send(b"i IDLE\r\n")
        assert await client.line() == b"+ idling"
        await house.fill(1)
        await house.fill(1)
        lines: list[bytes] = []
        while b"* 2 EXISTS" not in lines:
            lines.append(await client.line())


async def test_i14_exists_waits_while_fetches_follow_idle(house: MailHouse) -> None:
    await house.fill(1)
    async with house.client(select="INBOX") as client:
        client.send(b"i IDLE\r\n")
        assert await client.line() == b"+ idling"
        client.send(b"DONE\r\n")
        assert (await client.line()).startswith(b"i OK")
        await house.fill(1)
        assert numbers(await client.ok("UID FETCH 1:* FLAGS"), b"EXISTS") == []
        client.send(b"j IDLE\r\n")
        assert [await client.line() for _ in range(3)] == [b"+ idling", b"* 2 EXISTS", b"* 2 RECENT"]
        client.send(b"DONE\r\n")
        await client.answer(b"j")
        assert numbers(await client.ok("NOOP"), b"EXISTS") == []


async def test_i15_append_with_utf8_is_taken(house: MailHouse) -> None:
    await house.says(
        SELECT
        + """
C: a APPEND INBOX UTF8 (~{17+}
C: Subject: c
C:
C: d
C> )
C:
S* a OK [APPENDUID …
C: b NOOP
S* b OK …
"""
    )


async def test_i16_a_session_sees_its_own_append_and_copy(house: MailHouse) -> None:
    await house.says(
        SELECT
        + r"""
C: a APPEND INBOX (\Seen) {15+}
C: Subject: c
C:
C: d
S: * 1 EXISTS
S: * 1 RECENT
S: a OK …
C: b COPY 1 INBOX
S: * 2 EXISTS
S: * 2 RECENT
S: b OK [COPYUID …
C: c FETCH 2 FLAGS
S: * 2 FETCH (FLAGS (\Recent \Seen))
S: c OK …
"""
    )


async def test_i17_one_item_without_parentheses_and_an_envelope_of_nothing(house: MailHouse) -> None:
    await house.deliver(b"\r\nno header at all\r\n")
    await house.says(
        SELECT
        + """
C: a FETCH 1 ENVELOPE
S: * 1 FETCH (ENVELOPE (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL))
S: a OK …
C: b FETCH 1 BODYSTRUCTURE
S: * 1 FETCH (BODYSTRUCTURE ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 18 1 NIL NIL NIL NIL))
S: b OK …
"""
    )


async def test_i18_idle_says_that_it_is_still_there(house: MailHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.serve.imap.idle.LIMITS", replace(LIMITS, imap_idle_keepalive=0.02))
    await house.says(SELECT + "C: a IDLE\nS: + …\nS: * OK Still here\nS: * OK Still here\nC: DONE\nS* a OK …\n")


async def test_i19_nothing_but_literals_holds_eight_bits(house: MailHouse) -> None:
    nasty = 'From: Jürgen <j@exämple.org>\r\nSubject: Grüße\r\nContent-Type: text/plain; name="ü"\r\n\r\nö\r\n'.encode()
    await house.deliver(nasty)
    async with house.client(select="INBOX") as client:
        (line,) = await client.ok("FETCH 1 (ENVELOPE BODYSTRUCTURE BODY)")
        assert line.isascii()
        await client.ok("CREATE Entw&APw-rfe")
        assert all(line.isascii() for line in await client.ok('LIST "" *'))


async def test_i20_mailbox_names(house: MailHouse) -> None:
    await house.says(
        LOGIN
        + r"""
C: a CREATE inbox/Sub
S: a OK …
C: b CREATE "R&-D &2D3cBw-"
S: b OK …
C: c LIST "" *
S: * LIST (\HasChildren) "/" INBOX
S* * LIST (\HasNoChildren) "/" INBOX/Sub
S* * LIST (\HasNoChildren) "/" "R&-D &2D3cBw-"
S* c OK …
C: d SELECT InBoX
S* d OK [READ-WRITE] …
C: e STATUS iNBOX/Sub (MESSAGES)
S: * STATUS INBOX/Sub (MESSAGES 0)
S: e OK …
C: f CREATE Inbox
S: f NO [ALREADYEXISTS] …
"""
    )


async def test_i21_a_star_is_the_last_message_in_either_direction(house: MailHouse) -> None:
    await house.fill(5)
    async with house.client(select="INBOX") as client:
        for uids, want in [
            ("1620:*", [5]), ("*:1620", [5]), ("*", [5]), ("*:4", [4, 5]), ("4:*", [4, 5]), ("5,3,1:2", [1, 2, 3, 5]),
            ("3:1", [1, 2, 3]),
        ]:  # fmt: skip
            assert numbers(await client.ok(f"UID FETCH {uids} FLAGS"), b"FETCH") == want, uids
        assert numbers(await client.ok("FETCH *:4 UID"), b"FETCH") == [4, 5]
        await client.fails("FETCH 6 UID", b"BAD")


async def test_i22_pipelined_commands_are_done_in_order(house: MailHouse) -> None:
    await house.fill(2)
    await house.says(
        SELECT
        + r"""
C: a STORE 1 +FLAGS (\Deleted)
C: b FETCH 1 (UID FLAGS)
C: c EXPUNGE
C: d FETCH 1 (UID FLAGS)
S: * 1 FETCH (FLAGS (\Recent \Deleted))
S: a OK …
S: * 1 FETCH (UID 1 FLAGS (\Recent \Deleted))
S: b OK …
S: * 1 EXPUNGE
S: c OK …
S: * 1 FETCH (UID 2 FLAGS (\Recent))
S: d OK …
"""
    )


async def test_i23_expunge_is_never_said_during_fetch_store_and_search(house: MailHouse) -> None:
    await house.fill(4)
    both = SELECT + SELECT.replace("S:", "S2:").replace("C:", "C2:").replace("S*", "S2*")
    await house.says(
        both
        + r"""
C2: a STORE 2 +FLAGS.SILENT (\Deleted)
S2: a OK …
C2: b EXPUNGE
S2: * 2 EXPUNGE
S2: b OK …
C: a FETCH 3 UID
S! * … EXPUNGE
S: * 2 FETCH (UID 2 FLAGS …
S: * 3 FETCH (UID 3)
S! * … EXPUNGE
S* a OK …
C: b STORE 4 +FLAGS (\Seen)
S: * 4 FETCH (FLAGS (\Recent \Seen))
S: b OK …
C: c SEARCH ALL
S: * SEARCH 1 2 3 4
S: c OK …
C: d FETCH 2 ENVELOPE
S: d NO [EXPUNGEISSUED] …
C: e NOOP
S: * 2 EXPUNGE
S: e OK …
C: f FETCH 2 UID
S: * 2 FETCH (UID 3)
S: f OK …
""".replace("S: * 2 FETCH (UID 2 FLAGS …\n", "")
    )


async def test_i23_two_robots_never_read_the_wrong_mail(house: MailHouse) -> None:
    dice = random.Random(23)
    contents = [HELLO + b"%d\r\n" % n * (n % 7) for n in range(120)]
    placed = await house.deliver(*contents)
    right = {one.uid: hashlib.sha256(content).digest() for one, content in zip(placed, contents, strict=True)}
    fetched = 0

    async def robot(seed: int) -> None:
        nonlocal fetched
        mine = random.Random(seed)
        async with house.client(select="INBOX") as client:
            uids = [int(line.split()[4].rstrip(b")")) for line in await client.ok("FETCH 1:* UID")]
            for _ in range(60):
                if not uids:
                    break
                place = mine.randrange(len(uids))
                what = mine.choice(["read", "read", "delete", "expunge", "noop"])
                if what == "read":
                    lines = await client.command(f"FETCH {place + 1} BODY.PEEK[]")
                    for line in lines:
                        found = re.match(rb"\* (\d+) FETCH \(BODY\[\] \{(\d+)\}\r\n", line)
                        if found:
                            body = line[found.end() : found.end() + int(found[2])]
                            assert hashlib.sha256(body).digest() == right[uids[int(found[1]) - 1]]
                            fetched += 1
                elif what == "delete":
                    lines = await client.command(f"STORE {place + 1} +FLAGS.SILENT (\\Deleted)")
                else:
                    lines = await client.command("EXPUNGE" if what == "expunge" else "NOOP")
                if what in ("read", "delete"):
                    assert numbers(lines, b"EXPUNGE") == []
                for number in numbers(lines, b"EXPUNGE"):
                    del uids[number - 1]

    await asyncio.gather(*(robot(dice.randrange(1000)) for _ in range(3)))
    assert fetched > 30


async def test_i24_mail_between_login_and_select_and_status(house: MailHouse) -> None:
    async with house.client() as client:
        await house.fill(1)
        assert numbers(await client.ok("SELECT INBOX"), b"EXISTS") == [1]
        await house.fill(1)
        lines = await client.ok("STATUS INBOX (MESSAGES RECENT)")
        assert lines[0] == b"* STATUS INBOX (MESSAGES 2 RECENT 1)"
        assert numbers(lines, b"EXISTS") == [2]
        assert numbers(await client.ok("SELECT INBOX"), b"EXISTS") == [2]


async def test_i25_appenduid_and_the_size_of_bare_line_feeds(house: MailHouse) -> None:
    message = b"Subject: unix\n\nline\nline\n"
    async with house.client(select="INBOX") as client:
        last = (await client.command(b"APPEND INBOX {%d+}\r\n%b" % (len(message), message)))[-1]
        found = re.match(rb"OK \[APPENDUID (\d+) (\d+)\]", last)
        assert found and (int(found[1]), int(found[2])) == (house.box().uidvalidity, 1)
        (line,) = await client.ok("FETCH 1 (RFC822.SIZE BODY.PEEK[])")
        assert line == b"* 1 FETCH (RFC822.SIZE %d BODY[] {%d}\r\n%b)" % (len(message), len(message), message)


async def test_i26_uids_stay_when_flags_change(house: MailHouse) -> None:
    await house.fill(3)
    async with house.client(select="INBOX") as client:
        await client.ok("STORE 1:2 +FLAGS ($Junk \\Flagged)")
        lines = await client.ok("FETCH 1:* UID")
        assert [line.split()[4] for line in lines] == [b"1)", b"2)", b"3)"]


ANNOUNCED = {
    "IMAP4REV1": "NOOP",
    "LITERAL+": "STATUS {5+}\r\nINBOX (MESSAGES)",
    "SASL-IR": "NOOP",  # test_i12
    "ID": "ID NIL",
    "ENABLE": "ENABLE CONDSTORE",
    "IDLE": "IDLE\r\nDONE",
    "UIDPLUS": "UID EXPUNGE 1",
    "MOVE": "MOVE 1 Trash",
    "NAMESPACE": "NAMESPACE",
    "CHILDREN": 'LIST "" % RETURN (CHILDREN)',
    "SPECIAL-USE": 'LIST (SPECIAL-USE) "" *',
    "CREATE-SPECIAL-USE": "CREATE Old (USE (\\Archive))",
    "LIST-EXTENDED": 'LIST (SUBSCRIBED RECURSIVEMATCH) "" ("%" "*") RETURN (SUBSCRIBED)',
    "LIST-STATUS": 'LIST "" * RETURN (STATUS (MESSAGES))',
    "STATUS=SIZE": "STATUS INBOX (SIZE)",
    "UNSELECT": "UNSELECT",
    "CONDSTORE": "FETCH 1 (MODSEQ)",
    "ESEARCH": "SEARCH RETURN (COUNT) ALL",
    "WITHIN": "SEARCH YOUNGER 3600",
    "OBJECTID": "FETCH 1 (EMAILID THREADID)",
    "JMAPACCESS": "GETJMAPACCESS",
    "METADATA": 'SETMETADATA INBOX (/private/comment "x")',
    "LIST-METADATA": 'LIST "" * RETURN (METADATA (/private/comment))',
    "FILTER=SIEVE": 'FILTER SIEVE SCRIPT "keep;" ALL',
    "APPENDLIMIT=52428800": "STATUS INBOX (APPENDLIMIT)",
    "COMPRESS=DEFLATE": "COMPRESS DEFLATE",
    "IMAPSIEVE=SIEVE://MX.EXAMPLE.TEST": "NOOP",  # test_happened
}


async def test_i27_what_is_announced_works(house: MailHouse) -> None:
    async with house.client() as client:
        (line,) = await client.ok("CAPABILITY")
    assert set(line.decode().upper().split()[2:]) == ANNOUNCED.keys()
    for command in ANNOUNCED.values():
        await house.fill(1)
        async with house.client(select="INBOX") as client:
            await client.ok(command)


async def test_i28_a_continuation_has_a_text(house: MailHouse) -> None:
    async with house.client() as client:
        client.send(b"a IDLE\r\n")
        assert (await client.line()).startswith(b"+ ")
        client.send(b"DONE\r\nb STATUS {5}\r\n")
        assert (await client.line()).startswith(b"a OK ")
        assert re.match(rb"\+ .", await client.line())
        client.send(b"INBOX (MESSAGES)\r\n")
        assert (await client.line()).startswith(b"* STATUS")


async def test_i29_twenty_sessions_of_one_user_idle_together(house: MailHouse) -> None:
    ready = asyncio.Barrier(21)

    async def one() -> list[bytes]:
        async with house.client(select="INBOX") as client:
            client.send(b"i IDLE\r\n")
            assert await client.line() == b"+ idling"
            await ready.wait()
            return [await client.line(), await client.line()]

    async with asyncio.TaskGroup() as group:
        sessions = [group.create_task(one()) for _ in range(20)]
        await ready.wait()
        await house.fill(1)
    told = [task.result() for task in sessions]
    assert all(lines[0] == b"* 1 EXISTS" for lines in told)
    assert sum(lines[1] == b"* 1 RECENT" for lines in told) == 1, "a message is recent to one session"


@pytest.mark.parametrize("password", ["with space", 'quo"te', "back\\slash", "pässwörd", "long" * 40, "a{1}b(c)*%"])
async def test_i30_passwords_of_all_kinds(house: MailHouse, password: str) -> None:
    who = Address("carol", "example.test")
    house.accounts[who] = house.add_user(who, password)
    quoted = password.replace("\\", "\\\\").replace('"', '\\"')
    async with house.client(None) as client:
        if password.isascii():
            await client.ok(f'LOGIN {who} "{quoted}"')
        else:
            octets = password.encode()
            await client.ok(b"LOGIN %b {%d+}\r\n%b" % (str(who).encode(), len(octets), octets))


async def test_i31_flags_of_copying_tools(house: MailHouse) -> None:
    await house.says(
        SELECT
        + r"""
C: a APPEND INBOX (\Recent \Seen $Forwarded Junk a/b[c) "01-Jan-2020 10:00:00 +0100" {15+}
C: Subject: c
C:
C: d
S: * FLAGS (\Seen \Answered \Flagged \Deleted \Draft $Forwarded a/b[c Junk)
S: * OK [PERMANENTFLAGS (\Seen \Answered \Flagged \Deleted \Draft $Forwarded a/b[c Junk \*)] …
S: * 1 EXISTS
S: * 1 RECENT
S: a OK …
C: b FETCH 1 (FLAGS INTERNALDATE)
S: * 1 FETCH (FLAGS (\Recent \Seen $Forwarded a/b[c Junk) INTERNALDATE " 1-Jan-2020 09:00:00 +0000")
S: b OK …
C: c STORE 1 FLAGS (\Recent junk)
S: * 1 FETCH (FLAGS (\Recent Junk))
S: c OK …
"""
    )


async def test_i32_keywords_do_not_move_the_next_uid(house: MailHouse) -> None:
    async with house.client(select="INBOX") as client:
        await client.ok(b"APPEND INBOX (one two) {17+}\r\nSubject: c\r\n\r\nd\r\n")
        placed = await house.fill(1)
        assert placed[0].uid == 2
        await client.ok("STORE 1 +FLAGS (three)")
        assert (await house.fill(1))[0].uid == 3


async def test_i33_list_status_in_order_and_searches_with_numbers(house: MailHouse) -> None:
    await house.fill(3)
    await house.says(
        SELECT
        + r"""
C: a LIST "" (INBOX Sent) RETURN (STATUS (MESSAGES UNSEEN))
S: * LIST (\HasNoChildren) "/" INBOX
S: * STATUS INBOX (MESSAGES 3 UNSEEN 3)
S: * LIST (\HasNoChildren \Sent) "/" Sent
S: * STATUS Sent (MESSAGES 0 UNSEEN 0)
S: a OK …
C: b STATUS INBOX (MESSAGES UIDNEXT)
S: * STATUS INBOX (MESSAGES 3 UIDNEXT 4)
S: b OK …
C: c SEARCH OR LARGER 123 SMALLER 123
S: * SEARCH 1 2 3
S: c OK …
C: d SEARCH 1,3 LARGER 10 SMALLER 1000 UID 2:*
S: * SEARCH 3
S: d OK …
"""
    )


# -- memory of many things (D19) ---------------------------------------------------------------------------------------


async def test_d19_another_users_mailbox_is_one_that_does_not_exist(house: MailHouse) -> None:
    await house.fill(1)
    async with house.client(select="INBOX") as client:
        for name in ("bob@example.test/INBOX", "user/bob", "../bob/INBOX", "#user/bob"):
            refusals = {
                await client.fails(f"{command} {name}{rest}".encode())
                for command, rest in [
                    ("SELECT", ""), ("EXAMINE", ""), ("DELETE", ""), ("STATUS", " (MESSAGES)"),
                ]
            }  # fmt: skip
            await client.ok("SELECT INBOX")
            refusals |= {await client.fails(f"COPY 1 {name}"), await client.fails(f"MOVE 1 {name}")}
            assert all(b"[NONEXISTENT]" in line or b"[TRYCREATE]" in line for line in refusals)


async def test_d19_a_disabled_user_is_shown_out_and_a_new_one_comes_in(house: MailHouse) -> None:
    async with house.client(select="INBOX") as idling, house.client() as waiting:
        idling.send(b"i IDLE\r\n")
        assert await idling.line() == b"+ idling"
        await house.store.write(lambda tx: accounts.change(tx, house.accounts[ALICE], enabled=0))
        assert await idling.line() == b"* BYE this account is disabled"
        assert await waiting.line() == b"* BYE this account is disabled"
    async with house.client(None) as client:
        await client.fails('LOGIN alice@example.test "wonder land"', b"NO [AUTHORIZATIONFAILED]")
    await house.store.write(lambda tx: accounts.change(tx, house.accounts[ALICE], enabled=1))
    async with house.client():
        pass


async def test_d19_recreated_users_log_in_at_once(house: MailHouse) -> None:
    who = Address("dora", "example.test")
    for word in ("first", "second"):
        account = house.accounts[who] = house.add_user(who, word)
        async with house.client(None) as client:
            await client.ok(f"LOGIN {who} {word}")
        await house.store.write(
            lambda tx, account=account: (messages.purge(tx, account, 10), accounts.remove(tx, account))
        )
        async with house.client(None) as client:
            await client.fails(f"LOGIN {who} {word}")
