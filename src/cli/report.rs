//! What a run did, per table, once it is final.

use jiff::Timestamp;
use serde_json::Value;

use crate::cli::client::Client;
use crate::cli::exit::{Exit, Failure};
use crate::cli::fields::{at, list, number, optional_number, text};
use crate::cli::print::{Output, grouped, spanned};
use crate::cli::progress;

const TITLES: [&str; 8] = [
    "table", "status", "added", "updated", "deleted", "skipped", "failed", "time",
];

/// Follows a run to its end and reports it.
pub(super) async fn wait(client: &Client, output: Output, run: &Value) -> anyhow::Result<Exit> {
    let ended = progress::ended(client, output, run).await?;
    report(client, output, &ended).await
}

/// Prints a final run; a run that did not complete is the failure it is told as.
pub(super) async fn report(client: &Client, output: Output, run: &Value) -> anyhow::Result<Exit> {
    if output.json {
        output.object(run)?;
        return Ok(match text(run, "status") {
            "completed" => Exit::Done,
            "needs_approval" => Exit::Refused,
            _ => Exit::Told,
        });
    }
    let transfers = transfers_of(client, run).await;
    output.table(&TITLES, &rows(run, &transfers))?;
    for problem in problems(run) {
        output.note(&problem);
    }
    match text(run, "status") {
        "completed" => {
            output.note(&proof(run));
            Ok(Exit::Done)
        }
        "needs_approval" => Err(Failure::refused(verdict(run, "needs_approval")).into()),
        status => Err(Failure::told(verdict(run, status)).into()),
    }
}

/// The run's transfers tell how long each table took; without them that column stays empty.
async fn transfers_of(client: &Client, run: &Value) -> Vec<Value> {
    let filters = [("connection", text(run, "connection_id"))];
    let recent = client
        .list(&["transfers"], &filters, 200)
        .await
        .unwrap_or_default();
    let of_run = |transfer: &Value| text(transfer, "run_id") == text(run, "id");
    recent.into_iter().filter(of_run).collect()
}

fn rows(run: &Value, transfers: &[Value]) -> Vec<Vec<String>> {
    let row = |table: &Value| {
        let name = text(table, "table");
        let count = |path: &str| grouped(number(table, path));
        let transfer = transfers
            .iter()
            .find(|transfer| text(transfer, "table") == name);
        let time = optional_number(table, "duration_ms").or_else(|| transfer.and_then(duration));
        vec![
            name.to_owned(),
            text(table, "status").to_owned(),
            count("changes.added"),
            count("changes.updated"),
            count("changes.deleted"),
            count("changes.skipped"),
            count("rows_failed"),
            time.map(spanned).unwrap_or_default(),
        ]
    };
    list(run, "tables").iter().map(row).collect()
}

fn duration(transfer: &Value) -> Option<u64> {
    let time = |path| text(transfer, path).parse::<Timestamp>().ok();
    let span = time("completed_at")?.duration_since(time("started_at")?);
    u64::try_from(span.as_millis()).ok()
}

pub(super) fn problems(run: &Value) -> Vec<String> {
    let of_table = |table: &Value| {
        let error = at(table, "error")?;
        Some(format!("{}: {}", text(table, "table"), with_hint(error)))
    };
    list(run, "tables").iter().filter_map(of_table).collect()
}

fn with_hint(error: &Value) -> String {
    match text(error, "hint") {
        "" => text(error, "message").to_owned(),
        hint => format!("{}\n  {hint}", text(error, "message")),
    }
}

