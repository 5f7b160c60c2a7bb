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
        ("", "451 4.7.1 come back", "policy-for-now"),
        ("", "550 5.7.1 go away", "policy"),
        # providers' whole replies
        (G, "421-4.7.0 This message does not pass authentication checks (SPF and DKIM both\n421-4.7.0 do not pass). "
            "SPF check for [example.org] does not pass with ip: [192.0.2.1].", "unauthenticated"),
        (G, "550-5.7.26 Your email has been blocked because the sender is unauthenticated.\n550-5.7.26 Gmail requires "
            "all senders to authenticate with either SPF or DKIM.", "unauthenticated"),
        (G, "421-4.7.28 Gmail has detected an unusual rate of unsolicited mail originating from your SPF domain",
         "reputation"),
        (G, "421-4.7.0 [192.0.2.1 15] Our system has detected that this message is\n421-4.7.0 suspicious due to the "
            "very low reputation of the sending IP address.", "reputation"),
        (G, "550-5.7.1 [192.0.2.1 12] Our system has detected that this message is\n550-5.7.1 likely unsolicited "
            "mail. To reduce the amount of spam sent to Gmail,", "reputation"),
        (G, "421 4.7.32 Your email has been rate limited because the From: header (RFC5322) in this message isn't "
            "aligned with either the authenticated SPF or DKIM organizational domain.", "alignment"),
        (G, "421 4.7.40 Your email has been rate limited because the sending domain doesn't have a DMARC record",
         "dmarc-missing"),
        (G, "550-5.4.5 Daily user sending limit exceeded. For more information on Gmail", "daily-limit"),
        (G, "550 5.7.1 Email quota exceeded", "daily-limit"),
        (G, "421-4.7.0 Try again later, closing connection. (EHLO)", "slow-down"),
        (G, "452-4.2.2 The recipient's inbox is out of storage space.", "full"),
        (G, "550-5.2.1 The email account that you tried to reach is inactive.", "disabled"),
        (M, "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your Internet service "
            "provider since part of their network is on our block list (S3140). You can also refer your provider to "
            "http://mail.live.com/mail/troubleshooting.aspx#errors.", "provider-list"),
        (M, "550 5.7.1 Service unavailable, Client host [192.0.2.1] blocked using Spamhaus. To request removal from "
            "this list see https://www.spamhaus.org/query/ip/192.0.2.1 (AS3130). [x.outlook.com]", "blocklist"),
        (M, "550 5.7.511 Access denied, banned sender[192.0.2.1]. To request removal from this list please forward this"
            " message to delist@microsoft.com. AS(1410)", "provider-list"),
        (M, "550 5.7.513 Service unavailable, Client host [192.0.2.1] blocked by example.com using Customer Block list "
            "(AS16012609)", "blocked-by-recipient"),
        (M, "450 4.7.26 Service does not accept messages sent over IPv6 [2001:db8::1] unless they pass either SPF or "
            "DKIM validation (message not signed)", "unauthenticated"),
        (M, "451 4.7.652 The mail server [192.0.2.1] has exceeded the maximum number of connections.", "slow-down"),
        (M, "451 4.7.700 Server busy. Please try again later from [192.0.2.1]. (AS77712)", "slow-down"),
        (M, "530 5.7.57 Client not authenticated to send mail.", "login-needed"),
        (M, "550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required", "closed-group"),
        (M, "550 5.7.64 TenantAttribution; Relay Access Denied", "relay-denied"),
        (M, "550 5.7.502 Access denied, banned sender", "reputation"),
        (Y, "553 5.7.1 [TS03] All messages from 192.0.2.1 will be permanently deferred; Retrying will NOT succeed.",
         "reputation"),
        (Y, "421 4.7.0 [TSS09] All messages from 192.0.2.1 will be deferred due to user complaints", "reputation"),
        (Y, "451 4.7.1 [GL01] Message from (192.0.2.1) temporarily deferred", "greylisted"),
        ("mx01.emig.gmx.net", "550-Requested action not taken: mailbox unavailable\n550 For explanation visit "
                              "https://postmaster.gmx.net/en/error-messages?ip=192.0.2.1&c=hi", "unknown-mailbox"),
        ("mx-ha03.web.de", "554-web.de (mxweb012) Nemesis ESMTP Service not available\n554-No SMTP service\n554-IP "
                           "address is block listed.\n554 For explanation visit https://postmaster.web.de/",
         "reputation"),
        ("mx00.emig.gmx.net", "552-Requested mail action aborted: exceeded storage allocation", "full"),
        ("mx02.mail.icloud.com", "554 5.7.1 [CS01] Message rejected due to local policy. Please visit "
                                 "https://support.apple.com/en-us/HT204137", "reputation"),
        ("eu-smtp-inbound-1.mimecast.com", "451 Internal resources are temporarily unavailable - "
                                           "https://community.mimecast.com/docs/DOC-1369#451 [x]", "greylisted"),
        ("eu-smtp-inbound-1.mimecast.com", "550 Rejected by header based Anti-Spoofing policy: a@x", "anti-spoofing"),
        ("us-smtp-inbound-2.mimecast.com", "550 Administrative prohibition - envelope blocked - "
                                           "https://community.mimecast.com/docs/DOC-1369#550", "blocked-by-recipient"),
        ("us-smtp-inbound-2.mimecast.com", "550 csi.mimecast.org Poor Reputation Sender. - x", "reputation"),
        ("mxa-00.gslb.pphosted.com", "554 Blocked - see https://ipcheck.proofpoint.com/?ip=192.0.2.1", "provider-list"),
        ("mxa-00.gslb.pphosted.com", "550 5.7.1 Service unavailable; client [192.0.2.1] blocked using "
                                     "prs.proofpoint.com", "provider-list"),
        ("", "554 Service unavailable; Client host [192.0.2.1] blocked using Barracuda Reputation; "
             "https://www.barracudanetworks.com/reputation/?r=1&ip=192.0.2.1", "blocklist"),
        ("", "451 4.7.1 Greylisting in action, please come back later", "greylisted"),
        ("", "552 5.2.2 <a@x>: Quota exceeded (mailbox for user is full)", "full"),
        ("", "552 Requested mail action aborted: exceeded storage allocation", "full"),
        # what is not known, or says only that something failed, gets no advice
        ("", "451 4.3.0 <a@x>: Temporary lookup failure", None),
        ("", "451 4.3.0 Error: queue file write error, try again later", None),
        ("", "451 4.3.0 virus scanner is temporarily unavailable", None),
        ("", "421 4.3.2 System not accepting network messages", None),
        ("", "421 Service not available, closing transmission channel", None),
        ("", "451 Requested action aborted: local error in processing", None),
        ("", "451 4.4.1 timed out", None),
        ("", "450 message deferred", None),
        ("", "554 5.0.0 Transaction failed", None),
        ("", "554 5.3.0 the server ate it", None),
        (M, "554 5.6.0 Corrupt message content", None),
        (G, "451 4.3.0 Mail server temporarily rejected message", None),
        (Y, "451 4.3.2 internal error reading data", None),
        ("", "421 [TSS04] but not at Yahoo", None),
        ("mimecast.com.example.net", "550 Administrative prohibition", None),
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
