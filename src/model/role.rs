//! What callers of the admin API may do.
//!
//! Invariant: a later role may do all that earlier ones may, so roles are compared, never listed.

use crate::model::word::words;

/// What a caller of the admin API may do; a later role may do all that earlier ones may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Reads.
    Viewer,
    /// Also starts runs.
    Operator,
    /// Everything.
    Admin,
}

words! {
    Role { Viewer = "viewer", Operator = "operator", Admin = "admin" }
}
