//! `demo`: two sites on this machine, from strangers to equal tables, told step by step.
//!
//! Everything goes through the same daemons, admin API and commands as in earnest; only the comparison at the end is
//! the demo's own. Invariant: whatever happens, both daemons end and the folder is removed.

mod compare;
mod data;
mod repair;
mod site;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};

use crate::cli::arguments::GivenTables;
use crate::cli::client::Client;
use crate::cli::exit::{Exit, Failure};
use crate::cli::fields::{list, number, text};
use crate::cli::print::{Output, grouped};
use crate::cli::{connect, connections, grants, progress, pull, report};
use crate::model::order::TableOrder;
use crate::model::run::RunOrder;
use crate::model::table::TableName;
use data::{Change, TABLES};
use site::Site;

const PATIENCE: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(100);

/// Tells the story; with `keep` both sites stay up until Ctrl-C.
pub(super) async fn run(output: Output, keep: bool) -> anyhow::Result<Exit> {
    let folder = tempfile::Builder::new()
        .prefix("evenkeel-demo-")
        .tempdir()?;
    let [first, second] = site::free_ports()?;
    let mut stage = Stage {
        giver: Site::prepare(folder.path(), "newyork", first)?,
        receiver: Site::prepare(folder.path(), "berlin", second)?,
        // The story is for a person, also where it is written to a file.
        output: Output {
            terminal: true,
            ..output
        },
        began: Instant::now(),
    };
    let ended = tokio::select! {
        told = stage.play() => told,
        stopped = stopped() => stopped.and(Err(Failure::told("stopped before the end").into())),
    };
    // Not within the story: there Ctrl-C would be a story cut short.
    let ended = match ended {
        Ok(()) if keep => stage.stay().await,
        ended => ended,
    };
    stage.giver.stop().await;
    stage.receiver.stop().await;
    folder.close()?;
    ended.map(|()| Exit::Done)
}

/// Ctrl-C, or being told to end.
async fn stopped() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::select! {
        ended = tokio::signal::ctrl_c() => ended?,
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
    }
    Ok(())
}

/// The two sites and the clock.
struct Stage {
    giver: Site,
    receiver: Site,
    output: Output,
    began: Instant,
}

impl Stage {
    async fn play(&mut self) -> anyhow::Result<()> {
        self.start().await?;
        let connection = self.connect().await?;
        let order = order();
        self.pull_first(&connection, &order).await?;
        self.pull_changes(&connection, &order).await?;
        self.repair(&connection).await?;
        self.compare()
    }

    /// Both sites stay up until Ctrl-C.
    async fn stay(&self) -> anyhow::Result<()> {
        self.invite()?;
        stopped().await
    }

    async fn start(&mut self) -> anyhow::Result<()> {
        let rows = data::load(&mut self.giver.open_database()?)?;
        self.tell(
            "Two sites, each with a SQLite database and a daemon of its own: newyork and berlin.",
        )?;
        self.tell(&format!(
            "newyork has a week of flights: {} rows in {} tables. berlin has nothing.",
            grouped(rows),
            TABLES.len()
        ))?;
        self.giver.start()?;
        self.receiver.start()?;
        self.giver.ready().await?;
        self.receiver.ready().await?;
        self.tell(&format!(
            "Both daemons are up: {} and {}.",
            self.giver.url, self.receiver.url
        ))
    }

