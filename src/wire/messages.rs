//! The JSON objects of the peer protocol that both ends of it read and write.
//!
//! They are not the inner values: every receiver parses them into `model` types and may refuse.

use serde::{Deserialize, Serialize};

use crate::base::secret::Secret;
use crate::model::connection::Status;
use crate::model::filter::Filter;
use crate::model::standing::{MAX_EPOCH, Word};
use crate::model::table::{Engine, NeutralType, TableName};
use crate::model::word::words;

/// What an Evenkeel site says of itself in `register-connection` and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvenkeelHello {
    /// Version of the extension: 1.
    pub protocol: u32,
    /// The site's identifier.
    pub site_id: String,
    /// Its name.
    pub site_name: String,
    /// Its program's version.
    pub version: String,
    /// With which key it signs receipts (base64 of an Ed25519 public key); whoever says it signs requests, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt_key: Option<String>,
    /// `receiver` from a site that asks for access, and in the answer of one that understood it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wants: Option<String>,
    /// The tables it would like to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tables: Option<Vec<String>>,
}

/// What `wants` says in the registration of a site that asks for access, and in the answer of one that understood it.
pub const WANTS_RECEIVER: &str = "receiver";

/// The key of the next generation, in the `evenkeel` object of a signed `verify-connection`.
#[derive(Clone, Debug, Deserialize)]
pub struct RotationOffer {
    /// Its generation.
    pub generation: u32,
    /// 32 bytes as base64url without padding: the root key of that generation.
    pub key: Secret<String>,
}

/// The answer to `register-connection`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Registered {
    /// `active` or `pending`.
    pub connection_status: String,
    /// The other side's identifier of the connection.
    pub connection_uuid: String,
    /// Set by an Evenkeel site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evenkeel: Option<EvenkeelHello>,
}

/// How one side of a signed connection stands: the `evenkeel` object of `verify-connection`, `update-status`,
/// `get-connection-status` and their answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandingWord {
    /// What this side says of the connection.
    pub status: Status,
    /// Which of its words that is.
    pub epoch: i64,
    /// Up to which epoch it saw the other side's.
    pub seen_epoch: i64,
    /// `rejected`, where it never was anything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl StandingWord {
    /// Why a connection is over that was never approved.
    pub const REJECTED: &'static str = "rejected";

    /// `word`, on its way.
    #[must_use]
    pub fn of(word: Word, is_rejected: bool) -> Self {
        Self {
            status: word.status,
            epoch: word.epoch,
            seen_epoch: word.seen_epoch,
            reason: is_rejected.then(|| Self::REJECTED.to_owned()),
        }
    }

    /// What it says; `None` for epochs that nobody has counted up to.
    #[must_use]
    pub fn word(&self) -> Option<Word> {
        let is_epoch = |epoch| (0..=MAX_EPOCH).contains(&epoch);
        (is_epoch(self.epoch) && is_epoch(self.seen_epoch)).then_some(Word {
            status: self.status,
            epoch: self.epoch,
            seen_epoch: self.seen_epoch,
        })
    }

    /// Whether the other side's administrator declined.
    #[must_use]
    pub fn is_rejection(&self) -> bool {
        self.reason.as_deref() == Some(Self::REJECTED)
    }
}

/// One table in the answer to `list-tables`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedTable {
    /// Its name on the sender.
    pub name: String,
    /// Exact up to 1,000,000, else the estimate.
    #[serde(default)]
    pub row_count: Option<u64>,
    /// With indexes.
    #[serde(default)]
    pub size_bytes: Option<u64>,
    /// Always null from Evenkeel.
    #[serde(default)]
    pub checksum: Option<String>,
    /// Tables its foreign keys point to.
    #[serde(default)]
    pub depends_on: Vec<String>,
}

/// The catalogue object beside the published keys of `table-schema`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalogue {
    /// The sender's kind of database.
    pub engine: Engine,
    /// In table order, without those the grant hides.
    pub columns: Vec<CatalogueColumn>,
    /// Empty when there is none.
    pub primary_key: Vec<String>,
    /// Usable as keys: immediate, not partial.
    pub unique: Vec<Vec<String>>,
    /// Without those to tables outside the grant.
    pub foreign_keys: Vec<CatalogueForeignKey>,
    /// The engine's estimate.
    pub row_estimate: Option<u64>,
}

/// One column of a [`Catalogue`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as the fields of the model's column")]
pub struct CatalogueColumn {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: NeutralType,
    pub native: String,
    pub precision: Option<u32>,
    pub scale: Option<u32>,
    pub length: Option<u32>,
    pub nullable: bool,
    pub generated: bool,
    pub identity: bool,
}

