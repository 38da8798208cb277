//! What the catalogue tells of nasty schemas.

use evenkeel::engine::driver::{Driver, RowCount};
use evenkeel::model::finding::TablesInUse;
use evenkeel::model::table::{NeutralType, TableName};
use sqlx::{Connection, Executor};

use super::{database, driver};
use crate::engine::work::table;
use crate::support::postgres;

const NASTY: &str = r#"
create extension citext;
create domain cents as numeric(12,2) not null;
create domain price as cents check (value >= 0);
create type mood as enum ('sad', 'ok');
create collation folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
create table "odd ""name"". here" (
  "Id" bigint generated always as identity primary key,
  "a.b" varchar(40) not null unique,
  gone int,
  amount price,
  code char(3) default 'x',
  mood mood,
  tags int[],
  at timestamp(3),
  twice numeric generated always as (amount * 2) stored,
  serial_number serial,
  late int unique deferrable initially deferred,
  part int,
  folded_text text collate folded unique,
  mail citext unique
);
alter table "odd ""name"". here" drop column gone;
create unique index on "odd ""name"". here" (part) where part > 0;
create unique index on "odd ""name"". here" (lower(code));
create unique index on "odd ""name"". here" (part) include (amount);
create table days (day date not null, n int not null, primary key (day, n)) partition by range (day);
create table days_1 partition of days for values from ('2020-01-01') to ('2021-01-01');
insert into days select '2020-02-02', g from generate_series(1, 50) g;
create table child (id int primary key, parent bigint references "odd ""name"". here" on delete cascade,
  day date, n int, foreign key (day, n) references days on delete set null);
