//! Problem documents (RFC 9457): the form of every error of the admin API.
//!
//! Which fault becomes which problem stands in `error.rs`.

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

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
pub struct Problem(
    /// Boxed, because it travels as the error of every function here.
    Box<Content>,
);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Content {
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
        Self(Box::new(Content {
            status,
            kind,
            title,
            detail: detail.into(),
            hint: None,
            errors: Vec::new(),
            retry_after: None,
            challenge: None,
        }))
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
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid",
            "The request cannot be carried out",
            "a field of the request does not fit",
        )
        .about(field, message)
    }

    /// 401 with its challenge (RFC 6750).
    #[must_use]
    pub fn unauthorized(detail: impl Into<String>, challenge: &'static str) -> Self {
        let mut problem = Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "A token is needed",
            detail,
        );
        problem.0.challenge = Some(challenge);
        problem
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
        self.0.hint = Some(hint.into());
        self
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.0.status.as_u16()
    }

    /// Its type, without the path before it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.0.kind
    }

    /// What happened, in words.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// What is wrong, field by field.
    #[must_use]
    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    /// Adds which field it concerns.
    pub(super) fn about(mut self, field: impl Into<String>, message: impl Into<String>) -> Self {
        self.0.errors.push(FieldError {
            field: field.into(),
            message: message.into(),
        });
        self
    }

    pub(super) fn with_retry_after(mut self, seconds: Option<u64>) -> Self {
        self.0.retry_after = seconds;
        self
    }

    pub(super) fn conflict(
        kind: &'static str,
        title: &'static str,
        err: &dyn std::fmt::Display,
    ) -> Self {
        Self::new(StatusCode::CONFLICT, kind, title, err.to_string())
    }

    pub(super) fn refused(
        kind: &'static str,
        title: &'static str,
        err: &dyn std::fmt::Display,
    ) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            kind,
            title,
            err.to_string(),
        )
    }

    /// A fault of this site that a caller can wait out; `error!` because a person must look.
    pub(super) fn unavailable(
        kind: &'static str,
        title: &'static str,
        err: &dyn std::fmt::Display,
    ) -> Self {
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
        let content = *self.0;
        let document = Document {
            kind: format!("/problems/{}", content.kind),
            title: content.title,
            status: content.status.as_u16(),
            detail: &content.detail,
            hint: content.hint.as_deref(),
            errors: &content.errors,
        };
        let mut response = (content.status, Json(document)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = content.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(challenge) = content.challenge {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }
}
