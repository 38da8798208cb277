//! `diff`, `pull --dry-run` and `runs approve`: what a run found, row by row, and a person's word on it.
//!
//! Rows are named by their keys; no other value is ever shown.

use serde_json::{Value, json};

use crate::cli::arguments::DiffArguments;
use crate::cli::client::Client;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::fields::{at, key, list as items, number, shown, text};
use crate::cli::print::{Column, Output, grouped};
use crate::cli::{progress, report, resolve};

/// Rows shown of each table, where nobody said how many.
const SHOWN: usize = 20;

const DIFFERENCES: [Column; 4] = [
    ("table", |row| text(row, "table").to_owned()),
    ("", |row| sign(text(row, "kind")).to_owned()),
    ("key", |row| at(row, "key").map(key).unwrap_or_default()),
    ("columns", |row| {
        at(row, "columns").map(shown).unwrap_or_default()
    }),
];

/// Compares, and tells what differs.
pub(super) async fn diff(context: &Context, arguments: DiffArguments) -> anyhow::Result<Exit> {
    let (client, output) = (context.client()?, context.output);
    let connection = resolve::connection(&client, &arguments.connection).await?;
    let tables: Vec<_> = arguments.tables.into_iter().map(|table| table.0).collect();
    let body = json!({"tables": tables, "rows": arguments.rows});
    let path = ["connections", text(&connection, "id"), "diff"];
    let run = client.post(&path, &body).await?;
    let most = usize::try_from(arguments.rows).unwrap_or(usize::MAX);
    compared(&client, output, &run, most).await
}

/// Follows a run that only compares, and tells what it would do.
pub(super) async fn wait(client: &Client, output: Output, run: &Value) -> anyhow::Result<Exit> {
    compared(client, output, run, SHOWN).await
}

async fn compared(
    client: &Client,
    output: Output,
    run: &Value,
    most: usize,
) -> anyhow::Result<Exit> {
    let ended = progress::ended(client, output, run).await?;
    show(client, output, &ended, most).await?;
    if output.json {
        output.object(&ended)?;
    }
    let is_done = text(&ended, "status") == "completed";
    if !is_done && !output.json {
        for problem in report::problems(&ended) {
            output.note(&problem);
        }
        let status = text(&ended, "status");
        return Err(Failure::told(report::verdict(&ended, status)).into());
    }
    Ok(if is_done && differing(&ended) == 0 {
        Exit::Done
    } else {
        Exit::Told
    })
}

/// All that a run found.
pub(super) async fn list(client: &Client, output: Output, id: &str) -> anyhow::Result<()> {
    let path = ["runs", id, "differences"];
    let rows = client.list(&path, &[], usize::MAX).await?;
    output.list(&rows, &DIFFERENCES)?;
    if rows.is_empty() {
        output
            .note("Nothing is kept of what the run found; it may have found nothing, or long ago.");
    }
    Ok(())
}

/// Shows what a run waits to do, asks, has it done, and waits for the end; `plan`: only this plan.
pub(super) async fn approve(
    client: &Client,
    output: Output,
    id: &str,
    (plan, confirmed): (Option<&str>, bool),
) -> anyhow::Result<Exit> {
    let run = client.get(&["runs", id]).await?;
    if text(&run, "status") != "needs_approval" {
        let status = text(&run, "status");
        let words = format!("run {id} is {status}: there is nothing to approve");
        return Err(Failure::refused(words).into());
    }
    if !confirmed {
        if !output.can_ask() {
            let words = "nobody can be asked whether to do this: use --yes";
            return Err(Failure::usage(words).into());
        }
        if let Some(error) = at(&run, "error") {
            output.note(text(error, "message"));
        }
        show(client, output, &run, SHOWN).await?;
        let answer = output.ask("Do this? [y/N]")?.unwrap_or_default();
        if !matches!(answer.to_lowercase().as_str(), "y" | "yes") {
            let words =
                format!("nothing was done; `evenkeel runs cancel {id}` turns it down for good");
            return Err(Failure::told(words).into());
        }
    }
    // The plan that was shown, unless the person knows which one it has to be.
    let plan_hash = plan.unwrap_or_else(|| text(&run, "plan_hash"));
    let path = ["runs", id, "approve"];
    let run = client.post(&path, &json!({"plan_hash": plan_hash})).await?;
    report::wait(client, output, &run).await
}