pub(super) fn verdict(run: &Value, status: &str) -> String {
    let id = text(run, "id");
    match (status, number(run, "rows_failed")) {
        ("completed_with_errors", 0) => {
            "some rows stay as they are here, and the two sides differ".to_owned()
        }
        ("completed_with_errors", rows) => format!(
            "{} rows could not be written; `evenkeel runs errors {id}` lists them",
            grouped(rows)
        ),
        ("cancelled", _) => "the run was cancelled".to_owned(),
        ("needs_approval", _) => {
            let why = at(run, "error").map_or_else(
                || "the run waits for approval".to_owned(),
                |error| text(error, "message").to_owned(),
            );
            format!(
                "{why}\n  look at it and decide: evenkeel runs approve {id} (or: evenkeel runs cancel {id})"
            )
        }
        (status, _) => match at(run, "error") {
            Some(error) => with_hint(error),
            None => format!("the run ended {status}"),
        },
    }
}

/// What a completed run proved, which its mode says.
fn proof(run: &Value) -> String {
    let proved = |table: &Value| at(table, "proved_equal").and_then(Value::as_bool);
    let tables = list(run, "tables");
    if tables.iter().any(|table| proved(table) == Some(false)) {
        return "applied; the two sides differ".to_owned();
    }
    if tables.iter().any(|table| proved(table).is_none()) {
        return "applied; nothing proves it, since the peer does not sign".to_owned();
    }
    let words = match text(run, "sync_mode") {
        "insert" => "proved: every key of the source is here",
        "update" => "proved equal: every row that both sides have",
        "upsert" => "proved equal: every row of the source is here",
        _ => "proved equal",
    };
    let left = match number(run, "changes.conflicts") {
        0 => String::new(),
        rows => format!(", but for {} rows that differ and stay", grouped(rows)),
    };
    format!("{words}{left} (evenkeel runs receipt {})", text(run, "id"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Value, problems, proof, rows, verdict};

    #[test]
    fn each_table_shows_what_moved_and_how_long_it_took() {
        let run = json!({"tables": [{"table": "orders", "status": "completed", "rows_failed": 1,
            "changes": {"added": 1200, "updated": 3, "deleted": 2, "skipped": 0}}]});
        let transfers = [
            json!({"table": "orders", "started_at": "2026-11-21T10:00:00Z",
            "completed_at": "2026-11-21T10:00:01.5Z"}),
        ];
        assert_eq!(
            rows(&run, &transfers),
            [
                ["orders", "completed", "1,200", "3", "2", "0", "1", "1.5 s"]
                    .map(str::to_owned)
                    .to_vec()
            ]
        );
    }

    #[test]
    fn a_completed_run_claims_no_more_than_it_proved() {
        let run = |mode: &str, conflicts: u64, proved: [Value; 2]| {
            let [a, b] = proved;
            let tables = json!([{"proved_equal": a}, {"proved_equal": b}]);
            json!({"id": "7", "sync_mode": mode, "changes": {"conflicts": conflicts}, "tables": tables})
        };
        let yes = || Value::from(true);
        for (run, expected) in [
            (
                run("upsert", 0, [Value::Null, yes()]),
                "applied; nothing proves it, since the peer does not sign",
            ),
            (
                run("upsert", 0, [Value::Null, false.into()]),
                "applied; the two sides differ",
            ),
            (
                run("mirror", 0, [yes(), yes()]),
                "proved equal (evenkeel runs receipt 7)",
            ),
            (
                run("upsert", 0, [yes(), yes()]),
                "proved equal: every row of the source is here (evenkeel runs receipt 7)",
            ),
            (
                run("insert", 1_200, [yes(), yes()]),
                "proved: every key of the source is here, but for 1,200 rows that differ and stay (evenkeel runs receipt 7)",
            ),
        ] {
            assert_eq!(proof(&run), expected);
        }
    }

    #[test]
    fn a_failure_is_told_with_its_hint() {
        let run = json!({"id": "1", "rows_failed": 2, "error": {"message": "orders: no key", "hint": "add one"},
            "tables": [{"table": "orders", "error": {"message": "no key", "hint": null}}]});
        assert_eq!(verdict(&run, "failed"), "orders: no key\n  add one");
        assert!(verdict(&run, "completed_with_errors").contains("runs errors 1"));
        assert_eq!(problems(&run), ["orders: no key"]);
    }
}
