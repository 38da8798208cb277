//! The size of a catalogue that a peer sent: what no database has is refused before anything is compared with it.
//!
//! Says nothing about its meaning; the contract does. Invariant: work that grows with the square of a bound stays short.

use crate::wire::messages::{Catalogue, CatalogueColumn, CatalogueForeignKey};

/// MySQL's limit; PostgreSQL has 1,600 and SQLite 2,000.
const COLUMNS: usize = 4_096;
/// Unique keys, and foreign keys.
const KEYS: usize = 256;
/// Columns of one key; PostgreSQL has 32.
const KEY_COLUMNS: usize = 64;
/// Bytes of a name; PostgreSQL has 63, SQLite no limit.
const NAME_BYTES: usize = 1_024;
/// Bytes of a type as its database writes it; an enumeration names its labels.
const NATIVE_BYTES: usize = 16 << 10;

/// Why `catalogue` is larger than any table's.
pub(super) fn excess(catalogue: &Catalogue) -> Option<&'static str> {
    if catalogue.columns.len() > COLUMNS {
        return Some("a table with more columns than any database takes");
    }
    if catalogue.unique.len() > KEYS || catalogue.foreign_keys.len() > KEYS {
        return Some("a table with more than 256 keys");
    }
    let mut keys = std::iter::once(&catalogue.primary_key)
        .chain(&catalogue.unique)
        .chain(catalogue.foreign_keys.iter().flat_map(both_ends));
    if !keys.all(|key| is_key(key)) {
        return Some("a key with more columns, or longer names, than any database takes");
    }
    let has_names = catalogue.columns.iter().all(is_column)
        && catalogue.foreign_keys.iter().all(|foreign| {
            is_name(&foreign.table.name)
                && foreign.table.schema.as_deref().is_none_or(is_name)
                && is_name(&foreign.on_delete)
        });
    (!has_names).then_some("a name or type longer than any database takes")
}

fn both_ends(foreign: &CatalogueForeignKey) -> [&Vec<String>; 2] {
    [&foreign.columns, &foreign.foreign_columns]
}

fn is_key(columns: &[String]) -> bool {
    columns.len() <= KEY_COLUMNS && columns.iter().all(|name| is_name(name))
}

fn is_column(column: &CatalogueColumn) -> bool {
    is_name(&column.name) && column.native.len() <= NATIVE_BYTES
}

fn is_name(name: &str) -> bool {
    name.len() <= NAME_BYTES
}
