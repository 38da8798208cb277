//! What is given, from the command line or a file to the words a person reads and the object the daemon takes.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::cli::arguments::GivenTables;
use crate::cli::context::Context;
use crate::cli::exit::Failure;
use crate::cli::fields::{list, shown, text};
use crate::model::grant::{ColumnPolicies, ColumnPolicy, Grant, GrantedTables};
use crate::model::table::TableName;

/// The grant that was asked for; `None` when nothing was named.
///
/// # Errors
/// When the file cannot be read or holds no grant.
pub(super) fn of(given: &GivenTables) -> anyhow::Result<Option<Value>> {
    if let Some(path) = &given.grant {
        let grant = read(path).map_err(Failure::usage)?;
        return Ok(Some(serde_json::to_value(&grant)?));
    }
    Ok(if given.all_tables {
        Some(json!({"tables": "*"}))
    } else if given.tables.is_empty() {
        None
    } else {
        Some(json!({"tables": given.tables}))
    })
}

fn read(path: &Path) -> Result<Grant, String> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|err| format!("{shown}: {err}"))?;
    parsed(&text).map_err(|err| format!("{shown}: {err}"))
}

/// A grant as JSON, which begins with a brace, or as TOML, which does not.
fn parsed(text: &str) -> Result<Grant, String> {
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).map_err(|err| err.to_string());
    }
    let table: toml::Table = toml::from_str(text).map_err(|err| err.to_string())?;
    let json = as_json(toml::Value::Table(table)).to_string();
    serde_json::from_str(&json).map_err(|err| {
        // Its lines are none of the file's.
        let words = err.to_string();
        words.split(" at line ").next().unwrap_or(&words).to_owned()
    })
}

fn as_json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::from(text),
        toml::Value::Integer(number) => Value::from(number),
        toml::Value::Float(number) => Value::from(number),
        toml::Value::Boolean(value) => Value::from(value),
        toml::Value::Datetime(time) => Value::from(time.to_string()),
        toml::Value::Array(items) => items.into_iter().map(as_json).collect(),
        toml::Value::Table(fields) => fields
            .into_iter()
            .map(|(name, value)| (name, as_json(value)))
            .collect(),
    }
}

/// The tables as named; asks a person who named none.
pub(super) fn named_or_asked(context: &Context, given: GivenTables) -> anyhow::Result<GivenTables> {
    if of(&given)?.is_some() {
        return Ok(given);
    }
    let missing = || {
        Failure::usage("name what to give: --tables a,b or --all-tables, or a file with --grant")
    };
    if !context.output.can_ask() {
        return Err(missing().into());
    }
    let question = "Which tables shall the peer be able to read (a, b, ...; * for all)?";
    let answer = context.output.ask(question)?.unwrap_or_default();
    let tables = answered(&answer).map_err(Failure::usage)?;
    if of(&tables)?.is_none() {
        return Err(missing().into());
    }
    Ok(tables)
}

/// What approving `row` gives: what was named, or the tables that were asked for, which a person at a terminal confirms.
pub(super) fn approved(
    context: &Context,
    row: &Value,
    given: GivenTables,
) -> anyhow::Result<Option<Value>> {
    if text(row, "direction") != "sender" || text(row, "local_status") != "pending" {
        return of(&given);
    }
    let is_named = of(&given)?.is_some();
    let wanted = GivenTables {
        tables: wanted(row)?,
        ..GivenTables::default()
    };
    let given = match is_named || wanted.tables.is_empty() {
        true => named_or_asked(context, given)?,
        false => wanted,
    };
    let (grant, output) = (of(&given)?, context.output);
    let shown = grant.clone().unwrap_or_default();
    output.note(&announcement(text(row, "name"), &shown));
    if !is_named && output.can_ask() {
        let answer = output.ask("Approve this? [y/N]")?.unwrap_or_default();
        if !matches!(answer.to_lowercase().as_str(), "y" | "yes") {
            return Err(Failure::refused("nothing was approved").into());
        }
    }
    Ok(grant)
}

fn wanted(row: &Value) -> anyhow::Result<Vec<TableName>> {
    let names = list(row, "wanted_tables").iter();
    let tables = names.filter_map(Value::as_str).map(str::parse::<TableName>);
    Ok(tables.collect::<Result<_, _>>()?)
}

