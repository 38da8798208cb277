//! Sessions: `open-session`, `tally`, `pull-data` within one, `close-session`.

mod ends;
mod receipts;
mod whole;

use serde_json::{Value, json};

/// What both sides agree on of the table that these tests compare.
fn agreed() -> Value {
    json!({
        "columns": ["id", "name", "price"], "key": ["id"],
        "forms": ["integer", "same", {"scaled": 2}],
    })
}

const ROWS: u64 = 3_000;

/// A table of as many rows, in words that every engine takes.
fn items() -> String {
    let values: Vec<String> = (1..=ROWS)
        .map(|id| format!("({id}, 'item {id}', {}.{:02})", id % 90, id % 100))
        .collect();
    format!(
        "create table items (id integer primary key, name varchar(40) not null, price decimal(10,2));
         insert into items values {};
         create table empty (id integer primary key, name varchar(40));",
        values.join(", ")
    )
}
