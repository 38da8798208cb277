//! A row filter in an order: exactly its rows travel, from each engine and to each.

use serde_json::{Value, json};

use crate::support::database::{CHAIN, Database, Kind};
use crate::support::pair::{Pair, changes, connection};

const SALES: &str = "
create table sales (
    id integer primary key, shop varchar(20), total decimal(12,2), day date, placed timestamp, paid boolean, note text);
insert into sales values
    (1, 'Berlin', 10.50, '2013-01-01', '2013-01-01 10:00:00', true, null),
    (2, 'berlin', 10.50, '2013-01-02', '2013-01-02 10:00:00', true, 'lower case'),
    (3, 'Berlin', 99.99, '2013-02-01', '2013-02-01 10:00:00.5', false, 'late'),
    (4, 'Berlin', null, null, null, null, null),
    (5, null, -1.00, '2012-12-31', '2012-12-31 23:59:59.999999', true, 'before'),
    (6, 'Berlin', 0.10, '2013-01-01', '2013-01-01 00:00:00', true, null);
";

const HERE: &str = "
create table sales (
    id integer primary key, shop varchar(20), total decimal(12,2), day date, placed timestamp, paid boolean, note text)";

/// What is here before: a row that the source has too, and one that it has not.
const OURS: &str =
    "delete from sales; insert into sales (id, note) values (2, 'ours'), (99, 'ours');";

/// What the others call a timestamp counts in UTC in MariaDB.
fn with(kind: Kind, sql: &str) -> Database {
    match kind {
        Kind::Mariadb => Database::with(kind, &sql.replace("timestamp", "datetime(6)")),
        _ => Database::with(kind, sql),
    }
}

fn term(column: &str, op: &str, value: Value) -> Value {
    json!({"column": column, "op": op, "value": value})
}

fn filtered(filter: &Value) -> Value {
    json!({"tables": [{"source_table": "sales", "row_filter": filter}]})
}

fn fault(run: &Value) -> (&str, &str) {
    let text = |key: &str| run["error"][key].as_str().unwrap_or_default();
    (text("code"), text("message"))
}

#[test]
fn exactly_the_rows_of_the_filter_arrive_and_nothing_else_is_touched() {
    let cases = [
        (term("shop", "=", json!("Berlin")), "1,3,4,6"),
        (
            term("shop", "in", json!(["Berlin", "berlin", "x"])),
            "1,2,3,4,6",
        ),
        (term("total", "=", json!(10.5)), "1,2"),
        (term("total", "<", json!("0.11")), "5,6"),
        (term("day", ">=", json!("2013-01-01")), "1,2,3,6"),
        (term("placed", ">", json!("2013-01-01T10:00:00")), "2,3"),
        (term("paid", "=", json!(false)), "3"),
        (term("note", "is_null", json!(true)), "1,4,6"),
        (term("note", "is_null", json!(false)), "2,3,5"),
        (
            json!({"and": [term("shop", "=", json!("Berlin")), term("total", "<=", json!(10.5))]}),
            "1,6",
        ),
        (term("shop", "=", json!("' or 1=1 --")), ""),
    ];
    for (from, to) in CHAIN {
        let pair = Pair::builder(with(from, SALES), with(to, HERE)).start();
        let ids = |where_: &str| {
            let ids = format!("select id from sales where {where_} order by id");
            pair.destination.query(&ids).replace('\n', ",")
        };
        for (filter, expected) in &cases {
            pair.destination.execute(OURS);
            let place = format!("{from:?} to {to:?}: {filter}");
            let run = pair.pull_as(&filtered(filter));
            assert_eq!(run["status"], "completed", "{place}: {run:#}");
            assert_eq!(ids("note is null or note <> 'ours'"), *expected, "{place}");
            assert_eq!(run["progress"]["rows_total"], Value::Null);
            let ids_of = expected.split(',').filter(|id| !id.is_empty());
            let sent = run["tables"][0]["rows_source"].as_u64();
            assert_eq!(sent, u64::try_from(ids_of.count()).ok(), "{place}");
            let kept = if expected.contains('2') { "99" } else { "2,99" };
            assert_eq!(ids("note = 'ours'"), kept, "{place}");
        }
        pair.pull_as(&filtered(&cases[0].0));
        let again = pair.pull_as(&filtered(&cases[0].0));
        assert_eq!(changes(&again), (0, 0, 0), "{from:?} to {to:?}");
    }
}

