-- A subscription belongs to the credentials it was made with, and ends with them (RFC 8620 section 7.2). Both null: it
-- was made with the user's own password, or before this was noted.
alter table push_subscription add column session_id integer references web_session (id) on delete cascade;
alter table push_subscription add column app_password_id integer references app_password (id) on delete cascade;
create index push_subscription_session on push_subscription (session_id) where session_id is not null;
create index push_subscription_app_password on push_subscription (app_password_id) where app_password_id is not null;
