"""The owner's rules at delivery: what scripts decide is done in the one write; what goes wrong loses nothing."""

from __future__ import annotations

import asyncio
import re
import time
from functools import partial

import pytest

from daemon.flow import planning, programs, receive, rules
from daemon.flow.envelope import Envelope, Origin, Recipient
from daemon.flow.programs import Programs
from daemon.limits import LIMITS
from daemon.mail.address import parse_address
from daemon.sieve import ScriptErrors
from daemon.store import accounts, mailboxes, metadata, sieve
from daemon.store.keywords import FLAGGED, SEEN
from daemon.store.spool import Body
from daemon.store.tx import Tx
from tests.flow.house import House
from tests.flow.ruled import ANN, BOB, CARL, MAIL, Fewer, accept, account, boxes, everybody, marks, script, steps, text

# ------------------------------------------------------------------------------------------------------------- keeping


async def test_who_has_no_script_notices_nothing(house: House) -> None:
    receipt = await accept(house, ANN)
    assert [*boxes(house, ANN)] == ["INBOX"] and steps(house, receipt) == []
    script(house, ANN, "")
    receipt = await accept(house, ANN)
    assert len(boxes(house, ANN)["INBOX"]) == 2 and house.story(receipt) == ["accepted smtp", "delivered"]


async def test_a_message_is_filed_with_flags_and_the_trace_says_by_which_line(house: House) -> None:
    script(
        house, ANN,
        'require ["fileinto", "imap4flags", "mailbox", "copy"];\nif header :contains "subject" "lunch" {\n'
        'fileinto :flags ["\\\\Seen", "$Food", "no(good"] :create "Food/Lunch";\n'
        'fileinto :copy :flags "\\\\Flagged" "Archive";\nfileinto "Archive"; }',
    )  # fmt: skip
    receipt = await accept(house, ANN)
    assert [*boxes(house, ANN)] == ["Archive", "Food/Lunch"]
    assert marks(house, ANN, "Food/Lunch") == [(SEEN, "$Food")] and marks(house, ANN, "Archive") == [(FLAGGED, "")]
    assert steps(house, receipt) == [
        "main:3 filed into Food/Lunch (a new mailbox) with \\Seen $Food",
        "main:4 filed into Archive with \\Flagged",
    ]
    assert "Food/Lunch" in house.store.read_now(mailboxes.subscriptions, account(house, ANN))
    await accept(house, ANN)
    assert len(boxes(house, ANN)["Food/Lunch"]) == 2


async def test_rules_see_what_we_put_in_front_and_nothing_runs_into_it(house: House) -> None:
    """A message that begins with a blank continues no field of ours."""
    script(
        house, ANN,
        'require ["fileinto", "index"]; if allof (exists "return-path", header :is "delivered-to" "ann@here.example",'
        ' header :index 1 :contains "received" "192.0.2.1", header :index 2 :is "received" "by far",'
        ' not header :contains "received" "evil") { fileinto "Archive"; }',
    )  # fmt: skip
    await accept(house, ANN, data=b" evil\r\nReceived: by far\r\n" + MAIL)
    assert [*boxes(house, ANN)] == ["Archive"]


async def test_special_use_and_id_name_a_mailbox(house: House) -> None:
    trash = house.store.read_now(mailboxes.get, account(house, ANN), "Trash").id
    script(
        house, ANN,
        'require ["fileinto", "special-use", "mailboxid", "copy"];'
        f'fileinto :copy :specialuse "\\\\Archive" "Elsewhere"; fileinto :copy :mailboxid "{trash}" "Elsewhere";'
        f'if allof (mailboxidexists "{trash}", not mailboxidexists "x", specialuse_exists "\\\\Junk") {{ keep; }}',
    )  # fmt: skip
    await accept(house, ANN)
    assert [*boxes(house, ANN)] == ["INBOX", "Archive", "Trash"]


async def test_what_is_made_for_a_special_use_has_it(house: House) -> None:
    """RFC 8579 section 4.1."""
    ann = account(house, ANN)
    house.store.write_now(lambda tx: mailboxes.use_for(tx, mailboxes.get(tx, ann, "Archive"), None))
    text = 'require ["fileinto", "special-use", "mailbox"]; fileinto :specialuse "\\\\Archive" :create "Old/Mail";'
    script(house, ANN, text)
    await accept(house, ANN)
    script(house, ANN, text.replace("Old/Mail", "Elsewhere"))
    await accept(house, ANN)
    assert len(boxes(house, ANN)["Old/Mail"]) == 2
    assert house.store.read_now(mailboxes.for_use, ann, "\\Archive") == "Old/Mail"


