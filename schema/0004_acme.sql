-- Certificates from a certificate authority by ACME (RFC 8555).

-- Our account with an authority, by its directory's address.
create table acme_account (
  directory text primary key,
  private_key text not null,                     -- PEM, EC P-256
  url text not null,                             -- '' until it is registered
  created_at integer not null
) without rowid;

-- What an authority will look for now. Any process may put one; the server answers.
create table acme_challenge (
  id integer primary key autoincrement,
  kind text not null check (kind in ('http-01', 'tls-alpn-01', 'dns-01')),
  name text not null,                            -- lower case, without *.
  token text not null,
  answer text not null,                          -- the key authorization (RFC 8555 section 8.1)
  until_at integer not null                      -- it is nobody's any more then
);
create index acme_challenge_name on acme_challenge (kind, name);

-- Every try to get a certificate: the next one waits longer after each that failed.
create table acme_order (
  id integer primary key autoincrement,
  directory text not null,
  names text not null,                           -- space separated, as they were asked for
  state text not null check (state in ('pending', 'valid', 'failed')),
  problem text not null,                         -- one sentence; '' unless it failed
  began_at integer not null,
  ended_at integer,
  check ((state = 'pending') = (ended_at is null)),
  check ((state = 'failed') = (problem <> ''))
);
create index acme_order_names on acme_order (names, id);

-- The key that the next certificate of a name will have: told in the DNS before anybody sees it (RFC 7671 section 8.1).
create table next_key (
  name text primary key,
  private_key text not null,                     -- PEM
  created_at integer not null,
  ready_at integer not null                      -- nobody's cache is without it any more then
) without rowid;
