//! Making tables against a real server.

use evenkeel::engine::driver::{Driver, NewTable};
use evenkeel::engine::mysql::MysqlDriver;
use evenkeel::model::table::{Engine, ForeignKey, TableName, UniqueKey};

use super::{database, driver};
use crate::engine::work::{copy, table};
use crate::support::mariadb;

const SOURCE: &str = "
create table shop (id bigint auto_increment primary key, name varchar(40) not null unique);
create table orders (
  id int auto_increment primary key, shop bigint not null, total decimal(12,2) default 0, at datetime(3),
  seen timestamp(6) null, big bigint unsigned unique, net inet6, mood enum('ok','it''s'), bits bit(8), place point,
  doubled int generated always as (id * 2), note text, code char(3), flag tinyint(1), raw varbinary(9), day date, tm time(6),
  ref uuid, j json, f4 float, f8 double, s smallint unsigned, y year, words varchar(300),
  foreign key (shop) references shop (id) on delete cascade);
create trigger watch before insert on orders for each row set new.note = new.note;
insert into shop (name) values ('a');
insert into orders (shop, total, at, seen, big, net, mood, bits, place, note, code, flag, raw, day, tm, ref, j, f4, f8, s, y, words)
  values (1, 1.50, '2024-02-29 12:00:00.123', '2024-02-29 12:00:00.123456', 18446744073709551615, '::1', 'it''s', b'101',
    point(1, 2), 'größe', 'x', 1, x'00ff', '2024-02-29', '24:00:00', '6a2f41a3-c54c-4ce8-b2d2-0324e1c32e22', '{\"a\": 1.0}', 0.1,
    0.1, 65535, 2024, 'w');
";

async fn new_tables(source: &MysqlDriver, names: &[&str]) -> Vec<NewTable> {
    let mut tables = Vec::new();
    for name in names {
        tables.push(NewTable {
            table: table(source, name).await,
            source: Engine::Mysql,
        });
    }
    tables
}

