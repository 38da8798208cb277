-- What the newest run that came to an end said about each table: what `status` tells of failures, and what `tables`
-- knows without scanning.
create table outcome (
    connection_id text not null references connection (id),
    table_name text not null,
    run_id text not null references run (id),
    status text not null,
    comparison text,
    ended_at bigint not null,
    row_count bigint,
    counted_at bigint,
    dismissed_at bigint,
    primary key (connection_id, table_name)
);

create index outcome_run on outcome (run_id);

-- What stands in the status, by cause, and what the administrator was told of it.
create table alert (
    cause text not null primary key,
    event text not null,
    what text not null,
    since bigint not null,
    message text not null,
    hint text not null,
    seen_at bigint not null,
    over_at bigint,
    told boolean not null,
    attempts bigint not null,
    next_attempt_at bigint,
    fault text
);
