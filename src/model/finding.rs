//! What a check of the set-up found, for `doctor`.
//!
//! Invariant: what is not in order comes with what to do about it.

/// One check and how it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// It is in order.
    pub ok: bool,
    /// What was looked at.
    pub what: String,
    /// What to do, where it is not in order.
    pub hint: Option<String>,
}

impl Finding {
    /// Something that is in order.
    #[must_use]
    pub fn good(what: impl Into<String>) -> Self {
        Self {
            ok: true,
            what: what.into(),
            hint: None,
        }
    }

    /// Something that is not, and what to do about it.
    #[must_use]
    pub fn bad(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            ok: false,
            what: what.into(),
            hint: Some(hint.into()),
        }
    }
}
