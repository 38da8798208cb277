//! Rows by their keys, as PostgreSQL finds them. Pure.
//!
//! The keys stand in the statement as arrays of the columns' own types, so that an index on them serves; text is compared
//! by its bytes besides. Invariant: no row is found twice.

use bytes::Bytes;

use crate::engine::error::EngineError;
use crate::engine::keys::Keys;
use crate::engine::postgres::scope::{TextKind, text_as_sent};
use crate::engine::sql::Sql;
use crate::model::table::{Column, NeutralType, Table};
use crate::wire::json::field_to_text;

/// Adds the rest of `from`, and ` where`: the rows of `table` with one of `keys`.
///
/// # Errors
/// [`EngineError::SchemaChanged`] when a column is gone, [`EngineError::Statement`] when a key is none.
pub(super) fn push_keys(
    statement: &mut Sql,
    columns: &[String],
    keys: &[Bytes],
    table: &Table,
) -> Result<(), EngineError> {
    let keys = Keys::new(&table.name, columns, keys)?;
    if keys.is_empty() {
        statement.push(" where false");
        return Ok(());
    }
    let columns: Vec<&Column> = columns
        .iter()
        .map(|name| table.column(name))
        .collect::<Option<_>>()
        .ok_or_else(|| EngineError::SchemaChanged(table.name.clone()))?;
    statement.push(" t where exists (select from unnest(");
    statement.list(columns.iter().enumerate(), ", ", |sql, (at, column)| {
        array(sql, column.kind, &keys, at);
    });
    statement.push(") k(");
    statement.list(0..columns.len(), ", ", |sql, at| value(sql, "", at));
    statement.push(") where ");
    statement.list(columns.iter().enumerate(), " and ", |sql, (at, column)| {
        equal(sql, column, at);
    });
    statement.push(")");
    Ok(())
}

/// The values of one column of the key, one per key.
fn array(sql: &mut Sql, kind: NeutralType, keys: &Keys, at: usize) {
    sql.push("array[");
    sql.list(keys.fields(), ",", |sql, fields| {
        let text = field_to_text(kind, fields.get(at).copied().flatten());
        sql.literal(&text);
    });
    let name = match kind {
        NeutralType::Other => NeutralType::Text.as_str(),
        kind => kind.as_str(),
    };
    sql.push("]::").push(name).push("[]");
}

fn value(sql: &mut Sql, before: &'static str, at: usize) {
    sql.push(before).push("v");
    sql.number(i128::try_from(at).unwrap_or(i128::MAX));
}

/// By the column's own `=`, which its index serves, and text besides by its bytes.
fn equal(sql: &mut Sql, column: &Column, at: usize) {
    let own = |sql: &mut Sql| {
        sql.push("t.").ident(&column.name);
    };
    if !matches!(column.kind, NeutralType::Text | NeutralType::Other) {
        own(sql);
        value(sql, " = k.", at);
        return;
    }
    let kind = TextKind::of(column.kind, &column.native);
    if matches!(
        kind,
        TextKind::Plain | TextKind::Padded | TextKind::Unpadded
    ) {
        own(sql);
        value(sql, " = k.", at);
        if kind != TextKind::Plain {
            sql.push("::bpchar");
        }
        sql.push(" and ");
    }
    text_as_sent(sql, column.kind, &column.native, own);
    value(sql, " = k.", at);
}

#[cfg(test)]
mod tests {
    use super::push_keys;
    use crate::engine::postgres::connect::sql;
    use crate::model::fixture;
    use crate::model::table::{Column, NeutralType, Table};
    use crate::wire::row::RowWriter;
    use bytes::Bytes;

    fn table(columns: &[(NeutralType, &str)]) -> Table {
        let column = |(at, (kind, native)): (usize, &(NeutralType, &str))| Column {
            native: (*native).into(),
            ..fixture::column(&format!("c{at}"), *kind)
        };
        let columns = columns.iter().enumerate().map(column).collect();
        fixture::table("t", columns, &[])
    }

    fn key(fields: &[Option<&[u8]>]) -> Bytes {
        let mut writer = RowWriter::default();
        writer.begin(u16::try_from(fields.len()).unwrap());
        for field in fields {
            writer.field(*field);
        }
        writer.take().data
    }

    #[test]
    fn keys_are_arrays_of_the_columns_types_and_text_is_compared_by_its_bytes() {
        use NeutralType::{Int4, Other, Text};
        let number = 7_i32.to_be_bytes();
        for (columns, fields, expected) in [
            (
                vec![(Int4, "integer")],
                vec![Some(&number[..])],
                "array['7']::int4[]) k(v0) where t.\"c0\" = k.v0",
            ),
            (
                vec![(Text, "character varying(9)"), (Int4, "integer")],
                vec![Some(&b"it's"[..]), Some(&number[..])],
                "array['it''s']::text[], array['7']::int4[]) k(v0, v1) \
                 where t.\"c0\" = k.v0 and t.\"c0\" collate \"C\" = k.v0 and t.\"c1\" = k.v1",
            ),
            (
                vec![(Text, "character(4)")],
                vec![Some(&b"a"[..])],
                "array['a']::text[]) k(v0) \
                 where t.\"c0\" = k.v0::bpchar and t.\"c0\"::text collate \"C\" = k.v0",
            ),
            (
                vec![(Text, "public.email")],
                vec![Some(&b"a"[..])],
                "array['a']::text[]) k(v0) where concat(t.\"c0\") collate \"C\" = k.v0",
            ),
            (
                vec![(Other, "inet")],
                vec![Some(&b"::1"[..])],
                "array['::1']::text[]) k(v0) where t.\"c0\"::text collate \"C\" = k.v0",
            ),
        ] {
            let (mut statement, table) = (sql(), table(&columns));
            let names: Vec<String> = table.columns.iter().map(|one| one.name.clone()).collect();
            push_keys(&mut statement, &names, &[key(&fields)], &table).unwrap();
            let expected = format!(" t where exists (select from unnest({expected})");
            assert_eq!(statement.text(), expected);
        }
        let (mut statement, table) = (sql(), table(&[(Int4, "integer")]));
        push_keys(&mut statement, &["c0".to_owned()], &[key(&[None])], &table).unwrap();
        assert_eq!(statement.text(), " where false");
        assert!(
            push_keys(
                &mut statement,
                &["c9".to_owned()],
                &[key(&[Some(b"a")])],
                &table
            )
            .is_err()
        );
    }
}
