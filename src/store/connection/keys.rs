//! What a connection keeps secret: its token's hash, the token until it was sent, and the keys of a signed one.
//!
//! Invariant: nothing of it is in the state but sealed, bound to its row and column.

use crate::base::secret::Secret;
use crate::model::connection::{Auth, Connection, Direction};
use crate::model::id::ConnectionId;
use crate::store::pool::fetch_optional;
use crate::store::record::Record;
use crate::store::{Store, StoreError};
use crate::wire::mask::PseudonymKey;
use crate::wire::signing::{ConnectionKeys, Credentials, RootKey};

/// The generation of the key that comes from the token.
pub(super) const FIRST_GENERATION: i64 = 1;

/// What is kept of a token beside its hash.
#[derive(Clone, Copy, Debug)]
pub enum Kept<'a> {
    /// Nothing: the peer shows the hash.
    Nothing,
    /// The token itself, until the peer took the registration.
    Unsent(&'a Secret<String>),
    /// The keys that come from it: both sites sign.
    Keys(&'a SignedPeer),
}

/// What makes a connection signed.
#[derive(Clone, Debug)]
pub struct SignedPeer {
    /// Of the first generation.
    pub root_key: RootKey,
    /// With which the peer signs receipts; base64.
    pub receipt_key: String,
}

/// A connection's secrets as they are stored.
pub(super) struct Sealed {
    pub(super) lookup: String,
    pub(super) token_hash: String,
    pub(super) token: Option<String>,
    pub(super) root_key: Option<String>,
    pub(super) receipt_key: Option<String>,
}

impl Store {
    /// What this side shows the peer: the connection's name, and its keys where it is signed.
    ///
    /// # Errors
    /// When the database fails or a value does not open with this key.
    pub async fn credentials(&self, id: ConnectionId) -> Result<Option<Credentials>, StoreError> {
        let row = fetch_optional!(
            self,
            "select id, direction, auth, token_hash, root_key, key_generation
            from connection
            where id = $1",
            id.to_string()
        );
        let Some(row) = row else { return Ok(None) };
        let record = Record::new("connection", "id", row);
        let direction: Direction = record.parsed("direction")?;
        let token_hash = self
            .key
            .open(&place(id, "token_hash"), &record.text("token_hash")?)?;
        let keys = match record.parsed("auth")? {
            Auth::TokenHash => None,
            Auth::Signed => Some(self.keys(id, &record)?),
        };
        Ok(Some(Credentials {
            token_hash,
            direction,
            keys,
        }))
    }

    fn keys(&self, id: ConnectionId, record: &Record) -> Result<ConnectionKeys, StoreError> {
        let sealed = record.text("root_key")?;
        let root = self.key.open(&place(id, "root_key"), &sealed)?;
        let root = RootKey::from_text(&root)
            .ok_or_else(|| record.corrupt("root_key", "a connection's key"))?;
        let generation = u32::try_from(record.number("key_generation")?)
            .map_err(|_| record.corrupt("key_generation", "a key's generation"))?;
        Ok(ConnectionKeys::derive(&root, generation))
    }

    /// With which this side makes pseudonyms for the peer; no rotation of the connection's own key changes it.
    #[must_use]
    pub fn pseudonym_key(&self, id: ConnectionId) -> PseudonymKey {
        PseudonymKey::new(self.key.pseudonym(&format!("connection/{id}")))
    }

    /// The raw token, while the registration is still to be made.
    ///
    /// # Errors
    /// When the database fails or the value does not open with this key.
    pub async fn unsent_token(
        &self,
        id: ConnectionId,
    ) -> Result<Option<Secret<String>>, StoreError> {
        let row = fetch_optional!(
            self,
            "select id, token from connection where id = $1",
            id.to_string()
        );
        let Some(row) = row else { return Ok(None) };
        let sealed = Record::new("connection", "id", row).optional_text("token")?;
        let Some(sealed) = sealed else {
            return Ok(None);
        };
        Ok(Some(self.key.open(&place(id, "token"), &sealed)?))
    }

    /// Seals what a new connection keeps. A token is kept only while its registration is still to be made.
    pub(super) fn sealed(
        &self,
        connection: &Connection,
        token_hash: &Secret<String>,
        kept: Kept<'_>,
    ) -> Result<Sealed, StoreError> {
        let (token, peer) = match kept {
            Kept::Nothing => (None, None),
            Kept::Unsent(token) => (Some(token).filter(|_| !connection.registered), None),
            Kept::Keys(peer) => (None, Some(peer)),
        };
        Ok(Sealed {
            lookup: self.key.lookup(token_hash.expose()),
            token_hash: self.seal(connection.id, "token_hash", token_hash)?,
            token: token
                .map(|token| self.seal(connection.id, "token", token))
                .transpose()?,
            root_key: peer
                .map(|peer| self.seal_root_key(connection.id, peer))
                .transpose()?,
            receipt_key: peer.map(|peer| peer.receipt_key.clone()),
        })
    }

    /// Seals the key of a peer that signs.
    pub(super) fn seal_root_key(
        &self,
        id: ConnectionId,
        peer: &SignedPeer,
    ) -> Result<String, StoreError> {
        self.seal(id, "root_key", &peer.root_key.to_text())
    }

    fn seal(
        &self,
        id: ConnectionId,
        column: &str,
        value: &Secret<String>,
    ) -> Result<String, StoreError> {
        Ok(self.key.seal(&place(id, column), value.expose())?)
    }
}

/// What a sealed value is bound to, so that it opens nowhere else.
fn place(id: ConnectionId, column: &str) -> String {
    format!("connection/{id}/{column}")
}
