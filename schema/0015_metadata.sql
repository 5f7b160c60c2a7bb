-- What users' clients keep with a mailbox, or with the server, under a name (IMAP METADATA, RFC 5464).

create table metadata (
  account_id integer not null references account (id) on delete cascade,
  mailbox_id integer references mailbox (id) on delete cascade,  -- null: of the server, as this user sees it
  entry text not null,                           -- lower case: '/private/comment', '/shared/vendor/...'
  value blob not null
);
create unique index metadata_entry on metadata (account_id, coalesce(mailbox_id, 0), entry);
create index metadata_mailbox on metadata (mailbox_id);
