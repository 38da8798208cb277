//! Row filters as each engine evaluates them, against what a filter says of a row in the row layout.
//!
//! Random rows of edge values and random filters over them; each engine's values are spelled in every form it stores.

use std::collections::BTreeSet;

use evenkeel::engine::driver::{Flow, Page, RowFilter, RowOrder, Selection};
use evenkeel::engine::error::EngineError;
use evenkeel::model::filter::Filter;
use evenkeel::model::table::{NeutralType, Table};
use evenkeel::wire::scope::{Condition, Scope};
use proptest::prelude::Rng;
use proptest::test_runner::TestRunner;

use super::{KINDS, Row, Site, row};
use crate::support::database::Kind;

const ROWS: u32 = 400;
const FILTERS: u32 = 200;

/// A line per column: name, declaration and values as the engine writes them.
const POSTGRES: &str = r"
b; boolean; true ~ false
i2; smallint; -32768 ~ 0 ~ 7 ~ 32767
i8; bigint; -9223372036854775808 ~ -1 ~ 7 ~ 9223372036854775807
f4; real; 'NaN' ~ 'Infinity' ~ '-0' ~ 0.1 ~ 1e38 ~ 1.1754944e-38
f8; float8; 'NaN' ~ '-Infinity' ~ '-0' ~ 0.1 ~ 1e300 ~ '5e-324'
n; numeric; 'NaN' ~ 'Infinity' ~ 0.10 ~ 0.1 ~ 12345678901234567890.123456789 ~ -1e-20 ~ 0
n2; numeric(12,2); 0.1 ~ -5 ~ 12345.67
t; text; 'a' ~ 'A' ~ 'a ' ~ '' ~ 'é' ~ e'e\u0301' ~ 'it''s \'
v; varchar(8) collate folded; 'a' ~ 'A' ~ 'a ' ~ 'é'
c; char(4); 'a' ~ 'A' ~ '' ~ 'é'
p; bpchar; 'a' ~ 'a ' ~ ''
s; short; 'a' ~ 'A'
d; date; '2013-02-28' ~ '0044-03-15 BC' ~ 'infinity'
tm; time; '00:00' ~ '24:00' ~ '10:00:00.000001'
ts; timestamp; '2013-02-28 10:00:00' ~ '-infinity' ~ '0044-03-15 10:00:00 BC'
tz; timestamptz; '2013-02-28 12:00:00+02' ~ 'infinity' ~ '0044-03-15 10:00:00+00 BC'
x; bytea; '\x00ff' ~ '\x' ~ 'a'
u; uuid; '00000000-0000-0000-0000-000000000abc' ~ 'ffffffff-ffff-ffff-ffff-ffffffffffff'
j; jsonb; '{}' ~ 'null'
o; mood; 'sad' ~ 'glad'
r; duo; row(null, null)::duo ~ row(1, 2)::duo";

/// The same for SQLite, where a value may be stored in several forms.
const SQLITE: &str = r"
b; boolean; 1 ~ 0
i2; smallint; -32768 ~ 0 ~ 7 ~ 32767
i8; bigint; -9223372036854775808 ~ -1 ~ 7 ~ 9223372036854775807
f4; float4; 9e999 ~ 0.1 ~ 0.10000000149011612 ~ 1e38 ~ 3
f8; real; -9e999 ~ -0.0 ~ 0.1 ~ 1e300 ~ 5e-324 ~ 3
n; decimal text; 'NaN' ~ '0.10' ~ '0.1' ~ '12345678901234567890.123456789' ~ '-1e-20' ~ '0'
n2; decimal(12,2); 0.1 ~ -5 ~ 12345.67 ~ 0.1 + 0.2
t; text; 'a' ~ 'A' ~ 'a ' ~ '' ~ 'é' ~ 'e' || char(769) ~ 'it''s \' ~ 'a' || char(0)
v; varchar(8) collate nocase; 'a' ~ 'A' ~ 'a ' ~ 'é' ~ 7
c; char(4) collate rtrim; 'a' ~ 'a ' ~ ''
p; clob; 'a' ~ 'a ' ~ ''
s; text; 'a' ~ 'A'
d; date; '2013-02-28' ~ '0044-03-15 BC'
tm; time; '00:00:00' ~ '10:00:00.000001'
ts; datetime; '2013-02-28T10:00:00' ~ '2013-02-28 10:00:00.000' ~ '2013-02-28 10:00:01'
tz; timestamptz; '2013-02-28 12:00:00+02' ~ '2013-02-28T10:00:00Z' ~ '2013-02-28 10:00:00'
x; blob; x'00ff' ~ x'' ~ x'61'
u; uuid; '00000000-0000-0000-0000-000000000abc' ~ 'FFFFFFFFffffffffffffffffffffffff' ~ x'00000000000000000000000000000abc'
j; json text; '{}' ~ 'null'
o; mood; 'sad' ~ 'glad' ~ 7 ~ 7.5
r; ; '(,)' ~ '(1,2)'";

