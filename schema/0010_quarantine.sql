-- Mail that was refused or went to Junk by the filter's verdict, for a while: so that a wrong verdict can be undone.

-- One row for each user it was for. Refused: its bytes are kept here. Junk: the copy is in his mailbox, and the row goes
-- with it.
create table quarantine (
  id integer primary key autoincrement,
  account_id integer not null references account (id),
  trace text not null,
  blob_id integer references blob (id),          -- refused
  email_id integer references email (id) on delete cascade,  -- junk
  prefix blob not null,                          -- what a copy would have had in front; of junk the email has it
  size integer not null,                         -- octets of prefix and message
  weight integer not null,                       -- what of the limits it takes: refused more than `size`, junk nothing
  recipient text not null,                       -- the address it was for
  sender text not null,                          -- reverse-path
  author text not null,                          -- address in From
  author_name text not null,
  subject text not null,
  message_id text,
  reason text not null,                          -- of the verdict
  score real not null,
  why text not null,                             -- what weighed most, in words
  told_user integer not null,                    -- by a digest, or he is not to be told
  told_admin integer not null,
  at integer not null,
  check ((blob_id is null) <> (email_id is null)),
  check (blob_id is not null or weight = 0)
);
create index quarantine_account on quarantine (account_id, id);
create index quarantine_at on quarantine (at);
create index quarantine_refused on quarantine (id, weight) where blob_id is not null;
create index quarantine_refused_account on quarantine (account_id, id, weight) where blob_id is not null;
create index quarantine_blob on quarantine (blob_id) where blob_id is not null;
create index quarantine_email on quarantine (email_id) where email_id is not null;
create index quarantine_user_untold on quarantine (account_id, at) where told_user = 0;
create index quarantine_admin_untold on quarantine (at) where told_admin = 0;

-- What the refused mail of a user weighs, and of all together (account 0).
create table quarantine_sum (
  account_id integer primary key,
  weight integer not null check (weight > 0)
);

-- Keys that sign what we hand out; who knows one can make such a thing himself.
create table secret (
  name text primary key,
  value blob not null
) without rowid;
insert into secret (name, value) values ('quarantine-link', randomblob(32));
