-- The truth that mailctl and the daemon share.
--
-- Times are UTC in milliseconds since 1970 (columns named *_at), sizes are octets. Domain names are lower-case A-labels.
-- A local part is stored as it was written (`local`) and matched by its key (`local_key`: NFC, case folded).
-- Identities that anything outside may remember (ids, UIDs, UIDVALIDITY, MODSEQ) are never used twice.

-- One row: numbers that only grow.
create table counter (
  name text primary key,
  value integer not null
) without rowid;
insert into counter (name, value) values ('uidvalidity', 0);
insert into counter (name, value) values ('srs-key', random());  -- a secret: who knows it can make us forward (SRS)

-- ---------------------------------------------------------------------------------------------------- who and where

create table domain (
  id integer primary key autoincrement,
  name text not null unique,
  alias_of integer references domain (id),       -- an alias domain: every address here is the same one there
  separators text not null default '+',          -- characters that begin a subaddress (RFC 5233)
  enabled integer not null default 1,
  max_users integer,                             -- null: no limit
  created_at integer not null
);

create table account (
  id integer primary key autoincrement,
  domain_id integer not null references domain (id),
  local text not null,
  local_key text not null,
  display_name text not null default '',
  enabled integer not null default 1,
  admin integer not null default 0,
  password_hash text,                            -- argon2id (or an imported scheme, rehashed at the next login)
  scram_salt blob,                               -- shared by all of this user's credentials, so that SCRAM can try each
  scram_iterations integer,
  stored_key blob,                               -- SCRAM-SHA-256 StoredKey and ServerKey (RFC 5802 section 3)
  server_key blob,
  credential_version integer not null default 1, -- grows with every change of any credential: caches compare it
  quota integer,                                 -- octets; null: the setting limits.quota
  used integer not null default 0,               -- sum of email.size
  messages integer not null default 0,           -- number of email rows
  modseq integer not null default 1,             -- the one sequence of changes, for IMAP and JMAP alike (RFC 7162)
  forward_keep integer not null default 1,       -- with forwards: keep a copy here
  created_at integer not null,
  last_login_at integer,
  unique (domain_id, local_key)
);

create table app_password (
  id integer primary key autoincrement,
  account_id integer not null references account (id) on delete cascade,
  name text not null,
  sha256 blob not null unique,                   -- of the password: long and random, so no slow hash is needed
  stored_key blob not null,
  server_key blob not null,
  scopes text not null default '',               -- space separated: imap pop3 smtp; empty: all
  created_at integer not null,
  expires_at integer,
  last_used_at integer,
  last_used_from text,
  unique (account_id, name)
);

create table alias (
  id integer primary key autoincrement,
  domain_id integer not null references domain (id),
  local text not null,                           -- '*': the domain's catch-all
  local_key text not null,
  enabled integer not null default 1,
  note text not null default '',
  created_at integer not null,
  expires_at integer,
  unique (domain_id, local_key)
);

create table alias_target (
  alias_id integer not null references alias (id) on delete cascade,
  address text not null,                         -- local or external
  primary key (alias_id, address)
) without rowid;

-- Mail for this user goes on to these external addresses.
create table forward (
  id integer primary key autoincrement,
  account_id integer not null references account (id) on delete cascade,
  address text not null,
  enabled integer not null default 1,
  created_at integer not null,
  unique (account_id, address)
);

-- Smart hosts. The most telling match wins: sender, then recipient domain, then the default.
create table route (
  id integer primary key autoincrement,
  kind text not null check (kind in ('sender', 'recipient', 'default')),
  pattern text not null,                         -- address or domain; '*' for the default
  host text not null,
  port integer not null,
  tls text not null default 'opportunistic' check (tls in ('none', 'opportunistic', 'starttls', 'implicit')),
  username text,
  password text,                                 -- needed in clear to log in elsewhere; never shown
  created_at integer not null,
  unique (kind, pattern)
);

create table certificate (
  id integer primary key autoincrement,
  names text not null,                           -- space separated DNS names, first is the subject
  chain text not null,                           -- PEM
  private_key text not null,                     -- PEM
  source text not null check (source in ('self-signed', 'imported', 'acme')),
  not_before_at integer not null,
  not_after_at integer not null,
  created_at integer not null
);

create table setting (
  key text primary key,
  value text not null
) without rowid;