fn answered(answer: &str) -> Result<GivenTables, String> {
    if answer == "*" {
        return Ok(GivenTables {
            all_tables: true,
            ..GivenTables::default()
        });
    }
    let names = answer.split([',', ' ']).filter(|name| !name.is_empty());
    let tables = names.map(|name| name.parse::<TableName>().map_err(|err| err.to_string()));
    Ok(GivenTables {
        tables: tables.collect::<Result<_, _>>()?,
        ..GivenTables::default()
    })
}

/// What a grant lets `host` do, said before it is given.
pub(super) fn announcement(host: &str, grant: &Value) -> String {
    let Ok(grant) = serde_json::from_str::<Grant>(&grant.to_string()) else {
        return format!("{host} will be able to read what the grant says.");
    };
    let what = match &grant.tables {
        GrantedTables::All(_) => {
            "all tables of this site, but those the settings withhold (grants.withheld)".to_owned()
        }
        GrantedTables::Named(tables) => {
            let names: Vec<String> = tables.iter().map(ToString::to_string).collect();
            let noun = if names.len() == 1 { "table" } else { "tables" };
            format!("{} {noun} of this site: {}", names.len(), names.join(", "))
        }
    };
    let mut words = format!("{host} will be able to read {what}. Nothing will be written here.");
    for (table, rule) in rules(&grant) {
        words.push_str(&format!("\n  {table}: {rule}"));
    }
    words
}

/// What is given of each table that is not given whole.
fn rules(grant: &Grant) -> BTreeMap<String, String> {
    let mut rules = BTreeMap::new();
    for (table, policies) in &grant.columns {
        rules.insert(table.to_string(), columns(policies));
    }
    for (table, filter) in &grant.row_filter {
        let rows = serde_json::to_string(filter).unwrap_or_default();
        let rule: &mut String = rules.entry(table.to_string()).or_default();
        if !rule.is_empty() {
            rule.push_str("; ");
        }
        rule.push_str(&format!("only rows where {rows}"));
    }
    rules
}

fn columns(policies: &ColumnPolicies) -> String {
    let given = policies.0.iter().filter_map(|(name, policy)| match policy {
        ColumnPolicy::Allow => Some(name.clone()),
        ColumnPolicy::Drop => None,
        ColumnPolicy::Null => Some(format!("{name} (null)")),
        ColumnPolicy::Pseudonym(pseudonym) => Some(format!("{name} (pseudonym {pseudonym})")),
    });
    format!("columns {}", given.collect::<Vec<_>>().join(", "))
}

/// A connection for a person: of each table of its grant one line, and no bound that is none.
pub(super) fn readable(row: &Value) -> Value {
    let mut row = row.clone();
    let Some(object) = row.get_mut("grant").and_then(Value::as_object_mut) else {
        return row;
    };
    let grant: Option<Grant> = serde_json::from_str(&Value::from(object.clone()).to_string()).ok();
    if let Some(grant) = grant {
        object.remove("columns");
        object.remove("row_filter");
        for (table, rule) in rules(&grant) {
            object.insert(format!("of {table}"), Value::from(rule));
        }
    }
    if let Some(limits) = object.get_mut("limits").and_then(Value::as_object_mut) {
        limits.retain(|_, bound| !bound.is_null());
    }
    object.retain(|_, value| *value != json!([]) && *value != json!({}));
    row
}

/// The columns of a table as a peer sees it: how they come, where that is not as they are.
pub(super) fn seen_columns(table: &Value) -> String {
    let column = |column: &Value| {
        let name = text(column, "name");
        match column.get("policy") {
            Some(Value::String(policy)) if policy == "allow" => name.to_owned(),
            Some(Value::String(policy)) => format!("{name} ({policy})"),
            Some(policy) => format!("{name} (pseudonym {})", text(policy, "pseudonym")),
            None => name.to_owned(),
        }
    };
    let columns = list(table, "columns").iter().map(column);
    columns.collect::<Vec<_>>().join(", ")
}

