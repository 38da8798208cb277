//! Errors as answers: one exhaustive match gives each fault of the lower layers its status and its words.
//!
//! Does not decide what happens next to a run (`sync/retry.rs` does).
//! Invariant: an answer never carries a database's URL, a token or a row's values.

use axum::http::StatusCode;

use crate::api::problem::Problem;
use crate::engine::EngineError;
use crate::model::fault::FaultCode;
use crate::remote::RemoteError;
use crate::store::StoreError;
use crate::sync::SyncError;

impl From<SyncError> for Problem {
    fn from(err: SyncError) -> Self {
        match err {
            SyncError::Store(err) => err.into(),
            SyncError::Engine(err) => err.into(),
            SyncError::Remote(err) => err.into(),
            SyncError::Unknown { what, name } => Self::not_found(what, &name),
            SyncError::NotActive { .. } => {
                Self::conflict("not-active", "The connection is not active", &err)
            }
            SyncError::WrongDirection { .. } => {
                Self::conflict("wrong-direction", "The connection goes the other way", &err)
            }
            SyncError::Decision(_) => Self::conflict("decision", "The decision does not fit", &err),
            SyncError::Unproved { .. } => {
                Self::conflict("unproved", "The peer did not prove who it is", &err).with_hint(
                    "whoever asked may not be who they say: check with the administrator of that site that its daemon is up and reaches this one, then try again; \"unproved\": true (--unproved) lets it in as it is",
                )
            }
            SyncError::NoRotation { .. } => {
                Self::conflict("rotation", "The key is not changed", &err)
            }
            SyncError::Url(err) => Self::invalid("url", err.to_string()),
            SyncError::Invalid { field, message } => Self::invalid(field, message),
            SyncError::Contract { code, ref hint, .. } => {
                let hint = hint.clone();
                Self::refused(contract_kind(code), "The tables do not fit together", &err)
                    .with_hint(hint)
            }
            SyncError::OtherWriter { .. } => {
                Self::conflict("other-writer", "Another connection writes this table", &err)
                    .with_hint(
                        "set \"shared\": true (--shared) if both sites are meant to write it",
                    )
            }
            SyncError::RunGoesOn { run, .. } => {
                let hint = format!("wait for its end, or stop it: evenkeel runs cancel {run}");
                Self::conflict("run-goes-on", "The sync runs already", &err).with_hint(hint)
            }
            SyncError::RunOver { .. } => {
                Self::conflict("run-over", "The run has ended already", &err)
            }
            SyncError::RunNotOver { .. } => {
                Self::conflict("run-not-over", "The run is not over yet", &err)
            }
            SyncError::NotWaiting { .. } => {
                Self::conflict("not-waiting", "The run waits for no approval", &err)
            }
            SyncError::OtherPlan { run } => {
                let hint = format!("look at it as it is now: evenkeel runs approve {run}");
                Self::conflict("other-plan", "The run has another plan", &err).with_hint(hint)
            }
            SyncError::NeedsSigning { .. } => {
                Self::conflict("peer_unproved", "The peer signs nothing", &err)
            }
            SyncError::Scan(_) => Self::internal(&err),
            SyncError::Cancelled => Self::conflict("cancelled", "The run was cancelled", &err),
            SyncError::Stopping => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "stopping",
                "The daemon is stopping",
                err.to_string(),
            )
            .with_retry_after(Some(5)),
        }
    }
}

/// The problem type of a contract's code; the codes are for scripts, with underscores in JSON and dashes in URIs.
fn contract_kind(code: FaultCode) -> &'static str {
    match code {
        FaultCode::MissingHere => "missing-here",
        FaultCode::NoKey => "no-key",
        FaultCode::MissingColumn => "missing-column",
        FaultCode::KindMismatch => "kind-mismatch",
        FaultCode::NotWritable => "not-writable",
        _ => "contract",
    }
}

impl From<StoreError> for Problem {
    fn from(err: StoreError) -> Self {
        match err {
            StoreError::NameTaken(_) | StoreError::SyncNameTaken(_) => {
                Self::conflict("name-taken", "The name is taken", &err)
            }
            StoreError::Database(_) => Self::unavailable(
                "state-unavailable",
                "The daemon's own state cannot be read or written",
                &err,
            ),
            StoreError::Migrate(_)
            | StoreError::Url(_)
            | StoreError::Newer { .. }
            | StoreError::InUse(_)
            | StoreError::OtherKey
            | StoreError::KeyMissing(_)
            | StoreError::Secret(_)
            | StoreError::Corrupt(_)
            | StoreError::Io { .. } => Self::internal(&err),
        }
    }
}

