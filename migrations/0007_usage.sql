-- What each connection took, by day of the site's time zone (YYYY-MM-DD): its grant's daily bounds are held against it.
create table daily_usage (
    connection_id text not null,
    day text not null,
    row_count bigint not null,
    byte_count bigint not null,
    primary key (connection_id, day)
);
