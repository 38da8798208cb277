//! What a PhoenixKit site answers, endpoint by endpoint.

use std::sync::atomic::Ordering;

use serde_json::{Map, Value, json};

use super::values::{self, Column};
use super::{Row, State, Version};
use crate::support::postgres;

type Answered = (u16, Value);

pub(super) fn status() -> Answered {
    let body = json!({"enabled": true, "incoming_mode": "auto_accept", "password_required": false});
    (200, body)
}

pub(super) fn answer(state: &State, endpoint: &str, body: &Value) -> Answered {
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let required: &[&str] = match endpoint {
        "register-connection" => &["sender_url", "connection_name", "auth_token"],
        "delete-connection" | "verify-connection" => &["sender_url", "auth_token_hash"],
        "update-status" => &["sender_url", "auth_token_hash", "status"],
        "get-connection-status" => &["receiver_url", "auth_token_hash"],
        "list-tables" => &["auth_token_hash"],
        "pull-data" | "table-schema" | "table-records" => &["auth_token_hash", "table_name"],
        _ => return (404, Value::Null),
    };
    let missing: Vec<&&str> = required
        .iter()
        .filter(|name| text(name).is_empty())
        .collect();
    if !missing.is_empty() {
        let refused =
            json!({"success": false, "error": "Missing required fields", "fields": missing});
        return (400, refused);
    }
    match endpoint {
        "register-connection" => register(state, &text),
        "delete-connection" | "verify-connection" | "update-status" => {
            named(state, endpoint, &text)
        }
        "get-connection-status" => own_status(state, &text("auth_token_hash")),
        _ => data(state, endpoint, body, &text),
    }
}

fn refused(status: u16, words: &str) -> Answered {
    (status, json!({"success": false, "error": words}))
}

fn register(state: &State, text: &dyn Fn(&str) -> String) -> Answered {
    let (url, mut rows) = (text("sender_url"), state.rows());
    let is_known = |row: &Row| row.direction == "receiver" && row.url == url;
    if rows.iter().any(is_known) {
        return refused(409, "A connection already exists");
    }
    rows.push(Row {
        direction: "receiver",
        url,
        hash: super::hash(&text("auth_token")),
        status: "active".to_owned(),
        name: format!("From: {}", text("connection_name")),
    });
    let body = json!({
        "success": true, "message": "Connection registered and activated",
        "connection_status": "active", "connection_uuid": "0192d1c8-3b7e-7000-8000-000000000001",
    });
    (200, body)
}

/// What goes by URL and hash, exactly, in either direction.
fn named(state: &State, endpoint: &str, text: &dyn Fn(&str) -> String) -> Answered {
    let mut rows = state.rows();
    let (url, hash, status) = (text("sender_url"), text("auth_token_hash"), text("status"));
    if endpoint == "update-status" && !["active", "suspended", "revoked"].contains(&status.as_str())
    {
        return refused(400, "Invalid status value");
    }
    let found = rows
        .iter()
        .position(|row| row.url == url && row.hash == hash);
    match (endpoint, found) {
        ("verify-connection", None) => (404, json!({"success": false, "exists": false})),
        ("verify-connection", Some(_)) => (200, json!({"success": true, "exists": true})),
        (_, None) => refused(404, "Connection not found"),
        ("delete-connection", Some(at)) => {
            rows.remove(at);
            (
                200,
                json!({"success": true, "message": "Connection deleted"}),
            )
        }
        (_, Some(at)) => {
            rows[at].status.clone_from(&status);
            (
                200,
                json!({"success": true, "message": format!("Status updated to {status}")}),
            )
        }
    }
}

/// Asking makes a pending row active.
fn own_status(state: &State, hash: &str) -> Answered {
    let mut rows = state.rows();
    let Some(row) = sender(&mut rows, hash) else {
        return refused(404, "Connection not found");
    };
    if row.status == "pending" {
        row.status = "active".to_owned();
    }
    (
        200,
        json!({"success": true, "status": row.status, "name": row.name}),
    )
}

fn sender<'a>(rows: &'a mut [Row], hash: &str) -> Option<&'a mut Row> {
    rows.iter_mut()
        .find(|row| row.direction == "sender" && row.hash == hash)
}

