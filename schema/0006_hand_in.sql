-- Reports about TLS that wait to be handed in over HTTPS (RFC 8460 section 5.5): tried again until a day is over.
create table report_hand_in (
  day integer not null,                          -- what it is about, as in report_sent
  domain text not null,
  uri text not null,
  tries integer not null default 0,
  due_at integer not null,                       -- the next try; moved on before each, so that a crash costs a pause
  until_at integer not null,                     -- it is given up then
  primary key (day, domain, uri)
) without rowid;
create index report_hand_in_due on report_hand_in (due_at);
