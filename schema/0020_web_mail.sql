-- What users hand in over the web (JMAP): files for messages, who they write as, what goes out and when.

-- Octets that wait to be used; after a day they are forgotten.
create table upload (
  id text primary key,                           -- f and chance; asked for together with its owner
  account_id integer not null references account (id),
  blob_id integer not null references blob (id),
  type text not null,                            -- as the client said
  size integer not null,
  created_at integer not null
) without rowid;
create index upload_account on upload (account_id, created_at);
create index upload_blob on upload (blob_id);
create index upload_created on upload (created_at);

-- Names, addresses and signatures a user writes as (RFC 8621 section 6).
create table identity (
  id integer primary key autoincrement,
  account_id integer not null references account (id) on delete cascade,
  email text not null,
  name text not null default '',
  reply_to text,                                 -- JSON: a list of EmailAddress
  bcc text,
  text_signature text not null default '',
  html_signature text not null default '',
  may_delete integer not null default 1,
  modseq integer not null,
  created_modseq integer not null
);
create index identity_account on identity (account_id, modseq);

-- A message that goes out, or went (RFC 8621 section 7). It waits with its bytes; whether it went is settled in the
-- transaction that takes it.
create table submission (
  id integer primary key autoincrement,
  account_id integer not null references account (id),
  identity_id integer not null,                  -- may be gone
  email_id integer not null,                     -- may be gone
  thread_id integer not null,
  blob_id integer references blob (id),          -- while it waits
  envelope text not null,                        -- JSON, as Envelope has it
  state text not null check (state in ('pending', 'final', 'canceled')),
  send_at integer not null,
  due_at integer not null,                       -- send_at, or later when it could not go then
  trace text,                                    -- the message that went
  refusal text,                                  -- why it did not go at its time
  modseq integer not null,
  created_modseq integer not null,
  check ((state = 'pending') = (blob_id is not null))
);
create index submission_account on submission (account_id, modseq);
create index submission_due on submission (due_at) where state = 'pending';
create index submission_blob on submission (blob_id) where blob_id is not null;
create index submission_trace on submission (trace) where trace is not null;

-- Identities and submissions that are gone, for who asks what changed.
create table web_tombstone (
  account_id integer not null references account (id) on delete cascade,
  kind text not null check (kind in ('identity', 'submission')),
  object_id integer not null,
  created_modseq integer not null,
  modseq integer not null,
  primary key (account_id, kind, object_id)
) without rowid;

-- What a user's vacation would say, while it says nothing (RFC 8621 section 8); and when its properties changed last.
create table vacation_response (
  account_id integer primary key references account (id) on delete cascade,
  text text not null,
  subject text not null,
  first_day text not null,
  last_day text not null
);

alter table account add column web_floor integer not null default 0;  -- tombstones at or below this MODSEQ are forgotten
alter table mailbox add column sort_order integer;  -- as a client of JMAP set it; null: by its role
