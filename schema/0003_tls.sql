-- Transport security towards others: what they promise, what we saw of it, and what a message asks for.

-- REQUIRETLS and TLS-Required: No (RFC 8689), kept with the message until it left.
alter table queue_message add column tls text not null default '' check (tls in ('', 'required', 'optional'));

-- What the last session was held to: dane, mta-sts, route, ...; '' for nothing.
alter table destination add column tls_policy text not null default '';

-- MTA-STS policies (RFC 8461), kept for as long as they say.
create table mta_sts (
  domain text primary key,                       -- of the recipients
  policy_id text not null,                       -- of the TXT record it was fetched for
  mode text not null check (mode in ('none', 'testing', 'enforce')),
  mx text not null,                              -- names and patterns, space separated
  max_age integer not null,                      -- seconds
  fetched_at integer not null,
  expires_at integer not null
) without rowid;
create index mta_sts_expires on mta_sts (expires_at);

-- The best that a destination spoke lately, so that less is noticed.
create table tls_memory (
  destination text primary key,                  -- as queue_recipient.destination
  strength integer not null check (strength in (0, 1, 2)),  -- clear text, TLS, TLS with a verified certificate
  policy text not null default '',               -- what it was held to then: dane, mta-sts, ...
  seen_at integer not null,                      -- when that was spoken last
  told_at integer not null default 0             -- when a downgrade was last noticed
) without rowid;
create index tls_memory_seen on tls_memory (seen_at);

-- Sessions with others by day, for the reports they ask for (RFC 8460).
create table tls_result (
  day integer not null,                          -- at / 86400000
  policy_domain text not null,
  policy_type text not null check (policy_type in ('tlsa', 'sts', 'no-policy-found')),
  policy_string text not null,                   -- lines
  mx_host text not null,
  result_type text not null,                     -- '' for success, else a word of RFC 8460 section 4.3
  sending_ip text not null,
  receiving_host text not null,                  -- its address, '' when no connection was tried
  count integer not null check (count > 0),
  primary key (day, policy_domain, policy_type, policy_string, mx_host, result_type, sending_ip, receiving_host)
) without rowid;
