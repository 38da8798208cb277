//! `runs`: the history, one run, its quarantined rows and receipts; asking a run to stop, and letting a failure be.

use serde_json::{Value, json};

use crate::cli::arguments::RunCommand;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::fields::{at, key, list, moment, number, optional_number, text};
use crate::cli::print::{Column, grouped, spanned};
use crate::cli::{connections, differences, receipts, resolve};

const SHOWN: usize = 50;

const RUNS: [Column; 11] = [
    ("id", |run| text(run, "id").to_owned()),
    ("status", |run| text(run, "status").to_owned()),
    ("by", |run| text(run, "triggered_by").to_owned()),
    ("tables", |run| names(run)),
    ("rows", |run| grouped(number(run, "rows_synced"))),
    ("added", |run| grouped(number(run, "changes.added"))),
    ("updated", |run| grouped(number(run, "changes.updated"))),
    ("deleted", |run| grouped(number(run, "changes.deleted"))),
    ("created", |run| moment(run, "created_at")),
    ("took", |run| {
        optional_number(run, "duration_ms")
            .map(spanned)
            .unwrap_or_default()
    }),
    ("error", |run| text(run, "error.message").to_owned()),
];

const ERRORS: [Column; 4] = [
    ("table", |row| text(row, "table").to_owned()),
    ("key", |row| at(row, "key").map(key).unwrap_or_default()),
    ("column", |row| text(row, "column").to_owned()),
    ("reason", |row| text(row, "reason").to_owned()),
];

/// Lists the newest, or does what `command` says.
pub(super) async fn run(context: &Context, command: Option<RunCommand>) -> anyhow::Result<Exit> {
    let (client, output) = (context.client()?, context.output);
    match command {
        None => {
            let runs = client.list(&["runs"], &[], SHOWN).await?;
            output.list(&runs, &RUNS)?;
            if runs.is_empty() {
                output.note("No runs yet: `evenkeel pull CONNECTION TABLE...` makes one.");
            }
        }
        Some(RunCommand::Show { id }) => {
            let id = resolve::run(&client, &id).await?;
            let mut run = client.get(&["runs", &id]).await?;
            let tables = if output.json {
                None
            } else {
                taken(&mut run, "tables")
            };
            connections::show(output, &run)?;
            for table in tables
                .as_ref()
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                connections::show(output, table)?;
            }
        }
        Some(RunCommand::Cancel { id }) => {
            let id = resolve::run(&client, &id).await?;
            let run = client.post(&["runs", &id, "cancel"], &json!({})).await?;
            if output.json {
                output.object(&run)?;
            }
            output.note(match text(&run, "status") {
                "cancelled" => "Cancelled; what was committed stays.",
                _ => "Asked it to stop; what was committed stays.",
            });
        }
        Some(RunCommand::Approve { id, plan, yes }) => {
            let id = resolve::run(&client, &id).await?;
            return differences::approve(&client, output, &id, (plan.as_deref(), yes)).await;
        }
        Some(RunCommand::Differences { id }) => {
            let id = resolve::run(&client, &id).await?;
            differences::list(&client, output, &id).await?;
        }
        Some(RunCommand::Dismiss { id }) => {
            let id = resolve::run(&client, &id).await?;
            let run = client.post(&["runs", &id, "dismiss"], &json!({})).await?;
            if output.json {
                output.object(&run)?;
            }
            output.note("`evenkeel status` tells of it no more; what it left undone stays undone.");
        }
        Some(RunCommand::Receipt { id }) => {
            let id = resolve::run(&client, &id).await?;
            let path = ["runs", &id, "receipts"];
            return receipts::print(output, &client.list(&path, &[], usize::MAX).await?);
        }
        Some(RunCommand::Errors { id }) => {
            let id = resolve::run(&client, &id).await?;
            let rows = client
                .list(&["runs", &id, "errors"], &[], usize::MAX)
                .await?;
            output.list(&rows, &ERRORS)?;
            if rows.is_empty() {
                output.note("The run left no row out.");
            }
        }
    }
    Ok(Exit::Done)
}

fn taken(value: &mut Value, name: &str) -> Option<Value> {
    value.as_object_mut()?.remove(name)
}

fn names(run: &Value) -> String {
    let tables = list(run, "tables").iter().map(|table| text(table, "table"));
    tables.collect::<Vec<_>>().join(", ")
}