#[test]
fn a_filter_may_ask_about_a_column_that_does_not_travel() {
    let order = json!({"create_missing": true, "tables": [{
        "source_table": "sales", "destination_table": "berlin", "row_filter": term("shop", "=", json!("Berlin")),
        "field_mapping": [
            {"source_column": "id", "destination_field": "nr"},
            {"source_column": "total", "destination_field": "amount"},
        ],
    }]});
    for (from, to) in CHAIN {
        let pair = Pair::builder(with(from, SALES), Database::empty(to)).start();
        let run = pair.pull_as(&order);
        assert_eq!(run["status"], "completed", "{run:#}");
        let rows = pair.destination.query("select nr from berlin order by nr");
        assert_eq!(rows, "1\n3\n4\n6", "{from:?} to {to:?}");
    }
}

#[test]
fn a_filter_that_does_not_fit_the_source_is_refused_before_anything_is_made() {
    let pair = Pair::builder(
        Database::with(Kind::Postgres, SALES),
        Database::empty(Kind::Sqlite),
    )
    .start();
    for (filter, words) in [
        (
            term("shops", "=", json!("x")),
            "column shops: there is none",
        ),
        (term("shop", "<", json!("x")), "compares numbers and times"),
        (term("day", "=", json!("1.1.2013")), "column day"),
        (term("total", "=", json!("many")), "column total"),
    ] {
        let mut order = filtered(&filter);
        order["create_missing"] = true.into();
        let run = pair.pull_as(&order);
        let (code, message) = fault(&run);
        assert_eq!((code, &run["status"]), ("invalid_filter", &json!("failed")));
        assert!(message.contains(words), "{message}");
        assert!(pair.taker.log().len() < 100_000);
        let made = "select count(*) from sqlite_schema where name = 'sales'";
        assert_eq!(pair.destination.query(made), "0");
    }
    for filter in [json!({"or": []}), json!({"and": []}), json!("shop = 'x'")] {
        let refused = pair.ask(&filtered(&filter)).expect(422).json();
        let field = &refused["errors"][0]["field"];
        assert!(field.to_string().contains("tables[0]"), "{refused}");
    }
}

#[test]
fn a_number_in_a_filter_counts_with_every_digit() {
    let source = "create table n (id integer primary key, n decimal text);
        insert into n values (1, '0.12345678901234567890'), (2, '0.12345678901234567891');";
    let pair = Pair::builder(
        Database::with(Kind::Sqlite, source),
        Database::empty(Kind::Sqlite),
    )
    .start();
    let id = connection(&pair.taker, "berlin")["id"].clone();
    // As digits in the body: no reader on the way may take them for a double.
    let body = r#"{"create_missing": true, "tables": [{"source_table": "n",
        "row_filter": {"column": "n", "op": ">", "value": 0.1234567890123456789}}]}"#;
    let request = crate::support::http::Request::new(
        "POST",
        &format!("/api/v1/connections/{}/pull", id.as_str().unwrap()),
    )
    .header("authorization", &format!("Bearer {}", pair.taker.token()))
    .header("content-type", "application/json")
    .body(body.as_bytes().to_vec());
    let run = request.send(&pair.taker.admin_address()).unwrap();
    let run = run.expect(201).json();
    let run = pair.run_is(run["id"].as_str().unwrap(), "completed");
    assert_eq!(changes(&run), (1, 0, 0));
    assert_eq!(pair.destination.query("select id from n"), "2");
}