    /// Gives the receiver's id of the connection.
    async fn connect(&self) -> anyhow::Result<String> {
        let given = GivenTables {
            all_tables: true,
            ..GivenTables::default()
        };
        let grant = grants::of(&given)?.unwrap_or_default();
        self.typed(
            "newyork",
            &format!("connect {} --all-tables --name berlin", self.receiver.url),
        )?;
        self.tell(&grants::announcement("berlin", &grant))?;
        let order = connect::Order {
            url: self.receiver.url.clone(),
            name: "berlin".to_owned(),
            purpose: connect::Purpose::Give {
                grant,
                require_signed: true,
            },
            password: None,
        };
        let giver = self.giver.client()?;
        let made = connect::register(&giver, &order).await?;
        self.tell(&format!(
            "newyork asked; the connection is {}.",
            text(&made, "status")
        ))?;

        let receiver = self.receiver.client()?;
        self.typed("berlin", "connections")?;
        connections::show_all(&receiver, self.output).await?;
        let rows = receiver.list(&["connections"], &[], 1).await?;
        let Some(pending) = rows.first() else {
            anyhow::bail!(
                "the request did not arrive at berlin:\n{}",
                self.giver.last_words()
            );
        };
        self.typed(
            "berlin",
            &format!("connections approve {}", text(pending, "name")),
        )?;
        connections::approve(&receiver, self.output, pending, None, false).await?;
        active(&giver, text(&made, "id")).await?;
        let id = text(pending, "id").to_owned();
        active(&receiver, &id).await?;
        self.tell("Approved: active on both sides.")?;
        Ok(id)
    }

    async fn pull_first(&self, id: &str, order: &RunOrder) -> anyhow::Result<()> {
        let names: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
        self.typed(
            "berlin",
            &format!("pull newyork {} --create --yes", names.join(" ")),
        )?;
        let client = self.receiver.client()?;
        let plan = pull::creation(&client, id, order).await?;
        self.tell(&format!(
            "--create will run {} statements here, the first of them:",
            list(&plan, "statements").len()
        ))?;
        let first = json!({"statements": list(&plan, "statements").get(..1).unwrap_or_default()});
        if !self.output.json {
            self.output
                .text(&format!("{}\n", pull::described(&first)))?;
        }
        self.pull(&client, id, order).await?;
        self.tell("All tables arrived, keys and foreign keys included.")
    }

    async fn pull_changes(&self, id: &str, order: &RunOrder) -> anyhow::Result<()> {
        let changes = data::change(&mut self.giver.open_database()?)?;
        let told: Vec<String> = changes.iter().map(described).collect();
        self.tell(&format!(
            "Somebody in New York changes rows: {}.",
            told.join("; ")
        ))?;
        let names: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
        self.typed("berlin", &format!("pull newyork {}", names.join(" ")))?;
        let order = RunOrder {
            create_missing: false,
            ..order.clone()
        };
        let run = self.pull(&self.receiver.client()?, id, &order).await?;
        let wrong = unexpected(&run, &changes);
        anyhow::ensure!(
            wrong.is_empty(),
            "not what was changed moved: {}",
            wrong.join("; ")
        );
        self.tell("Exactly those rows moved.")
    }

    async fn pull(&self, client: &Client, id: &str, order: &RunOrder) -> anyhow::Result<Value> {
        let started = pull::start(client, id, order).await?;
        let run = progress::follow(client, self.output, &started).await?;
        report::report(client, self.output, &run).await?;
        Ok(run)
    }

    fn compare(&self) -> anyhow::Result<()> {
        let compared = compare::databases(&self.giver.database(), &self.receiver.database())?;
        for table in &compared {
            let verdict = if table.is_equal() {
                "equal".to_owned()
            } else {
                format!(
                    "{} rows only in newyork, {} only in berlin",
                    table.only_first, table.only_second
                )
            };
            if self.output.json {
                self.output.object(
                    &json!({"table": table.table, "rows": table.rows, "equal": table.is_equal()}),
                )?;
            } else {
                self.output.line(&format!(
                    "    {:<9}{:>6} rows  {verdict}",
                    table.table,
                    grouped(table.rows.try_into()?)
                ))?;
            }
        }
        let equal = compared.iter().all(|table| table.is_equal());
        anyhow::ensure!(
            equal,
            "the two databases differ; newyork:\n{}\nberlin:\n{}",
            self.giver.last_words(),
            self.receiver.last_words()
        );
        self.tell("Compared the two database files row by row and value by value: equal.")
    }

