//! What one table of a pull may say beyond its name: where it goes, by which key, which columns and which rows.
//!
//! Knows no table: what does not fit both sides' tables is refused where their catalogues are at hand.
//! Invariant: a mapping names every source column and every destination column at most once.

use std::collections::HashSet;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::model::filter::Filter;
use crate::model::table::{NeutralType, TableName};

/// One table to pull. In JSON an object, or the source table's name alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableOrder {
    /// Its name at the source.
    pub source_table: TableName,
    /// Its name here, where it is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination_table: Option<TableName>,
    /// The key by which rows are matched, as the destination names its columns; `None`: the first that both sides have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary_key: Option<Vec<String>>,
    /// The columns that travel, all of them; `None`: every column of the source, under its own name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field_mapping: Option<Vec<FieldMapping>>,
    /// The rows that travel, by the source's columns; `None`: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row_filter: Option<Filter>,
    /// The column here by which [`Newest`](crate::model::run::ConflictStrategy::Newest) tells which row is later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_column: Option<String>,
}

/// One column of a mapping.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldMapping {
    /// Its name at the source.
    pub source_column: String,
    /// Its name here.
    pub destination_field: String,
    /// The type it has here, where it is another than at the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub type_cast: Option<NeutralType>,
}

impl TableOrder {
    /// All rows and columns of a table, into one of the same name.
    #[must_use]
    pub fn of(table: TableName) -> Self {
        Self {
            source_table: table,
            destination_table: None,
            primary_key: None,
            field_mapping: None,
            row_filter: None,
            version_column: None,
        }
    }

    /// Its name here.
    #[must_use]
    pub fn destination(&self) -> &TableName {
        self.destination_table
            .as_ref()
            .unwrap_or(&self.source_table)
    }
}

/// The JSON object.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    source_table: TableName,
    destination_table: Option<TableName>,
    primary_key: Option<WrittenKey>,
    field_mapping: Option<Vec<FieldMapping>>,
    row_filter: Option<Filter>,
    version_column: Option<String>,
}

/// A key of one column may be written as its name.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a column's name or a list of names")]
enum WrittenKey {
    One(String),
    Several(Vec<String>),
}

impl<'de> Deserialize<'de> for TableOrder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NameOrObject)
    }
}

struct NameOrObject;

impl<'de> Visitor<'de> for NameOrObject {
    type Value = TableOrder;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table's name or an object with `source_table`")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<TableOrder, E> {
        name.parse().map(TableOrder::of).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TableOrder, A::Error> {
        let written = Written::deserialize(MapAccessDeserializer::new(map))?;
        checked(written).map_err(A::Error::custom)
    }
}

fn checked(written: Written) -> Result<TableOrder, String> {
    let primary_key = match written.primary_key {
        None => None,
        Some(WrittenKey::One(column)) => Some(vec![column]),
        Some(WrittenKey::Several(columns)) => Some(columns),
    };
    if let Some(column) = repeated(primary_key.iter().flatten()) {
        return Err(format!("`primary_key` names column {column} twice"));
    }
    // Programs that build forms send an empty list for "no mapping".
    let field_mapping = written.field_mapping.filter(|fields| !fields.is_empty());
    refuse_unclear(field_mapping.as_deref().unwrap_or_default())?;
    Ok(TableOrder {
        destination_table: written
            .destination_table
            .filter(|table| *table != written.source_table),
        source_table: written.source_table,
        primary_key: primary_key.filter(|columns| !columns.is_empty()),
        field_mapping,
        row_filter: written.row_filter,
        version_column: written.version_column.filter(|column| !column.is_empty()),
    })
}

fn refuse_unclear(fields: &[FieldMapping]) -> Result<(), String> {
    if let Some(column) = repeated(fields.iter().map(|field| &field.source_column)) {
        return Err(format!(
            "`field_mapping` names source column {column} twice"
        ));
    }
    if let Some(column) = repeated(fields.iter().map(|field| &field.destination_field)) {
        return Err(format!(
            "`field_mapping` writes destination field {column} twice"
        ));
    }
    let other = |field: &&FieldMapping| field.type_cast == Some(NeutralType::Other);
    match fields.iter().find(other) {
        Some(field) => Err(format!(
            "`type_cast` of column {} must name a type",
            field.source_column
        )),
        None => Ok(()),
    }
}

fn repeated<'a>(names: impl Iterator<Item = &'a String>) -> Option<&'a String> {
    let mut seen = HashSet::new();
    names.into_iter().find(|name| !seen.insert(*name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::TableOrder;
    use crate::model::table::{NeutralType, TableName};

    #[test]
    fn a_name_alone_is_the_whole_table() {
        let read: TableOrder = serde_json::from_value(json!("shop.orders")).unwrap();
        let table: TableName = "shop.orders".parse().unwrap();
        assert_eq!(read, TableOrder::of(table.clone()));
        assert_eq!(*read.destination(), table);
        let written = serde_json::to_value(&read).unwrap();
        assert_eq!(written, json!({"source_table": "shop.orders"}));
    }

    #[test]
    fn everything_a_table_can_say_comes_back() {
        let written = json!({
            "source_table": "orders", "destination_table": "berlin.orders", "primary_key": ["shop", "id"],
            "field_mapping": [
                {"source_column": "id", "destination_field": "id"},
                {"source_column": "code", "destination_field": "label", "type_cast": "text"},
            ],
            "row_filter": {"column": "shop", "op": "=", "value": 3}, "version_column": "label",
        });
        let read: TableOrder = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(read.destination().to_string(), "berlin.orders");
        let fields = read.field_mapping.as_ref().unwrap();
        assert_eq!(fields[1].type_cast, Some(NeutralType::Text));
        assert_eq!(serde_json::to_value(&read).unwrap(), written);
    }

    #[test]
    fn what_says_nothing_is_left_out() {
        let written = json!({
            "source_table": "orders", "destination_table": "orders", "primary_key": [], "field_mapping": [],
            "row_filter": null,
        });
        let read: TableOrder = serde_json::from_value(written).unwrap();
        assert_eq!(read, TableOrder::of(TableName::bare("orders")));
        let one: TableOrder =
            serde_json::from_value(json!({"source_table": "a", "primary_key": "id"})).unwrap();
        assert_eq!(one.primary_key, Some(vec!["id".to_owned()]));
    }

    #[test]
    fn what_is_unclear_is_refused_by_name() {
        let field = |source: &str, destination: &str| json!({"source_column": source, "destination_field": destination});
        let cases = [
            (json!({"where": "1=1"}), "unknown field `where`"),
            (json!({"primary_key": ["a", "a"]}), "`primary_key`"),
            (json!({"primary_key": 1}), "a column's name or a list"),
            (
                json!({"field_mapping": [field("a", "b"), field("a", "c")]}),
                "source column a",
            ),
            (
                json!({"field_mapping": [field("a", "c"), field("b", "c")]}),
                "destination field c",
            ),
            (
                json!({"field_mapping": [{"source_column": "a", "destination_field": "a", "type_cast": "money"}]}),
                "`money` is none of bool",
            ),
            (
                json!({"field_mapping": [{"source_column": "a", "destination_field": "a", "type_cast": "other"}]}),
                "`type_cast` of column a",
            ),
            (json!({"row_filter": "1=1"}), "write"),
        ];
        for (mut written, words) in cases {
            written["source_table"] = "orders".into();
            let refused = serde_json::from_value::<TableOrder>(written).unwrap_err();
            assert!(refused.to_string().contains(words), "{refused}");
        }
    }
}
