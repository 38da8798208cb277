//! `tables`, `schema` and `records`: look before pulling.

use serde_json::Value;

use crate::cli::client::Client;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::fields::{at, list, optional_number, shown, text};
use crate::cli::print::{Column, Output, grouped, sized};
use crate::cli::resolve;
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

const COLUMNS: [Column; 4] = [
    ("column", |item| either(item, "name", "column_name")),
    ("type", |item| either(item, "type", "data_type")),
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
    context.output.list(&items, &TABLES)?;
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
    context.output.list(list(&schema, "columns"), &COLUMNS)?;
    if let Some(key) = shown_at(&schema, "primary_key").filter(|key| !key.is_empty()) {
        context.output.note(&format!("Primary key: {key}"));
    }
    Ok(Exit::Done)
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