create table setting_history (
  id integer primary key autoincrement,
  at integer not null,
  key text not null,
  old text,                                      -- null: was the default
  new text,                                      -- null: the default again
  who text not null
);

-- Addresses that may not talk to us for a while.
create table ban (
  network text primary key,                      -- IPv4 address, IPv6 /64, or a network in CIDR
  reason text not null,
  created_at integer not null,
  until_at integer                               -- null: until removed
) without rowid;

-- From where each user logged in with success: that address is never banned for a forgotten device.
create table good_address (
  account_id integer not null references account (id) on delete cascade,
  network text not null,
  at integer not null,
  primary key (account_id, network)
) without rowid;

-- ------------------------------------------------------------------------------------------------------------- bytes

-- A file of records: length, SHA-256, bytes. Only appended to; sealed when full; removed when rewritten.
create table segment (
  id integer primary key autoincrement,
  sealed integer not null default 0,
  size integer not null default 0,               -- octets known to be good; a tail beyond is what a crash left
  dead integer not null default 0                -- octets of records that no row points to: the compaction goes by it
);

create table blob (
  id integer primary key autoincrement,
  sha256 blob not null unique,
  segment_id integer not null references segment (id),
  offset integer not null,                       -- of the bytes, past the record's head
  length integer not null,
  refs integer not null,                         -- email rows and queue_message rows that point here
  freed_at integer                               -- when refs became 0; the bytes stay for a grace
);
create index blob_freed on blob (freed_at) where freed_at is not null;
create index blob_segment on blob (segment_id);

-- What was read out of a message once, at delivery, shared by all who have it. FETCH never parses.
create table content (
  blob_id integer primary key references blob (id) on delete cascade,
  envelope blob not null,                        -- ENVELOPE as IMAP says it (RFC 3501 section 7.4.2)
  bodystructure blob not null,                   -- BODYSTRUCTURE with extension data
  body blob not null,                            -- BODY without
  parts blob not null,                           -- the MIME tree as offsets into the bytes (daemon/mail/message.py)
  message_id text,
  reference_ids text not null default '',        -- In-Reply-To and References, space separated
  base_subject text not null default '',         -- RFC 5256 section 2.1
  subject text not null default '',
  from_text text not null default '',            -- decoded, lower case: what SEARCH looks in
  to_text text not null default '',
  cc_text text not null default '',
  bcc_text text not null default '',
  sent_at integer,                               -- the Date field
  sent_day integer,                              -- its day as written, whatever the zone, since 1970 (SENTON)
  preview text not null default '',
  has_attachment integer not null default 0
);

-- --------------------------------------------------------------------------------------------------------- mailboxes

create table mailbox (
  id integer primary key autoincrement,
  account_id integer not null references account (id),
  name text not null,                            -- whole path, levels divided by '/'; INBOX in this spelling
  special_use text,                              -- '\Sent' and so on (RFC 6154)
  subscribed integer not null default 1,
  uidvalidity integer not null,
  uidnext integer not null default 1,
  modseq integer not null,                       -- highest of its memberships and tombstones
  created_modseq integer not null,
  recent_from integer not null default 1,        -- UIDs from here on are \Recent to the next one who selects
  total integer not null default 0,
  unseen integer not null default 0,
  deleted integer not null default 0,            -- with \Deleted
  size integer not null default 0,
  tombstone_floor integer not null default 0,    -- expunges at or below this MODSEQ are forgotten
  unique (account_id, name)
);

-- Names that are subscribed but do not exist (RFC 3501 section 6.3.6 keeps them).
create table subscription (
  account_id integer not null references account (id) on delete cascade,
  name text not null,
  primary key (account_id, name)
) without rowid;

create table mailbox_tombstone (
  account_id integer not null references account (id) on delete cascade,
  mailbox_id integer not null,
  modseq integer not null,
  primary key (account_id, mailbox_id)
) without rowid;

-- A message is an account's, and goes with its last membership. What we add on delivery is a prefix; the message shown is prefix + bytes of the blob.
create table email (
  id integer primary key autoincrement,
  account_id integer not null references account (id),
  blob_id integer not null references blob (id),
  prefix blob not null,
  size integer not null,                         -- length of prefix + blob
  received_at integer not null,                  -- INTERNALDATE
  trace text,                                    -- the road it came by
  created_modseq integer not null
);
create index email_account on email (account_id, id);
create index email_blob on email (blob_id);