create table base (id int primary key);
create table derived () inherits (base);
create function stamp() returns trigger language plpgsql as 'begin return new; end';
create trigger stamped before insert or update on child for each row execute function stamp();
create trigger off before insert on child for each row execute function stamp();
create trigger on_delete before delete on child for each row execute function stamp();
create trigger on_part before insert on days_1 for each row execute function stamp();
alter table child disable trigger off;
create schema sales;
create table sales.orders (id int primary key);
create view seen as select 1 as one;
analyze;
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_columns_and_keys_of_a_nasty_table_are_described_as_they_are() {
    let (_, site) = database(NASTY).await;
    let odd = table(&site, "\"odd \"\"name\"\". here\"").await;
    let column = |name: &str| odd.column(name).unwrap_or_else(|| panic!("{name}"));
    let (id, amount, code) = (column("Id"), column("amount"), column("code"));
    assert!(id.identity && id.has_default && !id.nullable && id.kind == NeutralType::Int8);
    assert_eq!(
        (amount.kind, amount.precision, amount.scale),
        (NeutralType::Numeric, Some(12), Some(2))
    );
    assert!(!amount.nullable, "a domain that is not null");
    assert_eq!(amount.native, "public.price");
    assert_eq!(
        (code.kind, code.length, code.has_default),
        (NeutralType::Text, Some(3), true)
    );
    assert_eq!(column("a.b").length, Some(40));
    assert_eq!(
        (column("mood").kind, column("mood").native.as_str()),
        (NeutralType::Other, "public.mood")
    );
    assert_eq!(
        (column("tags").kind, column("tags").native.as_str()),
        (NeutralType::Other, "integer[]")
    );
    assert_eq!(
        (column("at").kind, column("at").precision),
        (NeutralType::Timestamp, Some(3))
    );
    assert!(column("twice").generated && !column("twice").has_default);
    assert!(column("serial_number").identity);
    assert!(odd.column("gone").is_none());
    assert_eq!(odd.primary_key.as_ref().unwrap().columns, ["Id"]);
    let mut unique: Vec<(&str, bool)> = odd
        .unique
        .iter()
        .map(|key| (key.columns[0].as_str(), key.folded))
        .collect();
    unique.sort_unstable();
    assert_eq!(
        unique,
        [
            ("a.b", false),
            ("folded_text", true),
            ("mail", true),
            ("part", false)
        ]
    );
    assert!(odd.unique.iter().all(|key| key.columns.len() == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_every_kind_are_described_as_they_are() {
    let (url, site) = database(NASTY).await;
    let tables = site.tables().await.unwrap();
    let names: Vec<String> = tables.iter().map(|table| table.name.to_string()).collect();
    assert_eq!(
        names,
        [
            "base",
            "child",
            "days",
            "derived",
            "\"odd \"\"name\"\". here\""
        ]
    );

    let child = table(&site, "child").await;
    assert_eq!(child.triggers, ["on_delete", "stamped"]);
    assert_eq!(child.foreign_keys[0].table.name, "odd \"name\". here");
    assert_eq!(child.foreign_keys[0].on_delete, "cascade");
    assert_eq!(child.foreign_keys[1].foreign_columns, ["day", "n"]);
    assert_eq!(child.foreign_keys[1].on_delete, "set null");
    assert_eq!(child.foreign_keys.len(), 2);

    let days = table(&site, "days").await;
    assert_eq!(
        (days.row_estimate, days.triggers.as_slice()),
        (Some(50), ["on_part".to_owned()].as_slice())
    );
    assert!(days.size_bytes.unwrap() > 8_192 && days.not_writable.is_none());
    assert_eq!(days.primary_key.unwrap().columns, ["day", "n"]);
    assert!(
        table(&site, "base")
            .await
            .not_writable
            .unwrap()
            .contains("inherit")
    );

    let both = driver(&url, &["public", "sales"]).await;
    assert_eq!(
        table(&both, "sales.orders").await.name.to_string(),
        "sales.orders"
    );
    assert!(
        site.table(&"sales.orders".parse().unwrap())
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        both.table(&"public.child".parse().unwrap())
            .await
            .unwrap()
            .is_none(),
        "matching is exact"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_under_an_exclusive_lock_does_not_hold_up_the_catalogue() {
    let (url, site) = database("create table t (id int primary key)").await;
    let mut holder = sqlx::PgConnection::connect(&url).await.unwrap();
    holder
        .execute(sqlx::raw_sql(
            "begin; lock table t in access exclusive mode",
        ))
        .await
        .unwrap();
    assert_eq!(site.tables().await.unwrap()[0].size_bytes, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_counted_up_to_a_bound_and_estimated_beyond() {
    let schema = "create table t (id int primary key); insert into t select generate_series(1, 100); analyze t";
    let (url, site) = database(schema).await;
    let t = TableName::bare("t");
    assert_eq!(
        site.count(&t, 100).await.unwrap(),
        RowCount {
            rows: 100,
            exact: true
        }
    );
    postgres::query(&url, "insert into t select generate_series(101, 150)");
    assert_eq!(
        site.count(&t, 120).await.unwrap(),
        RowCount {
            rows: 120,
            exact: false
        }
    );
    assert!(
        site.count(&TableName::bare("none"), 10)
            .await
            .unwrap_err()
            .to_string()
            .contains("none")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_check_names_triggers_missing_rights_and_tables_without_a_key() {
    let (url, _) = database(
        "create table t (id int primary key); create table keyless (x int);
         create function f() returns trigger language plpgsql as 'begin return new; end';
         create trigger stamped before insert on t for each row execute function f();
         create table hidden (id int primary key); alter table hidden enable row level security;
         do $$ begin create role clerk login; exception when duplicate_object then null; end $$;
         grant select on t, hidden to clerk; grant insert, update on hidden to clerk",
    )
    .await;
    let clerk = driver(&url.replace("postgres@", "clerk@"), &["public", "absent"]).await;
    assert!(clerk.version().await.unwrap().starts_with("PostgreSQL 1"));
    let tables = ["t", "keyless"].map(TableName::bare);
    let used = TablesInUse {
        given: tables.clone().into(),
        received: tables.into(),
    };
    let findings = clerk.check(&used).await.unwrap();
    let words = |ok: bool| {
        let kept = findings.iter().filter(|finding| finding.ok == ok);
        kept.map(|finding| finding.what.as_str())
            .collect::<Vec<_>>()
            .join("\n")
    };
    for bad in [
        "absent",
        "to read keyless",
        "to write keyless, t, which receive rows",
        "rows of hidden",
    ] {
        assert!(words(false).contains(bad), "{bad}: {}", words(false));
    }
    for good in [
        "clerk is no superuser",
        "table t has triggers that fire when rows arrive: stamped",
        "no usable key: keyless; only a mirror keeps such tables",
    ] {
        assert!(words(true).contains(good), "{good}: {}", words(true));
    }
    assert!(
        findings
            .iter()
            .all(|finding| finding.ok == finding.hint.is_none())
    );
}
