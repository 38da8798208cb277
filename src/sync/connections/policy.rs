//! What this site does with strangers right now: the settings, where they were changed while running, over the configuration.
//!
//! Invariant: a key set in file or environment rules over a setting.

use std::str::FromStr;

use crate::base::secret::Secret;
use crate::model::policy::IncomingMode;
use crate::store::StoreError;
use crate::sync::{Ctx, SyncError};

/// The setting and configuration key that opens or closes the peer API.
pub const ENABLED_KEY: &str = "peer.enabled";
/// The setting and configuration key of the incoming mode.
pub const MODE_KEY: &str = "incoming.mode";
/// The setting that holds the incoming password's argon2id string.
pub const PASSWORD_KEY: &str = "incoming.password";

/// How strangers are met.
#[derive(Clone, Debug)]
pub struct IncomingPolicy {
    /// The peer API answers.
    pub enabled: bool,
    /// What becomes of registrations.
    pub mode: IncomingMode,
    /// The incoming password as an argon2id string (PHC format), where one is set.
    pub password: Option<Secret<String>>,
}

/// The policy in force.
///
/// # Errors
/// Only our own state's.
pub async fn incoming_policy(ctx: &Ctx) -> Result<IncomingPolicy, SyncError> {
    Ok(IncomingPolicy {
        enabled: in_force(ctx, ENABLED_KEY, ctx.config.peer.enabled).await?,
        mode: in_force(ctx, MODE_KEY, ctx.live.now().incoming.mode).await?,
        password: ctx.store.setting(PASSWORD_KEY).await?.map(Secret::new),
    })
}

async fn in_force<T: FromStr>(ctx: &Ctx, key: &str, configured: T) -> Result<T, StoreError> {
    if ctx.live.now().set_in.contains_key(key) {
        return Ok(configured);
    }
    match ctx.store.setting(key).await? {
        None => Ok(configured),
        Some(text) => text
            .parse()
            .map_err(|_| StoreError::Corrupt(format!("setting {key}"))),
    }
}
