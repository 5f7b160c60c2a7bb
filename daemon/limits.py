"""Every ceiling of the server: value, unit, source and what it guards against.

A limit that an administrator may want otherwise is a setting in `config.py` whose default stands here; the rest are
constants of the design. Nothing a peer sends is used before it was compared with one of these.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class Limits:
    # -- SMTP ---------------------------------------------------------------------------------------------------------
    smtp_command_line: int = 4 * KIB  # octets; RFC 5321 §4.5.3.1.4 asks for 512, ESMTP parameters need more
    smtp_auth_line: int = 12288  # octets; RFC 4954 §4: base64 responses of this length must be accepted
    smtp_address: int = 1000  # octets of one path; RFC 5321 §4.5.3.1.3 asks for 256, Mailman's VERP goes beyond
    smtp_recipients: int = 1000  # per message; RFC 5321 §4.5.3.1.8 asks for 100; beyond: 452 4.5.3
    smtp_recipients_unknown: int = 20  # unknown recipients per connection before 421: address harvesting
    smtp_errors: int = 20  # bad commands per connection before 421
    smtp_idle_commands: int = 100  # that bring no mail nearer (NOOP, RSET, EHLO...) between two messages before 421
    smtp_messages: int = 1000  # per connection before 421, so that one peer does not hold a place for ever
    smtp_auth_failures: int = 3  # per connection before 421
    smtp_hops: int = 50  # Received fields; RFC 5321 §6.3 asks for at least 100 as limit of patience, loops end earlier
    smtp_command_patience: int = 300  # seconds; RFC 5321 §4.5.3.2.7
    smtp_data_patience: int = 180  # seconds without an octet in DATA; RFC 5321 §4.5.3.2.5
    smtp_data_rate: int = 128  # octets a second a body must keep up over a minute: slow senders hold spool and place
    smtp_session: int = 3600  # seconds; a session that goes on longer gets 421 between two messages
    smtp_drain: int = 64 * MIB  # octets of a message over its limit read on, so that its sender hears 552
    smtp_skipped: int = 1 * MIB  # octets of a command line over its limit read on before the connection ends
    smtp_accept_patience: int = 240  # seconds from the dot to our answer: a sender waits 600 (RFC 5321 §4.5.3.2.6)
    message_size: int = 50 * MIB  # octets; setting limits.message_size
    parse_inline: int = 256 * KIB  # octets of a message parsed on the event loop; longer ones in a thread
    spool_memory: int = MIB + 64 * KIB  # octets of a body (1 MiB and its header) held in memory; beyond, a spool file

    # -- message structure --------------------------------------------------------------------------------------------
    header_bytes: int = 1 * MIB  # octets of a header block looked at; the rest is body to the scanner
    header_fields: int = 1000  # fields looked at (Dovecot CVE-2024-23185)
    addresses: int = 200  # addresses parsed in one field (Dovecot CVE-2024-23184)
    parameters: int = 100  # parameters of one Content-Type (CVE-2026-27859)
    mime_depth: int = 50  # nested parts; deeper is opaque (CVE-2020-12100)
    mime_parts: int = 1000  # parts in all; more are part of the last
    mime_search: int = 256 * MIB  # octets searched for boundaries, nested parts again for each level: < 1 s
    encoded_words: int = 500  # RFC 2047 words decoded in one field
    field_value: int = 64 * KIB  # octets of one field's value decoded for ENVELOPE and display
    structure_values: int = 512 * KIB  # octets of field values told in one ENVELOPE and BODYSTRUCTURE, inner mail too
    thread_emails: int = 500  # messages of one conversation; the next begins another: each is looked at as a whole
    thread_keys: int = 20  # of the ids that a message answers, the nearest: those its conversation is looked for by
    references: int = 100  # message ids kept of one References field: the first and the last of them
    notice_original: int = 256 * KIB  # octets of mail a bounce returns whole; of more the header (RFC 3461 §4.3)
    preview: int = 200  # characters of readable text shown before a message is opened
    snippet: int = 255  # octets of a text shown around what was found; RFC 8621 §5
    search_text: int = 1 * MIB  # characters of decoded text of one message that SEARCH BODY looks at
    fulltext_terms: int = 20_000  # distinct terms of one text; one with more is a candidate of every search
    fulltext_block: int = 4096  # messages of one block of the full-text index; their numbers take two octets there
    fulltext_weight: int = 2_000_000  # octets or so of one block while it is made: 4096 long messages are no more
    fulltext_part: int = 64 * KIB  # octets of one piece of a block, that a search reads and a transaction writes
    fulltext_tail: int = 64  # messages of an account that a search reads itself before they are worth a block
    fulltext_batch: int = 16  # messages read for the index at once: others go between
    fulltext_round: int = 30  # seconds between two looks for messages to index; new ones are told at once
    fulltext_ghosts: int = 3600  # seconds between two looks for what the index still has of messages that are gone

    # -- the words of a message, for the filter -----------------------------------------------------------------------
    spam_text: int = 64 * KIB  # octets of text of one message read for its words: hostile mail is as cheap as long mail
    spam_tokens: int = 2000  # distinct tokens of one message
    spam_token: int = 64  # octets of one; trap D8: a token of 32 KB was too large for a table
    spam_tags: int = 2000  # HTML elements looked at
    spam_links: int = 200  # links looked at: 100,000 in one message cost no more
    links: int = 2000  # links of one text looked at for their hosts
    link_text: int = 256 * KIB  # octets of text of one message read for links
    link_hosts: int = 20  # hosts of one message that lists are asked about
    spam_subject: int = 500  # characters of a Subject
    spam_hops: int = 20  # Received fields looked at

    # -- IMAP ---------------------------------------------------------------------------------------------------------
    imap_line_before_login: int = 8 * KIB  # octets of a line (CVE-2026-27857: memory held per unfinished line)
    imap_line: int = 64 * KIB  # octets of a line after login; RFC 7162 §4 asks for 8192
    imap_literal_before_login: int = 16 * KIB  # octets, AUTHENTICATE and LOGIN only (CVE-2025-61600)
    imap_literal: int = 64 * KIB  # octets of a literal that is not a message
    imap_command: int = 256 * KIB  # octets of one command with its literals, messages aside
    imap_skip: int = 1 * MIB  # octets of a refused command thrown away to stay in step with the client; beyond: BYE
    imap_arguments: int = 5000  # tokens in one command
    imap_nesting: int = 50  # open parentheses
    imap_set_ranges: int = 10_000  # ranges in one sequence set
    imap_fetch_items: int = 200  # of one FETCH: each is looked for in every message
    imap_field_names: int = 200  # in one HEADER.FIELDS: each is tried on every line of a header
    imap_list_patterns: int = 50  # patterns in one LIST (RFC 5258): each is tried on every mailbox
    imap_keywords: int = 64  # keywords on one message
    imap_keyword_name: int = 128  # octets
    imap_mailbox_name: int = 1000  # octets in UTF-8
    imap_mailbox_depth: int = 32  # levels of hierarchy
    imap_mailboxes: int = 10_000  # per account
    metadata_name: int = 256  # octets of an entry's name (RFC 5464)
    metadata_value: int = 32 * KIB  # octets of one value; RFC 5464 §4.1 asks for 1,024
    metadata_entries: int = 100  # of one mailbox, or of the server for one user; RFC 5464 §4.1 asks for 10
    metadata_total: int = 5000  # entries that a user has with all his mailboxes
    metadata_storage: int = 1 * MIB  # octets of their names and values
    metadata_listed: int = 10  # entries asked for in one LIST (RFC 9590): each is told of every mailbox
    imap_kept_messages: int = 1_000_000  # messages of mailboxes that nobody has open, kept in memory at 8 octets each
    imap_failed_logins: int = 3  # per connection before BYE
    imap_errors: int = 50  # BAD answers in a row before BYE
    imap_patience_before_login: int = 180  # seconds without a whole command
    imap_patience: int = 1800  # seconds; RFC 3501 §5.4: at least 30 minutes
    imap_idle_keepalive: int = 120  # seconds between "* OK Still here": NAT tables forget after this (traps I18)

    # -- POP3 ---------------------------------------------------------------------------------------------------------
    pop3_line: int = 1 * KIB  # octets; RFC 2449 §4 asks for 255
    pop3_auth_line: int = 12288  # octets; RFC 5034 §4
    pop3_errors: int = 20  # -ERR in a row before goodbye
    pop3_failed_logins: int = 3  # per connection before goodbye
    pop3_ahead: int = 64  # messages read ahead for a client that takes them in order
    pop3_ahead_bytes: int = 512 * KIB  # octets of them
    pop3_patience_before_login: int = 60  # seconds
    pop3_patience: int = 600  # seconds; RFC 1939 §3: at least 10 minutes

    # -- ManageSieve --------------------------------------------------------------------------------------------------
    managesieve_line_before_login: int = 8 * KIB  # octets of a command without its literals
    managesieve_line: int = 16 * KIB  # the same after login; RFC 5804 §4 has 1024 for a quoted string, of which two go
    managesieve_literal_before_login: int = 16 * KIB  # octets of a literal: AUTHENTICATE has the longest
    managesieve_skip: int = 4 * MIB  # octets of refused literals thrown away to stay in step; beyond: BYE
    managesieve_errors: int = 20  # NO in a row before BYE
    managesieve_failed_logins: int = 3  # per connection before BYE
    managesieve_patience_before_login: int = 60  # seconds without a whole command
    managesieve_patience: int = 1800  # seconds; RFC 5804 §1.2: at least 30 minutes

    # -- doors --------------------------------------------------------------------------------------------------------
    connections: int = 20_000  # in all, all listeners
    connections_per_address: int = 100  # IPv4 address or IPv6 /64
    handshake_patience: int = 30  # seconds for TLS
    proxy_patience: int = 5  # seconds for the PROXY header
    backlog: int = 1024  # connections the system holds until we accept them
    accept_pause: float = 0.5  # seconds we accept nothing after the system ran out of file descriptors
    drain: int = 10  # seconds transactions have to finish after SIGTERM
    look: int = 1  # seconds between two looks whether another process committed, should the doorbell not have rung
    unread: int = 256 * KIB  # octets of one connection that wait unread; beyond, we stop reading
    write_patience: int = 300  # seconds a peer may take nothing of what we send
    close_patience: int = 30  # seconds a peer has for the last octets before the connection is cut
    linger: int = 2  # seconds we wait for the peer's own close after a goodbye it did not ask for
    http_patience: int = 15  # seconds for the whole head of a request, and between two requests (slowloris)
    http_line: int = 4 * KIB  # octets of a request line or a header field
    http_fields: int = 50  # header fields of a request
    http_answer: int = 60  # seconds for an answer with its writing
    http_body: int = 64 * KIB  # octets of a request's body, where nothing says otherwise
    view_html: int = 1 * MIB  # characters of HTML of one message that are shown; the rest is in its source
    view_tags: int = 50_000  # tags of it: what a browser must build
    view_depth: int = 100  # open elements: each text inside of formatting costs as many as are open
    view_attributes: int = 50  # of one tag
    view_ands: int = 50_000  # `&` in its text: the parser's time goes with their square
    view_style: int = 128 * KIB  # characters of style sheets of one message
    view_life: int = 900  # seconds that the address of a message in its frame is good for
    view_picture: int = 25 * MIB  # octets of a picture that comes with a message, as it is shown in it
    invitation: int = 256 * KIB  # characters of an invitation that is looked at
    invitation_lines: int = 5000  # lines of it
    invitation_text: int = 2000  # characters of what it says of itself
    invitations: int = 10  # events of one message that are told
    web_sessions: int = 50  # browsers one user is signed in with; beyond, the one used least lately is signed out
    web_agent: int = 200  # characters of what a browser calls itself that are kept
    web_seen: int = 60  # seconds between two notes that a session is used: no write for each request
    code: int = 64  # characters of a code looked at; recovery codes have 19
    code_failures: int = 10  # wrong codes of an authenticator in a row, before no more is looked at for a while
    code_lock: int = 900  # seconds of that while; each further wrong code doubles it
    code_lock_longest: int = 86400  # seconds of it at most: some 15 guesses a day among a million codes
    recovery_codes: int = 10  # of one user
    passkeys: int = 20  # of one user
    passkey_name: int = 100  # characters
    sign_in_patience: int = 300  # seconds from the password to the second factor
    sign_ins_used: int = 10_000  # sign-ins by passkeys remembered, so that none is used twice
    web_token: int = 64  # characters of a session's token looked at; ours have 43
    push_streams: int = 20  # streams of events and sockets of one user at a time; beyond: 429
    push_pause: float = 0.1  # seconds between two events of one stream: what changes meanwhile is told together
    push_ping_least: int = 5  # seconds between two pings, the least a client gets; RFC 8620 §7.3: not over 30
    push_ping_most: int = 3600  # seconds, the most; RFC 8620 §7.3: not under 300
    push_quiet: int = 120  # seconds without an event or ping before a comment keeps the way open (as traps I18)
    health_memory: int = 2  # seconds the answer of /healthz is shared: each costs a commit
    health_patience: int = 5  # seconds for a write and a read; beyond, all is not well
    metric_labels: int = 500  # kinds and reasons counted apart; beyond, they are one
    jmap_request: int = 10_000_000  # octets of a request; RFC 8620 §2 asks for this
    jmap_values: int = 100_000  # values of a request, arrays and objects too: to read millions would hold all others
    jmap_structure: int = 1 * MIB  # octets of a request outside of its texts: numbers of thousands of digits take long
    jmap_references: int = 16  # results referred to in one call (RFC 8620 §3.7)
    jmap_walk: int = 20_000  # elements of arrays that those are searched through; some 20 ms
    jmap_calls: int = 64  # method calls in a request; RFC 8620 §2 asks for 16
    jmap_concurrent: int = 8  # requests of one user at once; RFC 8620 §2 asks for 4
    jmap_get: int = 500  # objects told in one /get; RFC 8620 §2
    jmap_set: int = 500  # objects changed in one /set; RFC 8620 §2
    jmap_query: int = 5000  # ids told in one /query
    jmap_answer: int = 64 * MIB  # octets told in one request: 500 long texts in memory at once
    jmap_quick: int = 1000  # rows of a list looked through for one page; farther down it is found whole, and kept
    jmap_kept: int = 1_000_000  # numbers in all lists that are kept: 8 MB
    jmap_counts: int = 1000  # mailboxes whose emails are not counted twice
    jmap_filter: int = 100  # conditions of one filter
    jmap_filter_depth: int = 20  # operators inside operators
    push_subscriptions: int = 10  # of one user, for clients that are not connected
    push_in_all: int = 10_000  # subscriptions of all users that are told
    push_url: int = 2000  # characters of an address of a push service
    push_memory: int = 30 * 86400  # seconds a subscription lives at most; RFC 8620 §7.2: no less than two days
    push_codes: int = 10  # addresses of one user that are sent a code in an hour: nobody makes us knock at strangers'
    push_gather: float = 1.0  # seconds in which changes gather before a push
    push_at_once: int = 8  # pushes under way
    push_patience: int = 20  # seconds for one
    push_again: tuple[int, ...] = (60, 600, 3600)  # seconds before a push that was not taken is tried again
    push_life: int = 86400  # seconds a push service keeps it for a client that is off (TTL; RFC 8030 §5.2)
    push_proof: int = 12 * 3600  # seconds our proof is good for; RFC 8292 §2: a day at most
    owner_objects: int = 500  # objects of a type of urn:mailctl:owner set, or asked for by id, at a time
    exports: int = 2  # downloads of all mail at a time, one of a user: each has a thread
    owner_text: int = 200  # characters of a name or note a user gives
    owner_forwards: int = 20  # addresses a user sends all his mail on to
    contacts: int = 10_000  # of one user; as many that are gone are remembered
    contact_card: int = 32 * KIB  # octets of one card
    contact_addresses: int = 100  # of one card
    contact_uid: int = 255  # characters
    contact_name: int = 200  # characters of a name that is collected from a message
    app_passwords: int = 100  # of one user: each is tried in a SCRAM exchange
    password_least: int = 8  # characters of a password a user sets himself; NIST SP 800-63B
    login_queue: int = 64  # password checks waiting; beyond: try again later
    login_workers: int = 2  # threads that hash passwords
    login_failures: int = 10  # per address in `login_window` before a ban
    login_window: int = 600  # seconds
    ban: int = 900  # seconds of a temporary ban
    login_cache: int = 300  # seconds a success is remembered (as an HMAC under a key of this process)
    login_cached: int = 10_000  # successes, failing addresses and failing accounts remembered, each
    login_delay: int = 8  # seconds, the longest a password check is put off after failures
    login_delayed: int = 200  # checks put off at once; beyond: try again later
    argon2_memory: int = 19 * 1024  # KiB a hash takes; with the passes below OWASP's choice for a busy server
    argon2_passes: int = 2  # over that memory
    scram_iterations: int = 50_000  # PBKDF2 rounds; RFC 7677 §4 asks for 4096 at least, these keys lie beside argon2id
    password: int = 1 * KIB  # octets of a password looked at
    user_name: int = 512  # octets of a login name looked at

    # -- SMTP out -----------------------------------------------------------------------------------------------------
    reply_line: int = 2 * KIB  # octets of one reply line of a peer (chasquid 1.2: an endless line)
    reply_lines: int = 128  # lines of one reply
    mx_hosts: int = 20  # hosts tried for one destination
    mx_addresses: int = 8  # addresses tried for one host
    outbound_connections: int = 100  # in all; setting queue.connections
    outbound_per_destination: int = 8  # connections; a destination that bears fewer gets fewer
    outbound_messages_per_connection: int = 100  # then a session is begun anew
    outbound_idle: int = 5  # seconds an open connection waits for the next message
    connect_patience: int = 30  # seconds for all addresses of one host; RFC 5321 says nothing, TCP alone takes minutes
    connect_stagger: float = 0.3  # seconds before the next address is tried beside the first (RFC 8305 §5)
    out_greeting_patience: int = 120  # seconds; RFC 5321 §4.5.3.2.1 asks for 300, but others wait for the line
    out_command_patience: int = 300  # seconds for one reply; RFC 5321 §4.5.3.2
    out_content_patience: int = 180  # seconds without room to write content; RFC 5321 §4.5.3.2.5
    out_end_patience: int = 600  # seconds for the reply to the final dot; RFC 5321 §4.5.3.2.6
    out_piece: int = 256 * KIB  # octets of a message read and written at once
    out_recipients: int = 100  # recipients in one transaction; RFC 5321 §4.5.3.1.8: every server takes so many
    out_claimed: int = 2000  # recipients in the queue runner's hands
    out_lane: int = 200  # of those, for one destination
    out_lease: int = 600  # seconds until a claimed recipient is anybody's again; renewed while it is worked on
    out_memory: int = 10_000  # hosts whose faults (TLS, BDAT) are remembered
    out_fault_memory: int = 600  # seconds a host's broken STARTTLS is remembered: not for days, and never in silence
    tlsa_records: int = 32  # TLSA records of one host; more are no promise that anybody could mean
    tls_chain: int = 10  # certificates of a peer's chain looked at; each may cost a signature for each other one
    sts_policy: int = 64 * KIB  # octets of an MTA-STS policy; RFC 8461 §3.3 suggests this
    sts_patience: int = 30  # seconds to fetch one, in all; RFC 8461 §3.3 suggests a minute, but mail waits for it
    sts_max_age: int = 31_557_600  # seconds a policy is kept at most; RFC 8461 §3.2
    sts_refresh: int = 86400  # seconds after which a policy is fetched anew (RFC 8461 §3.3: once a day)
    sts_failure: int = 300  # seconds between two tries to fetch a policy that could not be had (RFC 8461 §3.3)
    sts_policies: int = 10_000  # policies kept
    tls_results: int = 20_000  # rows for TLS reports kept of one day: many destinations, few results each
    dns_patience: int = 10  # seconds for one question with its retries
    dns_cache: int = 10_000  # answers kept
    dns_positive: int = 86400  # seconds an answer is kept at most, whatever its TTL says
    dns_negative: int = 900  # seconds "there is none" is kept at most; RFC 2308 §5 asks for one to three hours or less
    dns_failure: int = 5  # seconds a failure is kept: a storm of mail asks a broken server once
    blocklists: int = 20  # lists asked about our own addresses
    blocklist_patience: int = 5  # seconds for one list about one address: a list that is silent must not hold a check
    policy_check_patience: int = 8  # seconds for our own MTA-STS policy in a check that somebody waits for
    ns_servers: int = 8  # name servers of a zone asked themselves
    ns_patience: int = 4  # seconds for a question to one of them
    dmarc_report_targets: int = 10  # receivers of reports in a record of ours that are asked whether they agree

    # -- sender authentication ----------------------------------------------------------------------------------------
    trust_check: int = 25  # seconds for one check of a message: a net below the limits that the checks have themselves
    trust_patience: int = 30  # seconds for all checks of a message together, which run side by side
    dmarc_record: int = 4 * KIB  # octets of a TXT record read as a DMARC record; real ones have some hundred
    dmarc_walk: int = 8  # questions of one walk up the DNS; RFC 9989 §4.10
    dmarc_authors: int = 3  # domains in From that are judged one by one; RFC 9989 §11.5 wants a limit
    dmarc_identifiers: int = 10  # domains of passing signatures whose organization is looked for
    dmarc_uris: int = 10  # addresses for reports read of one record
    authres_results: int = 20  # DKIM signatures told of in Authentication-Results
    authres_value: int = 200  # characters of a stranger's word in Authentication-Results

    # -- the filter ---------------------------------------------------------------------------------------------------
    judge_patience: int = 30  # seconds for all checks of a message together; normally far below two
    judge_inline: int = 3  # recipients whose knowledge is read on the event loop; of more in a thread
    judge_learners: int = 100  # recipients of one message whose own training it is judged by; each costs milliseconds
    judge_named: int = 20  # recipients named in the trace for one verdict
    spam_reasons: int = 5  # signals told of in the header and in the trace, those that weigh most
    spam_words: int = 200  # characters of one of them
    list_patience: int = 2  # seconds for all lists of senders and links: the usual road takes no longer
    list_questions: int = 100  # questions to them about one message
    list_domains: int = 10  # domains of its sender (envelope, HELO, From, signatures) that lists are asked about
    list_failures: int = 3  # messages in a row for which a list could not be asked, before it is left alone
    list_rest: int = 300  # seconds it is left alone, and when it cannot be believed
    list_proved: int = 3600  # seconds a list is believed once it names what it must and not what it must not
    greylist_row: int = 86400  # seconds within which who was put off may try again
    greylist_memory: int = 36 * 86400  # seconds who passed is let in at once: a newsletter comes once a month
    greylist_passes: int = 3  # messages of a network that passed, before all of its mail does
    greylist_rows: int = 100_000  # tries remembered, some hundred octets each; and as many networks
    quarantine_message: int = 16 * MIB  # octets of a refused message that is kept; spam is small
    quarantine_row: int = 1 * KIB  # octets that a kept message counts beside its own: a flood of tiny ones is one, too
    quarantine_text: int = 200  # characters of a subject or a name that are listed
    quarantine_trim: int = 100  # kept messages that make room for one at most, so that no refusal takes long
    digest_rows: int = 50  # messages that one digest names
    digest_batch: int = 100  # users in one look for whom a digest is due
    digest_round: int = 60  # seconds between two looks
    rate_networks: int = 10_000  # networks whose rate is remembered, some hundred octets each
    rate_usual: float = 5.0  # messages in ten minutes that are nothing unusual for anybody

    # -- our own users ------------------------------------------------------------------------------------------------
    allowance_messages_hour: int = 200  # to other servers, of one user; setting allowance.messages_per_hour, and so on
    allowance_messages_day: int = 1000  # a person writes some dozens; a thief with a password sends thousands
    allowance_recipients_hour: int = 1000  # as many as one message may have
    allowance_recipients_day: int = 3000
    allowance_strangers_hour: int = 200  # recipients he never wrote to: all that a thief writes to are
    allowance_strangers_day: int = 500
    incident_round: int = 60  # seconds between two looks for incidents nobody was told of; a new one is told at once

    # -- certificates -------------------------------------------------------------------------------------------------
    acme_round: int = 300  # seconds between two looks whether a certificate is due
    acme_patience: int = 120  # seconds for one order, from the first word to the certificate
    acme_process: int = 600  # seconds for all orders of one round, then its process is ended
    acme_request: int = 30  # seconds for one answer of the authority
    acme_ask: int = (
        6 * 3600
    )  # seconds until an authority is asked again when to renew, if it does not say; RFC 9773 §4.3
    acme_ask_least: int = 3600  # the same, whatever it says: once an hour at most
    acme_ask_most: int = 86400  # and once a day at least
    acme_tries: int = 4  # failed orders for the same names within an hour; Let's Encrypt takes 5 an hour
    acme_same: int = 4  # certificates for the same names within a week; Let's Encrypt gives 5 a week
    acme_pause: int = 3600  # seconds until a failed order is tried again, doubled each time up to a day
    challenge: int = 3600  # seconds a challenge may wait for its authority, then it is forgotten
    next_key: int = 2 * 86400  # seconds from telling a key's TLSA to showing a certificate with it: two TTLs of a day
    policy_age: int = 31557600  # seconds our MTA-STS policy is remembered at most; RFC 8461 §3.2

    # -- reports (RFC 9990, RFC 8460) ---------------------------------------------------------------------------------
    report_packed: int = 10 * MIB  # octets of an attachment looked at
    report_size: int = 32 * MIB  # octets of its XML when it is unpacked: some seconds of reading
    tls_report_size: int = 2 * MIB  # octets of JSON when it is unpacked: it is read as a whole, thirty times as large
    report_files: int = 10  # entries of a zip archive looked at until one is a file
    report_records: int = 20_000  # records of one report, entries of one list
    report_elements: int = 1_000_000  # XML elements in all: some seconds of reading
    report_record: int = 2000  # XML elements in one record: they are held until it ends
    report_proofs: int = 100  # signatures told for one record; RFC 9990 §3.1.4
    report_count: int = 10**12  # messages in one record
    reports_kept: int = 500_000  # rows of others' reports kept in all; beyond, the oldest go
    report_look: int = 2000  # messages looked at for reports in one step
    report_round: int = 60  # seconds between two looks for reports that came; every tenth time some are sent
    report_batch: int = 100  # reports made in one round
    report_uris: int = 10  # addresses one domain may have its reports sent to
    report_files_of_mail: int = 3  # reports read out of one message
    report_post_patience: int = 30  # seconds for handing a report in over HTTPS
    hand_ins: int = 10  # reports handed in at the same time: who takes them slowly keeps few others waiting
    hand_in_pause: int = 900  # seconds to the second try, twice as many to each further one
    hand_in_end: int = 86400  # seconds after the first try at which a report is given up; RFC 8460 §5.5
    evidence_domains: int = 2000  # domains counted in one day: as many reports might be sent
    evidence_rows: int = 5000  # rows of one domain in one day
    evidence_day: int = 50_000  # rows of all domains in one day, some hundred octets each
    evidence_signatures: int = 10  # DKIM signatures told of one message: they make rows differ

    # -- administration -----------------------------------------------------------------------------------------------
    admin_threads: int = 4  # verbs of the administration page done at a time: some take long, all use the same disk
    admin_rows: int = 1000  # lines one verb of that page is asked for or works on
    admin_wait: float = 15  # seconds an answer waits for a verb; one that takes longer goes on, and is asked for again
    admin_jobs: int = 40  # verbs of that page that go on, wait, or whose end nobody asked for
    admin_job_memory: int = 3600  # seconds such an end is kept
    admin_proof: int = 600  # seconds after signing in, or the password, in which that page decides who gets in
    traffic_hours: int = 24 * 31  # hours of mail counted in one look: it reads all events of that time
    doctor_patience: int = 8  # seconds for one check of the doctor; they run side by side, an answer in 10 is promised
    # -- trust --------------------------------------------------------------------------------------------------------
    ptr_names: int = 10  # names of a connecting address looked at; RFC 7208 §4.6.4, RFC 8601 §3
    spf_terms: int = 10  # terms that ask the DNS, in all records of one check; RFC 7208 §4.6.4
    spf_voids: int = 2  # names in those terms that the DNS does not know; RFC 7208 §4.6.4
    spf_mx_names: int = 10  # MX records of one `mx` term; RFC 7208 §4.6.4
    spf_patience: int = 20  # seconds for one check; RFC 7208 §4.6.4 asks for at least 20
    spf_record: int = 16 * KIB  # octets of a record read; RFC 7208 §3.4 wants it in one UDP answer, some need more
    spf_macros: int = 64  # macros in one term, each worked out anew; no name has room for more than 127 labels
    spf_words: int = 512  # octets of a domain's own words (explanation, deciding term) passed on; a reply line's length
    # -- trust: DKIM and ARC ------------------------------------------------------------------------------------------
    dkim_signatures: int = 10  # signatures of a message checked; RFC 6376 §8.4: each costs a question and a key
    dkim_field: int = 16 * KIB  # octets of a signature field looked at; RSA-4096 and a long h= take 4 KiB
    dkim_fields: int = 400  # names in h=, each of which is looked for
    dkim_key: int = 8 * KIB  # octets of a key record looked at
    dkim_keys: int = 4  # key records at one name tried; RFC 6376 §3.6.2.2 leaves more than one undefined
    dkim_bits_least: int = 1024  # of an RSA key that is believed; RFC 8301 §3.2
    dkim_bits_most: int = 4096  # RFC 8301 §3.2 asks for up to 4096; larger ones are work that a stranger chooses
    dkim_skew: int = 300  # seconds a signer's clock may be ahead of ours, or behind
    dkim_piece: int = 256 * KIB  # octets of a body made canonical at once
    arc_sets: int = 50  # instances of a chain; RFC 8617 §4.2.1

    # -- lessons for the filter ---------------------------------------------------------------------------------------
    spam_lessons: int = (
        10_000  # messages of a class learnt for one user, some KiB each; beyond, the oldest is forgotten
    )
    spam_batch: int = 50  # lessons taken in hand at once
    spam_step: int = 3000  # tokens counted in one transaction, so that none is long
    spam_tries: int = 3  # beginnings of a lesson, each of which ended the server, before it is given up
    spam_round: int = 30  # seconds between two looks for lessons; a new one is told at once
    # -- other filters ------------------------------------------------------------------------------------------------
    filters: int = 10  # milters asked about one message
    filter_connect: int = 5  # seconds to reach one
    filter_patience: int = 30  # seconds for all of them together; what is not done then is an error
    filter_answer: int = 10  # seconds for one answer, unless the filter asks for patience; setting filter.timeout
    filter_name: int = 5  # seconds for the peer's name in the DNS, which filters are told; they have the rest of 30
    filter_edits: int = 1000  # changes of a header by one filter
    filter_recipients: int = 2000  # recipients added and taken out by one filter
    filter_words: int = 512  # characters of a filter's own words passed on; a reply line's length
    filter_symbols: int = 30  # rules told of one filter
    milter_packet: int = MIB + 64 * KIB  # octets of a packet; libmilter's largest is 1 MiB
    milter_packets: int = 10_000  # packets of one filter about one message: words for patience, a body in pieces
    milter_text: int = 8 * KIB  # octets of words in a packet
    rspamd_answer: int = 1 * MIB  # octets of JSON

    # -- attachments and viruses --------------------------------------------------------------------------------------
    file_name: int = 1000  # characters of a file name looked at, its end: names of no file system are longer
    attachments_told: int = 10  # objections to one message that are told
    archive_depth: int = 5  # archives inside one another that are opened; a tar.gz in a zip is three
    archive_entries: int = 40_000  # entries of all archives of one message looked at, one of a zip at two places
    archive_packed: int = 256 * MIB  # octets unpacked from for one message: what overlaps is read for each entry again
    archive_octets: int = 64 * MIB  # octets unpacked for one message, in a thread: some tenths of a second
    archive_ratio: int = 100  # times its size that an archive may have of what is not looked at; text has 20
    archive_header: int = 2 * MIB  # octets of the header of a 7z archive, unpacked: some ten thousand names
    archives_at_once: int = 2  # messages unpacked at the same time: each may take twice archive_octets of memory
    virus_at_once: int = 10  # messages scanned at the same time: clamd's MaxThreads
    virus_answer: int = 4 * KIB  # octets of the scanner's answer
    virus_name: int = 100  # characters of its words passed on
    drill_round: int = 3600  # seconds between two trials of the filter with the test strings
    drill_again: int = 300  # seconds until one that failed is repeated: a scanner that starts takes a minute

    # -- signing ------------------------------------------------------------------------------------------------------
    signing_keys: int = 1000  # private keys held ready to sign
    signing_round: int = 60  # seconds between two looks whether the records of new keys are in the DNS

    # -- who writes to us ---------------------------------------------------------------------------------------------
    standings: int = 200_000  # rows of reputation kept in all; beyond: the oldest go, so that no botnet fills the disk
    standing_memory: int = 180 * 86400  # seconds a reputation that nobody adds to is kept: six half-lives
    standing_word: int = 5  # messages that one user's word on a message outweighs
    correspondents_at_once: int = 50  # recipients of one message who become correspondents; more: a mailing
    correspondent_memory: int = 2 * 365 * 86400  # seconds since the user wrote to somebody last
    sent_message_memory: int = 180 * 86400  # seconds an answer to a message of ours is known as one
    sent_message_id: int = 250  # characters of a Message-ID that is remembered; RFC 5322 §2.1.1 allows 998 a line
    sender_list: int = 10_000  # entries of one list of allowed and blocked senders
    sender_names: int = 100  # names asked of the lists for one message: what a forger can pile up
    sender_labels: int = 8  # labels of a domain looked at from the right

    # -- the owner's rules (Sieve) ------------------------------------------------------------------------------------
    sieve_script: int = 256 * KIB  # characters of one script
    sieve_string: int = 64 * KIB  # characters of one string of it
    sieve_list: int = 10_000  # strings of one list
    sieve_arguments: int = 50  # of one command or test
    sieve_nodes: int = 20_000  # commands and tests of one script
    sieve_nesting: int = 32  # blocks in blocks, tests in tests; RFC 5228 §2.10.5 asks for 15
    sieve_errors: int = 20  # faults told of one script
    sieve_steps: int = 100_000  # of a script for one message: well under a second
    sieve_steps_inline: int = 5000  # of one in the writer, some 40 ms at worst; then it begins anew in a thread
    sieve_together: int = 20  # milliseconds of all scripts of one message in the writer; then all begin anew
    sieve_chain: int = 10  # users who redirect to each other, one after another, while one message is taken
    sieve_words: int = 500  # characters that the trace keeps of what a script did
    sieve_told: int = 2000  # steps of a watched run that are remembered
    sieve_actions: int = 32  # for one message
    sieve_redirects: int = 4  # of one message by one script (RFC 5228 §10)
    sieve_variable: int = 8 * KIB  # characters of a variable's value; RFC 5229 §6 asks for 4,000
    sieve_captures: int = 33  # ${0} to ${32}; RFC 5229 §3.2 asks for 9
    sieve_variables: int = 256  # of one script; RFC 5229 §6 asks for 128
    sieve_flags: int = 64  # in one list of flags
    sieve_pattern: int = 4096  # characters of a regular expression
    sieve_regex: int = 256 * KIB  # octets of memory of a compiled one
    sieve_regexes: int = 100  # of one script and those it includes
    sieve_duplicate: int = 90 * 86400  # seconds a `duplicate` is remembered at most
    vacation_longest: int = 365 * 86400  # seconds between two answers to one sender at most
    sieve_includes: int = 32  # scripts that one includes while it runs
    sieve_include_depth: int = 8  # scripts in scripts in scripts
    sieve_loops: int = 4  # foreverypart in foreverypart
    sieve_edits: int = 50  # changes of one message by one script
    sieve_scripts: int = 32  # of one user; setting sieve.scripts
    sieve_storage: int = 2 * MIB  # octets of all of them; setting sieve.storage
    sieve_script_name: int = 128  # characters; RFC 5804 §1.6 asks for 128
    sieve_globals: int = 1000  # of the administrator: some for each domain
    sieve_seen: int = 10_000  # that `duplicate` remembers for one user; beyond, the oldest are forgotten
    sieve_refusal: int = 400  # characters of a script's words for a refusal; a reply line has 512 octets
    vacation_named: int = 100  # recipients named in a message that a vacation answers: beyond, it is a mailing
    vacation_subject: int = 500  # characters of the subject of an answer or a notice
    vacation_references: int = 20  # message ids of an answer's References
    vacation_answers: int = 10_000  # senders whom one user's vacation remembers; beyond, nobody new is answered
    sieve_programs: int = 2 * MIB  # characters of scripts that are held ready, compiled: some ten times that in memory
    sieve_complaints: int = 100  # faults of global scripts that are logged once, before all are forgotten
    sieve_quick: int = 2  # milliseconds of a run in the writer; a script that took longer is run in a thread
    sieve_slow: int = 60  # seconds after which such a script is tried there again
    sieve_inline: int = 32 * KIB  # characters of a script compiled in the writer; longer ones in a thread
    sieve_versions: int = 100 * MIB  # octets of changed messages that the actions of one script hold
    sieve_changed: int = 100 * MIB  # octets of those of all its recipients; beyond, the next get it as it came
    sieve_again: int = 100  # messages in mailboxes that scripts change in one transaction
    sieve_again_slice: int = 20  # milliseconds of a reader thread that scripts take before others have their turn
    sieve_again_all: int = 300  # seconds of the processor that scripts take for one command of IMAP
    sieve_digits: int = 40  # of a number in a text: beyond, one is as large as the other

    # -- what users write over JMAP -----------------------------------------------------------------------------------
    compose_addresses: int = 20_000  # in one field of a draft; header_bytes ends it before
    compose_name: int = 500  # characters of a display name in a draft
    compose_ids: int = 200  # message ids, or URLs, of one field of a draft
    compose_fields: int = 100  # fields of one name that one property of a draft makes
    email_patch: int = 2200  # things that a patch of a message says: twice all mailboxes and keywords it can have
    email_mailboxes: int = 1000  # mailboxes that one message is in
    uploads_at_once: int = 4  # of one user
    uploads: int = 1000  # of one user that wait to be used
    uploads_storage: int = 500 * MIB  # octets of them
    upload_memory: int = 86400  # seconds an upload waits to be used; RFC 8620 §6 asks for an hour
    upload_kept: int = 3600  # seconds in which it does not make room for another one; RFC 8620 §6
    upload_patience: int = 60  # seconds in which an upload brings an octet at least
    upload_time: int = 3600  # seconds for a whole one
    identities: int = 100  # of one user
    identity_text: int = 64 * KIB  # characters of a signature
    submissions: int = 1000  # messages of one user that wait for their time
    submission_delay: int = 365 * 86400  # seconds a message may wait for its time at most; RFC 4865 §5
    submission_memory: int = 90 * 86400  # seconds a submission that is over is listed
    submission_batch: int = 20  # messages that go at their time in one round
    submission_rest: int = 60  # seconds until one that could not go for now is tried again
    blob_sources: int = 64  # pieces one Blob/upload is made of; RFC 9404 §3 asks for 64
    blob_depth: int = 8  # messages inside of messages, of which a part's blob is asked for: each is read anew
    blob_made: int = 5 * MIB  # octets of a blob made by Blob/upload, and of one told by Blob/get
    blob_read: int = 256 * MIB  # octets read for one Blob/get: digests of 500 long files would take a core for minutes

    # -- store --------------------------------------------------------------------------------------------------------
    segment: int = 256 * MIB  # octets at which a segment is sealed
    write_group: int = 200  # pieces in one commit
    busy: int = 10_000  # milliseconds a writer waits for another process
    step: int = 500  # rows in one small step of a long work, so that no transaction is long
    reserve: int = 512 * MIB  # octets of free disk below which new mail gets 452; setting store.reserve
    refusals_per_hour: int = 10_000  # rows of refused strangers kept for one hour, beyond: one row of sums
    blob_grace: int = 3600  # seconds between the last reference and the end of the bytes: longer than any open view
    refusals: int = 100_000  # rows of refused strangers kept in all, beyond: the oldest go
    tombstones: int = 50_000  # expunges of a mailbox remembered at least; clients away for longer compare all UIDs
    compact_step: int = 1 * MIB  # octets of live messages moved in one step of the compaction
    house_round: int = 60  # seconds between two rounds of the janitor
    good_address: int = 90 * 86400  # seconds an address from which a user logged in is remembered


LIMITS = Limits()
NAMES = tuple(f.name for f in fields(Limits))
