//! Identifiers: UUIDv7 (RFC 9562), one type per kind so that none is taken for another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta] $name:ident),+ $(,)?) => {$(
        #[$doc]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(Uuid);

        impl $name {
            /// A new identifier, ordered by the time of its making.
            #[must_use]
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )+};
}

id! {
    /// One site.
    SiteId,
    /// One connection, as this side keeps it.
    ConnectionId,
    /// One sync.
    SyncId,
    /// One run.
    RunId,
    /// One transfer.
    TransferId,
    /// One admin API token.
    TokenId,
    /// One receipt, as this side keeps it.
    ReceiptId,
}

impl SyncId {
    /// A number in `0.0..1.0` of its own, that stays the same for life: from the random bits of the identifier.
    #[must_use]
    pub fn fraction(self) -> f64 {
        let [.., a, b, c, d] = *self.0.as_bytes();
        f64::from(u32::from_be_bytes([a, b, c, d])) / (f64::from(u32::MAX) + 1.0)
    }
}
