//! What this site does with strangers who register.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

use crate::model::connection::text_enum;

/// How registrations are met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncomingMode {
    /// Signed peers become active at once; others wait for an administrator.
    AutoAccept,
    /// All wait for an administrator.
    RequireApproval,
    /// As `auto_accept`, for those who know the password.
    RequirePassword,
    /// None is taken.
    DenyAll,
}

text_enum! {
    IncomingMode {
        AutoAccept = "auto_accept", RequireApproval = "require_approval",
        RequirePassword = "require_password", DenyAll = "deny_all",
    }
}

/// What a caller of the admin API may do; a later role may do all that earlier ones may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Also starts runs.
    Operator,
    /// Everything.
    Admin,
}

text_enum! {
    Role { Viewer = "viewer", Operator = "operator", Admin = "admin" }
}
