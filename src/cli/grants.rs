//! Tables to give, from the command line to the words a person reads and the object the daemon takes.

use serde_json::{Value, json};

use crate::cli::arguments::GivenTables;
use crate::cli::context::Context;
use crate::cli::exit::Failure;
use crate::cli::fields::{list, text};
use crate::model::table::TableName;

/// The grant that was asked for; `None` when no tables were named.
pub(super) fn of(given: &GivenTables) -> Option<Value> {
    if given.all_tables {
        Some(json!({"tables": "*"}))
    } else if given.tables.is_empty() {
        None
    } else {
        Some(json!({"tables": given.tables}))
    }
}

/// The tables as named; asks a person who named none.
pub(super) fn named_or_asked(context: &Context, given: GivenTables) -> anyhow::Result<GivenTables> {
    if of(&given).is_some() {
        return Ok(given);
    }
    let missing = || Failure::usage("name the tables to give: --tables a,b or --all-tables");
    if !context.output.can_ask() {
        return Err(missing().into());
    }
    let question = "Which tables shall the peer be able to read (a, b, ...; * for all)?";
    let answer = context.output.ask(question)?.unwrap_or_default();
    let tables = answered(&answer).map_err(Failure::usage)?;
    if of(&tables).is_none() {
        return Err(missing().into());
    }
    Ok(tables)
}

/// The tables that approving `row` gives: named, or those that were asked for; a person at a terminal confirms these.
pub(super) fn approved(
    context: &Context,
    row: &Value,
    given: GivenTables,
) -> anyhow::Result<GivenTables> {
    if text(row, "direction") != "sender" || text(row, "local_status") != "pending" {
        return Ok(given);
    }
    let is_named = of(&given).is_some();
    let wanted = GivenTables {
        tables: wanted(row)?,
        all_tables: false,
    };
    let given = match is_named || of(&wanted).is_none() {
        true => named_or_asked(context, given)?,
        false => wanted,
    };
    let output = context.output;
    output.note(&announcement(text(row, "name"), &given));
    if !is_named && output.can_ask() {
        let answer = output.ask("Approve this? [y/N]")?.unwrap_or_default();
        if !matches!(answer.to_lowercase().as_str(), "y" | "yes") {
            return Err(Failure::refused("nothing was approved").into());
        }
    }
    Ok(given)
}

fn wanted(row: &Value) -> anyhow::Result<Vec<TableName>> {
    let names = list(row, "wanted_tables").iter();
    let tables = names.filter_map(Value::as_str).map(str::parse::<TableName>);
    Ok(tables.collect::<Result<_, _>>()?)
}

fn answered(answer: &str) -> Result<GivenTables, String> {
    if answer == "*" {
        return Ok(GivenTables {
            tables: Vec::new(),
            all_tables: true,
        });
    }
    let names = answer.split([',', ' ']).filter(|name| !name.is_empty());
    let tables = names.map(|name| name.parse::<TableName>().map_err(|err| err.to_string()));
    Ok(GivenTables {
        tables: tables.collect::<Result<_, _>>()?,
        all_tables: false,
    })
}

/// What a grant lets `host` do, said before it is given.
pub(super) fn announcement(host: &str, given: &GivenTables) -> String {
    let what = if given.all_tables {
        "all tables of this site, but those the settings withhold (grants.withheld)".to_owned()
    } else {
        let names: Vec<String> = given.tables.iter().map(ToString::to_string).collect();
        let noun = if names.len() == 1 { "table" } else { "tables" };
        format!("{} {noun} of this site: {}", names.len(), names.join(", "))
    };
    format!("{host} will be able to read {what}. Nothing will be written here.")
}

#[cfg(test)]
mod tests {
    use super::{announcement, answered, json, of};

    #[test]
    fn what_is_given_is_said_and_sent() {
        let given = answered("orders, items shop.prices").unwrap();
        assert_eq!(
            announcement("hq.example.com", &given),
            "hq.example.com will be able to read 3 tables of this site: orders, items, shop.prices. Nothing will be written here."
        );
        assert_eq!(
            of(&given),
            Some(json!({"tables": ["orders", "items", "shop.prices"]}))
        );
        let all = answered("*").unwrap();
        assert_eq!(of(&all), Some(json!({"tables": "*"})));
        assert!(announcement("h", &all).contains("withhold"));
        assert_eq!(of(&answered("").unwrap()), None);
        assert!(answered("a.b.c").is_err());
    }
}
