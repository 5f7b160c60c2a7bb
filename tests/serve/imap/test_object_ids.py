"""OBJECTID (RFC 8474) and JMAPACCESS (RFC 9698): the ids of mailboxes, messages and conversations, as JMAP has them."""

from __future__ import annotations

from tests.serve.imap.conftest import ALICE, MailHouse
from tests.serve.imap.test_traps import LOGIN, SELECT
from tests.store.stage import deliver
from tests.store.test_threads import mail


async def test_object_ids(house: MailHouse) -> None:
    account = house.accounts[ALICE]
    sent = [mail("Dinner", "a"), mail("Lunch", "b"), mail("Re: Dinner", "c", "a")]
    one, two, three = (deliver(house.store, account, each) for each in sent)
    box, first, second = f"m{one.mailbox_id}", f"t{one.modseq}", f"t{two.modseq}"
    await house.says(
        LOGIN
        + rf"""
C: a EXAMINE INBOX
S: * FLAGS …
S: * OK [PERMANENTFLAGS …
S: * 3 EXISTS
S: * 3 RECENT
S: * OK [UNSEEN 1] …
S: * OK [UIDVALIDITY …
S: * OK [UIDNEXT 4] …
S: * OK [HIGHESTMODSEQ …
S: * OK [MAILBOXID ({box})] …
S: a OK [READ-ONLY] …
C: b FETCH 1:* (EMAILID THREADID)
S: * 1 FETCH (EMAILID (e{one.email_id}) THREADID ({first}))
S: * 2 FETCH (EMAILID (e{two.email_id}) THREADID ({second}))
S: * 3 FETCH (EMAILID (e{three.email_id}) THREADID ({first}))
S: b OK …
C: c SEARCH THREADID {first}
S: * SEARCH 1 3
S: c OK …
C: d UID SEARCH NOT EMAILID e{two.email_id} UNSEEN
S: * SEARCH 1 3
S: d OK …
C: e SEARCH OR EMAILID x{one.email_id} THREADID nobody
S: * SEARCH
S: e OK …
C: f SEARCH EMAILID a.b
S: f BAD …
C: g STATUS INBOX (MAILBOXID MESSAGES)
S: * STATUS INBOX (MAILBOXID ({box}) MESSAGES 3)
S: g OK …
C: h CREATE New
S: h OK [MAILBOXID (m{{{{new}}}})] …
C: i STATUS New (MAILBOXID)
S: * STATUS New (MAILBOXID (m{{{{new}}}}))
S: i OK …
C: j RENAME New Newer
S: j OK …
C: k STATUS Newer (MAILBOXID)
S: * STATUS Newer (MAILBOXID (m{{{{new}}}}))
S: k OK …
"""
    )


async def test_a_copy_is_the_same_message(house: MailHouse) -> None:
    placed = deliver(house.store, house.accounts[ALICE], mail("Dinner", "a"))
    await house.says(
        SELECT
        + rf"""
C: a COPY 1 Archive
S: a OK …
C: b SELECT Archive
S* b OK …
C: c FETCH 1 (EMAILID)
S: * 1 FETCH (EMAILID (e{placed.email_id}))
S: c OK …
"""
    )


async def test_the_way_to_jmap(house: MailHouse) -> None:
    house.set(listen__https="127.0.0.1:443")
    await house.says(
        LOGIN
        + r"""
C: a CAPABILITY
S: {{list:\* CAPABILITY .* OBJECTID .*JMAPACCESS.*}}
S: a OK …
C: b GETJMAPACCESS
S: {{url:\* JMAPACCESS "https://[a-z.]+/jmap/session"}}
S: b OK …
"""
    )
    house.set(listen__https="127.0.0.1:8443")
    await house.says(
        LOGIN
        + r"""
C: b GETJMAPACCESS
S: {{url:\* JMAPACCESS "https://[a-z.]+:8443/jmap/session"}}
S: b OK …
"""
    )
    house.set(listen__https="off")
    await house.says(
        LOGIN
        + r"""
C: b GETJMAPACCESS
S: b BAD …
"""
    )
