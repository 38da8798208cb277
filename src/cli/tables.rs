//! `tables`, `schema` and `records`: look before pulling.

use serde_json::Value;

use crate::cli::client::Client;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::fields::{at, list, optional_number, shown, text};
use crate::cli::print::{Column, Output, grouped, sized};
use crate::cli::{grants, resolve};
use crate::model::table::TableName;

const TABLES: [Column; 7] = [
    ("table", |item| text(item, "table").to_owned()),
    ("peer rows", |item| rows_of(item, "peer")),
    ("rows here", |item| rows_of(item, "local")),
    ("peer size", |item| {
        optional_number(item, "peer.size_bytes")
            .map(sized)
            .unwrap_or_default()
    }),
    ("key", |item| {
        shown_at(item, "peer.primary_key")
            .or_else(|| shown_at(item, "local.primary_key"))
            .unwrap_or_default()
    }),
    ("comparison", |item| text(item, "comparison").to_owned()),
    ("triggers here", |item| {
        shown_at(item, "triggers").unwrap_or_default()
    }),
];

/// A table as the peer sees it.
const GIVEN: [Column; 5] = [
    ("table", |item| text(item, "table").to_owned()),
    ("rows", |item| rows_of(item, "local")),
    ("key", |item| {
        shown_at(item, "local.primary_key").unwrap_or_default()
    }),
    ("columns", grants::seen_columns),
    ("withheld", grants::unseen),
];

/// Where [`typed`] leaves the type as a person writes it.
const TYPE: &str = "shown_type";

const COLUMNS: [Column; 4] = [
    ("column", |item| either(item, "name", "column_name")),
    ("type", |item| text(item, TYPE).to_owned()),
    ("null", |item| {
        match either(item, "nullable", "is_nullable").as_str() {
            "true" | "YES" => "yes".to_owned(),
            _ => String::new(),
        }
    }),
    ("key", |item| {
        match shown_at(item, "primary_key").as_deref() {
            Some("true") => "yes".to_owned(),
            _ => String::new(),
        }
    }),
];

/// The peer's tables beside ours, or what the peer sees.
pub(super) async fn tables(context: &Context, connection: &str) -> anyhow::Result<Exit> {
    let client = context.client()?;
    let id = id_of(&client, connection).await?;
    let items = client
        .list(&["connections", &id, "tables"], &[], usize::MAX)
        .await?;
    // On a sender each says what the peer sees of it.
    let is_given = items
        .first()
        .is_some_and(|item| at(item, "columns").is_some());
    let columns: &[Column] = if is_given { &GIVEN } else { &TABLES };
    context.output.list(&items, columns)?;
    Ok(Exit::Done)
}

/// One table's columns.
pub(super) async fn schema(
    context: &Context,
    connection: &str,
    table: &TableName,
) -> anyhow::Result<Exit> {
    let client = context.client()?;
    let id = id_of(&client, connection).await?;
    let schema = client
        .get(&["connections", &id, "tables", &table.to_string(), "schema"])
        .await?;
    if context.output.json {
        context.output.object(&schema)?;
        return Ok(Exit::Done);
    }
    context.output.list(&typed(&schema), &COLUMNS)?;
    if let Some(key) = shown_at(&schema, "primary_key").filter(|key| !key.is_empty()) {
        context.output.note(&format!("Primary key: {key}"));
    }
    Ok(Exit::Done)
}

/// The columns, each with its type as a person writes it: with length, or precision and scale.
fn typed(schema: &Value) -> Vec<Value> {
    let catalogue = at(schema, "evenkeel.columns").and_then(Value::as_array);
    list(schema, "columns")
        .iter()
        .map(|column| {
            let name = either(column, "name", "column_name");
            let same = |entry: &&Value| text(entry, "name") == name;
            let entry = catalogue.and_then(|entries| entries.iter().find(same));
            let mut column = column.clone();
            let shown = type_of(&column, entry.unwrap_or(&Value::Null));
            if let Some(fields) = column.as_object_mut() {
                fields.insert(TYPE.to_owned(), Value::from(shown));
            }
            column
        })
        .collect()
}

