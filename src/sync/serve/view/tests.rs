//! What is left of a table under each kind of grant.

use super::View;
use crate::engine::driver::RowOrder;
use crate::model::fixture::{self, column, required};
use crate::model::grant::Grant;
use crate::model::table::{ForeignKey, NeutralType, Table, TableName, UniqueKey};

/// `orders`, which points to `customers` and `salaries`.
fn orders() -> Table {
    let mut twice = column("twice", NeutralType::Int8);
    twice.generated = true;
    let mut id = required("id", NeutralType::Int4);
    id.identity = true;
    let columns = vec![
        id,
        required("code", NeutralType::Uuid),
        column("customer_id", NeutralType::Int4),
        column("note", NeutralType::Text),
        twice,
    ];
    let foreign_key = |column: &str, table: &str| ForeignKey {
        columns: vec![column.to_owned()],
        table: TableName::bare(table),
        foreign_columns: vec!["id".to_owned()],
        on_delete: "no action".to_owned(),
    };
    Table {
        unique: vec![UniqueKey {
            columns: vec!["code".to_owned()],
            folded: false,
        }],
        foreign_keys: vec![
            foreign_key("customer_id", "customers"),
            foreign_key("note", "salaries"),
        ],
        row_estimate: Some(7),
        size_bytes: Some(8_192),
        ..fixture::table("orders", columns, &["id"])
    }
}

fn view(grant: &str) -> View {
    let grant: Grant = serde_json::from_str(grant).unwrap();
    View::of(orders(), &grant, |name| name.name == "customers").unwrap()
}

/// Columns with their types, the primary key, the number of other keys, and where foreign keys point to.
fn shape(view: &View) -> (Vec<String>, Vec<String>, usize, Vec<String>) {
    let columns = view.sent_columns().into_iter();
    let key = view.table.primary_key.as_ref();
    let parents = view.table.foreign_keys.iter();
    (
        columns
            .map(|(name, kind)| format!("{name} {kind}"))
            .collect(),
        key.map(|key| key.columns.clone()).unwrap_or_default(),
        view.table.unique.len(),
        parents.map(|key| key.table.to_string()).collect(),
    )
}

#[test]
fn a_grant_without_columns_shows_all_that_can_be_sent() {
    let view = view(r#"{"tables":["orders"]}"#);
    assert!(view.is_whole());
    let (columns, key, unique, parents) = shape(&view);
    assert_eq!(
        columns,
        ["id int4", "code uuid", "customer_id int4", "note text"]
    );
    assert_eq!(
        (key, unique, parents),
        (vec!["id".to_owned()], 1, vec!["customers".to_owned()])
    );
    assert_eq!(
        (view.table.row_estimate, view.table.size_bytes),
        (Some(7), Some(8_192))
    );
    assert!(view.table.column("twice").is_some());
    assert_eq!(view.order(), RowOrder::Found);
}

#[test]
fn columns_and_keys_are_what_the_policies_leave_of_them() {
    let classified = |columns: &str| view(&format!(r#"{{"columns":{{"orders":{columns}}}}}"#));
    let cases = [
        (
            "a new column",
            r#"{"id":"allow","code":"allow"}"#,
            (&["id int4", "code uuid"][..], &["id"][..], 1, &[][..]),
        ),
        (
            "a key that is not given",
            r#"{"id":"drop","code":"null","customer_id":"allow"}"#,
            (&["code uuid", "customer_id int4"], &[], 0, &["customers"]),
        ),
        (
            "a key of NULLs",
            r#"{"id":"null","note":"allow"}"#,
            (&["id int4", "note text"], &[], 0, &[]),
        ),
        (
            "pseudonyms",
            r#"{"id":{"pseudonym":"order"},"code":{"pseudonym":"code"},"customer_id":{"pseudonym":"customer"}}"#,
            (
                &["id text", "code uuid", "customer_id text"],
                &["id"],
                1,
                &[],
            ),
        ),
    ];
    for (name, columns, (expected, key, unique, parents)) in cases {
        let view = classified(columns);
        let (found, found_key, found_unique, found_parents) = shape(&view);
        assert_eq!(found, expected, "{name}");
        assert_eq!(
            (found_key, found_unique),
            (key.iter().map(|name| (*name).to_owned()).collect(), unique),
            "{name}"
        );
        assert_eq!(found_parents, parents, "{name}");
        assert!(
            !view.is_whole() && view.table.size_bytes.is_none(),
            "{name}"
        );
        assert!(view.table.column("twice").is_none(), "{name}");
    }
    assert_eq!(
        classified(r#"{"id":"allow"}"#).unclassified,
        ["code", "customer_id", "note"]
    );
    assert!(
        classified(r#"{"id":"null"}"#)
            .table
            .column("id")
            .unwrap()
            .nullable
    );
}

#[test]
fn pseudonyms_of_one_name_keep_pointing_to_each_other() {
    for (name, points) in [("customer", true), ("person", false)] {
        let grant = format!(
            r#"{{"columns":{{"orders":{{"customer_id":{{"pseudonym":"customer"}}}},"customers":{{"id":{{"pseudonym":"{name}"}}}}}}}}"#
        );
        assert_eq!(!shape(&view(&grant)).3.is_empty(), points, "{name}");
    }
    let dropped = r#"{"columns":{"customers":{"name":"allow"}}}"#;
    assert!(shape(&view(dropped)).3.is_empty());
}

#[test]
fn where_the_key_is_hidden_the_order_is_too() {
    for (columns, order) in [
        (
            r#"{"id":"allow","note":{"pseudonym":"n"}}"#,
            RowOrder::Found,
        ),
        (r#"{"id":{"pseudonym":"order"}}"#, RowOrder::Shuffled),
        (r#"{"note":"allow"}"#, RowOrder::Shuffled),
    ] {
        let view = view(&format!(r#"{{"columns":{{"orders":{columns}}}}}"#));
        assert_eq!(view.order(), order, "{columns}");
        assert_eq!(
            view.open_key().is_some(),
            order == RowOrder::Found,
            "{columns}"
        );
    }
}

#[test]
fn a_row_filter_may_name_what_is_hidden_and_hides_counts() {
    let by_note = r#"{"columns":{"orders":{"id":"allow"}},"row_filter":{"orders":{"column":"note","op":"=","value":"x"}}}"#;
    let narrow = view(by_note);
    assert_eq!(narrow.scope.conditions().len(), 1);
    assert_eq!(
        (narrow.table.row_estimate, narrow.table.size_bytes),
        (None, None)
    );
    assert_eq!(narrow.open_kind("note"), None);
    let grant: Grant = serde_json::from_str(by_note).unwrap();
    assert!(narrow.is_under(&grant));
    assert!(!view("{}").is_under(&grant) && !narrow.is_under(&Grant::default()));
    // A filter that fits no more gives nothing at all.
    let gone = r#"{"row_filter":{"orders":{"column":"region","op":"=","value":"x"}}}"#;
    let grant: Grant = serde_json::from_str(gone).unwrap();
    assert!(View::of(orders(), &grant, |_| true).is_err());
}
