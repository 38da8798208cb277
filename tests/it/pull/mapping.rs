//! Tables that go elsewhere: another name here, other columns, another key, from each engine and to each.

use serde_json::{Value, json};

use crate::support::daemon::Site;
use crate::support::database::{CHAIN, Database, KINDS, Kind};
use crate::support::pair::{Pair, changes, connect, connection};

const SHOP: &str = "
create table shops (id integer primary key, name varchar(40) not null);
insert into shops values (1, 'mitte'), (2, 'wedding');
create table orders (
    id bigint primary key, code varchar(20) not null unique, shop integer references shops (id),
    total numeric(10,2), secret varchar(40));
insert into orders values
    (1, 'A-1', 1, 10.50, 'private'), (2, 'A-2', 2, 20.25, 'private'), (3, 'much too long', 1, null, 'private');
";

fn field(source: &str, here: &str) -> Value {
    json!({"source_column": source, "destination_field": here})
}

fn pair(from: Kind, to: Kind, here: &str) -> Pair {
    Pair::builder(Database::with(from, SHOP), Database::with(to, here)).start()
}

/// The run's error, or null.
fn fault(run: &Value) -> (&str, &str) {
    let error = &run["error"];
    let text = |key: &str| error[key].as_str().unwrap_or_default();
    (text("code"), text("message"))
}

#[test]
fn mapped_columns_arrive_under_their_names_here_and_others_stay() {
    let here = "create table berlin_orders (
            label varchar(10) not null unique, nr bigint primary key, amount numeric(10,2), checked boolean default true);
        insert into berlin_orders values ('A-1', 1, 9.00, false);";
    let order = json!({"tables": [{
        "source_table": "orders", "destination_table": "berlin_orders",
        "field_mapping": [field("id", "nr"), field("code", "label"), field("total", "amount")],
    }]});
    for (from, to) in CHAIN {
        let pair = pair(from, to, here);
        let run = pair.pull_as(&order);
        assert_eq!(run["status"], "completed_with_errors", "{run:#}");
        assert_eq!(changes(&run), (1, 1, 0), "{from:?} to {to:?}");
        let rows = "select label, nr, amount, case when checked then 1 else 0 end from berlin_orders order by nr";
        let expected = match to {
            Kind::Postgres | Kind::Mariadb => "A-1|1|10.50|0\nA-2|2|20.25|1",
            Kind::Sqlite => "A-1|1|10.5|0\nA-2|2|20.25|1",
        };
        assert_eq!(pair.destination.query(rows), expected);

        // Run, history and quarantine name the table, its key and its columns as they are called here.
        let id = run["id"].as_str().unwrap();
        assert_eq!(run["tables"][0]["table"], "berlin_orders");
        let errors = pair.taker.get(&format!("/runs/{id}/errors"));
        let row = &errors["items"][0];
        assert_eq!(row["table"], "berlin_orders", "{row:#}");
        assert_eq!(
            (&row["key"], &row["column"]),
            (&json!({"nr": "3"}), &json!("label"))
        );
        let received = pair.taker.get("/transfers");
        assert_eq!(received["items"][0]["table"], "berlin_orders");
        let sent = pair.giver.get("/transfers");
        assert_eq!(sent["items"][0]["table"], "orders");

        let again = pair.pull_as(&order);
        assert_eq!(changes(&again), (0, 0, 0), "{from:?} to {to:?}");
    }
}