/// The same for MariaDB, which knows neither NaN nor infinities nor years before Christ.
const MARIADB: &str = r"
b; boolean; true ~ false
i2; smallint; -32768 ~ 0 ~ 7 ~ 32767
i8; bigint; -9223372036854775808 ~ -1 ~ 7 ~ 9223372036854775807
f4; float; -0e0 ~ 0.1 ~ 1e38 ~ 3
f8; double; -0e0 ~ 0.1 ~ 1e300 ~ 5e-324
n; decimal(60,30); 0.10 ~ 0.1 ~ 12345678901234567890.123456789 ~ -1e-20 ~ 0
n2; decimal(12,2); 0.1 ~ -5 ~ 12345.67
t; longtext; 'a' ~ 'A' ~ 'a ' ~ '' ~ 'é' ~ concat('e', _utf8mb4 x'CC81') ~ 'it''s \' ~ concat('a', x'00')
v; varchar(8) collate utf8mb4_general_ci; 'a' ~ 'A' ~ 'a ' ~ 'é'
c; char(4); 'a' ~ 'A' ~ '' ~ 'é'
p; varchar(8) character set latin1; 'a' ~ 'a ' ~ '' ~ 'é'
s; tinytext; 'a' ~ 'A'
d; date; '2013-02-28' ~ '1000-01-01'
tm; time(6); '00:00' ~ '10:00:00.000001'
ts; datetime(6); '2013-02-28 10:00:00' ~ '2013-02-28 10:00:01'
tz; timestamp(6) null; '2013-02-28 10:00:00' ~ '2013-02-28 12:00:00'
x; longblob; x'00ff' ~ x'' ~ 'a'
u; uuid; '00000000-0000-0000-0000-000000000abc' ~ 'ffffffff-ffff-ffff-ffff-ffffffffffff'
j; json; '{}' ~ 'null'
o; enum('sad', 'glad'); 'sad' ~ 'glad'
r; varchar(8); '(,)' ~ '(1,2)'";

/// Values of each column as a filter writes them, some of which no row has; behind `ranges` also for those.
const WRITTEN: &str = r#"
b; ; true ~ false
i2; ranges; -32768 ~ 7 ~ "7" ~ 8 ~ 40000 ~ -9223372036854775808
i8; ranges; -9223372036854775808 ~ -1 ~ 0 ~ 9223372036854775807
f4; ranges; "NaN" ~ "-Infinity" ~ 0 ~ 0.1 ~ 0.1000000001 ~ 1e38 ~ 3
f8; ranges; "NaN" ~ "Infinity" ~ "-0" ~ 0.1 ~ 0.10000000149011612 ~ 1e300 ~ 5e-324
n; ranges; "NaN" ~ "-Infinity" ~ 0.1 ~ 0.100 ~ 12345678901234567890.123456789 ~ -1E-20 ~ 0
n2; ranges; 0.1 ~ -5.000 ~ 0.3 ~ 1e9 ~ 0.105
t; ; "a" ~ "A" ~ "a " ~ "" ~ "é" ~ "e\u0301" ~ "it's \\" ~ "a\u0000"
v; ; "a" ~ "A" ~ "a " ~ "é" ~ 7
c; ; "a" ~ "a " ~ "A" ~ "" ~ "a   "
p; ; "a" ~ "a " ~ ""
s; ; "a" ~ "much too long for its column"
d; ranges; "2013-02-28" ~ "0044-03-15 BC" ~ "infinity" ~ "0001-01-01"
tm; ranges; "00:00:00" ~ "24:00:00" ~ "10:00:00.000001"
ts; ranges; "2013-02-28T10:00:00" ~ "-infinity" ~ "0044-03-15 10:00:00 BC"
tz; ranges; "2013-02-28 10:00:00Z" ~ "2013-02-28 12:00:00.000+0200" ~ "0044-03-15 10:00:00Z BC"
x; ; "AP8=" ~ "" ~ "YQ=="
u; ; "00000000-0000-0000-0000-000000000ABC" ~ "{ffffffffffffffffffffffffffffffff}"
j; ;
o; ; "sad" ~ "SAD" ~ "7" ~ "7.5" ~ "no mood at all"
r; ; "(,)" ~ "(1,2)""#;

