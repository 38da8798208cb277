//! What two sites say in a session: one moment of some tables, compared and read.
//!
//! A receiver opens it, agrees with itself on a contract for each table and says it with its first question about that
//! table, asks for sums from the root down and for listings where they differ, has the rows sent that it picked, and
//! closes with the terms of a receipt. Pure forms; who answers what is in `sync::serve` and `sync::pull`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::filter::Filter;
use crate::model::table::TableName;
use crate::wire::messages::Catalogue;
use crate::wire::normal::NormalForm;
use crate::wire::receipt::SignedBy;
use crate::wire::tally::{Bitmap, Prefix};

/// A table that `open-session` asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AskedTable {
    /// As the sender names it.
    pub table: TableName,
    /// Only rows that pass this, by the sender's names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
}

/// The answer to `open-session`, also where it renews.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SessionOpened {
    /// Its name, opaque to the receiver.
    pub session: String,
    /// It ends then unless a request names it before.
    pub expires_at: Timestamp,
    /// It ends then at the latest.
    pub ends_at: Timestamp,
    /// The moment of all tables, in the words of the sender's database.
    pub read_point: String,
    /// What the sender calls itself now, for receipts.
    pub site_name: String,
    /// In the order asked; none where it was renewed.
    #[serde(default)]
    pub tables: Vec<SessionTable>,
}

/// What a session tells of one of its tables.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SessionTable {
    /// As the sender names it.
    pub table: TableName,
    /// Its columns and keys at that moment, as far as they are granted.
    pub evenkeel: Catalogue,
    /// Which rows there are for this receiver, by grant and filter together; none: all of the table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Filter>,
    /// The grant leaves rows out by columns that the receiver does not see: what it has besides cannot be told from what
    /// was deleted, so that nothing may be.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hides_rows: bool,
    /// Stands for what the grant makes of the table's rows and columns: another one once that was changed. Nothing else can
    /// be told from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<String>,
}

/// How both sides see the rows of one table: the columns, the key, and each column's normal form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreed {
    /// As the sender names them, in the order of each row's fields.
    pub columns: Vec<String>,
    /// By which of them rows are matched, in the order of a place's key.
    pub key: Vec<String>,
    /// Of each column.
    pub forms: Vec<NormalForm>,
}

/// What `tally` asks about one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedTally {
    /// As the sender names it.
    pub table: TableName,
    /// With the first question about it; it holds until the session ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreed: Option<Agreed>,
    /// How many digits the nodes have whose sums are wanted: one more than each of `prefixes`. None: the rows below each
    /// of `prefixes`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<u8>,
    /// Nodes of the tree.
    pub prefixes: Vec<Prefix>,
}

/// Nodes that one `tally` may ask about for sums, over all tables.
pub const MAX_NODES: usize = 2_048;
/// Rows that one `tally` may have listed, over all tables.
pub const MAX_LISTED: u64 = 65_536;
/// Bytes of their keys and hashes.
pub const MAX_LISTED_BYTES: usize = 8 << 20;

/// The `error_code` of a `tally` that asks for more of either.
pub const TOO_MANY_ROWS: &str = "too_many_rows";

/// The 202 of a `tally` about a table that is still being scanned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scanning {
    /// So far.
    pub rows_scanned: u64,
    /// The engine's estimate of all.
    pub rows_estimate: Option<u64>,
}

/// Rows that `pull-data` is to send, by where they stand in a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PickedLeaf {
    /// The node that was listed.
    pub leaf: Prefix,
    /// Which of its rows, in the listing's order; none: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bitmap: Option<Bitmap>,
}

/// The answer to `close-session`: one for each of the receipts that were sent with the receiver's signature alone, in their
/// order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SessionClosed {
    /// `null`: the sender does not agree with the terms.
    pub signatures: Vec<Option<SignedBy>>,
}