#[test]
fn a_table_that_is_missing_is_made_under_its_name_here_and_its_foreign_keys_follow() {
    let order = json!({"create_missing": true, "tables": [
        {"source_table": "orders", "destination_table": "berlin_orders", "field_mapping": [
            {"source_column": "id", "destination_field": "nr", "type_cast": "int4"},
            field("code", "code"),
            field("shop", "branch"),
        ]},
        {"source_table": "shops", "destination_table": "branches"},
    ]});
    for (from, to) in CHAIN {
        let pair = pair(from, to, "select 1");
        let id = connection(&pair.taker, "berlin")["id"].clone();
        let target = format!("/connections/{}/creation", id.as_str().unwrap());
        let plan = pair
            .taker
            .post(&target, &json!({"tables": order["tables"]}));
        let plan = plan.expect(200).json()["statements"].to_string();
        assert!(plan.contains("berlin_orders"), "{plan}");

        let run = pair.pull_as(&order);
        assert_eq!(run["status"], "completed", "{run:#}");
        assert_eq!(changes(&run), (5, 0, 0));
        let here = &pair.destination;
        assert_eq!(here.primary_key("berlin_orders"), "nr");
        assert_eq!(
            here.foreign_keys("berlin_orders"),
            "branch branches (id)",
            "{from:?} to {to:?}"
        );
        let types = here.column_types("berlin_orders");
        let first = types.lines().next().unwrap_or_default();
        assert!(
            first.to_lowercase().starts_with("nr int"),
            "{from:?} to {to:?}: {types}"
        );
        assert_eq!(types.lines().count(), 3);
        let rows = "select nr, code, branch from berlin_orders order by nr";
        assert_eq!(here.query(rows), "1|A-1|1\n2|A-2|2\n3|much too long|1");
        assert_eq!(changes(&pair.pull_as(&order)), (0, 0, 0));
    }
}

#[test]
fn one_source_may_fill_two_tables_and_one_table_has_one_source() {
    let here = "create table one (id integer primary key, name varchar(40));
                create table two (id integer primary key, name varchar(40));";
    let pair = pair(Kind::Postgres, Kind::Sqlite, here);
    let to = |here: &str| json!({"source_table": "shops", "destination_table": here});
    let run = pair.pull_as(&json!({"tables": [to("one"), to("two")]}));
    assert_eq!(run["status"], "completed", "{run:#}");
    assert_eq!(
        (pair.destination.count("one"), pair.destination.count("two")),
        (2, 2)
    );

    let orders = json!({"source_table": "orders", "destination_table": "one"});
    let refused = pair.ask(&json!({"tables": [to("two"), to("one"), orders]}));
    let errors = refused.expect(422).json()["errors"].clone();
    assert_eq!(errors[0]["field"], "tables[2]", "{errors}");
    assert!(
        errors[0]["message"]
            .to_string()
            .contains("one would be written twice")
    );
}

#[test]
fn of_one_source_that_fills_two_tables_each_is_guarded_and_fails_by_itself() {
    let here = "create table one (id integer primary key, name varchar(40));
                create table two (id integer primary key, name varchar(40));
                insert into one values (9, x'ff');
                with recursive n (i) as (select 1 union all select i + 1 from n where i < 40)
                insert into two select i, 'ours' from n;";
    let pair = pair(Kind::Postgres, Kind::Sqlite, here);
    let to = |here: &str| json!({"source_table": "shops", "destination_table": here});
    let mirror = |first: &str, second: &str| {
        pair.pull_as(&json!({"sync_mode": "mirror", "tables": [to(first), to(second)]}))
    };
    // Whichever comes first, and though the other has a fault of its own.
    for (first, second) in [("one", "two"), ("two", "one")] {
        let run = mirror(first, second);
        assert_eq!(run["status"], "failed", "{run:#}");
        let (code, message) = fault(&run);
        assert_eq!(code, "invalid", "{run:#}");
        for words in [
            "38 of 40 rows",
            "shops fills two tables",
            "order them apart",
        ] {
            assert!(message.contains(words), "{message}");
        }
        assert_eq!(pair.destination.count("two"), 40);
        for told in [&run, &run["tables"][0], &run["tables"][1]] {
            assert_eq!(told["changes"]["deleted"], 0, "{run:#}");
        }
        let transfers = pair.taker.get("/transfers");
        let mut transfers = transfers["items"].as_array().unwrap().iter();
        assert!(transfers.all(|transfer| transfer["status"] == "failed"));
    }
    pair.destination.execute("delete from two where id > 2");
    let run = mirror("one", "two");
    let (code, message) = fault(&run);
    assert_eq!(
        (code, &run["status"]),
        ("unreadable_value", &json!("failed"))
    );
    assert!(message.contains("table one"), "{message}");
    assert_eq!(run["tables"][1]["proved_equal"], true, "{run:#}");
    let rows = "select id, name from two order by id";
    assert_eq!(pair.destination.query(rows), "1|mitte\n2|wedding");
}

