-- The keys that sign what goes out (RFC 6376, RFC 8463). Every domain has its own, alias domains too.
--
-- A key is `pending` until its record is seen in the DNS, then `active`: it signs; `retired` when another one took its
-- place: its record stays published for mail that is still on its way; `gone` when the record may be removed. Who signs
-- no more has no private key here any more. A selector holds the row's id, so that none is ever used twice.
create table dkim_key (
  id integer primary key autoincrement,
  domain_id integer not null references domain (id) on delete cascade,
  selector text not null,                        -- a DNS label
  algorithm text not null check (algorithm in ('rsa-sha256', 'ed25519-sha256')),
  private_key text not null,                     -- PKCS#8 PEM, never shown; '' once it signs no more
  public_key text not null,                      -- base64, as p= has it
  state text not null check (state in ('pending', 'active', 'retired', 'gone')),
  created_at integer not null,
  seen_at integer,                               -- when its record was seen first; null again when it was removed
  activated_at integer,
  retired_at integer,
  gone_at integer,
  unique (domain_id, selector)
);
create unique index dkim_key_active on dkim_key (domain_id, algorithm) where state = 'active';
create unique index dkim_key_pending on dkim_key (domain_id, algorithm) where state = 'pending';
