//! Where a JSON answer stopped: the last row's key, as opaque text that a further request sends back.
//!
//! Only keys of types that both databases compare as they are written have a cursor; others are cut off without one.
//! Invariant: text that comes back is checked like any other value of a stranger.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::engine::driver::{KeyValue, RowFilter};
use crate::model::table::{NeutralType, Table};
use crate::sync::serve::fault::FilterFault;
use crate::wire::InvalidValue;
use crate::wire::json::field_to_text;
use crate::wire::row::split_tuple;
use crate::wire::{datetime, numeric};

/// The key's columns with their types, when every one of them can stand in a cursor.
fn key_columns(table: &Table) -> Option<Vec<(&str, NeutralType)>> {
    let key = table.primary_key.as_ref()?;
    key.columns
        .iter()
        .map(|name| {
            let column = table.column(name)?;
            let fits = !column.generated
                && !matches!(
                    column.kind,
                    NeutralType::Bool
                        | NeutralType::Bytea
                        | NeutralType::Float4
                        | NeutralType::Float8
                        | NeutralType::Json
                        | NeutralType::Jsonb
                        | NeutralType::Other
                );
            fits.then_some((name.as_str(), column.kind))
        })
        .collect()
}

/// The cursor behind the row `tuple`, whose fields are `columns`; `None` where the key cannot stand in one.
///
/// # Errors
/// When the tuple is not one of these columns.
pub(super) fn after(
    table: &Table,
    columns: &[(String, NeutralType)],
    tuple: &[u8],
) -> Result<Option<String>, InvalidValue> {
    let Some(keys) = key_columns(table) else {
        return Ok(None);
    };
    let (fields, _) = split_tuple(tuple)?;
    let mut values = Vec::with_capacity(keys.len());
    for (name, kind) in keys {
        let at = columns.iter().position(|(column, _)| column == name);
        let Some(Some(bytes)) = at.and_then(|at| fields.get(at)) else {
            return Ok(None);
        };
        values.push(match kind {
            NeutralType::Timestamp => Value::from(datetime::timestamp_to_text(bytes, ' ')?),
            NeutralType::Timestamptz => Value::from(datetime::timestamp_to_text(bytes, ' ')? + "Z"),
            kind => {
                let text = field_to_text(kind, Some(bytes));
                let number = kind
                    .is_integer()
                    .then(|| text.parse::<i64>().ok())
                    .flatten();
                number.map_or(Value::from(text), Value::from)
            }
        });
    }
    Ok(Some(
        URL_SAFE_NO_PAD.encode(Value::from(values).to_string()),
    ))
}

/// The rows behind `cursor`.
///
/// # Errors
/// [`FilterFault::Invalid`] when it is none that [`after`] made for a table with this key.
pub(super) fn rows_after(table: &Table, cursor: &str) -> Result<RowFilter, FilterFault> {
    let keys = key_columns(table).ok_or(FilterFault::Invalid)?;
    let text = URL_SAFE_NO_PAD
        .decode(cursor)
        .map_err(|_| FilterFault::Invalid)?;
    let values: Vec<Value> = serde_json::from_slice(&text).map_err(|_| FilterFault::Invalid)?;
    if values.len() != keys.len() {
        return Err(FilterFault::Invalid);
    }
    let values = keys
        .iter()
        .zip(&values)
        .map(|((_, kind), value)| checked(*kind, value).ok_or(FilterFault::Invalid))
        .collect::<Result<_, _>>()?;
    Ok(RowFilter::After {
        columns: keys.iter().map(|(name, _)| (*name).to_owned()).collect(),
        values,
    })
}

fn checked(kind: NeutralType, value: &Value) -> Option<KeyValue> {
    if kind.is_integer() {
        return value.as_i64().map(KeyValue::Integer);
    }
    let text = value.as_str().filter(|text| !text.contains('\0'))?;
    let is_valid = match kind {
        NeutralType::Text => true,
        // The other forms that the parser takes are none that every database takes.
        NeutralType::Uuid => text.len() == 36 && uuid::Uuid::parse_str(text).is_ok(),
        NeutralType::Numeric => numeric::encode(text).is_ok(),
        NeutralType::Date => datetime::date_from_text(text).is_ok(),
        NeutralType::Time => datetime::time_from_text(text).is_ok(),
        NeutralType::Timestamp => datetime::timestamp_from_text(text, false).is_ok(),
        NeutralType::Timestamptz => datetime::timestamp_from_text(text, true).is_ok(),
        _ => false,
    };
    is_valid.then(|| KeyValue::Text(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::{after, rows_after};
    use crate::engine::driver::{KeyValue, RowFilter};
    use crate::model::fixture::{self, required};
    use crate::model::table::{NeutralType, Table};
    use crate::sync::serve::fault::FilterFault;
    use crate::wire::row::RowWriter;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    fn table(kinds: &[NeutralType]) -> Table {
        let names: Vec<String> = (0..kinds.len()).map(|at| format!("k{at}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let columns = names.iter().zip(kinds);
        let columns = columns.map(|(name, kind)| required(name, *kind));
        fixture::table("t", columns.collect(), &names)
    }

    fn tuple(fields: &[&[u8]]) -> Vec<u8> {
        let mut writer = RowWriter::default();
        writer.begin(u16::try_from(fields.len()).unwrap());
        for field in fields {
            writer.field(Some(field));
        }
        writer.take().data.to_vec()
    }

    #[test]
    fn a_cursor_leads_to_the_rows_behind_the_one_it_was_made_of() {
        let kinds = [NeutralType::Int4, NeutralType::Text];
        let table = table(&kinds);
        let columns = [("k0".to_owned(), kinds[0]), ("k1".to_owned(), kinds[1])];
        let cursor = after(
            &table,
            &columns,
            &tuple(&[&7_i32.to_be_bytes(), "é".as_bytes()]),
        )
        .unwrap()
        .unwrap();
        let RowFilter::After { columns, values } = rows_after(&table, &cursor).unwrap() else {
            panic!("not the rows behind");
        };
        assert_eq!(columns, ["k0", "k1"]);
        assert_eq!(values, [KeyValue::Integer(7), KeyValue::Text("é".into())]);
    }

    #[test]
    fn a_cursor_of_another_making_is_refused() {
        let table = table(&[NeutralType::Int4]);
        for text in ["", "!!", "W10", "WyJhIl0", "bnVsbA", "WzEsMl0", "WzEuNV0"] {
            assert!(
                matches!(rows_after(&table, text), Err(FilterFault::Invalid)),
                "{text}"
            );
        }
        assert!(rows_after(&table, &URL_SAFE_NO_PAD.encode("[1]")).is_ok());
    }

    #[test]
    fn a_uuid_in_a_form_that_a_database_may_not_read_is_refused() {
        let table = table(&[NeutralType::Uuid]);
        let behind = |id: &str| rows_after(&table, &URL_SAFE_NO_PAD.encode(format!("[\"{id}\"]")));
        let id = "0192d1c8-3b7e-7000-8000-000000000001";
        assert!(behind(id).is_ok());
        for other in [
            format!("urn:uuid:{id}"),
            format!("{{{id}}}"),
            id.replace('-', ""),
        ] {
            assert!(behind(&other).is_err(), "{other}");
        }
    }

    #[test]
    fn a_key_that_databases_compare_differently_has_no_cursor() {
        let table = table(&[NeutralType::Bytea]);
        let columns = [("k0".to_owned(), NeutralType::Bytea)];
        assert_eq!(after(&table, &columns, &tuple(&[b"x"])), Ok(None));
    }
}
