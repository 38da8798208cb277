//! `status`: one line per thing that waits, failed or cannot be reached, with what to do. Nothing to tell is good news.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::fields::{list, number, text};
use crate::cli::print::{Column, grouped};

/// A failure that nothing followed is told this long.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(30 * 24);

const COLUMNS: [Column; 5] = [
    ("about", |item| text(item, "about").to_owned()),
    ("what", |item| text(item, "what").to_owned()),
    ("since", |item| text(item, "since").to_owned()),
    ("next attempt", |item| {
        text(item, "next_attempt_at").to_owned()
    }),
    ("what to do", |item| text(item, "to_do").to_owned()),
];

/// Prints what there is to tell; exit code 1 if anything.
pub(super) async fn run(context: &Context) -> anyhow::Result<Exit> {
    let client = context.client()?;
    let since = (Timestamp::now() - REMEMBERED).to_string();
    let connections = client.list(&["connections"], &[], usize::MAX).await?;
    let runs = client
        .list(&["runs"], &[("since", &since)], usize::MAX)
        .await?;
    let told: Vec<Value> = findings(&connections, &runs)
        .iter()
        .map(Finding::object)
        .collect();
    if told.is_empty() {
        context.output.note("Nothing to tell: all is well.");
        return Ok(Exit::Done);
    }
    context.output.list(&told, &COLUMNS)?;
    Ok(Exit::Told)
}

/// One thing a person may want to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Finding {
    kind: &'static str,
    about: String,
    what: String,
    since: String,
    next_attempt_at: String,
    to_do: String,
}

impl Finding {
    fn object(&self) -> Value {
        json!({
            "kind": self.kind, "about": self.about, "what": self.what, "since": self.since,
            "next_attempt_at": self.next_attempt_at, "to_do": self.to_do,
        })
    }
}

/// What there is to tell of these connections and runs (newest first).
fn findings(connections: &[Value], runs: &[Value]) -> Vec<Finding> {
    let mut found: Vec<Finding> = connections.iter().flat_map(of_connection).collect();
    let mut settled = HashSet::new();
    for run in runs {
        let id = text(run, "connection_id");
        let known = connections
            .iter()
            .find(|connection| text(connection, "id") == id);
        // Nothing can be done any more about a run whose connection was deleted.
        if let Some(connection) = known {
            found.extend(of_run(run, text(connection, "name"), &mut settled));
        }
    }
    found
}

fn of_connection(connection: &Value) -> Vec<Finding> {
    let field = |name| text(connection, name).to_owned();
    let name = field("name");
    let base = Finding {
        kind: "connection",
        about: name.clone(),
        ..Finding::default()
    };
    let (local, remote) = (field("local_status"), field("remote_status"));
    let reason = match text(connection, "status_reason") {
        "" => String::new(),
        reason => format!(": {reason}"),
    };
    let mut found = Vec::new();
    let (what, to_do) = match text(connection, "status") {
        "pending" if local == "pending" => (
            format!("{} asks to be connected", field("url")),
            format!("evenkeel connections approve {name} (or reject)"),
        ),
        // Who was never reached cannot have been asked.
        "pending" if !text(connection, "unreachable_since").is_empty() => {
            (String::new(), String::new())
        }
        "pending" => (
            "waits for the peer's administrator".to_owned(),
            format!("ask them to approve it ({})", field("url")),
        ),
        "suspended" if local == "suspended" => (
            format!("suspended here{reason}"),
            format!("evenkeel connections reactivate {name}"),
        ),
        "suspended" => (
            format!("suspended by the peer{reason}"),
            "ask its administrator".to_owned(),
        ),
        "expired" => (
            "its time is over".to_owned(),
            format!("evenkeel connections edit {name}, or delete it"),
        ),
        "severed" => (
            format!("ended by the peer{reason}"),
            format!("connect anew, or evenkeel connections delete {name}"),
        ),
        _ => (String::new(), String::new()),
    };
    if !what.is_empty() {
        let since = if local == "pending" || remote == "pending" {
            field("created_at")
        } else {
            String::new()
        };
        found.push(Finding {
            what,
            to_do,
            since,
            ..base.clone()
        });
    }
    let ended = matches!(text(connection, "status"), "revoked" | "severed");
    if !text(connection, "unreachable_since").is_empty() && !ended {
        found.push(Finding {
            what: format!("{} cannot be reached", field("url")),
            since: field("unreachable_since"),
            next_attempt_at: field("next_attempt_at"),
            to_do: "check that it is up and that the URL is right".to_owned(),
            ..base
        });
    }
    found
}

