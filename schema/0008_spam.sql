-- What the filter learnt from which messages, for each user and for the house: account 0, whose lessons count for
-- everybody. Account ids are not declared as references since nobody has the id 0; they go with their user all the same.

-- Lessons that wait to be learnt. What a user did last with a message counts, so there is one for each.
create table spam_lesson (
  account_id integer not null,
  blob_id integer not null references blob (id), -- whose row stays until the lesson is learnt, whatever is expunged
  lesson text not null check (lesson in ('ham', 'spam', 'not-ham', 'not-spam')),
  source text not null check (source in ('moved', 'keyword')),
  tries integer not null default 0,              -- how often it was begun: a lesson that ends the server is given up
  primary key (account_id, blob_id)
) without rowid;
create index spam_lesson_blob on spam_lesson (blob_id);

-- Messages that were learnt, the oldest first by id. All sums are made of these rows, and store.check proves it.
create table spam_trained (
  id integer primary key,
  account_id integer not null,
  identity blob not null,                        -- daemon/mail/identity.py: the same message by whatever road
  class text not null check (class in ('ham', 'spam')),
  source text not null check (source in ('moved', 'keyword', 'given')),  -- given: by an administrator
  tokens blob not null,                          -- the ids that were counted, 8 octets each, little-endian, sorted
  at integer not null,
  unique (account_id, identity)
);
create index spam_trained_class on spam_trained (account_id, class);

-- In how many messages of each class a token was. A row without any goes.
create table spam_token (
  account_id integer not null,
  token integer not null,
  ham integer not null check (ham >= 0),
  spam integer not null check (spam >= 0),
  primary key (account_id, token),
  check (ham + spam > 0)
) without rowid;

-- How many messages of each class.
create table spam_learnt (
  account_id integer primary key,
  ham integer not null check (ham >= 0),
  spam integer not null check (spam >= 0),
  check (ham + spam > 0)
);
