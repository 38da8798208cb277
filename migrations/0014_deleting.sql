-- What a transfer of a mirror is about to delete, noted before it begins to: how many rows and, where they are not too
-- many, a mark of 16 bytes for each. Gone once it is known how many of them it deleted.
create table deleting (
    transfer_id text not null primary key references transfer (id),
    basis text not null,
    row_count bigint not null,
    marks bytea
);
