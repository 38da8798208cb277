//! The statement that reads a selection. Pure.
//!
//! Invariant: values in filters stand as literals of no stated type, so that the database reads them as the column's own
//! type; columns without a neutral type are read, ordered and compared as their text.

use crate::engine::driver::{KeyValue, RowFilter, RowOrder, Selection};
use crate::engine::error::EngineError;
use crate::engine::postgres::connect::sql;
use crate::engine::postgres::keys::push_keys;
use crate::engine::postgres::scope::push_scope;
use crate::engine::sql::Sql;
use crate::model::table::{Engine, NeutralType, Table};

/// `copy (select ...) to stdout` for `selection` of `table`.
///
/// # Errors
/// [`EngineError::Statement`] when a key that is asked for is none of the table.
pub(super) fn copy_out(selection: &Selection, table: &Table) -> Result<Sql, EngineError> {
    let mut statement = sql();
    statement.push("copy (select ");
    statement.list(&selection.columns, ", ", |sql, (name, kind)| {
        sql.ident(name);
        // The cast takes a char(n)'s padding off.
        let padded = table
            .column(name)
            .is_some_and(|column| column.is_padded(Engine::Postgres));
        if *kind == NeutralType::Other || padded {
            sql.push("::text");
        }
    });
    statement.push(" from ").table(&selection.table);
    filter(&mut statement, &selection.rows, table)?;
    let glue = selection.rows.glue();
    push_scope(&mut statement, glue, selection.scope.conditions(), table);
    if selection.order == RowOrder::Shuffled && selection.page.is_none() {
        statement.push(" order by random()");
    }
    if let Some(page) = &selection.page {
        if !page.order_by.is_empty() {
            statement.push(" order by ");
            statement.list(&page.order_by, ", ", |sql, name| ordered(sql, name, table));
        }
        statement
            .push(" limit ")
            .number(page.limit)
            .push(" offset ")
            .number(page.offset);
    }
    statement.push(") to stdout (format binary)");
    Ok(statement)
}

fn filter(statement: &mut Sql, rows: &RowFilter, table: &Table) -> Result<(), EngineError> {
    match rows {
        RowFilter::All => {}
        RowFilter::In { column, values } => one_of(statement, column, values, table),
        RowFilter::Between { column, start, end } => {
            statement.push(" where true");
            if let Some(start) = start {
                statement
                    .push(" and ")
                    .ident(column)
                    .push(" >= ")
                    .number(*start);
            }
            if let Some(end) = end {
                statement
                    .push(" and ")
                    .ident(column)
                    .push(" <= ")
                    .number(*end);
            }
        }
        RowFilter::After { columns, values } => {
            statement.push(" where (");
            statement.list(columns, ", ", |sql, name| ordered(sql, name, table));
            statement.push(") > (");
            statement.list(columns.iter().zip(values), ", ", |sql, (name, value)| {
                literal(sql, value, kind(table, name));
            });
            statement.push(")");
        }
        RowFilter::Keys { columns, keys } => push_keys(statement, columns, keys, table)?,
    }
    Ok(())
}

fn one_of(statement: &mut Sql, column: &str, values: &[KeyValue], table: &Table) {
    let kind = kind(table, column);
    // PostgreSQL holds no text with a NUL: such a value matches nothing.
    let possible: Vec<&KeyValue> = values
        .iter()
        .filter(|value| !matches!(value, KeyValue::Text(text) if text.contains('\0')))
        .collect();
    if possible.is_empty() {
        statement.push(" where false");
        return;
    }
    statement.push(" where ").ident(column);
    if kind == NeutralType::Other {
        statement.push("::text");
    }
    statement
        .push(" in (")
        .list(possible, ", ", |sql, value| literal(sql, value, kind))
        .push(")");
}

fn ordered(sql: &mut Sql, name: &str, table: &Table) {
    sql.ident(name);
    if kind(table, name) == NeutralType::Other {
        sql.push("::text collate \"C\"");
    }
}

fn literal(sql: &mut Sql, value: &KeyValue, kind: NeutralType) {
    match value {
        KeyValue::Integer(number) if is_number(kind) => sql.number(*number),
        KeyValue::Integer(number) => sql.literal(&number.to_string()),
        KeyValue::Text(text) => sql.literal(text),
    };
}

