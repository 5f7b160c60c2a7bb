-- When an authority suggests to renew a certificate (RFC 9773), and when it is asked again.
create table acme_renewal (
  certificate_id integer primary key references certificate (id) on delete cascade,
  renew_at integer,                              -- null: it says nothing of it
  ask_at integer not null
);
