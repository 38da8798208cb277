//! What fires when rows are written runs as for any client of this login: its names are found, and what it raises is a
//! refusal of the row.

use std::sync::Arc;

use bytes::Bytes;
use evenkeel::engine::driver::{ApplyProgress, Driver, EnactJob, Enacted};
use evenkeel::engine::plan::{Change, Ending, Planned, Waiting};
use evenkeel::model::run::{QuarantinedRow, SyncMode};
use evenkeel::model::table::NeutralType::Int8;
use evenkeel::wire::row::RowWriter;
use evenkeel::wire::tally::RowHash;
use tokio::sync::{mpsc, watch};

use super::database;
use crate::engine::work::{apply, fields, job, stream, table};
use crate::support::postgres;

/// Names of `public` in functions, without their schema.
const FIRING: &str = "
create table log (id bigint, what text);
create table refused (name text);
insert into refused values ('no');
create function is_fine(text) returns boolean language plpgsql as $$
begin return not exists (select from refused r where r.name = $1); end $$;
create function note_it() returns trigger language plpgsql as $$
begin insert into log values (coalesce(new.id, old.id), tg_op); return coalesce(new, old); end $$;
create domain fine as text check (is_fine(value));
create table t (id bigint primary key, name text check (is_fine(name)), nick fine);
";
const TRIGGER: &str = "create trigger noting before insert or update or delete on t for each row execute function note_it();";

type Fields = Vec<Option<Vec<u8>>>;

fn row(id: i64, name: &str, nick: &str) -> Fields {
    vec![
        Some(id.to_be_bytes().to_vec()),
        Some(name.into()),
        Some(nick.into()),
    ]
}

fn tuple(row: &Fields) -> Bytes {
    let mut writer = RowWriter::default();
    writer.begin(u16::try_from(row.len()).unwrap());
    for field in row {
        writer.field(field.as_deref());
    }
    writer.take().data
}

fn hash(row: &[u8]) -> RowHash {
    let hash = blake3::hash(row);
    RowHash(u128::from_be_bytes(*hash.as_bytes().first_chunk().unwrap()))
}

async fn enact(driver: &impl Driver, changes: Vec<Change>) -> Enacted {
    let mut target = job(&table(driver, "t").await, 1_000);
    target.mode = SyncMode::Mirror;
    let job = EnactJob {
        target,
        version_column: None,
        fingerprint: Arc::new(|row| Ok(hash(row))),
        waiting: Waiting::default(),
        ending: Ending::Refuse,
    };
    let (sender, plan) = mpsc::channel(2);
    sender.try_send(Ok(Planned::Changes(changes))).unwrap();
    sender.try_send(Ok(Planned::End)).unwrap();
    let progress = watch::Sender::new(ApplyProgress::default());
    driver.enact(job, plan, progress).await.unwrap()
}

fn insert(row: &Fields) -> Change {
    Change::Insert { row: tuple(row) }
}

