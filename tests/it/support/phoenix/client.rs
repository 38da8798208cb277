//! A PhoenixKit site as it asks: registers, tells its decisions, pulls and imports.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::values::{self, Column};
use super::{Phoenix, Row, hash};
use crate::support::daemon::Site;
use crate::support::http::{Answer, Request};
use crate::support::postgres;

/// What an import did.
#[derive(Debug, Default)]
pub struct Imported {
    /// Rows written.
    pub rows: usize,
    /// Why others were not, one line each.
    pub errors: Vec<String>,
}

impl Phoenix {
    /// Asks `site` as this version of the program does, at the only place it knows.
    pub fn ask(&self, site: &Site, endpoint: &str, body: &Value) -> Answer {
        let request = Request::new("POST", &format!("/phoenix_kit/sync/api/{endpoint}"))
            .header("accept", "application/json")
            .header("user-agent", "PhoenixKit-Sync/1.0")
            .json(body);
        site.peer(&request).expect("an answer")
    }

    /// Its administrator makes a sender row for `site`, and registers it there. The answer.
    pub fn offer_to(&self, site: &Site, name: &str) -> Answer {
        let token: String = ('A'..='Z').chain('a'..='q').collect();
        self.state.rows().push(Row {
            direction: "sender",
            url: site.url(),
            hash: hash(&token),
            status: "pending".to_owned(),
            name: name.to_owned(),
        });
        let body = json!({"sender_url": self.url(), "connection_name": name, "auth_token": token});
        self.ask(site, "register-connection", &body)
    }

    /// Its administrator decides; `site` is told at once.
    pub fn decide(&self, site: &Site, status: &str) -> Answer {
        let row = {
            let mut rows = self.state.rows();
            rows[0].status = status.to_owned();
            rows[0].clone()
        };
        let body = json!({"sender_url": self.url(), "auth_token_hash": row.hash, "status": status});
        self.ask(site, "update-status", &body)
    }

    /// Its administrator deletes its only row; `site` is told at once.
    pub fn delete(&self, site: &Site) -> Answer {
        let row = self.state.rows().remove(0);
        let body = json!({"sender_url": self.url(), "auth_token_hash": row.hash});
        self.ask(site, "delete-connection", &body)
    }

    /// Asks whether `site` knows its only row.
    pub fn verify(&self, site: &Site) -> Answer {
        let body = json!({"sender_url": self.url(), "auth_token_hash": self.row().hash});
        self.ask(site, "verify-connection", &body)
    }

    /// The status that `site`, which gives, tells of its row.
    pub fn status_at(&self, site: &Site) -> Answer {
        let body = json!({"receiver_url": self.url(), "auth_token_hash": self.row().hash});
        self.ask(site, "get-connection-status", &body)
    }

    /// What a data endpoint of `site` answers.
    pub fn data(&self, site: &Site, endpoint: &str, table: &str) -> Answer {
        let hash = self.row().hash;
        let body =
            json!({"auth_token_hash": hash, "table_name": table, "conflict_strategy": "skip"});
        self.ask(site, endpoint, &body)
    }

    /// Pulls `table` from `site` into the table of the same name here, row by row.
    pub fn pull(&self, site: &Site, table: &str) -> Imported {
        let answer = self.data(site, "pull-data", table).expect(200);
        let body: Pulled<'_> = serde_json::from_slice(&answer.body).expect("rows");
        assert!(body.success, "{}", answer.text());
        let columns = values::columns(&self.state.database, table);
        let mut imported = Imported::default();
        let mut script = String::new();
        for row in &body.data {
            match insert(table, &columns, row) {
                Ok(statement) => {
                    imported.rows += 1;
                    script.push_str(&statement);
                }
                Err(words) => imported.errors.push(words),
            }
        }
        postgres::query(&self.state.database, &script);
        imported
    }
}

#[derive(serde::Deserialize)]
struct Pulled<'a> {
    success: bool,
    #[serde(borrow)]
    data: Vec<BTreeMap<String, &'a RawValue>>,
}

fn insert(
    table: &str,
    columns: &[Column],
    row: &BTreeMap<String, &RawValue>,
) -> Result<String, String> {
    let (mut names, mut literals) = (Vec::new(), Vec::new());
    for (name, value) in row {
        let column = columns.iter().find(|column| column.name == *name);
        let column = column.ok_or_else(|| format!("no column {name}"))?;
        let literal = literal(&column.kind, &Imports::from(value))
            .ok_or_else(|| format!("{name} {}: {value}", column.kind))?;
        names.push(name.as_str());
        literals.push(literal);
    }
    let (names, literals) = (names.join(", "), literals.join(", "));
    Ok(format!(
        "insert into {table} ({names}) values ({literals});\n"
    ))
}

