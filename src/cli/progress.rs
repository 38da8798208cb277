//! Follows a run to its end: a live line on a terminal, plain lines otherwise, objects with `--json`.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::cli::client::Client;
use crate::cli::exit::Failure;
use crate::cli::fields::{at, moment, number, optional_number, text};
use crate::cli::print::{Output, grouped, sized, spanned};
use crate::model::fault::FaultCode;

const POLL: Duration = Duration::from_millis(300);
/// Without a terminal a line now and then is enough.
const PLAIN_EVERY: Duration = Duration::from_secs(5);

/// Follows a run until the runner is done with it.
pub(super) async fn ended(client: &Client, output: Output, run: &Value) -> anyhow::Result<Value> {
    tokio::select! {
        ended = follow(client, output, run) => ended,
        _ = tokio::signal::ctrl_c() => Err(Failure::told(left(text(run, "id"))).into()),
    }
}

/// What Ctrl-C leaves behind.
fn left(id: &str) -> String {
    format!(
        "the run goes on in the daemon; `evenkeel runs show {id}` tells how it ends, `evenkeel runs cancel {id}` stops it"
    )
}

/// Waits until the run is final and gives it.
pub(super) async fn follow(client: &Client, output: Output, run: &Value) -> anyhow::Result<Value> {
    let mut teller = Teller::new(output);
    loop {
        let run = client.get(&["runs", text(run, "id")]).await?;
        if is_final(text(&run, "status")) {
            return Ok(run);
        }
        teller.tell(&run)?;
        tokio::time::sleep(POLL).await;
    }
}

/// Whether nothing more will happen to a run of this status.
pub(super) fn is_final(status: &str) -> bool {
    !matches!(status, "pending" | "running" | "")
}

/// Says what is new about a run, once.
struct Teller {
    output: Output,
    last_progress: Value,
    last_wait: String,
    next_plain: Instant,
}

impl Teller {
    fn new(output: Output) -> Self {
        Self {
            output,
            last_progress: Value::Null,
            last_wait: String::new(),
            next_plain: Instant::now() + PLAIN_EVERY,
        }
    }

    fn tell(&mut self, run: &Value) -> anyhow::Result<()> {
        let wait = waiting(run);
        if wait != self.last_wait && !wait.is_empty() {
            self.output.progress("");
            self.output.note(&wait);
        }
        self.last_wait = wait;
        let progress = at(run, "progress").cloned().unwrap_or_default();
        let line = progress_line(&progress);
        self.output.progress(&line);
        let changed = progress != self.last_progress;
        if self.output.json && changed {
            self.output.object(&json!({"progress": progress}))?;
        } else if !self.output.live && changed && Instant::now() >= self.next_plain {
            self.output.note(&line);
            self.next_plain = Instant::now() + PLAIN_EVERY;
        }
        self.last_progress = progress;
        Ok(())
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        // Whatever is said next begins on a line of its own.
        self.output.progress("");
    }
}

/// Why a run that is not final does not move at the moment; empty when it does.
fn waiting(run: &Value) -> String {
    let message = text(run, "error.message");
    if text(run, "status") != "pending" || message.is_empty() {
        return String::new();
    }
    let hint = text(run, "error.hint");
    let hint = if hint.is_empty() {
        String::new()
    } else {
        format!("\n  {hint}")
    };
    if text(run, "error.code") == FaultCode::WaitingForRun.as_str() {
        return format!("Waiting: {message}{hint}");
    }
    let next = match moment(run, "next_attempt_at").as_str() {
        "" => String::new(),
        at => format!("Next attempt at {at}."),
    };
    format!(
        "Attempt {} did not go through: {message}{hint}\n{next}",
        number(run, "attempt")
    )
    .trim_end()
    .to_owned()
}

fn progress_line(progress: &Value) -> String {
    if number(progress, "tables_total") == 0 {
        return "starting".to_owned();
    }
    let rows = grouped(number(progress, "rows"));
    let rows = match optional_number(progress, "rows_total") {
        Some(total) => format!("{rows} of {} rows", grouped(total)),
        None => format!("{rows} rows"),
    };
    let mut parts = vec![rows];
    if let Some(speed) = optional_number(progress, "rows_per_second").filter(|speed| *speed > 0) {
        parts.push(format!("{} rows/s", grouped(speed)));
    }
    parts.push(sized(number(progress, "bytes")));
    if let Some(seconds) = optional_number(progress, "eta_seconds") {
        parts.push(format!("{} left", spanned(seconds.saturating_mul(1_000))));
    }
    let (done, total) = (
        number(progress, "tables_done"),
        number(progress, "tables_total"),
    );
    parts.push(format!("table {} of {total}", (done + 1).min(total)));
    parts.join("  ")
}

#[cfg(test)]
mod tests {
    use super::{is_final, json, progress_line, waiting};

    #[test]
    fn the_progress_line_shows_rows_speed_bytes_and_time_left() {
        let progress = json!({"tables_done": 1, "tables_total": 3, "rows": 1500, "rows_total": 3000,
            "bytes": 2048, "rows_per_second": 500, "eta_seconds": 3});
        assert_eq!(
            progress_line(&progress),
            "1,500 of 3,000 rows  500 rows/s  2.0 KiB  3.0 s left  table 2 of 3"
        );
        assert_eq!(progress_line(&json!({})), "starting");
    }

    #[test]
    fn a_run_between_attempts_says_why_and_when() {
        let run = json!({"status": "pending", "attempt": 2, "next_attempt_at": "2026-11-21T10:00:00Z",
            "error": {"code": "unreachable", "message": "hq does not answer", "hint": "is it up?"}});
        let told = waiting(&run);
        assert!(
            told.starts_with("Attempt 2 did not go through: hq does not answer\n  is it up?"),
            "{told}"
        );
        assert!(
            told.ends_with("Next attempt at 2026-11-21T10:00:00Z."),
            "{told}"
        );
        assert_eq!(waiting(&json!({"status": "pending", "error": null})), "");
        assert_eq!(
            waiting(&json!({"status": "running", "error": {"message": "old"}})),
            ""
        );
        assert!(is_final("cancelled") && is_final("needs_approval") && !is_final("running"));
    }
}
