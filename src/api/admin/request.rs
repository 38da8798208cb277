//! Reading requests of the admin API: bodies, identifiers and the two parameters of every list.
//!
//! Invariant: what is wrong with a request is told with the field it concerns.

use std::str::FromStr;

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use tower_http::timeout::TimeoutError;

use crate::api::problem::Problem;
use crate::base::cause::first_cause;
use crate::store::ListPage;

/// The body as JSON; an absent body counts as `{}`.
pub(super) struct JsonBody<T>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let body = request.into_body().collect().await;
        let bytes = body.map_err(|err| unread(&err))?.to_bytes();
        let text: &[u8] = if bytes.trim_ascii().is_empty() {
            b"{}"
        } else {
            &bytes
        };
        parse(text).map(Self)
    }
}

/// A body that says nothing: absent or `{}`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// The query parameters as a struct.
pub(super) struct Parameters<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query
            .map(|Query(parameters)| Self(parameters))
            .map_err(|err: QueryRejection| Problem::malformed(err.body_text()))
    }
}

/// A page of a list as the request words it.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PageParameters {
    pub(super) limit: Option<String>,
    pub(super) cursor: Option<String>,
}

impl PageParameters {
    /// The page asked for: 50 items unless it says otherwise, at most 200.
    pub(super) fn page<Id: FromStr>(&self) -> Result<ListPage<Id>, Problem> {
        let limit = match &self.limit {
            None => 50,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=200).contains(limit))
                .ok_or_else(|| Problem::invalid("limit", "must be a number from 1 to 200"))?,
        };
        let before =
            match &self.cursor {
                None => None,
                Some(text) => Some(text.parse().map_err(|_| {
                    Problem::invalid("cursor", "is none that an earlier answer gave")
                })?),
            };
        Ok(ListPage { limit, before })
    }
}

/// The same page and one item more, which tells whether there is a next page.
pub(super) fn with_one_more<Id>(page: ListPage<Id>) -> ListPage<Id> {
    ListPage {
        limit: page.limit + 1,
        before: page.before,
    }
}

/// A list's answer.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct List<T> {
    items: Vec<T>,
    next_cursor: Option<String>,
}

impl<T> List<T> {
    /// A list that has no further page.
    pub(super) fn whole(items: Vec<T>) -> Self {
        Self::with_cursor(items, None)
    }

    /// A page with the cursor of the next one.
    pub(super) fn with_cursor(items: Vec<T>, next_cursor: Option<String>) -> Self {
        Self { items, next_cursor }
    }

    /// A page of `limit` out of `found`, asked for by [`with_one_more`].
    pub(super) fn page<F>(
        mut found: Vec<F>,
        limit: u32,
        cursor: impl Fn(&F) -> String,
        view: impl Fn(F) -> T,
    ) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = found.len() > limit;
        found.truncate(limit);
        let next_cursor = found.last().filter(|_| more).map(cursor);
        Self {
            items: found.into_iter().map(view).collect(),
            next_cursor,
        }
    }
}

/// The identifier in a path; text that is none names nothing.
pub(super) fn id<Id: FromStr>(what: &str, text: &str) -> Result<Id, Problem> {
    text.parse().map_err(|_| Problem::not_found(what, text))
}

fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|err| {
        let path = err.path().to_string();
        let err = err.into_inner();
        match err.classify() {
            Category::Data => {
                let (field, message) = fault(&path, &err.to_string());
                Problem::invalid(field, message)
            }
            Category::Syntax | Category::Eof | Category::Io => {
                Problem::malformed(format!("the body is not JSON: {err}"))
            }
        }
    })?;
    reader
        .end()
        .map_err(|err| Problem::malformed(format!("the body is not one JSON value: {err}")))?;
    Ok(value)
}

/// The field and what is wrong with it, without the place in the text, which nobody counts.
fn fault(path: &str, words: &str) -> (String, String) {
    let message = words.split(" at line ").next().unwrap_or(words).to_owned();
    // A missing field is a fault of the object around it.
    let missing = message
        .strip_prefix("missing field `")
        .and_then(|rest| rest.split('`').next());
    let field = match missing {
        Some(missing) if path == "." => missing.to_owned(),
        Some(missing) => format!("{path}.{missing}"),
        None if path == "." => "body".to_owned(),
        None => path.to_owned(),
    };
    (field, message)
}

fn unread(err: &axum::Error) -> Problem {
    if first_cause::<LengthLimitError>(err).is_some() {
        return Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            "The request is too large",
            "the body is larger than limits.max_body_bytes",
        );
    }
    if first_cause::<TimeoutError>(err).is_some() {
        return Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "too-slow",
            "The request took too long",
            "the body did not arrive within limits.body_timeout",
        );
    }
    Problem::malformed("the body broke off")
}

#[cfg(test)]
mod tests {
    use super::{List, ListPage, PageParameters, fault, parse};
    use crate::model::grant::Grant;
    use crate::model::id::RunId;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read by the parser")]
    struct Body {
        url: String,
        grant: Option<Grant>,
    }

    #[test]
    fn what_is_wrong_with_a_body_is_told_with_its_field() {
        let cases = [
            (r#"{"url":5}"#, 422, "url"),
            (r#"{}"#, 422, "url"),
            (r#"{"url":"x","urll":1}"#, 422, "urll"),
            (r#"{"url":"x","grant":{"tabels":[]}}"#, 422, "grant.tabels"),
            (
                r#"{"url":"x","grant":{"limits":{"max_records_per_request":"5"}}}"#,
                422,
                "grant.limits.max_records_per_request",
            ),
            ("[]", 422, "body"),
            (r#"{"url":"x""#, 400, ""),
            (r#"{"url":"x"} {}"#, 400, ""),
            ("\u{0}", 400, ""),
        ];
        for (text, status, field) in cases {
            let problem = parse::<Body>(text.as_bytes()).unwrap_err();
            assert_eq!(problem.status(), status, "{text}");
            let found = problem
                .errors()
                .first()
                .map_or("", |err| err.field.as_str());
            assert_eq!(found, field, "{text}");
        }
        assert_eq!(
            fault(".", "missing field `url` at line 1 column 2"),
            ("url".to_owned(), "missing field `url`".to_owned())
        );
    }

    #[test]
    fn a_page_has_50_items_unless_asked_otherwise_and_never_more_than_200() {
        let page = |limit: Option<&str>, cursor: Option<&str>| {
            let parameters = PageParameters {
                limit: limit.map(str::to_owned),
                cursor: cursor.map(str::to_owned),
            };
            parameters.page::<RunId>()
        };
        assert_eq!(
            page(None, None).unwrap(),
            ListPage {
                limit: 50,
                before: None
            }
        );
        assert_eq!(page(Some("200"), None).unwrap().limit, 200);
        for limit in ["0", "201", "-1", "x", ""] {
            assert!(page(Some(limit), None).is_err(), "{limit}");
        }
        assert!(page(None, Some("x")).is_err());
        let id = RunId::generate();
        assert_eq!(page(None, Some(&id.to_string())).unwrap().before, Some(id));
    }

    #[test]
    fn a_full_page_names_its_last_item_only_when_there_is_more() {
        let list = |found: Vec<u32>| List::page(found, 2, ToString::to_string, |item| item);
        assert_eq!(list(vec![1, 2, 3]).next_cursor.as_deref(), Some("2"));
        assert_eq!(list(vec![1, 2, 3]).items, [1, 2]);
        assert_eq!(list(vec![1, 2]).next_cursor, None);
    }
}
