-- What users send to other servers is counted, so that a stolen password does not send for long: what is over is held.

alter table account add column allowance integer check (allowance >= 0);  -- times the limits of the settings, 0: no limit; null: once
alter table account add column session_epoch integer not null default 0;  -- grows when his sessions are ended: those of before do end

-- What of a user's mail went out in ten minutes; what is a day old is forgotten.
create table allowance (
  account_id integer not null references account (id) on delete cascade,
  slot integer not null,                         -- at / 600000
  messages integer not null check (messages > 0),
  recipients integer not null check (recipients >= messages),
  strangers integer not null check (strangers between 0 and recipients),  -- whom he had not written to before
  primary key (account_id, slot)
) without rowid;
create index allowance_slot on allowance (slot);

-- A user came to a limit: from then on his mail is held, until an administrator releases or drops it all.
create table incident (
  id integer primary key autoincrement,
  account_id integer not null references account (id) on delete cascade,
  reason text not null,                          -- the limit, as its setting is called: messages-per-hour
  allowed integer not null,
  found integer not null check (found > allowed),  -- what it would have been with the message that began this
  trace text not null,                           -- that message
  messages integer not null check (messages > 0),  -- held in all
  recipients integer not null check (recipients >= messages),
  began_at integer not null,
  last_at integer not null check (last_at >= began_at),
  told_at integer,                               -- owner and administrators
  ended_at integer check (ended_at >= began_at),
  ended_by text check (ended_by in ('release', 'drop')),
  check ((ended_at is null) = (ended_by is null))
);
create unique index incident_open on incident (account_id) where ended_at is null;
create index incident_untold on incident (id) where told_at is null;
create index incident_ended on incident (ended_at) where ended_at is not null;

-- A recipient that an incident holds; null again as soon as somebody let him go.
alter table queue_recipient add column incident_id integer references incident (id);
create index queue_recipient_incident on queue_recipient (incident_id, message_id) where incident_id is not null;

-- Who is logged in, as the server that runs has written it down within the last second.
create table session (
  id integer primary key,                        -- of the server that runs
  account_id integer not null references account (id) on delete cascade,
  protocol text not null,                        -- imap, pop3, smtp
  peer text not null,
  app_password_id integer references app_password (id) on delete set null,
  since_at integer not null
);
create index session_account on session (account_id);