/// The rows that a run found, at most so many of each table, and how many there are of each kind.
async fn show(client: &Client, output: Output, run: &Value, most: usize) -> anyhow::Result<()> {
    let id = text(run, "id");
    let mut rows = Vec::new();
    let mut notes = Vec::new();
    // What is done already is not what a run waits for.
    let waits = text(run, "status") == "needs_approval";
    let is_asked = |table: &&Value| !waits || text(table, "status") == "needs_approval";
    for table in items(run, "tables").iter().filter(is_asked) {
        let name = text(table, "table");
        let path = ["runs", id, "differences"];
        let found = client.list(&path, &[("table", name)], most).await?;
        notes.extend(summary(table, found.len(), id));
        rows.extend(found);
    }
    output.list(&rows, &DIFFERENCES)?;
    if !output.json {
        notes.iter().for_each(|note| output.note(note));
    }
    Ok(())
}

/// How a table stands, and where to read on when `listed` rows are not all.
fn summary(table: &Value, listed: usize, id: &str) -> Vec<String> {
    let name = text(table, "table");
    if text(table, "status") == "failed" {
        return Vec::new();
    }
    let kinds = [
        ("to add", "changes.added"),
        ("to update", "changes.updated"),
        ("to delete", "changes.deleted"),
    ];
    let counts: Vec<String> = kinds
        .into_iter()
        .filter(|(_, path)| number(table, path) > 0)
        .map(|(words, path)| format!("{} {words}", grouped(number(table, path))))
        .collect();
    if counts.is_empty() {
        return vec![format!("{name}: nothing to do")];
    }
    let mut lines = vec![format!("{name}: {}", counts.join(", "))];
    let all: u64 = kinds.iter().map(|(_, path)| number(table, path)).sum();
    if u64::try_from(listed).is_ok_and(|listed| listed < all) {
        lines.push(format!(
            "  not all are listed here: evenkeel runs differences {id}"
        ));
    }
    lines
}

/// Rows that a run would change.
fn differing(run: &Value) -> u64 {
    let kinds = ["changes.added", "changes.updated", "changes.deleted"];
    kinds.iter().map(|path| number(run, path)).sum()
}

fn sign(kind: &str) -> &'static str {
    match kind {
        "added" => "+",
        "updated" => "~",
        "deleted" => "-",
        _ => "?",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{DIFFERENCES, differing, summary};

    #[test]
    fn a_row_that_differs_shows_how_and_where() {
        let shown = |row| DIFFERENCES.map(|(_, show)| show(&row));
        let updated = json!({"table": "orders", "key": {"id": "7"}, "kind": "updated", "columns": ["price", "name"]});
        assert_eq!(shown(updated), ["orders", "~", "id=7", "price, name"]);
        let added = json!({"table": "orders", "key": {"a": "1", "b": "x"}, "kind": "added", "columns": null});
        assert_eq!(shown(added), ["orders", "+", "a=1, b=x", ""]);
    }

    #[test]
    fn a_table_tells_how_many_rows_differ_and_where_the_rest_is() {
        let table = |added: u64, deleted: u64| {
            json!({"table": "orders", "status": "completed",
                "changes": {"added": added, "updated": 0, "deleted": deleted}})
        };
        assert_eq!(summary(&table(0, 0), 0, "r"), ["orders: nothing to do"]);
        assert_eq!(
            summary(&table(1_200, 3), 1_203, "r"),
            ["orders: 1,200 to add, 3 to delete"]
        );
        let cut = summary(&table(1_200, 0), 20, "r");
        assert_eq!(cut.len(), 2);
        assert!(cut[1].contains("evenkeel runs differences r"), "{cut:?}");
        assert_eq!(differing(&table(2, 3)), 5);
    }
}
