-- Conversations (RFC 8621 §3), and what JMAP's /changes and lists are told from.

-- The thread of a message: the MODSEQ that its first one was put with, so unique within the account alone.
alter table email add column thread_id integer not null default 0;
create index email_thread on email (account_id, thread_id);

-- Which thread a message joins: a hash of the account, one of its message ids and its base subject
-- (daemon/store/threads.py). No reference is declared, as with memberships. Rows of threads that are gone are swept.
create table thread_key (
  key integer primary key,
  account_id integer not null,
  thread_id integer not null
);

-- A copy of what the email row says, so that a mailbox can be listed by date out of one index.
alter table membership add column received_at integer not null default 0;
alter table membership add column thread_id integer not null default 0;
create index membership_received on membership (mailbox_id, received_at, email_id, thread_id);

alter table mailbox add column unread integer not null default 0;        -- neither \Seen nor \Draft
alter table mailbox add column threads integer;                          -- distinct threads; null: to be counted again
alter table mailbox add column unread_threads integer;                   -- those with an unread message in this mailbox
alter table mailbox add column described_modseq integer not null default 0;  -- when name, role or subscription changed
update mailbox set described_modseq = created_modseq,
  unread = (select count(*) from membership where mailbox_id = mailbox.id and flags & 17 = 0);

-- /changes are known since this MODSEQ.
alter table account add column jmap_floor integer not null default 0;
update account set jmap_floor = modseq;

-- Messages that went, in no mailbox any more.
create table email_tombstone (
  account_id integer not null references account (id) on delete cascade,
  modseq integer not null,
  email_id integer not null,
  thread_id integer not null,
  created_modseq integer not null,
  primary key (account_id, modseq, email_id)
) without rowid;