-- A set of keywords, told once. Set 0 is the empty one.
create table keyword_set (
  id integer primary key,
  names text not null unique                     -- sorted, space separated
);
insert into keyword_set (id, names) values (0, '');

-- A membership is a mailbox's. What it points to is not declared: commands write these rows by the ten thousand, from rows
-- that are there, and a look-up of three parents for each is a fifth of their time. `store.check` proves it.
create table membership (
  mailbox_id integer not null,                   -- mailbox
  uid integer not null,
  email_id integer not null,                     -- email
  flags integer not null default 0,              -- 1 \Seen 2 \Answered 4 \Flagged 8 \Deleted 16 \Draft
  keywords integer not null default 0,           -- keyword_set
  modseq integer not null,
  primary key (mailbox_id, uid)
) without rowid;
create index membership_email on membership (email_id);
create index membership_modseq on membership (mailbox_id, modseq, uid, flags, keywords);  -- all that news of it needs

-- Every expunge leaves one, so that a client can be told what went (RFC 7162).
create table tombstone (
  mailbox_id integer not null references mailbox (id) on delete cascade,
  modseq integer not null,
  uid integer not null,
  email_id integer not null,
  primary key (mailbox_id, modseq, uid)
) without rowid;

-- ------------------------------------------------------------------------------------------------------------- queue

create table queue_message (
  id integer primary key autoincrement,
  trace text not null,
  blob_id integer not null references blob (id),
  prefix blob not null,
  size integer not null,
  sender text not null,                          -- reverse-path; '' is the null sender
  account_id integer references account (id) on delete set null,  -- who submitted it
  eightbit integer not null default 0,           -- BODY=8BITMIME: holds octets over 127
  smtputf8 integer not null default 0,
  ret text,                                      -- FULL or HDRS (RFC 3461)
  envid text,
  origin text not null,                          -- submission, forward, alias, notice, relay, sendmail
  created_at integer not null,
  expires_at integer not null,
  warn_at integer                                -- when the sender hears of the delay; null: told, or not to be
);
create index queue_message_trace on queue_message (trace);
create index queue_message_blob on queue_message (blob_id);

-- One row a recipient, from acceptance to its end; then it is deleted and the events tell the story.
create table queue_recipient (
  id integer primary key autoincrement,
  message_id integer not null references queue_message (id) on delete cascade,
  address text not null,
  destination text not null,                     -- domain, or 'route:ID': what is tried together and limited together
  orcpt text,
  notify text,                                   -- null, or NEVER, or some of SUCCESS FAILURE DELAY
  state text not null check (state in ('due', 'held')),
  due_at integer not null,
  leased_until integer not null default 0,       -- a worker has it until then
  attempts integer not null default 0,
  route_id integer references route (id) on delete set null,  -- set by queue reroute
  last_at integer,
  last_host text,
  last_reply text,
  hold_reason text
);
create index queue_recipient_due on queue_recipient (due_at) where state = 'due';
create index queue_recipient_message on queue_recipient (message_id);
create index queue_recipient_destination on queue_recipient (destination, due_at);

-- What a destination answered lately, so that it is spared while it is down.
create table destination (
  name text primary key,
  failures integer not null default 0,           -- connection failures in a row
  not_before_at integer not null default 0,
  tls text,                                      -- what was spoken at the last success: none, TLSv1.2, TLSv1.3
  tls_verified integer not null default 0,
  last_success_at integer,
  last_error text
) without rowid;

-- ------------------------------------------------------------------------------------------------------------ events

-- What happened, keyed by the trace of one SMTP transaction, append or import.
create table event (
  id integer primary key autoincrement,
  at integer not null,
  trace text not null,
  kind text not null,                            -- daemon/store/events.py lists them
  reason text not null default '',
  sender text,
  recipient text,
  message_id text,
  peer text,
  detail text                                    -- JSON
);
create index event_trace on event (trace);
create index event_at on event (at);
create index event_message_id on event (message_id) where message_id is not null;

-- Strangers that were refused, summed by hour, so that nobody can fill the disk with refusals.
create table refusal (
  hour integer not null,                         -- at / 3600000
  peer text not null,
  reason text not null,
  sender text not null default '',
  recipient text not null default '',
  reply text not null,
  count integer not null,
  first_at integer not null,
  last_at integer not null,
  primary key (hour, peer, reason, sender, recipient)
) without rowid;
