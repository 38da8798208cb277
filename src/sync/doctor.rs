//! `doctor`: every check of the set-up, with what to do.
//!
//! Looks, and changes nothing. Invariant: a check that cannot be made is a finding, never a failed request.

mod links;

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use jiff::Timestamp;

use crate::base::command::is_runnable;
use crate::base::secret::KeyPlace;
use crate::config::{AlertChannel, Config, sqlite_file};
use crate::model::connection::{Connection, Direction, Status};
use crate::model::finding::{Finding, TablesInUse};
use crate::model::grant::GrantedTables;
use crate::model::trouble::{Gap, GrantGap};
use crate::store::{AuditEntry, ListPage, StoreError};
use crate::sync::Ctx;
use crate::sync::serve::gaps;
use crate::sync::status::{SCARCE_BYTES, free_bytes};

/// Before this no Evenkeel existed.
const EPOCH: &str = "2026-01-01T00:00:00Z";

/// All findings of a running daemon.
pub async fn findings(ctx: &Ctx) -> Vec<Finding> {
    let config = &ctx.config;
    let mut findings = database(ctx).await;
    findings.push(key_folder(config));
    findings.extend(links::findings(ctx).await);
    findings.push(alerts(config));
    let state_file = sqlite_file(config.state.url.expose());
    findings.extend(state_file.as_deref().and_then(Path::parent).map(disk));
    findings.extend(state(ctx).await);
    findings
}

/// What can be told of the files the settings name without a daemon.
#[must_use]
pub fn file_findings(config: &Config) -> Vec<Finding> {
    let mut findings = key_findings(config);
    findings.extend(links::file_findings(config));
    findings
}

fn key_findings(config: &Config) -> Vec<Finding> {
    let key_file = config.state.key.path();
    let shown = key_file.display();
    let metadata = match std::fs::metadata(key_file) {
        Ok(metadata) => metadata,
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => {
            let state_file = sqlite_file(config.state.url.expose());
            return vec![if state_file.is_some_and(|file| file.exists()) {
                Finding::bad(
                    format!("the key file {shown} is missing, and the state was made with a key"),
                    "restore it from its backup, or start with an empty state",
                )
            } else {
                Finding::good(format!(
                    "the key file {shown} is made when the daemon first starts"
                ))
            }];
        }
        // Whoever may not look at it can tell nothing of it, and that is as it should be.
        Err(_) => return Vec::new(),
    };
    let mut findings = vec![key_folder(config)];
    if metadata.permissions().mode() & 0o077 != 0 {
        findings.push(Finding::bad(
            format!("the key file {shown} is readable by others"),
            format!("chmod 600 {shown}"),
        ));
    }
    findings
}

async fn database(ctx: &Ctx) -> Vec<Finding> {
    // Why the state cannot tell is a finding of its own.
    let used = tables_in_use(ctx).await.unwrap_or_default();
    ctx.driver.check(&used).await.unwrap_or_else(|err| {
        vec![Finding::bad(
            err.to_string(),
            "start the site database, or correct site.database",
        )]
    })
}

async fn tables_in_use(ctx: &Ctx) -> Result<TablesInUse, StoreError> {
    let page = ListPage {
        limit: 1_000,
        before: None,
    };
    let connections = ctx.store.connections(page).await?;
    let mut given = BTreeSet::new();
    let mut all = false;
    for connection in connections {
        let gives = connection.direction == Direction::Sender;
        if gives && connection.local_status != Status::Revoked {
            match connection.grant.tables {
                GrantedTables::Named(tables) => given.extend(tables),
                GrantedTables::All(_) => all = true,
            }
        }
    }
    if all {
        let tables = ctx.driver.tables().await.unwrap_or_default();
        let names = tables.into_iter().map(|table| table.name);
        given.extend(names.filter(|name| !ctx.config.grants.withheld.includes(name)));
    }
    let received = ctx.store.written_tables().await?.into_iter().collect();
    Ok(TablesInUse { given, received })
}

async fn state(ctx: &Ctx) -> Vec<Finding> {
    let page = ListPage {
        limit: 1_000,
        before: None,
    };
    let both = async {
        let connections = ctx.store.connections(page).await?;
        Ok::<_, StoreError>((connections, ctx.store.audit_entries(1).await?))
    };
    match both.await {
        Ok((connections, entries)) => {
            let mut findings = vec![clock(Timestamp::now(), entries.first())];
            findings.extend(peers(&connections));
            findings.extend(grants(&connections, &gaps(ctx, &connections).await));
            findings
        }
        Err(err) => vec![Finding::bad(
            err.to_string(),
            "look after the state database",
        )],
    }
}

