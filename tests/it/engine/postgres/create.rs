//! Making tables against a real server.

use evenkeel::engine::driver::{Driver, NewTable};
use evenkeel::engine::postgres::PostgresDriver;
use evenkeel::model::table::{Engine, ForeignKey, TableName};

use super::database;
use crate::engine::work::{copy, table};

const SOURCE: &str = "
create type mood as enum ('ok');
create table shop (id bigint generated always as identity primary key, name varchar(40) not null unique);
create table orders (
  id serial primary key, shop bigint not null references shop on delete cascade, total numeric(12,2) default 0,
  at timestamptz(3), tags int[], net inet, mood mood, bits bit(8), doubled int generated always as (1) stored,
  note text, flag boolean, raw bytea, day date, ref uuid, j json, jb jsonb, f4 real, f8 double precision, s smallint);
insert into shop (name) values ('a');
insert into orders (shop, tags, net, mood, bits) values (1, '{1,2}', '10.0.0.1', 'ok', B'10101010');
";

async fn new_tables(source: &PostgresDriver, names: &[&str]) -> Vec<NewTable> {
    let mut tables = Vec::new();
    for name in names {
        tables.push(NewTable {
            table: table(source, name).await,
            source: Engine::Postgres,
        });
    }
    tables
}

#[tokio::test(flavor = "multi_thread")]
async fn created_tables_keep_keys_widths_and_foreign_keys_and_take_the_rows() {
    let (_, source) = database(SOURCE).await;
    let (_, site) = database("").await;
    let tables = new_tables(&source, &["shop", "orders"]).await;
    let left_out = site
        .plan_creation(&tables)
        .await
        .unwrap()
        .left_out
        .join("\n");
    for words in [
        "orders.doubled",
        "orders.total: its default",
        "public.mood becomes text",
    ] {
        assert!(left_out.contains(words), "{words}: {left_out}");
    }
    site.create(&tables).await.unwrap();
    let (shop, orders) = (table(&site, "shop").await, table(&site, "orders").await);
    assert!(shop.column("id").unwrap().identity && orders.column("id").unwrap().identity);
    assert_eq!(shop.column("name").unwrap().length, Some(40));
    assert_eq!(orders.column("bits").unwrap().native, "bit(8)");
    assert_eq!(shop.unique[0].columns, ["name"]);
    assert_eq!(orders.foreign_keys[0].table, TableName::bare("shop"));
    assert_eq!(orders.foreign_keys[0].on_delete, "cascade");
    let total = orders.column("total").unwrap();
    assert_eq!(
        (total.precision, total.scale, total.has_default),
        (Some(12), Some(2), false)
    );
    assert_eq!(orders.column("tags").unwrap().native, "integer[]");
    assert_eq!(orders.column("net").unwrap().native, "inet");
    assert_eq!(orders.column("at").unwrap().precision, Some(3));
    assert_eq!(copy(&source, &site, "shop").await.changes.added, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_key_to_a_table_that_is_not_here_is_left_out() {
    let (_, source) = database(SOURCE).await;
    let (_, site) = database("").await;
    let tables = new_tables(&source, &["orders"]).await;
    let left_out = site
        .plan_creation(&tables)
        .await
        .unwrap()
        .left_out
        .join("\n");
    assert!(
        left_out.contains("to shop, which does not exist here"),
        "{left_out}"
    );
    site.create(&tables).await.unwrap();
    assert!(table(&site, "orders").await.foreign_keys.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn all_tables_are_made_or_none_and_bad_names_never() {
    let (_, source) = database(SOURCE).await;
    let (_, site) = database("create table orders (id int)").await;
    assert!(
        site.create(&new_tables(&source, &["shop", "orders"]).await)
            .await
            .is_err()
    );
    assert!(
        site.table(&TableName::bare("shop"))
            .await
            .unwrap()
            .is_none()
    );
    for name in ["", "a\nb", &"x".repeat(64)] {
        let mut bad = new_tables(&source, &["shop"]).await;
        bad[0].table.columns[0].name = name.to_owned();
        assert!(site.create(&bad).await.is_err(), "{name:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_types_of_a_stranger_do_nothing_but_name() {
    let (_, source) = database(SOURCE).await;
    let (_, site) = database("create table victim (id int primary key)").await;
    let mut tables = new_tables(&source, &["orders"]).await;
    let stranger = &mut tables[0].table;
    stranger.name = TableName::bare("x\"; drop table victim; --");
    stranger.columns[4].native = "pg_class".into();
    stranger.columns[5].native = "inet); drop table victim; --".into();
    stranger.foreign_keys = vec![ForeignKey {
        columns: vec!["id".into()],
        table: TableName::bare("victim"),
        foreign_columns: vec!["id".into()],
        on_delete: "cascade; drop table victim".into(),
    }];
    let left_out = site
        .plan_creation(&tables)
        .await
        .unwrap()
        .left_out
        .join("\n");
    assert!(left_out.contains("what it does on delete"), "{left_out}");
    site.create(&tables).await.unwrap();
    let made = site.table(&tables[0].table.name).await.unwrap().unwrap();
    assert_eq!(
        (
            made.columns[4].native.as_str(),
            made.columns[5].native.as_str()
        ),
        ("text", "text")
    );
    assert_eq!(made.foreign_keys[0].on_delete, "no action");
    assert!(
        site.table(&TableName::bare("victim"))
            .await
            .unwrap()
            .is_some()
    );
}