/// `settled` holds the tables a newer run has had the last word about.
fn of_run(
    run: &Value,
    connection: &str,
    settled: &mut HashSet<(String, String)>,
) -> Option<Finding> {
    let id = text(run, "id");
    let status = text(run, "status");
    let finding = |what: String, to_do: String| Finding {
        kind: "run",
        about: connection.to_owned(),
        what,
        since: text(run, "created_at").to_owned(),
        next_attempt_at: text(run, "next_attempt_at").to_owned(),
        to_do,
    };
    let message = text(run, "error.message");
    if status == "pending" {
        let waits = !message.is_empty();
        return waits.then(|| {
            finding(
                format!("run waits: {message}"),
                hint_or(run, &format!("evenkeel runs show {id}")),
            )
        });
    }
    if !matches!(
        status,
        "completed" | "completed_with_errors" | "failed" | "needs_approval"
    ) {
        return None;
    }
    let names = list(run, "tables")
        .iter()
        .map(|table| text(table, "table").to_owned());
    let news: Vec<String> = names
        .filter(|table| settled.insert((connection.to_owned(), table.clone())))
        .collect();
    let overtaken = news.is_empty() && !list(run, "tables").is_empty();
    match status {
        "failed" if !overtaken => {
            let what = format!("run of {} failed: {message}", news.join(", "));
            Some(finding(
                what,
                hint_or(run, &format!("evenkeel runs show {id}")),
            ))
        }
        "completed_with_errors" if !overtaken => {
            let what = format!(
                "{} rows quarantined in {}",
                grouped(number(run, "rows_failed")),
                news.join(", ")
            );
            Some(finding(what, format!("evenkeel runs errors {id}")))
        }
        "needs_approval" if !overtaken => Some(finding(
            "run needs approval".to_owned(),
            format!("evenkeel runs show {id}"),
        )),
        _ => None,
    }
}

fn hint_or(run: &Value, otherwise: &str) -> String {
    match text(run, "error.hint") {
        "" => otherwise.to_owned(),
        hint => hint.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Value, findings, json};

    fn connection(status: &str, local: &str, remote: &str) -> Value {
        json!({"id": "c1", "name": "hq", "url": "https://hq", "status": status, "local_status": local,
            "remote_status": remote, "created_at": "2026-11-21T10:00:00Z"})
    }

    fn run(id: &str, status: &str, tables: &[&str]) -> Value {
        let tables: Vec<Value> = tables.iter().map(|table| json!({"table": table})).collect();
        json!({"id": id, "connection_id": "c1", "status": status, "tables": tables, "rows_failed": 3,
            "created_at": "2026-11-21T10:00:00Z", "error": {"message": "no key", "hint": null}})
    }

    fn told(connections: &[Value], runs: &[Value]) -> Vec<(String, String)> {
        let found = findings(connections, runs);
        found
            .into_iter()
            .map(|finding| (finding.what, finding.to_do))
            .collect()
    }

    #[test]
    fn a_healthy_site_has_nothing_to_tell() {
        let healthy = [
            connection("active", "active", "active"),
            connection("revoked", "revoked", "active"),
        ];
        let runs = [
            run("2", "completed", &["a"]),
            run("1", "failed", &["a"]),
            run("0", "cancelled", &["b"]),
        ];
        assert_eq!(told(&healthy, &runs), []);
        assert_eq!(told(&[], &[]), []);
    }

    #[test]
    fn each_state_that_needs_somebody_says_who_and_what_to_do() {
        for (status, local, remote, what, to_do) in [
            (
                "pending",
                "pending",
                "active",
                "asks to be connected",
                "approve hq",
            ),
            (
                "pending",
                "active",
                "pending",
                "waits for the peer",
                "ask them",
            ),
            (
                "suspended",
                "suspended",
                "active",
                "suspended here",
                "reactivate hq",
            ),
            (
                "suspended",
                "active",
                "suspended",
                "suspended by the peer",
                "ask its",
            ),
            (
                "severed",
                "active",
                "severed",
                "ended by the peer",
                "delete hq",
            ),
            (
                "expired",
                "expired",
                "active",
                "its time is over",
                "edit hq",
            ),
        ] {
            let found = told(&[connection(status, local, remote)], &[]);
            assert_eq!(found.len(), 1, "{status} {local} {remote}");
            assert!(
                found[0].0.contains(what) && found[0].1.contains(to_do),
                "{found:?}"
            );
        }
    }

    #[test]
    fn an_unreachable_peer_is_told_with_the_next_attempt() {
        let mut row = connection("active", "active", "active");
        row["unreachable_since"] = json!("2026-11-21T10:00:00Z");
        row["next_attempt_at"] = json!("2026-11-21T10:05:00Z");
        let found = findings(&[row], &[]);
        assert_eq!(found[0].since, "2026-11-21T10:00:00Z");
        assert_eq!(found[0].next_attempt_at, "2026-11-21T10:05:00Z");
    }

    #[test]
    fn a_failure_is_told_until_a_newer_run_had_the_last_word_about_its_tables() {
        let known = [connection("active", "active", "active")];
        let failed = run("1", "failed", &["a", "b"]);
        assert!(
            told(&known, std::slice::from_ref(&failed))[0]
                .0
                .contains("run of a, b failed: no key")
        );
        let newer = run("2", "completed", &["a"]);
        assert_eq!(told(&[], std::slice::from_ref(&failed)), [], "deleted");
        assert!(
            told(&known, &[newer, failed])[0]
                .0
                .contains("run of b failed")
        );
        let quarantined = run("3", "completed_with_errors", &["a"]);
        assert!(
            told(&known, &[quarantined])[0]
                .0
                .contains("3 rows quarantined in a")
        );
        let waiting = run("4", "pending", &["a"]);
        assert!(told(&known, &[waiting])[0].0.contains("run waits: no key"));
    }
}