async fn left_out(site: &MysqlDriver, tables: &[NewTable]) -> String {
    site.plan_creation(tables)
        .await
        .unwrap()
        .left_out
        .join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn created_tables_keep_keys_widths_and_foreign_keys_and_take_the_rows() {
    let (_, source) = database(SOURCE);
    let (to, site) = database("");
    // Children first: foreign keys wait until all tables are there.
    let tables = new_tables(&source, &["orders", "shop"]).await;
    let left_out = left_out(&site, &tables).await;
    for words in [
        "orders.doubled: a generated column",
        "orders.total: its default",
        "orders.mood: the type enum('ok','it''s') becomes text",
        "orders: its triggers watch",
    ] {
        assert!(left_out.contains(words), "{words}: {left_out}");
    }
    site.create(&tables).await.unwrap();
    let (shop, orders) = (table(&site, "shop").await, table(&site, "orders").await);
    assert!(shop.column("id").unwrap().identity && orders.column("id").unwrap().identity);
    assert_eq!(shop.unique[0].columns, ["name"]);
    assert_eq!(orders.foreign_keys[0].table, TableName::bare("shop"));
    assert_eq!(orders.foreign_keys[0].on_delete, "cascade");
    for (column, native) in [
        ("total", "decimal(12,2)"),
        ("at", "datetime(6)"),
        ("seen", "datetime(6)"),
        ("big", "bigint(20) unsigned"),
        ("net", "inet6"),
        ("mood", "longtext"),
        ("bits", "bit(8)"),
        ("place", "point"),
        ("code", "varchar(3)"),
        ("raw", "longblob"),
        ("ref", "uuid"),
        ("j", "json"),
        ("s", "int(11)"),
        ("words", "varchar(300)"),
    ] {
        assert_eq!(orders.column(column).unwrap().native, native);
    }
    assert_eq!(
        mariadb::query(
            &to,
            "select distinct engine, table_collation from information_schema.tables where table_schema = database()"
        ),
        "InnoDB|utf8mb4_bin"
    );
    for name in ["shop", "orders"] {
        assert_eq!(copy(&source, &site, name).await.changes.added, 1, "{name}");
        assert_eq!(
            copy(&source, &site, name).await.changes.updated,
            0,
            "{name}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_keys_need_a_parent_of_the_same_types_and_collation() {
    let (_, source) = database(
        "create table p (id bigint primary key, code varchar(9) not null unique) collate utf8mb4_bin;
         create table c (id int primary key, p bigint, code varchar(20) collate utf8mb4_bin,
           foreign key (p) references p (id) on delete set null, foreign key (code) references p (code))",
    );
    for (parent, made, why) in [
        ("", 0, "which does not exist here"),
        (
            "create table p (id bigint primary key, code varchar(9) collate utf8mb4_bin not null unique)",
            2,
            "",
        ),
        (
            "create table p (id bigint unsigned primary key, code varchar(9) collate utf8mb4_bin unique)",
            1,
            "(p) to p, whose columns",
        ),
        (
            "create table p (id bigint primary key, code varchar(9) collate utf8mb4_general_ci unique)",
            1,
            "(code) to p, whose columns",
        ),
        (
            "create table p (id bigint, code varchar(9) collate utf8mb4_bin)",
            0,
            "whose columns",
        ),
        (
            "create table p (id bigint primary key, code varchar(9) unique) engine = aria",
            0,
            "which does not exist here",
        ),
    ] {
        let (_, site) = database(parent);
        let tables = new_tables(&source, &["c"]).await;
        let told = left_out(&site, &tables).await;
        assert!(told.contains(why), "{why}: {told}");
        site.create(&tables).await.unwrap();
        let found = table(&site, "c").await.foreign_keys;
        assert_eq!(found.len(), made, "{parent}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_point_to_each_other_and_to_themselves_are_made() {
    let (_, source) = database(
        "create table a (id int primary key, b int, up int, foreign key (up) references a (id));
         create table b (id int primary key, a int, foreign key (a) references a (id));
         alter table a add foreign key (b) references b (id)",
    );
    let (_, site) = database("");
    site.create(&new_tables(&source, &["a", "b"]).await)
        .await
        .unwrap();
    assert_eq!(table(&site, "a").await.foreign_keys.len(), 2);
    assert_eq!(table(&site, "b").await.foreign_keys.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_fails_removes_what_it_made_and_says_so() {
    let (_, source) = database(
        "create table a (id int primary key, b int);
         create table b (id int primary key, a int, foreign key (a) references a (id));
         alter table a add foreign key (b) references b (id);
         create table c (id int primary key, a int, foreign key (a) references a (id))",
    );
    let (to, site) = database("");
    let schema = to.rsplit('/').next().unwrap();
    // The account may make all tables, and foreign keys of `a` and `b`, but none of `c`.
    let maker = format!("maker_{schema}@'127.0.0.1'");
    mariadb::query(
        &to,
        &format!(
            "create user {maker}; grant select, insert, create, drop on {schema}.* to {maker};
             grant create, alter on {schema}.a to {maker}; grant create, alter on {schema}.b to {maker}"
        ),
    );
    let site_of_maker = driver(&to.replace("root@", &format!("maker_{schema}@")), &[]);
    let tables = new_tables(&source, &["a", "b", "c"]).await;
    let err = site_of_maker.create(&tables).await.unwrap_err();
    assert!(err.to_string().contains("removed again: a, b, c"), "{err}");
    assert!(site.tables().await.unwrap().is_empty());
    // Without the right to remove them, they stay and are named.
    mariadb::query(&to, &format!("revoke drop on {schema}.* from {maker}"));
    let err = site_of_maker.create(&tables).await.unwrap_err();
    assert!(err.to_string().contains("still here: a ("), "{err}");
    assert_eq!(site.tables().await.unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_made_where_one_table_is_here_already_or_has_a_bad_name() {
    let (_, source) = database(SOURCE);
    for existing in [
        "create table orders (id int)",
        "create view orders as select 1 as id",
    ] {
        let (_, site) = database(existing);
        let err = site
            .create(&new_tables(&source, &["shop", "orders"]).await)
            .await
            .unwrap_err();
        assert!(err.to_string().contains("here already"), "{err}");
        let name = TableName::bare("shop");
        assert!(site.table(&name).await.unwrap().is_none());
    }
    let (_, site) = database("");
    for name in ["", "a\nb", "a ", "a😀", "NAME", &"x".repeat(64)] {
        let mut bad = new_tables(&source, &["shop"]).await;
        bad[0].table.columns[0].name = name.to_owned();
        assert!(site.create(&bad).await.is_err(), "{name:?}");
    }
    let mut elsewhere = new_tables(&source, &["shop"]).await;
    elsewhere[0].table.name = "mysql.shop".parse().unwrap();
    let err = site.create(&elsewhere).await.unwrap_err();
    assert!(err.to_string().contains("site.schemas"), "{err}");
    assert!(site.tables().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_types_of_a_stranger_do_nothing_but_name() {
    let (_, source) = database(SOURCE);
    let (_, site) = database("create table victim (id int primary key)");
    let mut tables = new_tables(&source, &["orders"]).await;
    let stranger = &mut tables[0].table;
    stranger.name = TableName::bare("x`; drop table victim; -- \\'\"");
    stranger.columns[0].name = "id`) ; drop table victim; --".into();
    stranger.primary_key = Some(UniqueKey {
        columns: vec![stranger.columns[0].name.clone()],
        folded: false,
    });
    for column in &mut stranger.columns {
        column.native = format!("{}) ; drop table victim; --", column.native);
    }
    stranger.unique.clear();
    stranger.foreign_keys = vec![ForeignKey {
        columns: vec![stranger.columns[0].name.clone()],
        table: TableName::bare("victim"),
        foreign_columns: vec!["id".into()],
        on_delete: "cascade; drop table victim".into(),
    }];
    let left_out = left_out(&site, &tables).await;
    assert!(left_out.contains("what it does on delete"), "{left_out}");
    site.create(&tables).await.unwrap();
    let made = site.table(&tables[0].table.name).await.unwrap().unwrap();
    assert_eq!(made.foreign_keys[0].on_delete, "restrict");
    assert!(
        site.table(&TableName::bare("victim"))
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_dropping_the_call_began_is_finished() {
    let (_, source) = database(SOURCE);
    let (to, site) = database("");
    let tables = new_tables(&source, &["shop", "orders"]).await;
    let create = site.create(&tables);
    let seen = async {
        // The first table is enough: nobody waits for the second.
        loop {
            let count =
                "select count(*) from information_schema.tables where table_schema = database()";
            if mariadb::query(&to, count) != "0" {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        result = create => result.unwrap(),
        () = seen => {}
    }
    crate::support::wait::until(
        "both tables and the foreign key",
        crate::support::wait::LONG,
        || {
            let keys = "select count(*) from information_schema.table_constraints
            where table_schema = database() and constraint_type = 'FOREIGN KEY'";
            (mariadb::query(&to, keys) == "1").then_some(())
        },
    );
}