fn is_number(kind: NeutralType) -> bool {
    matches!(
        kind,
        NeutralType::Int2
            | NeutralType::Int4
            | NeutralType::Int8
            | NeutralType::Numeric
            | NeutralType::Float4
            | NeutralType::Float8
    )
}

fn kind(table: &Table, column: &str) -> NeutralType {
    table
        .column(column)
        .map_or(NeutralType::Other, |column| column.kind)
}

#[cfg(test)]
mod tests {
    use super::copy_out;
    use crate::engine::driver::{KeyValue, Page, RowFilter, RowOrder, Selection};
    use crate::model::filter::Filter;
    use crate::model::fixture::{self, required};
    use crate::model::table::{NeutralType, Table, TableName};
    use crate::wire::row::RowWriter;
    use crate::wire::scope::Scope;

    fn table() -> Table {
        let columns = vec![
            required("id", NeutralType::Int8),
            required("code", NeutralType::Text),
            required("mood", NeutralType::Other),
        ];
        fixture::table("t", columns, &[])
    }

    fn text(rows: RowFilter, page: Option<Page>) -> String {
        let columns = vec![
            ("id".to_owned(), NeutralType::Int8),
            ("mood".to_owned(), NeutralType::Other),
        ];
        let selection = Selection {
            table: TableName::bare("t"),
            columns,
            rows,
            scope: Scope::default(),
            order: RowOrder::Found,
            page,
        };
        let text = copy_out(&selection, &table()).unwrap().text().to_owned();
        text.strip_prefix("copy (select \"id\", \"mood\"::text from \"public\".\"t\"")
            .and_then(|text| text.strip_suffix(") to stdout (format binary)"))
            .unwrap()
            .to_owned()
    }

    #[test]
    fn filters_compare_in_the_column_s_own_type() {
        let values = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| KeyValue::Text((*text).into()))
                .collect::<Vec<_>>()
        };
        for (rows, expected) in [
            (RowFilter::All, ""),
            (
                RowFilter::In {
                    column: "id".into(),
                    values: vec![KeyValue::Integer(1), KeyValue::Integer(-2)],
                },
                " where \"id\" in (1, -2)",
            ),
            (
                RowFilter::In {
                    column: "code".into(),
                    values: values(&["a'b", "x\0y"]),
                },
                " where \"code\" in ('a''b')",
            ),
            (
                RowFilter::In {
                    column: "code".into(),
                    values: values(&["\0"]),
                },
                " where false",
            ),
            (
                RowFilter::In {
                    column: "mood".into(),
                    values: values(&["ok"]),
                },
                " where \"mood\"::text in ('ok')",
            ),
            (
                RowFilter::Between {
                    column: "id".into(),
                    start: Some(5),
                    end: None,
                },
                " where true and \"id\" >= 5",
            ),
            (
                RowFilter::After {
                    columns: vec!["code".into(), "id".into()],
                    values: values(&["a", "7"]),
                },
                " where (\"code\", \"id\") > ('a', '7')",
            ),
        ] {
            assert_eq!(text(rows, None), expected);
        }
    }

    #[test]
    fn keys_a_scope_and_a_new_order_go_together() {
        let mut writer = RowWriter::default();
        writer.begin(1);
        writer.field(Some(&7_i64.to_be_bytes()));
        let filter = Filter::from_json(r#"{"column":"id","op":"<","value":9}"#).unwrap();
        let selection = Selection {
            table: TableName::bare("t"),
            columns: vec![("id".to_owned(), NeutralType::Int8)],
            rows: RowFilter::Keys {
                columns: vec!["id".to_owned()],
                keys: vec![writer.take().data],
            },
            scope: Scope::new(&filter, |_| Some(NeutralType::Int8)).unwrap(),
            order: RowOrder::Shuffled,
            page: None,
        };
        assert_eq!(
            copy_out(&selection, &table()).unwrap().text(),
            "copy (select \"id\" from \"public\".\"t\" t where exists (select from \
             unnest(array['7']::int8[]) k(v0) where t.\"id\" = k.v0) and \"id\" < '9'::int8 \
             order by random()) to stdout (format binary)"
        );
    }

    #[test]
    fn a_page_is_ordered_and_bounded() {
        let page = Page {
            order_by: vec!["mood".into(), "id".into()],
            limit: 10,
            offset: 20,
        };
        assert_eq!(
            text(RowFilter::All, Some(page)),
            " order by \"mood\"::text collate \"C\", \"id\" limit 10 offset 20"
        );
    }
}
