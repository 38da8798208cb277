//! `pull`: one run, from the order to the report.

use serde_json::{Value, json};

use crate::cli::arguments::PullArguments;
use crate::cli::client::Client;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::fields::{list, shown, text};
use crate::cli::print::Output;
use crate::cli::{differences, report, resolve};
use crate::model::order::TableOrder;
use crate::model::run::{Apply, RunOrder};

/// Pulls and waits for the end.
pub(super) async fn run(context: &Context, arguments: PullArguments) -> anyhow::Result<Exit> {
    let (client, output) = (context.client()?, context.output);
    let connection = resolve::connection(&client, &arguments.connection).await?;
    let apply = if arguments.dry_run {
        Apply::No
    } else {
        Apply::Yes
    };
    let tables = arguments.tables.into_iter().map(|table| TableOrder {
        version_column: arguments.version_column.clone(),
        ..table.0
    });
    let mut order = RunOrder {
        sync_mode: arguments.mode,
        conflict_strategy: arguments.conflict,
        apply,
        create_missing: arguments.create,
        shared: arguments.shared,
        ..RunOrder::of(tables.collect())
    };
    let id = text(&connection, "id");
    if order.create_missing {
        match creation(&client, id, &order).await {
            Ok(plan) if list(&plan, "statements").is_empty() => {}
            Ok(plan) => {
                output.note(&described(&plan));
                confirm_creation(output, arguments.yes)?;
            }
            // The run fails of it, and says so where others are told of runs.
            Err(err) if is_misfit(&err) => order.create_missing = arguments.yes,
            Err(err) => return Err(err),
        }
    }
    let run = start(&client, id, &order).await?;
    if apply == Apply::No {
        return differences::wait(&client, output, &run).await;
    }
    report::wait(&client, output, &run).await
}

/// Starts the run.
pub(super) async fn start(client: &Client, id: &str, order: &RunOrder) -> anyhow::Result<Value> {
    let body = json!({
        "tables": order.tables,
        "sync_mode": order.sync_mode,
        "conflict_strategy": order.conflict_strategy,
        "apply": order.apply,
        "create_missing": order.create_missing,
        "shared": order.shared,
    });
    client.post(&["connections", id, "pull"], &body).await
}

/// Whether these tables cannot be made or pulled, for a reason that is theirs.
fn is_misfit(err: &anyhow::Error) -> bool {
    let failure = err.downcast_ref::<Failure>();
    failure.is_some_and(|failure| failure.exit == Exit::Usage)
}

fn confirm_creation(output: Output, confirmed: bool) -> anyhow::Result<()> {
    if confirmed {
        return Ok(());
    }
    if !output.can_ask() {
        return Err(
            Failure::usage("nobody can be asked whether to make these tables: use --yes").into(),
        );
    }
    let answer = output
        .ask("Make these tables here? [y/N]")?
        .unwrap_or_default();
    if matches!(answer.to_lowercase().as_str(), "y" | "yes") {
        Ok(())
    } else {
        Err(Failure::told("nothing was made and nothing pulled").into())
    }
}

/// The statements that would make the missing tables, and what they leave out.
pub(super) async fn creation(client: &Client, id: &str, order: &RunOrder) -> anyhow::Result<Value> {
    client
        .post(
            &["connections", id, "creation"],
            &json!({"tables": order.tables}),
        )
        .await
}

/// The plan of a creation as a person reads it.
pub(super) fn described(plan: &Value) -> String {
    let mut lines: Vec<String> = list(plan, "statements")
        .iter()
        .map(|statement| format!("{};", shown(statement).trim_end_matches(';')))
        .collect();
    let left_out = list(plan, "left_out");
    if !left_out.is_empty() {
        lines.push("Left out:".to_owned());
        lines.extend(left_out.iter().map(|item| format!("  {}", shown(item))));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::{described, json};

    #[test]
    fn a_creation_shows_its_statements_and_what_they_leave_out() {
        let plan = json!({"statements": ["create table a (id int);", "create table b (id int)"],
            "left_out": ["a.total: its default"]});
        assert_eq!(
            described(&plan),
            "create table a (id int);\ncreate table b (id int);\nLeft out:\n  a.total: its default"
        );
    }
}