async def test_there_are_not_more_mailboxes_and_keywords_than_may_be(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr(mailboxes, "LIMITS", Fewer(imap_mailboxes=8))  # he has six
    script(
        house, ANN,
        'require ["fileinto", "mailbox", "copy"]; fileinto :create "a/b/c"; fileinto :copy :create "d";'
        'fileinto :copy :create "e"; fileinto :copy :create "f";',
    )  # fmt: skip
    await accept(house, ANN)
    found = boxes(house, ANN)
    assert [*found] == ["INBOX", "d", "e"]
    assert [b"rules do not work" in each for each in found["INBOX"]] == [False, False, True]
    for name, start in (("first", 0), ("second", 60)):
        words = " ".join(f"$k{at}" for at in range(start, start + 60))
        everybody(
            house, name, f'require ["fileinto", "imap4flags", "copy"]; fileinto :copy :flags "{words}" "Archive";'
        )
    await accept(house, ANN)
    ((_, kept),) = marks(house, ANN, "Archive")
    assert len(kept.split()) == LIMITS.imap_keywords


async def test_inbox_by_name_and_keep_are_one_copy(house: House) -> None:
    script(house, ANN, 'require ["fileinto", "imap4flags"]; fileinto "inbox"; keep :flags "\\\\Seen";')
    await accept(house, ANN)
    assert marks(house, ANN, "INBOX") == [(SEEN, "")]


@pytest.mark.parametrize(
    "command,why",
    [
        ('fileinto "Nowhere";', "there is no mailbox 'Nowhere'"),
        ('fileinto "a//b";', "'a//b': a mailbox name has no empty level"),
        ('fileinto :create "x\\ny";'.replace("\\n", "\n"), "no control characters"),
    ],
)
async def test_a_mailbox_that_is_not_there_means_inbox_and_one_note_a_day(house: House, command: str, why: str) -> None:
    script(house, ANN, f'require ["fileinto", "mailbox"]; {command}')
    for _ in range(3):
        receipt = await accept(house, ANN)
    found = boxes(house, ANN)["INBOX"]
    notes = [mail for mail in found if b"Your mail rules do not work" in mail]
    assert (
        len(found) == 4
        and len(notes) == 1
        and why in notes[0].decode()
        and "filed into INBOX" in steps(house, receipt)[0]
    )
    house.clock.now += 86_400_000
    await accept(house, ANN)
    assert len(boxes(house, ANN)["INBOX"]) == 6


@pytest.mark.parametrize(
    "broken", ["keep", 'require "nonsense"; discard;', 'require "ihave"; if true { error "so it is"; }']
)
async def test_any_error_means_keep_and_a_note_to_the_owner(house: House, broken: str) -> None:
    script(house, ANN, broken)
    receipt = await accept(house, ANN, sender="")
    kept, note = boxes(house, ANN)["INBOX"]
    assert kept.endswith(MAIL) and b"line 1" in note and b"the script 'main'" in note and b"Subject: Lunch" in note
    assert "went wrong: line 1" in steps(house, receipt)[0] and house.queued() == []
    await accept(house, ANN)
    assert len(boxes(house, ANN)["INBOX"]) == 3


async def test_discarded_mail_is_taken_and_told(house: House) -> None:
    script(house, ANN, "discard;")
    receipt = await accept(house, ANN)
    assert receipt.taken and boxes(house, ANN) == {} and steps(house, receipt) == ["main:1 discarded"]
    assert house.story(receipt) == ["accepted smtp", "ruled script"]


async def test_a_changed_message_has_bytes_of_its_own(house: House) -> None:
    script(
        house, ANN,
        'require ["editheader", "fileinto", "copy", "redirect-dsn"];'.replace(', "redirect-dsn"', "")
        + 'fileinto :copy "Archive"; addheader "X-Seen-By" "ann"; redirect :copy "x@far.example"; keep;',
    )  # fmt: skip
    await accept(house, ANN, BOB)
    assert text(house, ANN, "Archive").startswith("Return-Path") and "X-Seen-By" not in text(house, ANN, "Archive")
    changed = text(house, ANN)
    assert changed.startswith("X-Seen-By: ann\r\nReturn-Path: <carl@far.example>\r\nDelivered-To: ann@here.example\r\n")
    assert text(house, BOB).endswith(MAIL.decode()) and "X-Seen-By" not in text(house, BOB)
    assert house.store.read_now(Tx.value, "select count(*) from blob") == 3
    sent = house.store.read_now(
        Tx.one, "select q.prefix, b.segment_id, b.offset, b.length from queue_message q join blob b on b.id = q.blob_id"
    )
    assert sent is not None
    gone = sent[0] + house.store.segments.read(*sent[1:])
    assert (
        gone.startswith(b"Delivered-To: ann@here.example\r\nX-Seen-By: ann\r\nDelivered-To")
        and b"Return-Path" not in gone
    )


async def test_a_full_mailbox_is_refused_before_anything_is_redirected(house: House) -> None:
    house.store.write_now(lambda tx: accounts.change(tx, account(house, ANN), quota=100))
    script(house, ANN, 'require "copy"; redirect :copy "x@far.example";')
    receipt = await accept(house, ANN)
    assert receipt.outcomes[0].denial is planning.FULL and house.queued() == []


async def test_what_is_only_useful_does_not_keep_the_message_out(house: House) -> None:
    """The message fits in the mailbox; with the note of an error, or the copy of an answer, it would not."""
    script(house, ANN, 'require "fileinto"; fileinto "Nowhere";')
    house.store.write_now(lambda tx: accounts.change(tx, account(house, ANN), quota=700))
    await accept(house, ANN)
    assert len(boxes(house, ANN)["INBOX"]) == 1
    used = len(boxes(house, ANN)["INBOX"][0])
    house.store.write_now(lambda tx: accounts.change(tx, account(house, ANN), quota=2 * used + 100))
    script(house, ANN, 'require ["vacation", "fcc"]; vacation :fcc "Sent" "away";')
    receipt = await accept(house, ANN)
    assert receipt.taken and "Sent" not in boxes(house, ANN) and len(house.queued()) == 1


# ------------------------------------------------------------------------------------------------------- whose scripts


async def test_global_scripts_run_before_and_after_the_owner_s(house: House) -> None:
    everybody(house, "first", 'require "imap4flags"; addflag "$first";')
    everybody(house, "here", 'require "imap4flags"; addflag "$here";', domain="here.example")
    everybody(
        house, "last", 'require "imap4flags"; if header :contains "subject" "x" { discard; } addflag "$last";', "after"
    )
    script(
        house,
        ANN,
        'require ["imap4flags", "fileinto"]; addflag "$own"; if header "subject" "files" {fileinto "Trash";}',
    )
    await accept(house, ANN)
    assert marks(house, ANN, "INBOX") == [(0, "$first $here $last $own")]
    await accept(house, ANN, data=MAIL.replace(b"Lunch", b"files"))
    assert [*boxes(house, ANN)] == ["INBOX", "Trash"]
    everybody(house, "first", "discard;")
    receipt = await accept(house, ANN)
    assert steps(house, receipt) == ["first:1 discarded"]


async def test_a_broken_global_script_hinders_nobody_and_its_users_are_not_told(house: House) -> None:
    everybody(house, "bad", "nonsense;")
    script(house, ANN, 'require "fileinto"; fileinto "Archive";')
    receipt = await accept(house, ANN, BOB)
    assert [*boxes(house, ANN)] == ["Archive"] and [*boxes(house, BOB)] == ["INBOX"]
    assert len(boxes(house, BOB)["INBOX"]) == 1
    assert [step for step in steps(house, receipt) if "went wrong" in step] == [
        "bad:0 went wrong: line 1, column 1: there is no command 'nonsense'"
    ] * 2


async def test_what_one_script_changes_the_next_one_sees(house: House) -> None:
    everybody(house, "mark", 'require "editheader"; addheader "X-Mark" "yes";')
    script(house, ANN, 'require "fileinto"; if header "x-mark" "yes" { fileinto "Archive"; }')
    await accept(house, ANN)
    assert [*boxes(house, ANN)] == ["Archive"]


async def test_scripts_are_asked_about_the_world_as_it_is(house: House) -> None:
    script(
        house, ANN,
        'require ["envelope", "subaddress", "environment", "mailbox", "date", "relational", "fileinto", "extlists"];'
        'if allof (envelope :detail "to" "tag", envelope "from" "carl@far.example", environment "location" "MDA",'
        ' environment "remote-ip" "192.0.2.1", mailboxexists ["Archive", "inbox"], not mailboxexists ["x"],'
        ' not mailboxexists "a//b", currentdate "year" "2027", header :contains "delivered-to" "ann@here.example",'
        ' valid_ext_list "urn:ietf:params:sieve:addrbook:default",'
        ' not header :list "from" "urn:ietf:params:sieve:addrbook:default")'
        '{ fileinto "Archive"; }',
    )  # fmt: skip
    await accept(house, "ann+tag@here.example")
    assert [*boxes(house, ANN)] == ["Archive"]


METADATA = 'require ["mboxmetadata", "servermetadata", "fileinto", "variables", "relational"]; if '


@pytest.mark.parametrize(
    "test,true",
    [
        ('metadata :is "Archive" "/private/comment" "Old mail"', True),
        ('metadata :contains "Archive" "/Private/Comment" ["new", "old"]', True),
        ('metadata :matches "archive" "/private/comment" "*"', False),  # there is no such mailbox
        ('metadata :is "inbox" "/shared/empty" ""', True),
        ('metadata :matches "INBOX" "/private/comment" "*"', False),
        ('metadata :matches "a//b" "/private/comment" "*"', False),
        ('metadata :is "Archive" "/private/specialuse" "\\\\Archive"', True),
        ('metadata :value "ge" :comparator "i;ascii-casemap" "Archive" "/private/comment" "old"', True),
        ('metadataexists "Archive" ["/private/comment", "/PRIVATE/specialuse"]', True),
        ('metadataexists "Archive" ["/private/comment", "/shared/none"]', False),
        ('metadataexists "Nowhere" "/private/comment"', False),
        ('servermetadata :matches "/private/vendor/x/colour" "bl*"', True),
        ('servermetadata :matches "/private/comment" "*"', False),
        ('servermetadataexists ["/private/vendor/x/colour", "/Shared/comment"]', True),
        ('servermetadataexists ["/private/vendor/x/colour", "/private/comment"]', False),
    ],
)
async def test_scripts_are_asked_about_metadata(house: House, test: str, true: bool) -> None:
    for user, comment in ((ANN, b"Old mail"), (BOB, b"of another")):
        number = account(house, user)
        archive, inbox = (house.store.peek(mailboxes.get, number, name).id for name in ("Archive", "INBOX"))
        house.store.write_now(metadata.set, number, archive, {"/private/comment": comment})
        house.store.write_now(metadata.set, number, inbox, {"/shared/empty": b""})
    ours: dict[str, bytes | None] = {"/private/vendor/x/colour": b"blue", "/shared/comment": b"\xff"}
    house.store.write_now(metadata.set, account(house, ANN), None, ours)
    script(house, ANN, METADATA + test + ' { fileinto "Sent"; }')
    await accept(house, ANN)
    assert [*boxes(house, ANN)] == (["Sent"] if true else ["INBOX"])


async def test_included_scripts_are_the_owner_s_and_the_administrator_s_as_they_are_now(house: House) -> None:
    everybody(house, "lib", 'require "fileinto"; fileinto "Archive";', "library")
    script(house, ANN, 'require "include"; include :global "lib";')
    await accept(house, ANN)
    everybody(house, "lib", 'require "fileinto"; fileinto "Trash";', "library")
    await accept(house, ANN)
    assert [*boxes(house, ANN)] == ["Archive", "Trash"]


# ----------------------------------------------------------------------------------------------------------- redirects


async def test_a_redirect_goes_on_as_forwards_do(house: House) -> None:
    script(house, ANN, 'redirect "x@far.example"; redirect "X@FAR.example"; redirect "y@there.example";')
    receipt = await accept(house, ANN)
    assert [row.recipient for row in house.queued()] == ["x@far.example", "y@there.example"]
    assert {row.origin for row in house.queued()} == {"forward"} and boxes(house, ANN) == {}
    assert all(re.fullmatch(r"SRS0=.*=far\.example=carl@here\.example", row.sender, re.I) for row in house.queued())
    assert steps(house, receipt)[0] == "main:1 redirected to x@far.example"


async def test_a_redirect_asks_for_notices_as_its_script_says_else_as_the_sender_did(house: House) -> None:
    """RFC 6009 section 4."""
    script(
        house, ANN,
        'require ["redirect-dsn", "envelope", "envelope-dsn", "fileinto", "copy"];'
        'redirect :notify "NEVER" :ret "HDRS" "x@far.example"; redirect "y@there.example";'
        'if allof (envelope "notify" "delay", envelope "ret" "full", envelope "envid" "a+b",'
        ' envelope "orcpt" "rfc822;a=n@old.example") { fileinto "Archive"; }',
    )  # fmt: skip
    to = Recipient(parse_address(ANN), "rfc822;a+3Dn@old.example", "FAILURE,DELAY")
    envelope = Envelope(parse_address(CARL), [to], ret="FULL", envid="a+2Bb")
    await receive.accept(house.store, Origin("smtp", peer="192.0.2.1"), envelope, Body.of(MAIL), config=house.config)
    asked = "select r.address, r.notify, m.ret from queue_recipient r join queue_message m on m.id = r.message_id"
    assert sorted(house.store.read_now(Tx.all, asked)) == [
        ("x@far.example", "NEVER", "HDRS"), ("y@there.example", "FAILURE,DELAY", "FULL"),
    ]  # fmt: skip
    assert [*boxes(house, ANN)] == ["Archive"]


async def test_an_included_script_is_named_by_the_trace(house: House) -> None:
    script(house, ANN, 'require ["fileinto", "copy"];\nfileinto :copy "Archive";\nredirect "x@far.example";', "part")
    script(house, ANN, 'require ["include", "fileinto"];\ninclude "part";\nfileinto "Trash";')
    receipt = await accept(house, ANN)
    assert steps(house, receipt) == [
        "main > part:2 filed into Archive", "main:3 filed into Trash", "main > part:3 redirected to x@far.example",
    ]  # fmt: skip


async def test_a_redirect_to_a_neighbour_is_done_at_once_and_his_rules_see_it(house: House) -> None:
    script(house, ANN, 'redirect "bob@here.example";')
    script(house, BOB, 'require "fileinto"; fileinto "Archive";')
    await accept(house, ANN, BOB)
    assert boxes(house, ANN) == {} and len(boxes(house, BOB)["Archive"]) == 1 and house.queued() == []


@pytest.mark.parametrize("target", [ANN, BOB])
async def test_redirects_in_a_circle_keep_the_message(house: House, target: str) -> None:
    script(house, ANN, f'redirect "{target}";')
    script(house, BOB, f'redirect "{ANN}";')
    receipt = await accept(house, ANN)
    whose = ANN if target == ANN else BOB
    assert len(boxes(house, whose)["INBOX"]) == 1 and "in a circle" in " ".join(steps(house, receipt))


@pytest.mark.parametrize("target", ["nobody@here.example"])
async def test_a_redirect_that_leads_nowhere_keeps_the_message_and_tells(house: House, target: str) -> None:
    script(house, ANN, f'redirect "{target}";')
    await accept(house, ANN)
    kept, note = boxes(house, ANN)["INBOX"]
    assert kept.endswith(MAIL) and b"cannot be redirected" in note


async def test_what_was_delivered_here_before_is_refused(house: House) -> None:
    script(house, ANN, 'redirect "x@far.example";')
    receipt = await accept(house, ANN, data=b"Delivered-To: ann@here.example\r\n" + MAIL)
    assert receipt.outcomes[0].denial is planning.LOOP and house.queued() == []


# ------------------------------------------------------------------------------------------------------------ refusals


async def test_a_refusal_is_the_answer_where_one_answer_is_possible(house: House) -> None:
    script(house, ANN, 'require "ereject"; ereject "Not\r\nthis, säy I";')
    receipt = await accept(house, ANN)
    denial = receipt.outcomes[0].denial
    assert denial is not None and (denial.code, denial.text) == (550, "Not this, s?y I")
    assert house.story(receipt) == ["ruled script", "refused rejected"] and house.queued() == []


async def test_lmtp_hears_it_for_each_recipient(house: House) -> None:
    script(house, ANN, 'require "reject"; reject "no";')
    receipt = await accept(house, ANN, BOB, kind="lmtp")
    assert [o.denial and o.denial.reason for o in receipt.outcomes] == ["rejected", None] and house.queued() == []


async def test_else_the_sender_gets_a_notice_unless_it_is_a_list_or_has_none(house: House) -> None:
    script(house, ANN, 'require "ereject"; ereject "no";')
    await accept(house, ANN, BOB)
    (row,) = house.queued()
    assert (row.sender, row.recipient, row.origin) == ("", CARL, "notice")
    await accept(house, ANN, BOB, data=b"List-Id: <x.example>\r\n" + MAIL)
    await accept(house, ANN, BOB, sender="")
    assert len(house.queued()) == 1 and len(boxes(house, BOB)["INBOX"]) == 3


async def test_words_of_rules_that_others_read_are_bounded(house: House) -> None:
    script(house, ANN, f'require "ereject"; ereject "{"x" * 1000}";')
    denial = (await accept(house, ANN)).outcomes[0].denial
    assert denial is not None and denial.text == "x" * LIMITS.sieve_refusal
    script(house, ANN, f'require "vacation"; vacation :subject "{"x" * 1000}" "away";')
    many = b"".join(b" <%d@x.example>\r\n" % at for at in range(100))
    await accept(house, ANN, sender=BOB, data=MAIL.replace(b" <m0@far.example>\r\n", many))
    answer = text(house, BOB)
    assert f"Subject: {'x' * LIMITS.vacation_subject}\r\n" in answer
    assert answer.count("@x.example>") == LIMITS.vacation_references


async def test_what_another_script_did_stands_beside_a_refusal(house: House) -> None:
    everybody(house, "journal", 'require "copy"; redirect :copy "journal@far.example";')
    script(house, ANN, 'require "ereject"; ereject "no";')
    receipt = await accept(house, ANN)
    assert receipt.taken and sorted(row.recipient for row in house.queued()) == [CARL, "journal@far.example"]
    assert boxes(house, ANN) == {}


# -------------------------------------------------------------------------------------------------- notices, duplicates


async def test_a_notice_is_a_mail_marked_as_one(house: House) -> None:
    script(
        house, ANN,
        'require "enotify"; notify :importance "1" :message "Carl wrote" "mailto:bob@here.example?body=look";'
        'notify "mailto:nobody@here.example";',
    )  # fmt: skip
    receipt = await accept(house, ANN)
    note = text(house, BOB)
    assert 'Auto-Submitted: auto-notified; owner-email="ann@here.example"' in note and "Subject: Carl wrote" in note
    assert (
        "X-Priority: 1 (Highest)" in note and note.endswith("\r\n\r\nlook\r\n") and len(boxes(house, ANN)["INBOX"]) == 1
    )
    assert steps(house, receipt) == [
        "main:1 notified bob@here.example", "main:1 notified nobody: the address leads nowhere",
    ]  # fmt: skip
    script(house, BOB, 'require "enotify"; notify "mailto:ann@here.example";')
    await accept(house, ANN)
    assert len(boxes(house, ANN)["INBOX"]) == 2 and len(boxes(house, BOB)["INBOX"]) == 2


TWICE = 'require ["duplicate", "fileinto"]; if duplicate { fileinto "Trash"; }'


async def test_a_duplicate_is_known_as_one(house: House) -> None:
    script(house, ANN, TWICE)
    for _ in range(2):
        await accept(house, ANN)
    await accept(house, ANN, data=MAIL.replace(b"m1@", b"m2@"))
    assert {name: len(found) for name, found in boxes(house, ANN).items()} == {"INBOX": 2, "Trash": 1}
    house.clock.now += 7 * 86_400_000
    await accept(house, ANN)
    assert len(boxes(house, ANN)["INBOX"]) == 3


async def test_of_two_duplicates_at_once_one_is_known_as_one(house: House) -> None:
    script(house, ANN, TWICE)
    await asyncio.gather(*(accept(house, ANN) for _ in range(2)))
    assert {name: len(found) for name, found in boxes(house, ANN).items()} == {"INBOX": 1, "Trash": 1}


# ------------------------------------------------------------------------------------------------------------ the cost


def test_programs_are_compiled_once_and_so_many_are_held(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Programs()
    ann = account(house, ANN)
    with_comment = [f"keep; # {at}{' ' * 1000}" for at in range(3)]

    def get(text: str) -> object:
        return house.store.read_now(held.get, ann, text)

    first = get(with_comment[0])
    assert get(with_comment[0]) is first
    monkeypatch.setattr(programs, "LIMITS", Fewer(sieve_programs=2100))
    get(with_comment[1])
    get(with_comment[2])
    assert len(held) == 2 and get(with_comment[0]) is not first
    for _ in range(2):
        with pytest.raises(ScriptErrors):
            get("nonsense")


def test_a_fault_of_a_global_script_is_logged_once() -> None:
    held = Programs()
    assert [held.complain("text", "fault") for _ in range(2)] == [True, False]
    assert all(held.complain("text", str(at)) for at in range(LIMITS.sieve_complaints))
    assert held.complain("text", "fault")


async def test_long_messages_and_scripts_are_looked_at_in_a_thread(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    where: list[bool] = []
    real = rules._rule

    def spy(tx: Tx, case: rules.Case, scripts: list[sieve.Script]) -> rules.Ruling | None:
        where.append(case.inline)
        return real(tx, case, scripts)

    monkeypatch.setattr(rules, "_rule", spy)
    script(house, ANN, 'require "fileinto"; fileinto "Archive";')
    await accept(house, ANN, data=MAIL + b"x" * LIMITS.parse_inline)
    script(house, ANN, 'require "fileinto"; fileinto "Archive";' + " " * LIMITS.sieve_inline)
    for _ in range(2):
        await accept(house, ANN)
    assert where == [True, False, True, False, True] and len(boxes(house, ANN)["Archive"]) == 3


async def test_a_script_that_took_long_is_run_in_a_thread(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "LIMITS", Fewer(sieve_quick=-1))
    script(house, ANN, 'require "fileinto"; # slow\nfileinto "Archive";')
    await accept(house, ANN)
    threads: list[object] = []
    real = house.store.read_long

    async def read(*about: object) -> object:
        threads.append(about[0])
        return await real(*about)  # type: ignore[arg-type]

    monkeypatch.setattr(house.store, "read_long", read)
    await accept(house, ANN)
    assert threads == [receive._plan]
    monkeypatch.setattr(programs, "LIMITS", LIMITS)
    for _ in range(2):
        await accept(house, ANN)
    assert threads == [receive._plan] * 2 and len(boxes(house, ANN)["Archive"]) == 4


async def test_a_script_that_took_long_is_tried_again_after_a_while(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that runs it is in another process than the writer, which would never learn that it is quick now."""
    monkeypatch.setattr(programs, "LIMITS", Fewer(sieve_quick=-1, sieve_slow=0))
    script(house, ANN, 'require "fileinto"; # slow once\nfileinto "Archive";')
    for _ in range(2):
        await accept(house, ANN)
    monkeypatch.setattr(house.store, "read_long", None)
    await accept(house, ANN)
    assert len(boxes(house, ANN)["Archive"]) == 3


def test_a_script_that_is_slow_each_time_is_tried_once_in_a_while(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    held = Programs()
    get = partial(house.store.peek, partial(held.get, inline=True), account(house, ANN), "keep;")
    for _ in range(3):
        get()
        held.took(account(house, ANN), "keep;", LIMITS.sieve_quick / 1000 + 1)
        now[0] += LIMITS.sieve_slow - 1
        with pytest.raises(programs.Heavy):
            get()
        now[0] += 2
    held.took(account(house, ANN), "keep;", 0)
    get()


@pytest.mark.parametrize(("rule", "taken"), [('ereject "no";', False), ('fileinto "Archive";', True)])
async def test_what_takes_long_in_the_writers_own_process(house: House, rule: str, taken: bool) -> None:
    script(house, ANN, 'require ["ereject", "fileinto"]; ' + rule + " " * LIMITS.sieve_inline)
    house.store.attach(asyncio.get_running_loop())
    await house.store.hire()
    receipt = await accept(house, ANN)
    assert receipt.taken is taken and house.story(receipt)[-1] == ("delivered" if taken else "refused rejected")
    assert len(boxes(house, ANN).get("Archive", ())) == taken


def test_the_command_line_takes_the_same_road(house: House) -> None:
    script(house, ANN, 'require "ereject"; ereject "no";')
    receipt = house.mail(CARL, ANN, kind="sendmail", data=MAIL)
    assert not receipt.taken and house.story(receipt) == ["ruled script", "refused rejected"]