/// What of a table is not seen: new columns that nobody classified, and rows.
pub(super) fn unseen(table: &Value) -> String {
    let mut words = Vec::new();
    let unclassified = list(table, "unclassified");
    if !unclassified.is_empty() {
        let names = unclassified.iter().map(shown).collect::<Vec<_>>();
        words.push(format!("new columns {}", names.join(", ")));
    }
    if table.get("filtered") == Some(&Value::from(true)) {
        words.push("rows outside the grant's row filter".to_owned());
    }
    words.join("; ")
}

#[cfg(test)]
mod tests {
    use super::{announcement, answered, json, of, parsed, readable, seen_columns, unseen};

    #[test]
    fn what_is_given_is_said_and_sent() {
        let given = of(&answered("orders, items shop.prices").unwrap())
            .unwrap()
            .unwrap();
        assert_eq!(
            announcement("hq.example.com", &given),
            "hq.example.com will be able to read 3 tables of this site: orders, items, shop.prices. Nothing will be written here."
        );
        assert_eq!(given, json!({"tables": ["orders", "items", "shop.prices"]}));
        let all = of(&answered("*").unwrap()).unwrap().unwrap();
        assert_eq!(all, json!({"tables": "*"}));
        assert!(announcement("h", &all).contains("withhold"));
        assert_eq!(of(&answered("").unwrap()).unwrap(), None);
        assert!(answered("a.b.c").is_err());
    }

    #[test]
    fn a_grant_reads_the_same_from_json_and_from_toml() {
        let json = r#"{"tables": ["people", "a.b"], "columns": {"people": {"id": {"pseudonym": "person"}, "name": "null", "born": "drop"}},
            "row_filter": {"people": {"column": "city", "op": "=", "value": "north"}},
            "limits": {"rows_per_day": 1000, "hours": {"start": "22:00", "end": "06:00"}, "expires_at": "2027-01-01T00:00:00Z"}}"#;
        let toml = r#"
            tables = ["people", "a.b"]
            [columns.people]
            id = { pseudonym = "person" }
            name = "null"
            born = "drop"
            [row_filter]
            people = { column = "city", op = "=", value = "north" }
            [limits]
            rows_per_day = 1000
            hours = { start = "22:00", end = "06:00" }
            expires_at = 2027-01-01T00:00:00Z
        "#;
        let grant = parsed(json).unwrap();
        assert_eq!(parsed(toml).unwrap(), grant);
        let said = announcement("hq", &serde_json::to_value(&grant).unwrap());
        let rule = "people: columns id (pseudonym person), name (null); only rows where {\"column\":\"city\",\"op\":\"=\",\"value\":\"north\"}";
        assert!(said.ends_with(&format!("\n  {rule}")), "{said}");
        for (text, words) in [
            ("{\"tabels\": []}", "unknown field `tabels`"),
            ("tabels = []", "unknown field `tabels`"),
            ("tables = [", "TOML parse error"),
            (
                "{\"columns\": {\"t\": {}, \"t\": {}}}",
                "t stands there twice",
            ),
        ] {
            let err = parsed(text).unwrap_err();
            assert!(err.contains(words), "{text}: {err}");
        }
        let shown = readable(&json!({"name": "hq", "grant": grant}));
        assert_eq!(
            shown["grant"]["of people"],
            rule.strip_prefix("people: ").unwrap()
        );
        assert_eq!(shown["grant"].get("row_filter"), None);
        assert_eq!(shown["grant"]["limits"].get("networks"), None);
        assert_eq!(readable(&json!({"grant": null})), json!({"grant": null}));
    }

    #[test]
    fn a_table_is_shown_as_the_peer_sees_it() {
        let table = json!({"columns": [{"name": "id", "policy": "allow"}, {"name": "note", "policy": "null"},
            {"name": "who", "policy": {"pseudonym": "person"}}], "unclassified": ["phone"], "filtered": true});
        assert_eq!(
            seen_columns(&table),
            "id, note (null), who (pseudonym person)"
        );
        assert_eq!(
            unseen(&table),
            "new columns phone; rows outside the grant's row filter"
        );
        assert_eq!(unseen(&json!({"unclassified": [], "filtered": false})), "");
    }
}
