//! `sync`: defining what is pulled by itself, and running it by hand.

use serde_json::{Map, Value, json};

use crate::cli::arguments::{
    CreateArguments, EditArguments, NewFilter, NewSchedule, PulledTable, SyncCommand,
};
use crate::cli::client::Client;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::fields::{at, list, moment, text};
use crate::cli::print::{Column, Output};
use crate::cli::{connections, pull, resolve};
use crate::model::filter::Filter;
use crate::model::schedule::Schedule;

const SYNCS: [Column; 7] = [
    ("name", |sync| text(sync, "name").to_owned()),
    ("status", |sync| text(sync, "status").to_owned()),
    ("tables", tables),
    ("schedule", schedule),
    ("last synced", |sync| moment(sync, "last_synced_at")),
    ("proved equal", |sync| moment(sync, "proved_equal_at")),
    ("next", |sync| moment(sync, "next_sync_at")),
];

/// Does what `command` says.
pub(super) async fn run(context: &Context, command: SyncCommand) -> anyhow::Result<Exit> {
    let (client, output) = (context.client()?, context.output);
    match command {
        SyncCommand::Create(arguments) => create(&client, output, arguments).await?,
        SyncCommand::List => {
            let syncs = client.list(&["syncs"], &[], usize::MAX).await?;
            output.list(&syncs, &SYNCS)?;
            if syncs.is_empty() {
                output.note(
                    "No syncs yet: `evenkeel sync create NAME --from CONNECTION --table T --schedule hourly`.",
                );
            }
        }
        SyncCommand::Show { id } => connections::show(output, &resolve::sync(&client, &id).await?)?,
        SyncCommand::Edit(arguments) => edit(&client, output, arguments).await?,
        SyncCommand::Delete { id } => {
            let sync = resolve::sync(&client, &id).await?;
            let answer = client.delete(&["syncs", text(&sync, "id")]).await?;
            if output.json {
                output.object(&answer)?;
            }
            output.note(&format!(
                "Deleted {}; its tables, rows and history stay.",
                text(&sync, "name")
            ));
        }
        SyncCommand::Pause { id } => set_status(&client, output, &id, "paused").await?,
        SyncCommand::Resume { id } => set_status(&client, output, &id, "active").await?,
        SyncCommand::Trigger { id } => return trigger(&client, output, &id).await,
    }
    Ok(Exit::Done)
}

async fn create(client: &Client, output: Output, arguments: CreateArguments) -> anyhow::Result<()> {
    let source = source(client, &arguments.from).await?;
    let schedule = match (arguments.schedule, arguments.timezone) {
        (Some(schedule), Some(zone)) => Some(in_zone(schedule, &zone)?),
        (schedule, _) => schedule,
    };
    let body = json!({
        "name": arguments.name,
        "source": source,
        "tables": orders(&arguments.tables, arguments.filter.as_ref()),
        "sync_mode": arguments.mode,
        "conflict_strategy": arguments.conflict,
        "schedule": schedule,
        "shared": arguments.shared,
    });
    let sync = client.post(&["syncs"], &body).await?;
    tell(output, &sync)?;
    warn(client, output, &sync).await;
    Ok(())
}

/// Says at once what would only come out at the first run: tables that the peer does not give, or that are missing here.
async fn warn(client: &Client, output: Output, sync: &Value) {
    let id = text(sync, "source.connection_id");
    let tables = at(sync, "tables").cloned().unwrap_or_default();
    let body = json!({"tables": tables});
    match client.post(&["connections", id, "creation"], &body).await {
        Ok(plan) if list(&plan, "statements").is_empty() => {}
        Ok(_) => {
            let connection = client.get(&["connections", id]).await.unwrap_or_default();
            output.note(&format!(
                "Tables are missing here, and a sync makes none: evenkeel pull {} {} --create",
                text(&connection, "name"),
                named(sync, " ")
            ));
        }
        Err(err) => output.note(&format!("As it stands it would fail: {err}")),
    }
}

