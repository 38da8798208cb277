//! What becomes of one column on its way to a peer.

use serde::{Deserialize, Serialize};

use crate::model::table::NeutralType;

/// Bytes of a pseudonym's name at most.
pub const MAX_PSEUDONYM_BYTES: usize = 63;

/// What a peer sees of a column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnPolicy {
    /// The column as it is.
    Allow,
    /// Nothing: for the peer there is no such column.
    Drop,
    /// The column, with NULL in every row.
    Null,
    /// For each value another one that stands for it; columns of one name have the same for equal values.
    Pseudonym(String),
}

impl ColumnPolicy {
    /// Whether values of two columns that point to each other still do.
    #[must_use]
    pub fn joins(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Allow, Self::Allow) => true,
            (Self::Pseudonym(name), Self::Pseudonym(other)) => name == other,
            _ => false,
        }
    }

    /// Whether a pseudonym can stand for values of this type: for those that name something, and not for amounts,
    /// moments, truths and documents.
    #[must_use]
    pub fn can_stand_for(kind: NeutralType) -> bool {
        match kind {
            NeutralType::Int2
            | NeutralType::Int4
            | NeutralType::Int8
            | NeutralType::Numeric
            | NeutralType::Text
            | NeutralType::Bytea
            | NeutralType::Uuid
            | NeutralType::Other => true,
            NeutralType::Bool
            | NeutralType::Float4
            | NeutralType::Float8
            | NeutralType::Date
            | NeutralType::Time
            | NeutralType::Timestamp
            | NeutralType::Timestamptz
            | NeutralType::Json
            | NeutralType::Jsonb => false,
        }
    }
}
