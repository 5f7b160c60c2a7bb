"""What a refusal means and what to do about it, in one plain sentence: a table of the well-known ones.

The providers answer with codes and links that change; what stays is the cause. A row names the cause (the name goes
to the trace and the metrics), whose words it reads ("" for anybody's), the enhanced status codes and the words it
looks for, and the sentence for notice and queue. The first row that fits wins, so the particular stand before the
general. RFC 3463 gives the codes their general meaning; the providers' own are read from their replies.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_LOOKED_AT = 4000  # characters of a reply
_STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
_LINE_START = re.compile(r"^[245]\d\d[- ]?(?:[245]\.\d{1,3}\.\d{1,3} )?", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Remedy:
    """The name of a cause, and the sentence for people."""

    name: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """One row: what is looked for. `hosts` are ends of the peer's name; with `codes` and `words` both must fit."""

    name: str
    hosts: tuple[str, ...]
    codes: tuple[str, ...]
    words: str
    sentence: str


_GMAIL = ("google.com", "googlemail.com", "gmail.com")
_OUTLOOK = ("outlook.com", "hotmail.com", "office365.us", "microsoft.com")
_YAHOO = ("yahoodns.net", "yahoo.com", "aol.com")
_ICLOUD = ("icloud.com", "apple.com", "me.com")
_T_ONLINE = ("t-online.de",)
_GMX = ("gmx.net", "gmx.com", "gmx.de", "web.de", "kundenserver.de", "mail.com")
_MIMECAST = ("mimecast.com", "mimecast.co.za", "mimecast-offshore.com")
_ANYBODY: tuple[str, ...] = ()

_AUTHENTICATE = (
    "The receiving provider accepts only mail whose sender is proved: publish SPF, DKIM and DMARC for the sending "
    "domain (`mailctl dns check` says what is missing) and send it again."
)
_SPF = (
    "The sending domain's SPF record does not name the server this mail came from: add the server's address to the "
    "record, or send through a server that is in it."
)
_DKIM = "The mail's DKIM signature is missing or does not verify: check that the DKIM key is published in DNS."
_DMARC = (
    "The sending domain's own DMARC policy says to refuse mail that is not proved by SPF or DKIM: make one of them "
    "match the domain in From; a forwarded mail needs its DKIM signature intact."
)
_PTR = (
    "The sending server's address has no matching name in reverse DNS: set its PTR record, at the hosting provider, "
    "to the server's host name, and let that name point back to the address."
)
_SLOW = "The receiving provider limits how fast it takes mail from this server for now; it is tried again by itself."
_REPUTATION = (
    "The receiving provider mistrusts the sending server's address because of complaints or unusual volume: find out "
    "what it sent (a broken-in account, a form), stop that, and let the reputation recover over days."
)
_MICROSOFT_LIST = (
    "The sending server's address is on Microsoft's block list: ask for its removal at https://olcsupport.office.com, "
    "after checking that no account sends spam."
)
_UNKNOWN = "There is no such mailbox at the receiving server: check the address for a spelling mistake."
_FULL = "The recipient's mailbox is full: tell the recipient by another way, or send again later."
_TOO_LARGE = "The message is larger than the receiving server takes: send it smaller, or share its files by a link."
_DYNAMIC = (
    "The sending server's address belongs to a range that is not meant to send mail (dial-up, dynamic or cloud): send "
    "through a relay (`mailctl route`), or ask the hosting provider for an address that may."
)
_CONTENT = (
    "The receiving server takes the content for spam or for dangerous: look at links, attachments and wording, and "
    "see whether the sending domain or a linked one is on a blocklist."
)

_GREYLISTED = (
    "The receiving server asks unknown servers to come back later (greylisting); it is tried again by itself within "
    "minutes."
)
_ALIGN = (
    "SPF or DKIM pass for another domain than the one in From: sign with that domain's own key, or send from an "
    "address of the domain in From."
)
_DAILY = (
    "The account at the relay has sent as much as its provider allows in a day: wait a day, or send through another "
    "relay (`mailctl route`)."
)
_BLOCKED_HERE = (
    "The recipient's organisation itself blocks this sender or server: reach the recipient another way, and let their "
    "administrator remove the block."
)

