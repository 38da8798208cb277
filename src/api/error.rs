//! Errors as answers: one exhaustive match gives each fault of the lower layers its status and its words (RFC 9457).
//!
//! Does not decide what happens next to a run (`sync/retry.rs` does).
//! Invariant: an answer never carries a database's URL, a token or a row's values.

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::engine::EngineError;
use crate::remote::RemoteError;
use crate::store::StoreError;
use crate::sync::SyncError;

/// One thing wrong with a request's body or query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Path of the field, as `grant.tables[0]`.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

/// A problem document (RFC 9457), the body of every error of the admin API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    kind: &'static str,
    title: &'static str,
    detail: String,
    hint: Option<String>,
    errors: Vec<FieldError>,
    retry_after: Option<u64>,
    challenge: Option<&'static str>,
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

impl Problem {
    /// A problem of type `/problems/KIND`.
    #[must_use]
    pub fn new(
        status: StatusCode,
        kind: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            status,
            kind,
            title,
            detail: detail.into(),
            hint: None,
            errors: Vec::new(),
            retry_after: None,
            challenge: None,
        }
    }

    /// 400: the request cannot be read.
    #[must_use]
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "malformed",
            "The request cannot be read",
            detail,
        )
    }

    /// 422: `field` holds what cannot be done.
    #[must_use]
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        let (field, message) = (field.into(), message.into());
        Self {
            errors: vec![FieldError { field, message }],
            ..Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid",
                "The request cannot be carried out",
                "a field of the request does not fit",
            )
        }
    }

    /// 401 with its challenge (RFC 6750).
    #[must_use]
    pub fn unauthorized(detail: impl Into<String>, challenge: &'static str) -> Self {
        Self {
            challenge: Some(challenge),
            ..Self::new(
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "A token is needed",
                detail,
            )
        }
    }

    /// 403.
    #[must_use]
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "Not allowed", detail)
    }

    /// 404: there is no such thing.
    #[must_use]
    pub fn not_found(what: &str, name: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not-found",
            "Not found",
            format!("there is no {what} {name}"),
        )
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// What is wrong, field by field.
    #[must_use]
    pub fn errors(&self) -> &[FieldError] {
        &self.errors
    }

    fn with_retry_after(mut self, seconds: Option<u64>) -> Self {
        self.retry_after = seconds;
        self
    }

    fn conflict(kind: &'static str, title: &'static str, err: &dyn std::fmt::Display) -> Self {
        Self::new(StatusCode::CONFLICT, kind, title, err.to_string())
    }

    fn refused(kind: &'static str, title: &'static str, err: &dyn std::fmt::Display) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            kind,
            title,
            err.to_string(),
        )
    }

    /// A fault of this site that a caller can wait out; `error!` because a person must look.
    fn unavailable(kind: &'static str, title: &'static str, err: &dyn std::fmt::Display) -> Self {
        tracing::error!(%err, kind, "a request cannot be served");
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            kind,
            title,
            err.to_string(),
        )
    }

    /// 500: a fault of this program or of its set-up. What it was stands in the log only.
    #[must_use]
    pub fn internal(err: &dyn std::fmt::Display) -> Self {
        tracing::error!(%err, "a request failed inside the daemon");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Something went wrong inside the daemon",
            "the daemon's log says what",
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let document = Document {
            kind: format!("/problems/{}", self.kind),
            title: self.title,
            status: self.status.as_u16(),
            detail: &self.detail,
            hint: self.hint.as_deref(),
            errors: &self.errors,
        };
        let mut response = (self.status, Json(document)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(challenge) = self.challenge {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }
}

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
fn contract_kind(code: &str) -> &'static str {
    match code {
        "missing_here" => "missing-here",
        "no_key" => "no-key",
        "missing_column" => "missing-column",
        "kind_mismatch" => "kind-mismatch",
        "not_writable" => "not-writable",
        _ => "contract",
    }
}

impl From<StoreError> for Problem {
    fn from(err: StoreError) -> Self {
        match err {
            StoreError::NameTaken(_) => Self::conflict("name-taken", "The name is taken", &err),
            StoreError::Database(_) => Self::unavailable(
                "state-unavailable",
                "The daemon's own state cannot be read or written",
                &err,
            ),
            StoreError::Migrate(_)
            | StoreError::Url(_)
            | StoreError::Newer { .. }
            | StoreError::InUse(_)
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
            EngineError::Locked { .. } => {
                Self::conflict("table-locked", "The table is locked", &err)
            }
            EngineError::SchemaChanged(_) => {
                Self::conflict("table-changed", "The table was changed meanwhile", &err)
            }
            EngineError::Denied(_)
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
                let message = err.to_string();
                Self {
                    errors: vec![FieldError {
                        field: "url".to_owned(),
                        message,
                    }],
                    ..Self::refused("address-not-allowed", "The URL must not be called", &err)
                }
            }
            RemoteError::Unreachable { .. } | RemoteError::Cut { .. } => {
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
        (problem.status.as_u16(), problem.kind)
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
            retry_after: Some(60),
        });
        assert!(problem.detail.contains("Invalid password"));
        assert_eq!(problem.retry_after, Some(60));
    }
}
