//! What the catalogue tells of nasty schemas.

use evenkeel::engine::driver::{Driver, RowCount};
use evenkeel::model::table::{NeutralType, TableName};
use sqlx::{Connection, Executor};

use super::{database, driver};
use crate::engine::work::table;
use crate::support::mariadb;

const NASTY: &str = r#"
create table `odd "name". here` (
  `Id` bigint auto_increment primary key,
  `a.b` varchar(40) character set latin1 collate latin1_bin not null unique,
  `we``ird` json,
  checked longtext check (json_valid(checked)),
  plain longtext check (char_length(plain) < 10),
  flag tinyint(1) not null default 0,
  small tinyint unsigned,
  big bigint unsigned,
  amount decimal(12,2) not null,
  at datetime(3),
  seen timestamp(6) null,
  ref uuid not null unique,
  code char(3) not null collate utf8mb4_bin unique,
  mood enum('sad', 'it''s ok') not null unique,
  marks bit(5),
  place point,
  secret int invisible default 3,
  twice decimal(14,2) generated always as (amount * 2) stored,
  half int as (small / 2) virtual,
  maybe int unique,
  body text,
  unique key prefix (body(10)),
  unique key pair (flag, maybe)
) character set utf8mb4;
create table days (day date not null, n int not null, primary key (day, n)) partition by hash (n) partitions 2;
insert into days select '2020-02-02', seq from seq_1_to_50;
create table child (id int primary key, parent bigint, day date, n int,
  constraint up foreign key (parent) references `odd "name". here` (`Id`) on delete cascade,
  constraint calendar foreign key (day, n) references days2 (day, n) on delete set null,
  constraint own foreign key (n) references child (id));
create trigger stamped before insert on child for each row set new.n = new.n;
create trigger stamped_too after update on child for each row set @x = 1;
create trigger on_delete before delete on child for each row set @x = 1;
create table old_style (id int primary key) engine = MyISAM;
create sequence numbers;
create table kept (id int primary key) with system versioning;
create view seen as select 1 as one;
create table `Days` (id int primary key);
analyze table days;
"#;

