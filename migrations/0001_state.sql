-- The daemon's own state, in the subset that SQLite and PostgreSQL share.
-- Identifiers are UUIDv7 as text, times are microseconds UTC, lists and objects are JSON as text.

-- Who this site is: one row.
create table site (
    slot bigint not null primary key check (slot = 1),
    id text not null,
    created_at bigint not null
);

-- What was set while running, by name.
create table setting (
    name text not null primary key,
    value text not null
);

-- Tokens of the admin API. The token itself is nowhere; token_lookup is an HMAC of its SHA-256.
create table admin_token (
    id text not null primary key,
    name text not null,
    role text not null,
    token_lookup text not null unique,
    created_at bigint not null,
    expires_at bigint
);

-- The trust between this site and its peers. token_hash and token are sealed, token_lookup is an HMAC of the hash.
create table connection (
    id text not null primary key,
    name text not null,
    direction text not null,
    url text not null,
    remote_prefix text,
    local_status text not null,
    remote_status text not null,
    status_reason text,
    auth text not null,
    identity text not null,
    requested_from text,
    access text not null,
    remote text,
    created_at bigint not null,
    approved_at bigint,
    approved_by text,
    last_contact_at bigint,
    unreachable_since bigint,
    next_attempt_at bigint,
    total_transfers bigint not null,
    total_rows bigint not null,
    total_bytes bigint not null,
    epoch bigint not null,
    acked_epoch bigint not null,
    registered boolean not null,
    peer_deleted boolean not null,
    deleted_at bigint,
    token_lookup text not null,
    token_hash text not null,
    token text
);

-- A deleted connection stays until the peer knows; its name is free at once.
create unique index connection_name on connection (name) where deleted_at is null;
create index connection_token_lookup on connection (token_lookup);
create index connection_url on connection (url);

-- The queue and the history of runs.
create table run (
    id text not null primary key,
    connection_id text not null references connection (id),
    instructions text not null,
    status text not null,
    triggered_by text not null,
    attempt bigint not null,
    next_attempt_at bigint,
    created_at bigint not null,
    started_at bigint,
    completed_at bigint,
    progress text not null,
    error text,
    tables text not null,
    cancel_requested boolean not null
);

create index run_status on run (status);
create index run_connection on run (connection_id);

-- Which connection writes which table of this site, since its first run that did.
create table writer (
    table_name text not null,
    connection_id text not null references connection (id),
    since bigint not null,
    primary key (table_name, connection_id)
);

-- Rows a run could not write, in the order met.
create table quarantine (
    run_id text not null references run (id),
    table_name text not null,
    position bigint not null,
    row_key text not null,
    column_name text,
    reason text not null,
    created_at bigint not null,
    primary key (run_id, table_name, position)
);

-- One table moved, in or out.
create table transfer (
    id text not null primary key,
    direction text not null,
    run_id text references run (id),
    connection_id text not null references connection (id),
    table_name text not null,
    status text not null,
    row_count bigint not null,
    bytes_on_wire bigint not null,
    changes text not null,
    started_at bigint not null,
    completed_at bigint,
    error text
);

create index transfer_connection on transfer (connection_id);
create index transfer_open on transfer (id) where completed_at is null;

-- Who decided what, and from where.
create table audit (
    id text not null primary key,
    happened_at bigint not null,
    actor text not null,
    address text,
    action text not null,
    subject text not null,
    detail text
);
