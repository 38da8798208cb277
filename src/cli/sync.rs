//! `sync`: defining what is pulled by itself, and running it by hand.

use serde_json::{Map, Value, json};

use crate::cli::arguments::{
    CreateArguments, EditArguments, NewFilter, NewRepair, NewSchedule, PulledTable, SyncCommand,
};
use crate::cli::client::Client;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::fields::{at, list, moment, text};
use crate::cli::print::{Column, Output};
use crate::cli::{connections, report, resolve};
use crate::model::filter::Filter;
use crate::model::order::TableOrder;
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
        SyncCommand::Preview { id } => return begin(&client, output, &id, "preview").await,
        SyncCommand::Trigger { id } => return begin(&client, output, &id, "trigger").await,
    }
    Ok(Exit::Done)
}

async fn create(client: &Client, output: Output, arguments: CreateArguments) -> anyhow::Result<()> {
    let source = source(client, &arguments.from).await?;
    if arguments.schedule.is_none() && arguments.compare_schedule.is_none() {
        refuse_lone_zone(arguments.timezone.as_deref())?;
    }
    let zoned = |schedule: Option<Schedule>| match (schedule, &arguments.timezone) {
        (Some(schedule), Some(zone)) => in_zone(schedule, zone).map(Some),
        (schedule, _) => Ok(schedule),
    };
    let details = Details {
        filter: arguments.filter.as_ref(),
        version_column: arguments.version_column.as_deref(),
    };
    let mut body = json!({
        "name": arguments.name,
        "source": source,
        "tables": orders(&arguments.tables, details),
        "sync_mode": arguments.mode,
        "conflict_strategy": arguments.conflict,
        "schedule": zoned(arguments.schedule)?,
        "compare_schedule": zoned(arguments.compare_schedule)?,
        "guard": arguments.guard,
        "shared": arguments.shared,
    });
    if let (Some(body), Some(repair)) = (body.as_object_mut(), arguments.repair) {
        body.insert("repair".to_owned(), written(repair));
    }
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
    let version = arguments.version_column.as_deref();
    let filter = arguments.filter.as_ref();
    let tables = new_tables(&sync, &arguments.tables, filter, version)?;
    set("tables", tables);
    set("sync_mode", arguments.mode.map(|mode| json!(mode)));
    let conflict = arguments.conflict.map(|conflict| json!(conflict));
    set("conflict_strategy", conflict);
    let zone = arguments.timezone.as_deref();
    let times = [
        ("schedule", arguments.schedule),
        ("compare_schedule", arguments.compare_schedule),
    ];
    for (field, asked) in times {
        set(field, new_schedule(&sync, field, asked, zone)?);
    }
    set("repair", arguments.repair.map(written));
    set("guard", arguments.guard.map(|guard| json!(guard)));
    set("shared", arguments.shared.map(Value::from));
    if !body.contains_key("schedule") && !body.contains_key("compare_schedule") {
        refuse_lone_zone(zone)?;
    }
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

async fn begin(client: &Client, output: Output, id: &str, how: &str) -> anyhow::Result<Exit> {
    let sync = resolve::sync(client, id).await?;
    let path = ["syncs", text(&sync, "id"), how];
    let run = client.post(&path, &json!({})).await?;
    report::wait(client, output, &run).await
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

fn refuse_lone_zone(zone: Option<&str>) -> Result<(), Failure> {
    match zone {
        None => Ok(()),
        Some(_) => Err(Failure::usage(
            "a time zone needs a schedule: --schedule daily@06:00",
        )),
    }
}

fn written(repair: NewRepair) -> Value {
    match repair {
        NewRepair::None => Value::Null,
        NewRepair::Is(budget) => json!(budget),
    }
}

/// What is said of all tables at once.
#[derive(Clone, Copy, Default)]
struct Details<'a> {
    filter: Option<&'a Filter>,
    version_column: Option<&'a str>,
}

/// The tables of a new list, each with the details.
fn orders(tables: &[PulledTable], details: Details<'_>) -> Value {
    let detailed = |table: &PulledTable| TableOrder {
        row_filter: details.filter.cloned(),
        version_column: details.version_column.map(str::to_owned),
        ..table.0.clone()
    };
    json!(tables.iter().map(detailed).collect::<Vec<_>>())
}

/// The whole list of tables, when it is to change. A filter or version column without tables goes to those the sync
/// has; tables without a filter have none.
fn new_tables(
    sync: &Value,
    named: &[PulledTable],
    filter: Option<&NewFilter>,
    version_column: Option<&str>,
) -> anyhow::Result<Option<Value>> {
    let wanted = match filter {
        Some(NewFilter::Is(filter)) => Some(filter),
        Some(NewFilter::None) | None => None,
    };
    if !named.is_empty() {
        let details = Details {
            filter: wanted,
            version_column,
        };
        return Ok(Some(orders(named, details)));
    }
    if filter.is_none() && version_column.is_none() {
        return Ok(None);
    }
    let mut tables = list(sync, "tables").to_vec();
    for table in tables.iter_mut().filter_map(Value::as_object_mut) {
        match (filter, wanted) {
            (None, _) => {}
            (Some(_), Some(filter)) => {
                table.insert("row_filter".to_owned(), serde_json::to_value(filter)?);
            }
            (Some(_), None) => {
                table.remove("row_filter");
            }
        }
        if let Some(column) = version_column {
            table.insert("version_column".to_owned(), column.into());
        }
    }
    Ok(Some(tables.into()))
}

/// The schedule, when it is to change; a zone without a schedule goes to the one the sync has.
fn new_schedule(
    sync: &Value,
    field: &str,
    asked: Option<NewSchedule>,
    zone: Option<&str>,
) -> anyhow::Result<Option<Value>> {
    let schedule = match (asked, zone) {
        (None, None) => return Ok(None),
        (Some(NewSchedule::None), None) => return Ok(Some(Value::Null)),
        (Some(NewSchedule::Is(schedule)), _) => Some(schedule),
        (None, Some(_)) => match read_schedule(sync, field) {
            None => return Ok(None),
            found => found,
        },
        (Some(NewSchedule::None), Some(_)) => None,
    };
    let Some(schedule) = schedule else {
        refuse_lone_zone(zone)?;
        return Ok(None);
    };
    let schedule = match zone {
        Some(zone) => in_zone(schedule, zone)?,
        None => schedule,
    };
    Ok(Some(serde_json::to_value(schedule)?))
}

fn read_schedule(sync: &Value, field: &str) -> Option<Schedule> {
    serde_json::from_value(at(sync, field)?.clone()).ok()
}

fn schedule(sync: &Value) -> String {
    match read_schedule(sync, "schedule") {
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
            new_schedule(&sync, "schedule", asked, zone).ok()
        };
        assert_eq!(times(None, None), Some(None));
        assert_eq!(times(Some("none"), None), Some(Some(Value::Null)));
        let zoned = json!({"cron": "0 6 * * *", "timezone": "Europe/Berlin"});
        assert_eq!(times(None, Some("Europe/Berlin")), Some(Some(zoned)));
        assert_eq!(times(Some("none"), Some("Europe/Berlin")), None);
        assert_eq!(times(Some("hourly"), Some("Mars/Base")), None);
        assert_eq!(new_tables(&sync, &[], None, None).unwrap(), None);
        let all = new_tables(&sync, &[], Some(&NewFilter::None), Some("at")).unwrap();
        assert_eq!(
            all,
            Some(json!([{"source_table": "orders", "version_column": "at"}]))
        );
    }
}
