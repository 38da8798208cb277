//! Why a peer does not get what it asks for. `api/peer` gives each a status and the published words.

use crate::base::secret::SecretError;
use crate::engine::EngineError;
use crate::model::filter::InvalidFilter;
use crate::model::table::TableName;
use crate::store::StoreError;
use crate::sync::SyncError;
use crate::sync::connections::LookupError;
use crate::sync::serve::limits::LimitFault;
use crate::sync::serve::session_fault::SessionFault;
use crate::wire::InvalidValue;
use crate::wire::scope::UnfitFilter;
use crate::wire::signing::SignatureFault;

/// A refusal or a fault while serving.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// No connection on which this site gives has this token.
    #[error("no connection has this token")]
    UnknownConnection,
    /// The connection is signed, and the request is not its peer's.
    #[error(transparent)]
    Signature(#[from] SignatureFault),
    /// The connection is not active.
    #[error("the connection is not active")]
    NotActive,
    /// The grant does not name the table.
    #[error("table {0} is not granted")]
    NotGranted(String),
    /// The grant would allow it, but there is no such table.
    #[error("there is no table {0}")]
    NoTable(String),
    /// The site database does not let this site read the table.
    #[error("the site's database login may not read table {table}: {reason}")]
    Unreadable {
        /// The table.
        table: TableName,
        /// The database's words, which are not for the peer.
        reason: String,
    },
    /// A bound of the grant.
    #[error(transparent)]
    Limit(#[from] LimitFault),
    /// The filter or cursor cannot be applied.
    #[error(transparent)]
    Filter(#[from] FilterFault),
    /// A column asked for that the table has not, or that is generated.
    #[error("the table has no column {0} that can be sent")]
    UnknownColumn(String),
    /// A column asked for more than once.
    #[error("column {0} is asked for more than once")]
    RepeatedColumn(String),
    /// As many streams run as may at once.
    #[error("too many streams at once")]
    Busy,
    /// It has to do with a session.
    #[error(transparent)]
    Session(#[from] SessionFault),
    /// The system.
    #[error(transparent)]
    Random(SecretError),
    /// Our own state.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The site database.
    #[error(transparent)]
    Engine(EngineError),
    /// The site database gave bytes that are no value of their column's type.
    #[error(transparent)]
    Value(#[from] InvalidValue),
}

impl From<LookupError> for ServeError {
    fn from(err: LookupError) -> Self {
        match err {
            LookupError::Signature(fault) => fault.into(),
            LookupError::Store(err) => err.into(),
        }
    }
}

/// A filter that cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterFault {
    /// It has not the form of a filter.
    #[error("Invalid filter")]
    Invalid,
    /// It has not the form of a row filter.
    #[error("Invalid filter: {0}")]
    NoFilter(#[from] InvalidFilter),
    /// The table does not take the row filter.
    #[error("Invalid filter: {0}")]
    Unfit(#[from] UnfitFilter),
    /// It is a row filter, and the rows are asked for as JSON.
    #[error("Invalid filter: `filter` takes frames; with JSON only ids, id_start and id_end do")]
    NeedsFrames,
    /// The page lies too far behind, in a table whose rows are put in order for each answer.
    #[error("Invalid filter: pages of this table end before; ask for frames")]
    TooFar,
    /// The key's type does not take this filter.
    #[error("Filter not supported for this key type")]
    KeyType,
    /// The table has no key of exactly one column.
    #[error("Filter needs a single-column primary key")]
    NeedsSingleKey,
}

impl FilterFault {
    /// The `error_code` of the peer protocol.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid
            | Self::NoFilter(_)
            | Self::Unfit(_)
            | Self::NeedsFrames
            | Self::TooFar => "invalid_filter",
            Self::KeyType => "unsupported_key_type",
            Self::NeedsSingleKey => "filter_needs_single_key",
        }
    }
}

impl From<EngineError> for ServeError {
    fn from(err: EngineError) -> Self {
        match err {
            EngineError::NoTable(table) => Self::NoTable(table.to_string()),
            err => Self::Engine(err),
        }
    }
}

impl From<ServeError> for SyncError {
    /// For an administrator who looks at exactly what a peer sees: what it does not see is not there.
    fn from(err: ServeError) -> Self {
        match err {
            ServeError::UnknownConnection | ServeError::Signature(_) | ServeError::NotActive => {
                Self::Unknown {
                    what: "connection",
                    name: err.to_string(),
                }
            }
            ServeError::NotGranted(name) | ServeError::NoTable(name) => Self::Unknown {
                what: "table",
                name,
            },
            ServeError::Limit(err) => Self::Invalid {
                field: "grant.limits",
                message: err.to_string(),
            },
            ServeError::Filter(err) => Self::Invalid {
                field: "filter",
                message: err.to_string(),
            },
            ServeError::UnknownColumn(_) | ServeError::RepeatedColumn(_) => Self::Invalid {
                field: "columns",
                message: err.to_string(),
            },
            ServeError::Busy | ServeError::Session(_) | ServeError::Random(_) => Self::Invalid {
                field: "table",
                message: err.to_string(),
            },
            ServeError::Store(err) => Self::Store(err),
            ServeError::Unreadable { .. } => Self::Engine(EngineError::Denied(err.to_string())),
            ServeError::Engine(err) => Self::Engine(err),
            ServeError::Value(err) => Self::Engine(EngineError::Statement {
                table: "?".to_owned(),
                message: err.to_string(),
            }),
        }
    }
}