/// `entry` is the column in an Evenkeel's catalogue, which knows more than what the protocol publishes.
fn type_of(column: &Value, entry: &Value) -> String {
    let name = either(column, "type", "data_type");
    let number = |field: &str| optional_number(entry, field);
    match (text(entry, "type"), number("precision"), number("scale")) {
        // The protocol calls it text.
        ("other", ..) => text(entry, "native").to_owned(),
        ("numeric", Some(precision), Some(scale)) => format!("{name}({precision},{scale})"),
        ("numeric", Some(precision), None) => format!("{name}({precision})"),
        _ => match optional_number(column, "character_maximum_length") {
            Some(length) => format!("{name}({length})"),
            None => name,
        },
    }
}

/// The first rows of one table.
pub(super) async fn records(
    context: &Context,
    connection: &str,
    table: &TableName,
    limit: u32,
) -> anyhow::Result<Exit> {
    let (client, output) = (context.client()?, context.output);
    let id = id_of(&client, connection).await?;
    let (table, limit) = (table.to_string(), limit.to_string());
    let path = ["connections", &id, "tables", &table];
    let [records, schema] = ["records", "schema"].map(|last| [path.as_slice(), &[last]].concat());
    let answer = client.get_with(&records, &[("limit", &limit)]).await?;
    let records = list(&answer, "items");
    if output.json {
        records
            .iter()
            .try_for_each(|record| output.object(record))?;
        return Ok(Exit::Done);
    }
    // Objects have no order; the table's columns have one.
    let schema = client.get(&schema).await?;
    let columns: Vec<String> = list(&schema, "columns")
        .iter()
        .map(|column| either(column, "name", "column_name"))
        .collect();
    print_records(output, &columns, records)?;
    Ok(Exit::Done)
}

fn print_records(output: Output, columns: &[String], records: &[Value]) -> anyhow::Result<()> {
    let titles: Vec<&str> = columns.iter().map(String::as_str).collect();
    let cell = |record: &Value, name: &str| match record.get(name) {
        Some(value) if !value.is_null() => shown(value),
        _ => "NULL".to_owned(),
    };
    let rows: Vec<Vec<String>> = records
        .iter()
        .map(|record| titles.iter().map(|name| cell(record, name)).collect())
        .collect();
    Ok(output.table(&titles, &rows)?)
}

async fn id_of(client: &Client, wanted: &str) -> anyhow::Result<String> {
    let row = resolve::connection(client, wanted).await?;
    Ok(text(&row, "id").to_owned())
}

fn rows_of(item: &Value, side: &str) -> String {
    match at(item, side) {
        None => "-".to_owned(),
        Some(table) => optional_number(table, "rows").map_or_else(|| "?".to_owned(), grouped),
    }
}

fn shown_at(item: &Value, path: &str) -> Option<String> {
    at(item, path).map(shown)
}

fn either(item: &Value, name: &str, other: &str) -> String {
    shown_at(item, name)
        .or_else(|| shown_at(item, other))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Value, type_of};

    #[test]
    fn a_type_is_shown_with_its_length_or_precision() {
        let published = |name: &str, length: Value| json!({"data_type": name, "character_maximum_length": length});
        let catalogue = |kind: &str, precision: Value, scale: Value| json!({"type": kind, "native": "mood", "precision": precision, "scale": scale});
        let none = || Value::Null;
        for (column, entry, expected) in [
            (
                published("numeric", none()),
                catalogue("numeric", json!(12), json!(2)),
                "numeric(12,2)",
            ),
            (
                published("numeric", none()),
                catalogue("numeric", none(), none()),
                "numeric",
            ),
            (
                published("character varying", json!(40)),
                catalogue("text", none(), none()),
                "character varying(40)",
            ),
            (
                published("text", none()),
                catalogue("other", none(), none()),
                "mood",
            ),
            // A peer that is no Evenkeel.
            (
                published("character varying", json!(40)),
                none(),
                "character varying(40)",
            ),
            (published("bigint", none()), none(), "bigint"),
        ] {
            assert_eq!(type_of(&column, &entry), expected);
        }
    }
}