impl From<EngineError> for Problem {
    fn from(err: EngineError) -> Self {
        match err {
            EngineError::Url(_)
            | EngineError::Unreachable(_)
            | EngineError::Lost(_)
            | EngineError::Full(_) => Self::unavailable(
                "database-unavailable",
                "The site database cannot be used now",
                &err,
            ),
            EngineError::NoTable(_) => Self::new(
                StatusCode::NOT_FOUND,
                "not-found",
                "Not found",
                err.to_string(),
            ),
            EngineError::Locked { .. } | EngineError::Yielded => {
                Self::conflict("table-locked", "The table is locked", &err)
            }
            EngineError::SchemaChanged(_) => {
                Self::conflict("table-changed", "The table was changed meanwhile", &err)
            }
            EngineError::Denied(_)
            | EngineError::CopyTooLarge { .. }
            | EngineError::Unreadable { .. }
            | EngineError::RowTooLarge { .. }
            | EngineError::Cut(_)
            | EngineError::TooManyRejected { .. }
            | EngineError::Statement { .. } => {
                Self::refused("database-refused", "The site database refuses", &err)
            }
        }
    }
}

impl From<RemoteError> for Problem {
    fn from(err: RemoteError) -> Self {
        match err {
            RemoteError::Setup(_) => Self::internal(&err),
            RemoteError::Forbidden { .. } | RemoteError::Unencrypted { .. } => {
                Self::refused("address-not-allowed", "The URL must not be called", &err)
                    .about("url", err.to_string())
            }
            RemoteError::Untrusted { .. } => Self::refused(
                "peer-untrusted",
                "The peer's certificate is not accepted",
                &err,
            ),
            RemoteError::Unproved { .. } => Self::refused(
                "peer-unproved",
                "The answer is not signed by the peer",
                &err,
            ),
            RemoteError::Unreachable { .. }
            | RemoteError::Stuck { .. }
            | RemoteError::Cut { .. } => {
                Self::refused("peer-unreachable", "The peer cannot be reached", &err).with_hint(
                    "check the URL, the network between the sites, and the peer's daemon",
                )
            }
            RemoteError::NoApi { .. } => {
                Self::refused("peer-unreachable", "There is no sync API at the URL", &err)
            }
            RemoteError::Refused { retry_after, .. } => {
                Self::refused("peer-refused", "The peer refuses", &err)
                    .with_retry_after(retry_after)
            }
            RemoteError::Unfit { .. } => {
                Self::refused("peer-refused", "The peer cannot do this", &err)
            }
            RemoteError::Protocol { .. } => {
                Self::refused("peer-protocol", "The peer's answer makes no sense", &err)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Problem;
    use crate::model::connection::Status;
    use crate::remote::RemoteError;
    use crate::store::StoreError;
    use crate::sync::SyncError;

    fn shown(problem: &Problem) -> (u16, &'static str) {
        (problem.status(), problem.kind())
    }

    #[test]
    fn each_fault_has_its_status_and_type() {
        let host = || "hq.example.com".to_owned();
        let cases: [(SyncError, (u16, &str)); 6] = [
            (
                SyncError::NotActive {
                    name: "hq".into(),
                    status: Status::Pending,
                    whose: "the peer's",
                },
                (409, "not-active"),
            ),
            (
                StoreError::NameTaken("hq".into()).into(),
                (409, "name-taken"),
            ),
            (
                SyncError::Unknown {
                    what: "run",
                    name: "x".into(),
                },
                (404, "not-found"),
            ),
            (
                RemoteError::Unreachable {
                    host: host(),
                    reason: "no route".into(),
                }
                .into(),
                (422, "peer-unreachable"),
            ),
            (
                RemoteError::Refused {
                    host: host(),
                    status: 401,
                    message: "Invalid password".into(),
                    code: None,
                    retry_after: None,
                }
                .into(),
                (422, "peer-refused"),
            ),
            (
                RemoteError::Unencrypted { host: host() }.into(),
                (422, "address-not-allowed"),
            ),
        ];
        for (err, expected) in cases {
            let words = err.to_string();
            assert_eq!(shown(&Problem::from(err)), expected, "{words}");
        }
    }

    #[test]
    fn a_peers_refusal_is_told_in_its_own_words() {
        let problem = Problem::from(RemoteError::Refused {
            host: "hq".into(),
            status: 401,
            message: "Invalid password".into(),
            code: None,
            retry_after: None,
        });
        assert!(problem.detail().contains("Invalid password"));
    }
}
