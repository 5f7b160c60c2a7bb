-- What the owner of an account sees and sets over the web (man/man7/mailctl-jmap.7), beside his mail.

-- How far the objects of a type are: the MODSEQ of the last change. Mail is not here, it has rows of its own.
create table object_state (
  account_id integer not null references account (id) on delete cascade,
  type text not null,
  modseq integer not null,
  primary key (account_id, type)
) without rowid;

-- What a rule is called in JMAP, when that does not follow from what it says: it was changed there and kept its name.
create table rule_id (
  account_id integer not null references account (id) on delete cascade,
  digest text not null,                          -- of what it says now
  id text not null,
  primary key (account_id, digest)
) without rowid;

-- People a user knows (RFC 9553): put in by himself, or collected from what he sent. One address book each.
create table contact (
  id integer primary key autoincrement,
  account_id integer not null references account (id) on delete cascade,
  uid text not null,
  card text not null,                            -- JSON: the Card as it was said, unknown properties too
  name text not null,                            -- what follows is read out of the card: folded, to sort and look for
  kind text not null,
  text text not null,                            -- all words of it that one looks for
  collected integer not null default 0,          -- nobody touched it since it was collected
  used integer not null default 0,               -- how often he wrote to one of its addresses
  used_at integer not null default 0,
  created_at integer not null,
  updated_at integer not null,
  created_modseq integer not null,
  modseq integer not null,
  unique (account_id, uid)
);
create index contact_modseq on contact (account_id, modseq);

-- Its addresses (`correspondents.name_of`).
create table contact_address (
  account_id integer not null references account (id) on delete cascade,
  address text not null,
  contact_id integer not null references contact (id) on delete cascade,
  primary key (account_id, address, contact_id)
) without rowid;
create index contact_address_contact on contact_address (contact_id);

create table contact_tombstone (
  account_id integer not null references account (id) on delete cascade,
  modseq integer not null,
  contact_id integer not null,
  created_modseq integer not null,
  primary key (account_id, modseq, contact_id)
) without rowid;

-- Tombstones at or below this MODSEQ are forgotten.
create table contact_floor (
  account_id integer primary key references account (id) on delete cascade,
  modseq integer not null
);
