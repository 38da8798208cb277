//! The rights that `docs/mariadb.md` names are enough: to give, to receive, and to make tables. What too few rights keep
//! from being read keeps nothing else from being seen.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use crate::support::database::{Database, Kind};
use crate::support::pair::Pair;

const SHOP: &str = "
create table customers (id int primary key, name text not null);
create table orders (id int primary key, customer int not null, total decimal(9,2),
    foreign key (customer) references customers (id));
insert into customers values (1, 'anna'), (2, 'bert');
insert into orders values (1, 2, 12.50), (2, 1, 3.00)";

/// The page's statements that end with one of these remarks, for a database of a test.
fn granted(remarks: &[&str], account: &str, name: &str) -> String {
    let page = include_str!("../../../docs/mariadb.md");
    let (_, block) = page.split_once("```sql\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let wanted = |line: &&str| {
        line.starts_with("create user") || remarks.iter().any(|remark| line.ends_with(remark))
    };
    let lines: Vec<&str> = block.lines().filter(wanted).collect();
    assert_eq!(lines.len(), remarks.len() + 1, "{block}");
    lines
        .join("\n")
        .replace("evenkeel@localhost", account)
        .replace("identified by '...'", "")
        .replace("shop.*", &format!("{name}.*"))
}

/// A new account of the page, with the rights of these lines only, as `site.database` names it.
fn account(database: &Database, remarks: &[&str]) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let user = format!("least{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let url = database.url();
    let name = url.rsplit('/').next().unwrap();
    database.execute(&granted(remarks, &format!("{user}@'127.0.0.1'"), name));
    url.replace("root@", &format!("{user}@"))
}

#[test]
fn the_grants_of_the_page_are_enough_to_give_to_make_tables_and_to_receive() {
    let source = Database::with(Kind::Mariadb, SHOP);
    let destination = Database::empty(Kind::Mariadb);
    let giver = account(&source, &["-- to give"]);
    let taker = account(
        &destination,
        &["-- to give", "-- to receive", "-- for --create"],
    );
    let pair = Pair::builder(source, destination)
        .giver("site.database", giver)
        .taker("site.database", taker)
        .start();
    let made = pair
        .pull(&["orders", "customers", "--create", "--yes"])
        .completed();
    assert_eq!(made.changes(), (4, 0, 0), "{made:#?}");
    pair.source
        .execute("update orders set total = 4 where id = 2");
    let again = pair.pull(&["orders", "customers"]).completed();
    assert_eq!(again.changes(), (0, 1, 0), "{again:#?}");
    for site in [&pair.giver, &pair.taker] {
        let doctor = site.cli(&["doctor"]).stdout;
        let missed = doctor.lines().find(|line| line.contains("right"));
        assert!(missed.is_none_or(|line| line.starts_with("ok")), "{doctor}");
    }
}

#[test]
fn a_granted_table_that_may_not_be_read_is_listed_without_its_rows() {
    let source = Database::with(
        Kind::Postgres,
        "create table bare (id int primary key);
         create table plain (id int primary key);
         insert into plain values (1), (2);
         do $$ begin create role reader login; exception when duplicate_object then null; end $$;
         grant select on plain to reader",
    );
    let giver = source.url().replace("postgres@", "reader@");
    let pair = Pair::builder(source, Database::empty(Kind::Postgres))
        .giver("site.database", giver)
        .start();
    let listed = pair.taker.cli(&["--json", "tables", "berlin"]);
    let rows: Vec<(Value, Value)> = listed
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .map(|table: Value| (table["table"].clone(), table["peer"]["rows"].clone()))
        .collect();
    let expected = [("bare".into(), Value::Null), ("plain".into(), 2.into())];
    assert_eq!(rows, expected, "{listed:#?}");
}
