-- The full-text index: what narrows a search for any part of a text down to some messages, whose text decides.
--
-- It is each account's own, so that a search costs what the account has, and tells nothing of others. Everything in it
-- can be made again from the messages. It is behind: an email above `fulltext.email_id` is in no block, and a search
-- takes it as one that may fit. An email that went stays in its block, where nobody finds it, until the block is
-- made anew without it.

create table fulltext (
  account_id integer primary key,                -- account
  email_id integer not null                      -- its emails up to this one are in blocks
);

-- Some thousand emails that follow each other. Written in steps, and gone in steps.
create table fulltext_block (
  id integer primary key autoincrement,
  account_id integer not null,                   -- account
  state text not null check (state in ('made', 'used', 'gone')),
  first_email integer not null,
  last_email integer not null,
  emails integer not null,
  weight integer not null,                       -- how much is in it, in octets or so: bounds what is made at once
  ids blob not null,                             -- of the emails, 8 octets each, lowest octet first; the numbers in the halves count these
  made_at integer not null
);
create index fulltext_block_account on fulltext_block (account_id, first_email);
create index fulltext_block_state on fulltext_block (state) where state <> 'used';

-- What stands in headers, or in bodies (daemon/store/inverted.py tells the layout).
create table fulltext_half (
  block_id integer not null references fulltext_block (id),
  half text not null check (half in ('head', 'body')),
  vocabulary blob not null,
  marked integer not null,
  steps blob not null,
  offsets blob not null,
  primary key (block_id, half)
);

create table fulltext_numbers (
  block_id integer not null references fulltext_block (id),
  half text not null,
  part integer not null,                         -- 0, 1, 2 ...: pieces of one size of what `offsets` point into
  octets blob not null,
  primary key (block_id, half, part)
);
