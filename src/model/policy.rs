//! What this site does with strangers who register.

use crate::model::word::words;

/// How registrations are met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

words! {
    IncomingMode {
        AutoAccept = "auto_accept", RequireApproval = "require_approval",
        RequirePassword = "require_password", DenyAll = "deny_all",
    }
}
