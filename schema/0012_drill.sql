-- How the last trials of the filter with test strings ended, so that the doctor can tell.
create table drill (
  name text primary key,                         -- daemon/flow/drill.py has them
  failures integer not null check (failures >= 0),  -- in a row; 0: it passed
  text text not null,                            -- what was seen
  at integer not null,                           -- the last one
  since_at integer not null                      -- the first that ended so
) without rowid;
