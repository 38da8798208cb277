//! The statements, word for word.

use super::query;
use crate::engine::driver::{KeyValue, Page, RowFilter, RowOrder, Selection};
use crate::engine::mysql::schemas::Schemas;
use crate::model::fixture;
use crate::model::table::{Column, NeutralType, Table};
use crate::wire::scope::Scope;

fn column(name: &str, kind: NeutralType, native: &str) -> Column {
    Column {
        native: native.into(),
        ..fixture::required(name, kind)
    }
}

fn table() -> Table {
    let columns = vec![
        column("id", NeutralType::Int8, "bigint(20)"),
        column("code", NeutralType::Text, "varchar(9)"),
        column("at", NeutralType::Timestamptz, "timestamp(6)"),
        column("sum", NeutralType::Numeric, "decimal(12,2)"),
        column("ref", NeutralType::Uuid, "uuid"),
        column("raw", NeutralType::Bytea, "binary(2)"),
        column("mood", NeutralType::Other, "enum('a')"),
        column("host", NeutralType::Other, "inet6"),
    ];
    fixture::table("t", columns, &[])
}

fn text(rows: RowFilter, page: Option<Page>) -> String {
    let names = ["id", "mood", "host"];
    let table = table();
    let selection = Selection {
        table: table.name.clone(),
        columns: names
            .map(|name| (name.to_owned(), table.column(name).unwrap().kind))
            .into(),
        rows,
        scope: Scope::default(),
        order: RowOrder::Found,
        page,
    };
    let schemas = Schemas::of_default("shop");
    let sql = query(&schemas, &selection, &table).unwrap();
    let start = "select `id`, `mood`, cast(`host` as char) from `shop`.`t`";
    sql.text().strip_prefix(start).unwrap().to_owned()
}

fn among(column: &str, values: &[&str]) -> RowFilter {
    let values = values.iter().map(|value| KeyValue::Text((*value).into()));
    RowFilter::In {
        column: column.into(),
        values: values.collect(),
    }
}

#[test]
fn filters_compare_in_the_column_s_own_type_and_nothing_is_taken_for_a_value() {
    for (rows, expected) in [
        (RowFilter::All, ""),
        (among("id", &["7", "x"]), " where `id` in (7)"),
        (among("id", &["x", "1e3", ""]), " where false"),
        (
            among("code", &["a'b\\", "x\0y"]),
            " where `code` in ('a''b\\\\') and cast(convert(`code` using utf8mb4) as binary) in (cast('a''b\\\\' as binary))",
        ),
        (
            among("sum", &["1.50", "NaN"]),
            " where `sum` in (cast('1.50' as decimal(65, 2)))",
        ),
        (
            among(
                "at",
                &[
                    "2024-02-29 10:00:00+02",
                    "infinity",
                    "0044-03-15 00:00:00 BC",
                ],
            ),
            " where `at` in (cast('2024-02-29 08:00:00.000000' as datetime(6)))",
        ),
        (among("ref", &["no"]), " where false"),
        (
            among("raw", &["\\x00ff", "ff"]),
            " where `raw` in (unhex('00ff'))",
        ),
        (
            among("mood", &["a"]),
            " where cast(`mood` as char) in ('a')",
        ),
        (
            RowFilter::Between {
                column: "id".into(),
                start: Some(5),
                end: None,
            },
            " where true and `id` >= 5",
        ),
        (
            RowFilter::After {
                columns: vec!["code".into(), "id".into()],
                values: vec![KeyValue::Text("a".into()), KeyValue::Integer(7)],
            },
            " where ((`code` > 'a') or (`code` = 'a' and `id` > 7))",
        ),
    ] {
        assert_eq!(text(rows, None), expected);
    }
}

#[test]
fn a_page_is_ordered_and_bounded() {
    let page = Page {
        order_by: vec!["code".into(), "id".into()],
        limit: 10,
        offset: 20,
    };
    assert_eq!(
        text(RowFilter::All, Some(page)),
        " order by `code`, `id` limit 10 offset 20"
    );
}
