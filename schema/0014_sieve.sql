-- What users want done with their mail (Sieve): their scripts, and what these remember.

-- A user's scripts; at most one of them is the active one, which sees his mail.
create table sieve_script (
  id integer primary key autoincrement,
  account_id integer not null references account (id) on delete cascade,
  name text not null,
  text text not null,
  size integer not null check (size >= 0),       -- octets of the text in UTF-8
  active integer not null default 0 check (active in (0, 1)),
  changed_at integer not null,
  unique (account_id, name)
);
create unique index sieve_script_active on sieve_script (account_id) where active;

-- The administrator's scripts: they run before or after those of users, or are there to be included (library).
create table sieve_global (
  id integer primary key autoincrement,
  domain_id integer references domain (id) on delete cascade,  -- for its users; null: for all
  name text not null,
  place text not null check (place in ('before', 'after', 'library')),
  text text not null,
  changed_at integer not null
);
create unique index sieve_global_name on sieve_global (coalesce(domain_id, 0), name);

-- To whom a user's vacation answered: not again before the time is over (RFC 5230 section 4.2).
create table vacation_answer (
  account_id integer not null references account (id) on delete cascade,
  handle text not null,                          -- which answer
  sender text not null,                          -- one spelling for each address
  until_at integer not null,
  primary key (account_id, handle, sender)
) without rowid;
create index vacation_answer_until on vacation_answer (until_at);

-- What the test `duplicate` has seen (RFC 7352).
create table sieve_seen (
  account_id integer not null references account (id) on delete cascade,
  handle text not null,
  until_at integer not null,
  primary key (account_id, handle)
) without rowid;
create index sieve_seen_until on sieve_seen (until_at);

alter table account add column sieve_told_at integer;  -- when he was last told that his rules went wrong