/// A value as the importing program sees it.
enum Imports {
    Null,
    Bool(bool),
    /// A whole number of any size.
    Integer(String),
    Float(f64),
    Bytes(Vec<u8>),
    Text(String),
    /// Text that it takes for a date, a time or both.
    Moment(String),
    Other(String),
}

impl From<&&RawValue> for Imports {
    fn from(value: &&RawValue) -> Self {
        let written = value.get();
        match serde_json::from_str(written).expect("JSON") {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(value),
            Value::Number(_) if written.contains(['.', 'e', 'E']) => {
                Self::Float(written.parse().expect("a float"))
            }
            Value::Number(_) => Self::Integer(written.to_owned()),
            Value::String(text) if is_moment(&text) => Self::Moment(text),
            Value::String(text) => Self::Text(text),
            Value::Object(object) if object.len() == 1 && object.contains_key(WRAPPER) => {
                let base64 = object[WRAPPER].as_str().expect("text");
                Self::Bytes(STANDARD.decode(base64).expect("base64"))
            }
            Value::Array(_) | Value::Object(_) => Self::Other(written.to_owned()),
        }
    }
}

const WRAPPER: &str = "__phoenix_kit_binary__";

fn is_moment(text: &str) -> bool {
    let form: String = text
        .chars()
        .map(|character| {
            if character.is_ascii_digit() {
                '0'
            } else {
                character
            }
        })
        .collect();
    let time = |form: &str| {
        let (whole, fraction) = form.split_once('.').unwrap_or((form, "0"));
        whole == "00:00:00" && !fraction.is_empty() && fraction.chars().all(|digit| digit == '0')
    };
    let both = |form: &str| {
        let rest = form.strip_prefix("0000-00-00")?;
        let rest = rest.strip_prefix('T').or(rest.strip_prefix(' '))?;
        let end = rest.find(['Z', '+', '-']).unwrap_or(rest.len());
        Some(time(&rest[..end]))
    };
    form == "0000-00-00" || time(&form) || both(&form) == Some(true)
}

/// The value for a column of this type; `None` where the program makes an error of it.
fn literal(kind: &str, value: &Imports) -> Option<String> {
    let quoted = |text: &str| {
        Some(format!(
            "E'{}'",
            text.replace('\\', "\\\\").replace('\'', "''")
        ))
    };
    match (kind, value) {
        (_, Imports::Null) => Some("null".to_owned()),
        ("boolean", Imports::Bool(value)) => Some(value.to_string()),
        ("smallint" | "integer" | "bigint", Imports::Integer(digits)) => Some(digits.clone()),
        ("numeric", Imports::Integer(digits)) => Some(digits.clone()),
        ("numeric", Imports::Float(value)) => Some(value.to_string()),
        ("numeric", Imports::Text(text)) => {
            let is_taken = text.contains('.') || text == "NaN";
            is_taken.then(|| quoted(text)).flatten()
        }
        ("real" | "double precision", Imports::Integer(digits)) => Some(digits.clone()),
        ("real" | "double precision", Imports::Float(value)) => quoted(&value.to_string()),
        ("real" | "double precision", Imports::Text(text)) => {
            let is_special = ["NaN", "inf", "-inf"].contains(&text.as_str());
            is_special.then(|| quoted(text)).flatten()
        }
        ("uuid", Imports::Bytes(bytes)) if bytes.len() == 16 => quoted(&hex::encode(bytes)),
        ("bytea", Imports::Bytes(bytes)) => quoted(&format!("\\x{}", hex::encode(bytes))),
        ("bytea", Imports::Text(text)) => quoted(&format!("\\x{}", hex::encode(text))),
        ("text" | "character varying" | "character" | "USER-DEFINED", Imports::Text(text)) => {
            quoted(text)
        }
        ("text" | "character varying" | "character" | "USER-DEFINED", Imports::Bytes(bytes)) => {
            quoted(std::str::from_utf8(bytes).ok()?)
        }
        ("date", Imports::Moment(text)) if text.len() == 10 => quoted(text),
        ("time without time zone", Imports::Moment(text)) if text.contains(':') => quoted(text),
        ("timestamp without time zone", Imports::Moment(text)) if text.contains('T') => {
            quoted(text)
        }
        ("timestamp with time zone", Imports::Moment(text)) => {
            let is_zoned = text.ends_with('Z') && text.contains('T');
            is_zoned.then(|| quoted(text)).flatten()
        }
        ("json" | "jsonb", value) => quoted(&match value {
            Imports::Bytes(bytes) => json!(std::str::from_utf8(bytes).ok()?).to_string(),
            Imports::Text(text) => json!(text).to_string(),
            Imports::Moment(text) => json!(text.replace(' ', "T")).to_string(),
            Imports::Bool(value) => value.to_string(),
            Imports::Integer(digits) | Imports::Other(digits) => digits.clone(),
            Imports::Float(value) => value.to_string(),
            Imports::Null => return None,
        }),
        _ => None,
    }
}
