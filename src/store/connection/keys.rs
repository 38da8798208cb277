//! What a connection keeps secret: its token's hash, the token until it was sent, and the keys of a signed one, which are
//! two while it goes over to the next.
//!
//! Invariant: nothing of it is in the state but sealed, bound to its row and column.

use jiff::Timestamp;

use crate::base::secret::Secret;
use crate::model::connection::{Auth, Connection, Direction};
use crate::model::id::ConnectionId;
use crate::model::rotation::Stage;
use crate::store::pool::fetch_optional;
use crate::store::record::Record;
use crate::store::{Store, StoreError};
use crate::wire::mask::PseudonymKey;
use crate::wire::signing::{ConnectionKeys, Credentials, FIRST_GENERATION, RootKey};

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

/// The keys with which a peer may sign.
#[derive(Clone, Debug)]
pub struct AcceptedKeys {
    /// The usual ones.
    pub current: ConnectionKeys,
    /// Set while the connection goes over from one generation to the next.
    pub second: Option<SecondKey>,
}

/// The second key of a connection.
#[derive(Clone, Debug)]
pub struct SecondKey {
    /// What it is.
    pub stage: Stage,
    /// Its generation.
    pub generation: u32,
    /// The key.
    pub root_key: RootKey,
    /// Until when the peer may sign with it, where it is the previous one.
    pub accepted_until: Option<Timestamp>,
    /// How often it was offered in vain.
    pub attempts: u32,
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

    /// The keys with which the peer of this connection may have signed at `now`; `None` where it does not sign. While the
    /// answer to our registration is under way, those of the token: whoever took it may call already.
    ///
    /// # Errors
    /// When the database fails or a value does not open with this key.
    pub async fn accepted_keys(
        &self,
        id: ConnectionId,
        now: Timestamp,
    ) -> Result<Option<AcceptedKeys>, StoreError> {
        let row = fetch_optional!(
            self,
            "select id, auth, registered, token, root_key, key_generation
            from connection
            where id = $1",
            id.to_string()
        );
        let Some(row) = row else { return Ok(None) };
        let record = Record::new("connection", "id", row);
        if record.parsed::<Auth>("auth")? == Auth::Signed {
            let second = self.second_key(id).await?.filter(|second| {
                let until = second.accepted_until;
                until.is_none_or(|until| until > now)
            });
            return Ok(Some(AcceptedKeys {
                current: self.keys(id, &record)?,
                second,
            }));
        }
        if record.flag("registered")? {
            return Ok(None);
        }
        let token = self.opened_token(id, &record)?;
        Ok(token.map(|token| AcceptedKeys {
            current: ConnectionKeys::derive(&RootKey::of_token(&token), FIRST_GENERATION),
            second: None,
        }))
    }

    /// The connection's second key, also one whose time is over.
    ///
    /// # Errors
    /// When the database fails or a value does not open with this key.
    pub async fn second_key(&self, id: ConnectionId) -> Result<Option<SecondKey>, StoreError> {
        let row = fetch_optional!(
            self,
            "select connection_id, stage, generation, root_key, accepted_until, attempts
            from rotation
            where connection_id = $1",
            id.to_string()
        );
        let Some(row) = row else { return Ok(None) };
        let record = Record::new("rotation", "connection_id", row);
        Ok(Some(SecondKey {
            stage: record.parsed("stage")?,
            generation: record.count("generation")?,
            root_key: self.opened(&place(id, "rotation"), &record, &record.text("root_key")?)?,
            accepted_until: record.optional_time("accepted_until")?,
            attempts: record.count("attempts")?,
        }))
    }

    /// The root key of a signed connection.
    pub(super) async fn root_key(&self, id: ConnectionId) -> Result<Option<RootKey>, StoreError> {
        let row = fetch_optional!(
            self,
            "select id, root_key from connection where id = $1",
            id.to_string()
        );
        let Some(row) = row else { return Ok(None) };
        let record = Record::new("connection", "id", row);
        let Some(sealed) = record.optional_text("root_key")? else {
            return Ok(None);
        };
        self.opened(&place(id, "root_key"), &record, &sealed)
            .map(Some)
    }

    /// The key that is sealed for `place`, in the column `root_key` of `record`.
    fn opened(&self, place: &str, record: &Record, sealed: &str) -> Result<RootKey, StoreError> {
        let root = self.key.open(place, sealed)?;
        RootKey::from_text(&root).ok_or_else(|| record.corrupt("root_key", "a connection's key"))
    }

    fn keys(&self, id: ConnectionId, record: &Record) -> Result<ConnectionKeys, StoreError> {
        let root = self.opened(&place(id, "root_key"), record, &record.text("root_key")?)?;
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
        self.opened_token(id, &Record::new("connection", "id", row))
    }

    fn opened_token(
        &self,
        id: ConnectionId,
        record: &Record,
    ) -> Result<Option<Secret<String>>, StoreError> {
        let sealed = record.optional_text("token")?;
        let opened = sealed.map(|sealed| self.key.open(&place(id, "token"), &sealed));
        Ok(opened.transpose()?)
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

    pub(super) fn seal(
        &self,
        id: ConnectionId,
        column: &str,
        value: &Secret<String>,
    ) -> Result<String, StoreError> {
        Ok(self.key.seal(&place(id, column), value.expose())?)
    }
}

/// What a sealed value is bound to, so that it opens nowhere else.
pub(super) fn place(id: ConnectionId, column: &str) -> String {
    format!("connection/{id}/{column}")
}
