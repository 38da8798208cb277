//! A row as JSON, by the columns of a contract: its fields in the row layout, and by which key it is known again.
//!
//! Invariant: a row that cannot be read is refused by table, key and column, never as a whole answer; one that lacks a
//! column, or is no object, is nonsense.

use std::hash::{BuildHasher, RandomState};

use serde_json::value::RawValue;

use crate::model::run::QuarantinedRow;
use crate::model::table::TableName;
use crate::sync::contract::Contract;
use crate::wire::InvalidValue;
use crate::wire::json::field_to_text;
use crate::wire::json::read::{field_from_json, row};
use crate::wire::row::RowWriter;

/// How much of a key that cannot be read is shown.
const KEY_CHARACTERS: usize = 200;

/// Reads rows of one table.
pub(super) struct Decoder {
    table: TableName,
    contract: Contract,
    /// Where the key's columns stand.
    key: Vec<usize>,
    hashes: RandomState,
}

/// One row.
pub(super) struct Decoded {
    /// The same for each row with this key, and for hardly any other.
    pub(super) key: u64,
    /// A key of a single whole number.
    pub(super) number: Option<i64>,
    /// Its fields, in the contract's order.
    pub(super) fields: Result<Vec<Option<Vec<u8>>>, QuarantinedRow>,
}

impl Decoder {
    /// For rows that go to `table` under `contract`.
    pub(super) fn new(table: TableName, contract: Contract) -> Self {
        let key = contract
            .target
            .iter()
            .enumerate()
            .filter(|(_, column)| contract.key.contains(&column.name))
            .map(|(at, _)| at)
            .collect();
        Self {
            table,
            contract,
            key,
            hashes: RandomState::new(),
        }
    }

    /// Reads one row.
    ///
    /// # Errors
    /// When it is no row of this table.
    pub(super) fn read(&self, json: &[u8]) -> Result<Decoded, InvalidValue> {
        let values = row(json)?;
        let mut written = Vec::with_capacity(self.contract.source.len());
        for column in &self.contract.source {
            let value = values.get(column.name.as_str()).copied();
            written.push(value.ok_or_else(|| {
                InvalidValue::new("row", format!("it lacks column {}", column.name))
            })?);
        }
        let mut fields = Vec::with_capacity(written.len());
        let mut misfit = None;
        for (at, (column, value)) in self.contract.source.iter().zip(&written).enumerate() {
            let field = field_from_json(column, value).unwrap_or_else(|err| {
                misfit.get_or_insert((at, err));
                None
            });
            fields.push(field);
        }
        let key = self.hash(&fields, &written);
        let number = self.number(&written);
        let fields = match misfit {
            None => Ok(fields),
            Some((at, err)) => Err(self.refused((at, &err), &fields, &written)),
        };
        Ok(Decoded {
            key,
            number,
            fields,
        })
    }

    /// The names of the key's columns, for messages.
    pub(super) fn key_names(&self) -> String {
        self.contract.key.join(", ")
    }

    /// By the values of the key, or by their JSON where that is no value.
    fn hash(&self, fields: &[Option<Vec<u8>>], written: &[&RawValue]) -> u64 {
        let of = |at: &usize| match fields.get(*at) {
            Some(Some(field)) => (true, field.as_slice()),
            _ => (
                false,
                written
                    .get(*at)
                    .map_or(&[][..], |value| value.get().as_bytes()),
            ),
        };
        self.hashes
            .hash_one(self.key.iter().map(of).collect::<Vec<_>>())
    }

    fn number(&self, written: &[&RawValue]) -> Option<i64> {
        let [at] = self.key.as_slice() else {
            return None;
        };
        let column = self.contract.source.get(*at)?;
        let value = written.get(*at).filter(|_| column.kind.is_integer())?;
        value.get().parse().ok()
    }

    fn refused(
        &self,
        (at, err): (usize, &InvalidValue),
        fields: &[Option<Vec<u8>>],
        written: &[&RawValue],
    ) -> QuarantinedRow {
        let shown = |at: usize| {
            let column = self.contract.target.get(at)?;
            let kind = self.contract.source.get(at)?.kind;
            let text = match fields.get(at)? {
                Some(field) => field_to_text(kind, Some(field)),
                None => written
                    .get(at)?
                    .get()
                    .chars()
                    .take(KEY_CHARACTERS)
                    .collect(),
            };
            Some((column.name.clone(), text.into()))
        };
        let column = self.contract.target.get(at);
        QuarantinedRow {
            table: self.table.clone(),
            key: serde_json::Value::Object(self.key.iter().filter_map(|at| shown(*at)).collect()),
            column: column.map(|column| column.name.clone()),
            reason: err.to_string(),
        }
    }
}

/// Adds a row of these fields.
pub(super) fn write(fields: &[Option<Vec<u8>>], writer: &mut RowWriter) {
    writer.begin(u16::try_from(fields.len()).unwrap_or_default());
    for field in fields {
        writer.field(field.as_deref());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Decoder;
    use crate::model::fixture::{column, required};
    use crate::model::table::{NeutralType, TableName};
    use crate::sync::contract::Contract;
    use crate::wire::convert::RowConversion;

    fn decoder() -> Decoder {
        let columns = vec![
            column("note", NeutralType::Text),
            required("id", NeutralType::Int8),
        ];
        let here = vec![
            column("remark", NeutralType::Text),
            required("nr", NeutralType::Int8),
        ];
        let contract = Contract {
            source: columns,
            target: here,
            conversion: RowConversion::default(),
            key: vec!["nr".to_owned()],
        };
        Decoder::new(TableName::bare("t"), contract)
    }

    #[test]
    fn a_row_is_known_again_by_its_key_alone() {
        let decoder = decoder();
        let key = |row: Value| decoder.read(row.to_string().as_bytes()).unwrap().key;
        let first = key(json!({"id": 7, "note": "a", "later": true}));
        assert_eq!(first, key(json!({"note": "b", "id": 7})));
        assert_eq!(first, key(json!({"note": 5, "id": "7"})));
        assert_ne!(first, key(json!({"note": "a", "id": 8})));
        let none = key(json!({"note": "a", "id": "x"}));
        assert_eq!(none, key(json!({"note": "b", "id": "x"})));
    }

    #[test]
    fn a_row_that_cannot_be_read_is_named_by_key_and_column() {
        let decoder = decoder();
        let refused = |row: Value| {
            let row = decoder.read(row.to_string().as_bytes()).unwrap();
            let row = row.fields.unwrap_err();
            (row.key, row.column)
        };
        let remark = Some("remark".to_owned());
        assert_eq!(
            refused(json!({"id": 7, "note": 1})),
            (json!({"nr": "7"}), remark)
        );
        let nr = Some("nr".to_owned());
        assert_eq!(
            refused(json!({"id": "x", "note": "a"})),
            (json!({"nr": "\"x\""}), nr)
        );
    }

    #[test]
    fn what_is_no_row_of_the_table_is_nonsense() {
        for row in ["[]", "{\"id\":1}", "{\"id\":1,\"note\":}"] {
            assert!(decoder().read(row.as_bytes()).is_err(), "{row}");
        }
    }
}
