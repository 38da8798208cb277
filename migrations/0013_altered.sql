-- Rows of which their destination makes something else, and which are not written again until they change on either side:
-- what each was on both sides, as hashes (32 hexadecimal digits, nothing where it was not there), and what is told of it.
create table altered (
    connection_id text not null,
    table_name text not null,
    basis text not null,
    here_hash text not null,
    there_hash text not null,
    row_key text not null,
    column_name text,
    reason text not null,
    noted_at bigint not null,
    primary key (connection_id, table_name, here_hash, there_hash)
);
