//! Receipts: what both sites sign when a table was proved, for anybody to check later without either of them.
//!
//! A receipt is its terms, as the very text that was signed, and a signature of each site (Ed25519, RFC 8032). Terms hold
//! when one equation does: the source's rows at its read point are the destination's at its own, after what the run
//! committed, less what the rules left in place here, plus what these hide. Rows are sums of hashes under a key of the
//! connection: the two sites can count them again, others can only see that both said so.
//! Invariant: a receipt that does not hold is never made.

use serde::{Deserialize, Serialize};

use crate::model::filter::Filter;
use crate::model::id::{RunId, SiteId};
use crate::model::run::SyncMode;
use crate::model::table::TableName;
use crate::model::word::words;
use crate::wire::frame::RowSum;
use crate::wire::signing::{ReceiptKey, is_signed_by};

/// What is signed: the context keeps these bytes from being anything else that the same key signs.
const CONTEXT: &str = "evenkeel receipt 1\n";

/// Rows as a receipt writes them: how many, and the sum of their hashes as 32 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rows {
    /// How many.
    pub rows: u64,
    /// The sum of their hashes modulo 2^128, most significant digit first.
    pub sum: String,
}

/// One site's side of a proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the names say it; the read point is the source engine's own, and the destination's a time"
)]
pub struct Side {
    pub site_id: SiteId,
    pub site_name: String,
    pub table: TableName,
    pub read_point: String,
    pub at: Rows,
}

/// Rows that the run wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "as those of a run")]
pub struct Committed {
    pub added: u64,
    pub updated: u64,
    pub deleted: u64,
}

/// What one proof says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// The run that ended with it.
    pub run_id: RunId,
    /// The site that gave, when it was read.
    pub source: Side,
    /// The site that received, after the run's last commit.
    pub destination: Side,
    /// The columns that were compared, as the source calls them.
    pub columns: Vec<String>,
    /// By which of them rows were matched.
    pub key: Vec<String>,
    /// Which rows were compared; none: all that were granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
    /// Which rows could be written.
    pub sync_mode: SyncMode,
    /// What was written.
    pub committed: Committed,
    /// Rows of the destination that the rules left as they are.
    pub left_here: Rows,
    /// Rows of the source in whose place these stand, or that the rules do not insert.
    pub left_there: Rows,
    /// When the destination was read, or what its last commit changed was read back (RFC 3339).
    pub proved_at: jiff::Timestamp,
}

/// A site that signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Signer {
    Source,
    Destination,
}

words! {
    Signer { Source = "source", Destination = "destination" }
}

/// One site's signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedBy {
    /// Which side.
    pub by: Signer,
    /// Its public key, base64.
    pub key: String,
    /// Over the context line and the terms, base64.
    pub signature: String,
}

/// Terms and who signed them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The terms as text, byte for byte as they were signed.
    pub terms: String,
    /// One of each side.
    pub signatures: Vec<SignedBy>,
}

/// Why a receipt proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's message says it")]
pub enum ReceiptFault {
    #[error("its terms are not those of a receipt: {0}")]
    Terms(String),
    #[error("it has no signature of the {0}")]
    Unsigned(&'static str),
    #[error("it is signed by more than the two sites")]
    MoreThanTwo,
    #[error("the {0} did not sign these terms: they were altered, or somebody else signed them")]
    Signature(&'static str),
    #[error("the {side} signed with another key than the one given")]
    OtherKey { side: &'static str },
    #[error("both sides are one site, which can say anything of itself")]
    OneSite,
    #[error(
        "its sums do not add up: the source's rows are not the destination's, less those left in place, plus those they hide"
    )]
    Sums,
}

impl Rows {
    /// As a receipt writes `sum`.
    #[must_use]
    pub fn of(sum: RowSum) -> Self {
        Self {
            rows: sum.rows,
            sum: format!("{:032x}", sum.sum),
        }
    }

    fn read(&self) -> Option<RowSum> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let is_sum = self.sum.len() == 32 && self.sum.bytes().all(is_digit);
        let sum = is_sum.then(|| u128::from_str_radix(&self.sum, 16).ok())??;
        let rows = self.rows;
        // No rows add up to nothing, else what differs could be hidden among rows that are none.
        (rows > 0 || sum == 0).then_some(RowSum { rows, sum })
    }
}

impl Terms {
    /// Whether the equation holds.
    #[must_use]
    pub fn hold(&self) -> bool {
        let read = || {
            // Added on the other side rather than taken away: no count is below zero on the way.
            let source = plus(self.source.at.read()?, self.left_here.read()?)?;
            let destination = plus(self.destination.at.read()?, self.left_there.read()?)?;
            Some(source == destination)
        };
        read().unwrap_or(false)
    }

    /// The text that is signed for them.
    ///
    /// # Errors
    /// When a filter of them cannot be written as JSON.
    pub fn to_text(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    /// Reads the terms of a receipt, whichever version wrote them.
    ///
    /// # Errors
    /// [`ReceiptFault::Terms`].
    pub fn from_text(text: &str) -> Result<Self, ReceiptFault> {
        serde_json::from_str(text).map_err(|err| ReceiptFault::Terms(err.to_string()))
    }
}

/// The sum of both; sums of hashes go round, counts of rows do not.
fn plus(mut one: RowSum, other: RowSum) -> Option<RowSum> {
    let rows = one.rows.checked_add(other.rows)?;
    one.merge(other);
    Some(RowSum { rows, ..one })
}

/// A site's signature of terms.
#[must_use]
pub fn sign(terms: &str, by: Signer, key: &ReceiptKey) -> SignedBy {
    SignedBy {
        by,
        key: key.public(),
        signature: key.sign(message(terms).as_bytes()),
    }
}

impl Receipt {
    /// Checks both signatures and the sums; with `known`, also that the keys are those (source, destination).
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self, known: [Option<&str>; 2]) -> Result<Terms, ReceiptFault> {
        let mut keys = Vec::with_capacity(2);
        for (signer, known) in [Signer::Source, Signer::Destination].into_iter().zip(known) {
            let side = signer.as_str();
            let mut signatures = self.signatures.iter();
            let signed = signatures
                .find(|signed| signed.by == signer)
                .ok_or(ReceiptFault::Unsigned(side))?;
            if known.is_some_and(|known| known != signed.key) {
                return Err(ReceiptFault::OtherKey { side });
            }
            if !is_signed_by(
                &signed.key,
                &signed.signature,
                message(&self.terms).as_bytes(),
            ) {
                return Err(ReceiptFault::Signature(side));
            }
            keys.push(&signed.key);
        }
        if self.signatures.len() > 2 {
            return Err(ReceiptFault::MoreThanTwo);
        }
        let terms = Terms::from_text(&self.terms)?;
        let is_one_key = keys
            .windows(2)
            .any(|keys| matches!(keys, [one, other] if one == other));
        if is_one_key || terms.source.site_id == terms.destination.site_id {
            Err(ReceiptFault::OneSite)
        } else if terms.hold() {
            Ok(terms)
        } else {
            Err(ReceiptFault::Sums)
        }
    }
}

fn message(terms: &str) -> String {
    format!("{CONTEXT}{terms}")
}

#[cfg(test)]
mod tests;