    fn invite(&self) -> anyhow::Result<()> {
        let socket = self.receiver.socket();
        let (config, socket) = (self.receiver.config(), socket.display());
        // Nobody has installed it yet.
        let program = std::env::current_exe()?;
        let evenkeel = format!("{} --config {}", program.display(), config.display());
        self.tell("Both sites stay up until Ctrl-C. Try, in another terminal:")?;
        for command in [
            format!("curl -s {}/sync/api/status", self.giver.url),
            format!("curl -s --unix-socket {socket} http://localhost/api/v1/connections"),
            format!("curl -s --unix-socket {socket} http://localhost/api/v1/runs"),
            format!("{evenkeel} tables newyork"),
            format!("{evenkeel} records newyork flights"),
            format!("{evenkeel} pull newyork flights"),
            format!("{evenkeel} status"),
        ] {
            self.output.line(&format!("    {command}"))?;
        }
        Ok(())
    }

    /// A step of the story with the time it happened.
    fn tell(&self, step: &str) -> anyhow::Result<()> {
        let seconds = self.began.elapsed().as_secs_f64();
        if self.output.json {
            self.output
                .object(&json!({"seconds": seconds, "step": step}))?;
        } else {
            self.output.line(&format!("[{seconds:5.1} s] {step}"))?;
        }
        Ok(())
    }

    /// What a person would have typed.
    fn typed(&self, site: &str, command: &str) -> anyhow::Result<()> {
        self.tell(&format!("{site}$ evenkeel {command}"))
    }
}

fn order() -> RunOrder {
    let tables = TABLES.iter();
    let named = tables.map(|table| TableOrder::of(TableName::bare(table.name)));
    RunOrder {
        create_missing: true,
        ..RunOrder::of(named.collect())
    }
}

/// Waits until both sides of a connection agree that it is active.
async fn active(client: &Client, id: &str) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let row = client.get(&["connections", id]).await?;
        if text(&row, "status") == "active" {
            return Ok(());
        }
        let (local, remote) = (text(&row, "local_status"), text(&row, "remote_status"));
        anyhow::ensure!(
            Instant::now() < deadline,
            "{} does not become active: {local} here, {remote} there",
            text(&row, "name")
        );
        sleep(POLL).await;
    }
}

fn described(change: &Change) -> String {
    let counts = [
        (change.added, "new"),
        (change.updated, "changed"),
        (change.deleted, "gone"),
    ];
    let told: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} {what}", grouped(*count)))
        .collect();
    format!("{} {}", change.table, told.join(", "))
}

/// Where the run moved other rows than were changed.
fn unexpected(run: &Value, changes: &[Change]) -> Vec<String> {
    let tables = list(run, "tables").iter().filter_map(|table| {
        let name = text(table, "table");
        let expected = changes.iter().find(|change| change.table == name);
        let expected = expected.map_or([0; 3], |change| {
            [change.added, change.updated, change.deleted]
        });
        let paths = ["changes.added", "changes.updated", "changes.deleted"];
        let moved = paths.map(|path| number(table, path));
        let in_words = |[added, updated, deleted]: [u64; 3]| {
            format!("{added} added, {updated} updated, {deleted} deleted")
        };
        (moved != expected).then(|| {
            let (moved, expected) = (in_words(moved), in_words(expected));
            format!("{name}: {moved} instead of {expected}")
        })
    });
    tables.collect()
}

#[cfg(test)]
mod tests {
    use super::{Change, described, json, unexpected};

    #[test]
    fn a_run_that_moved_other_rows_than_were_changed_is_noticed() {
        let changes = [Change {
            table: "planes",
            added: 0,
            updated: 3,
            deleted: 0,
        }];
        let run = |planes: u64, airlines: u64| {
            json!({"tables": [
                {"table": "planes", "changes": {"added": 0, "updated": planes}},
                {"table": "airlines", "changes": {"added": airlines, "updated": 0}},
            ]})
        };
        assert_eq!(unexpected(&run(3, 0), &changes), Vec::<String>::new());
        assert_eq!(
            unexpected(&run(2, 0), &changes),
            ["planes: 0 added, 2 updated, 0 deleted instead of 0 added, 3 updated, 0 deleted"]
        );
        assert_eq!(unexpected(&run(3, 1), &changes).len(), 1);
        assert_eq!(described(&changes[0]), "planes 3 changed");
    }
}
