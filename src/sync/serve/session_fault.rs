//! Why a question within a session is not answered, in words for its peer.

use crate::sync::serve::life::Ending;

/// A refusal that has to do with a session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionFault {
    /// The connection is not signed.
    #[error("Sessions are for signed connections")]
    NeedsSigning,
    /// As many are held as may be.
    #[error("Too many sessions at once; try again later")]
    TooMany,
    /// There is none of this name, or none of this connection's.
    #[error("There is no such session; open another")]
    Unknown,
    /// It has ended.
    #[error("The session has ended: {0}; open another")]
    Gone(&'static str),
    /// It has ended, because somebody waited for its tables.
    #[error(
        "The session has ended: another session of the site database waited for its tables; open another"
    )]
    Yielded,
    /// The request makes no sense, by this code and in these words.
    #[error("{words}")]
    Invalid {
        /// The `error_code`.
        code: &'static str,
        /// Why, and what to ask instead.
        words: String,
    },
    /// A table that cannot be compared or read, by this code and in these words; the session stays.
    #[error("{words}")]
    Table {
        /// The `error_code`.
        code: &'static str,
        /// What is the matter with which row or column.
        words: String,
    },
    /// A table is held by somebody else who uses the site database.
    #[error("A table is locked by another session of the site database; try again later")]
    Locked,
}

impl SessionFault {
    /// A request that makes no sense.
    pub(super) fn invalid(code: &'static str, words: impl Into<String>) -> Self {
        Self::Invalid {
            code,
            words: words.into(),
        }
    }

    /// What a session that ended so answers.
    pub(super) fn of(ending: Ending) -> Self {
        match ending {
            Ending::Yielded => Self::Yielded,
            ending => Self::Gone(ending.words()),
        }
    }

    /// The `error_code` of the peer protocol.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NeedsSigning => "sessions_need_signing",
            Self::TooMany => "too_many_sessions",
            Self::Unknown | Self::Gone(_) => "session_gone",
            Self::Yielded => "session_yielded",
            Self::Invalid { code, .. } | Self::Table { code, .. } => code,
            Self::Locked => "table_locked",
        }
    }
}
