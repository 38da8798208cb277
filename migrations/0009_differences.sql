-- What runs found to differ: the key, never another value. The mark says what a row was on both sides.
create table difference (
    run_id text not null references run (id),
    table_name text not null,
    position bigint not null,
    row_key text not null,
    kind text not null,
    column_names text,
    mark text not null,
    created_at bigint not null,
    primary key (run_id, table_name, position)
);

create index difference_age on difference (created_at);

-- What a run that waits for a person is to do, in pieces. Of all names of types both databases know what bytea is:
-- SQLite keeps bytes as they are in a column of any name.
create table plan (
    run_id text not null references run (id),
    table_name text not null,
    position bigint not null,
    piece bytea not null,
    primary key (run_id, table_name, position)
);

-- A sync's second schedule compares; what it finds twice is repaired within these budgets (rows and bytes, JSON).
alter table sync add column compare_schedule text;
alter table sync add column repair text;
alter table sync add column compare_planned_at bigint;
alter table sync add column compare_starts_at bigint;

-- Whether a run was made by that schedule: it stands beside the sync's other runs and for none of them.
alter table run add column looks boolean not null default false;

drop index run_unfinished;
drop index run_planned;
create unique index run_unfinished on run (sync_id, looks) where status in ('pending', 'running');
create unique index run_planned on run (sync_id, looks, planned_at) where planned_at is not null;
