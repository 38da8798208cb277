-- What the peer said last carries an epoch; a peer that does not know a connection is counted before that severs it.
alter table connection add column remote_epoch bigint not null default 0;
alter table connection add column unknown_times bigint not null default 0;
alter table connection add column unknown_since bigint;
alter table connection add column severed_from text;
alter table connection add column contradicted boolean not null default false;
alter table connection add column exchanged_at bigint;

-- Until now one such answer severed.
update connection
set unknown_times = 3,
    unknown_since = coalesce(last_contact_at, created_at),
    severed_from = 'active'
where remote_status = 'severed'
  and status_reason = 'the peer does not know this connection any more';