/// Whoever copies the folder would have both the sealed values and the key that opens them.
fn key_folder(config: &Config) -> Finding {
    let key_file = match &config.state.key {
        KeyPlace::File(path) => path,
        KeyPlace::Credential(_) => {
            return Finding::good("the key is a systemd credential, apart from the state");
        }
    };
    let shown = key_file.display();
    let folder = |path: &Path| path.parent().and_then(|folder| folder.canonicalize().ok());
    let state = sqlite_file(config.state.url.expose());
    let together = state
        .as_deref()
        .and_then(folder)
        .is_some_and(|state| folder(key_file) == Some(state));
    if together {
        Finding::bad(
            format!(
                "the key file {shown} lies in the state's folder: a copy of that folder opens every secret"
            ),
            "move it elsewhere and set state.key_file, or use a systemd credential",
        )
    } else {
        Finding::good(format!("the key file {shown} lies apart from the state"))
    }
}

fn alerts(config: &Config) -> Finding {
    match &config.alerts.channel {
        None => Finding::good("nobody is alerted: [alerts] names no command and no url"),
        Some(AlertChannel::Url(_)) => Finding::good("alerts go to the address in alerts.url"),
        Some(AlertChannel::Command(program)) if is_runnable(program) => {
            Finding::good(format!("alerts go to {}", program.name))
        }
        Some(AlertChannel::Command(program)) => Finding::bad(
            format!(
                "the alert command {} is no program this daemon may run",
                program.name
            ),
            format!("correct alerts.command, or: chmod +x {}", program.name),
        ),
    }
}

fn disk(folder: &Path) -> Finding {
    let shown = folder.display();
    let Ok(free) = free_bytes(folder) else {
        return Finding::bad(
            format!("the state's folder {shown} cannot be looked at"),
            "give the daemon's user access to it",
        );
    };
    let mebibytes = free >> 20;
    if free < SCARCE_BYTES {
        Finding::bad(
            format!("only {mebibytes} MiB are free in the state's folder {shown}"),
            "make room: a full disk stops every run",
        )
    } else {
        Finding::good(format!(
            "{mebibytes} MiB are free in the state's folder {shown}"
        ))
    }
}

/// The newest audit entry was written in the past, if the clock did not jump back.
fn clock(now: Timestamp, newest: Option<&AuditEntry>) -> Finding {
    let hint = "let an NTP client keep the clock: schedules and expiry go by it";
    if EPOCH.parse().is_ok_and(|epoch: Timestamp| now < epoch) {
        return Finding::bad(format!("the clock says {now}"), hint);
    }
    match newest {
        Some(entry) if entry.at > now => Finding::bad(
            format!(
                "the clock went back: it says {now}, the newest audit entry {}",
                entry.at
            ),
            hint,
        ),
        _ => Finding::good(format!("the clock says {now:.0}")),
    }
}

/// Columns that are new since their grant, and row filters that fit no more.
fn grants(connections: &[Connection], gaps: &[GrantGap]) -> Vec<Finding> {
    let told = gaps.iter().filter_map(|gap| {
        let connection = connections.iter().find(|row| row.id == gap.connection)?;
        let (table, name) = (&gap.table, &connection.name);
        let words = match &gap.gap {
            Gap::Unclassified(columns) => format!(
                "{name} does not get {} of {table}: new since its grant, which lists the columns",
                columns.join(", ")
            ),
            Gap::Misfit(reason) => format!(
                "{name} gets nothing of {table}: the grant's row filter fits no more ({reason})"
            ),
        };
        let hint = format!("say what becomes of it: evenkeel connections edit {name} --grant FILE");
        Some(Finding::bad(words, hint))
    });
    told.collect()
}

fn peers(connections: &[Connection]) -> Vec<Finding> {
    let unreachable: Vec<Finding> = connections
        .iter()
        .filter_map(|connection| {
            let since = connection.unreachable_since?;
            Some(Finding::bad(
                format!(
                    "{} ({}) does not answer since {since}",
                    connection.name, connection.url
                ),
                "check the peer's daemon and the network between the sites; this site keeps trying",
            ))
        })
        .collect();
    if unreachable.is_empty() {
        return vec![Finding::good("every peer answered when it was last called")];
    }
    unreachable
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{AuditEntry, clock, disk};

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