/// One foreign key of a [`Catalogue`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as the fields of the model's foreign key")]
pub struct CatalogueForeignKey {
    pub columns: Vec<String>,
    pub table: TableName,
    pub foreign_columns: Vec<String>,
    pub on_delete: String,
}

/// The payload of a `head` frame: which columns follow, in which order, as which type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// As the sender names it.
    pub table: TableName,
    /// In the order of the fields of each row.
    pub columns: Vec<HeadColumn>,
    /// The engine's estimate of the table's rows.
    pub rows_estimate: Option<u64>,
    /// The row filter that was asked for and that all rows to come pass; a sender that knows none does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
}

/// One column of a [`Head`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadColumn {
    /// Its name on the sender.
    pub name: String,
    /// The type its values travel as.
    #[serde(rename = "type")]
    pub kind: NeutralType,
}

/// Why a stream of frames ends early: the `error_code` of its `error` frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamFaultCode {
    /// A row above the limit.
    RowTooLarge,
    /// A value that has no place in the row layout.
    UnreadableValue,
    /// The table was changed while it was read.
    TableChanged,
    /// Another session of the sender's database holds the table.
    TableLocked,
    /// The sender's database broke off.
    DatabaseLost,
    /// The sender's login may not read the table.
    ReadDenied,
    /// Any other fault of the sender's database.
    ReadFailed,
    /// The connection was suspended, revoked or ended meanwhile.
    ConnectionNotActive,
    /// The table was taken out of the grant meanwhile.
    TableNotGranted,
    /// The grant gives other columns or rows of the table than when the stream began.
    GrantChanged,
    /// The grant's time is over.
    Expired,
    /// The grant's hours are over.
    OutsideHours,
    /// The grant no longer names the network that the request came from.
    NetworkNotAllowed,
    /// The day's rows are used up.
    RowsPerDay,
    /// The day's bytes are used up.
    BytesPerDay,
    /// The session that the stream was of has ended.
    SessionGone,
    /// It has ended because somebody waited for its tables.
    SessionYielded,
    /// A row without a normal form, or two with one key.
    Unfit,
}

words! {
    StreamFaultCode {
        RowTooLarge = "row_too_large", UnreadableValue = "unreadable_value",
        TableChanged = "table_changed", TableLocked = "table_locked",
        DatabaseLost = "database_lost", ReadDenied = "read_denied", ReadFailed = "read_failed",
        ConnectionNotActive = "connection_not_active", TableNotGranted = "table_not_granted",
        GrantChanged = "grant_changed", Expired = "expired", OutsideHours = "outside_hours",
        NetworkNotAllowed = "network_not_allowed", RowsPerDay = "rows_per_day", BytesPerDay = "bytes_per_day",
        SessionGone = "session_gone", SessionYielded = "session_yielded", Unfit = "unfit_row",
    }
}

/// The refusals whose words are part of the published protocol, and the only thing that tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is its words")]
pub enum PublishedRefusal {
    Disabled,
    IncomingNotAllowed,
    PasswordRequired,
    PasswordInvalid,
    ConnectionExists,
    ConnectionUnknown,
    ConnectionNotActive,
    TableNotGranted,
    TableUnknown,
}

words! {
    PublishedRefusal {
        Disabled = "DB Sync module is disabled",
        IncomingNotAllowed = "Incoming connections are not allowed",
        PasswordRequired = "Password required", PasswordInvalid = "Invalid password",
        ConnectionExists = "Connection already exists for this site",
        ConnectionUnknown = "Invalid connection", ConnectionNotActive = "Connection is not active",
        TableNotGranted = "This connection is not authorised to access that table",
        TableUnknown = "Table not found",
    }
}

/// The payload of an `error` frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamFault {
    /// In words.
    pub error: String,
    /// A [`StreamFaultCode`], unless a later version sent it.
    pub error_code: String,
}

#[cfg(test)]
mod tests {
    use super::{MAX_EPOCH, StandingWord};

    #[test]
    fn a_word_with_epochs_that_nobody_counted_up_to_is_none() {
        let word = |epoch: i64, seen_epoch: i64| {
            let said = format!(
                "{{\"status\":\"active\",\"epoch\":{epoch},\"seen_epoch\":{seen_epoch},\"of_later\":1}}"
            );
            let said: StandingWord = serde_json::from_str(&said).unwrap();
            said.word()
        };
        assert!(word(0, 0).is_some() && word(MAX_EPOCH, 7).is_some());
        for (epoch, seen_epoch) in [(-1, 0), (0, -1), (MAX_EPOCH + 1, 0), (0, i64::MAX)] {
            assert_eq!(word(epoch, seen_epoch), None, "{epoch} {seen_epoch}");
        }
    }
}
