//! `/settings`: what may be changed while the daemon runs, unless file or environment say otherwise.
//!
//! Invariant: a password goes in and never comes out.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Deserializer, Serialize};

use crate::api::admin::request::JsonBody;
use crate::api::auth::Caller;
use crate::api::problem::Problem;
use crate::base::secret::Secret;
use crate::model::policy::IncomingMode;
use crate::sync::Ctx;
use crate::sync::connections::{
    ENABLED_KEY, MODE_KEY, PASSWORD_KEY, hash_password, incoming_policy,
};

/// The settings' names here, and the keys they go by in file, environment and state.
const KEYS: [(&str, &str); 3] = [
    ("enabled", ENABLED_KEY),
    ("incoming_mode", MODE_KEY),
    ("incoming_password", PASSWORD_KEY),
];

#[derive(Serialize)]
pub(super) struct SettingsView {
    enabled: bool,
    incoming_mode: IncomingMode,
    incoming_password_set: bool,
    /// Where those that cannot be changed here are set.
    set_in: BTreeMap<&'static str, String>,
}

/// GET
pub(super) async fn show(State(ctx): State<Arc<Ctx>>) -> Result<Json<SettingsView>, Problem> {
    view(&ctx).await.map(Json)
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Changes {
    enabled: Option<bool>,
    incoming_mode: Option<IncomingMode>,
    /// `null` removes the password, an absent key leaves it.
    #[serde(deserialize_with = "present")]
    incoming_password: Option<Option<Secret<String>>>,
}

fn present<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<Secret<String>>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// PATCH: all of the changes, or none.
pub(super) async fn change(
    State(ctx): State<Arc<Ctx>>,
    Extension(caller): Extension<Caller>,
    JsonBody(body): JsonBody<Changes>,
) -> Result<Json<SettingsView>, Problem> {
    refuse_what_is_set_elsewhere(&body, &ctx.live.now().set_in)?;
    // What may be refused comes first, so that nothing is half changed.
    let password = match body.incoming_password {
        None => None,
        Some(None) => Some(None),
        Some(Some(password)) => Some(Some(hash_password(password).await?)),
    };
    let enabled = body.enabled.map(|enabled| enabled.to_string());
    let changes: Vec<(&str, Option<&str>)> = [
        enabled.as_deref().map(|text| (ENABLED_KEY, Some(text))),
        body.incoming_mode
            .map(|mode| (MODE_KEY, Some(mode.as_str()))),
        password
            .as_ref()
            .map(|hash| (PASSWORD_KEY, hash.as_deref())),
    ]
    .into_iter()
    .flatten()
    .collect();
    ctx.store.set_settings(&changes).await?;
    for (key, value) in changes {
        let detail = match value {
            None => "removed",
            Some(_) if key == PASSWORD_KEY => "replaced",
            Some(value) => value,
        };
        ctx.audit(
            &caller.actor,
            "settings.change",
            key,
            Some(detail.to_owned()),
        )
        .await;
    }
    view(&ctx).await.map(Json)
}

async fn view(ctx: &Ctx) -> Result<SettingsView, Problem> {
    let policy = incoming_policy(ctx).await?;
    let settings = ctx.live.now();
    let set_in = KEYS
        .into_iter()
        .filter_map(|(name, key)| Some((name, settings.set_in.get(key)?.clone())))
        .collect();
    Ok(SettingsView {
        enabled: policy.enabled,
        incoming_mode: policy.mode,
        incoming_password_set: policy.password.is_some(),
        set_in,
    })
}

fn refuse_what_is_set_elsewhere(
    body: &Changes,
    set_in: &BTreeMap<String, String>,
) -> Result<(), Problem> {
    let asked = [
        body.enabled.is_some(),
        body.incoming_mode.is_some(),
        body.incoming_password.is_some(),
    ];
    let fixed = KEYS
        .into_iter()
        .zip(asked)
        .filter(|(_, asked)| *asked)
        .find_map(|((name, key), _)| Some((name, key, set_in.get(key)?)));
    match fixed {
        None => Ok(()),
        Some((name, key, place)) => Err(Problem::new(
            StatusCode::CONFLICT,
            "set-elsewhere",
            "The setting is fixed",
            format!("{name} is set in {place}, which rules"),
        )
        .with_hint(format!(
            "change {key} there, or remove it there to set it here, and restart the daemon"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::{Changes, refuse_what_is_set_elsewhere};

    #[test]
    fn what_file_or_environment_set_cannot_be_changed_here() {
        let set_in = [(
            "incoming.mode".to_owned(),
            "/etc/evenkeel/evenkeel.toml".to_owned(),
        )]
        .into();
        let refusal = |text: &str| {
            let body: Changes = serde_json::from_str(text).unwrap();
            refuse_what_is_set_elsewhere(&body, &set_in).err()
        };
        assert!(refusal(r#"{"enabled":false,"incoming_password":"x"}"#).is_none());
        let problem = refusal(r#"{"enabled":false,"incoming_mode":"deny_all"}"#).unwrap();
        assert_eq!(problem.status(), 409);
        assert!(format!("{problem:?}").contains("/etc/evenkeel/evenkeel.toml"));
    }

    #[test]
    fn a_null_password_is_a_wish_and_an_absent_one_is_none() {
        let body = |text: &str| serde_json::from_str::<Changes>(text).unwrap();
        assert!(body("{}").incoming_password.is_none());
        assert!(matches!(
            body(r#"{"incoming_password":null}"#).incoming_password,
            Some(None)
        ));
    }
}
