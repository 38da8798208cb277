//! A signed sender that does not keep to the row filter of a session: nothing outside it is deleted or written.

use serde_json::{Map, Value, json};

use crate::support::daemon::Site;
use crate::support::impostor::Impostor;
use crate::support::pair::{connect, connection};
use crate::support::retelling::{Retelling, Retold};
use crate::support::{sqlite, wait};

const THERE: &str = "create table orders (id integer primary key, shop text, v integer);
    insert into orders values (1, 'Mitte', 1), (2, 'Mitte', 2), (50, 'Ost', 999);
    create table copies (id integer primary key, shop text, v integer);
    insert into copies select * from orders;";
/// Rows of another shop, which are none of the peer's business.
const HERE: &str = "create table orders (id integer primary key, shop text, v integer);
    insert into orders values (1, 'Mitte', 0), (50, 'West', 5), (51, 'West', 6);
    create table copies (id integer primary key, shop text, v integer);";

fn term(column: &str, op: &str, value: Value) -> Value {
    json!({"column": column, "op": op, "value": value})
}

/// The filter of every pull.
fn asked() -> Value {
    term("shop", "=", json!("Mitte"))
}

/// Each of a session's tables, where it is opened and not renewed.
fn each(told: &mut Value, alter: impl Fn(&mut Map<String, Value>)) {
    let tables = told["tables"].as_array_mut().into_iter().flatten();
    tables.filter_map(Value::as_object_mut).for_each(alter);
}

fn says(told: &mut Value, scope: &Value) {
    each(told, |table| {
        table.insert("scope".to_owned(), scope.clone());
    });
}

const HONEST: Retold = |_| {};
const LEAVES_THE_FILTER_OUT: Retold = |asked| {
    each(asked, |table| drop(table.remove("filter")));
};
const SAYS_NO_SCOPE: Retold = |told| {
    each(told, |table| drop(table.remove("scope")));
};
const SAYS_THE_FILTER: Retold = |told| says(told, &asked());

#[test]
fn a_signed_sender_that_does_not_keep_to_the_filter_has_nothing_written_or_deleted() {
    let giving = Site::builder("berlin").sqlite(|path| sqlite::execute(path, THERE));
    let impostor = Impostor::before(giving.port());
    let giver = giving.with("site.url", impostor.url()).start();
    let taking = Site::builder("paris").sqlite(|path| sqlite::execute(path, HERE));
    let listening = Impostor::before(taking.port());
    let taker = taking.reached_at(&listening.url()).start();
    let few = term("v", "<", json!(5_000));
    let grant = json!({"tables": "*", "row_filter": {"orders": few, "copies": few}});
    connect(&giver, &taker, &grant);
    let pull = |table: &str, mode: &str, (asks, answers): (Retold, Retold)| {
        let how = Retelling::new(listening.token(), asks, answers);
        impostor.retell("open-session", how);
        let id = connection(&taker, "berlin")["id"].clone();
        let target = format!("/connections/{}/pull", id.as_str().unwrap());
        let tables = json!([{"source_table": table, "row_filter": asked()}]);
        let order = json!({"sync_mode": mode, "tables": tables});
        let run = taker.post(&target, &order).expect(201).json();
        let run = format!("/runs/{}", run["id"].as_str().unwrap());
        wait::until("the run is over", wait::LONG, || {
            Some(taker.get(&run)).filter(|run| !run["completed_at"].is_null())
        })
    };
    let here = |table: &str| {
        let all = format!("select group_concat(id || shop || v) from {table}");
        sqlite::query(&taker.site_database(), &all)
    };
    let left_out = "does not keep to the row filter of";
    for (name, table, mode, lie, words) in [
        (
            "no scope is told",
            "orders",
            "mirror",
            (HONEST, SAYS_NO_SCOPE),
            left_out,
        ),
        (
            "another scope is told",
            "orders",
            "mirror",
            (HONEST, |told| {
                says(told, &term("shop", "in", json!(["Mitte", "West"])));
            }),
            left_out,
        ),
        (
            "rows outside are picked",
            "orders",
            "upsert",
            (LEAVES_THE_FILTER_OUT, SAYS_THE_FILTER),
            "the row filter leaves out, by its shop",
        ),
        (
            "rows outside are picked for a mirror",
            "orders",
            "mirror",
            (LEAVES_THE_FILTER_OUT, SAYS_THE_FILTER),
            "the row filter leaves out, by its shop",
        ),
        (
            "rows outside are copied",
            "copies",
            "upsert",
            (LEAVES_THE_FILTER_OUT, SAYS_THE_FILTER),
            "the row filter leaves out, by its shop",
        ),
        (
            "rows outside what is said to be granted",
            "orders",
            "upsert",
            (HONEST, |told| {
                says(told, &json!({"and": [asked(), term("v", "<", json!(2))]}));
            }),
            "the row filter leaves out, by its v",
        ),
    ] {
        let before = here(table);
        let run = pull(table, mode, lie);
        assert_eq!(here(table), before, "{name}: {run:#}");
        assert_eq!(run["error"]["code"], "peer_nonsense", "{name}: {run:#}");
        let message = run["error"]["message"].as_str().unwrap();
        assert!(message.contains(words), "{name}: {message}");
    }
    for table in ["orders", "copies"] {
        let run = pull(table, "mirror", (HONEST, HONEST));
        assert_eq!(run["status"], "completed", "{run:#}");
    }
    assert_eq!(here("orders"), "1Mitte1,2Mitte2,50West5,51West6");
    assert_eq!(here("copies"), "1Mitte1,2Mitte2");
}