/// Three cells of a line, the last one split.
fn cells(table: &'static str) -> Vec<(&'static str, &'static str, Vec<&'static str>)> {
    let cells = |line: &'static str| {
        let (name, rest) = line.split_once(';').expect("three cells");
        let (word, values) = rest.split_once(';').expect("three cells");
        let values = values.split('~').map(str::trim);
        (
            name,
            word.trim(),
            values.filter(|value| !value.is_empty()).collect(),
        )
    };
    table.trim().lines().map(cells).collect()
}

struct Random(TestRunner);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        let random = self.0.rng().next_u32();
        usize::try_from(random).unwrap() % limit
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// One condition, as JSON.
    fn condition(&mut self) -> String {
        let written = cells(WRITTEN);
        let (column, ranges, values) = self.one(&written);
        let what = if values.is_empty() { 0 } else { self.below(6) };
        let rest = match what {
            0 => format!(r#""is_null","value":{}"#, self.below(2) == 0),
            1 | 2 if *ranges == "ranges" => {
                let op = self.one(&["<", "<=", ">", ">="]);
                format!(r#""{op}","value":{}"#, self.one(values))
            }
            1..=3 => {
                let listed: Vec<&str> = (0..=self.below(4)).map(|_| *self.one(values)).collect();
                format!(r#""in","value":[{}]"#, listed.join(","))
            }
            _ => format!(r#""=","value":{}"#, self.one(values)),
        };
        format!(r#"{{"column":"{column}","op":{rest}}}"#)
    }

    fn filter(&mut self) -> String {
        let count = 1 + self.below(3);
        let conditions: Vec<String> = (0..count).map(|_| self.condition()).collect();
        format!(r#"{{"and":[{}]}}"#, conditions.join(","))
    }
}

fn filled(kind: Kind, random: &mut Random) -> String {
    let (pools, before) = match kind {
        Kind::Postgres => (
            cells(POSTGRES),
            "create collation folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
             create domain short as varchar(3);
             create type mood as enum ('sad', 'glad');
             create type duo as (a integer, b integer);",
        ),
        Kind::Sqlite => (cells(SQLITE), ""),
        Kind::Mariadb => (cells(MARIADB), ""),
    };
    let columns: Vec<String> = pools
        .iter()
        .map(|(name, declared, _)| format!("\"{name}\" {declared}"))
        .collect();
    let mut sql = format!(
        "{before} create table w (id bigint primary key, {});
         create index w_v on w (\"v\"); create index w_i8 on w (\"i8\"); begin;",
        columns.join(", ")
    );
    for id in 0..ROWS {
        let values: Vec<&str> = pools
            .iter()
            .map(|(_, _, values)| match random.below(5) {
                0 => "null",
                _ => random.one(values),
            })
            .collect();
        sql.push_str(&format!(
            "insert into w values ({id}, {});",
            values.join(", ")
        ));
    }
    sql + "commit;"
}

async fn read(site: &Site, selection: Selection) -> Result<Vec<Row>, EngineError> {
    let mut stream = site.driver.read(selection).await?;
    let mut rows = Vec::new();
    loop {
        match stream.recv().await.expect("the stream is not cut")? {
            Flow::End => return Ok(rows),
            Flow::Rows(batch) => rows.extend(batch.tuples().map(|tuple| row(tuple.unwrap()))),
        }
    }
}

fn selection(table: &Table, scope: Scope) -> Selection {
    Selection {
        table: table.name.clone(),
        columns: table
            .columns
            .iter()
            .map(|column| (column.name.clone(), column.kind))
            .collect(),
        rows: RowFilter::All,
        scope,
        order: RowOrder::Found,
        page: None,
    }
}

fn scope(table: &Table, filter: &str) -> Scope {
    let filter = Filter::from_json(filter).unwrap();
    let kind = |name: &str| table.column(name).map(|column| column.kind);
    Scope::new(&filter, kind).unwrap_or_else(|err| panic!("{err}: {filter:?}"))
}

fn id(row: &Row) -> i64 {
    i64::from_be_bytes(row[0].as_deref().unwrap().try_into().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_engine_finds_exactly_the_rows_that_a_filter_means() {
    for kind in KINDS {
        let mut random = Random(TestRunner::deterministic());
        let site = Site::with(kind, &filled(kind, &mut random)).await;
        let table = site.table("w").await;
        let all = read(&site, selection(&table, Scope::default()))
            .await
            .unwrap();
        assert_eq!(all.len(), usize::try_from(ROWS).unwrap());
        let columns = table.columns.iter();
        let names: Vec<String> = columns.map(|column| column.name.clone()).collect();
        let (mut some, mut most) = (0, 0);
        for _ in 0..FILTERS {
            let filter = random.filter();
            let scope = scope(&table, &filter);
            let checks = scope.checks(&names);
            assert_eq!(checks.len(), scope.conditions().len());
            let meant = |row: &&Row| {
                let holds = |(at, condition): &(usize, Condition)| {
                    condition.holds(row[*at].as_deref()).unwrap()
                };
                checks.iter().all(holds)
            };
            let meant: BTreeSet<i64> = all.iter().filter(meant).map(id).collect();
            let found = read(&site, selection(&table, scope))
                .await
                .unwrap_or_else(|err| panic!("{kind:?} {filter}: {err}"));
            let found: BTreeSet<i64> = found.iter().map(id).collect();
            assert_eq!(found, meant, "{kind:?} {filter}");
            some += u32::from(!meant.is_empty());
            most += u32::from(meant.len() > 100);
        }
        // The filters are neither all empty nor all wide.
        assert!(some > FILTERS / 2 && most > 20, "{kind:?}: {some}, {most}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_and_a_page_go_together_and_need_not_send_what_they_ask_about() {
    let table = "create table w (id bigint primary key, t varchar(8), d date);
        insert into w values (1, 'a', '2013-01-01'), (2, 'b', null), (3, 'a', '2013-01-02'), (4, 'a', '2013-01-03'),
            (5, 'a', '2013-01-04'), (6, 'a', null);";
    for kind in KINDS {
        let site = Site::with(kind, table).await;
        let w = site.table("w").await;
        let filter = r#"{"and":[{"column":"t","op":"=","value":"a"},{"column":"d","op":">","value":"2013-01-01"}]}"#;
        let mut selection = selection(&w, scope(&w, filter));
        selection.columns.truncate(1);
        let ids = |rows: Vec<Row>| rows.iter().map(id).collect::<Vec<_>>();
        let found = ids(read(&site, selection.clone()).await.unwrap());
        assert_eq!(found, [3, 4, 5], "{kind:?}");
        for (limit, offset, expected) in
            [(2, 1, &[4, 5][..]), (1, 0, &[3]), (9, 3, &[]), (0, 0, &[])]
        {
            let mut page = selection.clone();
            page.page = Some(Page {
                order_by: vec!["id".to_owned()],
                limit,
                offset,
            });
            assert_eq!(ids(read(&site, page).await.unwrap()), expected, "{kind:?}");
        }
        // The table is another by the time it is read.
        let other = Filter::from_json(r#"{"column":"t","op":"=","value":1}"#).unwrap();
        selection.scope = Scope::new(&other, |_| Some(NeutralType::Int8)).unwrap();
        let changed = read(&site, selection).await;
        assert!(matches!(changed, Err(EngineError::SchemaChanged(_))));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_is_none_of_its_type_ends_a_read_that_asks_about_it() {
    let sql =
        "create table w (id integer primary key, d date); insert into w values (7, 'yesterday');";
    let site = Site::with(Kind::Sqlite, sql).await;
    let w = site.table("w").await;
    let filter = scope(&w, r#"{"column":"d","op":">","value":"2013-01-01"}"#);
    let mut selection = selection(&w, filter);
    selection.columns.truncate(1);
    match read(&site, selection).await {
        Err(EngineError::Unreadable { key, column, .. }) => {
            assert_eq!((key.as_str(), column.as_str()), ("id=7", "d"));
        }
        other => panic!("{other:?}"),
    }
}
