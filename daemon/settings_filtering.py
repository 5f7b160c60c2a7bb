"""The settings of how mail is judged: proofs, score, other filters, viruses, attachments, and the quarantine.

Rows of the table in `config`, which everybody reads.
"""

from __future__ import annotations

from daemon.limits import LIMITS
from daemon.setting_types import Setting

FILTERING = (
    Setting(
        "trust.check",
        "yes/no",
        "yes",
        "Mail from other servers is checked when it comes: SPF, DKIM, DMARC, ARC and the peer's name, told in"
        " Authentication-Results.",
    ),
    Setting(
        "trust.dmarc",
        "enforce/report",
        "enforce",
        "What comes of a DMARC failure: the policy of the domain in From (refuse, or Junk), or a word in the header.",
    ),
    Setting(
        "trust.arc_sealers",
        "names",
        "",
        "Forwarders and mailing lists whose ARC seal excuses a DMARC failure: the d= of the last seal.",
    ),
    Setting(
        "spam.check",
        "yes/no",
        "yes",
        "Mail from other servers gets a score, and what looks like spam goes to Junk. What is asked in the DNS needs"
        " trust.check too.",
    ),
    Setting(
        "spam.blocklists",
        "names",
        "zen.spamhaus.org bl.spamcop.net psbl.surriel.com bl.mailspike.net",
        "Lists in the DNS that are asked about the address of whoever hands mail in. All of the default are free for"
        " small sites, if dns.servers is a resolver of your own; empty: none.",
    ),
    Setting(
        "spam.domain_lists",
        "names",
        "dbl.spamhaus.org",
        "Lists in the DNS that are asked about the domains that sent a message: of its envelope, of HELO, of From, of"
        " its signatures; empty: none.",
    ),
    Setting(
        "spam.link_lists",
        "names",
        "dbl.spamhaus.org multi.surbl.org multi.uribl.com",
        "Lists in the DNS that are asked about the hosts that the links of a message lead to; empty: none.",
    ),
    Setting(
        "spam.welcome_lists",
        "names",
        "list.dnswl.org",
        "Lists in the DNS of the addresses of good senders, which have points taken off; empty: none.",
    ),
    Setting(
        "spam.welcome_domains",
        "names",
        "dwl.dnswl.org",
        "Lists in the DNS of the domains of good senders, which are asked about the domains whose DKIM signature proves"
        " that they sent a message; empty: none.",
    ),
    Setting("spam.junk", "points", "5.0", "The score from which on a message goes to Junk.", "points"),
    Setting(
        "spam.refuse",
        "points",
        "15.0",
        "The score from which on a message is refused, if it has that for all its recipients; 0: never.",
        "points",
    ),
    Setting(
        "spam.doubt",
        "points",
        "3.0",
        "The score from which on a message of a stranger is put off for some minutes, when spam.greylist is on.",
        "points",
    ),
    Setting(
        "spam.greylist",
        "yes/no",
        "yes",
        "Strangers whose mail is in doubt are told to try again, as real servers do; `no`: no mail is ever delayed.",
    ),
    Setting(
        "spam.greylist_delay",
        "span",
        "5m",
        "How long a stranger who was told to try again must wait; most servers come back after some minutes.",
        "span",
    ),
    Setting(
        "filter.milters",
        "milters",
        "",
        "Other filters that are shown mail before it is accepted, in this order, each with the changes of those"
        " before: unix:/PATH, inet:HOST:PORT or inet6:[ADDRESS]:PORT.",
    ),
    Setting(
        "filter.rspamd",
        "http",
        "",
        "An rspamd that is asked by its own protocol, before the milters: http://HOST:PORT or unix:/PATH; empty: none.",
    ),
    Setting("filter.rspamd_password", "path", "", "File with the password that it wants; empty: none.", "file"),
    Setting(
        "filter.on_error",
        "accept-tagged/defer",
        "accept-tagged",
        "What comes of mail that a filter of these could not be asked about: it is taken with a header field that says"
        " so, or its sender tries again.",
    ),
    Setting(
        "filter.timeout",
        "answer time",
        f"{LIMITS.filter_answer}s",
        f"How long such a filter may take for one answer; all of them have {LIMITS.filter_patience}s together.",
        "span",
    ),
    Setting("filter.outgoing", "yes/no", "no", "They are shown what our users hand in, too, so that they can sign it."),
    Setting(
        "virus.scanner",
        "scanner",
        "",
        "ClamAV's clamd, which is shown mail before it is accepted: unix:/PATH or HOST:PORT; empty: none.",
    ),
    Setting(
        "virus.on_error",
        "defer/deliver",
        "defer",
        "What comes of mail that it could not look at for now: its sender tries again, or it is delivered with a header"
        " field that says so.",
    ),
    Setting("virus.timeout", "answer time", "20s", "How long it may take for one message.", "span"),
    Setting(
        "virus.size",
        "size",
        "25M",
        "The largest message that it is shown, its StreamMaxLength; a larger one is delivered with a header field that"
        " says so.",
        "octets",
    ),
    Setting(
        "virus.outgoing",
        "yes/no",
        "yes",
        "What our users hand in, or put into a mailbox with a mail program, is shown to it, too, and refused when it is"
        " infected: their machine or password may be in other hands.",
    ),
    Setting(
        "attachments.action",
        "refuse/junk/accept",
        "refuse",
        "What comes of mail from other servers with programs and scripts attached, openly, disguised or in an archive;"
        " `accept`: nobody looks.",
    ),
    Setting(
        "attachments.blocked",
        "extensions",
        "ade adp apk appinstaller application appref-ms appx appxbundle bat cab chm cmd com command cpl diagcab"
        " diagcfg diagpkg dll dmg exe gadget hlp hta img inf ins iqy iso isp jar jnlp js jse lib library-ms lnk mde"
        " mjs msc msh msi msix msixbundle msp mst nsh ocx one onepkg oqy pif ps1 ps1xml ps2 psc1 psm1 pyz pyzw rdp reg"
        " rqy scf scr sct search-ms searchconnector-ms settingcontent-ms shb shs slk sys url vb vbe vbs vhd vhdx vxd"
        " website wim wll ws wsc wsf wsh xbap xll xnk",
        "The ends of names by which programs and scripts are known, without dots, space separated.",
    ),
    Setting(
        "attachments.macros",
        "refuse/junk/accept",
        "junk",
        "What comes of mail from other servers with office documents that hold macros, or with pages and SVG pictures"
        " whose scripts make files.",
    ),
    Setting(
        "attachments.closed",
        "refuse/junk/accept",
        "accept",
        "What comes of mail from other servers with archives that nobody can look into: encrypted and broken ones, and"
        " kinds that are not known.",
    ),
    Setting(
        "quarantine.keep",
        "span",
        "14d",
        "How long mail that the filter refused is kept, and what it put into Junk is listed; 0s: nothing is.",
        "span",
    ),
    Setting(
        "quarantine.user_limit",
        "size",
        "64M",
        "How much refused mail is kept for one user; the oldest goes first.",
        "octets",
    ),
    Setting("quarantine.limit", "size", "1G", "How much refused mail is kept in all; the oldest goes first.", "octets"),
    Setting(
        "quarantine.forged",
        "yes/no",
        "no",
        "Mail that is refused since the policy of its domain asks for that (DMARC) is kept too.",
    ),
    Setting(
        "quarantine.digest",
        "yes/no",
        "yes",
        "Users are told once a day of what was kept from their INBOX since, with links to release it.",
    ),
    Setting("quarantine.digest_hour", "hour", "7", "The hour of the day, by the server's clock, of digests.", "hour"),
    Setting(
        "quarantine.admin_digest",
        "address",
        "",
        "The address that is told once a day of what was kept from anybody's INBOX; empty: nobody is.",
    ),
)
