//! The ways in which a source of any engine loses rows that nobody deleted.

use serde_json::{Value, json};

use super::Ends::{Well, With};
use super::Guard::{Open, Usual};
use super::{Case, Ends, STOCK, Scene, completes};

/// `stock` as it was.
pub(super) fn restore(scene: &mut Scene) {
    scene.execute(&format!(
        "drop table if exists stock; create table stock {STOCK}; insert into stock select * from kept"
    ));
}

fn all() -> Value {
    json!({"tables": "*"})
}

fn regrant(scene: &mut Scene) {
    scene.grant(&all());
}

fn filtered(filter: Value) -> Value {
    json!({"tables": "*", "row_filter": {"stock": filter}})
}

fn columns(table: &str, columns: Value) -> Value {
    json!({"tables": "*", "columns": {table: columns}})
}

/// Gives the rows of the north, by a column that is not to be seen.
fn grant_the_north(scene: &mut Scene, columns: &Value) {
    let mut grant = filtered(json!({"column": "city", "op": "=", "value": "north"}));
    grant["columns"] = json!({"stock": columns});
    scene.grant(&grant);
}

const HIDDEN: Ends = With(
    "hidden_rows",
    "which rows were deleted there cannot be told",
);
const CHANGED: Ends = With("needs_approval", "was changed since the last run");

/// Of tables and their rows.
pub(super) const GONE: [Case; 7] = [
    Case {
        name: "all rows are gone",
        guard: Open,
        spoil: |scene| scene.execute("delete from stock"),
        mend: restore,
        ends: With("needs_approval", "the source has no rows in scope"),
    },
    Case {
        name: "all of a few rows are gone",
        guard: Usual,
        spoil: |scene| scene.execute("delete from codes"),
        mend: |scene| {
            let (_, rows) = super::CODES.split_once(';').unwrap();
            scene.execute(rows);
        },
        ends: With("needs_approval", "the source has no rows in scope"),
    },
    Case {
        name: "half of the rows are gone",
        guard: Usual,
        spoil: |scene| scene.execute("delete from stock where city = 'north'"),
        mend: restore,
        ends: With("needs_approval", "60 of 120 rows would be deleted"),
    },
    Case {
        name: "the table is gone",
        guard: Open,
        spoil: |scene| scene.execute("drop table stock"),
        mend: restore,
        ends: With("unknown_table", "no table of this name"),
    },
    Case {
        name: "the table has another name, and its own is that of an empty one",
        guard: Open,
        spoil: |scene| {
            scene.execute(&format!(
                "alter table stock rename to older; create table stock {STOCK}"
            ));
        },
        mend: |scene| {
            scene.execute("drop table stock; alter table older rename to stock");
        },
        ends: With("needs_approval", "the source has no rows in scope"),
    },
    Case {
        name: "the table was made anew, and is being filled",
        guard: Usual,
        spoil: |scene| {
            scene.execute(&format!(
                "drop table stock; create table stock {STOCK}; insert into stock select * from kept where id <= 100"
            ));
        },
        mend: restore,
        ends: With("needs_approval", "20 of 120 rows would be deleted"),
    },
    Case {
        name: "the table was made anew without its key",
        guard: Open,
        spoil: |scene| {
            let keyless = STOCK.replace(" primary key", "");
            scene.execute(&format!("drop table stock; create table stock {keyless}"));
        },
        mend: restore,
        // Where rows without a key can be kept it is empty, where they cannot it is refused.
        ends: With("needs_approval|no_key", "stock"),
    },
];

/// Of grants and filters, which are the same in every engine.
pub(super) const SHOWN: [Case; 12] = [
    Case {
        name: "the grant leaves out half of the rows",
        guard: Open,
        spoil: |scene| {
            scene.grant(&filtered(
                json!({"column": "city", "op": "=", "value": "north"}),
            ));
            // What is no longer given is not in the scope, so that nothing is to be deleted of it either.
        },
        mend: regrant,
        ends: Well,
    },
    Case {
        name: "the grant leaves rows out by a column that is not given",
        guard: Open,
        spoil: |scene| grant_the_north(scene, &json!({"id": "allow", "word": "allow"})),
        mend: regrant,
        ends: HIDDEN,
    },
    Case {
        name: "the grant leaves rows out by a column that is given as NULL",
        guard: Open,
        spoil: |scene| {
            grant_the_north(
                scene,
                &json!({"id": "allow", "word": "allow", "city": "null"}),
            );
        },
        mend: regrant,
        ends: HIDDEN,
    },
    Case {
        name: "the table is no longer granted",
        guard: Open,
        spoil: |scene| scene.grant(&json!({"tables": ["codes"]})),
        mend: regrant,
        ends: With("not_granted", "stock"),
    },
    Case {
        name: "the key is no longer given",
        guard: Open,
        spoil: |scene| {
            scene.grant(&columns("stock", json!({"city": "allow", "word": "allow"})));
        },
        mend: regrant,
        ends: With("no_key|unfilled_column", "id"),
    },
    Case {
        name: "the key is given as NULL",
        guard: Open,
        spoil: |scene| {
            scene.grant(&columns(
                "stock",
                json!({"id": "null", "city": "allow", "word": "allow"}),
            ));
        },
        mend: regrant,
        ends: With("needs_approval|no_key", "stock"),
    },
    Case {
        name: "what stands for the key is no number",
        guard: Open,
        spoil: |scene| {
            scene.grant(&columns(
                "stock",
                json!({"id": {"pseudonym": "id"}, "city": "allow", "word": "allow"}),
            ));
        },
        mend: regrant,
        ends: With("kind_mismatch", "id"),
    },
    Case {
        name: "other keys stand for those of a few rows",
        guard: Usual,
        spoil: |scene| {
            scene.grant(&columns(
                "codes",
                json!({"code": {"pseudonym": "code"}, "word": "allow"}),
            ));
        },
        mend: regrant,
        ends: CHANGED,
    },
    Case {
        name: "a column is given as NULL",
        guard: Open,
        spoil: |scene| {
            scene.grant(&columns(
                "stock",
                json!({"id": "allow", "city": "allow", "word": "null"}),
            ));
        },
        mend: regrant,
        ends: CHANGED,
    },
    Case {
        name: "a column is no longer given",
        guard: Open,
        spoil: |scene| {
            scene.grant(&columns("stock", json!({"id": "allow", "city": "allow"})));
        },
        mend: regrant,
        ends: Well,
    },
    Case {
        name: "the sync is of other rows",
        guard: Open,
        spoil: |scene| {
            let filter = json!({"column": "city", "op": "=", "value": "west"});
            scene.edit(
                &json!({"tables": [{"source_table": "stock", "row_filter": filter}, "codes"]}),
            );
        },
        mend: all_of_them,
        ends: Well,
    },
    Case {
        name: "the sync is of more rows, and a few of them are only here",
        guard: Usual,
        spoil: |scene| {
            let filter = json!({"column": "city", "op": "=", "value": "north"});
            scene.edit(
                &json!({"tables": [{"source_table": "stock", "row_filter": filter}, "codes"]}),
            );
            completes(&scene.pair, &scene.sync);
            scene
                .pair
                .destination
                .execute("insert into stock values (1000, 'south', 'ours')");
            all_of_them(scene);
        },
        mend: |scene| {
            scene
                .pair
                .destination
                .execute("delete from stock where id = 1000");
        },
        ends: CHANGED,
    },
];

fn all_of_them(scene: &mut Scene) {
    scene.edit(&json!({"tables": ["stock", "codes"]}));
}
