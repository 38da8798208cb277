//! The codes of faults: what scripts read in `error.code` of runs, tables and transfers.
//!
//! One list. Where a peer refused with a code of its own, that stands there instead.

use crate::model::run::RunError;
use crate::model::word::words;

/// Why a run, one of its tables or a transfer did not go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "where it is given, the message says it")]
pub enum FaultCode {
    // Decided before any row.
    ComputedHere,
    HiddenRows,
    InvalidFilter,
    KindMismatch,
    MissingColumn,
    MissingHere,
    NoKey,
    NotGranted,
    NotWritable,
    UnfilledColumn,
    UnknownColumn,
    UnknownTable,
    // The site database.
    CopyTooLarge,
    DatabaseDenied,
    DatabaseFull,
    DatabaseLost,
    DatabaseRefused,
    DatabaseUnreachable,
    DatabaseUrl,
    RowTooLarge,
    RowsCut,
    SchemaChanged,
    SessionYielded,
    TableLocked,
    TooManyRejected,
    UnreadableValue,
    // The peer, and the way to it.
    AddressForbidden,
    Client,
    ClientGone,
    PeerAway,
    PeerNoApi,
    PeerNonsense,
    PeerRefused,
    PeerUnproved,
    PeerUnreachable,
    PeerUntrusted,
    StreamCut,
    Url,
    // The run itself, and this daemon.
    ApprovalExpired,
    Cancelled,
    ConnectionNotActive,
    DaemonStopping,
    Internal,
    Interrupted,
    NeedsApproval,
    NotProved,
    RowsMoved,
    Invalid,
    NotAllowed,
    OtherPlan,
    OtherWriter,
    RunNotOver,
    RunOver,
    State,
    Superseded,
    Unknown,
    WaitingForRun,
    WrongDirection,
}

impl FaultCode {
    /// Whether it is about the peer or the way to it, and may be over when the peer answers again.
    #[must_use]
    pub fn is_of_peer(self) -> bool {
        matches!(
            self,
            Self::PeerAway
                | Self::PeerNoApi
                | Self::PeerNonsense
                | Self::PeerRefused
                | Self::PeerUnreachable
                | Self::PeerUntrusted
                | Self::StreamCut
        )
    }

    /// Whether it is about the one table it was met at, and says nothing of those beside it.
    #[must_use]
    pub fn is_of_one_table(self) -> bool {
        matches!(
            self,
            Self::DatabaseDenied
                | Self::DatabaseRefused
                | Self::NoKey
                | Self::RowTooLarge
                | Self::TooManyRejected
                | Self::UnreadableValue
        )
    }
}

words! {
    FaultCode {
        ComputedHere = "computed_here", HiddenRows = "hidden_rows", InvalidFilter = "invalid_filter", KindMismatch = "kind_mismatch",
        MissingColumn = "missing_column", MissingHere = "missing_here", NoKey = "no_key", NotGranted = "not_granted",
        NotWritable = "not_writable", UnfilledColumn = "unfilled_column", UnknownColumn = "unknown_column",
        UnknownTable = "unknown_table",
        CopyTooLarge = "copy_too_large", DatabaseDenied = "database_denied", DatabaseFull = "database_full", DatabaseLost = "database_lost",
        DatabaseRefused = "database_refused", DatabaseUnreachable = "database_unreachable",
        DatabaseUrl = "database_url", RowTooLarge = "row_too_large", RowsCut = "rows_cut",
        SchemaChanged = "schema_changed", SessionYielded = "session_yielded", TableLocked = "table_locked", TooManyRejected = "too_many_rejected",
        UnreadableValue = "unreadable_value",
        AddressForbidden = "address_forbidden", Client = "client", ClientGone = "client_gone",
        PeerAway = "peer_away", PeerNoApi = "peer_no_api", PeerNonsense = "peer_nonsense", PeerRefused = "peer_refused",
        PeerUnproved = "peer_unproved", PeerUnreachable = "peer_unreachable", PeerUntrusted = "peer_untrusted", StreamCut = "stream_cut", Url = "url",
        ApprovalExpired = "approval_expired", Cancelled = "cancelled", ConnectionNotActive = "connection_not_active", DaemonStopping = "daemon_stopping",
        Internal = "internal", Interrupted = "interrupted", NeedsApproval = "needs_approval", NotProved = "not_proved", RowsMoved = "rows_moved", Invalid = "invalid", NotAllowed = "not_allowed",
        OtherPlan = "other_plan", Superseded = "superseded",
        OtherWriter = "other_writer", RunNotOver = "run_not_over", RunOver = "run_over", State = "state",
        Unknown = "unknown", WaitingForRun = "waiting_for_run", WrongDirection = "wrong_direction",
    }
}

impl RunError {
    /// A fault that this site names itself, without a hint.
    #[must_use]
    pub fn new(code: FaultCode, message: impl Into<String>) -> Self {
        Self {
            code: code.to_string(),
            message: message.into(),
            hint: None,
            retry_after: None,
        }
    }

    /// With what to do next.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// Its code, unless only a peer knows that one.
    #[must_use]
    pub fn known_code(&self) -> Option<FaultCode> {
        self.code.parse().ok()
    }
}
