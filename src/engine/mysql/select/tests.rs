//! The statements, word for word.

use super::{queries, query};
use crate::engine::driver::{KeyValue, Page, RowFilter, RowOrder, Selection};
use crate::engine::mysql::schemas::Schemas;
use crate::model::filter::Filter;
use crate::model::fixture;
use crate::model::table::{Column, NeutralType, Table, UniqueKey};
use crate::wire::numeric;
use crate::wire::row::RowWriter;
use crate::wire::scope::Scope;

fn column(name: &str, kind: NeutralType, native: &str) -> Column {
    Column {
        native: native.into(),
        precision: (kind == NeutralType::Numeric).then_some(12),
        scale: (kind == NeutralType::Numeric).then_some(2),
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

#[test]
fn keys_are_spelled_out_some_at_a_time() {
    let mut table = table();
    table.primary_key = Some(UniqueKey {
        columns: vec!["id".into(), "sum".into()],
        folded: false,
    });
    let key = |id: i64| {
        let mut writer = RowWriter::default();
        writer.begin(2);
        writer.field(Some(&id.to_be_bytes()));
        writer.field(Some(&numeric::encode("1.50").unwrap()));
        writer.take().data
    };
    let selection = |columns: [&str; 2], rows: i64| Selection {
        table: table.name.clone(),
        columns: vec![],
        rows: RowFilter::Keys {
            columns: columns.map(str::to_owned).into(),
            // One of them twice.
            keys: (0..rows).chain(0..1).map(key).collect(),
        },
        scope: Scope::default(),
        order: RowOrder::Found,
        page: None,
    };
    let schemas = Schemas::of_default("shop");
    let asked = queries(&schemas, &selection(["id", "sum"], 2), &table).unwrap();
    assert_eq!(asked.len(), 1);
    let one = "(`id` = ? and `sum` = cast(? as decimal(12,2)))";
    assert_eq!(
        asked[0].sql.text(),
        format!("select `id`, `sum` from `shop`.`t` force index (primary) where {one} or {one}")
    );
    // The conditions are held against each row that is read, and every order of the pieces is a new one.
    let filter = Filter::from_json(r#"{"column":"code","op":"=","value":"a"}"#).unwrap();
    let narrow = Selection {
        scope: Scope::new(&filter, |_| Some(NeutralType::Text)).unwrap(),
        order: RowOrder::Shuffled,
        ..selection(["id", "sum"], 1)
    };
    assert_eq!(
        queries(&schemas, &narrow, &table).unwrap()[0].sql.text(),
        format!(
            "select `code`, `id`, `sum` from `shop`.`t` force index (primary) where {one} order by rand()"
        )
    );
    let many = queries(&schemas, &selection(["id", "sum"], 200), &table).unwrap();
    assert_eq!(many.len(), 4);
    table.primary_key = None;
    let other = queries(&schemas, &selection(["id", "sum"], 1), &table).unwrap();
    assert!(!other[0].sql.text().contains("force"));
}