REFUSALS = (
    # -- Gmail --------------------------------------------------------------------------------------------------------
    Refusal("dmarc", _GMAIL, ("5.7.26", "4.7.26"), r"dmarc", _DMARC),
    Refusal("unauthenticated", _GMAIL, ("5.7.26", "4.7.26"), r"", _AUTHENTICATE),
    Refusal("spf", _GMAIL, ("5.7.27", "4.7.27", "5.7.24", "4.7.24"), r"", _SPF),
    Refusal("dkim", _GMAIL, ("5.7.30", "4.7.30"), r"", _DKIM),
    Refusal("ptr", _GMAIL, ("5.7.25", "4.7.23", "4.7.25"), r"", _PTR),
    Refusal(
        "tls-needed", _GMAIL, ("5.7.29", "4.7.29"),
        r"",
        "The receiving provider takes mail only over TLS: check that this server may use STARTTLS for "
        "outgoing mail.",
    ),
    Refusal("alignment", _GMAIL, ("5.7.32", "4.7.32"), r"", _ALIGN),
    Refusal(
        "dmarc-missing", _GMAIL, ("5.7.40", "4.7.40"),
        r"",
        "The receiving provider wants a DMARC record of the sending domain: publish one (`mailctl dns check` "
        "prints it).",
    ),
    Refusal("unauthenticated", _GMAIL, (), r"not pass authentication checks|is unauthenticated", _AUTHENTICATE),
    Refusal("daily-limit", _GMAIL, ("5.4.5",), r"", _DAILY),
    Refusal("daily-limit", _GMAIL, (), r"email quota exceeded|(?:sending|relay) (?:quota|limit) exceeded", _DAILY),
    Refusal("reputation", _GMAIL, ("5.7.28", "4.7.28"), r"", _REPUTATION),
    Refusal("slow-down", _GMAIL, ("4.7.0",), r"try again later", _SLOW),
    Refusal("dynamic-address", _GMAIL, (), r"not authorized to send email directly", _DYNAMIC),
    Refusal(
        "malformed", _GMAIL, (),
        r"missing a valid (?:message-?id|from|address)|multiple (?:addresses in )?from",
        "The message's header is malformed (Message-ID or From): send it with another program.",
    ),
    Refusal(
        "content", _GMAIL, (),
        r"potential security issue",
        "The provider does not take this kind of attachment (programs, archives with a password): share the "
        "file by a link.",
    ),
    Refusal(
        "recipient-busy", _GMAIL, (),
        r"receiving mail (?:at a rate|too quickly)",
        "The recipient gets more mail at the moment than the provider allows; it is tried again by itself.",
    ),
    Refusal(
        "reputation", _GMAIL, (),
        r"unusual rate of unsolicited|likely (?:unsolicited|suspicious)|low reputation",
        _REPUTATION,
    ),
    # -- Outlook.com, Hotmail, Microsoft 365 --------------------------------------------------------------------------
    Refusal("provider-list", _OUTLOOK, (), r"\bS31[45]\d\b|on our block list", _MICROSOFT_LIST),
    Refusal(
        "provider-list", _OUTLOOK, (),
        r"banned sending ip|delist@|sender\.office\.com",
        "The sending server's address is banned by Microsoft 365: ask for its removal at "
        "https://sender.office.com.",
    ),
    Refusal("blocked-by-recipient", _OUTLOOK, (), r"customer block list", _BLOCKED_HERE),
    Refusal("unauthenticated", _OUTLOOK, (), r"unless they pass either spf or dkim", _AUTHENTICATE),
    Refusal(
        "login-needed", _OUTLOOK, ("5.7.57",),
        r"",
        "Microsoft's relay wants a login before it takes mail: give it user and password (`mailctl route`).",
    ),
    Refusal(
        "closed-group", _OUTLOOK, ("5.7.124", "5.7.133", "5.7.134", "5.7.136"),
        r"",
        "The recipient takes mail only from the own organisation or from senders on a list: ask its owner to "
        "be added.",
    ),
    Refusal("dynamic-address", _OUTLOOK, (), r"\bDY-00\d\b", _DYNAMIC),
    Refusal("reputation", _OUTLOOK, (), r"\b(?:SC|OU)-00\d\b", _MICROSOFT_LIST),
    Refusal("slow-down", _OUTLOOK, (), r"\bRP-00\d\b", _SLOW),
    Refusal("slow-down", _OUTLOOK, ("4.7.500", "4.7.650", "4.7.651", "4.7.652", "4.7.653"), r"", _SLOW),
    Refusal("slow-down", _OUTLOOK, (), r"server busy.{0,80}try again later", _SLOW),
    Refusal("unauthenticated", _OUTLOOK, ("5.7.515",), r"", _AUTHENTICATE),
    Refusal("dmarc", _OUTLOOK, ("5.7.509",), r"", _DMARC),
    Refusal("reputation", _OUTLOOK, ("5.7.501", "5.7.502", "5.7.503", "5.7.705", "5.7.708", "5.7.750"), r"",
            _REPUTATION),
    Refusal("unknown-mailbox", _OUTLOOK, ("5.4.1",), r"access denied", _UNKNOWN),
    # -- Yahoo, AOL ---------------------------------------------------------------------------------------------------
    Refusal(
        "reputation", _YAHOO, (),
        r"\[TS03\]",
        "Yahoo takes nothing more from this server's address because of complaints: find what it sent and stop "
        "that, then ask at https://senders.yahooinc.com/contact.",
    ),
    Refusal(
        "reputation", _YAHOO, (),
        r"\[TSS?\d\d\]|\bTSS\d\d\b",
        "Yahoo holds mail from this server back because of complaints or volume: send less and cleaner "
        "mail for some days; it is tried again by itself.",
    ),
    Refusal("greylisted", _YAHOO, (), r"\[GL\d\d\]", _GREYLISTED),
    Refusal(
        "provider-list", _YAHOO, (),
        r"\[BL\d\d\]",
        "The sending server's address is on a blocklist that Yahoo uses: the link in the reply says which; "
        "ask for its removal there.",
    ),
    Refusal("content", _YAHOO, (), r"\[PH01\]|\[CN\d\d\]", _CONTENT),
    Refusal("dmarc", _YAHOO, ("5.7.9",), r"policy reasons", _DMARC),
    Refusal("unknown-mailbox", _YAHOO, (), r"doesn't have a \S+ account|mailbox is disabled", _UNKNOWN),
    # -- others with words of their own -------------------------------------------------------------------------------
    Refusal(
        "reputation", _ICLOUD, (),
        r"\[(?:HM|CS)\d\d\]|local policy",
        "Apple refuses mail from this server or of this content: check SPF, DKIM and DMARC, then write to "
        "icloudadmin@apple.com with the reply.",
    ),
    Refusal(
        "provider-list", _T_ONLINE, (),
        r"tosa@|ask your postmaster",
        "T-Online takes mail only from servers it knows: write to tosa@rx.t-online.de with the address and "
        "host name; the host needs an imprint on the web.",
    ),
    Refusal("ptr", _GMX, (), r"bad dns ptr", _PTR),
    Refusal("unknown-mailbox", _GMX, (), r"action not taken: mailbox unavailable", _UNKNOWN),
    Refusal("full", _GMX, (), r"exceeded storage allocation", _FULL),
    Refusal(
        "reputation", _GMX, (),
        r"policy restrictions|no smtp service|postmaster\.(?:gmx|web)",
        "GMX and web.de refuse this server for now: check reverse DNS, SPF and DKIM, and see "
        "https://postmaster.gmx.net.",
    ),
    Refusal("greylisted", _MIMECAST, (), r"internal resources are temporarily unavailable", _GREYLISTED),
    Refusal(
        "anti-spoofing", _MIMECAST, (),
        r"anti-spoofing",
        "The recipient's organisation takes no mail from outside that says to be from its own domain: let their "
        "administrator permit this server, or write from another domain.",
    ),
    Refusal("blocked-by-recipient", _MIMECAST, (), r"blocked senders|administrative prohibition", _BLOCKED_HERE),
    Refusal(
        "provider-list", _ANYBODY, (),
        r"(?:ipcheck|prs)\.proofpoint\.com",
        "The sending server's address is on Proofpoint's block list: look it up at https://ipcheck.proofpoint.com, "
        "stop what put it there, and ask for its removal.",
    ),
    # -- blocklists, whoever asks them --------------------------------------------------------------------------------
    Refusal("blocklist-dynamic", _ANYBODY, (), r"\bpbl\b|pbl\.spamhaus|/pbl", _DYNAMIC),
    Refusal(
        "blocklist-domain", _ANYBODY, (),
        r"dbl\.spamhaus|/dbl|surbl\.org|uribl\.com",
        "A domain in the message is on a blocklist: look it up there (the reply has the link), clean it, and "
        "ask for its removal.",
    ),
    Refusal(
        "blocklist-resolver", _ANYBODY, (),
        r"open resolver|public resolver|blocked resolver",
        "The receiving server asks Spamhaus through a public resolver and reads its refusal as a listing: its"
        " postmaster must change that.",
    ),
    Refusal(
        "blocklist", _ANYBODY, (),
        r"spamhaus|spamcop|barracuda ?(?:central|networks|reputation)|sorbs\.net|uceprotect|abusix|mailspike|"
        r"invaluement|psbl|spamrats|dnsbl|rbl\b|block ?list|black ?list|deny ?list",
        "The sending server's address is on a blocklist: look it up (the reply has the link or the name), "
        "stop what put it there, and ask for its removal.",
    ),
    Refusal(
        "reputation", _ANYBODY, (),
        r"proofpoint|cloudmark|talosintelligence|senderbase|senderscore|ciscosecure",
        _REPUTATION,
    ),
    # -- anybody's words, by cause ------------------------------------------------------------------------------------
    Refusal(
        "greylisted", _ANYBODY, (),
        r"gr[ae]y-?\s?list",
        _GREYLISTED,
    ),
    Refusal("ptr", _ANYBODY, ("5.7.25",), r"", _PTR),
    Refusal(
        "ptr", _ANYBODY, (),
        r"\bptr\b|reverse (?:dns|hostname|lookup|record)|\brdns\b|"
        r"cannot find your (?:reverse )?host ?name|fcrdns",
        _PTR,
    ),
    Refusal(
        "helo", _ANYBODY, (),
        r"\b(?:helo|ehlo)\b.*(?:reject|invalid|not|fail|mismatch)",
        "The receiving server does not like the name this server calls itself: set it to a full host name "
        "that points to its address.",
    ),
    Refusal("dmarc", _ANYBODY, (), r"\bdmarc\b", _DMARC),
    Refusal("spf", _ANYBODY, ("5.7.23",), r"", _SPF),
    Refusal("spf", _ANYBODY, (), r"\bspf\b|sender policy framework", _SPF),
    Refusal("dkim", _ANYBODY, ("5.7.20", "5.7.21", "5.7.22"), r"", _DKIM),
    Refusal("dkim", _ANYBODY, (), r"\bdkim\b", _DKIM),
    Refusal(
        "tls-needed", _ANYBODY, (),
        r"must issue a starttls|starttls (?:is )?required|encryption (?:is )?(?:needed|required)",
        "The receiving server takes mail only over TLS: check that this server may use STARTTLS.",
    ),
    Refusal(
        "login-needed", _ANYBODY, (),
        r"authentication (?:is )?(?:required|needed)|must (?:be )?authenticat|not authenticated|smtp auth",
        "The server wants a login before it takes mail: if it is a relay of yours, give it user and password "
        "(`mailctl route`).",
    ),
    Refusal(
        "login-refused", _ANYBODY, ("5.7.8", "5.7.9"),
        r"auth|credential|password",
        "The relay refused user or password: correct them (`mailctl route`).",
    ),
    Refusal(
        "relay-denied", _ANYBODY, (),
        r"relay(?:ing)? (?:access )?(?:denied|not (?:permitted|allowed))|unable to relay|not (?:a|"
        r"an) (?:open )?relay",
        "The receiving server does not feel responsible for the recipient's domain: its MX record points to "
        "the wrong server, or the domain was not set up there.",
    ),
    Refusal(
        "null-mx", _ANYBODY, ("5.1.10", "5.7.27"),
        r"null ?mx",
        "The domain says it takes or sends no mail at all.",
    ),
    Refusal("unknown-mailbox", _ANYBODY, ("5.1.1", "5.1.0", "5.1.6", "5.1.10"), r"", _UNKNOWN),
    Refusal("full", _ANYBODY, ("5.2.2", "4.2.2"), r"", _FULL),
    Refusal(
        "full", _ANYBODY, (),
        r"over ?quota|mailbox (?:is )?full|quota exceeded|insufficient (?:mailbox )?storage|"
        r"exceeded (?:storage|mailbox) allocation",
        _FULL,
    ),
    Refusal(
        "unknown-mailbox", _ANYBODY, (),
        r"user unknown|unknown (?:user|recipient|mailbox)|no such (?:user|recipient|mailbox|address|"
        r"person)|(?:user|mailbox|recipient|account|address) (?:does not exist|doesn't exist|not found|"
        r"unavailable|unknown)|invalid (?:recipient|mailbox)",
        _UNKNOWN,
    ),
    Refusal(
        "disabled", _ANYBODY, ("5.2.1",),
        r"",
        "The recipient's mailbox is switched off: reach the recipient another way.",
    ),
    Refusal(
        "no-domain", _ANYBODY, ("5.1.2", "5.4.4"),
        r"",
        "The recipient's domain does not exist or has no mail server: check the part behind the @ for a "
        "spelling mistake.",
    ),
    Refusal(
        "sender", _ANYBODY, ("5.1.7", "5.1.8"),
        r"",
        "The receiving server does not accept the sender's address: check that the sending domain has MX or A"
        " records and the address exists.",
    ),
    Refusal("too-large", _ANYBODY, ("5.2.3", "5.3.4"), r"", _TOO_LARGE),
    Refusal("too-large", _ANYBODY, (), r"(?:message|size).{0,40}(?:too (?:large|big)|exceeds)", _TOO_LARGE),
    Refusal(
        "loop", _ANYBODY, ("5.4.6", "5.4.14"),
        r"",
        "The mail goes round in circles: two forwards or a wrong MX record point to each other.",
    ),
    Refusal(
        "loop", _ANYBODY, (),
        r"mail loop|loops back|too many hops|hop count",
        "The mail goes round in circles: two forwards or a wrong MX record point to each other.",
    ),
    Refusal(
        "smtputf8", _ANYBODY, ("5.6.7",),
        r"",
        "The receiving server cannot handle addresses that are not ASCII: use an ASCII address of the "
        "recipient or the sender.",
    ),
    Refusal(
        "too-many", _ANYBODY, ("4.5.3", "5.5.3"),
        r"",
        "Too many recipients in one delivery for the receiving server; the rest is sent in further ones.",
    ),
    Refusal(
        "content", _ANYBODY, (),
        r"\bspam\b|virus(?! ?(?:scan|check|filter))|malware|phish|content (?:rejected|not allowed)|junk",
        _CONTENT,
    ),
    Refusal("reputation", _ANYBODY, (), r"reputation", _REPUTATION),
    Refusal(
        "slow-down", _ANYBODY, (),
        r"rate.?limit|too (?:many|much) (?:connections|messages|mail)|throttl",
        _SLOW,
    ),
    Refusal(
        "policy-for-now", _ANYBODY, ("4.7.0", "4.7.1"),
        r"",
        "The receiving server does not take this for now, by a rule of its own (often greylisting, or too much "
        "mail at once); it is tried again by itself.",
    ),
    Refusal(
        "policy", _ANYBODY, ("5.7.0", "5.7.1"),
        r"",
        "The receiving server refuses this by a rule of its own: its words above, and its postmaster, can say"
        " which.",
    ),
)  # fmt: skip

_ROWS = tuple((row, frozenset(row.codes), re.compile(row.words, re.IGNORECASE)) for row in REFUSALS)


def remedy(reply: str, host: str = "") -> Remedy | None:
    """What a peer's reply means, if it is a well-known one. `host` is the name of the peer as we looked it up.

    `reply` may have several lines, each with its code, as the peer sent them.
    """
    reply = reply[:_LOOKED_AT]
    codes = frozenset(_STATUS.findall(reply))
    text = " ".join(_LINE_START.sub("", reply).split())
    host = host.lower().rstrip(".")
    for row, wanted, words in _ROWS:
        if row.hosts and not any(host == end or host.endswith("." + end) for end in row.hosts):
            continue
        if wanted and not wanted & codes:
            continue
        if words.search(text):
            return Remedy(row.name, row.sentence)
    return None
