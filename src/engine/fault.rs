//! What a fault of a database means, whatever the engine: the row that is to blame, or the end of the work.
//!
//! Each engine sorts its own codes into [`Kind`]s; what a kind means is said here, once. Pure.

use crate::engine::error::EngineError;
use crate::model::table::TableName;

/// Why a statement failed.
#[derive(Debug)]
pub(super) enum Fault {
    /// Some row does not fit: others may.
    Row(Refusal),
    /// No row can help it.
    Engine(EngineError),
}

/// Why a row was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The column at fault, where the database names one.
    pub(super) column: Option<String>,
    /// The database's words, without values of the row.
    pub(super) reason: String,
    pub(super) kind: RefusalKind,
}

/// What may become of a row that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RefusalKind {
    /// It fits never.
    Final,
    /// It may fit once other rows are there, or are other ones.
    Passing,
    /// It was taken, and something else was made of it.
    Altered,
}

impl RefusalKind {
    /// Of a refusal by the database itself.
    pub(super) fn of(may_fit_later: bool) -> Self {
        if may_fit_later {
            Self::Passing
        } else {
            Self::Final
        }
    }
}

impl Refusal {
    /// Whether the row is worth another try.
    pub(super) fn may_fit_later(&self) -> bool {
        self.kind == RefusalKind::Passing
    }
}

impl From<EngineError> for Fault {
    fn from(err: EngineError) -> Self {
        Self::Engine(err)
    }
}

/// What a database's code is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It broke off, and may be there again soon.
    Lost,
    /// No space.
    Full,
    /// A right is lacking, or no writes are taken.
    Denied,
    /// Another session holds the lock.
    Locked,
    /// The table is gone, or another than it was.
    Changed,
    /// It takes no connections, or not this one.
    Unreachable,
    /// A value of some row.
    Data,
    /// Anything else.
    Other,
}

impl Kind {
    /// The fault while working on `table`; `message` is the database's.
    pub(super) fn at(self, table: &TableName, message: String) -> EngineError {
        match self {
            Self::Lost => EngineError::Lost(message),
            Self::Full => EngineError::Full(message),
            Self::Denied => EngineError::Denied(message),
            Self::Locked => EngineError::Locked {
                table: table.clone(),
                message,
            },
            Self::Changed => EngineError::SchemaChanged(table.clone()),
            Self::Unreachable => EngineError::Unreachable(message),
            Self::Data | Self::Other => EngineError::Statement {
                table: table.to_string(),
                message,
            },
        }
    }

    /// The fault where no table is at hand.
    pub(super) fn general(self, message: String) -> EngineError {
        match self {
            Self::Full => EngineError::Full(message),
            Self::Denied => EngineError::Denied(message),
            Self::Unreachable => EngineError::Unreachable(message),
            Self::Lost | Self::Locked | Self::Changed => EngineError::Lost(message),
            Self::Data | Self::Other => EngineError::Statement {
                table: "(catalogue)".into(),
                message,
            },
        }
    }
}
