//! `/tokens`: who may call this API by network. A token is shown once, when it is made.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::admin::request::{JsonBody, List, PageParameters, Parameters, id};
use crate::api::auth::Caller;
use crate::api::problem::Problem;
use crate::model::id::TokenId;
use crate::model::role::Role;
use crate::store::{AdminToken, NewAdminToken};
use crate::sync::Ctx;

#[derive(Serialize)]
pub(super) struct TokenView {
    id: TokenId,
    name: String,
    role: Role,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
}

impl From<AdminToken> for TokenView {
    fn from(token: AdminToken) -> Self {
        Self {
            id: token.id,
            name: token.name,
            role: token.role,
            created_at: token.created_at,
            expires_at: token.expires_at,
        }
    }
}

/// GET /tokens
pub(super) async fn list(
    State(ctx): State<Arc<Ctx>>,
    Parameters(parameters): Parameters<PageParameters>,
) -> Result<Json<List<TokenView>>, Problem> {
    let page = parameters.page::<TokenId>()?;
    let mut found = ctx.store.tokens().await?;
    if let Some(before) = page.before {
        found.retain(|token| token.id < before);
    }
    Ok(Json(List::page(
        found,
        page.limit,
        |token| token.id.to_string(),
        TokenView::from,
    )))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Creation {
    name: String,
    role: Role,
    expires_at: Option<Timestamp>,
}

#[derive(Serialize)]
pub(super) struct CreatedView {
    #[serde(flatten)]
    about: TokenView,
    token: String,
}

/// POST /tokens
pub(super) async fn create(
    State(ctx): State<Arc<Ctx>>,
    Extension(caller): Extension<Caller>,
    JsonBody(body): JsonBody<Creation>,
) -> Result<(StatusCode, Json<CreatedView>), Problem> {
    let now = Timestamp::now();
    let new = checked(&body, now)?;
    let (made, token) = ctx.store.create_token(&new, now).await?;
    let detail = Some(format!("{} for {}", made.role, made.name));
    ctx.audit(&caller.actor, "token.create", &made.id.to_string(), detail)
        .await;
    let view = CreatedView {
        about: made.into(),
        token: token.expose().clone(),
    };
    Ok((StatusCode::CREATED, Json(view)))
}

fn checked(body: &Creation, now: Timestamp) -> Result<NewAdminToken, Problem> {
    let name = body.name.trim();
    // The name stands in every audit entry that the token makes.
    if name.is_empty() || name.chars().count() > 63 || name.contains(char::is_control) {
        return Err(Problem::invalid("name", "must have 1 to 63 characters"));
    }
    if body.expires_at.is_some_and(|expires_at| expires_at <= now) {
        return Err(Problem::invalid("expires_at", "lies in the past"));
    }
    Ok(NewAdminToken {
        name: name.to_owned(),
        role: body.role,
        expires_at: body.expires_at,
    })
}

/// DELETE /tokens/{id}
pub(super) async fn revoke(
    State(ctx): State<Arc<Ctx>>,
    Extension(caller): Extension<Caller>,
    Path(text): Path<String>,
) -> Result<Json<Value>, Problem> {
    if !ctx.store.revoke_token(id("token", &text)?).await? {
        return Err(Problem::not_found("token", &text));
    }
    ctx.audit(&caller.actor, "token.revoke", &text, None).await;
    Ok(Json(json!({"status": "deleted"})))
}

#[cfg(test)]
mod tests {
    use super::{Creation, checked};
    use crate::model::role::Role;

    #[test]
    fn a_token_needs_a_name_and_cannot_be_made_expired() {
        let now = "2026-11-21T10:00:00Z".parse().unwrap();
        let fault = |name: &str, expires_at: Option<&str>| {
            let body = Creation {
                name: name.to_owned(),
                role: Role::Viewer,
                expires_at: expires_at.map(|text| text.parse().unwrap()),
            };
            let checked = checked(&body, now);
            checked
                .err()
                .map(|problem| problem.errors()[0].field.clone())
        };
        assert_eq!(fault("backup", Some("2026-11-21T10:00:01Z")), None);
        assert_eq!(fault(" ", None).as_deref(), Some("name"));
        assert_eq!(fault("a\nb", None).as_deref(), Some("name"));
        assert_eq!(
            fault("a", Some("2026-11-21T10:00:00Z")).as_deref(),
            Some("expires_at")
        );
    }
}
