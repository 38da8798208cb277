//! Rows by their keys, as SQLite looks them up: one after the other, by the index on the key.
//!
//! Its collation may call other values equal: whoever reads holds each row against the keys.

use bytes::Bytes;
use rusqlite::types::ToSqlOutput;

use crate::engine::driver::{RowFilter, Selection};
use crate::engine::error::EngineError;
use crate::engine::keys::Keys;
use crate::engine::sql::Sql;
use crate::engine::sqlite::introspect::Described;
use crate::engine::sqlite::select;
use crate::engine::sqlite::stored::stored;
use crate::engine::sqlite::types::Storage;
use crate::model::table::{NeutralType, TableName};

/// The rows that a selection asks for by their keys.
pub(super) struct Picks {
    columns: Vec<String>,
    storages: Vec<Storage>,
    keys: Vec<Bytes>,
    statement: Sql,
}

impl Picks {
    /// Those of `selection`; `None` when it asks otherwise.
    ///
    /// # Errors
    /// [`EngineError::SchemaChanged`] when the table lacks a column of the key.
    pub(super) fn new(
        selection: &Selection,
        described: &Described,
    ) -> Result<Option<Self>, EngineError> {
        let RowFilter::Keys { columns, keys } = &selection.rows else {
            return Ok(None);
        };
        let storage = |name: &String| {
            let column = described.table.column(name);
            column.map(|column| Storage::of(column, described.strict))
        };
        let storages = columns.iter().map(storage).collect::<Option<_>>();
        Ok(Some(Self {
            storages: storages
                .ok_or_else(|| EngineError::SchemaChanged(selection.table.clone()))?,
            statement: select::by_key(selection, columns, described)?,
            columns: columns.clone(),
            keys: keys.clone(),
        }))
    }

    /// The keys, each once.
    ///
    /// # Errors
    /// [`EngineError::Statement`] when one is no key of `table`.
    pub(super) fn keys(&self, table: &TableName) -> Result<Keys, EngineError> {
        Keys::new(table, &self.columns, &self.keys)
    }

    /// Finds the rows of one key.
    pub(super) fn statement(&self) -> &str {
        self.statement.text()
    }

    /// What to bind for a key; `None` when none of the table's rows can have it in the form that this site writes.
    pub(super) fn bound<'f>(&self, fields: &[Option<&'f [u8]>]) -> Option<Vec<ToSqlOutput<'f>>> {
        let values = self.storages.iter().zip(fields);
        values
            .map(|(storage, field)| stored(storage, *field).ok())
            .collect()
    }

    /// How the columns of the key are stored.
    pub(super) fn storages(&self) -> &[Storage] {
        &self.storages
    }

    /// Whether each value of the key can be stored in one way only, so that what is not found is not there.
    pub(super) fn have_one_form(&self) -> bool {
        use NeutralType::{Bool, Bytea, Text};
        let mut kinds = self.storages.iter().map(|storage| storage.kind);
        kinds.all(|kind| kind.is_integer() || matches!(kind, Bool | Text | Bytea))
    }
}
