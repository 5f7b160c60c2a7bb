"""Refusals as the providers write them, and the cause we read in them."""

from __future__ import annotations

import re
import time

import pytest

from daemon.mail.remedy import REFUSALS, remedy

G, M, Y = "gmail-smtp-in.l.google.com", "example-org.mail.protection.outlook.com", "mta5.am0.yahoodns.net."


@pytest.mark.parametrize(
    "host,reply,name",
    [
        (G, "550-5.7.26 This mail has been blocked because the sender is unauthenticated.\n550 5.7.26 Gmail requires",
         "unauthenticated"),
        (G, "550-5.7.26 Unauthenticated email from example.org is not accepted due to domain's 550 5.7.26 DMARC policy",
         "dmarc"),
        (G, "421-4.7.27 Your email has been rate limited because SPF", "spf"),
        (G, "550 5.7.30 DKIM did not pass", "dkim"),
        (G, "550-5.7.25 [192.0.2.1] The IP address sending this message does not have a PTR record setup", "ptr"),
        (G, "421 4.7.29 rate limited because this message wasn't sent over a TLS connection", "tls-needed"),
        (G, "550-5.7.1 [192.0.2.1] The IP you're using to send mail is not authorized to\n"
            "550-5.7.1 send email directly to our servers.", "dynamic-address"),
        (G, "550-5.7.1 Messages missing a valid Message-ID header are not accepted", "malformed"),
        (G, "552-5.7.0 This message was blocked because its content presents a potential\n552-5.7.0 security issue.",
         "content"),
        (G, "450-4.2.1 The user you are trying to contact is receiving mail at a rate that", "recipient-busy"),
        (G, "421-4.7.0 Our system has detected an unusual rate of\n421-4.7.0 unsolicited mail", "reputation"),
        (G, "550-5.1.1 The email account that you tried to reach does not exist.", "unknown-mailbox"),
        (G, "552-5.2.2 The email account that you tried to reach is over quota", "full"),
        (M, "550 5.7.1 Unfortunately, messages from [192.0.2.1] ... block list (S3140).", "provider-list"),
        (M, "550 5.7.1 ... part of their network is on our block list (S3150)", "provider-list"),
        (M, "550 5.7.606 Access denied, banned sending IP [192.0.2.1]", "provider-list"),
        (M, "550 DY-001 (BAY004) Unfortunately", "dynamic-address"),
        (M, "550 SC-001 mail rejected", "reputation"),
        (M, "421 RP-001 (BAY004) Unfortunately, some messages", "slow-down"),
        (M, "451 4.7.650 The mail server [192.0.2.1] has been temporarily rate limited", "slow-down"),
        (M, "550 5.7.515 Access denied, sending domain x does not meet the required authentication level",
         "unauthenticated"),
        (M, "550 5.7.509 Access denied, sending domain x does not pass DMARC verification", "dmarc"),
        (M, "550 5.7.708 Service unavailable. Access denied, traffic not accepted from this IP", "reputation"),
        (M, "550 5.4.1 Recipient address rejected: Access denied.", "unknown-mailbox"),
        (M, "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found", "unknown-mailbox"),
        (Y, "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to user complaints",
         "reputation"),
        (Y, "553 5.7.1 [BL21] Connections will not be accepted from 192.0.2.1", "provider-list"),
        (Y, "554 Message not allowed - [PH01] Email not accepted for policy reasons.", "content"),
        (Y, "554 5.7.9 Message not accepted for policy reasons.", "dmarc"),
        (Y, "554 delivery error: dd This user doesn't have a yahoo.com account (x@yahoo.com)", "unknown-mailbox"),
        ("mx01.mail.icloud.com", "554 5.7.1 [HM08] Message rejected due to local policy.", "reputation"),
        ("mx00.t-online.de", "554 IP=192.0.2.1 - A problem occurred. (Ask your postmaster for help or to contact "
                             "tosa@rx.t-online.de to clarify.)", "provider-list"),
        ("mx00.gmx.net", "554-gmx.net (mxgmx016) Nemesis ESMTP Service not available\n554-Bad DNS PTR resource record",
         "ptr"),
        ("mx00.gmx.net", "554-No SMTP service", "reputation"),
        ("", "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org; "
             "https://www.spamhaus.org/query/ip/192.0.2.1", "blocklist"),
        ("", "554 5.7.1 blocked using pbl.spamhaus.org", "blocklist-dynamic"),
        ("", "554 5.7.1 https://www.spamhaus.org/dbl x", "blocklist-domain"),
        ("", "554 5.7.1 blocked using zen.spamhaus.org; Error: open resolver", "blocklist-resolver"),
        ("", "554 Your access to this mail system has been rejected ... talosintelligence.com", "reputation"),
        ("", "450 4.2.0 <a@x>: Recipient address rejected: Greylisted, see http://postgrey", "greylisted"),
        ("", "450 4.7.1 Client host rejected: cannot find your reverse hostname, [192.0.2.1]", "ptr"),
        ("", "550 5.7.25 no name", "ptr"),
        ("", "504 5.5.2 <localhost>: Helo command rejected: need fully-qualified hostname", "helo"),
        ("", "550 5.7.1 DMARC check failed", "dmarc"),
        ("", "550 5.7.23 The message was rejected because of Sender Policy", "spf"),
        ("", "550 5.7.1 SPF fail - not authorized", "spf"),
        ("", "550 5.7.20 No passing signature found", "dkim"),
        ("", "550 bad DKIM signature", "dkim"),
        ("", "530 5.7.0 Must issue a STARTTLS command first", "tls-needed"),
        ("", "530 5.7.0 Authentication required", "login-needed"),
        ("", "535 5.7.8 Error: authentication failed", "login-refused"),
        ("", "554 5.7.1 <a@x>: Relay access denied", "relay-denied"),
        ("", "550 5.1.1 <a@x>: Recipient address rejected: User unknown in virtual mailbox table", "unknown-mailbox"),
        ("", "550 No such user here", "unknown-mailbox"),
        ("", "552 mailbox full", "full"),
        ("", "550 5.2.1 mailbox disabled", "disabled"),
        ("", "550 5.1.2 bad destination system", "no-domain"),
        ("", "556 5.1.10 Domain has null MX", "null-mx"),
        ("", "550 5.1.8 Sender address rejected: Domain not found", "sender"),
        ("", "552 5.3.4 Message size exceeds fixed limit", "too-large"),
        ("", "552 Message too large", "too-large"),
        ("", "554 5.4.6 Too many hops", "loop"),
        ("", "554 mail loop detected", "loop"),
        ("", "553 5.6.7 needs it", "smtputf8"),
        ("", "452 4.5.3 Too many recipients", "too-many"),
        ("", "550 This looks like spam", "content"),
        ("", "550 bad reputation", "reputation"),
        ("", "421 Too many connections from your IP", "slow-down"),
        ("", "451 4.7.1 come back", "slow-down"),
        ("", "550 5.7.1 go away", "policy"),
        ("notgoogle.com", "550 5.7.26 x", None),
        ("", "550 no", None),
        ("", "550 10.5.7.1.5", None),
        ("", "550", None),
        ("", "", None),
    ],
)  # fmt: skip
def test_a_refusal_is_recognised(host: str, reply: str, name: str | None) -> None:
    found = remedy(reply, host)
    assert (found.name if found else None) == name


def test_every_row_says_what_to_do_in_a_sentence_and_a_name() -> None:
    for row in REFUSALS:
        assert re.fullmatch(r"[a-z0-9-]+", row.name)
        assert row.sentence[0].isupper() and row.sentence.endswith(".") and row.sentence.isascii()
        assert row.codes or row.words


def test_an_endless_reply_is_read_in_no_time() -> None:
    started = time.process_time()
    for piece in ("size ", "helo ", "message ", "5.7.1 ", "mailbox ", "550-"):
        remedy(piece * 100_000)
    assert time.process_time() - started < 1
