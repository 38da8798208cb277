//! `/doctor`: every check of the set-up, with what to do.
//!
//! Looks, and changes nothing. Invariant: a check that cannot be made is a finding, never a failed request.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::Serialize;

use crate::config::Config;
use crate::engine::driver::Finding;
use crate::model::connection::Connection;
use crate::model::url::is_loopback;
use crate::store::{AuditEntry, ListPage};
use crate::sync::Ctx;

/// With less than this the state's disk is called nearly full.
const SCARCE_BYTES: u64 = 256 << 20;
/// Before this no Evenkeel existed.
const EPOCH: &str = "2026-01-01T00:00:00Z";

#[derive(Serialize)]
pub(super) struct FindingView {
    ok: bool,
    what: String,
    hint: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Findings {
    findings: Vec<FindingView>,
}

/// GET
pub(super) async fn show(State(ctx): State<Arc<Ctx>>) -> Json<Findings> {
    let config = &ctx.config;
    let mut findings = database(&ctx).await;
    findings.push(key_file(config));
    findings.push(exposure(config));
    findings.extend(state_folder(config).as_deref().map(disk));
    findings.extend(state(&ctx).await);
    let findings = findings
        .into_iter()
        .map(|finding| FindingView {
            ok: finding.ok,
            what: finding.what,
            hint: finding.hint,
        })
        .collect();
    Json(Findings { findings })
}

async fn database(ctx: &Ctx) -> Vec<Finding> {
    ctx.driver.check().await.unwrap_or_else(|err| {
        vec![bad(
            err.to_string(),
            "start the site database, or correct site.database",
        )]
    })
}

async fn state(ctx: &Ctx) -> Vec<Finding> {
    let page = ListPage {
        limit: 1_000,
        before: None,
    };
    let both = async {
        let connections = ctx.store.connections(page).await?;
        Ok::<_, crate::store::StoreError>((connections, ctx.store.audit_entries(1).await?))
    };
    match both.await {
        Ok((connections, entries)) => {
            let mut findings = vec![clock(Timestamp::now(), entries.first())];
            findings.extend(peers(&connections));
            findings
        }
        Err(err) => vec![bad(err.to_string(), "look after the state database")],
    }
}

fn good(what: impl Into<String>) -> Finding {
    Finding {
        ok: true,
        what: what.into(),
        hint: None,
    }
}

fn bad(what: impl Into<String>, hint: impl Into<String>) -> Finding {
    Finding {
        ok: false,
        what: what.into(),
        hint: Some(hint.into()),
    }
}

/// Whoever copies the folder would have both the sealed values and the key that opens them.
fn key_file(config: &Config) -> Finding {
    let key_file = &config.state.key_file;
    let folder = |path: &Path| path.parent().and_then(|folder| folder.canonicalize().ok());
    let state = state_file(config.state.url.expose());
    let together = state
        .as_deref()
        .and_then(folder)
        .is_some_and(|state| folder(key_file) == Some(state));
    if !together {
        return good("the key file lies apart from the state");
    }
    bad(
        format!(
            "the key file {} lies beside the state it seals",
            key_file.display()
        ),
        "move it to another folder, which is backed up elsewhere, and set state.key_file",
    )
}

fn exposure(config: &Config) -> Finding {
    match config.admin.listen {
        Some(address) if !is_loopback(address.ip()) => bad(
            format!(
                "the admin API listens on {address} without TLS: tokens cross the network readable"
            ),
            "set admin.listen to a loopback address and reach it through a tunnel or a TLS proxy",
        ),
        Some(_) => good("the admin API listens on this machine only"),
        None => good("the admin API listens on its socket only"),
    }
}

fn disk(folder: &Path) -> Finding {
    let shown = folder.display();
    let Ok(space) = rustix::fs::statvfs(folder) else {
        return bad(
            format!("the state's folder {shown} cannot be looked at"),
            "give the daemon's user access to it",
        );
    };
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    let mebibytes = free >> 20;
    if free < SCARCE_BYTES {
        bad(
            format!("only {mebibytes} MiB are free in the state's folder {shown}"),
            "make room: a full disk stops every run",
        )
    } else {
        good(format!(
            "{mebibytes} MiB are free in the state's folder {shown}"
        ))
    }
}

/// The newest audit entry was written in the past, if the clock did not jump back.
fn clock(now: Timestamp, newest: Option<&AuditEntry>) -> Finding {
    let hint = "let an NTP client keep the clock: schedules and expiry go by it";
    if EPOCH.parse().is_ok_and(|epoch: Timestamp| now < epoch) {
        return bad(format!("the clock says {now}"), hint);
    }
    match newest {
        Some(entry) if entry.at > now => bad(
            format!(
                "the clock went back: it says {now}, the newest audit entry {}",
                entry.at
            ),
            hint,
        ),
        _ => good(format!("the clock says {now}")),
    }
}

fn peers(connections: &[Connection]) -> Vec<Finding> {
    let unreachable: Vec<Finding> = connections
        .iter()
        .filter_map(|connection| {
            let since = connection.unreachable_since?;
            Some(bad(
                format!(
                    "{} ({}) does not answer since {since}",
                    connection.name, connection.url
                ),
                "check the peer's daemon and the network between the sites; this site keeps trying",
            ))
        })
        .collect();
    if unreachable.is_empty() {
        return vec![good("every peer answered when it was last called")];
    }
    unreachable
}

/// The state's file, when it is kept in one.
fn state_file(url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix("sqlite:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    let path = path.split('?').next().unwrap_or(path);
    Some(PathBuf::from(path))
}

fn state_folder(config: &Config) -> Option<PathBuf> {
    let file = state_file(config.state.url.expose())?;
    file.parent().map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{AuditEntry, clock, disk, state_file};

    #[test]
    fn the_states_file_is_found_in_its_url() {
        let file = |url| state_file(url).map(PathBuf::into_os_string);
        assert_eq!(
            file("sqlite:///var/lib/x/state.db"),
            Some("/var/lib/x/state.db".into())
        );
        assert_eq!(file("sqlite:///a.db?mode=rwc"), Some("/a.db".into()));
        assert_eq!(file("sqlite:a.db"), Some("a.db".into()));
        assert_eq!(file("postgresql://u@h/db"), None);
    }

    #[test]
    fn a_clock_that_went_back_is_noticed() {
        let entry = AuditEntry {
            at: "2026-11-21T10:00:00Z".parse().unwrap(),
            actor: "evenkeel".into(),
            address: None,
            action: "x".into(),
            subject: "y".into(),
            detail: None,
        };
        let ok = |now: &str, newest| clock(now.parse().unwrap(), newest).ok;
        assert!(ok("2026-11-21T10:00:01Z", Some(&entry)));
        assert!(!ok("2026-11-21T09:59:59Z", Some(&entry)));
        assert!(!ok("1970-01-01T00:00:09Z", None));
        assert!(ok("2026-11-21T10:00:00Z", None));
    }

    #[test]
    fn a_folder_that_is_not_there_is_a_finding() {
        assert!(!disk(Path::new("/nowhere/at/all")).ok);
    }
}
