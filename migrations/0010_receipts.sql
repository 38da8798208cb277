-- What both sites signed when a table was proved, from either side of a connection. The run is the receiving site's own;
-- the digest (BLAKE3 of the terms) keeps one that is told twice from being kept twice.
create table receipt (
    id text not null primary key,
    connection_id text not null references connection (id),
    run_id text not null,
    table_name text not null,
    terms text not null,
    signatures text not null,
    byte_count bigint not null,
    digest text not null,
    proved_at bigint not null,
    kept_at bigint not null
);

create unique index receipt_digest on receipt (connection_id, digest);
create index receipt_run on receipt (run_id);
create index receipt_kept on receipt (kept_at);
create index receipt_room on receipt (connection_id, kept_at, byte_count);

-- Since when all tables of a sync are known to have been equal: the oldest proof of the newest run that proved them all.
alter table sync add column proved_equal_at bigint;