#[test]
fn two_writers_are_told_apart_by_the_table_they_write() {
    let here = "create table ours (id integer primary key, name varchar(40));
                create table theirs (id integer primary key, name varchar(40));";
    let pair = pair(Kind::Sqlite, Kind::Postgres, here);
    let other = Database::with(Kind::Sqlite, SHOP);
    let madrid = Site::builder("madrid").database(&other.url()).start();
    connect(&madrid, &pair.taker, &json!({"tables": "*"}));
    let to = |here: &str| json!({"tables": [{"source_table": "shops", "destination_table": here}]});
    assert_eq!(pair.pull_as(&to("ours"))["status"], "completed");

    let id = connection(&pair.taker, "madrid")["id"].clone();
    let target = format!("/connections/{}/pull", id.as_str().unwrap());
    let refused = pair.taker.post(&target, &to("ours")).expect(409).text();
    assert!(
        refused.contains("table ours") && refused.contains("berlin"),
        "{refused}"
    );
    pair.taker.post(&target, &to("theirs")).expect(201);
}

#[test]
fn rows_are_matched_by_the_key_that_is_asked_for() {
    let here = "create table orders (
            id bigint primary key, code varchar(20) not null unique, shop integer, total numeric(10,2), secret varchar(40));
        insert into orders values (101, 'A-1', 9, 0, ''), (102, 'A-2', 9, 0, '');";
    for to in KINDS {
        let pair = pair(Kind::Postgres, to, here);
        let by_code = |key: &str| {
            json!({"sync_mode": "update", "tables": [{"source_table": "orders", "primary_key": key,
                "field_mapping": [field("code", "code"), field("shop", "shop")]}]})
        };
        let run = pair.pull_as(&by_code("code"));
        assert_eq!(run["status"], "completed", "{run:#}");
        assert_eq!(changes(&run), (0, 2, 1));
        let rows = "select id, code, shop from orders order by id";
        assert_eq!(pair.destination.query(rows), "101|A-1|1\n102|A-2|2");

        let run = pair.pull_as(&by_code("shop"));
        let (code, message) = fault(&run);
        assert_eq!((code, &run["status"]), ("no_key", &json!("failed")));
        assert!(message.contains("`primary_key` (shop)"), "{message}");
    }
}

#[test]
fn what_a_mapping_cannot_do_is_refused_by_name_before_any_row() {
    let here = "create table orders (id bigint primary key, code varchar(20), shop integer);";
    let pair = pair(Kind::Postgres, Kind::Sqlite, here);
    for (mapping, expected, words) in [
        (Value::Null, "missing_column", "total, secret"),
        (
            json!([field("id", "id"), field("sekret", "code")]),
            "unknown_column",
            "no column sekret",
        ),
        (
            json!([field("id", "id"), field("secret", "secret")]),
            "missing_column",
            "secret is mapped to secret",
        ),
        (
            json!([field("id", "id"), field("code", "shop")]),
            "kind_mismatch",
            "column shop",
        ),
        (json!([field("code", "code")]), "no_key", "here: (id)"),
    ] {
        let tables = json!([{"source_table": "orders", "field_mapping": mapping}]);
        let run = pair.pull_as(&json!({"tables": tables}));
        let (code, message) = fault(&run);
        assert_eq!(code, expected, "{run:#}");
        assert!(message.contains(words), "{message}");
    }
    assert_eq!(pair.destination.count("orders"), 0);
    for (table, words) in [
        (json!({"destination_table": "a"}), "source_table"),
        (
            json!({"source_table": "a", "field_mapping": [field("x", "y"), field("z", "y")]}),
            "destination field y",
        ),
    ] {
        let refused = pair.ask(&json!({"tables": [table]})).expect(422).text();
        assert!(
            refused.contains(words) && refused.contains("tables[0]"),
            "{refused}"
        );
    }
}
