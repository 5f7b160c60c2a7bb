-- Strangers in doubt who were told to try again later, and who came back.

-- A try is of a network (/24, /64), a sender and a recipient.
create table greylist (
  network text not null,
  sender text not null,                          -- '' for the null sender
  recipient text not null,
  first_at integer not null,
  passed_at integer check (passed_at >= first_at), -- the last time it was let in; null while it is not
  primary key (network, sender, recipient)
) without rowid;
create index greylist_at on greylist (coalesce(passed_at, first_at));

-- Networks whose servers come back as they should: after some passes nothing of theirs waits.
create table greylist_network (
  network text primary key,
  passes integer not null check (passes > 0),
  at integer not null                            -- the last time
) without rowid;
create index greylist_network_at on greylist_network (at);
