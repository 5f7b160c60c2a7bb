-- Where a client wants to be told of changes while it is not connected (RFC 8620 section 7.2).
create table push_subscription (
  id integer primary key autoincrement,
  account_id integer not null references account (id) on delete cascade,
  epoch integer not null,                        -- account.session_epoch when it was made: another one ends it
  device text not null,                          -- as the client calls itself
  url text not null,                             -- of a push service; https
  p256dh blob,                                   -- the client's key and secret (RFC 8291); null: it wants no secrecy
  auth blob,
  types text,                                    -- JSON: names; null: all
  code text not null,                            -- what the client says back before anything else is sent there
  verified integer not null default 0,
  expires_at integer not null,
  created_at integer not null,
  check ((p256dh is null) = (auth is null))
);
create index push_subscription_account on push_subscription (account_id);
