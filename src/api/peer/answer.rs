//! Answers and refusals in the published form: `application/json; charset=utf-8`, `success` first among the keys.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::engine::EngineError;
use crate::sync::connections::{HeardError, LookupError, ProofError};
use crate::sync::serve::{LimitFault, ServeError, SessionFault};
use crate::sync::throttle::TooOften;
use crate::wire::messages::{PublishedRefusal, StandingWord, StreamFaultCode};
use crate::wire::signing::{SignatureCode, SignatureFault};

/// When a caller who has too many streams may try again: one of them is likely to have ended by then.
const BUSY_SECONDS: u64 = 10;

/// A request that is not granted: a status and the published body.
#[derive(Debug, PartialEq)]
pub(super) struct Refusal {
    status: StatusCode,
    body: Value,
    /// Seconds.
    retry_after: Option<u64>,
}

impl Refusal {
    /// `{"success":false,"error":words}`.
    pub(super) fn new(status: StatusCode, words: &str) -> Self {
        Self::exactly(status, json!({"success": false, "error": words}))
    }

    /// The peer API is switched off.
    pub(super) fn disabled() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            PublishedRefusal::Disabled.as_str(),
        )
    }

    /// Required fields are missing; they are listed under `fields`.
    pub(super) fn missing(fields: &[&str]) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Missing required fields").with("fields", fields.into())
    }

    /// The same, with further keys.
    pub(super) fn with(mut self, key: &str, value: Value) -> Self {
        if let Some(fields) = self.body.as_object_mut() {
            fields.insert(key.to_owned(), value);
        }
        self
    }

    /// Exactly this body.
    pub(super) fn exactly(status: StatusCode, body: Value) -> Self {
        Self {
            status,
            body,
            retry_after: None,
        }
    }

    /// The same, for a caller who should come again after so many seconds.
    pub(super) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The same in a 200, which is where a PhoenixKit site shows its administrator our words; the refusals that it has
    /// words of its own for keep their status.
    pub(super) fn in_success(mut self) -> Self {
        let is_shown_as_number = matches!(
            self.status,
            StatusCode::FORBIDDEN
                | StatusCode::TOO_MANY_REQUESTS
                | StatusCode::INTERNAL_SERVER_ERROR
                | StatusCode::SERVICE_UNAVAILABLE
        );
        if is_shown_as_number {
            self.status = StatusCode::OK;
        }
        self
    }

    /// Our own fault, logged here; the peer hears only `words`.
    pub(super) fn internal(err: &dyn std::error::Error, words: &'static str) -> Self {
        tracing::error!(%err, answer = words, "a peer's request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, words)
    }

    /// A request of a signed connection that its peer did not sign, or not now.
    pub(super) fn unsigned(fault: SignatureFault) -> Self {
        let refusal = Self::new(StatusCode::UNAUTHORIZED, "Invalid signature")
            .with("error_code", fault.code.as_str().into())
            .with("reason", fault.reason.into());
        match fault.code {
            SignatureCode::Expired => {
                // To the second: it tells clocks apart, and stop-watches nothing.
                let now = Timestamp::from_second(Timestamp::now().as_second());
                let now = now.map(|now| now.to_string()).unwrap_or_default();
                refusal.with("server_time", now.into())
            }
            SignatureCode::Missing | SignatureCode::Invalid | SignatureCode::Replayed => refusal,
        }
    }

    /// Why a signed request is not taken.
    pub(super) fn of_proof(err: &ProofError) -> Self {
        match err {
            ProofError::Fault(fault) => Self::unsigned(*fault),
            ProofError::TooMany => Self::too_often(TooOften {
                retry_after: BUSY_SECONDS,
            }),
            ProofError::Store(err) => Self::internal(err, "Internal error"),
        }
    }

    /// Why a connection was not looked up; `words` where the fault is ours.
    pub(super) fn of_lookup(err: &LookupError, words: &'static str) -> Self {
        match err {
            LookupError::Signature(fault) => Self::unsigned(*fault),
            LookupError::Store(err) => Self::internal(err, words),
        }
    }

    /// Why what the peer says of its side was not taken; `words` where the fault is ours.
    pub(super) fn of_hearing(err: &HeardError, words: &'static str) -> Self {
        match err {
            HeardError::Nonsense => Self::new(StatusCode::BAD_REQUEST, &err.to_string()),
            HeardError::Store(err) => Self::internal(err, words),
        }
    }

    /// What a data endpoint answers; `words` where the fault is ours.
    pub(super) fn of_serving(err: &ServeError, words: &'static str) -> Self {
        match err {
            ServeError::UnknownConnection => published(
                StatusCode::UNAUTHORIZED,
                PublishedRefusal::ConnectionUnknown,
            ),
            ServeError::Signature(fault) => Self::unsigned(*fault),
            ServeError::NotActive => {
                published(StatusCode::FORBIDDEN, PublishedRefusal::ConnectionNotActive)
            }
            ServeError::NotGranted(_) => {
                published(StatusCode::FORBIDDEN, PublishedRefusal::TableNotGranted)
            }
            ServeError::NoTable(_) => {
                published(StatusCode::NOT_FOUND, PublishedRefusal::TableUnknown)
            }
            ServeError::Limit(fault) => Self::limited(fault),
            ServeError::Filter(fault) => Self::new(StatusCode::BAD_REQUEST, &fault.to_string())
                .with("error_code", fault.code().into()),
            ServeError::UnknownColumn(_) => Self::new(StatusCode::BAD_REQUEST, &err.to_string())
                .with("error_code", "unknown_column".into()),
            ServeError::RepeatedColumn(_) => Self::new(StatusCode::BAD_REQUEST, &err.to_string())
                .with("error_code", "repeated_column".into()),
            ServeError::Busy => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "Too many streams at once; try again later",
            )
            .with("error_code", "too_many_streams".into())
            .retry_after(BUSY_SECONDS),
            ServeError::Engine(EngineError::Unreachable(_) | EngineError::Lost(_)) => {
                tracing::warn!(%err, "a peer's request failed");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "The site database cannot be reached",
                )
            }
            ServeError::Engine(EngineError::Denied(_)) => Self::internal(err, words)
                .with("error_code", StreamFaultCode::ReadDenied.as_str().into()),
            ServeError::Unreadable { table, .. } => {
                tracing::error!(%err, "a peer's request failed");
                let message = format!("The site's database login may not read table {table}");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, &message)
                    .with("error_code", StreamFaultCode::ReadDenied.as_str().into())
            }
            ServeError::Session(fault) => Self::of_session(fault),
            ServeError::Store(_)
            | ServeError::Engine(_)
            | ServeError::Value(_)
            | ServeError::Random(_) => Self::internal(err, words),
        }
    }

    /// What has to do with a session.
    pub(super) fn of_session(fault: &SessionFault) -> Self {
        let (status, seconds) = match fault {
            SessionFault::NeedsSigning => (StatusCode::FORBIDDEN, None),
            SessionFault::TooMany => (StatusCode::TOO_MANY_REQUESTS, Some(BUSY_SECONDS)),
            SessionFault::Unknown | SessionFault::Gone(_) | SessionFault::Yielded => {
                (StatusCode::GONE, None)
            }
            SessionFault::Invalid { .. } => (StatusCode::BAD_REQUEST, None),
            SessionFault::Table { .. } => (StatusCode::CONFLICT, None),
            SessionFault::Locked => (StatusCode::SERVICE_UNAVAILABLE, Some(BUSY_SECONDS)),
        };
        let refusal = Self::new(status, &fault.to_string()).with("error_code", fault.code().into());
        match seconds {
            Some(seconds) => refusal.retry_after(seconds),
            None => refusal,
        }
    }

    /// Beyond what the grant allows.
    pub(super) fn limited(fault: &LimitFault) -> Self {
        let status = match fault.is_about_amount() {
            true => StatusCode::TOO_MANY_REQUESTS,
            false => StatusCode::FORBIDDEN,
        };
        let refusal = Self::new(status, &fault.to_string()).with("error_code", fault.code().into());
        match fault.retry_after() {
            Some(seconds) => refusal.retry_after(seconds),
            None => refusal,
        }
    }

    /// More requests than an address may make.
    pub(super) fn too_often(err: TooOften) -> Self {
        let words = "Too many requests; try again later";
        Self::new(StatusCode::TOO_MANY_REQUESTS, words)
            .with("error_code", "too_many_requests".into())
            .retry_after(err.retry_after)
    }

    /// The HTTP answer.
    pub(super) fn into_answer(self) -> Response {
        let mut answer = json_answer(self.status, &self.body);
        if let Some(seconds) = self.retry_after {
            answer
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        answer
    }
}

