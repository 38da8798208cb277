//! How a PhoenixKit site writes values: read by psql, put into its forms here.

use serde_json::{Map, Value, json};

use crate::support::postgres;

/// A column as `information_schema` describes it.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) nullable: bool,
    pub(super) length: Option<u32>,
}

/// The columns of `table`, none where there is no such table.
pub(super) fn columns(database: &str, table: &str) -> Vec<Column> {
    let sql = format!(
        "select column_name, data_type, is_nullable, character_maximum_length
         from information_schema.columns
         where table_schema = 'public' and table_name = '{table}' order by ordinal_position"
    );
    let described = postgres::query(database, &sql);
    described
        .lines()
        .map(|line| {
            let parts: Vec<&str> = line.split('|').collect();
            Column {
                name: parts[0].to_owned(),
                kind: parts[1].to_owned(),
                nullable: parts[2] == "YES",
                length: parts[3].parse().ok(),
            }
        })
        .collect()
}

/// The columns of the primary key, in its order.
pub(super) fn primary_key(database: &str, table: &str) -> Vec<String> {
    let sql = format!(
        "select a.attname
         from pg_index i
         cross join unnest(i.indkey) with ordinality k(number, at)
         join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number
         where i.indrelid = '{table}'::regclass and i.indisprimary order by k.at"
    );
    let names = postgres::query(database, &sql);
    names.lines().map(str::to_owned).collect()
}

/// Rows of `table` in this site's forms; `rest` follows the table in the query.
pub(super) fn rows(database: &str, table: &str, columns: &[Column], rest: &str) -> Vec<Value> {
    let members: Vec<String> = columns
        .iter()
        .map(|column| format!("'{}', {}", column.name, expression(column)))
        .collect();
    let sql = format!(
        "select json_build_object({}) from {table} {rest}",
        members.join(", ")
    );
    let lines = postgres::query(database, &sql);
    lines.lines().map(|line| row(columns, line)).collect()
}

fn expression(column: &Column) -> String {
    let name = &column.name;
    match column.kind.as_str() {
        "uuid" => format!("encode(uuid_send({name}), 'hex')"),
        "bytea" => format!("encode({name}, 'hex')"),
        "numeric" => format!("{name}::text"),
        "real" => format!("{name}::float8"),
        "timestamp without time zone" => {
            format!("to_char({name}, 'YYYY-MM-DD\"T\"HH24:MI:SS.US')")
        }
        "timestamp with time zone" => {
            format!("to_char({name} at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
        }
        "time without time zone" => {
            format!("to_char('2000-01-01'::date + {name}, 'HH24:MI:SS.US')")
        }
        _ => name.clone(),
    }
}

fn row(columns: &[Column], line: &str) -> Value {
    let mut read: Map<String, Value> = serde_json::from_str(line).expect("JSON");
    for column in columns {
        let value = read.get_mut(&column.name).expect("the column");
        let text = value.as_str().map(str::to_owned);
        *value = match (column.kind.as_str(), text) {
            ("uuid" | "bytea", Some(hex)) => bytes(&hex::decode(hex).expect("hex")),
            ("numeric", Some(text)) => decimal(&text).into(),
            ("real" | "double precision", Some(text)) => match text.as_str() {
                "Infinity" => "inf".into(),
                "-Infinity" => "-inf".into(),
                _ => text.into(),
            },
            _ => continue,
        };
    }
    read.into()
}

/// Bytes that happen to be text go as text, all others in the wrapper.
fn bytes(bytes: &[u8]) -> Value {
    use base64::Engine as _;
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => {
            let base64 = base64::engine::general_purpose::STANDARD.encode(bytes);
            json!({"__phoenix_kit_binary__": base64})
        }
    }
}

/// A decimal as its library writes it: with an exponent where there are more than six zeros behind the point.
fn decimal(text: &str) -> String {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text),
    };
    let Some((whole, fraction)) = digits.split_once('.') else {
        return text.to_owned();
    };
    let significant = fraction.trim_start_matches('0');
    let zeros = fraction.len() - significant.len();
    if whole != "0" || zeros < 6 || significant.is_empty() {
        return text.to_owned();
    }
    let (first, others) = significant.split_at(1);
    let point = if others.is_empty() { "" } else { "." };
    format!("{sign}{first}{point}{others}E-{}", zeros + 1)
}

#[test]
fn decimals_are_written_as_that_library_does() {
    for (plain, written) in [
        ("0.00000001", "1E-8"),
        ("-0.00000012", "-1.2E-7"),
        ("0.000001", "0.000001"),
        ("12.50", "12.50"),
        ("5", "5"),
    ] {
        assert_eq!(decimal(plain), written);
    }
}