fn data(state: &State, endpoint: &str, body: &Value, text: &dyn Fn(&str) -> String) -> Answered {
    match sender(&mut state.rows(), &text("auth_token_hash")) {
        None => return refused(401, "Invalid connection"),
        Some(row) if row.status != "active" => return refused(403, "Connection is not active"),
        Some(_) => {}
    }
    if endpoint == "list-tables" {
        return (200, json!({"success": true, "tables": tables(state)}));
    }
    let table = text("table_name");
    let (columns, key) = state.shape(&table);
    if columns.is_empty() {
        return refused(404, "Table not found");
    }
    match endpoint {
        "table-schema" => schema(state, &table, (&columns, key)),
        "pull-data" => pull(state, &table, (&columns, key), body),
        _ => page(state, &table, (&columns, key), body),
    }
}

fn tables(state: &State) -> Vec<Value> {
    let names = postgres::query(
        &state.database,
        "select table_name from information_schema.tables
         where table_schema = 'public' and table_type = 'BASE TABLE' order by 1",
    );
    let counted = |name: &str| {
        let count = postgres::query(&state.database, &format!("select count(*) from {name}"));
        let count: u64 = count.parse().expect("a count");
        json!({"name": name, "row_count": count, "size_bytes": 8192, "checksum": null, "depends_on": []})
    };
    names.lines().map(counted).collect()
}

fn schema(state: &State, table: &str, (columns, key): (&[Column], Vec<String>)) -> Answered {
    let described: Vec<Value> = columns
        .iter()
        .map(|column| {
            let mut described = json!({
                "column_name": column.name, "data_type": column.kind, "column_default": null,
                "is_nullable": if column.nullable { "YES" } else { "NO" },
                "character_maximum_length": column.length,
            });
            if state.version == Version::New {
                described["of_later_version"] = json!({"columns": []});
            }
            described
        })
        .collect();
    let mut schema = json!({"table_name": table, "columns": described});
    if state.version == Version::New {
        schema["primary_key"] = key.into();
    }
    (
        200,
        json!({"success": true, "schema": schema, "of_later_version": [1]}),
    )
}

fn pull(
    state: &State,
    table: &str,
    (columns, key): (&[Column], Vec<String>),
    body: &Value,
) -> Answered {
    let read = |rest: &str| values::rows(&state.database, table, columns, rest);
    if state.version == Version::Old {
        let rest = format!("order by hashtext(ctid::text) limit {}", state.most);
        return (
            200,
            json!({"success": true, "table": table, "data": read(&rest)}),
        );
    }
    let is_filtered = !body["id_start"].is_null();
    let filter = match body["id_start"].as_i64() {
        Some(start) => format!("where {} >= {start}", key[0]),
        None => String::new(),
    };
    let order = if key.is_empty() {
        String::new()
    } else {
        format!("order by {}", key.join(", "))
    };
    let mut rows = read(&format!("{filter} {order} limit {}", state.most + 1));
    let most = usize::try_from(state.most).expect("a size");
    let mut answer = Map::new();
    if rows.len() > most {
        rows.truncate(most);
        answer.insert("truncated".to_owned(), true.into());
    }
    if is_filtered {
        answer.insert("filtered".to_owned(), true.into());
    }
    for (key, value) in [
        ("success", json!(true)),
        ("table", json!(table)),
        ("data", rows.into()),
        ("of_later_version", json!({"data": [{}]})),
    ] {
        answer.insert(key.to_owned(), value);
    }
    (200, answer.into())
}

fn page(
    state: &State,
    table: &str,
    (columns, key): (&[Column], Vec<String>),
    body: &Value,
) -> Answered {
    let number = |name: &str, default: u64| body[name].as_u64().unwrap_or(default);
    let (limit, offset) = (number("limit", 10).clamp(1, 100), number("offset", 0));
    let order = match (state.version, key.first()) {
        _ if state.is_unordered.load(Ordering::Relaxed) => "order by random()".to_owned(),
        (_, None) => String::new(),
        (Version::Old, Some(first)) => format!("order by {first}"),
        (Version::New, Some(_)) => format!("order by {}", key.join(", ")),
    };
    let rest = format!("{order} limit {limit} offset {offset}");
    let rows = values::rows(&state.database, table, columns, &rest);
    if let Some(change) = state.after_page.lock().unwrap().as_mut() {
        change(offset);
    }
    (200, json!({"success": true, "records": rows}))
}
