-- The last proof of each table that a connection fills: whether the next run is of the same scope, and what the rules left
-- in place then, as sums of hashes (32 hexadecimal digits). While nothing changed, the same sums explain the difference.
create table proof (
    connection_id text not null,
    table_name text not null,
    run_id text not null,
    basis text not null,
    scope text not null,
    left_here_rows bigint not null,
    left_here_sum text not null,
    left_there_rows bigint not null,
    left_there_sum text not null,
    skipped bigint not null,
    conflicts bigint not null,
    proved_at bigint not null,
    primary key (connection_id, table_name)
);
