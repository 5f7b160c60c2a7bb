-- Reports: what we count for those who ask (RFC 9990), what was sent, and what others tell of our domains.

-- Messages in the name of a domain that asks for reports, counted by day and by what they had alike.
create table dmarc_evidence (
  day integer not null,                          -- at / 86400000
  policy_domain text not null,
  facts text not null,                           -- JSON of what is alike (daemon/store/evidence.py); '': over the limit
  count integer not null check (count > 0),
  primary key (day, policy_domain, facts)
) without rowid;

-- The record of such a domain as it was published last that day.
create table dmarc_policy (
  day integer not null,
  policy_domain text not null,
  record text not null,
  rows integer not null default 0,               -- of dmarc_evidence with facts
  primary key (day, policy_domain)
) without rowid;

-- Reports that are done: sent, or nobody wanted them.
create table report_sent (
  kind text not null check (kind in ('dmarc', 'tls')),
  day integer not null,
  domain text not null,
  at integer not null,
  recipients text not null,                      -- space separated URIs; '': to nobody
  primary key (day, kind, domain)
) without rowid;

-- Reports of others about a domain of ours.
create table report (
  id integer primary key autoincrement,
  kind text not null check (kind in ('dmarc', 'tls')),
  domain text not null,                          -- whom it is about
  org text not null,                             -- who tells
  report_id text not null,
  begin_at integer not null,
  end_at integer not null,
  received_at integer not null,
  policy text not null,                          -- as published, JSON
  unique (kind, domain, org, report_id)
);
create index report_begin on report (begin_at);

-- DMARC: messages from one address that were alike.
create table report_row (
  report_id integer not null references report (id) on delete cascade,
  number integer not null,
  source_ip text not null,
  count integer not null,
  disposition text not null,
  dkim text not null,                            -- pass or fail, aligned
  spf text not null,
  header_from text not null,
  envelope_from text not null,
  proofs text not null,                          -- domains that DKIM and SPF passed or failed for, JSON
  primary key (report_id, number)
) without rowid;

-- TLS: sessions under one policy. `result` '' counts those that went well.
create table report_session (
  report_id integer not null references report (id) on delete cascade,
  number integer not null,
  policy_type text not null,
  result text not null,
  count integer not null,
  sending_ip text not null,
  mx_host text not null,
  detail text not null,
  primary key (report_id, number)
) without rowid;

insert into counter (name, value) values ('report-cursor', 0);    -- the last email that was looked at for a report
insert into counter (name, value) values ('evidence-cursor', (select coalesce(max(id), 0) from event));  -- the last event that was counted