fn published(status: StatusCode, refusal: PublishedRefusal) -> Refusal {
    Refusal::new(status, refusal.as_str())
}

/// A 200 with `body`, and how we stand, for a peer that signs.
pub(super) fn ok_standing(mut body: Value, standing: Option<&StandingWord>) -> Response {
    if let (Some(standing), Some(fields)) = (standing, body.as_object_mut()) {
        fields.insert("evenkeel".to_owned(), json!(standing));
    }
    ok(&body)
}

/// `body` with another status than 200.
pub(super) fn with_status(status: StatusCode, body: &impl Serialize) -> Response {
    json_answer(status, body)
}

/// A 200 with `body`.
pub(super) fn ok(body: &impl Serialize) -> Response {
    json_answer(StatusCode::OK, body)
}

fn json_answer(status: StatusCode, body: &impl Serialize) -> Response {
    let (status, bytes) = match serde_json::to_vec(body) {
        Ok(bytes) => (status, bytes),
        Err(err) => {
            tracing::error!(%err, "an answer to a peer cannot be written as JSON");
            let words = br#"{"success":false,"error":"Internal error"}"#;
            (StatusCode::INTERNAL_SERVER_ERROR, words.to_vec())
        }
    };
    let mut answer = Response::new(Body::from(bytes));
    *answer.status_mut() = status;
    answer.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/json; charset=utf-8"),
    );
    answer
}
