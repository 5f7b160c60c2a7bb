-- Who is signed in by a browser, and what he proves himself with beside his password.

-- A session of a browser: what it shows is a random token, of which only the digest is kept.
create table web_session (
  id integer primary key autoincrement,
  account_id integer not null references account (id) on delete cascade,
  token_sha256 blob not null unique check (length(token_sha256) = 32),
  epoch integer not null,                        -- account.session_epoch when it began: another one ends it
  factor text not null check (factor in ('password', 'totp', 'recovery', 'passkey')),  -- the last that was shown
  peer text not null,                            -- the address it was begun from
  agent text not null,                           -- what the browser called itself then
  seen_peer text not null,
  seen_at integer not null check (seen_at >= created_at),
  idle integer not null check (idle > 0),        -- ms without a request that end it
  created_at integer not null,
  until_at integer not null check (until_at > created_at)
);
create index web_session_account on web_session (account_id);
create index web_session_until on web_session (until_at);

-- Whether more than the password is asked for, and the codes of an authenticator program (RFC 6238).
create table two_factor (
  account_id integer primary key references account (id) on delete cascade,
  on_at integer,                                 -- null: it is not asked for
  secret blob,                                   -- encrypted with a key that is not in this database; null: no such program
  next_secret blob,                              -- of a program that gave no right code yet, encrypted too
  confirmed_at integer,                          -- when the program gave its first code
  last_step integer not null default 0,          -- of the last code that was taken: none is taken twice
  failures integer not null default 0 check (failures >= 0),  -- since the last right code
  locked_until integer not null default 0,       -- until then no code is looked at
  created_at integer not null,
  check ((secret is null) = (confirmed_at is null))
);

-- Codes for who lost the authenticator; each works once.
create table recovery_code (
  account_id integer not null references account (id) on delete cascade,
  sha256 blob not null check (length(sha256) = 32),
  used_at integer,
  primary key (account_id, sha256)
) without rowid;

-- Passkeys (Web Authentication): public keys, with which an authenticator proves to have the private one.
create table passkey (
  id integer primary key autoincrement,
  account_id integer not null references account (id) on delete cascade,
  credential_id blob not null unique check (length(credential_id) between 1 and 1023),
  public_key blob not null,                      -- COSE
  sign_count integer not null check (sign_count >= 0),
  transports text not null,                      -- how browsers reach it, space separated
  backed_up integer not null check (backed_up in (0, 1)),
  name text not null,
  created_at integer not null,
  last_used_at integer,
  unique (account_id, name)
);