/// The keys of rows that were refused.
fn ids(rejected: &[QuarantinedRow]) -> Vec<&str> {
    let ids = rejected.iter().map(|row| row.key["id"].as_str());
    ids.map(Option::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn triggers_checks_and_domains_find_what_they_name_without_a_schema() {
    for name in ["straight", "staged"] {
        let (url, site) = database(&format!("{FIRING}{TRIGGER}")).await;
        if name == "staged" {
            postgres::query(&url, "insert into t values (1, 'old', 'old'); truncate log");
        }
        let rows = [
            row(1, "one", "a"),
            row(2, "no", "b"),
            row(3, "three", "no"),
            row(4, "four", "d"),
        ];
        let applied = apply(
            &site,
            job(&table(&site, "t").await, 1_000),
            fields(&rows, 2),
        )
        .await
        .unwrap();
        assert_eq!(
            ids(&applied.rejected),
            ["2", "3"],
            "{name}: {:?}",
            applied.rejected
        );
        let first = if name == "staged" { "UPDATE" } else { "INSERT" };
        assert_eq!(
            postgres::query(&url, "select id, what from log order by id"),
            format!("1|{first}\n4|INSERT"),
            "{name}"
        );
        assert_eq!(
            postgres::query(&url, "select * from t order by id"),
            "1|one|a\n4|four|d",
            "{name}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_carried_out_beside_them() {
    let (url, site) = database(&format!("{FIRING}{TRIGGER}")).await;
    postgres::query(
        &url,
        "insert into t select id, 'old', 'old' from generate_series(1, 3) id; truncate log",
    );
    let here = |id| hash(&tuple(&row(id, "old", "old")));
    let update = |row: Fields, id| Change::Update {
        row: tuple(&row),
        here: here(id),
    };
    let key = tuple(&vec![Some(3_i64.to_be_bytes().to_vec())]);
    let enacted = enact(
        &site,
        vec![
            update(row(1, "new", "a"), 1),
            update(row(2, "no", "b"), 2),
            Change::Delete { key, here: here(3) },
            insert(&row(4, "four", "d")),
            insert(&row(5, "five", "no")),
        ],
    )
    .await;
    assert_eq!(ids(&enacted.rejected), ["2", "5"], "{:?}", enacted.rejected);
    assert_eq!(
        postgres::query(&url, "select id, what from log order by id"),
        "1|UPDATE\n3|DELETE\n4|INSERT"
    );
    assert_eq!(
        postgres::query(&url, "select * from t order by id"),
        "1|new|a\n2|old|old\n4|four|d"
    );
}

/// A schema that stands before the catalogue in this login's path, and has what our statements name.
const CAPTURING: &str = "
create schema evil;
create domain evil.inet as text check (value = 'never');
create domain evil.text as pg_catalog.text check (value = 'never');
create function evil.told(bigint, bigint) returns boolean language plpgsql as $$ begin raise exception 'captured'; end $$;
create operator evil.= (leftarg = bigint, rightarg = bigint, function = evil.told);
create function evil.told(text, text) returns boolean language plpgsql as $$ begin raise exception 'captured'; end $$;
create operator evil.= (leftarg = pg_catalog.text, rightarg = pg_catalog.text, function = evil.told);
create operator evil.> (leftarg = bigint, rightarg = bigint, function = evil.told);
create function evil.unnest(anyarray) returns setof anyelement language plpgsql as $$ begin raise exception 'captured'; end $$;
create function evil.record_image_ne(record, record) returns boolean language plpgsql as $$ begin raise exception 'captured'; end $$;
create table t (id bigint primary key, ip inet, name text);
insert into t values (1, '10.0.0.1', 'old'), (2, '10.0.0.2', 'old');
do $$ begin execute format('alter database %I set search_path = evil, pg_catalog, public', current_database()); end $$;
";

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_in_the_path_captures_nothing_of_ours() {
    let (url, site) = database(CAPTURING).await;
    let rows = [row(1, "10.0.0.9/32", "one"), row(3, "10.0.0.3/32", "three")];
    let applied = apply(
        &site,
        job(&table(&site, "t").await, 1_000),
        fields(&rows, 9),
    )
    .await
    .unwrap();
    assert_eq!(applied.rejected, []);
    assert_eq!((applied.changes.updated, applied.changes.added), (1, 1));
    let enacted = enact(
        &site,
        vec![
            Change::Update {
                row: tuple(&row(2, "10.0.0.8/32", "two")),
                here: hash(&tuple(&row(2, "10.0.0.2/32", "old"))),
            },
            insert(&row(4, "10.0.0.4/32", "four")),
        ],
    )
    .await;
    assert_eq!(enacted.rejected, []);
    assert_eq!((enacted.changes.updated, enacted.changes.added), (1, 1));
    assert_eq!(
        postgres::query(
            &url,
            "set search_path = public; select * from t order by id"
        ),
        "1|10.0.0.9|one\n2|10.0.0.8|two\n3|10.0.0.3|three\n4|10.0.0.4|four"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_trigger_raises_refuses_the_row_whatever_its_code() {
    for (body, reason) in [
        (
            "raise exception 'not this one' using errcode = 'undefined_table'",
            "not this one",
        ),
        (
            "raise exception 'not this one' using errcode = 'insufficient_privilege'",
            "not this one",
        ),
        (
            "raise exception 'not this one' using errcode = 'lock_not_available'",
            "not this one",
        ),
        (
            "insert into gone values (new.id)",
            "relation \"gone\" does not exist",
        ),
        (
            "new.name = gone(new.name)",
            "function gone(text) does not exist",
        ),
        ("new.missing = 1", "record \"new\" has no field \"missing\""),
    ] {
        let schema = format!(
            "create table t (id bigint primary key, name text);
             create function refuse() returns trigger language plpgsql as $$ begin {body}; return new; end $$;
             create trigger refusing before insert on t for each row when (new.id in (2, 5)) execute function refuse()"
        );
        let (url, site) = database(&schema).await;
        let rows: Vec<(i64, Option<&str>)> = (1..=3).map(|id| (id, Some("x"))).collect();
        let straight = apply(
            &site,
            job(&table(&site, "t").await, 1_000),
            stream(Int8, &rows, 9),
        );
        let mut rejected = straight.await.unwrap().rejected;
        let staged = apply(
            &site,
            job(&table(&site, "t").await, 1_000),
            stream(Int8, &rows, 9),
        );
        rejected.extend(staged.await.unwrap().rejected);
        let named = |id: i64| vec![Some(id.to_be_bytes().to_vec()), Some(b"x".to_vec())];
        let changes = [4, 5, 6].map(|id| insert(&named(id))).into();
        rejected.extend(enact(&site, changes).await.rejected);
        assert_eq!(ids(&rejected), ["2", "2", "5"], "{body}");
        for row in rejected {
            assert!(row.reason.starts_with(reason), "{}", row.reason);
        }
        assert_eq!(
            postgres::query(&url, "select id from t order by id"),
            "1\n3\n4\n6",
            "{body}"
        );
    }
}
