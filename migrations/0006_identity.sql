-- Proving who a peer is: when its URL is asked next, and how often that failed.
alter table connection add column prove_at bigint;
alter table connection add column prove_attempts bigint not null default 0;
-- The tables that a site asked for, when it asked for access; JSON.
alter table connection add column wanted_tables text;
-- Our administrator wants this connection signed or not at all.
alter table connection add column requires_signed boolean not null default false;

create index connection_prove on connection (prove_at) where prove_at is not null;

-- The second key of a signed connection while it changes from one generation to the next: the next one, which the peer
-- may not have yet, or the one before, which it may still use.
create table rotation (
    connection_id text not null primary key references connection (id),
    stage text not null,
    generation bigint not null,
    root_key text not null,
    began_at bigint not null,
    accepted_until bigint,
    next_attempt_at bigint,
    attempts bigint not null
);
