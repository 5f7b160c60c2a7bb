-- What is known of those who write to us: how their mail was received before, whom our users write to, local lists.

-- Reputation: weights of messages that were kept as good and as bad, halved every 30 days. A number that was written at
-- `at` counts less with every day since.
create table standing (
  kind text not null check (kind in ('domain', 'author', 'address', 'network')),
  name text not null,                            -- domain and author only where a proof spoke for them
  good real not null check (good >= 0),
  bad real not null check (bad >= 0),
  at integer not null,
  primary key (kind, name)
) without rowid;
create index standing_at on standing (at);

-- Whom a user has written to.
create table correspondent (
  account_id integer not null references account (id) on delete cascade,
  address text not null,                         -- in lower case
  at integer not null,                           -- the last time
  primary key (account_id, address)
) without rowid;
create index correspondent_at on correspondent (at);

-- The Message-IDs of what a user has sent, so that an answer is known.
create table sent_message (
  account_id integer not null references account (id) on delete cascade,
  message_id text not null,
  at integer not null,
  primary key (account_id, message_id)
) without rowid;
create index sent_message_at on sent_message (at);

-- Senders that a user, or the administrator for all (account 0), always lets in or keeps out.
create table sender_list (
  account_id integer not null,
  sender text not null,                          -- an address, a domain (with what lies below it), or a network
  kind text not null check (kind in ('address', 'domain', 'network')),
  allowed integer not null check (allowed in (0, 1)),
  note text not null default '',
  created_at integer not null,
  primary key (account_id, sender)
) without rowid;
create index sender_list_network on sender_list (account_id) where kind = 'network';