async fn edit(client: &Client, output: Output, arguments: EditArguments) -> anyhow::Result<()> {
    let sync = resolve::sync(client, &arguments.id).await?;
    let mut body = Map::new();
    let mut set = |field: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(field.to_owned(), value);
        }
    };
    set("name", arguments.name.map(Value::from));
    if let Some(from) = &arguments.from {
        set("source", Some(source(client, from).await?));
    }
    let filter = arguments.filter.as_ref();
    set("tables", new_tables(&sync, &arguments.tables, filter)?);
    set("sync_mode", arguments.mode.map(|mode| json!(mode)));
    let conflict = arguments.conflict.map(|conflict| json!(conflict));
    set("conflict_strategy", conflict);
    let zone = arguments.timezone.as_deref();
    set("schedule", new_schedule(&sync, arguments.schedule, zone)?);
    set("shared", arguments.shared.map(Value::from));
    let checked = body.contains_key("tables") || body.contains_key("source");
    if body.is_empty() {
        return Err(Failure::usage("say what to change: evenkeel sync edit --help").into());
    }
    let sync = put(client, output, &sync, &Value::from(body)).await?;
    if checked {
        warn(client, output, &sync).await;
    }
    Ok(())
}

async fn set_status(client: &Client, output: Output, id: &str, status: &str) -> anyhow::Result<()> {
    let sync = resolve::sync(client, id).await?;
    put(client, output, &sync, &json!({"status": status})).await?;
    Ok(())
}

/// Changes the sync and shows it as it now is.
async fn put(client: &Client, output: Output, sync: &Value, body: &Value) -> anyhow::Result<Value> {
    let sync = client.put(&["syncs", text(sync, "id")], body).await?;
    tell(output, &sync)?;
    Ok(sync)
}

async fn trigger(client: &Client, output: Output, id: &str) -> anyhow::Result<Exit> {
    let sync = resolve::sync(client, id).await?;
    let path = ["syncs", text(&sync, "id"), "trigger"];
    let run = client.post(&path, &json!({})).await?;
    pull::wait(client, output, &run).await
}

/// The sync as it now is, and when it runs.
fn tell(output: Output, sync: &Value) -> anyhow::Result<()> {
    output.list(std::slice::from_ref(sync), &SYNCS)?;
    let name = text(sync, "name");
    output.note(&match (text(sync, "status"), text(sync, "next_sync_at")) {
        ("active", "") => format!("It runs by hand: evenkeel sync trigger {name}"),
        ("active", next) => format!("It runs next at {next}."),
        (status, _) => format!("It is {status}: evenkeel sync resume {name}"),
    });
    Ok(())
}

async fn source(client: &Client, wanted: &str) -> anyhow::Result<Value> {
    let connection = resolve::connection(client, wanted).await?;
    Ok(json!({"kind": "connection", "connection_id": text(&connection, "id")}))
}

fn in_zone(schedule: Schedule, zone: &str) -> Result<Schedule, Failure> {
    let zoned = schedule.in_zone(zone);
    zoned.map_err(|err| Failure::usage(format!("--timezone: {err}")))
}

/// The tables of a new list, each with the filter.
fn orders(tables: &[PulledTable], filter: Option<&Filter>) -> Value {
    let with_filter = |table: &PulledTable| {
        let mut order = table.0.clone();
        order.row_filter = filter.cloned();
        order
    };
    json!(tables.iter().map(with_filter).collect::<Vec<_>>())
}

/// The whole list of tables, when it is to change. A filter without tables goes to those the sync has; tables without a
/// filter have none.
fn new_tables(
    sync: &Value,
    named: &[PulledTable],
    filter: Option<&NewFilter>,
) -> anyhow::Result<Option<Value>> {
    let wanted = match filter {
        Some(NewFilter::Is(filter)) => Some(filter),
        Some(NewFilter::None) | None => None,
    };
    if !named.is_empty() {
        return Ok(Some(orders(named, wanted)));
    }
    if filter.is_none() {
        return Ok(None);
    }
    let mut tables = list(sync, "tables").to_vec();
    for table in tables.iter_mut().filter_map(Value::as_object_mut) {
        match wanted {
            Some(filter) => table.insert("row_filter".to_owned(), serde_json::to_value(filter)?),
            None => table.remove("row_filter"),
        };
    }
    Ok(Some(tables.into()))
}