/// One table in two databases whose columns differ in type.
const TYPES_THERE: &str = "
create table t (id integer primary key, f8 float8, f4 real, u uuid, t timestamp, i integer, n numeric(12,2), w varchar(8));
insert into t values
    (1, 0.10000000149011612, 0.1, 'abcdef00-0000-4000-8000-000000000001', '2026-01-01 10:00:00', 7, 1.50, 'a'),
    (2, 0.0625, 0.5, 'abcdef00-0000-4000-8000-000000000002', '2026-02-01 10:00:00', 8, 2.00, 'b');";
const TYPES_HERE: &str = "
create table t (id bigint primary key, f8 real, f4 float8, u text, t text, i bigint, n numeric(20,4), w text);";

fn mirrored(filter: &Value) -> Value {
    let mut order = filtered(filter);
    order["tables"][0]["source_table"] = "t".into();
    order["sync_mode"] = "mirror".into();
    order
}

#[test]
fn a_mirror_is_refused_where_its_filter_means_other_rows_here() {
    let (there, here) = (
        Database::with(Kind::Postgres, TYPES_THERE),
        Database::with(Kind::Postgres, TYPES_HERE),
    );
    let pair = Pair::builder(there, here).start();
    let id = json!("ABCDEF00-0000-4000-8000-000000000001");
    let refused = [
        (
            term("f8", "<=", json!(0.1)),
            "f8, which is float8 at the source and float4 here",
        ),
        (
            term("f4", "=", json!(0.1)),
            "f4, which is float4 at the source and float8 here",
        ),
        (
            term("u", "=", id),
            "u, which is uuid at the source and text here",
        ),
        (
            term("t", "=", json!("2026-01-01T10:00:00")),
            "t, which is timestamp at the source and text here",
        ),
    ];
    for (filter, _) in &refused {
        let mut order = mirrored(filter);
        order["sync_mode"] = "upsert".into();
        assert_eq!(pair.pull_as(&order)["status"], "completed", "{filter}");
    }
    pair.pull(&["t"]).completed();
    let all = "select * from t order by id";
    let before = pair.destination.query(all);
    for (filter, words) in &refused {
        let run = pair.pull_as(&mirrored(filter));
        let (code, message) = fault(&run);
        assert_eq!(code, "kind_mismatch", "{run:#}");
        assert!(message.contains(words), "{message}");
        assert_eq!(pair.destination.query(all), before, "{filter}");
    }
    for filter in [
        term("f8", "<=", json!(0.5)),
        term("f4", ">=", json!(0.5)),
        term("u", "is_null", json!(false)),
        term("i", "in", json!([7, 9])),
        term("n", "<=", json!(1.5)),
        term("w", "=", json!("a")),
    ] {
        let run = pair.pull_as(&mirrored(&filter));
        assert_eq!(run["status"], "completed", "{filter}: {run:#}");
        assert_eq!(run["tables"][0]["proved_equal"], true, "{filter}: {run:#}");
        assert_eq!(
            (changes(&run), pair.destination.query(all)),
            ((0, 0, 0), before.clone())
        );
    }
}

#[test]
fn a_mirror_of_moments_in_utc_takes_a_filter_without_a_zone() {
    let there = "create table t (id integer primary key, z timestamptz);
        insert into t values (1, '2026-01-01 00:00:00Z'), (2, '2026-02-01 00:00:00Z')";
    let here = "create table t (id integer primary key, z datetime(6));
        insert into t values (1, '2026-01-01'), (3, '2026-02-01'), (4, '2025-02-01')";
    let (there, here) = (
        Database::with(Kind::Postgres, there),
        Database::with(Kind::Mariadb, here),
    );
    let pair = Pair::builder(there, here).start();
    let run = pair.pull_as(&mirrored(&term("z", ">=", json!("2026-01-15 00:00:00Z"))));
    let (code, message) = fault(&run);
    assert_eq!(code, "kind_mismatch", "{run:#}");
    assert!(
        message.contains("z, which is timestamptz at the source"),
        "{message}"
    );
    let run = pair.pull_as(&mirrored(&term("z", ">=", json!("2026-01-15 00:00:00"))));
    assert_eq!(run["status"], "completed", "{run:#}");
    assert_eq!(
        pair.destination.query("select id from t order by id"),
        "1\n2\n4"
    );
}
