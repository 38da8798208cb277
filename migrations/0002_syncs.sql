-- What is pulled by itself. A deleted sync stays for the sake of its history; its name is free at once.
create table sync (
    id text not null primary key,
    name text not null,
    description text,
    connection_id text not null references connection (id),
    instructions text not null,
    schedule text,
    max_age bigint,
    status text not null,
    status_error text,
    created_by text not null,
    created_at bigint not null,
    updated_at bigint not null,
    active_since bigint,
    last_synced_at bigint,
    last_run_id text,
    next_planned_at bigint,
    next_sync_at bigint,
    deleted_at bigint
);

create unique index sync_name on sync (name) where deleted_at is null;
create index sync_connection on sync (connection_id);

-- Which tables of this site a sync writes, from its making to its deletion.
create table claim (
    sync_id text not null references sync (id),
    table_name text not null,
    connection_id text not null references connection (id),
    since bigint not null,
    primary key (sync_id, table_name)
);

create index claim_table on claim (table_name);

-- The sync a run belongs to, the time it was planned for, and when it is tried no more.
alter table run add column sync_id text references sync (id);
alter table run add column planned_at bigint;
alter table run add column give_up_at bigint;

create index run_sync on run (sync_id);
-- A sync has one run at a time, and one for each planned time: nothing runs twice.
create unique index run_unfinished on run (sync_id) where status in ('pending', 'running');
create unique index run_planned on run (sync_id, planned_at) where planned_at is not null;