/// The schedule, when it is to change; a zone without a schedule goes to the one the sync has.
fn new_schedule(
    sync: &Value,
    asked: Option<NewSchedule>,
    zone: Option<&str>,
) -> anyhow::Result<Option<Value>> {
    let schedule = match (asked, zone) {
        (None, None) => return Ok(None),
        (Some(NewSchedule::None), None) => return Ok(Some(Value::Null)),
        (Some(NewSchedule::Is(schedule)), _) => Some(schedule),
        (None, Some(_)) => read_schedule(sync),
        (Some(NewSchedule::None), Some(_)) => None,
    };
    let Some(schedule) = schedule else {
        return Err(Failure::usage("a time zone needs a schedule: --schedule daily@06:00").into());
    };
    let schedule = match zone {
        Some(zone) => in_zone(schedule, zone)?,
        None => schedule,
    };
    Ok(Some(serde_json::to_value(schedule)?))
}

fn read_schedule(sync: &Value) -> Option<Schedule> {
    serde_json::from_value(at(sync, "schedule")?.clone()).ok()
}

fn schedule(sync: &Value) -> String {
    match read_schedule(sync) {
        Some(schedule) => schedule.to_string(),
        None => "by hand".to_owned(),
    }
}

fn tables(sync: &Value) -> String {
    named(sync, ", ")
}

/// The tables as a command names them.
fn named(sync: &Value, between: &str) -> String {
    let name = |table: &Value| {
        let (source, destination) = (
            text(table, "source_table"),
            text(table, "destination_table"),
        );
        if destination.is_empty() {
            source.to_owned()
        } else {
            format!("{source}={destination}")
        }
    };
    let names: Vec<String> = list(sync, "tables").iter().map(name).collect();
    names.join(between)
}

#[cfg(test)]
mod tests {
    use super::{NewFilter, NewSchedule, Value, json, new_schedule, new_tables, schedule, tables};

    #[test]
    fn a_sync_shows_its_tables_and_its_times() {
        let sync = json!({"tables": [{"source_table": "orders"},
            {"source_table": "items", "destination_table": "berlin.items"}],
            "schedule": {"frequency": "daily", "sync_time": "06:00", "timezone": "Europe/Berlin"}});
        assert_eq!(tables(&sync), "orders, items=berlin.items");
        assert_eq!(schedule(&sync), "daily@06:00 Europe/Berlin");
        assert_eq!(schedule(&json!({"schedule": null})), "by hand");
    }

    #[test]
    fn what_is_not_named_stays_and_none_removes() {
        let sync = json!({"schedule": "0 6 * * *", "tables": [{"source_table": "orders",
            "row_filter": {"column": "a", "op": "=", "value": 1}}]});
        let times = |asked: Option<&str>, zone: Option<&str>| {
            let asked = asked.map(|text| text.parse::<NewSchedule>().unwrap());
            new_schedule(&sync, asked, zone).ok()
        };
        assert_eq!(times(None, None), Some(None));
        assert_eq!(times(Some("none"), None), Some(Some(Value::Null)));
        let zoned = json!({"cron": "0 6 * * *", "timezone": "Europe/Berlin"});
        assert_eq!(times(None, Some("Europe/Berlin")), Some(Some(zoned)));
        assert_eq!(times(Some("none"), Some("Europe/Berlin")), None);
        assert_eq!(times(Some("hourly"), Some("Mars/Base")), None);
        assert_eq!(new_tables(&sync, &[], None).unwrap(), None);
        let all = new_tables(&sync, &[], Some(&NewFilter::None)).unwrap();
        assert_eq!(all, Some(json!([{"source_table": "orders"}])));
    }
}