fn nasty() -> String {
    format!("create table days2 (day date not null, n int not null, primary key (day, n)); {NASTY}")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_columns_and_keys_of_a_nasty_table_are_described_as_they_are() {
    let (_, site) = database(&nasty());
    let odd = table(&site, "\"odd \"\"name\"\". here\"").await;
    let column = |name: &str| odd.column(name).unwrap_or_else(|| panic!("{name}"));
    let (id, amount, code) = (column("Id"), column("amount"), column("code"));
    assert!(id.identity && id.has_default && !id.nullable && id.kind == NeutralType::Int8);
    assert_eq!(
        (amount.kind, amount.precision, amount.scale),
        (NeutralType::Numeric, Some(12), Some(2))
    );
    assert!(!amount.nullable && !amount.has_default);
    assert_eq!((code.kind, code.length), (NeutralType::Text, Some(3)));
    assert_eq!(column("a.b").length, Some(40));
    for (name, kind, native) in [
        ("we`ird", NeutralType::Json, "json"),
        ("checked", NeutralType::Json, "json"),
        ("plain", NeutralType::Text, "longtext"),
        ("flag", NeutralType::Bool, "tinyint(1)"),
        ("small", NeutralType::Int2, "tinyint(3) unsigned"),
        ("big", NeutralType::Numeric, "bigint(20) unsigned"),
        ("at", NeutralType::Timestamp, "datetime(3)"),
        ("seen", NeutralType::Timestamptz, "timestamp(6)"),
        ("ref", NeutralType::Uuid, "uuid"),
        ("mood", NeutralType::Other, "enum('sad','it''s ok')"),
        ("marks", NeutralType::Other, "bit(5)"),
        ("place", NeutralType::Other, "point"),
        ("secret", NeutralType::Int4, "int(11)"),
    ] {
        assert_eq!(
            (column(name).kind, column(name).native.as_str()),
            (kind, native),
            "{name}"
        );
    }
    assert_eq!(
        (column("big").precision, column("big").scale),
        (Some(20), Some(0))
    );
    assert_eq!(
        (column("at").precision, column("seen").precision),
        (Some(3), None)
    );
    assert!(column("flag").has_default && column("secret").has_default);
    assert!(column("twice").generated && column("half").generated);
    assert!(!column("twice").has_default);
    assert_eq!(odd.primary_key.as_ref().unwrap().columns, ["Id"]);
    let mut unique: Vec<(String, bool)> = odd
        .unique
        .iter()
        .map(|key| (key.columns.join(","), key.folded))
        .collect();
    unique.sort_unstable();
    let expected = [
        ("a.b", true),
        ("code", false),
        ("flag,maybe", false),
        ("maybe", false),
        ("mood", false),
        ("ref", false),
    ];
    assert_eq!(
        unique,
        expected.map(|(columns, folded)| (columns.to_owned(), folded)),
        "no prefix makes a key, and a collation that pads folds"
    );
    let usable: Vec<&str> = odd
        .usable_keys()
        .map(|key| key.columns[0].as_str())
        .collect();
    assert!(!usable.contains(&"maybe") && !usable.contains(&"flag"));
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_every_kind_are_described_as_they_are() {
    let (url, site) = database(&nasty());
    let tables = site.tables().await.unwrap();
    let names: Vec<String> = tables.iter().map(|table| table.name.to_string()).collect();
    assert_eq!(
        names,
        [
            "Days",
            "child",
            "days",
            "days2",
            "kept",
            "\"odd \"\"name\"\". here\"",
            "old_style"
        ]
    );

    let child = table(&site, "child").await;
    assert_eq!(child.triggers, ["on_delete", "stamped", "stamped_too"]);
    let keys: Vec<(String, String, &str)> = child
        .foreign_keys
        .iter()
        .map(|key| {
            (
                format!(
                    "{}({})",
                    key.columns.join(","),
                    key.foreign_columns.join(",")
                ),
                key.table.to_string(),
                key.on_delete.as_str(),
            )
        })
        .collect();
    let odd = "\"odd \"\"name\"\". here\"";
    let expected = [
        ("day,n(day,n)", "days2", "set null"),
        ("n(id)", "child", "restrict"),
        ("parent(Id)", odd, "cascade"),
    ];
    let expected = expected.map(|(columns, to, rule)| (columns.to_owned(), to.to_owned(), rule));
    assert_eq!(keys, expected);

    let days = table(&site, "days").await;
    assert_eq!(days.row_estimate, Some(50));
    assert!(days.size_bytes.unwrap() >= 16_384 && days.not_writable.is_none());
    assert_eq!(days.primary_key.unwrap().columns, ["day", "n"]);
    assert_eq!(table(&site, "Days").await.columns.len(), 1);
    let refused = table(&site, "old_style").await.not_writable.unwrap();
    assert!(refused.contains("MyISAM"), "{refused}");
    for absent in ["DAYS", "seen", "numbers", "mysql.user"] {
        let found = site.table(&absent.parse().unwrap()).await.unwrap();
        assert!(found.is_none(), "{absent}");
    }

    let other = mariadb::shared().database();
    mariadb::query(&other, "create table orders (id int primary key)");
    let (own, other) = (name_of(&url), name_of(&other));
    let both = driver(&url, &[own, other]);
    let qualified = format!("{other}.orders");
    assert_eq!(table(&both, &qualified).await.name.to_string(), qualified);
    assert!(
        site.table(&qualified.parse().unwrap())
            .await
            .unwrap()
            .is_none()
    );
    let long_way = format!("{own}.child").parse().unwrap();
    assert!(
        both.table(&long_way).await.unwrap().is_none(),
        "matching is exact"
    );
    assert_eq!(both.tables().await.unwrap().len(), names.len() + 1);
}

fn name_of(url: &str) -> &str {
    url.rsplit('/').next().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_read_sees_the_same_tables() {
    let (url, site) = database(&nasty());
    let schema = name_of(&url);
    mariadb::query(
        &url,
        &format!(
            "create user if not exists onlooker@'127.0.0.1'; grant select on {schema}.* to onlooker@'127.0.0.1'"
        ),
    );
    let onlooker = driver(&url.replace("root@", "onlooker@"), &[]);
    let mut expected = site.tables().await.unwrap();
    for table in &mut expected {
        // Triggers are shown to who may make some; `doctor` says so.
        table.triggers.clear();
    }
    assert_eq!(onlooker.tables().await.unwrap(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_counted_up_to_a_bound_and_estimated_beyond() {
    let schema = "create table t (id int primary key); insert into t select seq from seq_1_to_100; analyze table t";
    let (_, site) = database(schema);
    let t = TableName::bare("t");
    let counted = site.count(&t, 100).await.unwrap();
    assert_eq!(
        counted,
        RowCount {
            rows: 100,
            exact: true
        }
    );
    let estimated = site.count(&t, 70).await.unwrap();
    assert!(!estimated.exact && (70..=200).contains(&estimated.rows));
    let err = site.count(&TableName::bare("none"), 10).await.unwrap_err();
    assert!(err.to_string().contains("none"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_table_does_not_hold_up_the_catalogue() {
    let (url, site) = database("create table t (id int primary key)");
    let mut holder = sqlx::MySqlConnection::connect(&url).await.unwrap();
    holder
        .execute(sqlx::raw_sql("lock tables t write"))
        .await
        .unwrap();
    assert_eq!(site.tables().await.unwrap().len(), 1);
}
