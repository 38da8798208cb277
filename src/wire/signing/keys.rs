//! The keys of a signed connection, all derived from its token by HKDF-SHA-256 (RFC 5869).
//!
//! Invariant: the token leads to the keys and its hash does not, so that the connection's name gives nothing away.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroize;

use crate::base::secret::{Secret, SecretError, random_bytes, token_hash};
use crate::model::connection::Direction;

/// The salt of every connection's root key.
const SALT: &[u8] = b"evenkeel connection";

/// 32 bytes that authenticate one side's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MacKey(Secret<[u8; 32]>);

impl MacKey {
    /// The bytes themselves; the caller answers for where they go.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }
}

/// What a site keeps, sealed, instead of a signed connection's token: the pseudorandom key of its generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootKey(Secret<[u8; 32]>);

impl RootKey {
    /// That of a token: HKDF-Extract of its characters.
    #[must_use]
    pub fn of_token(token: &Secret<String>) -> Self {
        let (mut extracted, _) = Hkdf::<Sha256>::extract(Some(SALT), token.expose().as_bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(&extracted);
        extracted.as_mut_slice().zeroize();
        Self(Secret::new(bytes))
    }

    /// A new one, of random bytes: the key of a later generation.
    ///
    /// # Errors
    /// [`SecretError::Random`] when the system has no random bytes.
    pub fn fresh() -> Result<Self, SecretError> {
        Ok(Self(Secret::new(random_bytes()?)))
    }

    /// As it is offered to the peer: base64url without padding.
    #[must_use]
    pub fn to_offer(&self) -> Secret<String> {
        Secret::new(URL_SAFE_NO_PAD.encode(self.0.expose()))
    }

    /// What [`Self::to_offer`] wrote; `None` for anything else.
    #[must_use]
    pub fn from_offer(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        Some(Self(Secret::new(bytes.try_into().ok()?)))
    }

    /// As it is sealed: hexadecimal.
    #[must_use]
    pub fn to_text(&self) -> Secret<String> {
        Secret::new(hex::encode(self.0.expose()))
    }

    /// What [`Self::to_text`] wrote; `None` for anything else.
    #[must_use]
    pub fn from_text(text: &Secret<String>) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text.expose(), &mut bytes).ok()?;
        Some(Self(Secret::new(bytes)))
    }

    fn key(&self, label: &str, generation: u32) -> MacKey {
        let mut key = [0; 32];
        if let Ok(root) = Hkdf::<Sha256>::from_prk(self.0.expose()) {
            // HKDF refuses only outputs above 255 * 32 bytes.
            let _ = root.expand(
                format!("evenkeel {label} {generation}").as_bytes(),
                &mut key,
            );
        }
        MacKey(Secret::new(key))
    }
}

/// That of the keys that come from the token itself.
pub const FIRST_GENERATION: u32 = 1;

/// The keys of one generation of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionKeys {
    /// Counts from 1.
    pub generation: u32,
    root: RootKey,
    sender: MacKey,
    receiver: MacKey,
}

impl ConnectionKeys {
    /// Those of `root`, the key of this generation.
    #[must_use]
    pub fn derive(root: &RootKey, generation: u32) -> Self {
        Self {
            generation,
            sender: root.key("sign sender", generation),
            receiver: root.key("sign receiver", generation),
            root: root.clone(),
        }
    }

    /// What a site signs with: the one that gives (`Sender`), or the one that pulls.
    #[must_use]
    pub fn signing(&self, site: Direction) -> &MacKey {
        match site {
            Direction::Sender => &self.sender,
            Direction::Receiver => &self.receiver,
        }
    }

    /// What rows are hashed with; derived where it is used.
    #[must_use]
    pub fn row(&self) -> MacKey {
        self.root.key("row", self.generation)
    }
}

/// What a site shows its peer with each request: the connection's name and, on a signed one, its keys.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The token's hash. On an unsigned connection it is all there is, so it is as good as a password.
    pub token_hash: Secret<String>,
    /// This side's direction: it says which key is ours.
    pub direction: Direction,
    /// Set on a signed connection.
    pub keys: Option<ConnectionKeys>,
}

impl Credentials {
    /// Those of an unsigned connection that goes by `token`.
    #[must_use]
    pub fn unsigned(token: &str, direction: Direction) -> Self {
        Self {
            token_hash: token_hash(token),
            direction,
            keys: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ConnectionKeys, RootKey};
    use crate::base::secret::{Secret, token_hash};
    use crate::model::connection::Direction;

    fn root(token: &str) -> RootKey {
        RootKey::of_token(&Secret::new(token.to_owned()))
    }

    #[test]
    fn every_use_direction_generation_and_token_has_a_key_of_its_own() {
        let mut keys = Vec::new();
        for (token, generation) in [("a token", 1), ("a token", 2), ("another token", 1)] {
            let of = ConnectionKeys::derive(&root(token), generation);
            keys.push(*of.signing(Direction::Sender).expose());
            keys.push(*of.signing(Direction::Receiver).expose());
            keys.push(*of.row().expose());
        }
        for (at, key) in keys.iter().enumerate() {
            assert_ne!(*key, [0; 32]);
            assert!(!keys[..at].contains(key));
        }
    }

    #[test]
    fn a_root_key_comes_back_from_its_text_and_the_hash_is_none() {
        let token = root("a token");
        assert_eq!(RootKey::from_text(&token.to_text()), Some(token.clone()));
        let hash = token_hash("a token");
        assert_ne!(RootKey::from_text(&hash), Some(token.clone()));
        assert_ne!(RootKey::of_token(&hash), token);
        assert_eq!(RootKey::from_text(&Secret::new("0g".repeat(32))), None);
    }
}
