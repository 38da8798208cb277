//! A table as the published protocol describes it, in the words of a catalogue.
//!
//! The published schema is made of PostgreSQL's `information_schema`, and says less than a catalogue: no digits of
//! numerics, no unique keys, no foreign keys, nothing of columns that are computed, and of earlier versions no key.
//! Invariant: what is not said is left out, never assumed.

use serde::Deserialize;
use serde_json::Value;

use crate::model::table::{Engine, NeutralType};
use crate::wire::InvalidValue;
use crate::wire::messages::{Catalogue, CatalogueColumn};

/// What a published schema says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedTable {
    /// Its columns, and its primary key where that is said.
    pub catalogue: Catalogue,
    /// It says which columns the primary key has, or that there is none.
    pub says_key: bool,
}

/// The `data_type` of a column whose type is known only to the database that has it.
pub const NAMELESS: [&str; 2] = ["USER-DEFINED", "ARRAY"];

#[derive(Deserialize)]
struct Schema {
    columns: Vec<Column>,
    primary_key: Option<Vec<String>>,
}

/// Versions have the one style of keys, the other, or both.
#[derive(Deserialize)]
struct Column {
    column_name: Option<String>,
    name: Option<String>,
    data_type: Option<String>,
    r#type: Option<String>,
    is_nullable: Option<String>,
    nullable: Option<bool>,
    character_maximum_length: Option<u32>,
    primary_key: Option<bool>,
}

/// Reads the `schema` of an answer to `table-schema`.
///
/// # Errors
/// When it describes no table.
pub fn described(schema: &Value, row_count: Option<u64>) -> Result<PublishedTable, InvalidValue> {
    let invalid = |found: String| InvalidValue::new("schema", found);
    let schema = Schema::deserialize(schema).map_err(|err| invalid(err.to_string()))?;
    let mut marked = Vec::new();
    let mut says_key = schema.primary_key.is_some();
    let mut columns = Vec::with_capacity(schema.columns.len());
    for column in schema.columns {
        says_key |= column.primary_key.is_some();
        let (name, is_key) = (column.column_name.or(column.name), column.primary_key);
        let data_type = column.data_type.or(column.r#type);
        let (Some(name), Some(data_type)) = (name, data_type) else {
            return Err(invalid("a column without name or type".to_owned()));
        };
        if is_key == Some(true) {
            marked.push(name.clone());
        }
        let nullable = match column.is_nullable.as_deref() {
            Some(word) => word != "NO",
            None => column.nullable.unwrap_or(true),
        };
        columns.push(catalogue_column(
            name,
            data_type,
            nullable,
            column.character_maximum_length,
        ));
    }
    let primary_key = schema.primary_key.unwrap_or(marked);
    let has = |name: &String| columns.iter().any(|column| column.name == *name);
    if columns.is_empty() || !primary_key.iter().all(has) {
        return Err(invalid("no columns, or a key of others".to_owned()));
    }
    Ok(PublishedTable {
        catalogue: Catalogue {
            engine: Engine::Postgres,
            columns,
            primary_key,
            unique: Vec::new(),
            foreign_keys: Vec::new(),
            row_estimate: row_count,
        },
        says_key,
    })
}

fn catalogue_column(
    name: String,
    data_type: String,
    nullable: bool,
    length: Option<u32>,
) -> CatalogueColumn {
    let kind = neutral(&data_type);
    let native = match (data_type.as_str(), length) {
        // As `format_type` writes them, by which padding is known.
        ("character", length) => format!("character({})", length.unwrap_or(1)),
        ("character varying", Some(length)) => format!("character varying({length})"),
        _ => data_type,
    };
    CatalogueColumn {
        name,
        kind,
        native,
        precision: None,
        scale: None,
        length: length.filter(|_| kind == NeutralType::Text),
        nullable,
        generated: false,
        identity: false,
    }
}

/// PostgreSQL's own names, and the short ones that a person may give.
fn neutral(data_type: &str) -> NeutralType {
    match data_type {
        "boolean" => NeutralType::Bool,
        "smallint" => NeutralType::Int2,
        "integer" => NeutralType::Int4,
        "bigint" => NeutralType::Int8,
        "real" => NeutralType::Float4,
        "double precision" => NeutralType::Float8,
        "numeric" => NeutralType::Numeric,
        "text" | "character varying" | "character" => NeutralType::Text,
        "bytea" => NeutralType::Bytea,
        "date" => NeutralType::Date,
        "time without time zone" => NeutralType::Time,
        "timestamp without time zone" => NeutralType::Timestamp,
        "timestamp with time zone" => NeutralType::Timestamptz,
        "uuid" => NeutralType::Uuid,
        "json" => NeutralType::Json,
        "jsonb" => NeutralType::Jsonb,
        _ => NeutralType::Other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::described;
    use crate::model::table::NeutralType;

    fn old(name: &str, data_type: &str, nullable: &str) -> Value {
        json!({"column_name": name, "data_type": data_type, "is_nullable": nullable,
               "column_default": "nextval('x')", "character_maximum_length": null})
    }

    #[test]
    fn both_styles_of_keys_are_read_and_what_is_not_said_stays_unsaid() {
        let first = json!({"table_name": "t", "columns": [old("id", "bigint", "NO"), old("mood", "USER-DEFINED", "YES")]});
        let found = described(&first, Some(7)).unwrap();
        assert!(!found.says_key);
        assert_eq!(found.catalogue.primary_key, Vec::<String>::new());
        assert_eq!(found.catalogue.row_estimate, Some(7));
        let kinds: Vec<_> = found
            .catalogue
            .columns
            .iter()
            .map(|column| (column.kind, column.nullable))
            .collect();
        assert_eq!(
            kinds,
            [(NeutralType::Int8, false), (NeutralType::Other, true)]
        );

        let later = json!({"columns": [{"name": "id", "type": "character", "nullable": false, "primary_key": true,
            "default": null, "character_maximum_length": 5}]});
        let found = described(&later, None).unwrap();
        assert!(found.says_key);
        assert_eq!(found.catalogue.primary_key, ["id"]);
        assert_eq!(found.catalogue.columns[0].native, "character(5)");
        assert_eq!(found.catalogue.columns[0].length, Some(5));

        let none = json!({"columns": [old("a", "text", "YES")], "primary_key": []});
        assert!(described(&none, None).unwrap().says_key);
    }

    #[test]
    fn what_describes_no_table_is_refused() {
        for schema in [
            json!(null),
            json!({}),
            json!({"columns": []}),
            json!({"columns": [{"data_type": "text"}]}),
            json!({"columns": [{"name": 7, "type": "text"}]}),
            json!({"columns": [{"name": "a", "type": "text"}], "primary_key": ["b"]}),
        ] {
            assert!(described(&schema, None).is_err(), "{schema}");
        }
    }
}
